"""Running functions outside the event loop: in threads, processes, or elsewhere.

What they have in common is `submit`, which returns a `concurrent.futures.Future`; so a
pool takes any executor that has it, such as those of Ray, Dask and loky.

Each worker of a pool has a seat, where its jobs are done.  `_processes` has those that
are processes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from reprlib import Repr
from typing import Any, Literal, Protocol

import anyio

from ._operation import NOT_READY, NotReady, Operation
from ._park import Waiter

_repr = Repr()
_repr.maxstring = _repr.maxother = 100
brief = _repr.repr
"""Like `repr`, but of bounded length, and it never raises."""


class Executor(Protocol):
    """What runs functions elsewhere."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Begin ``fn(*args)``."""


class WorkerDied(RuntimeError):
    """The process that ran a job has ended before the job was done."""


class Ended(Operation[None]):
    """The end of a future, in whatever way."""

    __slots__ = ("_future",)

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def poll(self) -> Literal[NotReady.NOT_READY] | None:
        return None if self._future.done() else NOT_READY

    def enroll(self, waiter: Waiter) -> None:
        post = waiter.loop.poster()

        def tell(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop may be over by then
                post(partial(self._ring, waiter))

        self._future.add_done_callback(tell)

    def withdraw(self, waiter: Waiter) -> None:
        """Do nothing: who waits no more cannot be claimed."""

    def _ring(self, waiter: Waiter) -> None:
        if waiter.claim(self):
            waiter.wake(None)


async def see_out(end: Operation[Any]) -> None:
    """Wait for an end, whoever wants to cancel that."""
    with anyio.CancelScope(shield=True):
        while end.poll() is NOT_READY:
            with suppress(anyio.get_cancelled_exc_class()):  # natively, on asyncio
                await end


class Seat:
    """Where one worker of a pool has its jobs done: an executor that somebody owns."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Callable[[Any], Any], item: Any) -> Future[Any]:
        """Begin a job."""
        return self._executor.submit(fn, item)

    def abort(self, future: Future[Any]) -> None:
        """End a job, if that is possible.  After that there will be no other."""
        future.cancel()

    async def close(self) -> None:
        """Do nothing: the executor is its owner's."""


class ThreadSeat(Seat):
    """A thread of one's own."""

    _executor: ThreadPoolExecutor

    def __init__(self, name: str) -> None:
        super().__init__(ThreadPoolExecutor(1, thread_name_prefix=name))

    def submit(self, fn: Callable[[Any], Any], item: Any) -> Future[Any]:
        return self._executor.submit(copy_context().run, fn, item)

    async def close(self) -> None:
        self._executor.shutdown()  # at once, as the thread has nothing to do
