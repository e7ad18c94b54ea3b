"""What nobody can receive any more is not kept, and who waits no more is forgotten.

After Kotlin's CancelledChannelLeakTest, SelectMemoryLeakStressTest and
ChannelMemoryLeakStressTest, with what other waits could leave behind.
"""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar

import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import (
    Channel,
    ChannelClosed,
    Group,
    Handle,
    Waiter,
    WouldBlock,
    after,
    done,
    recv,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio

Scale = Callable[[int, int], int]


class Item:
    """Something whose end can be seen."""

    alive: ClassVar[weakref.WeakSet[Item]] = weakref.WeakSet()

    def __init__(self) -> None:
        self.alive.add(self)


@pytest.fixture(autouse=True)
def _what_was_there_before() -> Iterator[None]:
    """Keep it out of the counts, and out of the garbage collections."""
    Item.alive.clear()
    gc.freeze()
    yield
    gc.unfreeze()


def count_items() -> int:
    """Count the items that are reachable from anywhere."""
    gc.collect()
    return len(Item.alive)


def count_waiters() -> int:
    """Count the waits that are remembered anywhere."""
    gc.collect()
    return sum(isinstance(thing, Waiter) for thing in gc.get_objects())


async def put(ch: Channel[Item]) -> None:
    """Send a new item by the method."""
    await ch.send(Item())


async def put_operation(ch: Channel[Item]) -> None:
    """Send a new item by the operation."""
    await send(ch, Item())


async def put_selected(ch: Channel[Item]) -> None:
    """Send a new item as one of two cases."""
    await select(send(ch, Item()), recv(Channel[Item]()))


async def put_many(ch: Channel[Item]) -> None:
    """Send a batch of two new items."""
    await ch.send_many([Item(), Item()])


PUTS = [put, put_operation, put_selected, put_many]


@pytest.mark.parametrize("capacity", [0, 1, 10])
@pytest.mark.parametrize("send_one", PUTS)
async def test_the_item_of_a_cancelled_sender_is_not_kept(
    capacity: int, send_one: Callable[[Channel[Item]], Awaitable[None]]
) -> None:
    """While it waits the channel has it; afterwards nobody has."""
    ch: Channel[Any] = Channel(capacity)
    await ch.send_many(range(capacity))
    async with Group() as g:
        g.go(send_one, ch)
        await parked()
        assert count_items() > 0
        assert ch.statistics().senders_waiting == 1
        g.cancel()
    assert count_items() == 0
    assert count_waiters() == 0
    assert ch.drain() == list(range(capacity))


async def test_the_item_of_a_beaten_case_is_not_kept(scale: Scale) -> None:
    """Of many selects that could have sent to a quiet channel, none leaves its own."""
    quiet, busy = Channel[Item](), Channel[int](1)
    most = 0
    for i in range(scale(1_000, 100_000)):
        async with Group() as g:
            chosen = g.go(select, send(quiet, Item()), recv(busy))
            await busy.send(i)
            assert await chosen == (1, i)
        most = max(most, len(Item.alive))
    assert most < 100  # a cycle or two may wait for the garbage collector
    assert count_items() == 0


@pytest.mark.parametrize("capacity", [0, 1, 10])
async def test_a_channel_that_is_passed_through_grows_no_fuller(
    capacity: int, scale: Scale
) -> None:
    """Items that have been received are gone."""
    ch: Channel[Item] = Channel(capacity)
    count = scale(1_000, 1_000_000)

    async def produce() -> None:
        for _ in range(count):
            await ch.send(Item())

    async with Group() as g:
        g.go(produce)
        most = 0
        for _ in range(count):
            await ch.receive()
            most = max(most, len(Item.alive))
    assert most <= capacity + 2  # one in the hands of either end
    assert count_items() == 0


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
async def test_dropped_items_are_not_kept(overflow: Any) -> None:
    """Nor those that the channel handed to a callback."""
    ch: Channel[Item] = Channel(2, overflow=overflow, on_undelivered=lambda item: None)
    for _ in range(100):
        await ch.send(Item())
    assert count_items() == 2
    ch.drain()
    assert count_items() == 0


async def test_ten_thousand_selects_on_quiet_things_leave_nothing_behind() -> None:
    """On a channel in both directions, a timer, and the end of a task."""
    quiet, busy = Channel[int](), Channel[int]()

    async def select_often(idle: Handle[int]) -> None:
        for i in range(10_000):
            assert (0, i) == await select(
                recv(busy), recv(quiet), send(quiet, i), after(3600), done(idle)
            )

    async with Group() as g:
        idle = g.go(Channel[int]().receive)
        selecting = g.go(select_often, idle)
        await busy.send_many(range(9_999))
        await parked()
        assert count_waiters() == 2
        await busy.send(9_999)
        await selecting
        await parked()
        figures = quiet.statistics()
        assert (figures.senders_waiting, figures.receivers_waiting) == (0, 0)
        assert count_waiters() == 1
        idle.cancel()


@pytest.mark.parametrize("verb", ["receive", "recv", "select", "wait_empty"])
async def test_cancelled_waits_leave_nothing_behind(verb: str) -> None:
    """Whatever they waited for, and however many there were."""
    ch: Channel[int] = Channel(1)
    if verb == "wait_empty":
        ch.send_nowait(1)
    waits: dict[str, Callable[[], Awaitable[object]]] = {
        "receive": ch.receive,
        "recv": lambda: select(recv(ch)),
        "select": lambda: select(recv(ch), recv(ch), after(math.inf)),
        "wait_empty": ch.wait_empty,
    }
    async with Group() as g:
        for _ in range(100):
            g.go(waits[verb])
        await parked()
        assert count_waiters() == 100
        g.cancel()
    assert count_waiters() == 0
    assert ch.statistics().receivers_waiting == 0
    ch.drain()


async def test_a_look_leaves_no_reference_behind() -> None:
    """Neither when nothing is ready, nor when the channel is closed."""
    ch: Channel[Item] = Channel()
    item = Item()
    case = send(ch, item)
    with pytest.raises(WouldBlock):
        select_nowait(case)
    with pytest.raises(WouldBlock):
        ch.send_nowait(item)
    ch.close()
    with pytest.raises(ChannelClosed):
        select_nowait(case)
    with pytest.raises(ChannelClosed):
        ch.send_nowait(item)
    del case, item
    assert count_items() == 0
