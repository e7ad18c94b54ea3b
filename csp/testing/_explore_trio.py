"""trio under exploration: its own scheduler, asked for one task at a time.

trio runs all that is ready in a batch, whose order it shuffles with a `random.Random`
of its own when Hypothesis asks it to be repeatable.  In the place of that we put an
object whose `shuffle` leaves one task in the batch, the chosen one, and puts the others
back.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from random import Random
from threading import get_ident
from types import CodeType
from typing import Any, NoReturn
from unittest.mock import patch

import anyio
import outcome
import trio
from trio._core import _run
from trio._core._run import GLOBAL_RUN_CONTEXT, CancelStatus
from trio.lowlevel import Abort, Task, reschedule

from csp._park_trio import TrioWaiter

from ._scheduler import Scheduler, Strike, Stuck, can_be_cancelled

# Those who wait by setting a deadline, in a scope that is theirs alone.
_CLOCKS = {
    trio.sleep_until.__code__,
    TrioWaiter._sleep_with_alarms.__code__,
}


class _Clock(trio.abc.Clock):
    """A clock that jumps when trio would have to sleep."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.quiet = 0  # how often in a row no task was ready
        self._scheduler = scheduler
        self._now = 0.0

    def start_clock(self) -> None:
        """Do nothing: it stands still."""

    def current_time(self) -> float:
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Let time pass: trio asks this only when no task is ready."""
        if GLOBAL_RUN_CONTEXT.runner.waiting_for_idle:
            return deadline - self._now  # whoever waits for all to sleep comes first
        self.quiet += 1
        if self.quiet == 1:
            pass  # trio may have something to tell itself, as if it came from outside
        elif self._scheduler.strike():
            pass  # now a task is ready
        elif deadline == math.inf:
            self._scheduler.deadlock()
        else:
            self._now = max(self._now, deadline)
        return 0


class _Order(Random):
    """Takes the place of trio's source of randomness."""

    def __init__(self, scheduler: Scheduler, world: TrioWorld, clock: _Clock) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._clock = clock
        self._world = world
        self._thread = get_ident()

    def shuffle(self, batch: Any) -> None:
        """Leave the task in `batch` whose step is next."""
        if get_ident() == self._thread:
            self._choose(batch)
        else:  # another trio, which is not explored
            super().shuffle(batch)

    def _choose(self, batch: list[Task]) -> None:
        self._scheduler.strike()
        runq = GLOBAL_RUN_CONTEXT.runner.runq
        ready = sorted({*batch, *runq}, key=_age)
        if not ready:
            return
        self._clock.quiet = 0
        # Those of trio itself go first.
        trios = [task for task in ready if not self._world.owns(task)]
        task = trios[0] if trios else self._scheduler.choose(ready)
        batch[:] = [task]
        runq.clear()
        runq.extend(other for other in ready if other is not task)


def _age(task: Task) -> int:
    return task._counter


class TrioWorld:
    """Tells the scheduler of trio's tasks."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._root = trio.CancelScope()
        scheduler.attach(self)

    async def main(self, program: Callable[[], Awaitable[Any]]) -> Any:
        """Run the program, in trio's main task."""
        with self._root:
            return await self._scheduler.run(program, trio.lowlevel.current_task())

    def name(self, task: Task) -> str:
        return task.name

    def frames(self, task: Task) -> Iterator[tuple[CodeType, int]]:
        for frame, line in task.iter_await_frames():
            yield frame.f_code, line

    def outcome(self, task: Task) -> str | None:
        return "ends" if task.coro.cr_frame is None else None

    def sleepers(self) -> list[Task]:
        tasks = GLOBAL_RUN_CONTEXT.runner.tasks
        return [task for task in sorted(tasks, key=_age) if self.owns(task)]

    def owns(self, task: Task) -> bool:
        """Tell whether `task` is one of the program's."""
        return self._root in self._scopes(task)

    def _scopes(self, task: Task) -> list[trio.CancelScope]:
        """Return the scopes around `task`, from the innermost out to the program's."""
        scopes = []
        status: CancelStatus | None = task._cancel_status
        while status is not None and self._root not in scopes:
            scopes.append(status._scope)
            status = status._parent
        return scopes

    def strikes(self, started: set[Any]) -> list[Strike]:
        scopes: dict[Any, Task] = {}
        for task in self.sleepers():
            if task in started:
                scopes.setdefault(self._scope(task), task)
        scopes.pop(self._root, None)
        return [
            Strike(task, "by its scope", scope.cancel)
            for scope, task in scopes.items()
            if can_be_cancelled(scope)
        ]

    def _scope(self, task: Task) -> trio.CancelScope:
        """Return the innermost scope around what `task` waits for."""
        clock = any(code in _CLOCKS for code, _ in self.frames(task))
        return self._scopes(task)[1 if clock else 0]

    def stop(self, *, everything: bool) -> None:
        self._root.cancel()
        for task in self.sleepers() if everything else ():
            for scope in self._scopes(task):
                scope.shield = False
                scope.cancel()

    def abandon(self) -> None:
        stuck = outcome.Error(Stuck())
        for task in self.sleepers():
            if task._abort_func is None:  # it is ready
                if task._next_send is not None:  # and has been run before
                    task._next_send = stuck
            elif task._abort_func(_no_cancellation) is Abort.SUCCEEDED:
                reschedule(task, stuck)


def _no_cancellation() -> NoReturn:
    raise Stuck


def _guarded(wait: Any, world: TrioWorld, scheduler: Scheduler) -> Any:
    """Let nobody but trio itself wait for I/O."""

    async def guarded(manager: Any, fd: Any) -> None:
        if world.owns(trio.lowlevel.current_task()):
            raise scheduler.refuse("real I/O")
        await wait(manager, fd)

    return guarded


def run(program: Callable[[], Awaitable[Any]], scheduler: Scheduler) -> Any:
    """Run `program` on trio, and return its result."""
    clock, world = _Clock(scheduler), TrioWorld(scheduler)
    with ExitStack() as stack:
        stack.enter_context(patch.object(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True))
        order = _Order(scheduler, world, clock)
        stack.enter_context(patch.object(_run, "_r", order))
        manager = _run.TheIOManager  # type: ignore[attr-defined]
        for verb in ("wait_readable", "wait_writable"):
            wait = _guarded(getattr(manager, verb), world, scheduler)
            stack.enter_context(patch.object(manager, verb, wait))
        options = {"clock": clock}
        return anyio.run(world.main, program, backend="trio", backend_options=options)
