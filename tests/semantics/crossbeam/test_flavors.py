"""What each flavour of channel does, step by step.

After crossbeam-channel's zero.rs, array.rs and list.rs: the same tests there for
channels without a buffer, with a bounded one, and with an unbounded one.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio import current_time
from anyio import wait_all_tasks_blocked as parked

from csp import (
    Channel,
    ChannelBroken,
    EndOfChannel,
    Group,
    Receiver,
    Sender,
    WouldBlock,
    recv,
    select,
    send,
)

pytestmark = pytest.mark.anyio

each_flavor = pytest.mark.parametrize("capacity", [0, 1, 3, math.inf])
each_buffered = pytest.mark.parametrize("capacity", [1, 3, math.inf])


@each_buffered
async def test_what_goes_in_comes_out(capacity: float) -> None:
    """A buffered item waits for whoever takes it, with and without waiting."""
    ch: Channel[int] = Channel(capacity)
    ch.send_nowait(7)
    assert ch.receive_nowait() == 7
    await ch.send(8)
    assert await ch.receive() == 8
    with pytest.raises(WouldBlock):
        ch.receive_nowait()


async def test_a_rendezvous_holds_nothing_by_itself() -> None:
    """Without a buffer an item needs somebody at the other end."""
    ch: Channel[int] = Channel()
    with pytest.raises(WouldBlock):
        ch.send_nowait(7)
    with pytest.raises(WouldBlock):
        ch.receive_nowait()
    async with Group() as g:
        g.go(ch.send, 8)
        assert await ch.receive() == 8
        got = g.go(ch.receive)
        await parked()
        ch.send_nowait(9)
        assert await got == 9


@pytest.mark.parametrize("capacity", [*range(10), 10_000, math.inf])
async def test_the_capacity_is_the_one_asked_for(capacity: float) -> None:
    """Of any flavour, and whichever end is asked."""
    ch: Channel[int] = Channel(capacity)
    with ch.sender() as tx, ch.receiver() as rx:
        assert (ch.capacity, tx.capacity, rx.capacity) == (capacity,) * 3


async def test_the_length_follows_each_step_of_a_buffer() -> None:
    """Empty, in between, full, and back."""
    ch: Channel[int] = Channel(2)
    lengths = [len(ch)]
    for step in (ch.send(0), ch.send(1), ch.receive(), ch.send(2), ch.receive()):
        await step
        lengths.append(len(ch))
    assert lengths == [0, 1, 2, 1, 2, 1]
    assert ch.drain() == [2]


async def test_a_rendezvous_is_empty_and_full_at_once() -> None:
    """What a waiting sender holds is not in the channel."""
    ch: Channel[int] = Channel()
    async with Group() as g:
        g.go(ch.send, 1)
        await parked()
        assert len(ch) == 0
        assert ch.statistics().senders_waiting == 1
        await ch.receive()
        assert len(ch) == 0


@each_flavor
@pytest.mark.clock
async def test_receive_nowait_sees_nothing_then_an_item_then_the_end(
    capacity: float,
) -> None:
    """An item of second 1 is there at 1.5; after the sender has gone, the end."""
    ch: Channel[int] = Channel(capacity)

    async def produce(tx: Sender[int]) -> None:
        with tx:
            await anyio.sleep(1)
            await tx.send(7)

    async with Group() as g:
        g.go(produce, ch.sender())
        with pytest.raises(WouldBlock):
            ch.receive_nowait()
        await anyio.sleep(1.5)
        assert ch.receive_nowait() == 7
        await anyio.sleep(0.5)
        with pytest.raises(EndOfChannel):
            ch.receive_nowait()


@each_flavor
@pytest.mark.clock
async def test_receive_waits_for_the_sender_and_then_for_its_end(
    capacity: float,
) -> None:
    """Three items come as soon as there are any, and then the end."""
    ch: Channel[int] = Channel(capacity)

    async def produce(tx: Sender[int]) -> None:
        with tx:
            await anyio.sleep(1.5)
            await tx.send_many([7, 8, 9])

    received = []
    async with Group() as g:
        g.go(produce, ch.sender())
        for _ in range(3):
            received.append((await ch.receive(), current_time()))
            await anyio.sleep(1)
        with pytest.raises(EndOfChannel):
            await ch.receive()
    assert received == [(7, 1.5), (8, 2.5), (9, 3.5)]


@pytest.mark.clock
async def test_send_nowait_meets_room_then_none_then_nobody() -> None:
    """Room for one; full; a reader made room; the reader has gone."""
    ch: Channel[int] = Channel(1)

    async def consume(rx: Receiver[int]) -> None:
        with rx:
            await anyio.sleep(1)
            assert await rx.receive() == 1
            await anyio.sleep(0.75)
            assert await rx.receive() == 3

    async with Group() as g:
        g.go(consume, ch.receiver())
        ch.send_nowait(1)
        with pytest.raises(WouldBlock):
            ch.send_nowait(2)
        await anyio.sleep(1.5)
        ch.send_nowait(3)
        await anyio.sleep(0.5)
        with pytest.raises(ChannelBroken) as gone:
            ch.send_nowait(4)
    assert gone.value.item == 4


async def send_now(ch: Channel[str], item: str) -> None:
    """Send without waiting."""
    ch.send_nowait(item)


@each_flavor
@pytest.mark.parametrize(
    "put",
    [
        pytest.param(lambda ch, item: ch.send(item), id="send"),
        pytest.param(send_now, id="send_nowait"),
        pytest.param(lambda ch, item: ch.send_many([item]), id="send_many"),
        pytest.param(lambda ch, item: select(send(ch, item)), id="select"),
    ],
)
async def test_a_send_that_nobody_will_receive_gives_the_item_back(
    capacity: float, put: Callable[[Channel[str], str], Awaitable[object]]
) -> None:
    """However it was sent, the item is in the error."""
    ch: Channel[str] = Channel(capacity)
    ch.receiver().close()
    with pytest.raises(ChannelBroken) as gone:
        await put(ch, "mine")
    assert gone.value.item == "mine"
    assert ch.statistics().sent == 0


@each_flavor
async def test_what_was_sent_before_the_end_is_received_before_it(
    capacity: float,
) -> None:
    """Items first, parked ones too; then the end, for ever."""
    ch: Channel[int] = Channel(capacity)
    async with Group() as g:
        for item in (1, 2, 3):
            g.go(ch.send, item)
            await parked()
        ch.close()
        assert [await ch.receive() for _ in range(3)] == [1, 2, 3]
    for _ in range(2):
        with pytest.raises(EndOfChannel):
            await ch.receive()
        with pytest.raises(EndOfChannel):
            ch.receive_nowait()


@pytest.mark.parametrize("capacity", [0, 1])
@pytest.mark.clock
async def test_the_last_receivers_end_wakes_a_parked_sender(capacity: int) -> None:
    """At that very moment, and with its item."""
    ch: Channel[int] = Channel(capacity)

    async def consume(rx: Receiver[int]) -> None:
        with rx:
            await anyio.sleep(1)

    async with Group() as g:
        g.go(consume, ch.receiver())
        with pytest.raises(ChannelBroken) as gone:
            await ch.send_many([1, 2])
    assert (gone.value.item, current_time()) == (capacity + 1, 1)
    assert ch.drain() == [1][:capacity]


@each_flavor
@pytest.mark.clock
async def test_the_last_senders_end_wakes_a_parked_receiver(capacity: float) -> None:
    """At that very moment, whichever way it waits."""
    ch: Channel[int] = Channel(capacity)

    async def idle(tx: Sender[int]) -> None:
        with tx:
            await anyio.sleep(1)

    async with Group() as g:
        g.go(idle, ch.sender())
        selected = g.go(select, recv(ch))
        with pytest.raises(EndOfChannel):
            await ch.receive()
        assert (await selected).which == 0
    assert current_time() == 1
