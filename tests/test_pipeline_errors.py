"""What pipelines do about errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import PipelineReport, pipeline
from tests.semantics.patterns.pipelines import check_law

pytestmark = pytest.mark.anyio


class Bad(Exception):
    """What a function raises at an item."""


class Fatal(BaseException):
    """What nobody handles."""


def same(item: Any) -> Any:
    return item


def fail_at(*items: Any) -> Any:
    """Make a function that raises at these items, and returns the others."""

    async def fn(item: Any) -> Any:
        await checkpoint()
        if item in items:
            raise Bad(item)
        return item

    return fn


VERBS: dict[str, Any] = {
    "map": lambda p, fn, **options: p.map(fn, **options).each(same),
    "filter": lambda p, fn, **options: p.filter(fn, **options).each(same),
    "flat_map": lambda p, fn, **options: p.flat_map(fn, **options).each(same),
    "each": lambda p, fn, **options: p.each(fn, **options),
}

WORDS = ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("workers", [1, 3])
async def test_an_error_stops_the_pipeline(verb: str, workers: int) -> None:
    """It comes out as it is, and says where it was and at which item."""
    reports: list[PipelineReport] = []
    p = pipeline((str(n) for n in count()), progress=reports.append)
    p = VERBS[verb](p, fail_at("5"), workers=workers, name="it")
    with pytest.raises(Bad, match="5") as caught:
        await p.run()
    check_law(reports[-1])
    assert caught.value.__notes__[0] == "in it, at the item '5'"
    assert "left at it: '5'" in caught.value.__notes__[1]
    assert (reports[-1].errors, reports[-1].skipped) == (1, 0)
    assert reports[-1].stages[0].failures == (("5", caught.value),)


async def test_what_is_behind_an_error_is_finished_and_the_rest_is_named() -> None:
    """A stage that fails takes no more, and those before it neither."""
    done: list[int] = []
    undelivered: list[int] = []
    p = pipeline(range(100), buffer=3, on_undelivered=undelivered.append)
    with pytest.raises(Bad) as caught:
        await p.map(same).map(fail_at(7)).map(same).each(done.append).run()
    assert done == [*range(7)]
    assert undelivered == [*range(7, 7 + len(undelivered))]
    assert 4 <= len(undelivered) <= 6  # one in each hand, and the buffer
    assert caught.value.__notes__[1].startswith("left at map fn: 7, 8, 9")


@pytest.mark.clock
async def test_what_others_have_in_hand_is_finished_all_the_same() -> None:
    """An error does not cut short what is under way."""
    done = []

    async def work(n: int) -> None:
        await anyio.sleep(n)
        if n == 1:
            raise Bad(n)
        done.append(n)

    with pytest.raises(Bad):
        await pipeline([1, 2, 3, 4, 5]).each(work, workers=3).run()
    assert done == [2, 3]


async def test_several_errors_come_in_a_group() -> None:
    """Each with its item."""
    gate = anyio.Event()

    async def work(n: int) -> None:
        if n == 2:
            gate.set()
        await gate.wait()
        raise Bad(n)

    with pytest.raises(ExceptionGroup) as caught:
        await pipeline(range(9)).each(work, workers=3).run()
    assert sorted(error.__notes__[0][-1] for error in caught.value.exceptions) == [
        "0",
        "1",
        "2",
    ]
    assert caught.value.__notes__[0].startswith("left at each work: ")


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_endless_flat_map_before_an_error_ends(workers: int) -> None:
    """Also one at its side, in another worker."""

    async def values(n: int) -> AsyncIterator[int]:
        for i in count():
            await checkpoint()
            yield i

    p = pipeline([0, 1, 2], on_undelivered=lambda _: None)
    with pytest.raises(Bad):
        await p.flat_map(values, workers=workers).each(fail_at(30)).run()

    async def values_or_error(n: int) -> AsyncIterator[int]:
        for i in count():
            await checkpoint()
            if (n, i) == (1, 10):
                raise Bad
            yield i

    p = pipeline([0, 1], buffer=20).flat_map(values_or_error, workers=2, ordered=False)
    with pytest.raises(Bad):
        await p.each(same).run()


async def test_long_items_are_not_named_in_full() -> None:
    """And of many only some."""
    with pytest.raises(Bad) as caught:
        await pipeline(["x" * 1000] * 40, buffer=30).each(fail_at("x" * 1000)).run()
    assert max(map(len, caught.value.__notes__)) < 200
    with pytest.raises(Bad) as caught:
        await pipeline(range(40), buffer=30).map(same).each(fail_at(0)).run()
    assert re.search(
        "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2. more", caught.value.__notes__[1]
    )


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("workers", [1, 3])
async def test_what_fails_can_be_skipped(verb: str, workers: int) -> None:
    """It is counted and named."""
    p = VERBS[verb](pipeline(WORDS), fail_at("two", "five"), on_error="skip")
    report = await p.run()
    check_law(report)
    assert report.items_in == 5
    assert (report.skipped, report.errors, report.undelivered) == (2, 2, {})
    failures = report.stages[0].failures
    assert sorted(failure.item for failure in failures) == ["five", "two"]
    assert all(isinstance(failure.error, Bad) for failure in failures)


async def test_only_the_first_hundred_failures_are_kept() -> None:
    """All are counted."""
    p = pipeline(range(500)).each(fail_at(*range(500)), on_error="skip")
    report = await p.run()
    assert (report.skipped, report.errors) == (500, 500)
    assert [item for item, _ in report.stages[0].failures] == [*range(100)]


@pytest.mark.parametrize("slow", [False, True])
async def test_errors_can_be_handled(slow: bool) -> None:
    """By a function, async or not, whose result is ignored; the item is skipped."""
    handled = []

    def handle(item: int, error: Exception) -> int:
        handled.append((item, str(error)))
        return 3

    async def handle_slowly(item: int, error: Exception) -> int:
        await checkpoint()
        return handle(item, error)

    on_error: Any = handle_slowly if slow else handle
    report = await pipeline(range(5)).each(fail_at(1, 3), on_error=on_error).run()
    check_law(report)
    assert handled == [(1, "1"), (3, "3")]
    assert (report.skipped, report.items_out) == (2, 3)


async def test_an_error_in_the_handler_stops_the_pipeline() -> None:
    """It has the first in its context."""

    def handle(item: int, error: Exception) -> None:
        raise KeyError(item) from error

    with pytest.raises(KeyError) as caught:
        await pipeline(range(5)).each(fail_at(3), on_error=handle).run()
    assert isinstance(caught.value.__cause__, Bad)
    assert caught.value.__notes__[0] == "in each fn, at the item 3"


async def test_a_flat_map_that_fails_half_way_has_made_something() -> None:
    """What came before the error has gone on, and the item counts as skipped."""

    def values(n: int) -> Iterator[int]:
        yield n
        yield n
        if n == 2:
            raise Bad
        yield n

    block = pipeline([1, 2, 3]).flat_map(values, on_error="skip").open()
    async with block as results:
        assert [n async for n in results] == [1, 1, 1, 2, 2, 3, 3, 3]
    check_law(block.report)
    assert (block.report.skipped, block.report.extra) == (1, 6)


async def test_an_error_in_closing_what_was_returned_comes_out() -> None:
    """With the one that was the reason to close it."""

    async def values(n: int) -> AsyncIterator[int]:
        try:
            for i in count():
                await checkpoint()
                yield i
        finally:
            raise OSError("while it was closed")

    def fail(n: int) -> None:
        raise Bad(n)

    with pytest.raises(ExceptionGroup) as caught:
        await pipeline(range(3)).flat_map(values).each(fail).run()
    bad, closing = caught.value.exceptions
    assert (type(bad), type(closing)) == (Bad, OSError)
    assert closing.__notes__ == [
        "in flat_map values, closing what the function returned"
    ]


async def test_a_flat_map_needs_something_to_iterate_over() -> None:
    """Else that is the item's error."""
    with pytest.raises(TypeError, match="'int' object is not iterable") as caught:
        await pipeline([1]).flat_map(same).each(same).run()
    assert caught.value.__notes__[0] == "in flat_map same, at the item 1"


async def test_a_filter_whose_answer_is_neither_true_nor_false() -> None:
    """That is the item's error too."""

    class Neither:
        def __bool__(self) -> bool:
            raise Bad

    report = (
        await pipeline([1])
        .filter(lambda _: Neither(), on_error="skip")
        .each(same)
        .run()
    )
    assert report.skipped == 1


@pytest.mark.parametrize("backend", ["asyncio"], indirect=True)
async def test_a_function_that_passes_on_a_cancellation_has_failed(
    backend: str,
) -> None:
    """On asyncio: that of what it waits for, and not its own."""

    async def fn(n: int) -> int:
        task = asyncio.ensure_future(asyncio.sleep(1))
        task.cancel()
        if n == 2:
            await task
        return n

    report = await pipeline(range(4)).each(fn, workers=2, on_error="skip").run()
    [failure] = report.stages[0].failures
    assert failure.item == 2
    assert isinstance(failure.error, anyio.TaskCancelled)
    with pytest.raises(anyio.TaskCancelled) as caught:
        await pipeline(range(4)).each(fn).run()
    assert caught.value.__notes__[0] == "in each fn, at the item 2"


async def test_what_nobody_handles_ends_it_all() -> None:
    """What was on its way is accounted for."""
    undelivered: list[int] = []

    async def fn(n: int) -> None:
        if n == 3:
            await parked()
            raise Fatal
        await anyio.sleep_forever()

    p = pipeline(range(9), buffer=2, on_undelivered=undelivered.append).map(same)
    with pytest.raises(BaseExceptionGroup) as caught:
        await p.each(fn, workers=4).run()
    matching, others = caught.value.split(Fatal)
    assert matching is not None
    assert others is None
    assert sorted(undelivered) == [*range(7)]
