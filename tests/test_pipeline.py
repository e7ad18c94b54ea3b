"""Pipelines: their verbs, their sources, and the mistakes that one can make."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

import csp
from csp import Channel, ChannelClosed, Group, Pipeline, pipeline
from tests.semantics.patterns.pipelines import check_law

pytestmark = pytest.mark.anyio


def double(n: int) -> int:
    return 2 * n


async def slow_double(n: int) -> int:
    await checkpoint()
    return 2 * n


def is_even(n: int) -> bool:
    return n % 2 == 0


async def results_of(p: Pipeline[Any]) -> list[Any]:
    """Run a pipeline, and see that its figures add up."""
    block = p.open()
    async with block as results:
        received = [result async for result in results]
    check_law(block.report)
    assert block.report.items_out == len(received)
    return received


class Running:
    """Counts how many calls of a function run at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __call__(self, item: Any) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(3):
            await checkpoint()
        self.now -= 1
        return item


# Verbs


@pytest.mark.parametrize(
    "fn",
    [double, slow_double, lambda n: slow_double(n + 0), partial(slow_double)],
    ids=["plain", "async", "returns an awaitable", "partial"],
)
async def test_functions_may_be_async_or_not(fn: Callable[[int], Any]) -> None:
    """Also those of which only what they return tells."""
    assert await results_of(pipeline(range(5)).map(fn)) == [0, 2, 4, 6, 8]


async def test_an_operation_that_a_function_returns_is_awaited() -> None:
    """As is everything that can be."""
    ch: Channel[int] = Channel(3)
    await ch.send_many([1, 2, 3])
    p = pipeline(range(3)).map(lambda _: csp.recv(ch))
    assert await results_of(p) == [1, 2, 3]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("verb", ["map", "filter"])
async def test_so_many_workers_run_at_once(
    verb: str, ordered: bool, workers: int
) -> None:
    """No more, and no fewer while there is something to do."""
    running = Running()
    p = getattr(pipeline(range(1, 31)), verb)(running, workers=workers, ordered=ordered)
    assert sorted(await results_of(p)) == [*range(1, 31)]
    assert running.most == workers


async def test_each_runs_so_many_at_once() -> None:
    """It ends when all have ended."""
    running = Running()
    await pipeline(range(30)).each(running, workers=4).run()
    assert (running.most, running.now) == (4, 0)


async def test_filter_keeps_what_the_function_likes() -> None:
    """Itself, not what the function returns."""

    async def slow(n: int) -> bool:
        await checkpoint()
        return is_even(n)

    block = pipeline(range(6)).filter(slow, workers=2).filter(lambda n: n).open()
    async with block as results:
        assert [n async for n in results] == [2, 4]
    assert [stage.filtered for stage in block.report.stages] == [3, 1]
    assert block.report.filtered == 4


async def letters(n: int) -> AsyncIterator[str]:
    for i in range(n):
        await checkpoint()
        yield "abc"[i]


class Letters:
    """An async iterable that is no generator."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __aiter__(self) -> AsyncIterator[str]:
        return letters(self.n)


async def later(values: Any) -> Any:
    await checkpoint()
    return values


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    "fn",
    [
        lambda n: "abc"[:n],
        lambda n: iter("abc"[:n]),
        letters,
        Letters,
        lambda n: later("abc"[:n]),
        lambda n: later(letters(n)),
    ],
    ids=["sequence", "iterator", "generator", "iterable", "async", "async generator"],
)
async def test_flat_map_gives_all_there_is(fn: Any, workers: int) -> None:
    """Of whatever kind, in order."""
    p = pipeline([2, 0, 3, 1]).flat_map(fn, workers=workers)
    assert "".join(await results_of(p)) == "ababca"


@pytest.mark.parametrize("ordered", [True, False])
async def test_flat_map_reads_so_many_at_once(ordered: bool) -> None:
    """So an async generator that waits does not hold up the others."""
    running = Running()

    async def values(n: int) -> AsyncIterator[int]:
        for i in range(3):
            yield await running((n, i))

    p = pipeline(range(10)).flat_map(values, workers=3, ordered=ordered)
    expected = [(n, i) for n in range(10) for i in range(3)]
    received = await results_of(p)
    assert sorted(received) == expected
    assert not ordered or received == expected
    assert running.most == 3


async def test_flat_map_counts_what_it_has_made() -> None:
    """More or fewer than what it was given."""
    block = pipeline([2, 0, 3]).flat_map(range).open()
    async with block as results:
        assert [n async for n in results] == [0, 1, 0, 1, 2]
    assert (block.report.items_in, block.report.items_out) == (3, 5)
    assert block.report.extra == block.report.stages[0].extra == 2


@pytest.mark.parametrize("n", [1, 3, 4, 10, 99])
async def test_batch_gives_lists(n: int) -> None:
    """All of the same length but the last."""
    p = pipeline(range(10)).batch(n)
    assert await results_of(p) == [[*range(10)[i : i + n]] for i in range(0, 10, n)]


async def test_nothing_makes_no_batch() -> None:
    """Not an empty one either."""
    assert await results_of(pipeline([]).batch(3)) == []


async def at_times(*times: float) -> AsyncIterator[float]:
    start = anyio.current_time()
    for time in times:
        await anyio.sleep_until(start + time)
        yield time


@pytest.mark.clock
@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_a_batch_waits_no_longer_than_it_was_told(workers: int) -> None:
    """From its first item on; whatever comes before the batch."""
    p: Pipeline[float] = pipeline(at_times(0, 0.2, 0.6, 5.0, 5.1, 5.15, 5.2, 9.0))
    if workers:
        p = p.map(lambda time: time, workers=workers)
    start, came = anyio.current_time(), []
    async with p.batch(3, within=0.5).open() as results:
        came = [
            (round(anyio.current_time() - start, 3), batch) async for batch in results
        ]
    assert came == [
        (0.5, [0, 0.2]),
        (1.1, [0.6]),
        (5.15, [5.0, 5.1, 5.15]),
        (5.7, [5.2]),
        (9.0, [9.0]),
    ]


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_slow_stage_makes_those_before_it_wait(ordered: bool) -> None:
    """The source is read so far ahead, and no further."""
    taken = []

    def source() -> Iterator[int]:
        for n in range(100):
            taken.append(n)
            yield n

    gate: Channel[None] = Channel()

    async def sink(n: int) -> None:
        await gate.receive()

    p = pipeline(source(), buffer=2).map(double).map(double, workers=2, ordered=ordered)
    async with Group() as g:
        g.go(p.each(sink).run)
        await parked()
        # In hand 1 + 2 + 1, and between them 2 + 2.  To be in order there are as many
        # places as workers, the mover has one more, and one worker waits for its turn.
        assert len(taken) == (10 if ordered else 8)
        for _ in range(100):
            await gate.send(None)
    assert len(taken) == 100


async def test_a_buffer_of_none_is_a_rendezvous() -> None:
    """It works with all verbs."""
    p = pipeline(range(20), buffer=0).map(double, workers=2).filter(is_even, workers=2)
    p = p.flat_map(lambda n: [n, n], workers=2).batch(3).flat_map(lambda batch: batch)
    assert await results_of(p) == [2 * (n // 2) for n in range(40)]


async def test_a_buffer_of_its_own() -> None:
    """Behind the stage to which it was given; it may have no limit."""
    taken = []
    p = pipeline(range(100), buffer=0).map(taken.append, buffer=math.inf)
    async with p.open() as results:
        await parked()
        assert len(taken) == 100
        assert len([result async for result in results]) == 100


async def test_a_pipeline_is_a_description() -> None:
    """A verb leaves it as it was, and it can be run again."""
    p = pipeline(range(3))
    doubled, even = p.map(double), p.filter(is_even)
    for _ in range(2):
        assert await results_of(p) == [0, 1, 2]
        assert await results_of(doubled) == [0, 2, 4]
        assert await results_of(even) == [0, 2]


async def test_stages_have_names() -> None:
    """Those of their functions, told apart; or those that they are given."""
    p = pipeline([1]).map(double).map(double).map(partial(double)).map(lambda n: [n])
    p = p.flat_map(iter, name="open").batch(2).each(print, name="results")
    names = ["map double", "map double (2)", "map partial", "map <lambda>", "open"]
    report = await p.run()
    assert [stage.name for stage in report.stages] == [
        *names,
        "batch 2",
        "results (2)",
    ]
    assert repr(pipeline([1]).map(double)) == "<Pipeline of [1] > map double>"


# Sources


async def trickle(n: int) -> AsyncIterator[int]:
    for i in range(n):
        await checkpoint()
        yield i


class Numbers:
    """An async iterable that is no generator."""

    def __aiter__(self) -> AsyncIterator[int]:
        return trickle(10)


def closed_channel() -> Channel[int]:
    ch: Channel[int] = Channel(10)
    for n in range(10):
        ch.send_nowait(n)
    ch.close()
    return ch


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    "source",
    [
        lambda: range(10),
        lambda: iter(range(10)),
        lambda: (n for n in range(10)),
        lambda: trickle(10),
        Numbers,
        closed_channel,
    ],
    ids=["sequence", "iterator", "generator", "async generator", "async", "channel"],
)
async def test_items_come_out_of_any_source(
    source: Callable[[], Any], ordered: bool, workers: int
) -> None:
    """All of them, and in order if that is asked for."""
    p = pipeline(source()).map(slow_double, workers=workers, ordered=ordered)
    received = await results_of(p)
    assert sorted(received) == [*range(0, 20, 2)]
    assert received == sorted(received) or not ordered
    p = pipeline(source())
    assert await results_of(p.batch(3, within=1)) == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
        [9],
    ]


async def test_a_receiver_is_a_source_and_stays_open() -> None:
    """Who opened it closes it."""
    ch: Channel[int] = Channel(3)
    with ch.receiver() as rx:
        async with Group() as g, ch.sender() as tx:
            handle = g.go(pipeline(rx).map(double).each(double).run)
            await tx.send_many([1, 2, 3])
            tx.close()
            assert (await handle).items_in == 3
        assert not rx.closed


async def test_a_closed_receiver_is_an_error() -> None:
    """And not a source in which there is nothing."""
    ch: Channel[int] = Channel()
    rx = ch.receiver()
    rx.close()
    with pytest.raises(ChannelClosed, match="is closed") as caught:
        await pipeline(rx).each(print).run()
    assert caught.value.__notes__ == ["in the source of the pipeline"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", ["plain", "async", "made"])
async def test_an_error_in_the_source_comes_out(kind: str, workers: int) -> None:
    """What came before it is finished."""

    def fail() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("no more")

    async def fail_slowly() -> AsyncIterator[int]:
        for n in fail():
            await checkpoint()
            yield n

    class Failing:
        def __aiter__(self) -> AsyncIterator[int]:
            return fail_slowly()

    source: Any = {"plain": fail, "async": fail_slowly, "made": Failing}[kind]()
    done: list[int] = []
    with pytest.raises(OSError, match="no more") as caught:
        await pipeline(source).map(slow_double, workers=workers).each(done.append).run()
    assert done == [2, 4]
    assert caught.value.__notes__ == ["in the source of the pipeline"]


async def test_a_source_that_has_ended_is_not_asked_again() -> None:
    """Also if others of its workers wait, and there were more to come."""

    class Interrupted(Iterator[int]):
        asked = 0

        def __next__(self) -> int:
            self.asked += 1
            if self.asked == 3:
                raise StopIteration
            return self.asked

    source = Interrupted()
    assert await results_of(pipeline(source).map(double, workers=3)) == [2, 4]
    assert source.asked == 3


async def test_workers_in_order_wait_for_their_turn_at_any_moment() -> None:
    """Also if the loop has to have its turn just then."""
    p = pipeline(range(10)).map(double, workers=4).flat_map(lambda n: [n], workers=4)
    for _ in range(100):
        with anyio.fail_after(10):
            assert await results_of(p) == [*range(0, 20, 2)]


async def test_a_source_that_has_failed_is_not_asked_again() -> None:
    """Also if it could go on."""

    class Failing(Iterator[int]):
        asked = 0

        def __next__(self) -> int:
            self.asked += 1
            if self.asked == 3:
                raise OSError("once")
            if self.asked == 9:
                raise StopIteration
            return self.asked

    source = Failing()
    with pytest.raises(OSError, match="once"):
        await pipeline(source).each(slow_double, workers=3).run()
    assert source.asked == 3


@pytest.mark.parametrize("made", [False, True])
async def test_an_async_generator_is_closed(made: bool) -> None:
    """Also the one that an iterable has made; in the task that has read it."""
    closed = []

    async def numbers() -> AsyncIterator[int]:
        try:
            with anyio.CancelScope():
                for n in range(1000):
                    yield n
        finally:
            closed.append(True)

    class Iterable:
        def __aiter__(self) -> AsyncIterator[int]:
            return numbers()

    p = pipeline(Iterable() if made else numbers(), on_undelivered=lambda _: None)
    async with p.map(double).open() as results:
        assert await results.receive() == 0
    assert closed == [True]


# Mistakes


async def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pipeline(3), "not 3"),
        (lambda: pipeline(Channel().sender), "not <bound method"),
        (lambda: pipeline(pipeline([])), "async with p.open\\(\\) as results"),
        (lambda: pipeline([], buffer=1.5), "buffer must be a whole number.*not 1.5"),
        (lambda: pipeline([], buffer=True), "buffer must be a whole number"),
        (lambda: pipeline([], grace="1"), "grace must be a number of seconds, not '1'"),
        (lambda: pipeline([], on_undelivered=1), "a function of one item, not 1"),
        (lambda: pipeline([], progress=1), "'rich', 'lines' or a function.*not 1"),
        (lambda: pipeline([], progress=nothing), "not async"),
        (lambda: pipeline([]).map(1), "map takes a function of one item, not 1"),
        (
            lambda: pipeline([]).map(nothing()),
            "not a coroutine.*write map\\(nothing\\)",
        ),
        (lambda: pipeline([]).filter(print, workers=2.0), "workers must be .*not 2.0"),
        (lambda: pipeline([]).batch("3"), "n must be a whole number, not '3'"),
        (
            lambda: pipeline([]).batch(3, within="1"),
            "within must be a number of seconds",
        ),
        (lambda: pipeline([]).map(double, name=3), "name must be a string, not 3"),
        (lambda: pipeline([]).each(print).map(double), "nothing can follow each"),
        (lambda: pipeline([]).each(print).open(), "Write: await p.run\\(\\)"),
        (lambda: [*pipeline([])], "async with p.open\\(\\) as results: async for"),
        (
            lambda: [*pipeline([]).open()],
            "async with p.open\\(\\) as results: async for",
        ),
        (lambda: aiter(pipeline([])), "async with p.open\\(\\) as results: async for"),
        (
            lambda: aiter(pipeline([]).open()),
            "async with p.open\\(\\) as results: async",
        ),
    ],
)
async def test_what_makes_no_sense_is_a_type_error(make: Any, message: str) -> None:
    """At once, with what to write instead."""
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pipeline([], buffer=-1), "buffer must be 0 or more, not -1"),
        (lambda: pipeline([], grace=-1), "grace must be 0 seconds or more, not -1"),
        (lambda: pipeline([], grace=math.nan), "grace must be 0 seconds or more"),
        (
            lambda: pipeline([]).map(double, workers=0),
            "workers must be 1 or more, not 0",
        ),
        (
            lambda: pipeline([]).map(double, buffer=-2),
            "buffer must be 0 or more, not -2",
        ),
        (lambda: pipeline([]).map(double, on_error="go"), "'stop', 'skip'.*not 'go'"),
        (lambda: pipeline([]).batch(0), "n must be 1 or more, not 0"),
        (lambda: pipeline([]).batch(2, within=-1), "within must be 0 seconds or more"),
    ],
)
async def test_what_is_out_of_range_is_a_value_error(make: Any, message: str) -> None:
    """With the value."""
    with pytest.raises(ValueError, match=message):
        make()


async def test_running_needs_an_end() -> None:
    """What comes out must go somewhere."""
    with pytest.raises(TypeError, match="each.*or receive it: async with p.open"):
        await pipeline([1]).map(double).run()


async def test_a_block_can_be_used_once() -> None:
    """The pipeline can be opened again."""
    p = pipeline([1])
    block = p.open()
    async with block as results:
        assert await results.receive() == 1
    with pytest.raises(RuntimeError, match="open the pipeline again"):
        async with block:
            pass
    assert await results_of(p) == [1]
