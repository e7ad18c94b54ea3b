"""The budget of a busy task: it cannot shut out others, nor miss its cancellation.

After tokio's tests of its cooperative budget.  The promise is a checkpoint at least
once in 64 operations, counted over all channels of the loop.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import groupby
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    ChannelClosed,
    EndOfChannel,
    Group,
    Handle,
    after,
    done,
    recv,
    select,
    send,
)

pytestmark = pytest.mark.anyio


def forget(item: object) -> None:
    """Do nothing about an item that was not delivered."""


class Busy:
    """Things that are always ready, one way or another."""

    def __init__(self, ended: Handle[None]) -> None:
        self.ch: Channel[int] = Channel(math.inf, on_undelivered=forget)
        self.other: Channel[int] = Channel(math.inf, on_undelivered=forget)
        self.full: Channel[int] = Channel(
            1, overflow="drop_oldest", on_undelivered=forget
        )
        self.closed: Channel[int] = Channel()
        self.closed.close()
        self.ended = ended
        for ch in (self.ch, self.other):
            for i in range(2_000):
                ch.send_nowait(i)
            for _ in range(1_000):  # so that some room has been used before
                ch.receive_nowait()


async def make_busy(g: Group) -> Busy:
    """Make them, without a trace of it in the budget."""
    ended = g.go(checkpoint)
    await done(ended)
    return Busy(ended)


async def hand_over(busy: Busy) -> None:
    """Move an item from one channel to another."""
    await busy.other.send(await busy.ch.receive())


async def send_closed(busy: Busy) -> None:
    """Fail to send."""
    with pytest.raises(ChannelClosed):
        await busy.closed.send(1)


async def receive_closed(busy: Busy) -> None:
    """Fail to receive."""
    with pytest.raises(EndOfChannel):
        await busy.closed.receive()


async def loop_closed(busy: Busy) -> None:
    """Loop over nothing."""
    async for _ in busy.closed:
        raise AssertionError


async def perform(op: Any) -> object:
    """Wait for an operation."""
    return await op


# What a task may do for ever without having to wait, and how many operations it is.
DEEDS: dict[str, tuple[int, Callable[[Busy], Awaitable[object]]]] = {
    "send": (1, lambda busy: busy.ch.send(1)),
    "send, dropping": (1, lambda busy: busy.full.send(1)),
    "receive": (1, lambda busy: busy.ch.receive()),
    "async for": (1, lambda busy: anext(busy.ch)),
    "await recv": (1, lambda busy: perform(recv(busy.ch))),
    "await send": (1, lambda busy: perform(send(busy.ch, 1))),
    "select receive": (1, lambda busy: select(recv(busy.ch), recv(busy.other))),
    "select send": (1, lambda busy: select(send(busy.ch, 1), send(busy.other, 1))),
    "select closed": (1, lambda busy: select(recv(busy.closed))),
    "expired timer": (1, lambda busy: perform(after(0))),
    "select expired": (1, lambda busy: select(recv(Channel[int]()), after(0))),
    "ended task": (1, lambda busy: perform(done(busy.ended))),
    "two channels": (2, hand_over),
    "send to closed": (1, send_closed),
    "receive from closed": (1, receive_closed),
    "async for closed": (1, loop_closed),
    "wait_empty": (1, lambda busy: busy.closed.wait_empty()),
    "send_many": (10, lambda busy: busy.ch.send_many(range(10))),
    "receive_many": (10, lambda busy: busy.ch.receive_many(10)),
}

each_deed = pytest.mark.parametrize("deed", DEEDS)


@pytest.fixture
def patience(backend: str) -> int:
    """How many turns of one task may come in a row: trio shuffles each round."""
    return 2 if backend == "trio" else 1


@each_deed
async def test_a_busy_task_lets_others_run_once_in_64_operations(
    deed: str, patience: int
) -> None:
    """However it keeps itself busy; and it does not yield much more often."""
    operations, do = DEEDS[deed]
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async with Group() as g:
        busy = await make_busy(g)
        g.go(count_turns)
        await checkpoint()
        seen, alone, longest = turns, 0, 0
        for _ in range(640 // operations):
            await do(busy)
            alone = operations if turns != seen else alone + operations
            seen, longest = turns, max(longest, alone)
        g.cancel()
    batch = operations - 1  # one that has begun is counted to its end
    assert 60 <= longest <= (64 + batch) * patience


async def test_two_busy_tasks_do_not_shut_out_a_third(patience: int) -> None:
    """It runs as soon as each of them has had its share."""
    log: list[str] = []

    async def work(busy: Busy) -> None:
        for _ in range(300):
            await busy.ch.receive()
            log.append("work")

    async def watch() -> None:
        while len(log) < 600:
            log.append("watch")
            await checkpoint()

    async with Group() as g:
        busy = await make_busy(g)
        g.go(watch)
        g.go(work, busy)
        g.go(work, busy)
    runs = [len([*run]) for event, run in groupby(log) if event == "work"]
    assert max(runs) <= 2 * 64 * patience


@each_deed
async def test_a_busy_task_notices_its_cancellation(deed: str) -> None:
    """After 64 operations at most, and what it has begun."""
    operations, do = DEEDS[deed]
    count = 0
    async with Group() as g:
        busy = await make_busy(g)
        g.cancel()
        for _ in range(640 // operations):
            await do(busy)
            count += operations
    assert g.cancel_scope.cancelled_caught
    assert 0 < count <= 64 + operations - 1


async def test_the_checkpoint_comes_before_the_operation() -> None:
    """A cancelled receive has taken nothing, though it would not have had to wait."""
    received = 0
    async with Group() as g:
        busy = await make_busy(g)
        g.cancel()
        while True:
            await busy.ch.receive()
            received += 1
    assert len(busy.ch) == 1_000 - received


async def test_a_large_batch_is_paid_for_afterwards() -> None:
    """It is taken whole, and the very next operation is a checkpoint."""
    async with Group() as g:
        busy = await make_busy(g)
        g.cancel()
        assert len(await busy.ch.receive_many(500)) == 500
        await busy.other.receive()
    assert g.cancel_scope.cancelled_caught
    assert len(busy.other) == 1_000


async def test_a_long_batch_of_sends_is_not_done_in_one_go() -> None:
    """A cancellation gets in between, and what is left in the deque was not sent."""
    pending = deque(range(500))
    async with Group() as g:
        busy = await make_busy(g)
        g.cancel()
        await busy.ch.send_many(pending)
    assert g.cancel_scope.cancelled_caught
    assert 500 - 64 <= len(pending) < 500
    assert len(busy.ch) + len(pending) == 1_000 + 500
