"""Contexts that are made of files, and anew when those change."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Sequence
from typing import TypeAlias

_log = logging.getLogger("csp.net")

Path: TypeAlias = str | os.PathLike[str]


class Files:
    """A context that was made of files, and is made anew when they change."""

    def __init__(
        self, make: Callable[[], ssl.SSLContext], paths: Sequence[Path]
    ) -> None:
        self._make = make
        self._paths = paths
        self.load()

    def load(self) -> None:
        """Make it; raises OSError if the files are no good."""
        self._seen = self._look()
        self._context = self._make()

    def context(self) -> ssl.SSLContext:
        """Return it, made of the files as they are now, or were when they were good."""
        if self._look() != self._seen:
            try:
                self.load()
            except OSError as error:
                _log.error("%s; the old one stays in use", error)
            else:
                _log.info("certificate %s has changed and was read", self._paths[0])
        return self._context

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._paths]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file does."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
