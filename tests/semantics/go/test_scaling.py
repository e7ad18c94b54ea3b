"""What selects leave behind, and what they cost: nothing, and no more for more of them.

From Go's test/chan/select2.go, test/chanlinear.go and test/fixedbugs/issue9110.go.
"""

from __future__ import annotations

import gc
import time
import tracemalloc

import pytest

from csp import CLOSED, Channel, Group, recv, select
from tests.semantics.go.words import Scale, live_waiters, parked

pytestmark = pytest.mark.anyio


async def test_losing_cases_leave_nothing_at_a_quiet_channel(scale: Scale) -> None:
    """However many selects lost there, the quiet channel holds no memory for them."""
    busy, quiet = Channel[int](), Channel[int]()

    async def receive(times: int) -> None:
        for _ in range(times):
            await select(recv(busy), recv(quiet))

    async def send_and_receive(times: int) -> None:
        async with Group() as g:
            g.go(receive, times)
            for i in range(times):
                await busy.send(i)

    await send_and_receive(100)  # to warm up
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await send_and_receive(scale(1000, 100_000))
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert quiet.statistics().receivers_waiting == 0
    assert after - before < 110_000


async def rounds_of_selects(tasks: int, rounds: int) -> float:
    """Time tasks that select on one quiet channel and each on its own; in seconds."""
    quiet: Channel[int] = Channel()
    own = [Channel[int]() for _ in range(tasks)]

    async def selector(mine: Channel[int]) -> None:
        for _ in range(rounds):
            which, _ = await select(recv(quiet), recv(mine))
            assert which == 1

    async with Group() as g:
        for ch in own:
            g.go(selector, ch)
        await parked()
        assert quiet.statistics().receivers_waiting == tasks
        start = time.process_time()
        for i in range(rounds):
            for ch in own:
                await ch.send(i)
        return time.process_time() - start


async def test_leaving_a_long_queue_is_as_quick_as_a_short_one(scale: Scale) -> None:
    """Twice as many tasks that select on one channel take about twice the time.

    With a search through the queue they would take four times.  A busy machine can
    spoil a measurement, so the best of five has to do.
    """
    tasks, rounds = scale(3000, 10_000), scale(2, 10)
    ratios = []
    for _ in range(5):
        once = await rounds_of_selects(tasks, rounds)
        twice = await rounds_of_selects(2 * tasks, rounds)
        ratios.append(twice / once)
        if ratios[-1] < 3:
            return
    pytest.fail(f"twice the tasks took {ratios} times as long")


async def test_waiters_do_not_accumulate() -> None:
    """After ten more rounds of selects there are no more waiters than before."""

    async def selector(ch: Channel[int]) -> None:
        assert (await select(recv(ch), recv(ch), recv(ch))).value is CLOSED

    async def rounds() -> int:
        for _ in range(10):
            ch: Channel[int] = Channel()
            async with Group() as g:
                for _ in range(10):
                    g.go(selector, ch)
                await parked()
                assert ch.statistics().receivers_waiting == 30
                ch.close()
        return live_waiters()

    assert await rounds() == await rounds()
