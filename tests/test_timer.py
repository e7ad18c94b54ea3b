"""Time as operations, on a virtual clock: nothing early, nothing left behind."""

from __future__ import annotations

import math
from typing import Any

import anyio
import pytest

from csp import Channel, Group, after, at, recv, run, select, select_nowait, ticker

pytestmark = [pytest.mark.anyio, pytest.mark.clock]


async def test_after_counts_from_each_performance() -> None:
    """One operation will do for a loop."""
    pause, start = after(5), anyio.current_time()
    for n in (1, 2, 3):
        assert await pause == pytest.approx(start + 5 * n)
        assert anyio.current_time() == pytest.approx(start + 5 * n)


async def test_at_is_a_time_of_the_loop() -> None:
    """And when that has passed, it is ready at once."""
    start = anyio.current_time()
    deadline = at(start + 3)
    assert await deadline == pytest.approx(start + 3)
    await anyio.sleep(4)
    assert select_nowait(deadline).value == pytest.approx(start + 7)


@pytest.mark.parametrize("seconds", [0, -1, -math.inf])
async def test_what_is_past_is_ready_at_once(seconds: float) -> None:
    """Without waiting, though other things are ready too."""
    assert select_nowait(recv(None), late=after(seconds)).which == "late"


async def test_an_infinite_wait_is_no_timer() -> None:
    """It is never ready, and sets no alarm."""
    with anyio.move_on_after(1e6) as scope:
        await select(after(math.inf), at(math.inf))
    assert scope.cancelled_caught


async def test_the_earliest_wins() -> None:
    """In whatever order they are given."""
    start = anyio.current_time()
    for ops in [(after(2), after(1)), (at(start + 3), after(1)), (after(1), after(1))]:
        began = anyio.current_time()
        await select(*ops)
        assert anyio.current_time() == pytest.approx(began + 1)


async def test_a_timeout_that_lost_leaves_nothing() -> None:
    """The clock does not come to where it would have rung."""
    ch: Channel[int] = Channel(1)
    start = anyio.current_time()
    async with Group() as g:
        waiting = g.go(lambda: select(job=recv(ch), late=after(100)))
        await anyio.sleep(1)
        await ch.send(5)
        assert await waiting == ("job", 5)
    assert anyio.current_time() == pytest.approx(start + 1)


async def test_a_timeout_does_not_take_an_item() -> None:
    """Nor does an item that comes in the same turn take the timeout."""
    ch: Channel[int] = Channel(10)
    async with Group() as g:

        async def produce() -> None:
            for n in range(10):
                await anyio.sleep(1)
                await ch.send(n)
            ch.close()

        g.go(produce)
        got, late = [], 0
        while len(got) < 10:
            which, value = await select(recv(ch), after(1))
            if which == 0:
                got.append(value)
            else:
                late += 1
    assert got == list(range(10))


async def test_a_ticker_stays_on_its_grid() -> None:
    """Missed ticks are dropped, but for one that is late."""
    start = anyio.current_time()
    tick = ticker(10)
    assert await tick == pytest.approx(start + 10)
    await anyio.sleep(33)
    assert await tick == pytest.approx(start + 20)  # late: it is 43 by now
    assert anyio.current_time() == pytest.approx(start + 43)
    assert await tick == pytest.approx(start + 50)
    assert anyio.current_time() == pytest.approx(start + 50)


async def test_a_tick_goes_to_one_of_those_who_wait() -> None:
    """The other has the next, and keeps its place in the other queues."""
    ch: Channel[int] = Channel()
    start, tick = anyio.current_time(), ticker(10)
    got = []

    async def wait() -> None:
        got.append(await select(tick, recv(ch)))

    async with Group() as g:
        for _ in range(3):
            g.go(wait)
        await anyio.sleep(25)
        assert len(got) == 2
        ch.send_nowait(5)
    assert [value for _, value in got] == [
        pytest.approx(start + 10),
        pytest.approx(start + 20),
        5,
    ]


async def test_ten_thousand_ticks_do_not_drift() -> None:
    """The grid is computed from its beginning, not from the last tick."""
    start, tick = anyio.current_time(), ticker(0.1)
    for _ in range(10_000):
        last = await tick
    assert last == pytest.approx(start + 1000, abs=1e-6)


async def test_a_cancelled_timer_is_none() -> None:
    """A scope's deadline and a select's timeout keep out of each other's way."""
    for scope, timeout, cancelled in [(1, 2, True), (2, 1, False)]:
        with anyio.move_on_after(scope) as caught:
            await select(after(timeout))
        assert caught.cancelled_caught is cancelled


@pytest.mark.parametrize("make", [after, at, ticker])
@pytest.mark.parametrize("wrong", ["1", None, True, math.nan, 1j])
async def test_time_is_a_number_of_seconds(make: Any, wrong: Any) -> None:
    """Anything else is an error with the name and the value."""
    with pytest.raises((TypeError, ValueError), match=f"{make.__name__} takes a numb"):
        make(wrong)


@pytest.mark.parametrize("period", [0, -1, math.inf])
async def test_a_period_is_finite_and_positive(period: float) -> None:
    """As in Go."""
    with pytest.raises(
        ValueError, match=f"finite period above 0 seconds, not {period}"
    ):
        ticker(period)


def test_a_ticker_belongs_to_its_loop() -> None:
    """Outside of any there is none; in another it is refused."""
    with pytest.raises(RuntimeError, match="no event loop is running"):
        ticker(1)

    async def make() -> Any:
        return ticker(1)

    tick = run(make)

    async def use() -> None:
        with pytest.raises(RuntimeError, match="ticker.* belongs to another"):
            await tick

    run(use)
