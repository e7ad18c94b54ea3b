"""Many tasks at once, and not an item lost or doubled.

From Go's test/chan/doubleselect.go and test/ken/chan1.go; TestSelectStress and
TestMultiConsumer of runtime/chan_test.go.
"""

from __future__ import annotations

from itertools import cycle, islice

import pytest

from csp import Channel, Group, Operation, recv, select, send
from tests.semantics.go.words import Scale, gosched, program

pytestmark = pytest.mark.anyio

NO_PRIMES = (2, 3, 7, 11, 13, 17, 19, 23, 27, 31)  # 27 is Go's


async def test_a_select_sends_each_item_to_one_channel(scale: Scale) -> None:
    """What one select sends to four channels comes out of them once, all of it."""
    count = scale(1000, 100_000)
    ways = [Channel[int]() for _ in range(4)]
    merged: Channel[int] = Channel()

    async def sender() -> None:
        for i in range(count):
            await select(*(send(way, i) for way in ways))
        for way in ways:
            way.close()

    async def copy(way: Channel[int]) -> None:
        async for item in way:
            await merged.send(item)

    async def mux() -> None:
        async with Group() as copiers:
            for way in ways:
                copiers.go(copy, way)
        merged.close()

    async with Group() as g:
        g.go(sender)
        g.go(mux)
        items = [item async for item in merged]
    assert sorted(items) == [*range(count)]


async def test_each_id_is_received_once() -> None:
    """Ten receivers share what one sender marks: sent, and then received, each id."""
    history = [0] * 1000
    ch: Channel[int] = Channel(2)

    async def receiver() -> None:
        while True:
            _, i = await select(recv(ch))
            assert history[i] == 1
            history[i] = 2

    async with program() as g:
        for _ in range(10):
            g.go(receiver)
        for i in range(len(history)):
            assert history[i] == 0
            history[i] = 1
            await ch.send(i)
        await ch.wait_empty()
    assert set(history) == {2}


async def test_sends_receives_and_selects_meet_in_chaos(scale: Scale) -> None:
    """Four channels, each with a sender and a receiver, and a select of either kind.

    The numbers add up, so all of it ends if no item is lost or doubled.
    """
    count = scale(300, 100_000)
    channels = [Channel[int](capacity) for capacity in (0, 0, 2, 3)]

    async def sender(ch: Channel[int]) -> None:
        for i in range(count):
            await ch.send(i)

    async def receiver(ch: Channel[int]) -> None:
        for _ in range(count):
            await ch.receive()

    async def selector(cases: list[Operation[object]]) -> None:
        live: list[Operation[object] | None] = [*cases]
        left = [count] * len(cases)
        while any(left):
            which, _ = await select(*live)
            assert isinstance(which, int)
            left[which] -= 1
            if not left[which]:
                live[which] = None

    sends: list[Operation[object]] = [send(channels[i], -1) for i in (3, 2, 0, 1)]
    receives: list[Operation[object]] = [recv(ch) for ch in channels]
    async with Group() as g:
        for ch in channels:
            g.go(sender, ch)
            g.go(receiver, ch)
        g.go(selector, sends)
        g.go(selector, receives)
    for ch in channels:
        statistics = ch.statistics()
        assert statistics.sent == statistics.received == 2 * count


async def test_workers_pass_on_all_they_get(scale: Scale) -> None:
    """A feeder, 23 workers, a consumer: it gets as many items, with the same sum."""
    workers = 23
    items = [*islice(cycle(NO_PRIMES), scale(3000, 271_828))]
    queue: Channel[int] = Channel(3 * workers)
    results: Channel[int] = Channel(3 * workers)

    async def worker(mine: int) -> None:
        async for item in queue:
            if item == mine:
                await gosched()
            await results.send(item)

    async def feeder() -> None:
        async with Group() as g:
            for mine in islice(cycle(NO_PRIMES), workers):
                g.go(worker, mine)
            await queue.send_many(items)
            queue.close()
        results.close()

    async with Group() as g:
        g.go(feeder)
        received = [item async for item in results]
    assert sorted(received) == sorted(items)
