"""Races between operations that wait and operations that do not.

After pygolang's golang_test.py, whose runs of a thousand are kept.  Unlike there, a
channel may be closed twice, and senders that wait at its end are still served.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable

import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Channel,
    ChannelClosed,
    EndOfChannel,
    Group,
    Operation,
    WouldBlock,
    recv,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio

Scale = Callable[[int, int], int]


def assert_quiet(*channels: Channel[int]) -> None:
    """Check that the channels are empty and nobody waits at them."""
    for ch in channels:
        now = ch.statistics()
        assert (now.length, now.senders_waiting, now.receivers_waiting) == (0, 0, 0)


async def test_a_channel_that_was_closed_before_use() -> None:
    """Nothing goes in, and the end comes out, in all ways."""
    ch: Channel[int] = Channel()
    ch.close()
    ch.close()
    with pytest.raises(ChannelClosed):
        await ch.send(1)
    with pytest.raises(EndOfChannel):
        await ch.receive()
    assert await recv(ch) is CLOSED
    assert [item async for item in ch] == []


@pytest.mark.parametrize("count", [1, 3])
async def test_the_end_wakes_whoever_waits_to_receive(count: int) -> None:
    """One task, or three."""
    ch: Channel[int] = Channel()
    async with Group() as g:
        waiting = [g.go(select, recv(ch)) for _ in range(count)]
        await parked()
        ch.close()
    assert [await handle for handle in waiting] == [(0, CLOSED)] * count
    assert_quiet(ch)


async def test_a_buffer_of_three_step_by_step() -> None:
    """Its length after each send; the fourth waits; closed with items in it."""
    ch: Channel[int] = Channel(3)
    for i in range(3):
        assert len(ch) == i
        await ch.send(i)
    async with Group() as g:
        fourth = g.go(ch.send, 3)
        await parked()
        assert (len(ch), fourth.finished) == (3, False)
        assert await ch.receive() == 0
        assert len(ch) == 3
    ch.close()
    assert [await ch.receive() for _ in range(3)] == [1, 2, 3]
    assert await recv(ch) is CLOSED


async def test_items_go_with_their_channel() -> None:
    """What was in the buffer is not kept by anything else."""

    class Item:
        pass

    ch: Channel[Item] = Channel(3, on_undelivered=lambda item: None)
    remains = []
    for _ in range(3):
        item = Item()
        remains.append(weakref.ref(item))
        ch.send_nowait(item)
    del item
    assert all(ref() for ref in remains)
    del ch
    gc.collect()
    assert not any(ref() for ref in remains)


async def test_a_matched_item_cannot_be_stolen_by_a_look(scale: Scale) -> None:
    """From a receiver that was woken and has not run yet, however often it happens."""
    ch: Channel[int] = Channel(1)
    count = scale(300, 1_000)

    async def consume() -> None:
        for i in range(count):
            assert await ch.receive() == i

    async with Group() as g:
        g.go(consume)
        for i in range(count):
            while not ch.statistics().receivers_waiting:
                await checkpoint()
            ch.send_nowait(i)
            for look in (ch.receive_nowait, lambda: select_nowait(recv(ch))):
                with pytest.raises(WouldBlock):
                    look()
    assert_quiet(ch)


async def test_room_cannot_be_stolen_by_a_look(scale: Scale) -> None:
    """From a sender that was woken and has not run yet, however often it happens."""
    ch: Channel[int] = Channel(1)
    count = scale(300, 1_000)

    async def produce() -> None:
        for i in range(count):
            await ch.send(i)

    async with Group() as g:
        g.go(produce)
        for i in range(count):
            while i + 1 < count and not ch.statistics().senders_waiting:
                await checkpoint()
            assert ch.receive_nowait() == i
            if i + 1 < count:
                for look in (ch.send_nowait, lambda i: select_nowait(send(ch, i))):
                    with pytest.raises(WouldBlock):
                        look(-1)
    assert_quiet(ch)


async def test_one_channel_both_ways(scale: Scale) -> None:
    """There and back through the same rendezvous, and nobody meets itself."""
    ch: Channel[int] = Channel()
    count = scale(300, 1_000)

    async def echo() -> None:
        for _ in range(count):
            await ch.send(await ch.receive() + 1)

    async with Group() as g:
        g.go(echo)
        for i in range(count):
            await ch.send(i)
            assert await ch.receive() == i + 1
    assert_quiet(ch)


async def test_ping_pong_with_oneself_by_select() -> None:
    """On a buffer of one, a send and a receive are ready by turns."""
    ch: Channel[int] = Channel(1)
    chosen = [await select(send(ch, i), recv(ch)) for i in range(10)]
    assert chosen == [(0, None) if i % 2 == 0 else (1, i - 1) for i in range(10)]
    assert_quiet(ch)


async def test_tries_among_two_channels(scale: Scale) -> None:
    """None is ready, then one sender waits, then one receiver."""
    a, b = Channel[int](), Channel[int]()
    for i in range(scale(100, 1_000)):
        with pytest.raises(WouldBlock):
            select_nowait(recv(a), send(b, i))
        async with Group() as g:
            g.go(a.send, i)
            while not a.statistics().senders_waiting:
                await checkpoint()
            assert select_nowait(recv(a), recv(b)) == (0, i)
            received = g.go(b.receive)
            while not b.statistics().receivers_waiting:
                await checkpoint()
            assert select_nowait(recv(a), send(b, i)) == (1, None)
        assert await received == i
    assert_quiet(a, b)


def sends(a: Channel[int], b: Channel[int]) -> tuple[Operation[object], ...]:
    """Make a choice of two sends."""
    return send(a, 1), send(b, 2)


def receives(a: Channel[int], b: Channel[int]) -> tuple[Operation[object], ...]:
    """Make a choice of two receives."""
    return recv(a), recv(b)


def send_or_receive(a: Channel[int], b: Channel[int]) -> tuple[Operation[object], ...]:
    """Make a choice of a send and a receive."""
    return send(a, 1), recv(b)


def receive_or_send(a: Channel[int], b: Channel[int]) -> tuple[Operation[object], ...]:
    """Make a choice of a receive and a send."""
    return recv(a), send(b, 2)


FACING = [(sends, receives), (send_or_receive, receive_or_send)]


@pytest.mark.parametrize("partner", [0, 1])
@pytest.mark.parametrize("make", [f for pair in FACING for f in pair])
async def test_a_select_that_waits_is_ended_by_one_partner(
    make: Callable[..., tuple[Operation[object], ...]], partner: int, scale: Scale
) -> None:
    """By either of its channels; afterwards nothing is left in the other."""
    a, b = Channel[int](), Channel[int]()
    for _ in range(scale(100, 1_000)):
        ch = (a, b)[partner]
        async with Group() as g:
            chosen = g.go(select, *make(a, b))
            while not sum(waiting(ch)):
                await checkpoint()
            if waiting(ch)[0]:
                assert await ch.receive() == partner + 1
            else:
                await ch.send(partner + 1)
        value = (await chosen).value
        assert (await chosen).which == partner
        assert value in {None, partner + 1}
        assert_quiet(a, b)


def waiting(ch: Channel[int]) -> tuple[int, int]:
    """Count who waits to send and to receive."""
    now = ch.statistics()
    return now.senders_waiting, now.receivers_waiting


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("mine", "theirs"), FACING)
async def test_selects_that_face_each_other_meet_once(
    mine: Callable[..., tuple[Operation[object], ...]],
    theirs: Callable[..., tuple[Operation[object], ...]],
    shared: bool,
    scale: Scale,
) -> None:
    """Both choose the same channel, and a won select has no effect afterwards."""
    a, b = Channel[int](), Channel[int]()
    for i in range(scale(200, 1_000)):
        if not shared:
            a, b = Channel(), Channel()
        async with Group() as g:
            first = g.go(select, *mine(a, b))
            if i % 2:
                await checkpoint()
            second = g.go(select, *theirs(a, b))
        which, sent = await first
        other, received = await second
        assert which == other
        assert {sent, received} == {None, (1, 2)[int(which)]}
        assert_quiet(a, b)


async def test_a_select_refers_to_its_item_no_longer_than_it_lasts() -> None:
    """Neither after a default nor after an error."""
    ch: Channel[object] = Channel()
    item = object()
    before = sys.getrefcount(item)
    with pytest.raises(WouldBlock):
        select_nowait(send(ch, item), recv(ch))
    assert sys.getrefcount(item) == before
    ch.close()
    with pytest.raises(ChannelClosed):
        select_nowait(send(ch, item))
    gc.collect()
    assert sys.getrefcount(item) == before


@pytest.mark.parametrize(
    "cases",
    [(), (None,), (None, None), (recv(None), send(None, 1))],
    ids=["nothing", "none", "nones", "nil channels"],
)
async def test_a_select_of_nothing_waits_for_ever(
    cases: tuple[Operation[object] | None, ...],
) -> None:
    """Until it is cancelled; and it is never ready."""
    with pytest.raises(WouldBlock):
        select_nowait(*cases)
    async with Group() as g:
        waiting = g.go(select, *cases)
        await parked()
        assert not waiting.finished
        g.cancel()
    assert waiting.finished


async def test_a_case_of_none_is_passed_over() -> None:
    """And keeps its position."""
    ch: Channel[int] = Channel(1)
    for _ in range(20):
        assert await select(recv(None), None, send(ch, 1), send(None, 2)) == (2, None)
        assert await select(None, recv(ch), recv(None)) == (1, 1)
