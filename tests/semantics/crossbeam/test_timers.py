"""Timers and tickers, on virtual time.

After crossbeam-channel's after.rs, tick.rs and never.rs.  Those timers are channels
that fire once; here `after` counts anew from each performance, and `at` stays due.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import anyio
import pytest
from anyio import current_time
from anyio import wait_all_tasks_blocked as parked

from csp import (
    NOT_READY,
    Channel,
    Group,
    WouldBlock,
    after,
    at,
    recv,
    select,
    select_nowait,
    ticker,
)

pytestmark = [pytest.mark.anyio, pytest.mark.clock]


async def test_after_fires_at_its_time_and_not_before() -> None:
    """Its value is the time."""
    soon = after(0.05)
    assert soon.poll() is NOT_READY
    assert await soon == pytest.approx(0.05)
    assert current_time() == pytest.approx(0.05)


async def test_after_counts_from_each_performance() -> None:
    """One operation serves for many waits, and none has used it up."""
    soon = after(0.05)
    for n in range(1, 4):
        await anyio.sleep(0.05)
        assert await select(soon) == (0, pytest.approx(0.1 * n))
        with pytest.raises(WouldBlock):
            select_nowait(soon)


async def test_at_is_due_from_its_time_on() -> None:
    """It is never early, and never over."""
    due = at(0.05)
    assert await due == pytest.approx(0.05)
    await anyio.sleep(1)
    assert await due == pytest.approx(1.05)
    assert select_nowait(due).value == pytest.approx(1.05)


@pytest.mark.parametrize("seconds", [0, -1])
async def test_no_time_to_wait_is_ready_at_once(seconds: float) -> None:
    """Zero and less, also where nothing may wait."""
    assert await after(seconds) == 0
    assert await at(seconds) == 0
    assert select_nowait(after(seconds)) == select_nowait(at(seconds)) == (0, 0)


async def test_of_two_timers_the_shorter_wins() -> None:
    """In whatever order they are named."""
    for _ in range(10):
        start = current_time()
        assert (await select(after(0.1), after(0.05))).which == 1
        assert current_time() - start == pytest.approx(0.05)


async def test_a_thousand_timers_fire_once_each_at_their_times(
    scale: Callable[[int, int], int],
) -> None:
    """Whoever waits for them."""
    rng = random.Random(1)
    seconds = [rng.randrange(6) / 1_000 for _ in range(scale(300, 1_000))]
    fired: list[float] = []

    async def wait(seconds: float) -> None:
        value = await select(after(seconds))
        assert value == (0, pytest.approx(seconds))
        fired.append(seconds)

    async with Group() as g:
        for s in seconds:
            g.go(wait, s)
    assert fired == sorted(seconds)


async def test_a_tick_that_nobody_fetched_waits_alone() -> None:
    """Missed ticks are one tick, however many they were."""
    tick = ticker(0.05)
    assert tick.poll() is NOT_READY
    await anyio.sleep(0.5)
    assert await tick == pytest.approx(0.05)
    assert tick.poll() is NOT_READY


async def test_late_ticks_stay_on_the_grid() -> None:
    """After a long pause the missed tick comes at once, the next one when it is due."""
    tick = ticker(0.05)
    values, times = [], []
    for pause in (0, 0, 0.3, 0, 0):
        await anyio.sleep(pause)
        values.append(await tick)
        times.append(current_time())
    assert values == pytest.approx([0.05, 0.1, 0.15, 0.45, 0.5])
    assert times == pytest.approx([0.05, 0.1, 0.4, 0.45, 0.5])


async def test_four_workers_share_two_tickers() -> None:
    """Each tick goes to one of them: five and three in 1.1 seconds."""
    fast, slow, stop = ticker(0.2), ticker(0.3), at(1.1)
    ticks: Counter[int | str] = Counter()

    async def work() -> None:
        while True:
            which, _ = await select(fast=fast, slow=slow, stop=stop)
            ticks[which] += 1
            if which == "stop":
                return

    async with Group() as g:
        for _ in range(4):
            g.go(work)
    assert ticks == {"fast": 5, "slow": 3, "stop": 4}


async def test_a_sleeper_waits_for_the_next_tick_when_another_had_this_one() -> None:
    """Two tasks of one ticker take turns, and neither hangs."""
    tick, times = ticker(1), []

    async def work() -> None:
        for _ in range(3):
            await tick
            times.append(current_time())

    async with Group() as g:
        g.go(work)
        g.go(work)
    assert times == pytest.approx([1, 2, 3, 4, 5, 6])


async def test_never_is_a_channel_that_is_none() -> None:
    """It stands in for an absent channel in a select."""
    ch: Channel[int] = Channel(1)
    ch.send_nowait(7)
    for item, expected in ((None, ("late", 1)), (ch, ("item", 7)), (None, ("late", 2))):
        assert await select(item=recv(item), late=after(1)) == expected


async def test_a_ticker_gives_way_to_never() -> None:
    """After ten ticks it is no case any more, and only the timeout is left."""
    tick, ticks = ticker(0.1), 0
    while True:
        live = tick if ticks < 10 else None
        match await select(tick=live, late=after(1)):
            case "tick", _:
                ticks += 1
            case "late", _:
                break
    assert (ticks, current_time()) == (10, pytest.approx(2))


async def test_a_timer_that_lost_leaves_nothing_behind() -> None:
    """Neither a tick too many nor a wake-up out of season."""
    ch: Channel[int] = Channel()
    async with Group() as g:
        waiting = g.go(select, recv(ch), after(0.1))
        await parked()
        ch.send_nowait(1)
        assert await waiting == (0, 1)
        waiting = g.go(select, recv(ch), after(0.2))
        await anyio.sleep(0.15)
        assert not waiting.finished
        assert (await waiting).which == 1
