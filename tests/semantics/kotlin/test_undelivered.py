"""Every item has one end: received, reported as undelivered, or still the caller's.

After Kotlin's ChannelUndeliveredElementTest.  There the callback is also told of an
item whose send failed or was cancelled; here such an item stays with the caller.
"""

from __future__ import annotations

import math
from typing import Literal

import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import (
    Channel,
    ChannelBroken,
    ChannelClosed,
    Group,
    WouldBlock,
    done,
    select,
    select_nowait,
    send,
)

from .kinds import each_kind, make

pytestmark = pytest.mark.anyio


class Resource:
    """Something that must be given up once, and not while it is in use."""

    def __init__(self) -> None:
        self.given_up = False

    def give_up(self) -> None:
        """Note the end of it."""
        assert not self.given_up
        self.given_up = True


@each_kind
async def test_a_received_item_is_not_given_up(kind: str) -> None:
    """Neither at once nor when the channel ends."""
    ch = make(kind, Resource.give_up)
    item = Resource()
    async with Group() as g:
        g.go(ch.send, item)
        with ch.receiver() as rx:
            assert await rx.receive() is item
        ch.close()
    assert not item.given_up


@pytest.mark.parametrize("how", ["send", "select"])
async def test_a_parked_item_stays_with_its_cancelled_sender(how: str) -> None:
    """It is neither in the channel nor given up."""
    ch = make("rendezvous", Resource.give_up)
    item = Resource()
    async with Group() as g:
        sending = g.go(ch.send, item) if how == "send" else g.go(select, send(ch, item))
        await parked()
        sending.cancel()
    assert not item.given_up
    assert ch.drain() == []
    assert ch.statistics().sent == 0


async def test_a_buffered_item_is_given_up_with_the_channel_alone() -> None:
    """The one that waited behind it is its sender's, who was cancelled."""
    ch = make("one", Resource.give_up)
    a, b = Resource(), Resource()
    async with Group() as g:
        with ch.receiver():
            await ch.send(a)
            sending = g.go(ch.send, b)
            await parked()
            sending.cancel()
            await done(sending)
            assert (a.given_up, b.given_up) == (False, False)
    assert (a.given_up, b.given_up) == (True, False)


async def test_all_buffered_items_are_given_up_in_their_order() -> None:
    """When the last receiver closes, and not again when the channel closes."""
    given_up: list[int] = []
    ch = make("unlimited", given_up.append)
    with ch.receiver():
        await ch.send_many(range(5))
    ch.close()
    assert given_up == [0, 1, 2, 3, 4]


async def test_parked_items_go_back_when_the_channel_breaks() -> None:
    """Each in the error of its own send, while the buffered one is given up."""
    given_up: list[int] = []
    back: list[int] = []
    ch = make("one", given_up.append)

    async def produce(item: int) -> None:
        try:
            await ch.send(item)
        except ChannelBroken as broken:
            back.append(broken.item)

    async with Group() as g:
        with ch.receiver():
            for item in range(4):
                g.go(produce, item)
                await parked()
    assert (given_up, sorted(back)) == ([0], [1, 2, 3])


async def test_a_conflated_channel_gives_up_what_is_overwritten() -> None:
    """Closing keeps the last item; breaking gives it up too."""
    ch = make("conflated", Resource.give_up)
    items = [Resource() for _ in range(3)]
    with ch.receiver():
        for given_up in ([False] * 3, [True, False, False], [True, True, False]):
            await ch.send(items[given_up.count(True)])
            assert [item.given_up for item in items] == given_up
        ch.close()
        assert not items[2].given_up
    assert items[2].given_up


@pytest.mark.parametrize(
    ("overflow", "given_up", "kept"),
    [("drop_oldest", [1, 2], [3, 4]), ("drop_newest", [3, 4], [1, 2])],
)
async def test_overflow_gives_up_one_item_for_each_too_many(
    overflow: Literal["drop_oldest", "drop_newest"],
    given_up: list[int],
    kept: list[int],
) -> None:
    """However it is sent: the send succeeds."""
    undelivered: list[int] = []
    ch: Channel[int] = Channel(2, overflow=overflow, on_undelivered=undelivered.append)
    await ch.send(1)
    await select(send(ch, 2))
    await ch.send_many([3])
    ch.send_nowait(4)
    assert undelivered == given_up
    assert ch.drain() == kept
    assert ch.statistics().sent == 4


@each_kind
async def test_a_send_that_fails_at_once_gives_nothing_up(kind: str) -> None:
    """The channel is closed, and the item is in the error."""
    ch = make(kind, Resource.give_up)
    ch.close()
    item = Resource()
    for attempt in (ch.send_nowait, lambda item: select_nowait(send(ch, item))):
        with pytest.raises(ChannelClosed) as closed:
            attempt(item)
        assert closed.value.item is item
    for operation in (ch.send(item), select(send(ch, item)), ch.send_many([item])):
        with pytest.raises(ChannelClosed) as closed:
            await operation
        assert closed.value.item is item
    assert not item.given_up


@pytest.mark.parametrize("capacity", [0, 1, 2])
async def test_a_send_that_would_block_gives_nothing_up(capacity: int) -> None:
    """A full channel is no end of an item."""
    ch: Channel[Resource] = Channel(capacity, on_undelivered=Resource.give_up)
    items = [Resource() for _ in range(capacity + 1)]
    for item in items[:-1]:
        ch.send_nowait(item)
    with pytest.raises(WouldBlock):
        ch.send_nowait(items[-1])
    assert ch.drain() == items[:-1]
    assert not any(item.given_up for item in items)


@pytest.mark.parametrize("capacity", [1, 3, math.inf])
async def test_what_a_loop_left_is_given_up_with_the_channel(capacity: float) -> None:
    """The items it had are its own; a parked one goes back to its sender."""
    given_up: list[int] = []
    ch: Channel[int] = Channel(capacity, on_undelivered=given_up.append)
    unsent: list[int] = []

    async def produce() -> None:
        try:
            for item in range(10):
                await ch.send(item)
        except ChannelBroken as broken:
            unsent.append(broken.item)

    seen = []
    async with Group() as g:
        g.go(produce)
        with ch.receiver() as rx:
            async for item in rx:
                seen.append(item)
                if item == 2:
                    await parked()
                    break
    assert seen == [0, 1, 2]
    accepted = range(3, int(min(3 + capacity, 10)))
    assert given_up == [*accepted]
    assert unsent == [*range(3 + len(accepted), 10)][:1]
