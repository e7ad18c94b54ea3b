"""Select in all states that its channels can be in.

After Kotlin's SelectRendezvousChannelTest, SelectBufferedChannelTest,
SelectUnlimitedChannelTest, SelectTimeoutTest, SelectBiasTest, SelectLoopTest,
SelectJobTest, SelectDeferredTest and SelectMutexTest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Channel,
    ChannelClosed,
    Group,
    WouldBlock,
    after,
    at,
    done,
    recv,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio

each_capacity = pytest.mark.parametrize("capacity", [0, 1, math.inf])


def waiting(ch: Channel[Any]) -> tuple[int, int]:
    """Count who waits to send to `ch`, and to receive from it."""
    figures = ch.statistics()
    return figures.senders_waiting, figures.receivers_waiting


@each_capacity
async def test_a_receive_that_is_ready_takes_the_item(capacity: float) -> None:
    """From the buffer or from a sender that waits, without a wait of its own."""
    ch: Channel[str] = Channel(capacity)
    async with Group() as g:
        g.go(ch.send, "item")
        await parked()
        assert select_nowait(recv(ch)) == (0, "item")
        g.go(ch.send, "item")
        await parked()
        assert await select(recv(ch)) == (0, "item")
    assert waiting(ch) == (0, 0)


@each_capacity
async def test_a_send_that_is_ready_hands_the_item_over(capacity: float) -> None:
    """To a receiver that waits, before any room is used."""
    ch: Channel[str] = Channel(capacity)
    async with Group() as g:
        received = [g.go(ch.receive), g.go(ch.receive)]
        await parked()
        assert select_nowait(send(ch, "item")) == (0, None)
        assert await select(send(ch, "item")) == (0, None)
        assert [await handle for handle in received] == ["item", "item"]
    assert (len(ch), waiting(ch)) == (0, (0, 0))


@each_capacity
async def test_a_receive_waits_for_its_item(capacity: float) -> None:
    """Whichever way it is sent."""
    ch: Channel[int] = Channel(capacity)
    async with Group() as g:
        for i in range(2):
            received = g.go(select, recv(ch))
            await parked()
            assert waiting(ch) == (0, 1)
            await (select(send(ch, i)) if i else ch.send(i))
            assert await received == (0, i)


@pytest.mark.parametrize("capacity", [0, 1])
async def test_a_send_waits_for_room(capacity: int) -> None:
    """Whichever way room is made."""
    ch: Channel[int] = Channel(capacity)
    await ch.send_many(range(capacity))
    async with Group() as g:
        for i in range(2):
            sent = g.go(select, send(ch, i + capacity))
            await parked()
            assert waiting(ch) == (1, 0)
            assert await ch.receive() == i
            assert await sent == (0, None)
    assert len(ch.drain()) == capacity


@each_capacity
async def test_a_default_leaves_no_waiter_behind(capacity: float) -> None:
    """A send after it has to wait, or uses the buffer: nobody is there for it."""
    ch: Channel[int] = Channel(capacity)
    for _ in range(3):
        with pytest.raises(WouldBlock):
            select_nowait(recv(ch), recv(ch))
    assert waiting(ch) == (0, 0)
    async with Group() as g:
        sending = g.go(ch.send, 1)
        await parked()
        assert sending.finished == (capacity > 0)
        assert ch.drain() == [1]


@each_capacity
async def test_the_end_is_ready_and_a_send_after_it_is_an_error(
    capacity: float,
) -> None:
    """Both when the select begins, and while it waits."""
    ch: Channel[int] = Channel(capacity)
    async with Group() as g:
        received = g.go(select, recv(ch))
        await parked()
        ch.close()
        assert await received == (0, CLOSED)
    assert await select(recv(ch)) == (0, CLOSED)
    with pytest.raises(ChannelClosed):
        await select(send(ch, 1))


async def test_a_select_keeps_what_it_has_got_when_the_other_channel_ends() -> None:
    """The item decided; what happens before the task runs comes too late."""
    a, b = Channel[int](), Channel[int]()
    async with Group() as g:
        chosen = g.go(select, recv(a), recv(b))
        await parked()
        a.send_nowait(1)
        b.close()
        with pytest.raises(WouldBlock):
            a.send_nowait(2)
    assert await chosen == (0, 1)


async def test_a_failed_send_leaves_an_earlier_one_waiting() -> None:
    """A parked send(1), the end, a select that cannot send: the 1 is received."""
    ch: Channel[int] = Channel()
    async with Group() as g:
        g.go(ch.send, 1)
        await parked()
        ch.close()
        with pytest.raises(ChannelClosed):
            await select(send(ch, 2))
        assert await ch.receive() == 1


async def test_a_select_that_is_beaten_gives_its_item_to_nobody(
    scale: Callable[[int, int], int],
) -> None:
    """Many selects that could have sent or received on a quiet channel leave it so."""
    quiet, busy = Channel[int](), Channel[int](1)
    for _ in range(scale(200, 1_000)):
        for case in (send(quiet, 1), recv(quiet)):
            assert await select(case, send(busy, 2), priority=True) == (1, None)
            assert await select(case, recv(busy), priority=True) == (1, 2)
        async with Group() as g:
            for case in (send(quiet, 1), recv(quiet)):
                chosen = g.go(select, case, recv(busy))
                await busy.send(3)
                assert await chosen == (1, 3)
    assert waiting(quiet) == (0, 0)


async def test_both_directions_of_one_channel_are_fine_in_one_select() -> None:
    """And the channel works afterwards as before."""
    ch: Channel[int] = Channel()
    async with Group() as g:
        chosen = g.go(select, send(ch, 1), recv(ch))
        await parked()
        assert await ch.receive() == 1
        assert await chosen == (0, None)
        chosen = g.go(select, send(ch, 1), recv(ch))
        await parked()
        await ch.send(2)
        assert await chosen == (1, 2)
    assert waiting(ch) == (0, 0)


@pytest.mark.clock
async def test_of_many_timeouts_the_smallest_wins() -> None:
    """In whatever order they are named."""
    cases = [after(seconds) for seconds in (1.0, 0.02, 0.3, 0.01, math.inf)]
    assert await select(*cases) == (3, pytest.approx(0.01))


@pytest.mark.clock
@pytest.mark.parametrize("seconds", [0, -1, -math.inf])
async def test_a_timeout_of_nothing_is_ready_but_not_first(seconds: float) -> None:
    """It has no priority over what else is ready."""
    ch: Channel[int] = Channel(math.inf)
    count = 400
    await ch.send_many(range(count))
    won = Counter(
        [(await select(recv(ch), after(seconds))).which for _ in range(count)]
    )
    assert min(won.values()) > count / 4
    ch.drain()


@pytest.mark.clock
async def test_timeouts_that_are_due_are_equals(
    scale: Callable[[int, int], int],
) -> None:
    """Each of three is chosen more than a quarter of the time."""
    count = scale(600, 10_000)
    cases = (after(0), at(0), after(-1))
    won = Counter([(await select(*cases)).which for _ in range(count)])
    assert min(won[i] for i in range(3)) > count / 4


async def test_a_loop_of_selects_is_ended_by_a_failing_task() -> None:
    """Though its select is always ready, the loop notices the cancellation."""
    ch: Channel[None] = Channel(1)

    async def fail() -> None:
        await checkpoint()
        raise LookupError

    async def spin() -> None:
        while True:
            await select(recv(ch), send(ch, None))

    with pytest.RaisesGroup(LookupError):
        async with Group() as g:
            g.go(spin)
            g.go(fail)
    ch.drain()


@pytest.mark.parametrize("ending", ["returns", "is cancelled", "ended before"])
async def test_the_end_of_a_task_is_a_case(ending: str) -> None:
    """However it ends; its value is the handle."""
    ch, go_on = Channel[int](), Channel[str]()
    async with Group() as g:
        task = g.go(go_on.receive)
        await parked()
        if ending == "ended before":
            await go_on.send("result")
            await done(task)
        chosen = g.go(select, recv(ch), done(task))
        await parked()
        assert chosen.finished == (ending == "ended before")
        if ending == "returns":
            await go_on.send("result")
        elif ending == "is cancelled":
            task.cancel()
        assert await chosen == (1, task)
    if ending == "is cancelled":
        with pytest.raises(anyio.TaskCancelled):
            await task
    else:
        assert await task == "result"


async def test_a_channel_of_one_is_a_lock_that_can_be_selected(
    scale: Callable[[int, int], int],
) -> None:
    """Nobody is inside with another, and everybody gets in."""
    lock: Channel[None] = Channel(1)
    quiet: Channel[None] = Channel()
    inside = entered = 0

    async def work() -> None:
        nonlocal inside, entered
        for _ in range(scale(20, 1_000)):
            assert await select(recv(quiet), send(lock, None)) == (1, None)
            inside += 1
            assert inside == 1
            await checkpoint()
            entered += 1
            inside -= 1
            lock.receive_nowait()

    async with Group() as g:
        for _ in range(8):
            g.go(work)
    assert entered == 8 * scale(20, 1_000)
    assert waiting(quiet) == (0, 0)
