"""Sends and receives that wait only so long: nothing is lost across a timeout.

After the recv_timeout, send_timeout and stress_timeout tests of crossbeam-channel.
A timeout here is either a cancel scope or the losing case of a select.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio import current_time

from csp import (
    Channel,
    Closed,
    EndOfChannel,
    Group,
    Receiver,
    Sender,
    after,
    recv,
    select,
    send,
)

pytestmark = [pytest.mark.anyio, pytest.mark.clock]


async def scoped_receive(rx: Receiver[int], seconds: float) -> int:
    """Receive under a cancel scope."""
    with anyio.fail_after(seconds):
        return await rx.receive()


async def selected_receive(rx: Receiver[int], seconds: float) -> int:
    """Receive as one case, with the timeout as another."""
    match await select(item=recv(rx), late=after(seconds)):
        case "late", _:
            raise TimeoutError
        case _, Closed():
            raise EndOfChannel
        case _, item:
            return int(item)


async def scoped_send(tx: Sender[int], item: int, seconds: float) -> None:
    """Send under a cancel scope."""
    with anyio.fail_after(seconds):
        await tx.send(item)


async def selected_send(tx: Sender[int], item: int, seconds: float) -> None:
    """Send as one case, with the timeout as another."""
    if (await select(sent=send(tx, item), late=after(seconds))).which == "late":
        raise TimeoutError


Receive = Callable[[Receiver[int], float], Awaitable[int]]
Send = Callable[[Sender[int], int, float], Awaitable[None]]

each_receive = pytest.mark.parametrize("receive", [scoped_receive, selected_receive])
each_send = pytest.mark.parametrize("put", [scoped_send, selected_send])


@each_receive
@pytest.mark.parametrize("capacity", [0, 1, math.inf])
async def test_a_receive_times_out_then_gets_the_item_then_the_end(
    capacity: float, receive: Receive
) -> None:
    """Of two waits of a second, an item of second 1.5 ends the other."""
    ch: Channel[int] = Channel(capacity)

    async def produce(tx: Sender[int]) -> None:
        with tx:
            await anyio.sleep(1.5)
            await tx.send(7)

    async with Group() as g:
        g.go(produce, ch.sender())
        with ch.receiver() as rx:
            with pytest.raises(TimeoutError):
                await receive(rx, 1)
            assert (await receive(rx, 1), current_time()) == (7, 1.5)
            with pytest.raises(EndOfChannel):
                await receive(rx, 1)
    assert current_time() == 1.5


@each_send
async def test_a_send_times_out_without_leaving_its_item(put: Send) -> None:
    """The item of a timed-out send is never received; the others are."""
    ch: Channel[int] = Channel(2)
    async with Group() as g:
        with ch.sender() as tx:
            await put(tx, 1, 1)
            await put(tx, 2, 1)
            with pytest.raises(TimeoutError):
                await put(tx, 3, 0.5)
            first = g.go(ch.receive)
            await put(tx, 4, 1)
            assert (await first, current_time()) == (1, 0.5)
    assert ch.drain() == [2, 4]


@each_receive
async def test_an_expired_timeout_still_gets_what_is_there(receive: Receive) -> None:
    """No time to wait is no reason to refuse an item that needs no waiting."""
    ch: Channel[int] = Channel(math.inf)
    with ch.sender() as tx, ch.receiver() as rx:
        await tx.send_many([1, 2])
        if receive is selected_receive:  # both are ready: the item has to be preferred
            got = await select(item=recv(rx), late=after(0), priority=True)
            assert got == ("item", 1)
        else:
            assert await receive(rx, 0) == 1
        assert ch.drain() == [2]


@each_receive
@each_send
@pytest.mark.parametrize("capacity", [0, 2, math.inf])
async def test_two_tasks_with_short_timeouts_lose_nothing(
    capacity: float, put: Send, receive: Receive
) -> None:
    """Both try for 10 ms again and again, and pause 50 ms at every other item."""
    ch: Channel[int] = Channel(capacity)

    async def produce(tx: Sender[int]) -> None:
        with tx:
            for i in range(100):
                if i % 2 == 0:
                    await anyio.sleep(0.05)
                while True:
                    try:
                        await put(tx, i, 0.01)
                    except TimeoutError:
                        continue
                    break

    async def consume(rx: Receiver[int]) -> list[int]:
        items: list[int] = []
        with rx:
            while True:
                if len(items) % 2 == 0:
                    await anyio.sleep(0.05)
                try:
                    items.append(await receive(rx, 0.01))
                except TimeoutError:
                    continue
                except EndOfChannel:
                    return items

    async with Group() as g:
        g.go(produce, ch.sender())
        received = g.go(consume, ch.receiver())
    assert await received == list(range(100))


@each_receive
async def test_a_very_long_timeout_is_as_good_as_none(receive: Receive) -> None:
    """Longer than any clock runs."""
    ch: Channel[int] = Channel()
    async with Group() as g:
        with ch.receiver() as rx:
            g.go(ch.send, 1)
            assert await receive(rx, 1e12) == 1
            g.go(ch.send, 2)
            assert await receive(rx, math.inf) == 2
