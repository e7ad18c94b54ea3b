"""Sleeping on asyncio's event loops, uvloop's among them.

The trouble with asyncio is that `Task.cancel` can strike a task that was woken and
has not run yet: the future it slept on holds an item, and CancelledError is raised
in the item's place.  anyio's memory streams lose the item then.

Here the wait returns the item, and the cancellation is *owed*: it is delivered when
the task next goes to sleep, or in the next turn of the loop, whichever is first, by
``task.cancel(); task.uncancel()``.  The request is thus made anew while the number
of requests stays the same, and so `asyncio.timeout` and `asyncio.TaskGroup`, which
go by that number, stay right.  Once it is back at what it was when the wait began,
all who asked have taken their requests back (a timeout block has ended, say), and
nothing is owed.

What loses: to put the item back breaks the order and the capacity; to wake the
receiver and let it fetch the item lets newcomers overtake, and leaves
`receive_nowait` no way to end a waiting send; and ``uncancel(); cancel()`` leaves a
stray cancellation behind a timeout on 3.11 and 3.12.

anyio's own cancel scopes need none of this: they skip a task whose future is done.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import (
    AbstractEventLoop,
    CancelledError,
    Future,
    InvalidStateError,
    Task,
    TimerHandle,
)
from asyncio import _get_running_loop as running_loop
from collections.abc import Callable
from typing import Any

from anyio.abc import TaskGroup

from ._park import BUDGET, Loop, Ring, Starter, Waiter

try:
    from sniffio import thread_local  # how trio says that it runs, as a guest too
except ImportError:  # then there is no trio

    class thread_local:  # type: ignore[no-redef]
        name = None


running_task: Callable[[AbstractEventLoop], Task[Any] | None] = asyncio.current_task
if sys.version_info < (3, 12):  # the same, without a system call
    running_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]


class AsyncioWaiter(Waiter):
    """A waiter that sleeps on a future of its own."""

    __slots__ = ("alarms", "future", "requests")

    loop: AsyncioLoop
    requests: int  # to cancel the task, made before it came here

    def __init__(self, loop: AsyncioLoop) -> None:
        self.loop = loop
        self.op = self.alarms = None
        self.future: Future[Any] = Future(loop=loop.loop)
        loop.budget = BUDGET
        task = running_task(loop.loop)
        if task is None:  # another loop is running
            loop.refuse("this channel")
        self.requests = task.cancelling()

    alarms: list[TimerHandle] | None

    def waits(self) -> bool:
        return self.op is None and not self.future.done()

    def claim(self, op: object) -> bool:
        # A cancelled future is done even before its task has run.  And a loop can be
        # closed with tasks in it, which will never run.
        if self.op is not None or self.future.done() or self.loop.loop.is_closed():
            return False
        self.op = op
        return True

    def wake(self, value: object) -> None:
        try:
            self.future.set_result(value)
        except InvalidStateError:
            self._too_late().set_result(value)

    def fail(self, error: BaseException) -> None:
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            self._too_late().set_exception(error)

    def match(self, op: object, value: object) -> bool:
        if self.op is not None or self.future.done():
            return False
        self.op = op
        try:
            self.future.set_result(value)
        except InvalidStateError:
            self._too_late().set_result(value)
        except RuntimeError:  # the loop is closed: see claim
            return False
        return True

    def _too_late(self) -> Future[Any]:
        """Return a new future for `rescue`: the one slept on has been cancelled.

        The handler of a signal, such as Ctrl-C's, may do so between any two steps.
        """
        self.future = Future(loop=self.loop.loop)
        return self.future

    def alarm(self, when: float, ring: Ring) -> None:
        if self.alarms is None:
            self.alarms = []
        self.alarms.append(self.loop.loop.call_at(when, ring, self))

    def disarm(self) -> None:
        for alarm in self.alarms or ():
            alarm.cancel()
        self.alarms = None

    def sleep(self) -> Future[Any]:
        loop = self.loop
        if loop.debts and not self.future.done():
            loop.deliver(running_task(loop.loop))
        return self.future

    def rescue(self, error: BaseException) -> Any:
        if self.op is None or not isinstance(error, CancelledError):
            raise error
        self.loop.owe(error, self.requests)
        return self.future.result()


class AsyncioLoop(Loop):
    """The record of one asyncio event loop."""

    __slots__ = ("debts", "loop")

    waiter_class = AsyncioWaiter

    def __init__(self, loop: AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        # The cancellations owed: the number of requests before, and the message.
        self.debts: dict[Task[Any], tuple[int, tuple[Any, ...]]] = {}

    def starter(self, tasks: TaskGroup) -> Starter:
        return lambda coro, name: tasks.create_task(coro, name=name).cancel

    def is_over(self) -> bool:
        return self.loop.is_closed()

    def poster(self) -> Callable[[Callable[[], object]], object]:
        return self.loop.call_soon_threadsafe

    def time(self) -> float:
        return self.loop.time()

    async def checkpoint(self) -> None:
        await asyncio.sleep(0)
        self.budget = BUDGET

    def owe(self, error: CancelledError, requests: int) -> None:
        """Keep for later a cancellation that struck the running task."""
        task = running_task(self.loop)
        assert task is not None
        self.debts[task] = requests, error.args
        self.loop.call_soon(self.deliver, task)

    def deliver(self, task: Task[Any] | None) -> None:
        """Cancel `task` again, if that is owed."""
        if task is None or (debt := self.debts.pop(task, None)) is None:
            return
        requests, message = debt
        if not task.done() and task.cancelling() > requests:
            task.cancel(*message)
            task.uncancel()


_loops: dict[AbstractEventLoop, AsyncioLoop] = {}


def find() -> AsyncioLoop | None:
    """Return the record of the asyncio loop running in this thread, if there is one."""
    running = running_loop()
    if running is None or thread_local.name == "trio":
        return None
    return _loops.get(running) or _enter(running)


def _enter(running: AbstractEventLoop) -> AsyncioLoop:
    for loop in [*_loops]:  # a copy: another thread may be here
        if loop.is_closed():
            _loops.pop(loop, None)
    return _loops.setdefault(running, AsyncioLoop(running))
