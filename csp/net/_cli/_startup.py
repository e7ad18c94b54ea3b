"""Signals that come before there is an event loop to hear them, or after it.

A module may take its time to be imported, and Python by itself would answer Ctrl-C with
a traceback, and SIGTERM with nothing.  Here the first of them ends the start-up as an
error does, which lets `finally` run, and the second ends the process.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from signal import SIGINT, SIGTERM, Signals
from typing import Self

from ._unable import Unable


class Interrupted(BaseException):
    """A signal came while it started; raised wherever the main thread is."""


class Startup(ExitStack):
    """The block in which signals are heard, where no event loop does so."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: str | None = None
        self._looping = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in (SIGINT, SIGTERM):
                before = signal.signal(signum, self._hear)
                self.callback(signal.signal, signum, before)
        return self

    def _hear(self, signum: int, _: object) -> None:
        if self.heard is not None:
            os._exit(128 + signum)
        self.heard = Signals(signum).name
        if not self._looping:
            raise Interrupted

    def leave_to_loop(self) -> None:
        """Raise no more: from here on a loop is made, and within it `check` tells."""
        self.check()
        self._looping = True

    def check(self) -> None:
        """Go no further if a signal has come, even one that the program has caught.

        Raises:
            Unable: One has.
        """
        if self.heard is not None:
            raise Unable(f"{self.heard} came before it had started")
