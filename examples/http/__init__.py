"""A small web server: python -m examples.http [ADDRESS] [--backend NAME]."""
