"""Tasks themselves: Go's test/chan/goroutines.go, and of runtime/proc_test.go
TestStopTheWorldDeadlock, TestYieldProgress and TestPingPongHog.
"""

from __future__ import annotations

import gc

import pytest

from csp import Channel, Group, go, recv
from tests.semantics.go.words import Scale, gosched, parked, program, select_default

pytestmark = pytest.mark.anyio


async def test_a_long_chain_of_tasks(scale: Scale) -> None:
    """Each passes one item on; there may be more of them than calls on a stack."""

    async def link(left: Channel[int], right: Channel[int]) -> None:
        await left.send(await right.receive())

    async with Group() as g:
        leftmost = left = Channel[int]()
        for _ in range(scale(2000, 10_000)):
            right: Channel[int] = Channel()
            g.go(link, left, right)
            left = right
        g.go(left.send, 1)
        assert await leftmost.receive() == 1


async def test_a_task_that_starts_itself_over_and_over(scale: Scale) -> None:
    """Each generation starts the next and ends, until told to stop."""
    stop: Channel[bool] = Channel(1)
    generations = 0

    async def perpetual() -> None:
        nonlocal generations
        generations += 1
        if select_default(recv(stop)) is None:
            go(perpetual)

    async with Group() as g:
        g.go(perpetual)
        for _ in range(scale(100, 1000)):
            gc.collect(0)
            await gosched()
        await stop.send(True)
    assert generations > 10


async def test_a_task_that_only_yields_lets_others_run() -> None:
    """It polls a channel, and is there when a send at last comes."""
    ch: Channel[bool] = Channel()
    acknowledged: Channel[bool] = Channel()

    async def poll() -> None:
        while select_default(recv(ch)) is None:
            await gosched()
        await acknowledged.send(True)

    async with Group() as g:
        g.go(poll)
        for _ in range(10):
            await gosched()
        await ch.send(True)
        assert await acknowledged.receive()


async def test_a_hog_does_not_starve_a_pair(scale: Scale) -> None:
    """A task whose operations never wait still yields, at least once in 64 of them.

    So a pair that plays ping-pong goes on: for each of the two ways of an item it may
    have to wait until the hog yields, and then yield to it once.
    """
    rounds = scale(100, 10_000)
    buffer: Channel[int] = Channel(2)
    ping, pong = Channel[int](), Channel[int]()
    eaten = 0

    async def hog() -> None:
        nonlocal eaten
        while True:
            await buffer.send(eaten)
            await buffer.receive()
            eaten += 2

    async def player() -> None:
        for i in range(rounds):
            assert await ping.receive() == i
            await pong.send(i)

    async with program() as g:
        g.go(hog)
        g.go(player)
        await gosched()
        for i in range(rounds):
            await ping.send(i)
            assert await pong.receive() == i
        assert 0 < eaten <= (rounds + 1) * 2 * 2 * 64
    buffer.drain()


async def test_an_error_in_one_task_ends_the_program() -> None:
    """As a panic does: the others, parked on channels, are cancelled."""

    async def fail() -> None:
        await parked()
        raise LookupError

    ch: Channel[int] = Channel()
    with pytest.raises(ExceptionGroup) as caught:
        async with Group() as g:
            g.go(fail)
            receiver = g.go(ch.receive)
            await recv(None)
    assert [*map(type, caught.value.exceptions)] == [LookupError]
    assert receiver.finished
    assert ch.statistics().receivers_waiting == 0
