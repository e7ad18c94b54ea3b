"""Operations on whole channels, after core.async's tests of split, merge and mult."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import Broadcast, Channel, Group, Receiver, merge, split

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def feed(ch: Channel[T], items: Iterable[T]) -> None:
    """Send all and close."""
    await ch.send_many(items)
    ch.close()


async def into(items: list[T], rx: Receiver[T]) -> None:
    """Put all that comes into a list."""
    with rx:
        async for item in rx:
            items.append(item)  # noqa: PERF401 - they are looked at meanwhile


@pytest.mark.parametrize("capacity", [0, 1, 100])
async def test_merge_keeps_all_items(capacity: int) -> None:
    """As often as each was sent, and each source's in order."""
    counts = {0: 4, 1: 4, 2: 4, 3: 4}
    sources = [Channel[int](capacity) for _ in range(4)]
    async with Group() as g, merge(*sources) as rx:
        for ch in sources:
            g.go(feed, ch, range(4))
        assert Counter([n async for n in rx]) == counts


async def test_merge_of_none_is_at_its_end() -> None:
    """At once."""
    async with merge() as rx:
        assert [item async for item in rx] == []


@pytest.mark.parametrize("n", [2, 64, 2048])
async def test_merge_of_many(n: int) -> None:
    """There is no limit to them."""
    sources = [Channel[int]() for _ in range(n)]
    async with merge(*sources) as rx, Group() as g:
        got: list[int] = []
        reading = g.go(into, got, rx)
        await parked()
        for i, ch in enumerate(sources):
            g.go(feed, ch, [i])
        await reading
    assert sorted(got) == list(range(n))


async def test_split_sends_each_item_one_way() -> None:
    """Both ways together have all of them."""
    ch, ways = Channel[int](), [list[int](), list[int]()]
    async with Group() as g, split(ch, 2) as receivers:
        for items, rx in zip(ways, receivers, strict=True):
            g.go(into, items, rx)
        await feed(ch, range(100))
        await parked()
    assert sorted(ways[0] + ways[1]) == list(range(100))
    assert ways[0] == sorted(ways[0])
    assert ways[1] == sorted(ways[1])


async def test_mult_with_two_taps() -> None:
    """Both have all."""
    b, ways = Broadcast[int](), [list[int](), list[int]()]
    async with Group() as g:
        for items in ways:
            g.go(into, items, b.subscribe(1))
        await b.send_many(range(4))
        b.close()
    assert ways == [[0, 1, 2, 3]] * 2


async def test_a_tap_that_closes_does_not_block_the_others() -> None:
    """ASYNC-127: neither when it is full nor later."""
    b, items = Broadcast[int](), list[int]()
    async with Group() as g:
        quits = b.subscribe(1)
        g.go(into, items, b.subscribe(1))
        sending = g.go(b.send_many, range(5))
        await parked()
        assert items == [0]  # all wait for the one that does not read
        quits.close()
        await sending
        b.close()
    assert items == [0, 1, 2, 3, 4]


async def test_a_mult_is_in_lock_step() -> None:
    """Nobody is further ahead of the slowest than the slowest's buffer."""
    b, quick = Broadcast[int](), list[int]()
    async with Group() as g:
        with b.subscribe(2) as slow:
            g.go(into, quick, b.subscribe(9))
            g.go(b.send_many, range(6))
            for n in range(4):
                await parked()
                assert quick == list(range(n + 2))
                assert await slow.receive() == n
            await parked()
        b.close()
    assert quick == list(range(6))
