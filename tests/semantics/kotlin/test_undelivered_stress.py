"""The ledger of items after many cancellations and breaks.

After Kotlin's ChannelUndeliveredElementStressTest and
ChannelCancelUndeliveredElementStressTest: in every run, each item that was sent was
received or reported, and none was both or twice.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Channel,
    ChannelBroken,
    Group,
    Handle,
    WouldBlock,
    recv,
    select,
    send,
)

from .kinds import each_kind, make

pytestmark = pytest.mark.anyio

Scale = Callable[[int, int], int]


async def receive(ch: Channel[int]) -> int:
    """Receive by the method."""
    return await ch.receive()


async def receive_selected(ch: Channel[int]) -> int:
    """Receive as the only case of a select."""
    return (await select(recv(ch))).value  # type: ignore[no-any-return]


async def receive_twice_named(ch: Channel[int]) -> int:
    """Receive as one of two cases of the same channel."""
    return (await select(a=recv(ch), b=recv(ch))).value  # type: ignore[no-any-return]


async def receive_operation(ch: Channel[int]) -> int:
    """Receive by an operation alone."""
    item = await recv(ch)
    assert item is not CLOSED
    return item


async def receive_next(ch: Channel[int]) -> int:
    """Receive in a loop of one round."""
    return await anext(ch)


async def receive_batch(ch: Channel[int]) -> int:
    """Receive a batch of one."""
    (item,) = await ch.receive_many(1)
    return item


RECEIVES = [
    receive,
    receive_selected,
    receive_twice_named,
    receive_operation,
    receive_next,
    receive_batch,
]


class Ledger:
    """Who has done what with each item."""

    def __init__(self, kind: str) -> None:
        self.sent: list[int] = []
        self.received: list[int] = []
        self.undelivered: list[int] = []
        self.ch = make(kind, self.undelivered.append)
        self.next = 0

    async def produce(self) -> None:
        """Send new numbers, in two ways by turns."""
        while True:
            item, self.next = self.next, self.next + 1
            if item % 2:
                await self.ch.send(item)
            else:
                await select(send(self.ch, item))
            self.sent.append(item)

    async def consume(self) -> None:
        """Receive in all ways there are by turns."""
        while True:
            for take in RECEIVES:
                self.received.append(await take(self.ch))

    def check(self) -> None:
        """Compare the accounts; what is still in the channel is received first."""
        self.received += self.ch.drain()
        assert sorted(self.received + self.undelivered) == sorted(self.sent)


@each_kind
async def test_ends_that_are_cancelled_and_restarted_lose_nothing(
    kind: str, scale: Scale
) -> None:
    """A sender and a receiver, each stopped at any moment while the next one starts."""
    ledger = Ledger(kind)
    for seed in range(scale(5, 20)):
        rng = random.Random(seed)
        async with Group() as g:
            ends: dict[Any, Handle[None]] = {
                end: g.go(end) for end in (ledger.produce, ledger.consume)
            }
            for _ in range(scale(100, 5_000)):
                end = rng.choice([*ends, None])
                if end is not None:
                    ends[end].cancel()
                    ends[end] = g.go(end)
                for _ in range(rng.randrange(3)):
                    await checkpoint()
            g.cancel()
        ledger.check()
    assert len(ledger.received) > 100


async def send_two(ch: Channel[int], rng: random.Random) -> list[int]:
    """Send two items, waiting or not; returns those that were not sent."""
    failed = []
    for item in (1, 2):
        try:
            if rng.random() < 0.5:
                ch.send_nowait(item)
            else:
                await ch.send(item)
        except (WouldBlock, ChannelBroken):
            failed.append(item)
    return failed


@pytest.mark.parametrize("take", [receive, receive_selected, receive_next])
async def test_a_channel_that_breaks_under_a_sender_reports_the_rest(
    take: Callable[[Any], Awaitable[int]], scale: Scale
) -> None:
    """Of two items one is received, and the other has one end, in every run."""
    for seed in range(scale(200, 10_000)):
        rng = random.Random(seed)
        undelivered: list[int] = []
        ch: Channel[int] = Channel(1, on_undelivered=undelivered.append)
        rx = ch.receiver()
        async with Group() as g:
            failed = g.go(send_two, ch, rng)
            for _ in range(rng.randrange(3)):
                await checkpoint()
            with rx:
                received = await take(rx)
                for _ in range(rng.randrange(3)):
                    await checkpoint()
        assert sorted([received, *undelivered, *await failed]) == [1, 2]
