"""Handles that close at the worst moment, and channels that are very large."""

from __future__ import annotations

import math
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    ChannelClosed,
    EndOfChannel,
    Group,
    recv,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio


Scale = Callable[[int, int], int]


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


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
async def test_nothing_is_dropped_while_a_receiver_waits(overflow: Any) -> None:
    """It gets what comes, and only then there is too much."""
    told: list[int] = []
    ch: Channel[int] = Channel(1, overflow=overflow, on_undelivered=told.append)
    async with Group() as g:
        receivers = [g.go(ch.receive) for _ in range(3)]
        await parked()
        await ch.send_many(range(5))
    assert sorted([await handle for handle in receivers]) == [0, 1, 2]
    assert sorted(told + ch.drain()) == [3, 4]


@pytest.mark.parametrize("capacity", [2**40, sys.maxsize, 10**30, math.inf])
async def test_a_capacity_may_be_huge(capacity: float) -> None:
    """It costs nothing, and reads as it was given."""
    ch: Channel[int] = Channel(capacity)
    assert ch.capacity == capacity
    assert math.isinf(ch.capacity) == math.isinf(capacity)
    await ch.send_many(range(1000))
    assert await ch.receive_many(2000) == [*range(1000)]
    assert ch.statistics().high_water == 1000


async def test_as_many_waiters_as_you_like(scale: Scale) -> None:
    """They are served in order, leave from anywhere, and a close wakes the rest."""
    many = scale(4096, 65536)
    ch: Channel[int] = Channel()
    queue: list[int] = []
    served: list[int] = []

    async def receive(number: int) -> None:
        queue.append(number)
        with suppress(EndOfChannel):
            assert await ch.receive() == len(served)
            served.append(number)

    async with Group() as g:
        receivers = [g.go(receive, number) for number in range(many)]
        while ch.statistics().receivers_waiting < many:
            await checkpoint()
        for handle in receivers[1::2]:
            handle.cancel()
        while ch.statistics().receivers_waiting > many // 2:
            await checkpoint()
        for number in range(many // 4):
            ch.send_nowait(number)
            await checkpoint()
        ch.close()
    even = [number for number in queue if number % 2 == 0]
    assert served == even[: many // 4]
