"""Paths of requests, as a router reads them: in segments, and each of them decoded.

A path is divided at its slashes before anything is decoded, so %2F never divides: it is
a slash within the value of {name}.  In that of {rest...}, where a slash divides, it
stays %2F.  So "/files/private%2Fkey" is not another way to write "/files/private/key",
which a handler of its own may be guarding.

Paths are not cleaned.  Who sends "//", "." or ".." is not redirected to what that might
mean, as in Go, but told that there is nothing: clients resolve such paths before they
send them (RFC 3986, 5.2.4), so it is a mistake, or somebody who wants to climb out of a
folder.  That holds however it is written, and also for segments that only decoding
would make, behind a %2F or a backslash: what handlers get never contains "..".
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from ._convert import Converter

REST = "..."
"""The kind of a value that is the rest of a path."""

_NOTHING = object()
_SLASH = r"(?:[/\\]|%2f|%5c)"
_DOTS = re.compile(rf"(?i:{_SLASH}(?:\.|%2e){{1,2}}(?:{_SLASH}|\Z))")
_OF_ENCODED_SLASH = re.compile("(?i:%(?=2f))")


def is_clean(path: str) -> bool:
    """Tell whether a path has no segment that is empty or dots, but for its end."""
    if "//" in path or path[:1] != "/":
        return False
    # The search is for the few paths that might have some.
    return not ("/." in path or "%" in path or "\\" in path) or not has_dots(path)


def has_dots(path: str) -> bool:
    """Tell whether there is "." or ".." in a path, however they are written."""
    return _DOTS.search(path) is not None


class Divided:
    """A path in segments; the last one may be several, if it has more than is asked."""

    __slots__ = ("_raw", "_taken", "segments")

    segments: list[str]
    """Decoded, as UTF-8; U+FFFD for what is none."""
    _raw: list[str]
    _taken: dict[tuple[int, str], Any] | None  # what converters have made of them

    def __init__(self, path: str, most: int) -> None:
        self._raw = self.segments = path[1:].split("/", most)
        self._taken = None
        if "%" in path:
            self.segments = [unquote(s) if "%" in s else s for s in self._raw]

    def takes(self, place: int, kind: str, converter: Converter) -> bool:
        """Tell whether a converter takes a segment; it is asked once."""
        taken = self._taken
        if taken is None:
            taken = self._taken = {}
        if (place, kind) not in taken:
            try:
                taken[place, kind] = converter.parse(self.segments[place])
            except ValueError:
                taken[place, kind] = _NOTHING
        return taken[place, kind] is not _NOTHING

    def value(self, place: int, kind: str) -> Any:
        """Return what a converter has made of a segment; or the rest from there on.

        In the rest encoded slashes stay so.
        """
        if kind == REST:
            text = "/".join(self._raw[place:])
            return unquote(_OF_ENCODED_SLASH.sub("%25", text)) if "%" in text else text
        assert self._taken is not None
        return self._taken[place, kind]

    def before(self, place: int) -> str:
        """Return what is before a segment, as it was sent."""
        return "".join([f"/{text}" for text in self._raw[:place]])
