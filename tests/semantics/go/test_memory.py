"""The garbage collector takes nothing that a channel still has to deliver.

From Go's runtime/chanbarrier_test.go, with the counts of its short form, and from
TestShrinkStackDuringBlockedSend and TestSelectStackAdjust of runtime/chan_test.go.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable

import pytest

from csp import Channel, Group, go, recv, select, send
from tests.semantics.go.words import Scale, gosched, parked, program

pytestmark = pytest.mark.anyio


class Answer:
    """An item that nothing but a channel holds."""


async def answer(ch: Channel[Answer]) -> None:
    """Send an item."""
    await ch.send(Answer())


async def answer_by_select(ch: Channel[Answer]) -> None:
    """Send an item, unless something happens that never does."""
    await select(send(ch, Answer()), recv(Channel[int]()))


@pytest.mark.parametrize("respond", [answer, answer_by_select])
async def test_items_survive_their_way_through_a_channel(
    respond: Callable[[Channel[Answer]], Awaitable[None]], scale: Scale
) -> None:
    """Whichever side waits, an item that is on its way is not collected."""

    async def request(sender_first: bool) -> object:
        ch: Channel[Answer] = Channel()
        go(respond, ch)
        if sender_first:
            await gosched()
        gc.collect(0)
        received = await ch.receive()
        gc.collect(0)
        return received

    async def requests() -> None:
        for i in range(scale(20, 1000)):
            assert isinstance(await request(i % 2 == 0), Answer)

    async with Group() as g:
        for _ in range(10):
            g.go(requests)


async def test_a_sender_that_waits_survives_a_collection() -> None:
    """A sender parked ten times over, with a collection each time, sends in order."""
    ch: Channel[list[int]] = Channel()

    async def sender() -> None:
        for i in range(10):
            await ch.send([i])

    async with Group() as g:
        g.go(sender)
        for i in range(10):
            await parked()
            gc.collect()
            assert await ch.receive() == [i]


async def test_selects_that_wait_survive_a_collection() -> None:
    """Tasks parked in selects, all through one channel, each get their item."""
    ch: Channel[list[int]] = Channel()
    received: list[int] = []

    async def selector() -> None:
        _, item = await select(recv(ch), recv(Channel[list[int]]()), recv(ch))
        received.extend(item)

    async with Group() as g:
        for _ in range(10):
            g.go(selector)
        await parked()
        for i in range(10):
            gc.collect()
            await ch.send([i])
    assert sorted(received) == [*range(10)]


async def test_a_task_that_nobody_can_wake_stays() -> None:
    """It waits at a channel that only it knows, until its group is cancelled."""

    async def wait() -> None:
        await Channel[int]().receive()

    async with program() as g:
        task = g.go(wait)
        await parked()
        gc.collect()
        await gosched()
        assert not task.finished
