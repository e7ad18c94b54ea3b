"""asyncio under exploration: a loop that asks whose step is next.

asyncio's own loops run what is ready in the order in which it became so.  Here a turn
is: all callbacks that are ready, in that order, and then one step of one task, the
choice of which is the scheduler's.  Callbacks are not chosen among: they are the doing
of libraries, which rely on their order.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from types import CodeType
from typing import Any, NoReturn

import anyio
from anyio._backends._asyncio import _task_states

from ._clock import RESOLUTION
from ._scheduler import Scheduler, Strike, Stuck, can_be_cancelled

_SPINS = 100  # turns without a step, after which time passes all the same


class _Clock(selectors.BaseSelector):
    """Waits for nothing: time jumps."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.now = 0.0
        self.next_timer: Callable[[], float] = lambda: 0.0
        self._scheduler = scheduler
        self._steps = self._spins = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Let time pass, if that is what all wait for."""
        if timeout is not None and timeout <= 0:
            self._spin()
        elif self._scheduler.strike():
            pass  # now a task is ready
        elif timeout is None:
            self._scheduler.deadlock()
        else:
            self._pass(timeout)
        return []

    def _spin(self) -> None:
        # A callback may call itself again in each turn, as those of anyio do that
        # deliver a cancellation: so time must pass though there always is one.
        self._spins = self._spins + 1 if self._steps == self._scheduler.steps else 0
        self._steps = self._scheduler.steps
        if self._spins > _SPINS:
            self._spins = 0
            self._pass(max(0, self.next_timer() - self.now))

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        if self.now == self.now + RESOLUTION:  # half a year on
            self.now = math.nextafter(self.now, math.inf)

    def register(self, *_: Any) -> NoReturn:
        raise self._scheduler.refuse("real I/O")

    modify = unregister = register  # type: ignore[assignment]

    def get_map(self) -> dict[Any, Any]:
        return {}


class _Ready(deque[asyncio.Handle]):
    """What is ready to run in the loop; hands it out as the scheduler says."""

    def __init__(self, scheduler: Scheduler, ages: dict[Any, int]) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._ages = ages
        self._turn: int | None = None  # callbacks left to run before the next step

    def popleft(self) -> asyncio.Handle:
        """Take out what runs next."""
        handle = self._callback() or self._step()
        self.remove(handle)
        return handle

    def _callback(self) -> asyncio.Handle | None:
        callbacks = [handle for handle in self if _owner(handle) is None]
        if self._turn is None:
            self._turn = len(callbacks)
        if callbacks and (self._turn > 0 or len(callbacks) == len(self)):
            self._turn -= 1
            return callbacks[0]
        return None

    def _step(self) -> asyncio.Handle:
        self._scheduler.strike()
        steps: dict[Any, asyncio.Handle] = {}
        for handle in self:
            steps.setdefault(_owner(handle), handle)
        steps.pop(None, None)
        ready = sorted(steps, key=lambda task: self._ages.get(task, 0))
        self._turn = None
        return steps[self._scheduler.choose(ready)]


def _owner(handle: asyncio.Handle) -> asyncio.Task[Any] | None:
    """Return the task whose step `handle` is; None if it is something else."""
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    return None if handle.cancelled() or not isinstance(owner, asyncio.Task) else owner


class AsyncioWorld:
    """Tells the scheduler of asyncio's tasks."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.ages: dict[asyncio.Task[Any], int] = {}
        self._scheduler = scheduler
        self._main: asyncio.Task[Any] | None = None
        scheduler.attach(self)

    async def main(self, program: Callable[[], Awaitable[Any]]) -> Any:
        """Run the program, in the loop's first task."""
        self._main = asyncio.current_task()
        return await self._scheduler.run(program, self._main)

    def name(self, task: asyncio.Task[Any]) -> str:
        return task.get_name()

    def frames(self, task: asyncio.Task[Any]) -> Iterator[tuple[CodeType, int]]:
        coro: Any = task.get_coro()
        while (frame := getattr(coro, "cr_frame", None)) is not None:
            yield frame.f_code, frame.f_lineno
            coro = coro.cr_await

    def outcome(self, task: asyncio.Task[Any]) -> str | None:
        if not task.done():
            return None
        if task.cancelled():
            return "ends cancelled"
        # Not exception(), after which it would count as having been seen.
        error = task._exception
        return f"ends with {type(error).__name__}" if error else "ends"

    def sleepers(self) -> list[asyncio.Task[Any]]:
        return [task for task in self.ages if not task.done()]

    def strikes(self, started: set[Any]) -> list[Strike]:
        strikes: list[Strike] = []
        scopes = set()
        for task in self.sleepers():
            if task not in started:
                continue
            state = _task_states.get(task)
            scope = state.cancel_scope if state else None
            if scope is not None and scope not in scopes and can_be_cancelled(scope):
                scopes.add(scope)
                strikes.append(Strike(task, "by its scope", scope.cancel))
            if task is not self._main:
                strikes.append(Strike(task, "natively", task.cancel))
        return strikes

    def unseen(self) -> list[BaseException]:
        """Return the errors of tasks that nobody has awaited."""
        failed = [task for task in self.ages if getattr(task, "_log_traceback", False)]
        return [error for task in failed if (error := task.exception())]

    def stop(self, *, everything: bool) -> None:
        for task in self.sleepers():
            if everything or task is self._main:
                task.cancel()

    def abandon(self) -> None:
        raise Stuck


class ExploredLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._clock = _Clock(scheduler)
        super().__init__(self._clock)
        self.world = AsyncioWorld(scheduler)
        self.failures: list[BaseException] = []
        self._ready = _Ready(scheduler, self.world.ages)
        self._clock.next_timer = self._next_timer
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._failed)

    def time(self) -> float:
        """Return the seconds that have been slept."""
        return self._clock.now

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Leave a timer that is never due, as of sleep_forever, out of the account."""
        if when == math.inf:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    def _next_timer(self) -> float:
        timers = self._scheduled  # type: ignore[attr-defined]
        return min((timer.when() for timer in timers), default=0.0)

    def _make_task(self, _: Any, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, **options)
        self.world.ages[task] = len(self.world.ages)
        return task

    def _failed(self, _: Any, context: dict[str, Any]) -> None:
        """Keep what nobody else would see: the error of a task never awaited, say."""
        if "exception" in context and not self._scheduler.verdict:
            self.failures.append(context["exception"])

    def dismiss(self) -> None:
        """Close the loop, if tasks that will not end have kept it from being closed."""
        for task in self.world.sleepers():
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with suppress(BaseException):
                task.get_coro().close()
        self._ready.clear()
        if not self.is_closed():
            self.close()

    # What is outside

    def _make_self_pipe(self) -> None:
        """Do nothing: no other thread is to wake this loop."""

    def _close_self_pipe(self) -> None:
        """Do nothing, for the same reason."""

    def _write_to_self(self) -> None:
        """Do nothing, for the same reason."""

    def _add_reader(self, *_: Any) -> NoReturn:
        raise self._scheduler.refuse("real I/O")

    _add_writer = _add_reader

    def add_signal_handler(self, *_: Any) -> NoReturn:  # type: ignore[override]
        raise self._scheduler.refuse("handling signals")

    def run_in_executor(self, *_: Any) -> NoReturn:  # type: ignore[override]
        raise self._scheduler.refuse("an executor")

    async def subprocess_exec(self, *_: Any, **__: Any) -> NoReturn:
        raise self._scheduler.refuse("starting a process")

    subprocess_shell = subprocess_exec


def run(program: Callable[[], Awaitable[Any]], scheduler: Scheduler) -> Any:
    """Run `program` on such a loop, and return its result."""
    loop = ExploredLoop(scheduler)
    options = {"loop_factory": lambda: loop}
    try:
        result = anyio.run(
            loop.world.main, program, backend="asyncio", backend_options=options
        )
    finally:
        loop.dismiss()
    for error in loop.failures + loop.world.unseen():
        raise error
    return result
