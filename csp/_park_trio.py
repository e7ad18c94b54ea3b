"""Sleeping on trio.

trio cannot cancel a task between its wake-up and its run, so a claimed waiter is
safe as it stands.

The waiter is its own outcome: trio sends what `reschedule` is given into the task,
and calls its `unwrap` there.  That spares making an `outcome.Value`, a tenth of a
rendezvous.

Alarms: only the deadline of a cancel scope wakes a trio task at a time, so a wait
with alarms sleeps in a scope that ends with the earliest.  Between that cancellation
and the task's run it can still be claimed, for the alarm alone does not end it; a
cancellation from further out is repeated by trio at the task's next checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import outcome
import trio
from anyio.abc import TaskGroup
from sniffio import thread_local
from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    RunVar,
    Task,
    add_instrument,
    checkpoint,
    current_task,
    current_trio_token,
    enable_ki_protection,
    reschedule,
    wait_task_rescheduled,
)

from ._park import BUDGET, Loop, Ring, Starter, Waiter, surgery


class TrioWaiter(Waiter):
    """A waiter that sleeps in trio's scheduler."""

    __slots__ = ("alarms", "error", "gone", "task", "value")

    value: object
    alarms: list[tuple[float, Ring]] | None
    error: BaseException | None
    task: Task | None

    def __init__(self, loop: TrioLoop) -> None:
        self.loop = loop
        self.op = self.alarms = self.error = self.value = None
        self.gone = False  # cancelled, and so not to be claimed any more
        self.task = None  # the task while it sleeps
        loop.budget = BUDGET

    def waits(self) -> bool:
        return self.op is None and not self.gone

    def claim(self, op: object) -> bool:
        if self.op is not None or self.gone:
            return False
        self.op = op
        return True

    def wake(self, value: object) -> None:
        self.value = value
        if self.task is not None:
            reschedule(self.task, self)  # type: ignore[arg-type]
            self.task = None

    def fail(self, error: BaseException) -> None:
        self.error = error
        self.wake(None)

    def match(self, op: object, value: object) -> bool:
        if self.op is not None or self.gone:
            return False
        self.op = op
        self.wake(value)
        return True

    def unwrap(self) -> Any:
        """Return or raise what the waiter was woken with."""
        if self.error is not None:
            raise self.error
        return self.value

    def alarm(self, when: float, ring: Ring) -> None:
        if self.alarms is None:
            self.alarms = []
        self.alarms.append((when, ring))

    def disarm(self) -> None:
        self.alarms = None

    def sleep(self) -> Awaitable[Any]:
        if self.alarms is not None or self.op is not None:
            return self._sleep_with_alarms()
        self.task = current_task()
        return wait_task_rescheduled(self._abort)  # noqa: ASYNC105 - the caller does

    def rescue(self, error: BaseException) -> Any:
        raise error

    def _abort(self, _: RaiseCancelT) -> Abort:
        self.gone = True
        return Abort.SUCCEEDED

    async def _sleep_with_alarms(self) -> Any:
        try:
            while self.op is None:
                alarms = [when for when, _ in self.alarms or ()]
                with trio.CancelScope(deadline=min(alarms, default=math.inf)):
                    self.task = current_task()
                    await wait_task_rescheduled(self._abort_with_alarms)
                self._ring()
        except trio.Cancelled:
            if self.op is None:
                self.gone = True
                raise
        return self.unwrap()

    def _abort_with_alarms(self, raise_cancel: RaiseCancelT) -> Abort:
        cause = outcome.capture(raise_cancel)
        assert isinstance(cause, outcome.Error)
        # Anything but a cancellation (Ctrl-C) comes once: nothing may overrule it.
        self.gone = not isinstance(cause.error, trio.Cancelled)
        assert self.task is not None
        reschedule(self.task, cause)
        self.task = None
        return Abort.FAILED

    def _ring(self) -> None:
        now = trio.current_time()
        alarms, self.alarms = self.alarms or (), []
        for when, ring in alarms:
            if when > now:
                self.alarms.append((when, ring))
            elif self.op is None:
                ring(self)


async def _in_scope(scope: trio.CancelScope, coro: Coroutine[Any, Any, None]) -> None:
    with scope:
        await coro


class TrioLoop(Loop, trio.abc.Instrument):
    """The record of one run of trio; an instrument, to be told of its end."""

    __slots__ = ()

    waiter_class = TrioWaiter

    def after_run(self) -> None:
        self.thread = 0

    def starter(self, tasks: TaskGroup) -> Starter:
        # anyio's way, but for the TaskHandle, which costs twice as much as a task.
        nursery = current_task().child_nurseries[-1]

        def start(coro: Coroutine[Any, Any, None], name: str) -> Callable[[], None]:
            scope = trio.CancelScope()
            nursery.start_soon(_in_scope, scope, coro, name=name)
            return scope.cancel

        return start

    def poster(self) -> Callable[[Callable[[], object]], object]:
        return current_trio_token().run_sync_soon

    def time(self) -> float:
        return trio.current_time()

    async def checkpoint(self) -> None:
        await checkpoint()
        self.budget = BUDGET


_loop: RunVar[TrioLoop] = RunVar("csp")


def find() -> TrioLoop | None:
    """Return the record of the trio run in this thread, if there is one."""
    if thread_local.name != "trio":  # a seventh of the cost of in_trio_run()
        return None
    try:
        return _loop.get()
    except LookupError:
        loop = TrioLoop()
        _loop.set(loop)
        add_instrument(loop)
        return loop


for _fn in surgery:
    enable_ki_protection(_fn)
