"""Receiving in a loop, until the end or until enough.

After crossbeam-channel's iter.rs, and the loops in its other files.
"""

from __future__ import annotations

import math

import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import Channel, ChannelBroken, Group, Sender, WouldBlock

pytestmark = pytest.mark.anyio

each_flavor = pytest.mark.parametrize("capacity", [0, 1, math.inf])


@each_flavor
async def test_a_loop_ends_with_its_channel(capacity: float) -> None:
    """And a loop within it hands on the sum."""
    ch: Channel[int] = Channel(capacity)
    total: Channel[int] = Channel(capacity)

    async def add() -> None:
        await total.send(sum([item async for item in ch]))

    async with Group() as g:
        g.go(add)
        for item in (3, 1, 2):
            await ch.send(item)
        ch.close()
        assert await total.receive() == 6


@each_flavor
async def test_a_loop_can_be_left_early(capacity: float) -> None:
    """What it did not take is still there for another loop."""
    ch: Channel[int] = Channel(capacity)
    async with Group() as g:
        g.go(ch.send_many, range(10))
        first = []
        async for item in ch:
            first.append(item)
            if len(first) == 3:
                break
        rest = [await ch.receive() for _ in range(7)]
    assert first + rest == list(range(10))


@each_flavor
async def test_a_loop_over_a_loop(capacity: float) -> None:
    """Items that are channels are looped over in turn."""
    outer: Channel[Channel[int]] = Channel(capacity)

    async def fill(ch: Channel[int], items: range) -> None:
        async with ch:
            await ch.send_many(items)

    async with Group() as g:

        async def produce(tx: Sender[Channel[int]]) -> None:
            with tx:
                for n in range(4):
                    inner: Channel[int] = Channel(capacity)
                    g.go(fill, inner, range(n))
                    await tx.send(inner)

        g.go(produce, outer.sender())
        assert [[i async for i in inner] async for inner in outer] == [
            list(range(n)) for n in range(4)
        ]


@each_flavor
async def test_two_loops_share_the_items(capacity: float) -> None:
    """Each item is in one of them, and both end."""
    ch: Channel[int] = Channel(capacity)

    async def collect() -> list[int]:
        return [item async for item in ch]

    async with Group() as g:
        loops = [g.go(collect) for _ in range(2)]
        async with ch:
            await ch.send_many(range(100))
    shares = [await loop for loop in loops]
    assert sorted(shares[0] + shares[1]) == list(range(100))
    assert all(share == sorted(share) for share in shares)


async def test_a_loop_owns_its_end() -> None:
    """Over a handle in a with block: when the block is left, senders learn of it."""
    ch: Channel[int] = Channel(1)
    with ch.receiver() as rx:
        await ch.send(1)
        async for _ in rx:
            break
    with pytest.raises(ChannelBroken):
        await ch.send(2)


async def test_all_there_is_without_waiting() -> None:
    """Each request lets the producer send two; they are there when it has."""
    items, requests = Channel[int](2), Channel[None](1)

    async def produce() -> None:
        async for _ in requests:
            await items.send_many([1, 2])

    received = []
    async with Group() as g:
        g.go(produce)
        for _ in range(3):
            with pytest.raises(WouldBlock):
                items.receive_nowait()
            await requests.send(None)
            await parked()
            received.append(items.drain())
        requests.close()
    assert received == [[1, 2]] * 3
