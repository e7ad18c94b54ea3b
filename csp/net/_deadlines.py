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


class Entry:
    """When to look at a connection."""

    __slots__ = ("number", "when", "who")

    def __init__(self, when: float, number: int, who: Deadlined) -> None:
        self.when: float = when
        self.number: int = number  # of two at the same time, the first comes first
        self.who: Deadlined | None = who  # None: it is dead

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

    def put(self, who: Deadlined, when: float) -> None:
        """Look at it at that time, which is before it was going to be looked at."""
        self.drop(who)
        who.check = Entry(when, next(self._numbers), who)
        heappush(self._heap, who.check)
        self._set_timer()

    def drop(self, who: Deadlined) -> None:
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


def _deadlines(loop: Loop, clock: Callable[[], CallAt]) -> Deadlines:
    """Return those of a loop; the first time with a clock of its own."""
    found = _all.get(loop)
    if found is None:
        for old in [*_all]:  # a copy: another thread may be here
            if old.is_over():
                _all.pop(old, None)
        found = _all.setdefault(loop, Deadlines(loop, clock()))
    return found


class Deadlined:
    """Who has a deadline for what it receives and one for what it sends."""

    _loop: Loop
    _receiving: bool  # whether a task waits in there
    _sending: bool

    _read_deadline: float = math.inf
    _write_deadline: float = math.inf
    check: Entry | None = None
    """When it is going to be looked at, if it is."""

    @property
    def read_deadline(self) -> float:
        return self._read_deadline

    @read_deadline.setter
    def read_deadline(self, when: float) -> None:
        self._read_deadline = when
        if self._receiving:
            self._look_by(when)

    @property
    def write_deadline(self) -> float:
        return self._write_deadline

    @write_deadline.setter
    def write_deadline(self, when: float) -> None:
        self._write_deadline = when
        if self._sending:
            self._look_by(when)

    def _look_by(self, when: float) -> None:
        if when < (math.inf if self.check is None else self.check.when):
            _deadlines(self._loop, self._clock).put(self, when)

    def _drop_check(self) -> None:
        """Be not looked at any more."""
        if self.check is not None:
            _deadlines(self._loop, self._clock).drop(self)

    # What an event loop adds

    def look(self, now: float) -> float:
        """Do what is due; returns when to look again, or inf."""
        raise NotImplementedError

    def _clock(self) -> CallAt:
        """Return what calls functions at their time, for all of the loop."""
        raise NotImplementedError
