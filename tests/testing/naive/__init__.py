"""Small programs with the bugs that concurrent programs have, and their mended twins.

Each file has one bug, a program that suffers from it, and the program done right.
"""
