"""Tells how far a program is: on a terminal in one line, elsewhere in plain lines."""

from __future__ import annotations

import sys


class Progress:
    """Writes to standard error, which is not what the program was asked for."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self.period = 0.1 if self._terminal else 1.0  # seconds

    def show(self, text: str) -> None:
        """Show this in place of what was shown before."""
        if self._terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Show this, for good."""
        self.show(text)
        if self._terminal:
            print(file=sys.stderr)

    def clear(self) -> None:
        """Take away what is shown, as there is something better now."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
