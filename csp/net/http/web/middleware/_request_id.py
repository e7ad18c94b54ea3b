"""Names for requests, by which lines of a log are brought together."""

from __future__ import annotations

import secrets
import string

_LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
_LENGTH = 16
_MOST = len(_LETTERS) ** _LENGTH


def request_id() -> str:
    """Return 16 letters and digits that nobody can guess."""
    number = secrets.randbelow(_MOST)
    letters = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[digit])
    return "".join(letters)
