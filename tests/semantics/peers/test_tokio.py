"""Batches, items that nobody consumed, and threads.

After tokio's tests of mpsc.
"""

from __future__ import annotations

import math
from collections import deque

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import (
    Channel,
    ChannelBroken,
    EndOfChannel,
    Group,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("capacity", "sent", "limit", "received"),
    [
        (0, 1, 1, 1),
        (0, 1, 10, 1),
        (0, 3, 2, 2),
        (0, 3, 10, 3),
        (1, 3, 2, 2),
        (1, 3, 10, 3),
        (3, 3, 1, 1),
        (3, 3, 3, 3),
        (3, 3, 4, 3),
        (3, 10, 7, 7),
        (math.inf, 100, 99, 99),
        (math.inf, 100, 1_000, 100),
    ],
)
async def test_a_batch_is_all_there_is_up_to_the_limit(
    capacity: float, sent: int, limit: int, received: int
) -> None:
    """From the buffer and from senders that wait, in their order."""
    ch: Channel[int] = Channel(capacity)
    async with Group() as g:
        for item in range(sent):
            g.go(ch.send, item)
            await parked()
        assert await ch.receive_many(limit) == list(range(received))
        assert ch.statistics().received == received
        assert ch.drain() == list(range(received, sent))


async def test_a_batch_waits_for_its_first_item_alone() -> None:
    """And takes what has come with it."""
    ch: Channel[int] = Channel(10)
    async with Group() as g:
        batch = g.go(ch.receive_many, 10)
        await parked()
        assert not batch.finished
        for item in range(3):
            ch.send_nowait(item)
        assert await batch == [0, 1, 2]


async def test_a_batch_ends_before_the_end() -> None:
    """The last items come without an error; the next batch has it."""
    ch: Channel[int] = Channel(10)
    await ch.send_many(range(3))
    ch.close()
    assert await ch.receive_many(2) == [0, 1]
    assert await ch.receive_many(2) == [2]
    with pytest.raises(EndOfChannel):
        await ch.receive_many(2)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", None, True])
async def test_a_limit_that_makes_no_sense_is_refused(limit: object) -> None:
    """With the value in the message, and nothing taken."""
    ch: Channel[int] = Channel(1)
    ch.send_nowait(1)
    with pytest.raises((ValueError, TypeError), match=str(limit)):
        await ch.receive_many(limit)  # type: ignore[arg-type]
    assert ch.drain() == [1]


async def test_unconsumed_items_are_reported_when_both_ends_are_gone() -> None:
    """Whichever goes first."""
    for first in ("sender", "receiver"):
        undelivered: list[int] = []
        ch: Channel[int] = Channel(math.inf, on_undelivered=undelivered.append)
        tx, rx = ch.sender(), ch.receiver()
        await tx.send_many(range(3))
        handles = (tx, rx) if first == "sender" else (rx, tx)
        for handle in handles:
            handle.close()
        assert undelivered == [0, 1, 2]


@pytest.mark.parametrize(
    ("items", "end", "figures"),
    [
        (0, None, (False, 0)),
        (2, None, (False, 2)),
        (0, "sender", (True, 0)),
        (2, "sender", (True, 2)),
        (2, "channel", (True, 2)),
        (2, "receiver", (True, 0)),
    ],
)
async def test_what_a_channel_says_of_itself(
    items: int, end: str | None, figures: tuple[bool, int]
) -> None:
    """Whether it is closed, and how many items are in it."""
    ch: Channel[int] = Channel(2, on_undelivered=lambda item: None)
    with ch.sender() as tx, ch.receiver() as rx:
        await tx.send_many(range(items))
        for name, handle in (("sender", tx), ("receiver", rx), ("channel", ch)):
            if name == end:
                handle.close()
        assert (ch.closed, len(ch)) == figures


@pytest.mark.parametrize("capacity", [0, 3])
async def test_a_worker_thread_sends_and_receives_through_the_loop(
    capacity: int,
) -> None:
    """In the way that the error for a direct use of the channel shows."""
    there, back = Channel[int](capacity), Channel[int](capacity)

    def work() -> None:
        for _ in range(5):
            item = anyio.from_thread.run(there.receive)
            anyio.from_thread.run(back.send, item * 2)
        with pytest.raises(EndOfChannel):
            anyio.from_thread.run(there.receive)

    async with Group() as g:
        g.go(anyio.to_thread.run_sync, work)
        for i in range(5):
            await there.send(i)
            assert await back.receive() == 2 * i
        there.close()


async def test_a_receiver_that_closes_leaves_batches_unsent_from_there_on() -> None:
    """What is left in the deque was not sent; the rest is reported."""
    undelivered: list[int] = []
    ch: Channel[int] = Channel(3, on_undelivered=undelivered.append)
    with ch.receiver() as rx:
        async with Group() as g:
            failed = g.go(fails_to_send, ch, range(10))
            await parked()
            assert await rx.receive() == 0
            await parked()
            rx.close()
    assert await failed == [4, 5, 6, 7, 8, 9]
    assert undelivered == [1, 2, 3]


async def fails_to_send(ch: Channel[int], items: range) -> list[int]:
    """Send until the channel breaks; returns what was not sent."""
    pending = deque(items)
    with pytest.raises(ChannelBroken):
        await ch.send_many(pending)
    return list(pending)
