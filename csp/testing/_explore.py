"""`explore`, what it returns, and what it raises."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import islice
from traceback import format_exception_only
from typing import Any

import attrs

from csp._check import check_count
from csp._group import call

from ._choices import Schedule
from ._explorer import Explorer, Program, Run, kind, leaves
from ._timeline import Moment, Timeline, render

_BACKENDS = ("asyncio", "trio")


@attrs.frozen
class Exploration:
    """What came of exploring a program in which no failure was found."""

    backend: str
    """The event loop: "asyncio" or "trio"."""
    runs: int
    """How often the program was run."""
    steps: int
    """How many steps its tasks took, over all runs."""
    complete: bool
    """Whether there are no more schedules within the bound on preemptions."""
    outcomes: Mapping[str, int]
    """What the program returned, as its repr, and how often."""


class FailedSchedule(AssertionError):
    """A schedule under which a program fails; its cause is what the program raised.

    To run it again, in this process or another:
    ``explore(program, runs=1, seed=failure.seed)``, on the same backend.
    """

    seed: str
    """The schedule, made as short as it can be."""
    backend: str
    """The event loop it was found on: "asyncio" or "trio"."""
    run: int
    """The number of the run that failed, counted from 1."""
    timeline: tuple[Moment, ...]
    """Who ran when, and what each did; `str` has it as a table."""

    def __init__(
        self, seed: str, backend: str, run: int, timeline: tuple[Moment, ...], why: str
    ) -> None:
        self.seed = seed
        self.backend = backend
        self.run = run
        self.timeline = timeline
        super().__init__(
            f"{why}\nin run {run} on {backend}. To repeat it:\n    explore(program, "
            f"runs=1, seed={seed!r}, backend={backend!r})\n\n{render(timeline)}"
        )


def explore(
    program: Program,
    *,
    runs: int,
    seed: int | str | None = None,
    cancel: bool = False,
    exhaustive: bool = False,
    backend: str = "asyncio",
    preemptions: float = 2,
    steps: int = 10_000,
) -> Exploration:
    """Run a small async program under many orders of its tasks' steps.

    The program fails under a schedule if it raises, if it comes to a deadlock, or if it
    takes too many steps.  The first failure found is made short and raised.

        async def program() -> None:
            ch: Channel[int] = Channel()
            async with Group() as g:
                g.go(ch.send, 1)
                assert await ch.receive() == 1

        explore(program, runs=1000, cancel=True)

    The tasks, channels and clock of the program are under control, and nothing else
    may have a part in it: it starts afresh each time, and threads and real I/O are
    refused.  Sleeping takes no time.

    Args:
        program: An async function without arguments.
        runs: How often to run it, at most.
        seed: A number from which all random runs are drawn; by default a random one.
            Or the `seed` of a `FailedSchedule`, to run that once.
        cancel: Cancel something once in a run (of random ones in every second), at any
            moment in which it waits or has just been woken: the innermost cancel scope
            around a wait, or on asyncio also a task, natively.  What the program's main
            task waits for outside any scope of the program is left alone.
        exhaustive: Try all schedules, those that depart least from the usual order
            first, instead of random ones.
        backend: "asyncio" or "trio".
        preemptions: In an exhaustive search, how often a schedule may depart from the
            usual order; `math.inf` for any number.
        steps: How many steps a run may take before it is said to be endless.

    Raises:
        FailedSchedule: The program failed; the cause is what it raised.
        Outside: It used threads, real I/O, processes or signals.
        RuntimeError: This was called from inside an event loop.
    """
    _check(program, runs, backend, preemptions, steps)
    explorer = Explorer(program, backend, steps)
    found: Iterator[Run]
    if isinstance(seed, str):
        found = iter([explorer.run(Schedule.parse(seed))])
    elif exhaustive:
        found = explorer.in_order(Schedule(0, cancel), preemptions)
    else:
        found = explorer.at_random(_number(seed), cancel)
    for run in islice(found, runs):
        if run.error is not None and not _is_cancellation(run):
            raise _failure(explorer, run)
    return Exploration(
        backend=backend,
        runs=explorer.runs,
        steps=explorer.steps,
        complete=explorer.complete,
        outcomes=dict(explorer.outcomes),
    )


def _check(
    program: object, runs: object, backend: object, preemptions: object, steps: object
) -> None:
    """Raise unless an exploration can begin here with these."""
    check_count("runs", runs, 1)
    check_count("steps", steps, 1)
    if isinstance(preemptions, bool) or not isinstance(preemptions, (int, float)):
        raise TypeError(
            f"preemptions must be a whole number or math.inf, not {preemptions!r}"
        )
    if preemptions < 0:
        raise ValueError(f"preemptions must be 0 or more, not {preemptions}")
    if backend not in _BACKENDS:
        raise ValueError(
            f"backend must be one of {_BACKENDS}, not {backend!r}: the order of steps "
            "cannot be controlled on any other loop"
        )
    if backend == "trio" and find_spec("trio") is None:
        raise ModuleNotFoundError("trio is not installed: pip install 'anycsp[trio]'")
    if not callable(program):
        call(program, (), "explore")  # type: ignore[arg-type]
    if _is_in_a_loop():
        raise RuntimeError(
            "explore runs event loops of its own, so it cannot be called inside one: "
            "call it from a plain function, and not from a program that is explored"
        )


def _number(seed: int | None) -> int:
    if seed is None:
        return random.SystemRandom().randrange(10**6)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(
            f"seed must be a whole number or the seed of a failure, not {seed!r}"
        )
    return seed


def _is_in_a_loop() -> bool:
    trio: Any = sys.modules.get("trio")
    return asyncio._get_running_loop() is not None or bool(
        trio and trio.lowlevel.in_trio_run()
    )


def _is_cancellation(run: Run) -> bool:
    """Tell whether the program has only passed on a cancellation that was put in."""
    struck = run.schedule.cancel and isinstance(run.error, BaseException)
    return struck and all(
        isinstance(error, _cancelled_types()) for error in leaves(run.error)
    )


def _cancelled_types() -> tuple[type[BaseException], ...]:
    trio: Any = sys.modules.get("trio")
    return (asyncio.CancelledError, *([trio.Cancelled] if trio else []))


def _failure(explorer: Explorer, run: Run) -> FailedSchedule:
    """Make the report of a run that failed."""
    number = explorer.runs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = explorer.run(run.schedule)
        if kind(again) == kind(run):
            run = explorer.shorten(again)
        timeline = Timeline()
        with timeline.watching():
            shown = explorer.run(run.schedule, timeline=timeline)
        timeline.close()
        gc.collect()
    why = _describe(run.error)
    if kind(shown) != kind(run):
        why += _UNREPEATABLE
    failure = FailedSchedule(
        str(run.schedule), explorer.backend, number, tuple(timeline.moments), why
    )
    failure.__cause__ = run.error
    return failure


_UNREPEATABLE = """
(It did not fail again under the same schedule: what the program does depends on
something else, such as the order of a set, the time of day, what an earlier run left
behind, or chance that is not drawn from the `random` module.)"""


def _describe(error: BaseException | None) -> str:
    lines = [line for leaf in leaves(error) for line in format_exception_only(leaf)]
    return "".join(lines).strip()
