"""Weighted limits and limited groups, after Go's x/sync: semaphore and errgroup."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import Channel, Group, Limiter, Overloaded

pytestmark = pytest.mark.anyio

Scale = Callable[[int, int], int]


async def take(limiter: Limiter, units: int) -> None:
    """Take units and keep them."""
    await limiter.weight(units).__aenter__()


async def give_back(limiter: Limiter, units: int) -> None:
    await limiter.weight(units).__aexit__(None, None, None)


async def get(limiter: Limiter, units: int) -> bool:
    """Tell whether so many can be taken before all tasks wait."""
    with anyio.move_on_after(1) as scope:
        await take(limiter, units)
    return not scope.cancelled_caught


async def test_hammer(scale: Scale) -> None:
    """Many tasks, each with a weight of its own; at the end everything is free."""
    tasks, loops = 8, scale(300, 5_000)
    limiter = Limiter(tasks)
    used = 0

    async def beat(units: int) -> None:
        nonlocal used
        for _ in range(loops):
            async with limiter.weight(units):
                used += units
                assert used <= tasks
                await checkpoint()
                used -= units

    async with Group() as g:
        for n in range(1, tasks + 1):
            g.go(beat, n)
    assert limiter.statistics().in_use == used == 0


async def test_try_to_take() -> None:
    """All but one, then the last; and again when both are back."""
    limiter = Limiter(2, queue=0, on_full="reject")

    async def attempt() -> bool:
        try:
            await take(limiter, 1)
        except Overloaded:
            return False
        return True

    tries = [await attempt()]
    await take(limiter, 1)
    tries.append(await attempt())
    await give_back(limiter, 2)
    tries.append(await attempt())
    await take(limiter, 1)
    tries.append(await attempt())
    assert tries == [True, False, True, False]


@pytest.mark.clock
async def test_wait_for_a_while() -> None:
    """The same with a deadline."""
    limiter = Limiter(2)
    tries = [await get(limiter, 1)]
    await take(limiter, 1)
    tries.append(await get(limiter, 1))
    await give_back(limiter, 2)
    tries.append(await get(limiter, 1))
    await take(limiter, 1)
    tries.append(await get(limiter, 1))
    assert tries == [True, False, True, False]


async def test_what_cannot_be_had_does_not_block_others() -> None:
    """More than there is, is an error and no wait."""
    limiter = Limiter(2)
    with pytest.raises(ValueError, match="weight must be 1 to 2"):
        await take(limiter, 3)
    async with limiter:
        pass


async def test_a_large_request_does_not_starve(scale: Scale) -> None:
    """Though small ones come and go all the time."""
    n = 4
    limiter, over = Limiter(n), False

    async def churn() -> None:
        while not over:
            async with limiter:
                await checkpoint()

    async with Group() as g:
        for _ in range(2 * n):
            g.go(churn)
        for _ in range(scale(20, 1_000)):
            async with limiter.weight(n):
                assert limiter.statistics().in_use == n
        over = True


async def test_a_cancelled_head_wakes_those_behind_it() -> None:
    """They wanted little, and have waited for it alone."""
    n = 3
    limiter = Limiter(n)
    await take(limiter, 1)
    async with Group() as g:
        head = g.go(take, limiter, n)
        await parked()
        small = [g.go(take, limiter, 1) for _ in range(n - 1)]
        await parked()
        assert not any(task.finished for task in small)
        head.cancel()
        await parked()
        assert all(task.finished for task in small)
    assert limiter.statistics().in_use == n


async def test_small_ones_behind_a_large_one_are_served_together() -> None:
    """As many as there is room for, when it gives back what it had."""
    limiter = Limiter(4)
    await take(limiter, 4)
    async with Group() as g:
        for units in (3, 1, 1):
            g.go(take, limiter, units)
            await parked()
        await give_back(limiter, 4)
        await parked()
        assert limiter.statistics()[:3] == (4, 4, 1)
        await give_back(limiter, 3)
    assert limiter.statistics().in_use == 2


async def test_who_is_cancelled_already_takes_nothing() -> None:
    """At the latest when it is to wait."""
    limiter = Limiter(1)
    async with limiter:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await take(limiter, 1)
        assert scope.cancelled_caught
    assert limiter.statistics() == (1, 0, 0, 0, 1)


async def test_a_group_with_a_limit(scale: Scale) -> None:
    """Many tasks, at most ten of them active."""
    limit, active, most = 10, 0, 0
    limiter = Limiter(limit)
    random = Random(1)

    @limiter
    async def work() -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        for _ in range(random.randrange(4)):
            await checkpoint()
        active -= 1

    async with Group() as g:
        for _ in range(scale(1 << 10, 1 << 14) + 1):
            g.go(work)
    assert (active, most) == (0, limit)


async def test_try_to_go() -> None:
    """42 tasks are let in, no more; and again when they have ended."""
    limiter, gate = Limiter(42, queue=0, on_full="reject"), Channel[None]()

    async def work() -> None:
        async with limiter:
            await gate.receive()

    for _ in range(2):
        async with Group() as g:
            for _ in range(42):
                g.go(work)
            await parked()
            for _ in range(3):
                with pytest.raises(Overloaded):
                    await work()
            for _ in range(42):
                await gate.send(None)
    assert limiter.statistics().refused == 6


async def test_the_first_error_ends_the_group() -> None:
    """Those who wait for the limiter are cancelled, and it is as before."""
    limiter = Limiter(1)

    @limiter
    async def fail() -> None:
        await checkpoint()
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        async with Group() as g:
            for _ in range(10):
                g.go(fail)
    assert len(caught.value.exceptions) == 1
    assert limiter.statistics().in_use == 0
