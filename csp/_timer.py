"""Time as operations: after a while, at a time, and again and again.

None of them has a task or a timer of its own.  A wait sets an alarm on its waiter,
and the loop forgets it with the wait: a timeout that lost in a select leaves nothing
behind.  Loops may ring a little early, by as much as their clock is coarse; then the
alarm is set again, so that nothing here is ever early.
"""

from __future__ import annotations

import math
from typing import Literal

from ._operation import NOT_READY, NotReady, Operation
from ._park import Loop, Waiter, current, uninterrupted


class _Timer(Operation[float]):
    """An operation that is ready when the loop's clock has reached a time."""

    __slots__ = ()

    def _due(self, loop: Loop, now: float) -> float:
        """Return when the operation is ready, if its performance begins at `now`."""
        raise NotImplementedError

    def _fire(self, now: float) -> float:
        """Do it, which is due; returns its value."""
        return now

    @uninterrupted
    def poll(self) -> float | Literal[NotReady.NOT_READY]:
        loop = current()
        now = loop.time()
        return self._fire(now) if self._due(loop, now) <= now else NOT_READY

    @uninterrupted
    def enroll(self, waiter: Waiter) -> None:
        due = self._due(waiter.loop, waiter.loop.time())
        if due < math.inf:
            waiter.alarm(due, lambda waiter: self._ring(waiter, due))

    @uninterrupted
    def withdraw(self, waiter: Waiter) -> None:
        waiter.disarm()

    def _ring(self, waiter: Waiter, due: float) -> None:
        now = waiter.loop.time()
        if now < due:
            waiter.alarm(due, lambda waiter: self._ring(waiter, due))
        elif waiter.claim(self):
            waiter.wake(self._fire(now))


class _After(_Timer):
    __slots__ = ("_seconds",)

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def _due(self, loop: Loop, now: float) -> float:
        return now + self._seconds

    def __repr__(self) -> str:
        return f"after({self._seconds!r})"


class _At(_Timer):
    __slots__ = ("_deadline",)

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def _due(self, loop: Loop, now: float) -> float:
        return self._deadline

    def __repr__(self) -> str:
        return f"at({self._deadline!r})"


class _Ticker(_Timer):
    """Ready once for each point of a grid, except those that nobody waited for."""

    __slots__ = ("_loop", "_next", "_period", "_start")

    _next: int  # the number of the next point; the grid begins at 0

    def __init__(self, period: float) -> None:
        self._period = period
        self._loop = current()
        self._start = self._loop.time()
        self._next = 1

    def _due(self, loop: Loop, now: float) -> float:
        if loop is not self._loop:
            self._loop.refuse(self)
        return self._start + self._next * self._period

    def _fire(self, now: float) -> float:
        tick = self._due(self._loop, now)
        self._next = max(self._next + 1, int((now - self._start) / self._period))
        while self._due(self._loop, now) <= now:  # once, or twice by a rounding error
            self._next += 1
        return tick

    def _ring(self, waiter: Waiter, due: float) -> None:
        # Another wait may have had the tick: then this one waits for the next.
        super()._ring(waiter, self._due(self._loop, due))

    def __repr__(self) -> str:
        return f"ticker({self._period!r})"


def after(seconds: float) -> Operation[float]:
    """Make the operation of waiting for some seconds.

    They count from the beginning of each performance, so one operation will do for
    many selects.  Its value is the loop's time then; 0 or less is ready at once.

        match await select(job=recv(jobs), late=after(1.0)):
            case "late", _:
                print("no job for a second")
    """
    return _After(_seconds("after", seconds))


def at(deadline: float) -> Operation[float]:
    """Make the operation of waiting until `anyio.current_time()` is `deadline`.

    Its value is the loop's time then; a deadline that has passed is ready at once.
    """
    return _At(_seconds("at", deadline))


def ticker(period: float) -> Operation[float]:
    """Make an operation that is ready every `period` seconds from now on.

    Its value is the time at which the tick was due.  Ticks are on a grid that begins
    now; those that nobody waited for are dropped but the first, so a slow user gets
    one late tick and then the next of the grid.  Of several waiting tasks, one gets
    each tick.  Needs a running event loop, and belongs to it.

        tick = ticker(60.0)
        while True:
            await tick
            print(jobs.statistics())
    """
    if not _seconds("ticker", period) > 0 or period == math.inf:
        raise ValueError(
            f"ticker needs a finite period above 0 seconds, not {period!r}"
        )
    return _Ticker(period)


def _seconds(name: str, value: object) -> float:
    """Raise unless `value` is a number of seconds; returns it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} takes a number of seconds, not {value!r}")
    if math.isnan(value):
        raise ValueError(f"{name} takes a number of seconds, not {value!r}")
    return value
