"""Many tasks, many items, every way to send and to receive.

After Kotlin's ChannelSendReceiveStressTest, ChannelSelectStressTest,
SelectDeadlockStressTest, SelectPhilosophersStressTest and SelectMutexStressTest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

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
    select,
    send,
)

from .kinds import each_kind, each_lossless_kind, make

pytestmark = pytest.mark.anyio

Scale = Callable[[int, int], int]


async def send_plain(tx: Sender[int], items: range) -> None:
    """Send by the method."""
    for item in items:
        await tx.send(item)


async def send_selected(tx: Sender[int], items: range) -> None:
    """Send as a case of a select."""
    for item in items:
        await select(send(tx, item))


async def send_batches(tx: Sender[int], items: range) -> None:
    """Send by tens."""
    for first in range(items.start, items.stop, 10):
        await tx.send_many(range(first, min(first + 10, items.stop)))


async def receive_plain(rx: Receiver[int]) -> AsyncIterator[int]:
    """Receive by the method until the end."""
    while True:
        try:
            yield await rx.receive()
        except EndOfChannel:
            return


async def receive_operation(rx: Receiver[int]) -> AsyncIterator[int]:
    """Receive by the operation until the end."""
    while (item := await recv(rx)) is not CLOSED:
        yield item


async def receive_selected(rx: Receiver[int]) -> AsyncIterator[int]:
    """Receive as a case of a select until the end."""
    while (item := (await select(recv(rx))).value) is not CLOSED:
        yield item


async def receive_batches(rx: Receiver[int]) -> AsyncIterator[int]:
    """Receive up to seven at a time until the end."""
    while True:
        try:
            items = await rx.receive_many(7)
        except EndOfChannel:
            return
        for item in items:
            yield item


async def receive_loop(rx: Receiver[int]) -> AsyncIterator[int]:
    """Receive in a loop until the end."""
    async for item in rx:
        yield item


SENDS = [send_plain, send_selected, send_batches]
RECEIVES = [
    receive_plain,
    receive_operation,
    receive_selected,
    receive_batches,
    receive_loop,
]


@each_kind
@pytest.mark.parametrize("receivers", [1, 10])
@pytest.mark.parametrize("senders", [1, 2, 10])
async def test_all_ways_to_send_meet_all_ways_to_receive(
    kind: str, senders: int, receivers: int, scale: Scale
) -> None:
    """Each item is received once, or was overwritten; nobody waits in vain."""
    count = scale(1_000, 200_000)
    overwritten: list[int] = []
    ch = make(kind, overwritten.append)
    seen: list[list[int]] = [[] for _ in range(receivers)]

    async def produce(tx: Sender[int], me: int) -> None:
        with tx:
            share = count // senders
            await SENDS[me % 3](tx, range(me * share, (me + 1) * share))

    async def consume(rx: Receiver[int], me: int) -> None:
        with rx:
            async for item in RECEIVES[me % 5](rx):
                seen[me].append(item)
                await checkpoint()

    async with Group() as g:
        for me in range(receivers):
            g.go(consume, ch.receiver(), me)
        for me in range(senders):
            g.go(produce, ch.sender(), me)
    received = [item for items in seen for item in items]
    assert sorted(received + overwritten) == list(range(count))
    if kind != "conflated":
        assert not overwritten
        assert all(seen)


@each_lossless_kind
async def test_selects_on_both_sides_lose_nothing(kind: str, scale: Scale) -> None:
    """Three tasks send by select and three receive by select, as fast as they can."""
    share = scale(300, 200_000)
    ch = make(kind)
    seen = bytearray(3 * share)
    left = 3

    async def produce(me: int) -> None:
        nonlocal left
        for i in range(me * share, (me + 1) * share):
            await select(send(ch, i))
        left -= 1
        if not left:
            ch.close()

    async def consume() -> None:
        while (item := (await select(recv(ch))).value) is not CLOSED:
            seen[item] += 1

    async with Group() as g:
        for me in range(3):
            g.go(produce, me)
            g.go(consume)
    assert seen == b"\1" * (3 * share)


@each_lossless_kind
async def test_two_selects_that_face_each_other_both_advance(
    kind: str, scale: Scale
) -> None:
    """Each sends on its own channel and receives from the other's: no deadlock."""
    goal = scale(300, 100_000)
    channels = [make(kind), make(kind)]

    async def work(me: int) -> tuple[int, int]:
        mine, other = channels[me], channels[1 - me]
        sent = received = 0
        while sent < goal or received < goal:
            match await select(
                sent=send(mine if sent < goal else None, sent), item=recv(other)
            ):
                case "sent", _:
                    sent += 1
                case _, item:
                    assert item == received
                    received += 1
            if sent % 50 == 0:
                await checkpoint()
        return sent, received

    async with Group() as g:
        tasks = [g.go(work, me) for me in range(2)]
    assert [await task for task in tasks] == [(goal, goal)] * 2


async def test_philosophers_dine(scale: Scale) -> None:
    """Ten with a fork between each two; whoever gets a fork by select gets to eat."""
    forks: list[Channel[None]] = [Channel(1) for _ in range(10)]
    meals = [0] * 10

    async def dine(me: int) -> None:
        left, right = forks[me], forks[(me + 1) % 10]
        for _ in range(scale(20, 2_000)):
            await eat(left, right)
            meals[me] += 1
            await checkpoint()

    async with Group() as g:
        for me in range(10):
            g.go(dine, me)
    assert meals == [scale(20, 2_000)] * 10


async def eat(left: Channel[None], right: Channel[None]) -> None:
    """Take either fork, and the other if it is free; else put it back and retry."""
    while True:
        which, _ = await select(send(left, None), send(right, None))
        first, second = (left, right) if which == 0 else (right, left)
        await checkpoint()
        try:
            second.send_nowait(None)
        except WouldBlock:
            first.receive_nowait()
            await checkpoint()
            continue
        await checkpoint()
        first.receive_nowait()
        second.receive_nowait()
        return
