"""Operations that are met or fail at odd moments, are shared, or lose their end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import (
    NOT_READY,
    Channel,
    ChannelClosed,
    Group,
    Operation,
    Waiter,
    recv,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio


class Strange(Operation[str]):
    """Never ready when asked; then it does what it is told."""

    def __init__(self, enroll: Callable[[Strange, Waiter], Any]) -> None:
        self.act = enroll

    def poll(self) -> Any:
        return NOT_READY

    def enroll(self, waiter: Waiter) -> None:
        self.act(self, waiter)

    def withdraw(self, waiter: Waiter) -> None:
        """Do nothing."""


def claim_at_once(op: Strange, waiter: Waiter) -> None:
    assert waiter.claim(op)
    waiter.wake("at once")


def fail_at_once(op: Strange, waiter: Waiter) -> None:
    assert waiter.claim(op)
    waiter.fail(ZeroDivisionError())


def raise_at_once(op: Strange, waiter: Waiter) -> None:
    raise ZeroDivisionError


class Unpollable(Strange):
    def poll(self) -> Any:
        raise ZeroDivisionError


def idle(*channels: Channel[Any]) -> bool:
    """Say whether nobody is in any queue of theirs."""
    stats = [ch.statistics() for ch in channels]
    return not any(s.senders_waiting or s.receivers_waiting for s in stats)


@pytest.mark.parametrize("place", range(3))
async def test_an_operation_may_be_met_as_it_is_enrolled(place: int) -> None:
    """It wins, and the others are out of their queues."""
    a: Channel[str] = Channel()
    b: Channel[str] = Channel()
    ops: list[Operation[Any]] = [recv(a), send(b, "x")]
    ops.insert(place, Strange(claim_at_once))
    for _ in range(20):  # in all orders
        assert await select(*ops) == (place, "at once")
        assert idle(a, b)


async def test_operations_met_as_they_are_enrolled_starve_nobody() -> None:
    """They count too: a checkpoint comes at least once in 64 of them."""
    at_once = Strange(claim_at_once)
    with anyio.CancelScope() as scope:
        scope.cancel()
        for _ in range(65):
            await at_once
    assert scope.cancelled_caught


@pytest.mark.parametrize(
    "wrong", [Strange(fail_at_once), Strange(raise_at_once), Unpollable(raise_at_once)]
)
@pytest.mark.parametrize("place", range(3))
async def test_an_error_of_an_operation_leaves_the_others(
    wrong: Operation[Any], place: int
) -> None:
    """They have not happened, and nobody is in their queues."""
    a: Channel[str] = Channel()
    b: Channel[str] = Channel()
    ops: list[Operation[Any]] = [recv(a), send(b, "x")]
    ops.insert(place, wrong)
    for _ in range(20):
        with pytest.raises(ZeroDivisionError):
            await select(*ops)
        assert idle(a, b)
    assert a.statistics().received == b.statistics().sent == 0


@pytest.mark.clock
async def test_an_alarm_may_ring_for_nothing() -> None:
    """Its operation need not be ready then, and the wait goes on."""
    rung: list[Waiter] = []

    def set_alarm(op: Strange, waiter: Waiter) -> None:
        waiter.alarm(anyio.current_time() + 1, rung.append)

    ch: Channel[str] = Channel()
    async with Group() as g:
        chosen = g.go(select, Strange(set_alarm), recv(ch))
        await anyio.sleep(2)
        assert len(rung) == 1
        await ch.send("x")
    assert await chosen == (1, "x")


@pytest.mark.parametrize("copies", [1, 2, 5])
async def test_one_operation_may_be_everywhere(copies: int) -> None:
    """Many times in a select and in many selects at once, it happens once in each."""
    ch: Channel[int] = Channel()
    op = recv(ch)
    async with Group() as g:
        selects = [g.go(select, *[op] * copies) for _ in range(4)]
        await parked()
        await ch.send_many(range(4))
    results = [await handle for handle in selects]
    assert sorted(value for _, value in results) == [0, 1, 2, 3]
    assert {which for which, _ in results} <= set(range(copies))
    assert idle(ch)


async def test_one_send_operation_may_be_everywhere() -> None:
    """It sends the same item each time."""
    ch: Channel[str] = Channel()
    op = send(ch, "x")
    async with Group() as g:
        for _ in range(3):
            g.go(select, op, recv(None), op)
        await parked()
        assert [await ch.receive() for _ in range(3)] == ["x"] * 3
    assert idle(ch)


async def test_a_handle_closed_before_its_operation_is_performed() -> None:
    """The operation stays what it was, and is an error now."""
    ch: Channel[str] = Channel(1)
    with ch.sender(), ch.receiver():
        rx, tx = ch.receiver(), ch.sender()
        rx.close()
        tx.close()
        for op in (recv(rx), send(tx, "x")):
            with pytest.raises(ChannelClosed):
                await op
            with pytest.raises(ChannelClosed):
                await select(op, recv(None))
            with pytest.raises(ChannelClosed):
                select_nowait(op)
    assert ch.statistics().sent == 0


@pytest.mark.parametrize("met", [False, True])
async def test_a_handle_closed_under_a_select(met: bool) -> None:
    """What was matched through it is received; else the select ends with an error."""
    ch: Channel[str] = Channel()
    other: Channel[str] = Channel()
    with ch.receiver():
        rx = ch.receiver()
        async with Group() as g:
            chosen = g.go(catch, select, recv(other), recv(rx), recv(rx))
            await parked()
            if met:
                ch.send_nowait("x")
            rx.close()
        assert (await chosen) == ("x" if met else ChannelClosed)
    assert idle(ch, other)


async def catch(fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Return the value of a select, or the type of its error."""
    try:
        return (await fn(*args)).value
    except Exception as error:
        return type(error)


async def test_a_batch_through_a_handle_closed_as_its_first_item_came() -> None:
    """An item that was matched to a handle is received."""
    ch: Channel[str] = Channel()
    with ch.receiver():
        rx = ch.receiver()
        async with Group() as g:
            batch = g.go(rx.receive_many, 5)
            await parked()
            ch.send_nowait("x")
            rx.close()
        assert await batch == ["x"]
