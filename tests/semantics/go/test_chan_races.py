"""Narrow races, driven through every order that one loop can give them.

From Go's runtime/chan_test.go: TestNonblockRecvRace, TestNonblockSelectRace,
TestNonblockSelectRace2, TestSelfSelect, TestSelectDuplicateChannel.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from csp import Channel, Group, recv, select, send
from tests.semantics.go.words import Scale, gosched, parked, select_default

pytestmark = pytest.mark.anyio


async def yields(times: int) -> None:
    """Let others run as often as that."""
    for _ in range(times):
        await gosched()


async def test_a_receive_is_ready_while_the_channel_closes(scale: Scale) -> None:
    """A channel that holds an item, or is closed, never lets a receive take default."""

    async def receiver(ch: Channel[int]) -> None:
        assert select_default(recv(ch))

    async with Group() as g:
        for i in range(scale(100, 10_000)):
            ch: Channel[int] = Channel(1)
            ch.send_nowait(1)
            g.go(receiver, ch)
            await yields(i % 2)
            ch.close()
            await yields(i // 2 % 2)
            await recv(ch)


def fill(ch: Channel[int]) -> None:
    """Make `ch` ready with an item."""
    ch.send_nowait(1)


@pytest.mark.parametrize(
    ("capacity", "make_ready"),
    [(1, fill), (0, Channel.close)],
    ids=["send", "close"],
)
async def test_select_judges_all_cases_at_one_instant(
    capacity: int, make_ready: Callable[[Channel[int]], None], scale: Scale
) -> None:
    """One of two channels is always ready, never the same: default is not taken."""

    async def receiver(first: Channel[int], second: Channel[int]) -> bool:
        return select_default(recv(first), recv(second)) is not None

    async with Group() as g:
        for i in range(scale(200, 100_000)):
            first: Channel[int] = Channel(1)
            second: Channel[int] = Channel(capacity)
            first.send_nowait(1)
            task = g.go(receiver, first, second)
            await yields(i % 2)
            make_ready(second)
            await yields(i // 2 % 2)
            select_default(recv(first))
            assert await task
            second.drain()


@pytest.mark.parametrize("capacity", [0, 10])
async def test_a_select_never_meets_itself(capacity: int, scale: Scale) -> None:
    """Two tasks send and receive on one channel; unbuffered, neither gets its own."""
    rounds = scale(200, 1000)
    ch: Channel[int] = Channel(capacity)
    received: dict[int, list[int]] = {0: [], 1: []}

    async def task(me: int) -> None:
        for i in range(rounds):
            cases = [send(ch, me), recv(ch)]
            if me == 1 and i % 2:
                cases.reverse()
            _, item = await select(*cases)
            if item is not None:  # as it is for the send
                received[me].append(item)

    async with Group() as g:
        g.go(task, 0)
        g.go(task, 1)
    items = received[0] + received[1] + ch.drain()
    if capacity == 0:
        assert not set(received[0]) - {1}
        assert not set(received[1]) - {0}
        assert len(items) == rounds
    statistics = ch.statistics()
    assert statistics.sent == statistics.received == len(items)


async def test_one_select_may_wait_at_one_channel_twice() -> None:
    """Woken through another, it leaves both places and the next in line is served."""
    c, d, e = Channel[int](), Channel[int](), Channel[int]()

    async def twice_on_c() -> None:
        which, item = await select(recv(c), recv(c), recv(d))
        await e.send(which + item)

    async with Group() as g:
        g.go(twice_on_c)
        await parked()
        behind = g.go(c.receive)
        await parked()
        await d.send(7)
        assert await e.receive() == 2 + 7
        await c.send(8)
        assert await behind == 8
