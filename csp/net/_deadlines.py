"""When to look at the deadlines of connections: one heap and one timer for a loop.

A server sets a deadline for every request, and nearly all are put off before they come.
So to put one off does nothing here: the connection is looked at when it was going to
be, and says then when to look again.  A deadline that nobody waits under is not even in
the heap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol, TypeAlias

from csp._park import Loop

_FEW = 64  # dead entries that are not worth a sweep


class Watched(Protocol):
    """Who has deadlines."""

    check: Entry | None

    def look(self, now: float) -> float:
        """Do what is due; returns when to look again, or inf."""


class Entry:
    """When to look at a connection."""

    __slots__ = ("number", "when", "who")

    def __init__(self, when: float, number: int, who: Watched) -> None:
        self.when = when
        self.number = number  # of two at the same time, the first comes first
        self.who: Watched | None = who  # None: it is dead

    def __lt__(self, other: Entry) -> bool:
        return (self.when, self.number) < (other.when, other.number)


class Timer(Protocol):
    """What rings at a time, unless it is cancelled."""

    def cancel(self) -> object: ...


CallAt: TypeAlias = Callable[[float, Callable[[], None]], Timer]


class Deadlines:
    """Those of one event loop, which can call a function at a time."""

    def __init__(self, loop: Loop, call_at: CallAt) -> None:
        self._loop = loop
        self._call_at = call_at
        self._heap: list[Entry] = []
        self._dead = 0
        self._numbers = count()
        self._timer: Timer | None = None
        self._next = math.inf  # when the timer rings

    def put(self, who: Watched, when: float) -> None:
        """Look at it at that time, which is before it was going to be looked at."""
        self.drop(who)
        who.check = Entry(when, next(self._numbers), who)
        heappush(self._heap, who.check)
        self._set_timer()

    def drop(self, who: Watched) -> None:
        """Do not look at it any more."""
        if who.check is None:
            return
        who.check.who = None
        who.check = None
        self._dead += 1
        if self._dead > _FEW and self._dead > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry.who is not None]
            heapify(self._heap)
            self._dead = 0

    def _set_timer(self) -> None:
        when = self._heap[0].when if self._heap else math.inf
        if self._timer is not None:
            if self._next <= when < math.inf:
                return
            self._timer.cancel()
        self._next = when
        self._timer = self._call_at(when, self._ring) if when < math.inf else None

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._heap and self._heap[0].when <= now:
            who = heappop(self._heap).who
            if who is None:
                self._dead -= 1
                continue
            who.check = None
            again = who.look(now)
            if again < math.inf:
                self.put(who, again)
        self._set_timer()


_all: dict[Loop, Deadlines] = {}


def deadlines(loop: Loop, call_at: Callable[[Loop], CallAt]) -> Deadlines:
    """Return those of a loop; the first time with the timer that it has."""
    found = _all.get(loop)
    if found is None:
        for old in [*_all]:  # a copy: another thread may be here
            if old.is_over():
                _all.pop(old, None)
        found = _all.setdefault(loop, Deadlines(loop, call_at(loop)))
    return found
