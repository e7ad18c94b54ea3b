"""Measuring: contenders take turns, and are compared within each turn.

A machine is now faster and now slower, by more than the differences that matter.  So
all contenders of a case run in each round, in an order drawn anew, and a ratio is
taken between two measurements of one round; what is shown is the median over the
rounds.

To be fair to everybody: each measurement has an event loop of its own and starts
with no garbage; the collector stays on, as in programs.  Each contender does as much
as takes it about the same time, found in a first run that also warms it up.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Literal, ParamSpec, TypeAlias

import anyio
import attrs

P = ParamSpec("P")

# Does a thing so many times, and returns what all of them cost together.
Measure: TypeAlias = Callable[[int], float]

# anyio's name and options for each event loop.
LOOPS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}
ANY_LOOP = ""  # for what needs none, and so is compared with what runs on any
FIRST_SIZE = 1_000
STEP = 100  # sizes are multiples of it, so that they can be shared out evenly


@attrs.frozen
class Contender:
    """One of those who do the same thing."""

    name: str
    loop: str
    """A key of `LOOPS`, or `ANY_LOOP`."""
    measure: Measure


@attrs.frozen
class Goal:
    """A bound on a ratio of two contenders on one loop, or on the cost of one."""

    over: str
    under: str | None
    least: float
    """What must be kept: a lower bound if `aim` is above it, else an upper one."""
    aim: float
    loops: Sequence[str] = tuple(LOOPS)

    def verdict(self, value: float) -> str:
        """Say in words how far `value` gets."""
        sign = math.copysign(1, self.aim - self.least)
        if sign * value >= sign * self.aim:
            return "aim reached"
        return "reached" if sign * value >= sign * self.least else "NOT reached"


@attrs.frozen
class Case:
    """A thing to do, those who do it, and how we want to be placed among them.

    The first contender on each loop is the one that all others there are compared to.
    """

    title: str
    contenders: Sequence[Contender]
    goals: Sequence[Goal] = ()
    per: str = "item"
    unit: Literal["seconds", "bytes"] = "seconds"
    size: int | None = None
    """How often it is done in one measurement; None for as often as time allows."""
    rounds: int | None = None
    """How many do, if not as many as the command line says."""


@attrs.frozen
class Suite:
    """Cases that belong together."""

    name: str
    cases: Sequence[Case]
    notes: str = ""


@attrs.frozen
class Spread:
    """The middle of some figures, and between which two the middle half of them is."""

    middle: float
    low: float
    high: float


@attrs.frozen
class Outcome:
    """What the rounds of a case gave."""

    case: Case
    costs: dict[Contender, list[float]]
    """Of doing the thing once; one figure a round."""

    def find(self, name: str, loop: str) -> Contender | None:
        """Return who goes by that name on that loop, if somebody does."""
        for contender in self.costs:
            if contender.name == name and contender.loop in (loop, ANY_LOOP):
                return contender
        return None

    def cost(self, contender: Contender) -> Spread:
        return spread(self.costs[contender])

    def ratio(self, over: Contender, under: Contender) -> Spread:
        pairs = zip(self.costs[over], self.costs[under], strict=True)
        return spread([a / b for a, b in pairs])

    def standing(self, goal: Goal, loop: str) -> Spread | None:
        """Return the figure that `goal` is about, if those it names took part."""
        over = self.find(goal.over, loop)
        if over is None:
            return None
        if goal.under is None:
            return self.cost(over)
        under = self.find(goal.under, loop)
        return None if under is None else self.ratio(over, under)


def spread(figures: list[float]) -> Spread:
    if len(figures) == 1:
        return Spread(figures[0], figures[0], figures[0])
    low, _, high = quantiles(figures, method="inclusive")
    return Spread(median(figures), low, high)


def run(case: Case, rounds: int, seconds: float) -> Outcome:
    """Measure `case`, with about `seconds` for each contender in each round."""
    sizes = {
        contender: case.size or _size(contender, seconds)
        for contender in case.contenders
    }
    costs: dict[Contender, list[float]] = {contender: [] for contender in sizes}
    order = list(sizes)
    random = Random(0)  # noqa: S311 - for the order of the contenders
    for _ in range(case.rounds or rounds):
        random.shuffle(order)
        for contender in order:
            costs[contender].append(_cost(contender, sizes[contender]))
    return Outcome(case, costs)


def _size(contender: Contender, seconds: float) -> int:
    once = _cost(contender, FIRST_SIZE)
    return max(STEP, round(seconds / once / STEP) * STEP)


def _cost(contender: Contender, size: int) -> float:
    gc.collect()
    return contender.measure(size) / size


def on(loop: str, work: Callable[[int], Awaitable[float]]) -> Measure:
    """Make the measure of `work`, which tells what it cost, in a new event loop."""
    backend, options = LOOPS[loop]

    def measure(size: int) -> float:
        return anyio.run(work, size, backend=backend, backend_options=options)

    return measure


def timed(work: Callable[P, Awaitable[object]]) -> Callable[P, Awaitable[float]]:
    """Make `work` return the seconds that it took."""

    async def watched(*args: P.args, **kwargs: P.kwargs) -> float:
        started = perf_counter()
        await work(*args, **kwargs)
        return perf_counter() - started

    return watched
