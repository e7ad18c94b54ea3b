"""Threads are refused while a program is explored: their timing cannot be repeated."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from ._scheduler import Scheduler


@contextmanager
def no_threads(scheduler: Scheduler) -> Iterator[None]:
    """Refuse to start threads, in this thread and while the block runs."""
    explored = threading.get_ident()

    def guarded(start: Any) -> Any:
        def start_elsewhere(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == explored:
                raise scheduler.refuse("a thread")
            return start(*args, **kwargs)

        return start_elsewhere

    with ExitStack() as stack:
        for owner, verb in _STARTERS:
            if owner := _loaded(*owner):
                original = owner.__dict__[verb]
                stack.enter_context(patch.object(owner, verb, guarded(original)))
        yield


_STARTERS = [
    (("threading", "Thread"), "start"),
    (("trio._core._thread_cache", "ThreadCache"), "start_thread_soon"),
]


def _loaded(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)
