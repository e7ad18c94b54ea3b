"""Select, case by case.

After crossbeam-channel's select.rs and select_macro.rs, which test the same things
through their two faces; `select_nowait` is what they call a default.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest
from anyio import current_time
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Channel,
    ChannelBroken,
    ChannelClosed,
    Group,
    WouldBlock,
    after,
    recv,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio


def channels(count: int, capacity: float = math.inf) -> list[Channel[Any]]:
    """Make some channels."""
    return [Channel(capacity) for _ in range(count)]


@pytest.mark.parametrize("ready", range(5))
async def test_the_one_channel_with_an_item_is_chosen(ready: int) -> None:
    """Wherever in the list it is."""
    chs = channels(5)
    await chs[ready].send("item")
    assert await select(*map(recv, chs)) == (ready, "item")


async def test_the_choice_says_which_by_position_or_name() -> None:
    """A tuple with names: the case, and its value."""
    a, b = channels(2)
    a.send_nowait(1)
    chosen = await select(recv(b), a=recv(a))
    assert (chosen.which, chosen.value) == chosen == ("a", 1)
    chosen = await select(send(b, 2), a=recv(a))
    assert (chosen.which, chosen.value) == chosen == (0, None)
    assert b.drain() == [2]


async def test_a_closed_channel_is_ready() -> None:
    """With CLOSED for an item, as often as it is asked."""
    quiet, closed = channels(2)
    closed.close()
    for _ in range(3):
        assert await select(recv(quiet), recv(closed)) == (1, CLOSED)
        assert select_nowait(recv(quiet), recv(closed)) == (1, CLOSED)


@pytest.mark.clock
async def test_the_end_of_a_channel_wakes_a_select() -> None:
    """At the moment when its last sender closes."""
    quiet, ending = channels(2, 0)

    async def end() -> None:
        with ending.sender():
            await anyio.sleep(0.5)

    async with Group() as g:
        g.go(end)
        chosen = await select(recv(quiet), recv(ending), after(1))
    assert (chosen, current_time()) == ((1, CLOSED), 0.5)


async def test_nothing_ready_is_the_default() -> None:
    """Also when there is nothing to choose from; any ready case goes before it."""
    a, b = channels(2)
    for cases in ([], [recv(a)], [recv(a), recv(b)]):
        with pytest.raises(WouldBlock):
            select_nowait(*cases)
    b.send_nowait(2)
    assert select_nowait(recv(a), recv(b)) == (1, 2)
    a.close()
    assert select_nowait(recv(a), recv(b)) == (0, CLOSED)


@pytest.mark.clock
async def test_a_timeout_is_a_case_like_any_other() -> None:
    """Of two waits of a second, an item of second 1.5 ends the other."""
    quiet, ch = channels(2, 0)

    async def produce() -> None:
        await anyio.sleep(1.5)
        await ch.send(2)

    async with Group() as g:
        g.go(produce)
        assert await select(recv(quiet), recv(ch), late=after(1)) == ("late", 1)
        assert await select(recv(quiet), recv(ch), late=after(1)) == (1, 2)
    assert current_time() == 1.5


@pytest.mark.clock
@pytest.mark.parametrize("seconds", [0, 0.5, 3600])
async def test_a_timeout_alone_lasts_as_long_as_it_says(seconds: float) -> None:
    """With no other case to wait for."""
    assert await select(late=after(seconds)) == ("late", seconds)
    assert current_time() == seconds


@pytest.mark.clock
@pytest.mark.parametrize("capacity", [0, 2])
async def test_neither_default_nor_timeout_hides_the_end(capacity: int) -> None:
    """Closed is ready to receive, and broken is ready to send: that is an error."""
    closed, broken = channels(2, capacity)
    closed.close()
    broken.receiver().close()
    assert select_nowait(recv(closed)) == (0, CLOSED)
    assert await select(recv(closed), after(1)) == (0, CLOSED)
    with pytest.raises(ChannelBroken):
        select_nowait(send(broken, 1))
    with pytest.raises(ChannelBroken):
        await select(send(broken, 1), after(1))
    with pytest.raises(ChannelClosed):
        await select(send(closed, 1), after(1))
    assert current_time() == 0


@pytest.mark.clock
async def test_a_sender_wakes_a_waiting_select() -> None:
    """At the moment when it comes."""
    quiet, ch = channels(2, 0)

    async def meet() -> None:
        await anyio.sleep(0.5)
        await ch.send(2)

    async with Group() as g:
        g.go(meet)
        assert await select(recv(quiet), recv(ch), after(1)) == (1, 2)
    assert current_time() == 0.5


@pytest.mark.clock
async def test_a_receiver_wakes_a_waiting_select() -> None:
    """At the moment when it comes."""
    quiet, ch = channels(2, 0)

    async def meet() -> object:
        await anyio.sleep(0.5)
        return await ch.receive()

    async with Group() as g:
        met = g.go(meet)
        assert await select(send(quiet, 1), send(ch, 2), after(1)) == (1, None)
    assert (await met, current_time()) == (2, 0.5)


async def test_both_partners_are_served_in_two_rounds() -> None:
    """Whichever comes first."""
    ins, outs = channels(2, 0)
    async with Group() as g:
        g.go(ins.send, 1)
        received = g.go(outs.receive)
        await parked()
        chosen = {await select(recv(ins), send(outs, 2)) for _ in range(2)}
    assert chosen == {(0, 1), (1, None)}
    assert await received == 2


async def keep_trying(attempt: Callable[[], object], end: Channel[Any]) -> bool:
    """Say whether an attempt succeeded before `end` was closed."""
    while not end.closed:
        await checkpoint()
        with suppress(WouldBlock):
            attempt()
            return True
    return False


async def test_a_select_is_met_by_operations_that_do_not_wait() -> None:
    """Two tasks try again and again, one to send, one to receive: one gets through."""
    for _ in range(20):
        ins, outs, end = channels(3, 0)
        async with Group() as g:
            sent = g.go(keep_trying, partial(ins.send_nowait, 1), end)
            received = g.go(keep_trying, outs.receive_nowait, end)
            for _ in range(5):
                await checkpoint()
            chosen = await select(sent=recv(ins), received=send(outs, 2))
            end.close()
        assert await sent == (chosen.which == "sent")
        assert await received == (chosen.which == "received")


async def test_handles_that_come_and_go_do_not_wake_a_select() -> None:
    """Only an item does, or the end of the last one."""
    ch, quiet = channels(2, 0)
    async with Group() as g:
        with ch.sender() as tx, ch.receiver() as rx, quiet.sender() as other:
            waiting = g.go(select, recv(ch), recv(quiet))
            await parked()
            for handle in (tx, rx, other):
                handle.clone().close()
            await parked()
            assert not waiting.finished
            with tx.clone() as clone:
                await clone.send(1)
            assert await waiting == (0, 1)


@pytest.mark.parametrize(
    ("items", "close", "expected"),
    [([1], False, 1), ([1], True, 1), ([], True, CLOSED)],
    ids=["sent", "sent and closed", "closed"],
)
async def test_what_was_ready_before_the_select_is_chosen(
    items: list[int], close: bool, expected: object
) -> None:
    """An item goes before the end."""
    ch, quiet = channels(2)
    await ch.send_many(items)
    if close:
        ch.close()
    assert await select(recv(quiet), recv(ch)) == (1, expected)


async def test_each_of_four_cases_of_one_channel_wins_in_time() -> None:
    """Two receives and two sends, again and again until all four have won."""
    (ch,) = channels(1)
    won: set[int | str] = set()
    while len(won) < 4:
        chosen = await select(recv(ch), recv(ch), send(ch, 1), send(ch, 1))
        won.add(chosen.which)
    ch.drain()


async def test_selects_nest() -> None:
    """Four deep, each in the chosen branch of the one around it."""
    (ch,) = channels(1)
    match await select(sent=send(ch, 1)):
        case "sent", _:
            match await select(item=recv(ch)):
                case "item", 1:
                    match await select(sent=send(ch, 2)):
                        case "sent", _:
                            assert await select(item=recv(ch)) == ("item", 2)
                            return
    raise AssertionError


async def test_operands_are_evaluated_before_anything_is_chosen() -> None:
    """So one may receive from the very channel that the select sends to."""
    ch: Channel[int] = Channel(2)
    await ch.send_many([1, 2])
    for _ in range(10):
        await select(send(ch, await ch.receive()), send(ch, await ch.receive()))
        await ch.send(0)
    assert len(ch.drain()) == 2


async def test_an_operand_that_raises_leaves_the_channels_as_they_were() -> None:
    """The other cases are neither done nor left waiting."""
    a, b = channels(2, 1)
    a.send_nowait(1)

    def fail() -> Channel[Any]:
        raise LookupError

    with pytest.raises(LookupError):
        await select(recv(a), send(b, 2), recv(fail()))
    assert (a.drain(), b.drain()) == ([1], [])


@pytest.mark.clock
async def test_a_select_on_both_ends_does_not_meet_itself() -> None:
    """Without a buffer it waits; with one the send goes in."""
    rendezvous, buffered = Channel[int](), Channel[int](1)
    for _ in range(10):
        cases = (recv(rendezvous), send(rendezvous, 1))
        assert (await select(*cases, late=after(0.1))).which == "late"
    assert await select(recv(buffered), send(buffered, 1)) == (1, None)
    assert buffered.drain() == [1]


async def test_a_clone_can_complete_what_its_original_cannot_any_more() -> None:
    """Each handle is closed by itself, also where an operation is kept for later."""
    (ch,) = channels(1)
    rx = ch.receiver()
    with rx.clone() as clone, ch.sender() as tx:
        kept = recv(clone)
        rx.close()
        await tx.send(1)
        assert await select(kept) == (0, 1)
        with pytest.raises(ChannelClosed):
            await select(recv(rx))
