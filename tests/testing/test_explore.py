"""Exploring a program: which schedules it is run under, and what is said of them."""

from __future__ import annotations

import asyncio
import math
import random
import warnings
from collections.abc import Iterator

import anyio
import pytest
from anyio.lowlevel import checkpoint

from csp import Channel, Group, after, done, recv, select, send
from csp.testing import Deadlock, Exploration, FailedSchedule, explore

from .programs import BACKENDS, Program, in_turns, on_every_loop, overdraw


def failure_of(program: Program, **options) -> FailedSchedule:
    with pytest.raises(FailedSchedule) as caught:
        explore(program, **options)
    return caught.value


# Random


@on_every_loop
def test_a_program_that_never_fails_is_run_as_often_as_asked(backend: str) -> None:
    """And what it returned is counted."""
    exploration = explore(in_turns("a", "b", steps=1), runs=50, backend=backend)
    assert exploration.runs == 50
    assert exploration.steps >= 50 * 3
    assert set(exploration.outcomes) == {"'ab'", "'ba'"}
    assert sum(exploration.outcomes.values()) == 50
    assert (exploration.backend, exploration.complete) == (backend, False)


@on_every_loop
def test_random_runs_reach_every_order(backend: str) -> None:
    """Of two tasks with three steps each there are twenty."""
    exploration = explore(in_turns("a", "b", steps=3), runs=500, backend=backend)
    assert len(exploration.outcomes) == math.comb(6, 3)


@on_every_loop
def test_a_task_may_be_held_back_for_long(backend: str) -> None:
    """By uniform choice this order of 40 steps would come up once in 2 ** 20 runs."""
    outcomes = explore(in_turns("a", "b", steps=15), runs=200, backend=backend).outcomes
    assert repr("a" * 15 + "b" * 15) in outcomes
    assert repr("b" * 15 + "a" * 15) in outcomes


@on_every_loop
@pytest.mark.parametrize("cancel", [False, True])
def test_a_seed_repeats_an_exploration(backend: str, cancel: bool) -> None:
    """To the last step."""

    def once() -> Exploration:
        program = in_turns("a", "b", "c", steps=3)
        return explore(program, runs=30, seed=5, cancel=cancel, backend=backend)

    assert once() == once()


@on_every_loop
def test_without_a_seed_each_exploration_differs(backend: str) -> None:
    """There are 34,650 orders."""
    program = in_turns("a", "b", "c", steps=4)
    first = explore(program, runs=10, backend=backend)
    assert explore(program, runs=10, backend=backend).outcomes != first.outcomes


@on_every_loop
def test_chance_in_the_program_differs_by_run_and_is_repeatable(backend: str) -> None:
    """And what the test itself draws is left as it was."""

    async def program() -> float:
        return random.random()

    random.seed(1)
    expected = random.random()
    random.seed(1)
    first = explore(program, runs=20, seed=3, backend=backend)
    assert random.random() == expected
    assert len(first.outcomes) == 20
    assert explore(program, runs=20, seed=3, backend=backend) == first


# Exhaustive


@on_every_loop
def test_an_exhaustive_search_runs_each_order_once(backend: str) -> None:
    """And says that there is no other."""
    program = in_turns("a", "b", steps=3)
    exploration = explore(
        program, runs=500, exhaustive=True, preemptions=math.inf, backend=backend
    )
    assert exploration.complete
    assert set(exploration.outcomes.values()) == {1}
    assert len(exploration.outcomes) == math.comb(6, 3)


@on_every_loop
@pytest.mark.parametrize(
    ("preemptions", "orders"),
    [(0, {"'abab'"}), (1, {"'abab'", "'baba'", "'abba'", "'aabb'"})],
)
def test_preemptions_bound_it(backend: str, preemptions: int, orders: set[str]) -> None:
    """A preemption is a task that goes before another that was ready for longer."""
    exploration = explore(
        in_turns("a", "b", steps=2),
        runs=500,
        exhaustive=True,
        preemptions=preemptions,
        backend=backend,
    )
    assert set(exploration.outcomes) == orders
    assert exploration.complete


@on_every_loop
def test_a_search_that_is_cut_short_says_so(backend: str) -> None:
    """It ran as often as it was allowed to."""
    program = in_turns("a", "b", "c", steps=3)
    exploration = explore(program, runs=10, exhaustive=True, backend=backend)
    assert (exploration.runs, exploration.complete) == (10, False)


@on_every_loop
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_it_tries_each_choice_of_a_select(backend: str, count: int) -> None:
    """All operations are ready, so any may happen."""

    async def program() -> int | str:
        channels = [Channel[int](1) for _ in range(count)]
        for ch in channels:
            ch.send_nowait(0)
        which, _ = await select(*map(recv, channels))
        for ch in channels:
            ch.drain()
        return which

    outcomes = explore(program, runs=500, exhaustive=True, backend=backend).outcomes
    assert set(outcomes) == {str(i) for i in range(count)}


# Time


@on_every_loop
def test_sleeping_takes_no_time(backend: str) -> None:
    """The clock jumps when no task is ready, and only then."""

    async def program() -> tuple[float, list[str]]:
        start, woken = anyio.current_time(), []

        async def sleep(seconds: float) -> None:
            await anyio.sleep(seconds)
            woken.append(f"after {seconds}")

        async with Group() as g:
            g.go(sleep, 3600)
            g.go(sleep, 10)
            await select(after(60))
            woken.append("main")
        return anyio.current_time() - start, woken

    outcomes = explore(program, runs=20, backend=backend).outcomes
    assert outcomes == {"(3600.0, ['after 10', 'main', 'after 3600'])": 20}


@on_every_loop
def test_a_clock_may_come_to_show_years(backend: str) -> None:
    """Beyond what the resolution of a float tells apart from a nanosecond later."""

    async def program() -> bool:
        for seconds in (1e7, 1e9, 3, 0.001):
            await anyio.sleep(seconds)
        return anyio.current_time() > 1e9

    assert explore(program, runs=2, backend=backend).outcomes == {"True": 2}


@on_every_loop
def test_all_tasks_may_be_waited_for(backend: str) -> None:
    """`wait_all_tasks_blocked` returns once the others sleep."""

    async def program() -> int:
        ch: Channel[int] = Channel()
        async with Group() as g:
            receiver = g.go(ch.receive)
            await anyio.wait_all_tasks_blocked()
            assert ch.statistics().receivers_waiting == 1
            ch.send_nowait(7)
        return await receiver

    assert explore(program, runs=20, backend=backend).outcomes == {"7": 20}


# Cancellation


async def three_waits() -> str:
    """Say which of the waits of a task was cancelled."""
    ch: Channel[int] = Channel()
    at = "none"

    async def worker() -> None:
        nonlocal at
        at = "receive"
        await ch.receive()
        at = "sleep"
        await anyio.sleep(1)
        at = "select"
        await select(recv(Channel[int]()), after(1))
        at = "none"

    async with Group() as g:
        handle = g.go(worker)
        await select(send(ch, 1), done(handle))
    return at


@on_every_loop
def test_every_wait_is_cancelled_in_some_run(backend: str) -> None:
    """An exhaustive search needs but one departure for each."""
    outcomes = explore(
        three_waits,
        runs=5000,
        cancel=True,
        exhaustive=True,
        preemptions=1,
        backend=backend,
    ).outcomes
    assert set(outcomes) == {"'none'", "'receive'", "'sleep'", "'select'"}
    outcomes = explore(
        three_waits, runs=100, seed=1, cancel=True, backend=backend
    ).outcomes
    assert set(outcomes) == {"'none'", "'receive'", "'sleep'", "'select'"}


@pytest.mark.parametrize(
    ("backend", "ways"),
    [
        ("asyncio", {"'natively'", "'by scope'", "'from afar'"}),
        ("trio", {"'by scope'", "'from afar'"}),
    ],
)
def test_a_task_is_cancelled_in_every_way(backend: str, ways: set[str]) -> None:
    """Natively, which only asyncio knows, its own scope is not told."""
    if backend not in BACKENDS:
        pytest.skip("trio is not installed")

    async def program() -> str:
        how = "not at all"

        async def worker() -> None:
            nonlocal how
            with anyio.CancelScope() as scope:
                try:
                    await anyio.sleep(1)
                except anyio.get_cancelled_exc_class():
                    if scope.cancel_called:
                        how = "by scope"
                    else:
                        how = (
                            "from afar" if g.cancel_scope.cancel_called else "natively"
                        )
                    raise

        async with Group() as g:
            g.go(worker)
        return how

    outcomes = explore(
        program, runs=500, cancel=True, exhaustive=True, preemptions=1, backend=backend
    ).outcomes
    assert set(outcomes) == ways | {"'not at all'"}


@on_every_loop
def test_something_is_cancelled_once_in_a_run(backend: str) -> None:
    """Of random runs, in every second."""

    async def program() -> int:
        cancelled = 0

        async def worker() -> None:
            nonlocal cancelled
            for _ in range(3):
                with anyio.CancelScope() as scope:
                    await anyio.sleep(1)
                cancelled += scope.cancelled_caught

        async with Group() as g:
            g.go(worker)
        return cancelled

    exploration = explore(program, runs=50, cancel=True, backend=backend)
    assert exploration.runs == 50
    assert set(exploration.outcomes) == {"0", "1"}
    assert exploration.outcomes["0"] >= 25


@on_every_loop
def test_nothing_is_cancelled_that_nobody_could_cancel(backend: str) -> None:
    """Neither the main task outside any scope, nor a shielded block."""

    async def program() -> str:
        await anyio.sleep(1)
        with anyio.CancelScope(shield=True):
            await anyio.sleep(1)
        return "whole"

    outcomes = explore(program, runs=20, cancel=True, backend=backend).outcomes
    assert set(outcomes) == {"'whole'"}


@on_every_loop
def test_a_timeout_in_the_main_task_is_cancelled(backend: str) -> None:
    """Its deadline could have passed."""

    async def program() -> bool:
        with anyio.move_on_after(10) as scope:
            await anyio.sleep(1)
        return scope.cancelled_caught

    outcomes = explore(program, runs=20, cancel=True, backend=backend).outcomes
    assert set(outcomes) == {"True", "False"}


def test_passing_on_a_cancellation_is_no_failure() -> None:
    """The main task awaits one that was cancelled natively."""

    async def program() -> str:
        return await asyncio.ensure_future(asyncio.sleep(1, "slept"))

    outcomes = explore(program, runs=20, cancel=True).outcomes
    assert set(outcomes) == {"'slept'"}


# Failures


@on_every_loop
@pytest.mark.parametrize("exhaustive", [False, True])
def test_a_failure_is_raised_with_its_schedule(backend: str, exhaustive: bool) -> None:
    """The cause is what the program raised."""
    failure = failure_of(overdraw, runs=100, exhaustive=exhaustive, backend=backend)
    assert isinstance(failure.__cause__, AssertionError)
    assert "balance is -10" in str(failure)
    assert f"seed={failure.seed!r}, backend={backend!r}" in str(failure)
    assert failure.backend == backend
    assert 1 <= failure.run <= 100


@on_every_loop
@pytest.mark.parametrize("cancel", [False, True])
def test_its_seed_repeats_it_exactly(backend: str, cancel: bool) -> None:
    """Whatever else is said, since the seed is the schedule."""
    failure = failure_of(overdraw, runs=100, cancel=cancel, backend=backend)
    again = failure_of(overdraw, runs=1, seed=failure.seed, backend=backend)
    assert again.timeline == failure.timeline
    assert again.seed == failure.seed


@on_every_loop
@pytest.mark.parametrize("seed", range(5))
def test_a_schedule_is_made_short(backend: str, seed: int) -> None:
    """Of hundreds of steps in random order, what matters is that one task is late."""

    async def program() -> None:
        order: list[str] = []

        async def steps(name: str) -> None:
            for _ in range(20):
                await checkpoint()
                order.append(name)

        async with Group() as g:
            for name in "abc":
                g.go(steps, name)
        assert order.index("a") < order.index("c"), "c was first"

    failure = failure_of(program, runs=100, seed=seed, backend=backend)
    _, _, departures = failure.seed.partition("/")
    assert len(departures.split("-")) <= 2


@on_every_loop
def test_the_timeline_says_who_did_what_where(backend: str) -> None:
    """One row for each thing that happened, with the line of the program."""

    async def produce(ch: Channel[str]) -> None:
        await ch.send("a")
        await select(send(ch, "b"))
        ch.close()

    async def program() -> None:
        jobs: Channel[str] = Channel(name="jobs")
        async with Group() as g:
            g.go(produce, jobs)
            async for job in jobs:
                await anyio.sleep(1)
                assert job == "a"

    failure = failure_of(program, runs=1, seed="0/", backend=backend)
    assert [(moment.task, moment.what) for moment in failure.timeline] == [
        ("main", "jobs.receive() waits"),
        ("produce", "jobs.send('a')"),
        ("produce", "select(send(jobs, 'b')) waits"),
        ("main", "jobs.receive() -> 'a'"),
        ("main", "at: await anyio.sleep(1)"),
        ("main", "jobs.receive() -> 'b'"),
        ("main", "at: await anyio.sleep(1)"),
        ("produce", "select(send(jobs, 'b')) -> send(jobs, 'b')"),
        ("produce", "jobs.close()"),
        ("produce", "ends"),
        ("main", "at: async with Group() as g:"),
        ("main", "ends with ExceptionGroup"),
    ]
    assert {moment.where.partition(":")[0] for moment in failure.timeline} == {
        "test_explore.py",
        "",
    }


@on_every_loop
def test_a_cancellation_is_in_the_timeline(backend: str) -> None:
    """With what it struck."""
    failure = failure_of(
        three_waits_are_whole, runs=500, cancel=True, exhaustive=True, backend=backend
    )
    struck = [it for it in failure.timeline if it.what == "is cancelled by its scope"]
    assert [moment.task for moment in struck] == ["main"]
    assert struck[0].where


async def three_waits_are_whole() -> None:
    """Fail if something was cancelled."""
    assert await three_waits() == "none"


@on_every_loop
def test_tasks_of_one_name_are_numbered(backend: str) -> None:
    """In the order of their first steps."""
    failure = failure_of(overdraw, runs=100, backend=backend)
    assert {moment.task for moment in failure.timeline} == {
        "main",
        "withdraw",
        "withdraw #2",
    }


@on_every_loop
def test_a_deadlock_is_a_failure_that_names_who_waits(backend: str) -> None:
    """And where."""

    async def program() -> None:
        a, b = Channel[int](), Channel[int]()

        async def other() -> None:
            await b.send(1)
            await a.receive()

        async with Group() as g:
            g.go(other)
            await a.send(1)
            await b.receive()

    failure = failure_of(program, runs=1, backend=backend)
    assert isinstance(failure.__cause__, Deadlock)
    assert "main at test_explore.py:" in str(failure)
    assert "other at test_explore.py:" in str(failure)


def test_the_error_of_a_task_that_nobody_awaits_is_a_failure() -> None:
    """asyncio would have logged it."""

    async def fail() -> None:
        raise ValueError("unseen")

    async def program() -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(1)
        assert task.done()

    assert isinstance(failure_of(program, runs=1).__cause__, ValueError)


@on_every_loop
def test_a_program_that_is_not_repeatable_is_found_out(backend: str) -> None:
    """What an earlier run has left behind must not matter."""
    runs: Iterator[int] = iter(range(1000))

    async def program() -> None:
        assert next(runs) != 5

    assert "did not fail again" in str(failure_of(program, runs=10, backend=backend))


# Warnings


async def forgets_an_item() -> None:
    """Drop a channel with something in it."""
    ch: Channel[int] = Channel(1, name="jobs")
    ch.send_nowait(1)


@on_every_loop
def test_a_warning_is_passed_on_once(backend: str) -> None:
    """However many runs give it."""
    with pytest.warns(ResourceWarning, match="'jobs' was forgotten") as caught:
        explore(forgets_an_item, runs=10, backend=backend)
    assert len(caught) == 1


@on_every_loop
def test_a_warning_that_is_an_error_is_a_failure(backend: str) -> None:
    """With its schedule, as any other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        failure = failure_of(forgets_an_item, runs=10, backend=backend)
    assert isinstance(failure.__cause__, ResourceWarning)
    assert "did not fail again" not in str(failure)


@on_every_loop
def test_what_a_failing_run_leaves_behind_is_no_concern(backend: str) -> None:
    """Under this suite's filter a warning would fail the test."""

    async def program() -> None:
        ch: Channel[int] = Channel(1)
        tx = ch.sender()
        await tx.send(1)
        raise ValueError("before anything is closed")

    assert "before anything" in str(failure_of(program, runs=1, backend=backend))


@pytest.mark.anyio
async def test_it_cannot_be_called_in_a_running_loop() -> None:
    """Not even in one of another kind."""
    with pytest.raises(RuntimeError, match="call it from a plain function"):
        explore(overdraw, runs=1)
