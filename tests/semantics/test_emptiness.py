"""Waiting until a channel is empty: nothing in its buffer, and nobody with an item."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import (
    Channel,
    ChannelBroken,
    ChannelClosed,
    Group,
    Handle,
    Receiver,
    Sender,
    WouldBlock,
    recv,
    select,
    send,
)

pytestmark = pytest.mark.anyio

Wait = Callable[[Sender[str], Channel[str]], Awaitable[Any]]
Part = Callable[[Channel[str], Sender[str], Receiver[str], Handle[Any]], Any]

WAITS: dict[str, Wait] = {
    "send": lambda tx, _: tx.send("x"),
    "send_many": lambda tx, _: tx.send_many(["x"]),
    "select": lambda tx, other: select(send(tx, "x"), recv(other)),
}
# How one who waits with an item can part from it, or leave with it.
PARTS: dict[str, Part] = {
    "is met": lambda ch, tx, rx, task: rx.receive_nowait(),
    "is cancelled": lambda ch, tx, rx, task: task.cancel(),
    "loses its handle": lambda ch, tx, rx, task: tx.close(),
    "is drained": lambda ch, tx, rx, task: ch.drain(),
    "loses the receiver": lambda ch, tx, rx, task: rx.close(),
}
ONE_AT_A_TIME = list(PARTS)[:3]


async def quietly(wait: Awaitable[Any]) -> None:
    with suppress(ChannelClosed, ChannelBroken):
        await wait


@pytest.mark.parametrize("capacity", [0, 1])
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
async def test_the_last_one_with_an_item_goes(
    wait: Wait, part: Part, capacity: int
) -> None:
    """Then the channel is empty, once its buffer is, and all who wait for it know."""
    ch: Channel[str] = Channel(capacity)
    with ch.sender(), ch.receiver() as rx, ch.sender() as tx:
        await ch.send_many("b" * capacity)
        async with Group() as g:
            task = g.go(quietly, wait(tx, Channel()))
            await parked()
            idlers = [g.go(ch.wait_empty), g.go(ch.wait_empty)]
            await parked()
            part(ch, tx, rx, task)
            await parked()
            if capacity and ch.statistics().length:
                assert not any(idler.finished for idler in idlers)
                ch.drain()


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("part", ONE_AT_A_TIME)
async def test_another_one_with_an_item_stays(wait: Wait, part: str) -> None:
    """The channel is not empty before that one has gone too."""
    ch: Channel[str] = Channel()
    with ch.sender(), ch.receiver() as rx, ch.sender() as tx:
        async with Group() as g:
            task = g.go(quietly, wait(tx, Channel()))
            await parked()
            g.go(ch.send, "y")
            idler = g.go(ch.wait_empty)
            await parked()
            PARTS[part](ch, tx, rx, task)
            await parked()
            assert not idler.finished
            assert ch.receive_nowait() == "y"


async def test_a_select_that_chose_something_else_has_gone() -> None:
    """The item that it would have sent is not in the way any more."""
    ch: Channel[str] = Channel()
    other: Channel[str] = Channel()
    async with Group() as g:
        g.go(select, send(ch, "x"), recv(other))
        await parked()
        g.go(ch.wait_empty)
        await parked()
        await other.send("y")


async def test_emptiness_is_missed_by_nobody() -> None:
    """However short: who waits is told, though more comes in the same step."""
    ch: Channel[str] = Channel(1)
    await ch.send("x")
    async with Group() as g:
        idlers = [g.go(ch.wait_empty) for _ in range(3)]
        await parked()
        ch.receive_nowait()
        ch.send_nowait("y")
    assert all(idler.finished for idler in idlers)
    assert ch.drain() == ["y"]


async def test_it_costs_nothing_to_have_waited() -> None:
    """A channel somebody gave up waiting for works on, and can be waited for again."""
    ch: Channel[int] = Channel(3)
    await ch.send_many([1, 2, 3])
    with anyio.move_on_after(0):
        await ch.wait_empty()
    assert [await ch.receive(), await ch.receive()] == [1, 2]
    async with Group() as g:
        idler = g.go(ch.wait_empty)
        await parked()
        assert not idler.finished
        assert await ch.receive() == 3


async def test_a_handle_closes_under_one_who_waits() -> None:
    """The error is for those who wait through it; others wait on."""
    ch: Channel[int] = Channel(1)
    await ch.send(1)
    with ch.sender():
        tx = ch.sender()
        async with Group() as g:
            through_it = g.go(quietly, tx.wait_empty())
            otherwise = g.go(ch.wait_empty)
            await parked()
            tx.close()
            await parked()
            assert through_it.finished
            assert not otherwise.finished
            ch.drain()


async def cancel(_: Channel[str], task: Handle[Any]) -> None:
    task.cancel()


async def cancel_and_look(ch: Channel[str], task: Handle[Any]) -> None:
    task.cancel()
    with suppress(WouldBlock):
        ch.receive_nowait()


async def meet_elsewhere(_: Channel[str], task: Handle[Any]) -> None:
    OTHER[0].receive_nowait()


OTHER: list[Channel[str]] = []


@pytest.mark.parametrize("part", [cancel, cancel_and_look, meet_elsewhere])
async def test_a_moment_of_emptiness_is_not_missed(
    part: Callable[[Channel[str], Handle[Any]], Awaitable[None]],
) -> None:
    """Though the sender that went away has not run when the next one comes."""
    ch: Channel[str] = Channel()
    OTHER[:] = [Channel()]
    async with Group() as g:
        sending = g.go(select, send(OTHER[0], "x"), send(ch, "x"))
        await parked()
        idle = g.go(ch.wait_empty)
        await parked()
        await part(ch, sending)
        g.go(ch.send, "y")
        with anyio.CancelScope() as scope:
            g.go(_cancel_when_parked, scope)
            await ch.send("z")
        assert idle.finished
        g.cancel()


async def _cancel_when_parked(scope: anyio.CancelScope) -> None:
    await parked()
    scope.cancel()
