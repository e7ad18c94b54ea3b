"""Where in a program a task stands, libraries left out."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterable
from os.path import basename, dirname, sep
from types import CodeType, FrameType
from typing import NamedTuple

# Frames in these are how a wait is done, not where.
_LIBRARIES = ("csp", "anyio", "asyncio", "trio", "outcome", "contextlib", "unittest")


class Place(NamedTuple):
    """A line of a program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{basename(self.file)}:{self.line}"

    @property
    def source(self) -> str:
        """What the line says."""
        return linecache.getline(self.file, self.line).strip()


def innermost(frames: Iterable[tuple[CodeType, int]]) -> Place | None:
    """Return the last of `frames`, given from the outermost, that is no library's."""
    libraries = _folders()
    for code, line in reversed([*frames]):
        if not code.co_filename.startswith(libraries):
            return Place(code.co_filename, line)
    return None


def caller() -> Place | None:
    """Return where in the program the running function was called from."""
    frames = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        frames.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return innermost(reversed(frames))


def _folders() -> tuple[str, ...]:
    """Return how the names of libraries' files begin."""
    files = [getattr(sys.modules.get(name), "__file__", None) for name in _LIBRARIES]
    return (
        "<",
        *(
            dirname(file) + sep if basename(file) == "__init__.py" else file
            for file in files
            if file
        ),
    )
