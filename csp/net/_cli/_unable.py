"""The error that ends the program before it has begun."""


class Unable(Exception):
    """It cannot start, and this is why, in one sentence for the user."""
