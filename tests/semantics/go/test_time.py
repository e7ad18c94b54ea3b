"""Timers and tickers: Go's time/sleep_test.go and time/tick_test.go, in virtual time.

Go stops and resets timers.  Here a timer runs only while an operation is performed: to
stop it is to cancel that or to let it lose a select, to reset it is to perform it anew.
"""

from __future__ import annotations

import gc
import math

import anyio
import pytest

from csp import Channel, Group, after, at, recv, select, ticker
from tests.semantics.go.words import Scale, live_waiters, program, select_default

pytestmark = pytest.mark.anyio
clock = pytest.mark.clock

now = anyio.current_time


@clock
@pytest.mark.parametrize("delta", [0.02, 1.0])
async def test_ticks_take_their_time(delta: float) -> None:
    """Five ticks, and then five of a ticker half as quick.  TestTicker."""
    start = now()
    for period in (delta, 2 * delta):
        tick = ticker(period)
        for _ in range(5):
            await tick
    assert now() - start == pytest.approx(15 * delta)


@clock
async def test_tickers_come_and_go() -> None:
    """Ticker after ticker, each used once.  TestTeardown."""
    start = now()
    for _ in range(3):
        await ticker(0.1)
    assert now() - start == pytest.approx(0.3)


@pytest.mark.parametrize("period", [0, -1, -math.inf, math.inf, math.nan])
async def test_impossible_periods(period: float) -> None:
    """Are refused; Go's Tick gives nil.  TestNewTickerLtZeroDuration, TestTick."""
    with pytest.raises(ValueError, match="ticker"):
        ticker(period)


@clock
async def test_missed_ticks_are_dropped() -> None:
    """Who comes late gets one tick, late, and then the next on the grid."""
    await anyio.sleep(0.7)
    start = now()
    tick = ticker(1.0)
    await anyio.sleep(2.5)
    assert await tick - start == pytest.approx(1)
    assert select_default(tick) is None
    assert await tick - start == pytest.approx(3)
    assert now() - start == pytest.approx(3)


@clock
async def test_a_timer_takes_at_least_its_delay() -> None:
    """And it tells when it went off.  TestAfter."""
    start = now()
    end = await after(0.1)
    assert start + 0.1 <= end <= now()


async def test_a_timer_is_never_early() -> None:
    """Nor on a loop whose own timers are coarse, in real time."""
    for _ in range(10):
        start = now()
        await after(0.0013)
        assert now() >= start + 0.0013


@clock
async def test_timers_in_a_row() -> None:
    """Ten of them take ten times as long as one.  TestAfterTick."""
    start = now()
    for _ in range(10):
        await after(0.1)
    assert now() - start == pytest.approx(1)


@clock
async def test_a_stopped_timer_does_not_go_off() -> None:
    """Not even after a longer one has.  TestAfterStop."""
    fired: list[float] = []

    async def wait(seconds: float) -> None:
        fired.append(await after(seconds))

    async with Group() as g:
        start = now()
        stopped = [g.go(wait, seconds) for seconds in (0.05, 0.15)]
        g.go(wait, 0.1)
        longest = g.go(wait, 0.2)
        await after(0.01)
        for task in stopped * 2:  # stopping twice is fine
            task.cancel()
        await longest
        assert [when - start for when in fired] == pytest.approx([0.1, 0.2])


@clock
async def test_timers_go_off_in_the_order_of_their_times() -> None:
    """However they were started, and each at its own time.  TestAfterQueuing."""
    slots = [5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0]
    results: Channel[tuple[int, float]] = Channel(len(slots))
    await anyio.sleep(0.5)  # from 0, where times and durations are the same

    async def wait(slot: int) -> None:
        await results.send((slot, await at(start + slot)))

    start = now()
    async with Group() as g:
        for slot in slots:
            g.go(wait, slot)
        received = [await results.receive() for _ in slots]
    assert [slot for slot, _ in received] == sorted(slots)
    assert [when - start for _, when in received] == pytest.approx(sorted(slots))


@clock
async def test_many_timers_are_stopped_in_time() -> None:
    """A hundred of 2 s, each stopped after 1 s.  TestTimerStopStress."""
    async with program() as g:
        timers = [g.go(after, 2.0) for _ in range(100)]

        async def stop(i: int) -> None:
            await after(1.0)
            timers[i].cancel()

        for i in range(100):
            g.go(stop, i)
        await after(3.0)
        assert all(task.finished for task in timers)
        for task in timers:
            with pytest.raises(anyio.TaskCancelled):
                await task


@clock
async def test_a_timer_performed_anew_begins_anew() -> None:
    """What is left of its first performance does not count.  TestReset, go#37196."""
    start = now()
    timeout = after(3.0)
    assert (await select(timeout, after(2.0))).which == 1
    assert select_default(timeout) is None
    await anyio.sleep(2.0)
    assert select_default(timeout) is None
    await timeout
    assert now() - start == pytest.approx(7)


@clock
@pytest.mark.parametrize("long", [1e18, 1e308, math.inf])
async def test_no_time_is_too_long(long: float) -> None:
    """Nor too long past.  TestOverflowSleep."""
    start = now()
    assert (await select(after(long), at(long), after(0.025))).which == 2
    assert now() - start == pytest.approx(0.025)
    for due in (after(-long), at(-long)):
        assert (await select(due, after(1.0))).which == 0
    assert now() - start == pytest.approx(0.025)


@clock
async def test_a_timer_of_no_time_is_ready(scale: Scale) -> None:
    """At once, every time.  TestZeroTimer."""
    start = now()
    for _ in range(scale(1000, 100_000)):
        await after(0)
    assert select_default(after(0)) == (0, now())
    assert now() == start


@clock
async def test_timers_survive_the_garbage_collector() -> None:
    """A hundred ticks with collections in between.  TestAfterStress."""
    async with program() as g:

        async def collect() -> None:
            while True:
                gc.collect(0)
                await anyio.sleep(1e-9)

        g.go(collect)
        start = now()
        tick = ticker(1e-9)
        for _ in range(100):
            await tick
        assert now() - start == pytest.approx(1e-7)


@clock
async def test_timers_that_lost_leave_nothing() -> None:
    """A timeout of an hour, a thousand times in vain, and no waiter is left of it."""
    ch: Channel[int] = Channel()
    timeout = after(3600)
    before = live_waiters()

    async def receiver() -> None:
        for _ in range(1000):
            assert (await select(recv(ch), timeout)).which == 0

    async with Group() as g:
        g.go(receiver)
        for i in range(1000):
            await ch.send(i)
    assert live_waiters() == before
