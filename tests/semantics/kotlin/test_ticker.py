"""A ticker in use: with a delay, in bursts, and as the clock of a pipeline.

After Kotlin's TickerChannelTest and TickerChannelCommonTest, on virtual time.
"""

from __future__ import annotations

import anyio
import pytest
from anyio import current_time

from csp import (
    NOT_READY,
    Channel,
    Group,
    Operation,
    recv,
    select,
    select_nowait,
    ticker,
)

pytestmark = [pytest.mark.anyio, pytest.mark.clock]


async def test_a_tick_is_there_when_it_is_due_and_only_once() -> None:
    """Before it nothing, after it nothing, until the next."""
    tick = ticker(1)
    for n in range(1, 4):
        await anyio.sleep(0.999)
        assert tick.poll() is NOT_READY
        await anyio.sleep(0.001)
        assert select_nowait(tick) == (0, pytest.approx(n))
        assert tick.poll() is NOT_READY


async def test_a_ticker_starts_when_it_is_made() -> None:
    """So a first tick can be put off by making it later."""
    await anyio.sleep(10)
    tick = ticker(3)
    assert [await tick, await tick] == [13, 16]


async def test_a_slow_user_gets_one_late_tick_and_then_the_grid() -> None:
    """However many were missed."""
    tick = ticker(1)
    await anyio.sleep(5.5)
    assert await tick == 1
    assert current_time() == 5.5
    assert await tick == 6


async def test_a_ticker_that_nobody_waits_for_is_nothing() -> None:
    """It has no task and no timer: nothing is to be stopped."""
    for _ in range(100):
        ticker(0.001)
    await anyio.sleep(1)
    assert current_time() == 1


async def average(
    items: Channel[float], tick: Operation[float], results: Channel[float]
) -> None:
    """Send the average of what came in between two ticks, until the end."""
    window: list[float] = []
    ended = False
    while not ended:
        match await select(tick=tick, item=recv(items), priority=True):
            case "tick", _:
                await results.send(sum(window) / len(window))
                window.clear()
            case _, float(item):
                window.append(item)
            case _:
                ended = True
    results.close()


async def test_averages_over_windows_of_time() -> None:
    """Of the numbers 1 to 7, three in a window and the last one alone."""
    items, results = Channel[float](), Channel[float]()

    async def produce() -> None:
        for item in range(1, 8):
            await anyio.sleep(1)
            await items.send(float(item))
        await anyio.sleep(4)
        items.close()

    async with Group() as g:
        g.go(average, items, ticker(3.4), results)
        g.go(produce)
        assert [item async for item in results] == [2.0, 5.0, 7.0]


@pytest.mark.parametrize("period", [0, -1, float("inf"), float("nan"), "1", True, None])
async def test_a_period_that_makes_no_sense_is_refused(period: object) -> None:
    """With the value in the message."""
    with pytest.raises((ValueError, TypeError), match=str(period)):
        ticker(period)  # type: ignore[arg-type]
