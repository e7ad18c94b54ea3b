"""Handles, ownership and statistics.

After the tests of trio's memory channels, which csp's handles are modelled on.
"""

from __future__ import annotations

import math
from itertools import chain

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import (
    CLOSED,
    Channel,
    ChannelBroken,
    ChannelClosed,
    EndOfChannel,
    Group,
    Operation,
    Receiver,
    Sender,
    WouldBlock,
    recv,
    select,
    send,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("capacity", [1.0, 1.5, "1", None, True, math.nan, -math.inf])
async def test_a_capacity_that_is_no_number_of_items_is_refused(
    capacity: object,
) -> None:
    """With the value in the message."""
    with pytest.raises(TypeError, match=str(capacity)):
        Channel(capacity)  # type: ignore[arg-type]


async def test_a_negative_capacity_is_refused() -> None:
    """There is no such buffer."""
    with pytest.raises(ValueError, match="-1"):
        Channel(-1)


async def test_a_buffer_fills_and_empties() -> None:
    """Step by step, with and without waiting."""
    ch: Channel[int | None] = Channel(2)
    with ch.sender() as tx:
        with pytest.raises(WouldBlock):
            ch.receive_nowait()
        tx.send_nowait(1)
        await tx.send(None)
        with pytest.raises(WouldBlock):
            tx.send_nowait(3)
        assert ch.receive_nowait() == 1
        assert await ch.receive() is None
        with pytest.raises(WouldBlock):
            ch.receive_nowait()
        await tx.send(4)
    assert [item async for item in ch] == [4]


async def test_a_receive_after_a_cancelled_one_gets_the_item() -> None:
    """The cancelled one does not swallow what is sent after it, nor its wake-up."""
    ch: Channel[int] = Channel(1)
    with anyio.move_on_after(0) as scope:
        await ch.receive()
    assert scope.cancelled_caught
    await ch.send(7)
    assert await ch.receive() == 7


async def test_producers_and_consumers_in_any_number() -> None:
    """All items arrive, and every consumer has its share."""
    ch: Channel[int] = Channel()
    shares: list[list[int]] = []

    async def produce(tx: Sender[int], items: range) -> None:
        async with tx:
            for item in items:
                await tx.send(item)

    async def consume(rx: Receiver[int]) -> None:
        share: list[int] = []
        shares.append(share)
        async with rx:
            async for item in rx:
                share.append(item)
                await parked()

    async with Group() as g:
        with ch.sender() as tx, ch.receiver() as rx:
            for i in range(3):
                g.go(consume, rx.clone())
                g.go(produce, tx.clone(), range(10 * i, 10 * i + 10))
    assert sorted(chain(*shares)) == list(range(30))
    assert all(shares)


async def test_the_last_handle_decides() -> None:
    """Closing one of two changes nothing for the other."""
    ch: Channel[int] = Channel(3)
    tx, rx = ch.sender(), ch.receiver()
    other_tx, other_rx = tx.clone(), rx.clone()
    tx.send_nowait(1)
    tx.close()
    rx.close()
    other_tx.send_nowait(2)
    assert [other_rx.receive_nowait() for _ in range(2)] == [1, 2]
    other_tx.close()
    with pytest.raises(EndOfChannel):
        other_rx.receive_nowait()
    other_rx.close()
    with pytest.raises(ChannelBroken):
        ch.send_nowait(3)


async def perform(op: Operation[object]) -> object:
    """Wait for `op`; returns its value, or the type of its error."""
    try:
        return await op
    except (ChannelClosed, ChannelBroken) as error:
        return type(error)


@pytest.mark.parametrize("selects", [False, True])
async def test_closing_a_sender_wakes_its_own_waiters_alone(selects: bool) -> None:
    """They have their items back; those at another handle go on waiting."""
    ch: Channel[str] = Channel()
    put = put_selected if selects else put_plain
    with ch.sender() as other:
        async with Group() as g:
            with ch.sender() as tx:
                mine = [g.go(put, tx, item) for item in "ab"]
                theirs = g.go(put, other, "c")
                await parked()
            await parked()
            assert [await handle for handle in mine] == ["a", "b"]
            assert not theirs.finished
            assert await ch.receive() == "c"
        assert await theirs is None


async def put_plain(tx: Sender[str], item: str) -> object:
    """Send by the method; returns the item that was not sent."""
    try:
        await tx.send(item)
    except ChannelClosed as closed:
        return closed.item
    return None


async def put_selected(tx: Sender[str], item: str) -> object:
    """Send as one of two cases; returns the item that was not sent."""
    try:
        await select(send(tx, item), recv(Channel[int]()))
    except ChannelClosed as closed:
        return closed.item
    return None


async def test_closing_a_receiver_wakes_its_own_waiters_alone() -> None:
    """They get ChannelClosed; those at another handle go on waiting."""
    ch: Channel[int] = Channel()
    with ch.receiver() as other:
        async with Group() as g:
            with ch.receiver() as rx:
                mine = [g.go(perform, recv(rx)) for _ in range(2)]
                theirs = g.go(perform, recv(other))
                await parked()
            await parked()
            assert [await handle for handle in mine] == [ChannelClosed] * 2
            assert not theirs.finished
            await ch.send(7)
        assert await theirs == 7


async def test_closing_the_last_receiver_wakes_the_senders_with_another_error() -> None:
    """Theirs is a broken channel, not a closed handle."""
    ch: Channel[int] = Channel(1)
    ch.send_nowait(0)
    async with Group() as g:
        with ch.receiver():
            sent = [g.go(perform, send(ch, item)) for item in (1, 2)]
            await parked()
    assert [await handle for handle in sent] == [ChannelBroken] * 2
    assert ch.drain() == [0]


async def test_a_matched_item_belongs_to_whom_it_was_matched_with() -> None:
    """Nobody can take it who comes before its receiver has run."""
    ch: Channel[int] = Channel(1)
    async with Group() as g:
        received = g.go(ch.receive)
        await parked()
        ch.send_nowait(1)
        with pytest.raises(WouldBlock):
            ch.receive_nowait()
        assert await received == 1


async def test_room_belongs_to_the_sender_that_waited_for_it() -> None:
    """Nobody can fill it who comes before that sender has run."""
    ch: Channel[int] = Channel(1)
    async with Group() as g:
        ch.send_nowait(1)
        g.go(ch.send, 2)
        await parked()
        assert ch.receive_nowait() == 1
        with pytest.raises(WouldBlock):
            ch.send_nowait(3)
        assert await ch.receive() == 2


async def test_a_rendezvous_is_a_checkpoint_for_who_waits() -> None:
    """For the one that comes first; the other need not wait."""
    ch: Channel[int] = Channel()
    log = list[str]()

    async def receive_all() -> None:
        async for item in ch:
            log.append(f"received {item}")

    async with Group() as g:
        g.go(receive_all)
        await parked()
        await ch.send(1)
        log.append("sent 1")
        await ch.send(2)
        log.append("sent 2")
        ch.close()
    assert log == ["sent 1", "received 1", "received 2", "sent 2"]


async def test_any_number_of_items_fits_where_there_is_no_limit() -> None:
    """No send waits, and none would block."""
    ch: Channel[int] = Channel(math.inf)
    for i in range(10_000):
        ch.send_nowait(i)
    await ch.send(10_000)
    assert ch.drain() == list(range(10_001))


async def test_the_statistics_follow_each_step() -> None:
    """What is in the buffer, who waits, what is open, and what has been."""
    ch: Channel[int] = Channel(2)

    def look() -> tuple[int, ...]:
        now = ch.statistics()
        return now.length, now.senders_waiting, now.receivers_waiting

    tx, rx = ch.sender(), ch.receiver()
    assert look() == (0, 0, 0)
    async with Group() as g:
        for i, expected in enumerate([(1, 0, 0), (2, 0, 0), (2, 1, 0), (2, 2, 0)]):
            g.go(tx.send, i)
            await parked()
            assert look() == expected
        for expected in [(2, 1, 0), (2, 0, 0), (1, 0, 0), (0, 0, 0)]:
            await rx.receive()
            assert look() == expected
        g.go(perform, recv(rx))
        g.go(select, recv(rx), recv(ch))
        await parked()
        assert look() == (0, 0, 3)
        with tx.clone(), rx.clone(), rx.clone():
            now = ch.statistics()
            assert (now.open_senders, now.open_receivers) == (2, 3)
        tx.close()
    now = ch.statistics()
    assert (now.open_senders, now.open_receivers) == (0, 1)
    assert (now.sent, now.received, now.undelivered, now.high_water) == (4, 4, 0, 2)
    assert await recv(rx) is CLOSED
    rx.close()
