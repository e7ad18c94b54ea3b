"""How pipelines end before their time: stopped, cut, cancelled, or left."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from itertools import count
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

import csp
from csp import Channel, Group, PipelineReport, Undelivered, pipeline, stop_scope
from tests.semantics.patterns.pipelines import check_law

ON_ASYNCIO = ["asyncio", *(["asyncio+uvloop"] if find_spec("uvloop") else [])]

pytestmark = pytest.mark.anyio


class Bad(Exception):
    """An error of the block."""


def same(item: Any) -> Any:
    return item


async def tenth(item: Any) -> Any:
    """Take a tenth of a second."""
    await anyio.sleep(0.1)
    return item


async def numbers() -> AsyncIterator[int]:
    for n in count():
        await anyio.sleep(0.01)
        yield n


async def feed(tx: csp.Sender[int]) -> None:
    with tx:
        for n in count():
            await tx.send(n)


SOURCES: dict[str, Callable[[], Any]] = {"iterable": count, "async iterable": numbers}


async def request_after(stop: Any, seconds: float) -> None:
    await anyio.sleep(seconds)
    stop.request()


# Stop requests


@pytest.mark.clock
@pytest.mark.parametrize("source", SOURCES)
async def test_on_a_stop_request_the_source_ends_and_the_stages_drain(source) -> None:
    """Everything that was taken comes out, in order."""
    out: list[list[int]] = []
    p = pipeline(SOURCES[source](), buffer=3).map(tenth, workers=4).map(same).batch(4)
    async with stop_scope() as stop, Group() as g:
        g.go(request_after, stop, 1.05)
        report = await p.each(out.append).run()
    check_law(report)
    items = [item for batch in out for item in batch]
    assert items == [*range(report.items_in)]
    assert len(items) >= 40
    assert (report.undelivered, report.stopped) == ({}, True)
    assert report.seconds < 2


@pytest.mark.clock
async def test_a_channel_is_left_to_its_sender_on_a_stop_request() -> None:
    """What was not taken from it is still there."""
    out: list[int] = []
    ch: Channel[int] = Channel(5)
    async with stop_scope() as stop, Group() as g:
        feeding = g.go(feed, ch.sender())
        g.go(request_after, stop, 1.05)
        report = await pipeline(ch).map(tenth, workers=2).each(out.append).run()
        assert out == [*range(report.items_in)]
        assert not ch.closed
        assert await ch.receive() == report.items_in
        feeding.cancel()
        await csp.done(feeding)
        assert ch.drain()[0] == report.items_in + 1


async def test_a_wait_for_the_source_ends_on_a_stop_request() -> None:
    """Of whatever kind it is; an async generator is closed."""
    closed = []

    async def silent() -> AsyncIterator[int]:
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            closed.append(True)

    ch: Channel[int] = Channel(1)
    await ch.send(1)
    sources: list[Any] = [ch, silent()]
    for source in sources:
        async with stop_scope() as stop, Group() as g:
            running = g.go(pipeline(source).map(same, workers=2).each(same).run)
            await parked()
            stop.request()
            assert (await running).items_out == 1
    assert closed == [True]


async def test_a_generator_that_is_not_waited_for_ends_in_peace() -> None:
    """On a stop request while there is no room for its last item."""
    ended = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for n in count():
                yield n
        finally:
            await checkpoint()
            ended.append(n)

    gate = anyio.Event()
    done: list[int] = []

    async def sink(n: int) -> None:
        await gate.wait()
        done.append(n)

    async with stop_scope() as stop, Group() as g:
        g.go(pipeline(numbers(), buffer=1).each(sink).run)
        await parked()
        stop.request()
        await parked()
        gate.set()
    assert done == [0, 1, 2]
    assert ended == [2]


async def test_a_pipeline_that_begins_after_the_request_takes_little() -> None:
    """And ends at once."""
    async with stop_scope() as stop:
        stop.request()
        with anyio.fail_after(5):
            report = await pipeline(count()).each(same).run()
    assert report.stopped
    check_law(report)


async def test_a_request_changes_nothing_for_a_source_that_has_ended() -> None:
    """It was asked to stop all the same."""
    gate = anyio.Event()

    async def wait(_: int) -> None:
        await gate.wait()

    async with stop_scope() as stop, Group() as g:
        running = g.go(pipeline(range(5)).each(wait).run)
        await parked()
        stop.request()
        await parked()
        gate.set()
        report = await running
    assert (report.items_in, report.items_out, report.stopped) == (1, 1, True)


@pytest.mark.clock
@pytest.mark.parametrize(
    ("scope", "own", "seconds"),
    [
        pytest.param(25, None, 23, id="two seconds before the scope"),
        pytest.param(3, None, 1.5, id="half of a short time"),
        pytest.param(25, 5, 5, id="as it was told"),
        pytest.param(25, 50, 23, id="not after the scope"),
        pytest.param(25, 0, 0, id="at once"),
    ],
)
async def test_what_still_runs_at_the_end_of_grace_is_cut(
    scope: float, own: float | None, seconds: float
) -> None:
    """In time to report it: the scope has nothing left to name."""
    start = anyio.current_time()
    async with stop_scope(scope) as stop, Group() as g:
        g.go(request_after, stop, 0)
        p = pipeline(count(), buffer=2, grace=own).map(same, name="first")
        report = await p.each(lambda _: anyio.sleep_forever(), name="last").run()
    assert anyio.current_time() - start == pytest.approx(seconds, abs=0.01)
    check_law(report)
    left = [*report.undelivered["last"], *report.undelivered.get("first", ())]
    assert left == [*range(report.items_in)]
    assert report.stopped


@pytest.mark.clock
async def test_the_scope_around_cuts_if_it_must() -> None:
    """Then nothing can be returned, and the scope names what was on its way."""
    with pytest.raises(Undelivered) as caught:
        async with stop_scope() as stop, Group() as g:
            p = pipeline(count(), buffer=2).map(same, name="first")
            g.go(p.each(lambda _: anyio.sleep_forever(), name="last").run)
            await parked()
            stop.cut()
    assert [*caught.value.left] == [("last", [0, 1, 2, 3])]
    assert "last" in caught.value.cut


@pytest.mark.clock
async def test_an_outer_scope_with_less_time_counts() -> None:
    """The report is there before that cuts."""
    start = anyio.current_time()
    async with stop_scope(10) as stop, stop_scope(100), Group() as g:
        g.go(request_after, stop, 0)
        report = await pipeline(count()).each(lambda _: anyio.sleep_forever()).run()
        assert len(report.undelivered) == 1
    assert anyio.current_time() - start == pytest.approx(8, abs=0.01)


async def test_what_is_cut_goes_to_on_undelivered() -> None:
    """Each item once, and the scope has nothing to name."""
    undelivered: list[int] = []
    p = pipeline(range(100), buffer=2, on_undelivered=undelivered.append).map(same)
    with pytest.raises(Undelivered) as caught:
        async with stop_scope() as stop, Group() as g:
            g.go(p.each(lambda _: anyio.sleep_forever()).run)
            await parked()
            stop.cut()
    assert caught.value.left == ()
    assert undelivered == [0, 1, 2, 3]


# Cancellation


@pytest.mark.clock
@pytest.mark.parametrize("workers", [1, 3])
async def test_a_cancelled_pipeline_accounts_for_its_items(workers: int) -> None:
    """In the scope around it, which names what was in any hand or line."""
    reports: list[PipelineReport] = []
    p = pipeline(count(), buffer=2, progress=reports.append).map(tenth, workers=workers)
    with pytest.raises(Undelivered) as caught:
        async with stop_scope():
            with anyio.move_on_after(1.05):
                await p.each(tenth).run()
    check_law(reports[-1])
    named = {left.channel: tuple(left.items) for left in caught.value.left}
    assert named == reports[-1].undelivered
    assert caught.value.cut == ()


@pytest.mark.parametrize("backend", ON_ASYNCIO, indirect=True)
async def test_a_native_cancellation_is_no_different(backend: str) -> None:
    """And it comes out as what it is."""
    undelivered: list[int] = []
    p = pipeline(count(), buffer=2, on_undelivered=undelivered.append).map(same)
    task = asyncio.ensure_future(p.each(lambda _: anyio.sleep_forever()).run())
    await parked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undelivered == [0, 1, 2, 3]


@pytest.mark.parametrize("backend", ON_ASYNCIO, indirect=True)
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_worker_that_somebody_cancels_is_an_error(
    backend: str, workers: int
) -> None:
    """The rest is cancelled then, as in any group, but nothing is lost."""
    undelivered: list[int] = []
    tasks = []

    def note(n: int) -> int:
        tasks.append(asyncio.current_task())
        return n

    ch: Channel[int] = Channel(9)
    ch.send_nowait(0)
    p = pipeline(ch, on_undelivered=undelivered.append).map(same)
    p = p.map(note, workers=workers)
    async with Group() as g:

        async def run() -> None:
            with pytest.raises(
                anyio.TaskCancelled, match="a task of map note was cancelled"
            ):
                await p.each(same).run()

        g.go(run)
        await parked()
        tasks[0].cancel()
    assert not undelivered


async def test_without_a_scope_a_warning_tells_of_what_is_lost() -> None:
    """As of what is left in any channel."""
    p = pipeline(count(), buffer=2).map(same).each(lambda _: anyio.sleep_forever())
    with pytest.warns(ResourceWarning, match="'each <lambda>' was forgotten with 4"):
        async with Group() as g:
            g.go(p.run)
            await parked()
            g.cancel()
        gc.collect()


async def test_an_error_is_not_lost_in_a_cancellation() -> None:
    """It comes out in its place."""

    async def fail_at_2(n: int) -> int:
        if n == 2:
            raise Bad
        return n

    p = pipeline([1, 2]).map(fail_at_2).each(lambda _: anyio.sleep_forever())
    with pytest.raises(ExceptionGroup) as caught:
        async with Group() as g:
            g.go(p.run)
            await parked()
            g.cancel()
    [error] = caught.value.exceptions
    assert error.__notes__ == [
        "in map fail_at_2, at the item 2",
        "left at map fail_at_2: 2",
        "left at each <lambda>: 1",
    ]


# Open blocks


async def test_leaving_cancels_what_still_runs() -> None:
    """And accounts for it."""
    undelivered: list[int] = []
    cancelled = []

    async def work(n: int) -> int:
        try:
            if n > 2:
                await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.append(n)
            raise
        return n

    block = pipeline(range(9), on_undelivered=undelivered.append).map(work, workers=3)
    opened = block.open()
    async with opened as results:
        assert await results.receive() == 0
        await parked()
    assert sorted(cancelled) == [3, 4, 5]
    assert sorted(undelivered) == [1, 2, 3, 4, 5]
    check_law(opened.report)
    assert opened.report.items_out == 1
    assert opened.report.undelivered["results"] == (1, 2)


async def test_what_is_left_is_in_the_books_of_the_scope() -> None:
    """Unless somebody else was told."""
    with pytest.raises(Undelivered) as caught:
        async with stop_scope(), pipeline(range(9), buffer=2).open() as results:
            await parked()
            assert await results.receive() == 0
    assert dict(caught.value.left)["results"][:2] == [1, 2]


async def test_the_error_of_the_block_comes_out_as_it_is() -> None:
    """Alone, and not in a group."""
    p = pipeline(count(), on_undelivered=same).map(tenth, workers=2)
    with pytest.raises(Bad, match="in the block"):
        async with p.open():
            raise Bad("in the block")


async def test_an_error_of_a_stage_comes_out_at_the_end_of_the_block() -> None:
    """The results before it can be received."""

    def fail_at_3(n: int) -> int:
        if n == 3:
            raise Bad("in a stage")
        return n

    p = pipeline(range(9), on_undelivered=same).map(fail_at_3)
    received = []
    with pytest.raises(Bad, match="in a stage") as caught:
        async with p.open() as results:
            received += [n async for n in results]
    assert received == [0, 1, 2]
    assert caught.value.__notes__[0] == "in map fail_at_3, at the item 3"
    with pytest.raises(ExceptionGroup) as both:
        async with p.open() as results:
            assert [n async for n in results] == [0, 1, 2]
            raise Bad("in the block")
    assert [str(e) for e in both.value.exceptions] == ["in the block", "in a stage"]


async def test_closing_the_results_ends_the_pipeline() -> None:
    """What was on its way is accounted for, also what is in hand."""
    undelivered: list[int] = []
    ended = anyio.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            for n in count():
                await checkpoint()
                yield n
        finally:
            ended.set()

    block = (
        pipeline(numbers(), buffer=2, on_undelivered=undelivered.append)
        .map(same, workers=2)
        .flat_map(lambda n: [n], workers=2)
        .open()
    )
    async with block as results:
        assert await results.receive() == 0
        results.close()
        with anyio.fail_after(10):
            await ended.wait()
    check_law(block.report)
    assert sorted(undelivered) == [*range(1, block.report.items_in)]


async def test_a_block_that_is_stopped_gives_what_is_on_its_way() -> None:
    """The results end when that is received."""
    async with stop_scope() as stop:
        block = pipeline(count(), buffer=3).map(same, workers=2).open()
        async with block as results:
            assert await results.receive() == 0
            stop.request()
            rest = [n async for n in results]
    assert rest == [*range(1, block.report.items_in)]
    assert block.report.stopped


# Groups


async def test_tasks_of_the_block_are_not_the_pipelines() -> None:
    """What the block starts with go outlives the pipeline."""
    gate = anyio.Event()
    async with Group() as g:
        async with pipeline([1]).open() as results:
            handle = csp.go(gate.wait)
            assert await results.receive() == 1
        assert not handle.finished
        gate.set()
    assert handle.finished
    assert repr(g) == "<Group closed>"


async def test_tasks_of_a_function_are_the_pipelines() -> None:
    """It waits for them."""
    ended = []

    async def work(n: int) -> None:
        await checkpoint()
        ended.append(n)

    await pipeline(range(5)).each(lambda n: csp.go(work, n) and None).run()
    assert sorted(ended) == [*range(5)]
