"""core.async's tests of its pipelines.

Its `pipeline` is a `map` with a plain function, `pipeline-blocking` one in threads, and
`pipeline-async` a `flat_map`, as one item may give several results.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from csp import Channel, Pipeline, pipeline
from tests.semantics.patterns.pipelines import check_law

pytestmark = pytest.mark.anyio


def plain(n: int) -> int:
    return n


async def waiting(n: int) -> int:
    await checkpoint()
    return n


async def trickling(n: int) -> AsyncIterator[int]:
    await checkpoint()
    yield n


KINDS: dict[str, Callable[..., Pipeline[int]]] = {
    "plain": lambda p, **options: p.map(plain, **options),
    "blocking": lambda p, **options: p.map(
        partial(anyio.to_thread.run_sync, plain), **options
    ),
    "async": lambda p, **options: p.map(waiting, **options),
    "several": lambda p, **options: p.flat_map(trickling, **options),
}
SIZES = [(1, 0), (1, 10), (10, 10), (20, 10), (5, 1000)]


async def results_of(p: Pipeline[Any]) -> list[Any]:
    """Run a pipeline, and see that its figures add up."""
    reports: list[Any] = []
    block = p.open()
    async with block as results:
        reports.extend([result async for result in results])
    check_law(block.report)
    return reports


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("workers", "n"), SIZES)
async def test_output_is_as_input(kind: str, workers: int, n: int) -> None:
    """Of any size, and in order."""
    if kind == "blocking":
        n = min(n, 200)  # threads are slow
    ch: Channel[int] = Channel(n)
    await ch.send_many(range(n))
    ch.close()
    assert await results_of(KINDS[kind](pipeline(ch), workers=workers)) == [*range(n)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_chain_of_stages_keeps_the_order(kind: str) -> None:
    """Each receives the slots of the one before."""
    p = pipeline(range(100))
    for workers in (3, 1, 4):
        p = KINDS[kind](p, workers=workers)
    assert await results_of(p) == [*range(100)]


async def test_the_source_is_left_as_it_is() -> None:
    """A channel is neither closed nor broken when the pipeline ends early."""
    ch: Channel[int] = Channel(20)
    await ch.send_many(range(20))
    async with pipeline(ch, on_undelivered=lambda _: None).map(plain).open() as results:
        assert await results.receive() == 0
    assert not ch.closed
    await ch.send(20)
    rest = ch.drain()
    assert rest == [*range(rest[0], 21)]


async def test_an_error_handler_sees_what_fails() -> None:
    """The item it fails at has no result, and the others have theirs in order."""
    seen = []

    def fail_at_3(n: int) -> int:
        if n == 3:
            raise ValueError("three")
        return n

    async def handle(item: int, error: Exception) -> None:
        await checkpoint()
        seen.append((item, str(error)))

    p = pipeline([1, 2, 3, 4]).map(fail_at_3, workers=5, on_error=handle)
    assert await results_of(p) == [1, 2, 4]
    assert seen == [(3, "three")]


@pytest.mark.parametrize("workers", [1, 2, 4])
async def test_several_results_of_one_item_stay_together(workers: int) -> None:
    """In the order of their items, also where an item gives none."""

    async def multiply(n: int) -> AsyncIterator[int]:
        for i in range(n):
            await checkpoint()
            yield i

    p = pipeline(range(5)).flat_map(multiply, workers=workers)
    assert await results_of(p) == [0, 0, 1, 0, 1, 2, 0, 1, 2, 3]


@pytest.mark.clock
async def test_results_come_in_order_however_long_they_take() -> None:
    """And no sooner than that allows."""

    async def sleep(ms: int) -> int:
        await anyio.sleep(ms / 1000)
        return ms

    start, came = anyio.current_time(), []
    async with pipeline([2000, 50, 1000, 100]).map(sleep, workers=2).open() as results:
        came = [(ms, round(anyio.current_time() - start, 3)) async for ms in results]
    assert came == [(2000, 2.0), (50, 2.0), (1000, 2.0), (100, 2.0)]


async def test_it_computes() -> None:
    """Several plain functions one after the other."""

    def slowly(n: int) -> int:
        return sum([n, 1])

    p = pipeline(range(100)).map(slowly, workers=4).map(str).map(int, workers=4)
    assert await results_of(p) == [*range(1, 101)]


async def test_one_to_a_hundred() -> None:
    """Asynchronously, each incremented."""

    async def increment(n: int) -> list[int]:
        await checkpoint()
        return [n + 1]

    p = pipeline(range(1, 101)).flat_map(increment, workers=1)
    assert await results_of(p) == [*range(2, 102)]
