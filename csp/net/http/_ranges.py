"""Which parts of a file a client wants: the `Range` field of RFC 9110, section 14.

A server may always ignore that field, and answer with all of it.  So this does where
the field is malformed, or costs more than it saves.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MOST = 100  # ranges in one request

_FIELD = re.compile(r"bytes=(.*)", re.IGNORECASE | re.DOTALL)
# As many digits as 2**64 has: some clients say the largest number that they know.
_RANGE = re.compile(r"[ \t]*([0-9]{0,20})-([0-9]{0,20})[ \t]*")


class Part(NamedTuple):
    """Some bytes of a file: the first, and how many."""

    start: int
    length: int

    def field(self, size: int) -> str:
        """Return it as a `Content-Range`; `size` is that of the file."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def parse_ranges(field: str, size: int) -> list[Part] | None:
    """Return the parts of a file of `size` bytes that are asked for, in their order.

    None if the field is to be ignored: it is malformed, or of another unit, asks for
    more than there is in total, or the file is empty, so that no part can be named.  An
    empty list if none of its ranges has anything in it: the answer is a 416.
    """
    match = _FIELD.fullmatch(field)
    if match is None or not size:
        return None
    specs = [spec for spec in match[1].split(",") if spec.strip(" \t")]
    if not 0 < len(specs) <= MOST:
        return None
    parts = [_part(spec, size) for spec in specs]
    if None in parts:
        return None
    wanted = [part for part in parts if part and part.length > 0]
    return wanted if sum(part.length for part in wanted) <= size else None


def _part(spec: str, size: int) -> Part | None:
    """Return one part, of length 0 if nothing is in it; None if it is malformed."""
    match = _RANGE.fullmatch(spec)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size) if last else None
        return None if length is None else Part(size - length, length)
    start = int(first)
    if last and int(last) < start:
        return None
    end = min(int(last), size - 1) if last else size - 1
    return Part(start, max(end - start + 1, 0))
