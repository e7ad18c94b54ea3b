"""The decisions that make up a schedule, and who takes them.

A run of a program under `explore` is settled by a row of decisions: which of the
ready tasks takes the next step, whether one is cancelled before it, in which order a
select looks at its operations.  Each is a number below some other, and 0 is what would
happen anyhow: the task that has been ready longest goes on, and nobody is cancelled.

So a schedule is a short list of *departures* from that: (the position of a decision,
what was decided).  All else follows.  It is written ``"7/3:1-12:2"``: in run number 7,
which is what the program's own `random` is seeded with, decision 3 was 1, decision 12
was 2, and all others 0.  In ``"7c/..."`` cancellations are among the decisions.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from random import Random
from typing import Any, TypeAlias

import attrs

Departures: TypeAlias = tuple[tuple[int, int], ...]


_SEED = re.compile(r"(-?\d+)(c?)/((?:\d+:\d+(?:-(?!$)|$))*)")


@attrs.frozen
class Schedule:
    """A run's number, whether it may cancel, and its departures."""

    number: int
    cancel: bool = False
    departures: Departures = ()

    def __str__(self) -> str:
        marks = "-".join(f"{position}:{choice}" for position, choice in self.departures)
        return f"{self.number}{'c' * self.cancel}/{marks}"

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read what `str` wrote; raises ValueError if it is nothing of the kind."""
        match = _SEED.fullmatch(text)
        if match is None:
            raise ValueError(
                "seed must be a whole number, or the seed of a FailedSchedule, such as "
                f"'7/3:1-12:2', not {text!r}"
            )
        marks = (mark.split(":") for mark in match[3].split("-") if mark)
        departures = tuple((int(position), int(choice)) for position, choice in marks)
        return cls(int(match[1]), bool(match[2]), departures)


class Choices:
    """Takes the decisions of one run: 0 each, but for the given departures."""

    def __init__(self, departures: Iterable[tuple[int, int]] = ()) -> None:
        self._planned = dict(departures)
        self.made: list[tuple[int, int]] = []  # out of how many, and which
        self.strikes = 0  # how many cancellations were on offer

    @property
    def departures(self) -> Departures:
        """Where another decision than 0 was taken."""
        return tuple((i, choice) for i, (_, choice) in enumerate(self.made) if choice)

    def task(self, ready: Sequence[Hashable]) -> int:
        """Decide which of the ready tasks goes next."""
        return self._decide(len(ready), 0)

    def strike(self, count: int) -> int:
        """Decide which of `count` cancellations happens now; 0 is none of them."""
        self.strikes += count
        return self._decide(count + 1, 0)

    def draw(self, n: int) -> int:
        """Decide what `select` leaves to chance."""
        return self._decide(n, 0)

    def _decide(self, n: int, choice: int) -> int:
        choice = min(self._planned.get(len(self.made), choice), n - 1)
        self.made.append((n, choice))
        return choice


class RandomChoices(Choices):
    """Takes them at random.

    Half of the runs draw a task at each step.  That seldom holds one task back for
    long; so the other half gives each task a random priority, the ready task of the
    highest goes on, and now and then the running one falls to the lowest (Burckhardt
    and others, A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs,
    2010).  A task that runs on and on falls too, since it may wait in a loop for
    another.

    `strike_at` says which of all the cancellations on offer happens, counted through
    the run; None for none.
    """

    _PATIENCE = 20  # steps in a row

    def __init__(self, number: int, strike_at: int | None = None) -> None:
        super().__init__()
        self._random = Random(number)  # noqa: S311
        self._strike_at = strike_at
        self._by_priority = self._random.choice((False, True))
        self._falls = {int(2 ** self._random.uniform(0, 8)) for _ in range(3)}
        self._priorities: dict[Hashable, float] = {}
        self._steps = self._in_a_row = 0
        self._running: Hashable = None

    def task(self, ready: Sequence[Hashable]) -> int:
        """Draw one, or take that of the highest priority."""
        if not self._by_priority:
            return self._decide(len(ready), self._random.randrange(len(ready)))
        for task in ready:
            self._priorities.setdefault(task, self._random.random())
        self._let_fall(ready)
        best = max(ready, key=self._priorities.__getitem__)
        self._in_a_row = self._in_a_row + 1 if best is self._running else 1
        self._running = best
        return self._decide(len(ready), ready.index(best))

    def _let_fall(self, ready: Sequence[Hashable]) -> None:
        self._steps += 1
        if self._running in ready and (
            self._steps in self._falls or self._in_a_row >= self._PATIENCE
        ):
            self._priorities[self._running] = -self._steps
            self._in_a_row = 0

    def strike(self, count: int) -> int:
        """Take the one whose turn it is."""
        which = 0
        if self._strike_at is not None:
            ahead = self._strike_at - self.strikes
            which = ahead + 1 if 0 <= ahead < count else 0
        self.strikes += count
        return self._decide(count + 1, which)

    def draw(self, n: int) -> int:
        """Draw a number."""
        return self._decide(n, self._random.randrange(n))


class ChosenRandom(Random):
    """What `select` draws from: each number it draws is one of the decisions."""

    # The orders of 2, 3 and 4 operations all divide this.
    _PARTS = 24

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        super().__init__()

    def random(self) -> float:
        """Draw one of a few numbers from 0 up to 1."""
        return self._choices.draw(self._PARTS) / self._PARTS

    def getrandbits(self, k: int) -> int:
        """Draw a number of that many bits."""
        return self._choices.draw(1 << k)

    def _randbelow(self, n: int) -> int:
        """Draw a number below `n`, for `shuffle`; 0 is to leave things as they are."""
        return n - 1 - self._choices.draw(n)

    def seed(self, *_: Any, **__: Any) -> None:
        """Do nothing: the run's schedule has it all."""
