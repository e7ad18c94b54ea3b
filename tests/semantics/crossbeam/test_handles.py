"""Senders and receivers, opened and closed in every order.

After crossbeam-channel's mpsc.rs, which has Rust's own channel tests: its `smoke`,
`port_gone`, `chan_gone`, `oneshot` and `peek` families.  A port is a `Receiver` here,
and a chan a `Sender`.
"""

from __future__ import annotations

import math

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
)

pytestmark = pytest.mark.anyio

each_flavor = pytest.mark.parametrize("capacity", [0, 1, math.inf])
each_buffered = pytest.mark.parametrize("capacity", [1, math.inf])
each_end = pytest.mark.parametrize("senders", [1, 3])


def ends(capacity: float, senders: int = 1) -> tuple[list[Sender[int]], Receiver[int]]:
    """Open a channel by its handles."""
    ch: Channel[int] = Channel(capacity, on_undelivered=lambda item: None)
    return [ch.sender() for _ in range(senders)], ch.receiver()


@each_flavor
@each_end
async def test_items_of_all_senders_arrive(capacity: float, senders: int) -> None:
    """And when the last of them has closed, so does the end."""
    txs, rx = ends(capacity, senders)

    async def produce(tx: Sender[int], item: int) -> None:
        with tx:
            await tx.send(item)

    async with Group() as g:
        for item, tx in enumerate(txs):
            g.go(produce, tx, item)
        with rx:
            assert sorted([item async for item in rx]) == list(range(senders))


@each_flavor
@each_end
async def test_no_sender_can_send_to_a_receiver_that_has_gone(
    capacity: float, senders: int
) -> None:
    """Also one that was opened before, or cloned after."""
    txs, rx = ends(capacity, senders)
    rx.close()
    for tx in (*txs, txs[0].clone()):
        with tx, pytest.raises(ChannelBroken):
            await tx.send(1)


@each_flavor
@each_end
async def test_a_receiver_learns_that_all_senders_have_gone(
    capacity: float, senders: int
) -> None:
    """Not while one of them is left."""
    txs, rx = ends(capacity, senders)
    with rx:
        for tx in txs:
            with pytest.raises(WouldBlock):
                rx.receive_nowait()
            tx.close()
        with pytest.raises(EndOfChannel):
            rx.receive_nowait()
        with pytest.raises(EndOfChannel):
            await rx.receive()


@each_flavor
@pytest.mark.parametrize("first", ["sender", "receiver"])
async def test_ends_close_in_either_order(capacity: float, first: str) -> None:
    """Without a sound."""
    (tx,), rx = ends(capacity)
    handles = (tx, rx) if first == "sender" else (rx, tx)
    for handle in handles:
        handle.close()
    assert (tx.closed, rx.closed) == (True, True)


@each_buffered
async def test_a_sent_item_outlives_its_sender(capacity: float) -> None:
    """It is received first, then the end."""
    (tx,), rx = ends(capacity)
    with tx:
        tx.send_nowait(10)
    with rx:
        assert await rx.receive() == 10
        with pytest.raises(EndOfChannel):
            await rx.receive()


@each_buffered
async def test_looking_again_and_again_tells_the_same(capacity: float) -> None:
    """Nothing, then an item once, then nothing, then the end for ever."""
    (tx,), rx = ends(capacity)
    with rx:
        seen: list[object] = []

        def look() -> None:
            for _ in range(2):
                try:
                    seen.append(rx.receive_nowait())
                except (WouldBlock, EndOfChannel) as nothing:
                    seen.append(type(nothing))

        look()
        tx.send_nowait(10)
        look()
        tx.close()
        look()
    assert seen == [WouldBlock, WouldBlock, 10, WouldBlock, EndOfChannel, EndOfChannel]


@each_flavor
@pytest.mark.parametrize("event", ["sent", "closed"])
async def test_who_waits_first_learns_what_happens(capacity: float, event: str) -> None:
    """The receiver is there before the item, or before the end."""
    (tx,), rx = ends(capacity)
    with rx, tx:
        async with Group() as g:
            got = g.go(perform, recv(rx))
            await parked()
            if event == "sent":
                await tx.send(10)
            else:
                tx.close()
    assert await got == (10 if event == "sent" else CLOSED)


async def perform(op: Operation[object]) -> object:
    """Wait for `op`, as a task of its own."""
    return await op


@each_flavor
async def test_a_closed_handle_is_of_no_more_use(capacity: float) -> None:
    """Not even for what the channel could do; other handles are."""
    (tx, other), rx = ends(capacity, senders=2)
    tx.close()
    with rx, other:
        for use in (lambda: tx.send_nowait(1), tx.clone):
            with pytest.raises(ChannelClosed):
                use()
        with pytest.raises(ChannelClosed) as closed:
            await tx.send(1)
        assert closed.value.item == 1
        async with Group() as g:
            g.go(other.send, 2)
            assert await rx.receive() == 2
