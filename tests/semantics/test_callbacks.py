"""What `on_undelivered` may do to the very channel that calls it."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import (
    Channel,
    ChannelBroken,
    ChannelClosed,
    EndOfChannel,
    Group,
)

pytestmark = pytest.mark.anyio


async def test_a_callback_may_use_the_channel() -> None:
    """It sees it as it is after the drop, and what it does is as valid as ever."""
    seen: list[Any] = []

    def use(dropped: int) -> None:
        stats = ch.statistics()
        seen.append((dropped, stats.length, stats.undelivered, stats.sent))
        if dropped == 2:
            seen.append(ch.receive_nowait())
            ch.send_nowait(30)
            ch.close()

    ch: Channel[int] = Channel(1, overflow="drop_oldest", on_undelivered=use)
    pending = deque([1, 2, 3, 4])
    with pytest.raises(ChannelClosed):
        await ch.send_many(pending)
    assert seen == [(1, 1, 1, 2), (2, 1, 2, 3), 3]
    assert list(pending) == [4]
    assert ch.drain() == [30]
    assert ch.statistics().sent == 4


async def test_a_callback_may_drop_again() -> None:
    """What it sends to the full channel drops another, until it leaves off."""
    told: list[int] = []

    def send_tenfold(dropped: int) -> None:
        told.append(dropped)
        if dropped < 100:
            ch.send_nowait(dropped * 10)

    ch: Channel[int] = Channel(1, overflow="drop_newest", on_undelivered=send_tenfold)
    await ch.send_many([1, 2, 3])
    assert told == [2, 20, 200, 3, 30, 300]
    assert ch.drain() == [1]
    assert ch.statistics().undelivered == 6


async def test_a_callback_finds_a_broken_channel_broken() -> None:
    """All is settled before it is called: it can neither send nor receive."""
    seen: list[Any] = []

    def use(item: int) -> None:
        seen.append((item, len(ch), ch.closed))
        for attempt in (ch.receiver, ch.sender, lambda: ch.send_nowait(item)):
            with pytest.raises((ChannelBroken, ChannelClosed)):
                attempt()
        with pytest.raises(EndOfChannel):
            ch.receive_nowait()

    ch: Channel[int] = Channel(2, on_undelivered=use)
    async with Group() as g:
        empty = g.go(ch.wait_empty)
        with ch.receiver():
            await ch.send_many([1, 2])
        await empty
    assert seen == [(1, 0, True), (2, 0, True)]
    assert ch.statistics().undelivered == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
async def test_a_failing_callback_gets_every_item(error: type[BaseException]) -> None:
    """The errors come out of what caused them, and the rest of its work is done."""
    told: list[int] = []

    def fail(item: int) -> None:
        told.append(item)
        raise error(item)

    ch: Channel[int] = Channel(3, on_undelivered=fail)
    rx = ch.receiver()
    async with Group() as g:
        refused = g.go(refuse_all_but_three, ch)
        await parked()
        with pytest.raises(BaseExceptionGroup) as caught:
            rx.close()
        assert [type(part) for part in caught.value.exceptions] == [error] * 3
        assert await refused == [4]
    assert told == [1, 2, 3]
    assert rx.closed
    assert ch.statistics().undelivered == 3


async def refuse_all_but_three(ch: Channel[int]) -> list[int]:
    pending = deque([1, 2, 3, 4])
    with pytest.raises(ChannelBroken):
        await ch.send_many(pending)
    return list(pending)
