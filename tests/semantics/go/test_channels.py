"""Plain channels: Go's test/chancap.go; fifo.go, nonblock.go, zerosize.go of test/chan.

What chancap.go asks of capacities that no channel can have is a TypeError or a
ValueError here.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from csp import Channel, Group, WouldBlock, recv, select, send
from tests.semantics.go.words import CAPACITIES, gosched, parked

pytestmark = pytest.mark.anyio

MAX_TRIES = 10_000


async def test_a_buffer_is_first_in_first_out() -> None:
    """Ten items sent into a buffer come out in the same order."""
    ch: Channel[int] = Channel(10)
    for i in range(10):
        await ch.send(i)
    assert [await ch.receive() for _ in range(10)] == [*range(10)]


async def test_rendezvous_are_first_in_first_out() -> None:
    """Receivers that take turns get the items in the order of their turns."""
    ch: Channel[int] = Channel()

    async def receiver(i: int, before: Channel[None], after: Channel[None]) -> None:
        await before.receive()
        assert await ch.receive() == i
        await after.send(None)

    async with Group() as g:
        first = before = Channel[None](1)
        for i in range(10):
            after: Channel[None] = Channel(1)
            g.go(receiver, i, before, after)
            before = after
        await first.send(None)
        for i in range(10):
            await ch.send(i)
        await before.receive()


@pytest.mark.parametrize("capacity", CAPACITIES)
async def test_those_who_wait_are_served_in_turn(capacity: int) -> None:
    """Receivers and then senders, be it in selects, in the order in which they came."""
    ch: Channel[int] = Channel(capacity)
    served: list[int] = []

    async def receiver(i: int) -> None:
        await (select(recv(ch)) if i % 2 else ch.receive())
        served.append(i)

    async def sender(i: int) -> None:
        await (select(send(ch, i)) if i % 2 else ch.send(i))

    async with Group() as g:
        for i in range(4):
            g.go(receiver, i)
            await parked()
        for i in range(4):
            await ch.send(i)
            await parked()
    assert served == [*range(4)]

    async with Group() as g:
        await ch.send_many(range(capacity))
        for i in range(capacity, capacity + 4):
            g.go(sender, i)
            await parked()
        received = [await ch.receive() for _ in range(capacity + 4)]
    assert received == [*range(capacity + 4)]


async def send_when_ready(ch: Channel[Any], item: object) -> None:
    """Try to send, without waiting, until that works."""
    for _ in range(MAX_TRIES):
        try:
            ch.send_nowait(item)
        except WouldBlock:
            await gosched()
        else:
            return
    pytest.fail(f"nobody received {item!r}")


async def receive_when_ready(ch: Channel[Any]) -> object:
    """Try to receive, without waiting, until that works."""
    for _ in range(MAX_TRIES):
        try:
            return ch.receive_nowait()
        except WouldBlock:
            await gosched()
    pytest.fail("nobody sent")


@pytest.mark.parametrize("capacity", [0, 1])
@pytest.mark.parametrize("item", [123, 1 << 80, True, "hello", None], ids=repr)
async def test_operations_that_do_not_wait(capacity: int, item: object) -> None:
    """They take default until the other side is there, and then pass the item on."""
    ch: Channel[Any] = Channel(capacity)
    strobe: Channel[None] = Channel()

    async def receiver() -> None:
        assert await ch.receive() is item
        await strobe.send(None)

    async def sender() -> None:
        await ch.send(item)
        await strobe.send(None)

    with pytest.raises(WouldBlock):
        ch.receive_nowait()
    async with Group() as g:
        g.go(receiver)
        await send_when_ready(ch, item)
        await strobe.receive()

        g.go(sender)
        if capacity:  # the sender is done before anybody receives
            await strobe.receive()
        assert await receive_when_ready(ch) is item
        if not capacity:
            await strobe.receive()


@pytest.mark.parametrize("capacity", CAPACITIES)
async def test_none_is_an_item(capacity: int) -> None:
    """Items without content are counted like any others."""
    ch: Channel[object] = Channel(capacity)
    async with Group() as g:
        g.go(ch.send_many, [None] * (capacity + 1))
        received = [await ch.receive() for _ in range(capacity + 1)]
    assert received == [None] * (capacity + 1)
    assert len(ch) == 0


def test_length_and_capacity_of_a_buffer() -> None:
    """They are the items in the buffer, and those that it has room for."""
    ch: Channel[int] = Channel(10)
    assert (len(ch), ch.capacity) == (0, 10)
    for i in range(3):
        ch.send_nowait(i)
    assert (len(ch), ch.capacity) == (3, 10)
    assert ch.drain() == [0, 1, 2]
    unbuffered: Channel[int] = Channel()
    assert (len(unbuffered), unbuffered.capacity) == (0, 0)


@pytest.mark.parametrize(
    ("capacity", "error"),
    [
        (-1, ValueError),
        (-(1 << 63), ValueError),
        (-math.inf, TypeError),
        (math.nan, TypeError),
        (1.5, TypeError),
        ("1", TypeError),
        (True, TypeError),
        (None, TypeError),
    ],
)
def test_impossible_capacities(capacity: Any, error: type[Exception]) -> None:
    """A capacity that is no count of items is refused."""
    with pytest.raises(error):
        Channel(capacity)


@pytest.mark.parametrize("capacity", [1 << 59, 1 << 63, math.inf])
def test_large_capacities(capacity: int | float) -> None:
    """Room costs nothing until it is used, so no capacity is too large."""
    assert Channel[int](capacity).capacity == capacity
