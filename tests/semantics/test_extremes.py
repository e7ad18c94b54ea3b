"""Channels that are overfull, very large, or crowded."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    EndOfChannel,
    Group,
)

pytestmark = pytest.mark.anyio


Scale = Callable[[int, int], int]


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
