"""Many items through one channel, from one or many senders to one or many receivers.

After the traffic tests that crossbeam-channel's zero.rs, array.rs and list.rs share.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Channel,
    EndOfChannel,
    Group,
    Receiver,
    Sender,
    WouldBlock,
    recv,
)

pytestmark = pytest.mark.anyio

each_flavor = pytest.mark.parametrize("capacity", [0, 1, 3, math.inf])


async def produce(tx: Sender[int], count: int) -> None:
    """Send the numbers below `count`."""
    with tx:
        for i in range(count):
            await tx.send(i)


@each_flavor
async def test_one_sender_and_one_receiver_keep_the_order(
    capacity: float, scale: Callable[[int, int], int]
) -> None:
    """All items in order, and then the end."""
    count = scale(1_000, 100_000)
    ch: Channel[int] = Channel(capacity)
    async with Group() as g:
        g.go(produce, ch.sender(), count)
        for i in range(count):
            assert await ch.receive() == i
        with pytest.raises(EndOfChannel):
            await ch.receive()


@each_flavor
async def test_each_item_of_four_senders_is_received_once(
    capacity: float, scale: Callable[[int, int], int]
) -> None:
    """By one of four receivers, and each sender's items in their order."""
    count = scale(250, 25_000)
    ch: Channel[tuple[int, int]] = Channel(capacity)
    seen: Counter[tuple[int, int]] = Counter()

    async def send_all(tx: Sender[tuple[int, int]], who: int) -> None:
        with tx:
            for i in range(count):
                await tx.send((who, i))

    async def receive_all(rx: Receiver[tuple[int, int]]) -> None:
        last = dict.fromkeys(range(4), -1)
        with rx:
            async for who, i in rx:
                assert i > last[who]
                last[who] = i
                seen[who, i] += 1

    async with Group() as g:
        for who in range(4):
            g.go(send_all, ch.sender(), who)
            g.go(receive_all, ch.receiver())
    assert seen == dict.fromkeys(((w, i) for w in range(4) for i in range(count)), 1)


@pytest.mark.parametrize("capacity", [1, 1_000])
async def test_the_length_is_exact_round_after_round(
    capacity: int, scale: Callable[[int, int], int]
) -> None:
    """While items go in one by one, and while they come out."""
    ch: Channel[int] = Channel(capacity)
    steps = min(capacity, 50)
    for _ in range(scale(5, 100)):
        for i in range(steps):
            ch.send_nowait(i)
            assert len(ch) == i + 1
        for i in reversed(range(steps)):
            ch.receive_nowait()
            assert len(ch) == i
    for i in range(capacity):
        ch.send_nowait(i)
        assert len(ch) == i + 1
    assert ch.drain() == list(range(capacity))


@pytest.mark.parametrize("capacity", [0, 1, 1_000])
async def test_the_length_is_never_above_the_capacity(
    capacity: int, scale: Callable[[int, int], int]
) -> None:
    """Whoever looks, and whenever."""
    count = scale(2_500, 25_000)
    ch: Channel[int] = Channel(capacity)

    async def watch() -> int:
        longest = 0
        while not ch.closed or len(ch):
            longest = max(longest, len(ch))
            await checkpoint()
        return longest

    async def consume(rx: Receiver[int]) -> None:
        with rx:
            async for item in rx:
                assert len(ch) <= capacity
                if item % 7 == 0:
                    await checkpoint()

    async with Group() as g:
        longest = g.go(watch)
        g.go(produce, ch.sender(), count)
        g.go(consume, ch.receiver())
    assert await longest <= capacity
    assert ch.statistics().high_water <= capacity


async def test_a_channel_of_its_own_for_each_item(
    scale: Callable[[int, int], int],
) -> None:
    """Sender and receiver start together, in either order."""
    for i in range(scale(100, 10_000)):
        ch: Channel[int] = Channel(1)
        async with Group() as g:
            if i % 2:
                g.go(ch.send, i)
                got = g.go(ch.receive)
            else:
                got = g.go(ch.receive)
                g.go(ch.send, i)
        assert await got == i


@pytest.mark.parametrize("capacity", [1, 3, math.inf])
async def test_taking_all_there_is_on_request(
    capacity: float, scale: Callable[[int, int], int]
) -> None:
    """The consumer asks, then takes without waiting until nothing is left."""
    count = scale(1_000, 100_000)
    requests: Channel[None] = Channel(capacity)
    answers: Channel[int] = Channel(capacity)

    async def answer(rx: Receiver[None], tx: Sender[int]) -> None:
        with rx, tx:
            sent = 0
            async for _ in rx:
                while sent < count:
                    try:
                        tx.send_nowait(sent)
                    except WouldBlock:
                        break
                    sent += 1
                    if sent % 3 == 0:
                        break

    received: list[int] = []
    async with Group() as g, requests.sender() as ask:
        g.go(answer, requests.receiver(), answers.sender())
        while len(received) < count:
            await ask.send(None)
            await checkpoint()
            received += answers.drain()
    assert received == list(range(count))


async def test_who_has_sent_can_receive_at_once(
    scale: Callable[[int, int], int],
) -> None:
    """Four tasks share room for four: the item that each adds is there for it."""
    ch: Channel[int] = Channel(4)

    async def work() -> None:
        for i in range(scale(250, 25_000)):
            await ch.send(i)
            ch.receive_nowait()
            if i % 5 == 0:
                await checkpoint()

    async with Group() as g:
        for _ in range(4):
            g.go(work)
    assert len(ch) == 0


@pytest.mark.parametrize("capacity", [0, 1, 2, math.inf])
async def test_a_channel_goes_through_the_channel_before_it(
    capacity: float, scale: Callable[[int, int], int]
) -> None:
    """Each hop's item is the channel of the next hop."""
    count = scale(200, 1_000)
    start: Channel[Any] = Channel(capacity)

    async def lay() -> None:
        ch = start
        for _ in range(count):
            following: Channel[Any] = Channel(capacity)
            await ch.send(following)
            ch = following
        ch.close()

    async with Group() as g:
        g.go(lay)
        hops, ch = 0, start
        while (following := await recv(ch)) is not CLOSED:
            hops, ch = hops + 1, following
    assert hops == count
