"""What a test leaves behind: tasks, timers, threads, descriptors, and items.

A leak is something that is there after the test and was not before.  So each kind of
thing has a census, taken twice, and a judge, who says which of the new ones are leaks
and puts them into words.  Threads and descriptors are the process's: they are counted
around the whole test, its fixtures included.  Tasks and timers are a loop's, and are
counted around the test function alone, in its loop.  Channels cannot be counted, so
`Births` writes them down as they are made.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from types import BuiltinMethodType, FrameType, FunctionType, MethodType
from typing import Any, TypeAlias

import anyio

from csp._park import Loop, current
from csp._park_asyncio import AsyncioLoop

from ._births import Births
from ._places import Place

KINDS = ("tasks", "timers", "threads", "descriptors", "channels")

# What there is now, by something that tells one from another.
Things: TypeAlias = dict[Hashable, Any]

MOMENT = 1.0  # seconds that a thread has to end


def running_loop() -> Loop | None:
    """Return the record of the loop that runs in this thread, if one does."""
    try:
        return current()
    except RuntimeError:
        return None


def _by_id(things: Collection[Any]) -> Things:
    return {id(thing): thing for thing in things}


# Threads


def _threads() -> Things:
    return _by_id([thread for thread in threading.enumerate() if _runs(thread)])


def _judge_threads(new: Things) -> list[str]:
    """Name the threads that do not end, or become idle, within a moment."""
    end = time.monotonic() + MOMENT
    while running := [thread for thread in new.values() if _runs(thread)]:
        if time.monotonic() > end:
            break
        running[0].join(0.01)
    return [f"thread {thread.name!r}{_job(thread)}" for thread in running]


def _runs(thread: threading.Thread) -> bool:
    """Tell whether a thread runs, and is no worker that waits for its next job.

    One that `threading` has not started cannot be seen to end.
    """
    if not thread.is_alive() or isinstance(thread, threading._DummyThread):
        return False
    if thread in getattr(thread, "idle_workers", ()):  # of anyio, on asyncio
        return False
    frame = next(_stack(thread), None)
    function = frame and (_module(frame), frame.f_code.co_name)
    if function == ("concurrent.futures.thread", "_worker"):  # of asyncio's executor
        return not thread.name.startswith("asyncio_")
    return function != ("trio._core._thread_cache", "_work")


_POOLS = {"threading", "queue", "concurrent", "anyio", "trio", "outcome"}


def _job(thread: threading.Thread) -> str:
    """Say where a thread stands in the function it was started for."""
    for frame in reversed([*_stack(thread)]):
        if _module(frame).split(".")[0] not in _POOLS:
            return f", in {frame.f_code.co_qualname} at {_place(frame)}"
    return ""


def _stack(thread: threading.Thread) -> Iterator[FrameType]:
    """Iterate over what a thread runs, from the innermost frame out."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _place(frame: FrameType) -> Place:
    return Place(frame.f_code.co_filename, frame.f_lineno)


# Descriptors

_FOLDERS = ("/proc/self/fd", "/dev/fd")
_FOLDER = next((folder for folder in _FOLDERS if os.path.isdir(folder)), None)


def _descriptors() -> Things:
    found: Things = {}
    for name in os.listdir(_FOLDER) if _FOLDER else ():
        try:
            status = os.fstat(int(name))
        except OSError:  # the one that listed the folder
            continue
        # A number may have been closed and given out again.
        found[name, status.st_dev, status.st_ino] = int(name)
    return found


def open_for_good() -> None:
    """Open what the process's first loop of uvloop opens, and none ever closes."""
    with suppress(ImportError):
        uvloop = import_module("uvloop")
        uvloop.new_event_loop().close()


def _judge_descriptors(new: Things) -> list[str]:
    """Name the descriptors that stay open even when garbage has been collected."""
    gc.collect()
    still = _descriptors().keys() & new.keys()
    kept = {*_kept_descriptors()}
    numbers = sorted(new[key] for key in still if new[key] not in kept)
    return [f"descriptor {fd}: {_describe_descriptor(fd)}" for fd in numbers]


def _kept_descriptors() -> Iterator[int | None]:
    """Name those of the helpers that multiprocessing starts once and never ends."""
    for module, name, fd in (
        ("multiprocessing.resource_tracker", "_resource_tracker", "_fd"),
        ("multiprocessing.forkserver", "_forkserver", "_forkserver_alive_fd"),
    ):
        yield getattr(getattr(sys.modules.get(module), name, None), fd, None)


def _describe_descriptor(fd: int) -> str:
    if stat.S_ISSOCK(os.fstat(fd).st_mode):
        with socket.socket(fileno=os.dup(fd)) as sock:
            return f"a socket bound to {sock.getsockname()!r}"
    try:
        return os.readlink(f"{_FOLDER}/{fd}")
    except OSError:  # no link where /dev/fd is not Linux's
        return "an open file"


# Tasks


def _tasks() -> Things:
    loop = current()
    if isinstance(loop, AsyncioLoop):
        return _by_id(asyncio.all_tasks(loop.loop))
    from trio.lowlevel import current_root_task

    root = current_root_task()
    nurseries = root.child_nurseries if root else ()
    return _by_id([task for nursery in nurseries for task in nursery.child_tasks])


def _judge_tasks(new: Things) -> list[str]:
    """Name the tasks that no block waits for."""
    if isinstance(current(), AsyncioLoop):
        groups = {info.id for info in anyio.get_running_tasks() if info.parent_id}
        strays = [
            (task.get_name(), task.get_coro())
            for key, task in new.items()
            if key not in groups and not _is_awaited(task)
        ]
    else:
        strays = [(task.name, task.coro) for task in new.values()]
    return [
        f"task {name!r}, in {coro.__qualname__} at {_place(coro.cr_frame)}"
        for name, coro in strays
        if not _is_own(coro)
    ]


def _is_own(coro: Any) -> bool:
    """Tell a task of the loop's own: trio's, or asyncio's to close a generator.

    Like one of trio's is ours that tells connections of their deadlines.
    """
    frame = getattr(coro, "cr_frame", None)
    own = ("trio.", "csp.net._stream_trio")
    return frame is None or _module(frame).startswith(own)


def _is_awaited(task: asyncio.Task[Any]) -> bool:
    """Tell whether a TaskGroup or another task waits for an asyncio task.

    It may wait by way of gather, wait, wait_for or shield.  All of these leave a
    callback with the future they wait for, and it leads to the one that they wake.
    """
    todo: list[Any] = [task]
    seen: list[object] = []
    while todo:
        thing = todo.pop()
        if any(thing is other for other in seen):
            continue
        seen.append(thing)
        match thing:
            case asyncio.TaskGroup():
                return True
            case asyncio.Task() if thing is not task:
                return True
            case asyncio.Future():
                todo += [callback for callback, _ in thing._callbacks or ()]
            case partial(func=FunctionType(__module__="asyncio.tasks"), args=args):
                todo += args
            case FunctionType(__module__="asyncio.tasks", __closure__=cells):
                todo += [cell.cell_contents for cell in cells or ()]
            case MethodType(__self__=owner) | BuiltinMethodType(__self__=owner):
                todo.append(owner)
    return False


# Timers


def _timers() -> Things:
    loop = getattr(current(), "loop", None)  # uvloop's and trio's cannot be listed
    handles = getattr(loop, "_scheduled", ())
    return _by_id([handle for handle in handles if not handle.cancelled()])


def _judge_timers(new: Things) -> list[str]:
    """Name the timers that are no task's wait."""
    return [
        f"timer for {_describe(handle._callback)}, due in {_left(handle):g} s"
        for handle in new.values()
        if not _is_wait(handle._callback)
    ]


def _left(handle: Any) -> float:
    return float(handle.when() - handle._loop.time())


def _describe(callback: Any) -> str:
    function = getattr(callback, "func", callback)  # a partial has one
    name = getattr(function, "__qualname__", None) or repr(function)
    code = getattr(function, "__code__", None)
    return f"{name} ({Place(code.co_filename, code.co_firstlineno)})" if code else name


def _is_wait(callback: Any) -> bool:
    """Tell a library's private function, which ends a task's sleep or its timeout."""
    function = getattr(callback, "func", callback)
    library = str(getattr(function, "__module__", "")).split(".")[0]
    name = getattr(function, "__name__", "")
    return library in {"asyncio", "anyio", "csp"} and name[:1] in {"_", "<"}


class Watch:
    """One test, watched for leaks of some kinds from its beginning on."""

    def __init__(self, kinds: Collection[str], births: Births) -> None:
        self._kinds = kinds
        self._births = births
        self._leaks: dict[str, str] = {}  # in words: of which kind
        self._threads, self._descriptors = _threads(), _descriptors()
        self._tasks: Things = {}
        self._timers: Things = {}
        if "channels" in kinds:
            births.watch()

    @contextmanager
    def excepting(self) -> Iterator[None]:
        """Let what the block starts and opens live longer than the test."""
        threads, descriptors = _threads(), _descriptors()
        watching, self._births.watching = self._births.watching, False
        try:
            yield
        finally:
            self._births.watching = watching
            self._threads |= _new(_threads(), threads)
            self._descriptors |= _new(_descriptors(), descriptors)

    def enter(self) -> None:
        """Begin the test function, in its loop."""
        if running_loop() is None:
            return
        self._tasks, self._timers = _tasks(), _timers()

    def leave(self) -> None:
        """End the test function, in its loop."""
        if running_loop() is None:
            return
        if new := _new(_tasks(), self._tasks):
            self._add("tasks", _judge_tasks(new))
        else:  # so that no timer can be a task's
            self._add("timers", _judge_timers(_new(_timers(), self._timers)))

    def finish(self) -> dict[str, str]:
        """End the test; returns its leaks: in words, and of which kind each is."""
        if "channels" in self._kinds:  # first: garbage is collected below
            self._add("channels", self._births.finish())
        if "threads" in self._kinds and (new := _new(_threads(), self._threads)):
            self._add("threads", _judge_threads(new))
        new = _new(_descriptors(), self._descriptors)
        if "descriptors" in self._kinds and new:
            self._add("descriptors", _judge_descriptors(new))
        return self._leaks

    def _add(self, kind: str, leaks: list[str]) -> None:
        if kind in self._kinds:
            self._leaks |= dict.fromkeys(leaks, kind)


def _new(now: Things, before: Things) -> Things:
    return {key: thing for key, thing in now.items() if key not in before}
