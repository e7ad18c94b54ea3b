"""Running a program under many schedules.

At random, each run has a number, from which all its decisions are drawn.  With
cancellations a number stands for two runs of one schedule: the first counts the
moments at which something could be cancelled, the second cancels at one of them.

Exhaustively, schedules are tried in the order of how far they depart from the usual
one.  From each that has been run come those with one departure more, after the last it
has: so each is reached once, and the first failure found has the fewest departures.
(Emmi, Qadeer and Rakamaric, Delay-bounded scheduling, 2011.)

Either way a failure is a list of departures, and is made shorter while what is left of
them still lets the program fail in the same way.
"""

from __future__ import annotations

import random
import traceback
import warnings
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeAlias
from unittest.mock import patch

import attrs

from csp import _park

from ._choices import Choices, ChosenRandom, Departures, RandomChoices, Schedule
from ._outside import no_threads
from ._scheduler import Scheduler
from ._timeline import Timeline

Program: TypeAlias = Callable[[], Awaitable[Any]]

_TRIES = 500  # runs to make a failure shorter


@attrs.frozen
class Run:
    """What came of one run."""

    schedule: Schedule
    choices: Choices
    error: BaseException | None


@attrs.define
class Explorer:
    """Runs one program, once or often."""

    program: Program
    backend: str
    limit: int
    runs: int = 0
    steps: int = 0
    complete: bool = False  # whether there are no more schedules to try
    outcomes: Counter[str] = attrs.Factory(Counter)
    warned: set[tuple[str, int]] = attrs.Factory(set)
    fatal: set[type[Warning]] = attrs.Factory(set)

    def run(
        self,
        schedule: Schedule,
        choices: Choices | None = None,
        timeline: Timeline | None = None,
    ) -> Run:
        """Run the program once: as the schedule says, or with other choices."""
        choices = choices or Choices(schedule.departures)
        scheduler = Scheduler(
            choices, cancel=schedule.cancel, limit=self.limit, timeline=timeline
        )
        loop = import_module(f"._explore_{self.backend}", __package__)
        error: BaseException | None = None
        try:
            with self._warned(), _controlled(schedule.number, choices, scheduler):
                result = loop.run(lambda: self._start(scheduler), scheduler)
                if scheduler.verdict:
                    raise scheduler.verdict
            self.outcomes[repr(result)] += 1
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as raised:
            error = scheduler.verdict or raised
        finally:
            self.runs += 1
            self.steps += scheduler.steps
        if scheduler.refusal is not None:
            raise scheduler.refusal
        departures = choices.departures
        return Run(attrs.evolve(schedule, departures=departures), choices, error)

    def _start(self, scheduler: Scheduler) -> Awaitable[Any]:
        coro = self.program()
        if not hasattr(coro, "__await__"):
            scheduler.refusal = TypeError(
                f"explore takes an async function; {self.program!r} returned {coro!r}"
            )
            raise scheduler.refusal
        return coro

    @contextmanager
    def _warned(self) -> Iterator[None]:
        """Pass on the warnings of a run, unless it fails: then they are noise."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            except BaseException as error:
                _clear_frames(error)  # so that what they hold is forgotten in here,
                caught.clear()  # and what the warnings do
                raise
        for warning in caught:
            self._warn(warning)

    def _warn(self, it: warnings.WarningMessage) -> None:
        """Give a warning once, or raise it if warnings like it are errors here."""
        if it.category in self.fatal:
            raise it.message  # type: ignore[misc]
        if (it.filename, it.lineno) not in self.warned:
            self.warned.add((it.filename, it.lineno))
            try:
                warnings.warn_explicit(it.message, it.category, it.filename, it.lineno)
            except Warning:
                self.fatal.add(it.category)
                raise

    def at_random(self, number: int, cancel: bool) -> Iterator[Run]:
        """Run the program under random schedules, from that number on."""
        while True:
            schedule = Schedule(number, cancel)
            run = self.run(schedule, RandomChoices(number))
            yield run
            if run.choices.strikes:
                draw = random.Random(f"{number} strike")  # noqa: S311
                at = draw.randrange(run.choices.strikes)
                yield self.run(schedule, RandomChoices(number, at))
            number += 1

    def in_order(self, plain: Schedule, preemptions: float) -> Iterator[Run]:
        """Run it under every schedule of no more than so many departures."""
        waiting: deque[Departures] = deque([()])
        while waiting:
            departures = waiting.popleft()
            run = self.run(attrs.evolve(plain, departures=departures))
            if len(departures) < preemptions:
                first = departures[-1][0] + 1 if departures else 0
                for i, (n, _) in enumerate(run.choices.made[first:], first):
                    waiting += [(*departures, (i, other)) for other in range(1, n)]
            self.complete = not waiting
            yield run

    def shorten(self, run: Run) -> Run:
        """Find fewer departures with which the program still fails like that.

        First some are left out: many at once, then fewer, from the end.  If there are
        few left, it may be that fewer others will do.
        """
        most = self.runs + _TRIES
        size = len(run.schedule.departures)
        while size and self.runs < most:
            for fewer in _without(run.schedule.departures, size):
                shorter = self.run(attrs.evolve(run.schedule, departures=fewer))
                if _is_shorter(shorter, run):
                    run = shorter
                    break
            else:
                size //= 2
            size = min(size, len(run.schedule.departures))
        for other in self.in_order(run.schedule, len(run.schedule.departures) - 1):
            if _is_shorter(other, run):
                return other
            if self.runs >= most:
                break
        return run


def _without(departures: Departures, size: int) -> Iterator[Departures]:
    """Yield `departures` without `size` of them, those at the end first."""
    for end in range(len(departures), 0, -size):
        yield departures[: max(0, end - size)] + departures[end:]


def _is_shorter(run: Run, than: Run) -> bool:
    """Tell whether a run fails in the same way, and departs less."""
    fewer = len(run.schedule.departures) < len(than.schedule.departures)
    return fewer and kind(run) == kind(than)


@contextmanager
def _controlled(number: int, choices: Choices, scheduler: Scheduler) -> Iterator[None]:
    """Take all that is left to chance into hand while the block runs."""
    state = random.getstate()
    random.seed(number)
    try:
        with (
            patch.object(_park, "new_random", lambda: ChosenRandom(choices)),
            no_threads(scheduler),
        ):
            yield
    finally:
        random.setstate(state)


def kind(run: Run) -> object:
    """Return what tells one way to fail from another."""
    return {type(error) for error in leaves(run.error)}


def leaves(error: BaseException | None) -> list[BaseException]:
    """Return the errors in an exception group, or the one that is none."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error] if error is not None else []


def _clear_frames(error: BaseException) -> None:
    """Let go of what the frames of `error` hold: channels, tasks and handles."""
    traceback.clear_frames(error.__traceback__)
    for inner in (error.__cause__, error.__context__, *leaves(error)):
        if inner is not None and inner is not error:
            _clear_frames(inner)
