"""Sending, receiving and closing, interleaving by interleaving.

After Kotlin's BasicOperationsTest, RendezvousChannelTest, BufferedChannelTest,
ConflatedChannelTest, ChannelsTest, and their smaller neighbours.
"""

from __future__ import annotations

from typing import Any

import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import (
    CLOSED,
    Channel,
    ChannelClosed,
    EndOfChannel,
    Group,
    WouldBlock,
    recv,
    select,
)

from .kinds import KINDS, each_kind, make

pytestmark = pytest.mark.anyio


async def log_sends(ch: Channel[int], count: int, log: list[str]) -> None:
    """Note before and after each send."""
    for i in range(count):
        log.append(f"send {i}")
        await ch.send(i)
        log.append(f"sent {i}")


async def log_receives(ch: Channel[int], count: int, log: list[str]) -> None:
    """Note before and after each receive."""
    for _ in range(count):
        log.append("receive")
        log.append(f"received {await ch.receive()}")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("rendezvous", "send 0, receive, received 0, receive, sent 0, send 1, sent 1"),
        ("one", "send 0, sent 0, send 1, receive, received 0, receive, received 1"),
        ("ten", "send 0, sent 0, send 1, sent 1, receive, received 0, receive"),
    ],
    ids=["rendezvous", "one", "ten"],
)
async def test_who_sends_first_waits_only_for_room(kind: str, expected: str) -> None:
    """The steps of a sender that is alone at first, and of a receiver that comes."""
    ch, log = make(kind), list[str]()
    async with Group() as g:
        g.go(log_sends, ch, 2, log)
        await parked()
        g.go(log_receives, ch, 2, log)
    assert ", ".join(log).startswith(expected)


@each_kind
async def test_who_receives_first_is_handed_the_item(kind: str) -> None:
    """Of any kind: the first send does not wait, and the receiver has its item."""
    ch, log = make(kind), list[str]()
    async with Group() as g:
        g.go(log_receives, ch, 1, log)
        await parked()
        log.append("send 7")
        await ch.send(7)
        log.append("sent 7")
    assert log == ["receive", "send 7", "sent 7", "received 7"]


@pytest.mark.parametrize("yields", [False, True])
@each_kind
async def test_a_loop_sees_items_as_they_come(kind: str, yields: bool) -> None:
    """Whether or not it runs between two sends."""
    ch, seen = make(kind), list[int]()

    async def consume() -> None:
        async for item in ch:
            seen.append(item)

    async with Group() as g:
        g.go(consume)
        await parked()
        for item in range(3):
            await ch.send(item)
            if yields:
                await parked()
                assert seen[-1] == item
        ch.close()
    overwritten = kind == "conflated" and not yields
    assert seen == ([0, 2] if overwritten else [0, 1, 2])


@each_kind
async def test_nothing_goes_in_after_the_end(kind: str) -> None:
    """And the channel says so in advance."""
    ch = make(kind)
    assert not ch.closed
    ch.close()
    assert ch.closed
    for _ in range(2):
        with pytest.raises(ChannelClosed):
            ch.send_nowait(1)
        with pytest.raises(ChannelClosed):
            await ch.send(1)
    with pytest.raises(EndOfChannel):
        ch.receive_nowait()


@each_kind
async def test_a_send_from_before_the_end_is_received_after_it(kind: str) -> None:
    """Also one that waits; the end comes behind it."""
    ch = make(kind)
    async with Group() as g:
        sending = g.go(ch.send, 42)
        await parked()
        ch.close()
        await parked()
        assert sending.finished == (kind != "rendezvous")
        assert await recv(ch) == 42
        assert await recv(ch) is CLOSED


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "conflated"])
async def test_room_is_exactly_what_the_capacity_says(kind: str) -> None:
    """So many sends do not wait, and the next one does, if there is a limit."""
    ch, room = make(kind), int(min(KINDS[kind]["capacity"], 100))
    for i in range(room):
        ch.send_nowait(i)
    if kind != "unlimited":
        with pytest.raises(WouldBlock):
            ch.send_nowait(room)
    assert ch.drain() == list(range(room))


async def test_a_conflated_channel_keeps_the_last_item() -> None:
    """Its sender never waits; its receiver sees the latest, also after the end."""
    ch = make("conflated")
    ch.send_nowait(1)
    ch.send_nowait(2)
    assert ch.receive_nowait() == 2
    with pytest.raises(WouldBlock):
        ch.receive_nowait()
    for i in range(1_000):
        await ch.send(i)
    ch.close()
    assert await ch.receive() == 999
    with pytest.raises(EndOfChannel):
        await ch.receive()


async def test_a_conflated_channel_drops_nothing_that_is_waited_for() -> None:
    """An item goes straight to a receiver that is there."""
    ch = make("conflated")
    async with Group() as g:
        waiting = [g.go(ch.receive), g.go(ch.receive)]
        await parked()
        for item in range(3):
            ch.send_nowait(item)
    assert sorted([await handle for handle in waiting]) == [0, 1]
    assert ch.drain() == [2]


@pytest.mark.parametrize("verb", ["receive", "select"])
async def test_the_end_wakes_receivers_in_the_order_in_which_they_came(
    backend: str, verb: str
) -> None:
    """All of them, at once; trio alone shuffles whom it runs first."""
    ch: Channel[int] = Channel()
    woken: list[int] = []

    async def wait(i: int) -> None:
        if verb == "receive":
            with pytest.raises(EndOfChannel):
                await ch.receive()
        else:
            assert await select(recv(ch)) == (0, CLOSED)
        woken.append(i)

    async with Group() as g:
        for i in range(5):
            g.go(wait, i)
            await parked()
        ch.close()
    assert (sorted(woken) if backend == "trio" else woken) == list(range(5))


async def test_senders_that_wait_at_the_end_are_served_in_their_order() -> None:
    """First come, first served, whether they wait in a send or in a select."""
    ch: Channel[int] = Channel(1)
    async with Group() as g:
        for i in range(5):
            g.go(ch.send, i)
            await parked()
        ch.close()
        assert [item async for item in ch] == list(range(5))


async def test_a_channel_may_be_closed_by_many_at_once() -> None:
    """One end is enough for all."""
    for _ in range(50):
        ch: Channel[int] = Channel()
        async with Group() as g:
            ended = g.go(lambda ch: select(recv(ch)), ch)
            for _ in range(3):
                g.go(ch.aclose)
        assert await ended == (0, CLOSED)


async def test_a_large_buffer_takes_no_room_before_it_is_used() -> None:
    """The capacity is a limit, not a size."""
    ch: Channel[Any] = Channel(10**15)
    await ch.send(1)
    assert (ch.capacity, ch.drain()) == (10**15, [1])
