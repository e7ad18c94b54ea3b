"""What one channel does, at each capacity: TestChan of Go's runtime/chan_test.go.

Go goes through the capacities from 0 to 199, and so does --stress.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from csp import (
    CLOSED,
    Channel,
    EndOfChannel,
    Group,
    WouldBlock,
    recv,
    select_nowait,
    send,
)
from tests.semantics.go.words import CAPACITIES, Scale, parked

pytestmark = pytest.mark.anyio

RECEIVES = [Channel.receive, recv]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests at a few capacities, or at all."""
    if "capacity" in metafunc.fixturenames:
        stress = metafunc.config.getoption("stress")
        metafunc.parametrize("capacity", range(200) if stress else CAPACITIES)


def filled(capacity: int) -> Channel[int]:
    """Make a channel whose buffer is full, with 0, 1, 2, ..."""
    ch: Channel[int] = Channel(capacity)
    for i in range(capacity):
        ch.send_nowait(i)
    return ch


async def test_receivers_wait_until_there_is_something(capacity: int) -> None:
    """On an empty channel receives wait, and those that may not wait say so."""
    ch: Channel[int] = Channel(capacity)
    async with Group() as g:
        receivers = [g.go(Channel.receive, ch), g.go(recv, ch)]
        await parked()
        assert not any(task.finished for task in receivers)
        with pytest.raises(WouldBlock):
            ch.receive_nowait()
        with pytest.raises(WouldBlock):
            select_nowait(recv(ch))
        await ch.send(7)
        await ch.send(8)
    assert {await task for task in receivers} == {7, 8}


async def test_a_sender_waits_until_there_is_room(capacity: int) -> None:
    """On a full channel a send waits, and one that may not wait says so."""
    ch = filled(capacity)
    async with Group() as g:
        sender = g.go(ch.send, capacity)
        await parked()
        assert not sender.finished
        with pytest.raises(WouldBlock):
            ch.send_nowait(-1)
        with pytest.raises(WouldBlock):
            select_nowait(send(ch, -1))
        assert await ch.receive() == 0
    assert ch.drain() == [*range(1, capacity + 1)]


async def test_a_closed_channel_is_emptied_and_then_ends(capacity: int) -> None:
    """What is in a closed channel comes out in order, and then its end, for ever."""
    ch = filled(capacity)
    ch.close()
    assert [await ch.receive() for _ in range(capacity)] == [*range(capacity)]
    for _ in range(2):
        with pytest.raises(EndOfChannel):
            await ch.receive()
        assert await recv(ch) is CLOSED


async def test_closing_releases_receivers(capacity: int) -> None:
    """A receiver that waits is told when the channel closes."""
    ch: Channel[int] = Channel(capacity)
    done: Channel[object] = Channel()

    async def receiver() -> None:
        await done.send(await recv(ch))

    async with Group() as g:
        g.go(receiver)
        await parked()
        ch.close()
        assert await done.receive() is CLOSED


@pytest.mark.parametrize("receive", RECEIVES, ids=["receive", "recv"])
async def test_items_come_out_in_order(
    capacity: int, receive: Callable[[Channel[int]], Awaitable[object]]
) -> None:
    """One sender's items are received in the order in which it sent them."""
    ch: Channel[int] = Channel(capacity)

    async def sender() -> None:
        for i in range(100):
            await ch.send(i)

    async with Group() as g:
        g.go(sender)
        assert [await receive(ch) for _ in range(100)] == [*range(100)]


async def test_many_send_and_many_receive(capacity: int, scale: Scale) -> None:
    """With 4 senders of the same numbers and 4 receivers, each arrives 4 times."""
    count = scale(100, 1000)
    ch: Channel[int] = Channel(capacity)
    done: Channel[Counter[int]] = Channel()

    async def sender() -> None:
        for i in range(count):
            await ch.send(i)

    async def receiver() -> None:
        await done.send(Counter([await ch.receive() for _ in range(count)]))

    total: Counter[int] = Counter()
    async with Group() as g:
        for task in [sender, receiver] * 4:
            g.go(task)
        for _ in range(4):
            total += await done.receive()
    assert total == dict.fromkeys(range(count), 4)


async def test_length_and_capacity(capacity: int) -> None:
    """A channel tells how many items it holds and how many fit."""
    ch: Channel[int] = Channel(capacity)
    assert (len(ch), ch.capacity) == (0, capacity)
    for i in range(capacity):
        await ch.send(i)
    assert (len(ch), ch.capacity) == (capacity, capacity)
    ch.drain()
