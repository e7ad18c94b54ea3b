"""`explore` finds the bugs in `naive`, shows them briefly, and none in their twins."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from csp.testing import Deadlock, FailedSchedule, explore
from csp.testing._choices import Schedule
from tests.testing import naive
from tests.testing.naive import (
    accounts,
    mailboxes,
    pools,
    races,
    selects,
    semaphores,
    streams,
)

BACKENDS = ("asyncio", *(["trio"] if find_spec("trio") else []))

RUNS = 500  # within which each bug is found at random, from each of these numbers on
SEEDS = range(0, 5000, 1000)


class Bug(NamedTuple):
    """A program that has one, and what is to be found."""

    program: Callable[[], Any]
    mended: Callable[[], Any]
    error: type[Exception]
    says: str
    fewest: int
    """Departures from the usual order that are needed to fail."""
    cancel: bool = False
    """Whether it takes a cancellation."""
    backends: tuple[str, ...] = ("asyncio", "trio")


BUGS = {
    # On trio one who was woken is not cancelled any more: that has a test of its own.
    "an item is lost with its receiver": Bug(
        streams.memory_stream,
        streams.channel,
        AssertionError,
        "{[01]} lost",
        fewest=1,
        cancel=True,
        backends=("asyncio",),
    ),
    # trio has no tasks outside of groups: there it is the next one.
    "an item is lost with a task that lost a race": Bug(
        races.among_tasks,
        races.mended,
        AssertionError,
        "there is only {'from [ab]'}",
        fewest=0,
        backends=("asyncio",),
    ),
    "an item is lost with a task of a group that lost a race": Bug(
        races.in_a_group,
        races.mended,
        AssertionError,
        "there is only {'from [ab]'}",
        fewest=0,
    ),
    "a wake-up comes before the wait": Bug(
        mailboxes.naive,
        mailboxes.mended,
        Deadlock,
        "main at mailboxes.py",
        fewest=2,
    ),
    "a wake-up goes to one who was cancelled": Bug(
        semaphores.naive,
        semaphores.mended,
        Deadlock,
        "(ann|bob|cid) at semaphores.py",
        fewest=1,
        cancel=True,
    ),
    "opposite selects lock each other out": Bug(
        selects.naive,
        selects.mended,
        Deadlock,
        r"left at selects.py:\d+, right at selects.py",
        fewest=0,
    ),
    "a job is forgotten with its worker": Bug(
        pools.naive,
        pools.mended,
        AssertionError,
        r"there is only \[",
        fewest=1,
        cancel=True,
    ),
    "what was checked does not hold any more": Bug(
        accounts.naive,
        accounts.mended,
        AssertionError,
        "the balance is -10",
        fewest=2,
    ),
}

each_bug = pytest.mark.parametrize(
    ("bug", "backend"),
    [
        pytest.param(bug, backend, id=f"{name}-{backend}")
        for name, bug in BUGS.items()
        for backend in BACKENDS
        if backend in bug.backends
    ],
)
each_seed = pytest.mark.parametrize("seed", SEEDS)


@cache
def find(bug: Bug, backend: str, **how: int) -> FailedSchedule:
    """Return the failure that exploring the program comes to, always the same."""
    with pytest.raises(FailedSchedule) as caught:
        explore(bug.program, runs=RUNS, backend=backend, cancel=bug.cancel, **how)
    return caught.value


def check(failure: FailedSchedule, bug: Bug) -> None:
    """Raise unless it is what is to be found, and says so."""
    assert isinstance(failure.__cause__, bug.error)
    assert re.search(bug.says, str(failure.__cause__))
    assert str(failure.__cause__) in str(failure)


def departures(failure: FailedSchedule) -> int:
    """Count how often it departs from the usual order."""
    return len(Schedule.parse(failure.seed).departures)


@each_bug
@each_seed
def test_is_found_at_random(bug: Bug, backend: str, seed: int) -> None:
    """Whichever number the search begins with."""
    check(find(bug, backend, seed=seed), bug)


@each_bug
def test_is_found_exhaustively(bug: Bug, backend: str) -> None:
    """The first failure found has the fewest departures there can be."""
    failure = find(bug, backend, exhaustive=True)
    check(failure, bug)
    assert departures(failure) == bug.fewest


@each_bug
@each_seed
def test_is_made_short(bug: Bug, backend: str, seed: int) -> None:
    """What is shown of those found at random has no departure too many either."""
    assert departures(find(bug, backend, seed=seed)) == bug.fewest


@each_bug
@pytest.mark.parametrize("how", [{"seed": 0}, {"exhaustive": True}], ids=str)
def test_can_be_repeated(bug: Bug, backend: str, how: dict[str, int]) -> None:
    """The failure's seed alone brings it back, the same moment by moment."""
    failure = find(bug, backend, **how)
    with pytest.raises(FailedSchedule) as caught:
        explore(bug.program, runs=1, seed=failure.seed, backend=backend)
    again = caught.value
    assert (again.run, again.seed, again.backend) == (1, failure.seed, backend)
    assert again.timeline == failure.timeline
    assert type(again.__cause__) is type(failure.__cause__)
    assert str(again.__cause__) == str(failure.__cause__)


@each_bug
def test_mended_it_is_not_found(bug: Bug, backend: str) -> None:
    """The same exploration finds nothing in the program done right."""
    how = {"runs": RUNS, "backend": backend, "cancel": bug.cancel}
    assert explore(bug.mended, seed=0, **how).runs == RUNS
    assert explore(bug.mended, exhaustive=True, **how).complete


@pytest.mark.skipif("trio" not in BACKENDS, reason="trio is not installed")
def test_a_memory_stream_loses_nothing_on_trio() -> None:
    """A task that was woken there is cancelled only at its next wait."""
    program, how = streams.memory_stream, {"backend": "trio", "cancel": True}
    assert explore(program, runs=RUNS, seed=0, **how).runs == RUNS
    assert explore(program, runs=RUNS, exhaustive=True, **how).complete


# What is shown

STORIES = {
    "an item is lost with its receiver": """
        produce: at: await tx.send(i)
        consume: at: async for i in rx:
        produce: ends
        consume: is cancelled natively, in: async for i in rx:
        consume: ends cancelled
        main: ends with AssertionError
        """,
    "an item is lost with a task that lost a race": """
        main: at: await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
        produce: a.send('from a'), in: await ch.send(f"from {ch.name}")
        produce #2: b.send('from b'), in: await ch.send(f"from {ch.name}")
        a: a.receive() -> 'from a', in: return await ch.receive()
        b: b.receive() -> 'from b', in: return await ch.receive()
        main: b.drain() -> [], in: items = {chosen, *a.drain(), *b.drain()}
        main: ends with AssertionError
        """,
    "an item is lost with a task of a group that lost a race": """
        main: at: async with anyio.create_task_group() as racers:
        race: a.receive() -> 'from a', in: items.append(await ch.receive())
        race: ends
        race #2: b.receive() -> 'from b', in: items.append(await ch.receive())
        race #2: ends
        main: ends with AssertionError
        """,
    "a wake-up comes before the wait": """
        main: at: await checkpoint()
        write: ends
        main: at: await self.arrival.wait()
        """,
    "a wake-up goes to one who was cancelled": """
        ann: at: await anyio.sleep(1)
        bob: at: await turn.wait()
        bob: is cancelled by its scope, in: await turn.wait()
        cid: at: await turn.wait()
        bob: ends
        ann: ends
        """,
    "opposite selects lock each other out": """
        left: at: await locks.enter_async_context(channel.lock)
        right: at: await locks.enter_async_context(channel.lock)
        left: at: await locks.enter_async_context(channel.lock)
        right: at: await locks.enter_async_context(channel.lock)
        """,
    "a job is forgotten with its worker": """
        main: jobs.send_many('abc'), in: await jobs.send_many("abc")
        main: is cancelled by its scope, in: async with Group() as g:
        forgetful: jobs.receive() -> 'a', in: async for job in jobs:
        forgetful: at: await checkpoint()
        main: jobs.drain() -> ['c'], in: known = sorted(finished + jobs.drain())
        main: ends with AssertionError
        """,
    "what was checked does not hold any more": """
        earn: ends
        withdraw: at: await checkpoint()  # to ask the bank, say
        withdraw #2: at: await checkpoint()  # to ask the bank, say
        withdraw: ends
        withdraw #2: ends
        main: ends with AssertionError
        """,
}


@each_bug
def test_the_timeline_tells_what_went_wrong(bug: Bug, backend: str) -> None:
    """It names the tasks, what they did, and the lines where they did it."""
    name = next(name for name, known in BUGS.items() if known is bug)
    told = tell(find(bug, backend, exhaustive=True))
    for moment in STORIES[name].strip().splitlines():
        assert moment.strip() in told, f"and after that: {moment.strip()}"


def tell(failure: FailedSchedule) -> Iterator[str]:
    """Tell moment by moment who did what, and in which line of a program in `naive`."""
    folder = Path(naive.__file__).parent
    for moment in failure.timeline:
        file, _, number = moment.where.partition(":")
        line = number and linecache.getline(str(folder / file), int(number)).strip()
        place = f", in: {line}" if line and line not in moment.what else ""
        yield f"{moment.task}: {moment.what}{place}"
