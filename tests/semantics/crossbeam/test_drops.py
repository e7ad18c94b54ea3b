"""What becomes of items that nobody receives.

After the drops, drop_unreceived, panic_on_drop and stack_overflow tests of
crossbeam-channel.  What is counted there by destructors goes to `on_undelivered` here;
and that the channel keeps no item alive is checked too.
"""

from __future__ import annotations

import gc
import math
import random
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from csp import Channel, Group

pytestmark = pytest.mark.anyio


class Item:
    """Something whose end can be seen."""


@pytest.mark.parametrize("capacity", [1, 50, math.inf])
async def test_each_item_has_one_end(
    capacity: float, scale: Callable[[int, int], int]
) -> None:
    """What is received is not reported; what is left is, when both ends are gone."""
    for run in range(scale(10, 100)):
        rng = random.Random(run)
        steps = rng.randrange(scale(100, 10_000))
        extra = rng.randrange(int(min(capacity, 50)) + 1)
        undelivered: list[int] = []
        ch: Channel[int] = Channel(capacity, on_undelivered=undelivered.append)

        with ch.receiver() as rx:
            async with Group() as g:
                g.go(ch.send_many, range(steps))
                assert [await rx.receive() for _ in range(steps)] == [*range(steps)]
            for i in range(extra):
                ch.send_nowait(i)
            assert undelivered == []
        assert undelivered == [*range(extra)]
        assert ch.statistics().received == steps


@pytest.mark.parametrize("capacity", [0, 1, math.inf])
async def test_a_received_item_is_not_kept_alive(capacity: float) -> None:
    """Once its receiver lets go of it, it is gone."""
    ch: Channel[Item] = Channel(capacity)
    remains = []
    async with Group() as g:
        for _ in range(3):
            item = Item()
            remains.append(weakref.ref(item))
            g.go(ch.send, item)
            del item
            await ch.receive()
    gc.collect()
    assert [ref() for ref in remains] == [None] * 3


async def test_the_last_receivers_end_gives_up_the_buffer_at_once() -> None:
    """Though senders are still there."""
    undelivered: list[weakref.ref[Item]] = []
    ch: Channel[Item] = Channel(
        math.inf, on_undelivered=lambda item: undelivered.append(weakref.ref(item))
    )
    with ch.sender() as tx:
        with ch.receiver():
            for _ in range(3):
                await tx.send(Item())
        assert [ref() for ref in undelivered] == [None] * 3
        assert len(ch) == 0


async def test_without_a_callback_the_buffer_stays_to_be_drained() -> None:
    """Nothing is given up silently."""
    ch: Channel[int] = Channel(math.inf)
    with ch.receiver():
        await ch.send_many([1, 2, 3])
    assert ch.statistics().undelivered == 0
    assert ch.drain() == [1, 2, 3]


@pytest.mark.parametrize("failing", [1, 2])
async def test_items_that_fail_in_the_callback_do_not_stop_the_others(
    failing: int,
) -> None:
    """Each is handed over once, whatever became of those before."""
    handed: list[int] = []

    def fail(item: int) -> None:
        handed.append(item)
        if item < failing:
            raise ValueError(item)

    ch: Channel[int] = Channel(math.inf, on_undelivered=fail)
    rx = ch.receiver()
    await ch.send_many(range(5))
    with pytest.raises(ValueError if failing == 1 else ExceptionGroup):
        rx.close()
    rx.close()
    assert handed == list(range(5))
    assert ch.statistics().undelivered == 5


async def test_a_forgotten_channel_reports_what_is_in_it() -> None:
    """Each item once, and none of those that were received."""
    undelivered: list[int] = []
    ch: Channel[int] = Channel(math.inf, on_undelivered=undelivered.append)
    await ch.send_many(range(100))
    for _ in range(40):
        await ch.receive()
    del ch
    gc.collect()
    assert undelivered == list(range(40, 100))


async def test_a_forgotten_channel_with_items_is_a_warning() -> None:
    """It says which one, and how many."""
    ch: Channel[int] = Channel(math.inf, name="jobs")
    await ch.send_many(range(3))
    with pytest.warns(ResourceWarning, match="'jobs' was forgotten with 3 items"):
        del ch


def test_a_huge_buffer_ends_well(scale: Callable[[int, int], int]) -> None:
    """Every item of it is reported."""
    count = scale(10_000, 1_000_000)
    undelivered: list[int] = []
    ch: Channel[int] = Channel(math.inf, on_undelivered=undelivered.append)
    for i in range(count):
        ch.send_nowait(i)
    del ch
    gc.collect()
    assert len(undelivered) == count


def test_a_deep_nest_of_channels_ends_well(scale: Callable[[int, int], int]) -> None:
    """Each is the only item of the next, so the end of one is the end of all."""
    count = scale(10_000, 100_000)
    undelivered: list[bool] = []
    nest: Channel[Any] | None = None
    for _ in range(count):
        inner = nest
        nest = Channel(1, on_undelivered=lambda inner: undelivered.append(bool(inner)))
        nest.send_nowait(inner)
    del nest, inner
    gc.collect()
    assert undelivered == [True] * (count - 1) + [False]
