"""The races that asyncio.Queue once lost, or was feared to lose.

After CPython's test_queues.py.  Each is run with cancel scopes, and natively where
there is such a thing.  A shutdown is `close` here, an immediate one `drain` as well,
and a join without accounts of unfinished tasks is `wait_empty`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Channel,
    ChannelClosed,
    EndOfChannel,
    Group,
    recv,
    select,
    send,
)

from .jobs import CANCELLED, Jobs, outcome

pytestmark = pytest.mark.anyio


async def take(ch: Channel[object]) -> object:
    """Receive by the method."""
    return await ch.receive()


async def take_selected(ch: Channel[object]) -> object:
    """Receive as one of two cases."""
    return (await select(recv(ch), recv(Channel[int]()))).value


async def put(ch: Channel[object], item: object) -> None:
    """Send by the method."""
    await ch.send(item)


async def put_selected(ch: Channel[object], item: object) -> None:
    """Send as one of two cases."""
    await select(send(ch, item), recv(Channel[int]()))


Take = Callable[[Channel[object]], Awaitable[object]]
Put = Callable[[Channel[object], object], Awaitable[None]]

each_take = pytest.mark.parametrize("take", [take, take_selected])
each_put = pytest.mark.parametrize("put", [put, put_selected])
each_delay = pytest.mark.parametrize("turns", range(4))


async def let_run(turns: int) -> None:
    """Let others run, so many times."""
    for _ in range(turns):
        await checkpoint()


@each_take
@each_delay
async def test_an_item_after_a_cancelled_getter_goes_to_the_next(
    how: str, take: Take, turns: int
) -> None:
    """However soon after the cancellation it comes."""
    ch: Channel[object] = Channel(1)
    async with Jobs(how) as jobs:
        first = jobs.start(take, ch)
        await parked()
        second = jobs.start(take, ch)
        await parked()
        first.cancel()
        await let_run(turns)
        ch.send_nowait("a")
        assert await outcome(second) == "a"
        assert await outcome(first) == CANCELLED


@each_take
async def test_a_getter_that_has_its_item_keeps_it(how: str, take: Take) -> None:
    """Cancelled before it could run; the next item is for the next getter."""
    ch: Channel[object] = Channel(2)
    async with Jobs(how) as jobs:
        reader = jobs.start(take, ch)
        await parked()
        ch.send_nowait(1)
        ch.send_nowait(2)
        reader.cancel()
        assert await outcome(reader) == 1
        assert await outcome(jobs.start(take, ch)) == 2


@each_take
@pytest.mark.parametrize("cancelled", [(), (0,), (1, 2), (0, 1, 2)])
async def test_of_many_getters_each_has_its_item(
    how: str, take: Take, cancelled: tuple[int, ...]
) -> None:
    """Whichever of them are cancelled after the items were put."""
    ch: Channel[object] = Channel(1)
    async with Jobs(how) as jobs:
        readers = []
        for _ in range(3):
            readers.append(jobs.start(take, ch))
            await parked()
        for item in range(4):
            ch.send_nowait(item)
        for i in cancelled:
            readers[i].cancel()
        assert [await outcome(reader) for reader in readers] == [0, 1, 2]
        assert await outcome(jobs.start(take, ch)) == 3


@each_put
@each_delay
async def test_a_cancelled_putter_makes_way_for_the_next(
    how: str, put: Put, turns: int
) -> None:
    """Its item is not in the queue, and the others are, in their order."""
    ch: Channel[object] = Channel(1)
    async with Jobs(how) as jobs:
        putters = {}
        for item in "abXc":
            putters[item] = jobs.start(put, ch, item)
            await parked()
        putters["X"].cancel()
        await let_run(turns)
        assert [await ch.receive() for _ in range(3)] == ["a", "b", "c"]
        assert await outcome(putters["X"]) == CANCELLED
        assert await outcome(putters["c"]) is None


@each_put
async def test_a_putter_that_has_put_its_item_is_not_cancelled(
    how: str, put: Put
) -> None:
    """Room was made for it before: the item is in the queue, and it is told so."""
    ch: Channel[object] = Channel(1)
    ch.send_nowait(1)
    async with Jobs(how) as jobs:
        first = jobs.start(put, ch, 2)
        await parked()
        second = jobs.start(put, ch, 3)
        await parked()
        assert ch.receive_nowait() == 1
        first.cancel()
        second.cancel()
        assert [await outcome(job) for job in (first, second)] == [None, CANCELLED]
    assert ch.drain() == [2]


@pytest.mark.clock
async def test_a_getter_that_timed_out_is_forgotten() -> None:
    """And so is a putter."""
    ch: Channel[object] = Channel(1)
    for _ in range(3):
        with anyio.move_on_after(0.1):
            await ch.receive()
    assert ch.statistics().receivers_waiting == 0
    ch.send_nowait(1)
    for _ in range(3):
        with anyio.move_on_after(0.1):
            await ch.send(2)
    assert ch.statistics().senders_waiting == 0
    assert ch.drain() == [1]


@pytest.mark.clock
@pytest.mark.parametrize("capacity", [1, 2])
@pytest.mark.parametrize(
    ("put_pause", "take_pause"), [(0.01, 0), (0, 0.01), (0.01, 0.01)]
)
async def test_nobody_waits_while_there_is_work(
    capacity: int, put_pause: float, take_pause: float
) -> None:
    """Slow putters and quick getters, and the other way round: all get through."""
    ch: Channel[int] = Channel(capacity)

    async def produce(items: range) -> None:
        for item in items:
            await ch.send(item)
            await anyio.sleep(put_pause)

    async def consume() -> list[int]:
        items = []
        for _ in range(4):
            items.append(await ch.receive())
            await anyio.sleep(take_pause)
        return items

    async with Group() as g:
        consumers = [g.go(consume) for _ in range(2)]
        for items in (range(4), range(4, 8)):
            g.go(produce, items)
    received = [item for consumer in consumers for item in await consumer]
    assert sorted(received) == list(range(8))


async def test_a_shutdown_lets_the_rest_be_received() -> None:
    """And nothing in, though there is room."""
    ch: Channel[object] = Channel(2)
    ch.send_nowait("data")
    ch.close()
    with pytest.raises(ChannelClosed):
        await ch.send("more")
    assert await ch.receive() == "data"
    for _ in range(2):
        with pytest.raises(EndOfChannel):
            await ch.receive()
        with pytest.raises(EndOfChannel):
            ch.receive_nowait()


@each_put
async def test_a_shutdown_lets_putters_that_wait_be_served(put: Put) -> None:
    """As they came before it."""
    ch: Channel[object] = Channel(1)
    async with Group() as g:
        for item in range(4):
            g.go(put, ch, item)
            await parked()
        ch.close()
        assert [item async for item in ch] == [0, 1, 2, 3]


@each_put
async def test_an_immediate_shutdown_takes_all_out(put: Put) -> None:
    """Putters that wait have put, getters and joiners go."""
    ch: Channel[object] = Channel(1)
    async with Group() as g:
        putters = [g.go(put, ch, item) for item in range(3)]
        joiner = g.go(ch.wait_empty)
        await parked()
        ch.close()
        assert sorted(ch.drain(), key=str) == [0, 1, 2]
        await parked()
        assert joiner.finished
        assert all(putter.finished for putter in putters)
    assert await recv(ch) is CLOSED


@each_take
async def test_a_shutdown_wakes_getters_that_wait(take: Take) -> None:
    """Each with the end, as it would have had later."""
    ch: Channel[object] = Channel()
    ended = 0

    async def get() -> None:
        nonlocal ended
        try:
            assert await take(ch) is CLOSED
        except EndOfChannel:
            assert take is not take_selected
        ended += 1

    async with Group() as g:
        for _ in range(3):
            g.go(get)
        await parked()
        ch.close()
    assert ended == 3


@pytest.mark.parametrize("closed", [False, True])
async def test_a_join_waits_for_the_last_item(closed: bool) -> None:
    """All joiners go at once, whether or not the queue is shut."""
    ch: Channel[object] = Channel(1)
    async with Group() as g:
        for item in range(3):
            g.go(ch.send, item)
            await parked()
        joiners = [g.go(ch.wait_empty) for _ in range(3)]
        await parked()
        if closed:
            ch.close()
        for item in range(3):
            await parked()
            assert not any(joiner.finished for joiner in joiners)
            assert await ch.receive() == item
    assert all(joiner.finished for joiner in joiners)
    await ch.wait_empty()


async def test_a_cancelled_putter_is_not_waited_for_by_a_join() -> None:
    """Once the last of them is gone nothing is left, and the joiner learns of it."""
    ch: Channel[object] = Channel()
    async with Group() as g:
        putters = [g.go(ch.send, i) for i in range(2)]
        await parked()
        joiner = g.go(ch.wait_empty)
        for putter in putters:
            await parked()
            assert not joiner.finished
            putter.cancel()
        await parked()
        assert joiner.finished
