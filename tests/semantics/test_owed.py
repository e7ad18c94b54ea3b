"""A native cancellation that comes too late for one wait is owed to the next.

`Task.cancel` may strike a task that was met and has not run yet.  Its operation
returns, for it has happened; the cancellation then comes once, at the next wait or in
the next turn of the loop, unless whoever asked for it has taken the request back.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from asyncio import CancelledError
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from csp import NOT_READY, Channel, ChannelClosed, Operation, Waiter
from tests.semantics.cancelling import (
    NEXT_WAITS,
    expire,
    meet,
    nothing_stray,
    this_task,
    wait_for_event,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def native(backend: str) -> None:
    """Skip where tasks are cancelled by scopes alone."""
    if backend == "trio":
        pytest.skip("trio has no Task.cancel")


def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel("too late")


@pytest.mark.parametrize("next_wait", NEXT_WAITS.values(), ids=NEXT_WAITS)
async def test_it_comes_at_the_next_wait(next_wait: Callable[[], Any]) -> None:
    """With its own message, and with the number of requests as it was."""

    async def body(ch: Channel[str]) -> None:
        item = await ch.receive()
        requests = this_task().cancelling()
        with pytest.raises(CancelledError) as caught:
            await next_wait()
        assert (item, requests, this_task().cancelling()) == ("x", 1, 1)
        assert caught.value.args == ("too late",)
        await checkpoint()  # and never again

    await meet(body, after=cancel)


async def test_it_comes_though_nothing_has_to_wait() -> None:
    """At the latest with the 64th operation."""

    async def body(ch: Channel[str]) -> None:
        await ch.receive()
        busy: Channel[int] = Channel(1)
        with pytest.raises(CancelledError):
            while busy.statistics().sent < 64:
                await busy.send(1)
                await busy.receive()
        busy.drain()

    await meet(body, after=cancel)


@pytest.mark.parametrize("take_back", [True, False])
async def test_it_comes_once(take_back: bool) -> None:
    """Whether the task says that it has dealt with it, or not."""

    async def body(ch: Channel[str]) -> None:
        await ch.receive()
        with pytest.raises(CancelledError):
            await wait_for_event()
        if take_back:
            this_task().uncancel()
        for _ in range(5):
            await checkpoint()
        own: Channel[str] = Channel()
        asyncio.get_running_loop().call_soon(own.send_nowait, "y")
        assert await own.receive() == "y"

    await meet(body, after=cancel)


async def test_two_at_once_come_as_one() -> None:
    """As they do when a task that waits is cancelled twice in one turn."""

    def cancel_twice(task: asyncio.Task[Any]) -> None:
        cancel(task)
        cancel(task)

    async def body(ch: Channel[str]) -> None:
        await ch.receive()
        with pytest.raises(CancelledError):
            await Channel[str]().receive()
        assert this_task().cancelling() == 2
        await checkpoint()

    await meet(body, after=cancel_twice)


async def test_a_task_may_be_cancelled_again() -> None:
    """Each time it was met first, so the item is its, and the cancellation is owed."""
    ch: Channel[int] = Channel()
    got: list[int] = []

    async def body() -> None:
        while len(got) < 3:
            got.append(await ch.receive())
            with pytest.raises(CancelledError):
                await wait_for_event()
            this_task().uncancel()

    task = asyncio.ensure_future(body())
    for number in range(3):
        while not ch.statistics().receivers_waiting:
            await checkpoint()
        ch.send_nowait(number)
        task.cancel()
    await task
    assert got == [0, 1, 2]


async def test_a_task_that_ends_first_has_ended_well() -> None:
    """And the loop keeps nothing of it."""
    tasks: list[weakref.ref[asyncio.Task[Any]]] = []

    async def body(ch: Channel[str]) -> str:
        tasks.append(weakref.ref(this_task()))
        return await ch.receive()

    assert await meet(body, after=cancel) == "x"
    await checkpoint()
    gc.collect()
    assert tasks[0]() is None


async def test_an_error_comes_before_it() -> None:
    """A wait that was failed fails, and the cancellation is for the next one."""
    ch: Channel[str] = Channel()
    rx = ch.receiver()

    async def body() -> None:
        with pytest.raises(ChannelClosed):
            await rx.receive()
        with pytest.raises(CancelledError):
            await wait_for_event()

    task = asyncio.ensure_future(body())
    await checkpoint()
    rx.close()
    task.cancel()
    await asyncio.wait([task])
    task.result()


async def test_a_timeout_whose_block_has_ended_leaves_nothing() -> None:
    """All that was to be done in time was done, and so the request is taken back."""
    deadlines: list[asyncio.Timeout] = []

    async def body(ch: Channel[str]) -> None:
        async with asyncio.timeout(None) as timeout:
            deadlines.append(timeout)
            assert await ch.receive() == "x"
        assert timeout.expired()
        await nothing_stray()

    await meet(body, before=lambda: expire(*deadlines))


class AtOnce(Operation[None]):
    """Never ready when asked, and ready as soon as somebody waits for it."""

    def poll(self) -> Any:
        return NOT_READY

    def enroll(self, waiter: Waiter) -> None:
        if waiter.claim(self):
            waiter.wake(None)

    def withdraw(self, waiter: Waiter) -> None:
        pass


async def test_nothing_is_left_of_a_wait_that_was_none() -> None:
    """It may bring the cancellation or not; what comes is caught by the block."""
    deadlines: list[asyncio.Timeout] = []

    async def body(ch: Channel[str]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as timeout:
                deadlines.append(timeout)
                assert await ch.receive() == "x"
                await AtOnce()
        await nothing_stray()

    await meet(body, before=lambda: expire(*deadlines))


@pytest.mark.parametrize("next_wait", NEXT_WAITS.values(), ids=NEXT_WAITS)
async def test_a_timeout_ends_the_next_wait_of_its_block(
    next_wait: Callable[[], Any],
) -> None:
    """It comes as TimeoutError, and with it all is paid."""
    deadlines: list[asyncio.Timeout] = []

    async def body(ch: Channel[str]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as timeout:
                deadlines.append(timeout)
                assert await ch.receive() == "x"
                await next_wait()
        await nothing_stray()

    await meet(body, before=lambda: expire(*deadlines))


@pytest.mark.parametrize("next_wait", NEXT_WAITS.values(), ids=NEXT_WAITS)
async def test_an_outer_timeout_outlives_an_inner_one(
    next_wait: Callable[[], Any],
) -> None:
    """Both expire in the turn of the item, and the inner block ends in time."""
    deadlines: list[asyncio.Timeout] = []

    async def body(ch: Channel[str]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as outer:
                async with asyncio.timeout(None) as inner:
                    deadlines.extend([outer, inner])
                    assert await ch.receive() == "x"
                await next_wait()
        await nothing_stray()

    await meet(body, before=lambda: expire(*deadlines))


async def test_a_cancellation_outlives_a_timeout() -> None:
    """The block takes its own request back, and not the other one."""
    deadlines: list[asyncio.Timeout] = []

    async def body(ch: Channel[str]) -> None:
        async with asyncio.timeout(None) as timeout:
            deadlines.append(timeout)
            assert await ch.receive() == "x"
        await asyncio.Event().wait()

    with pytest.raises(CancelledError):
        await meet(body, before=lambda: expire(*deadlines), after=cancel)


async def test_a_request_met_long_ago_is_not_made_again() -> None:
    """A task that cleans up after a cancellation may use timeouts like any other."""
    deadlines: list[asyncio.Timeout] = []

    async def body(ch: Channel[str]) -> None:
        this_task().cancel()
        with pytest.raises(CancelledError):
            await checkpoint()
        async with asyncio.timeout(None) as timeout:
            deadlines.append(timeout)
            assert await ch.receive() == "x"
        assert this_task().cancelling() == 1
        await checkpoint()
        await checkpoint()

    await meet(body, before=lambda: expire(*deadlines))


async def test_a_group_whose_block_has_ended_leaves_nothing() -> None:
    """The error that made it cancel its block comes out, and no cancellation."""
    failing = asyncio.Event()

    async def fail(ch: Channel[str]) -> None:
        await failing.wait()
        asyncio.get_running_loop().call_soon(ch.send_nowait, "x")
        raise ZeroDivisionError

    async def body(ch: Channel[str]) -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fail(ch))
                assert await ch.receive() == "x"
        assert caught.group_contains(ZeroDivisionError)
        await nothing_stray()

    task = asyncio.ensure_future(body(Channel()))
    await checkpoint()
    failing.set()
    await task


@pytest.mark.skipif(
    tuple(map(int, version("anyio").split(".")[:2])) < (4, 16),
    reason="before 4.16 anyio's scope takes a native cancellation of that turn for its",
)
async def test_a_scope_of_anyio_does_not_swallow_it(backend: str) -> None:
    """Though that is cancelled in the same turn."""
    scope = anyio.CancelScope()

    async def body(ch: Channel[str]) -> None:
        with scope:
            assert await ch.receive() == "x"
            await wait_for_event()
        await wait_for_event()

    with pytest.raises(CancelledError):
        await meet(body, after=lambda task: (scope.cancel(), cancel(task)))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="wait_for makes no task there")
async def test_an_item_goes_with_a_task_whose_result_nobody_reads() -> None:
    """Such as that of a `wait_for` which is itself cancelled, before Python 3.12."""
    received: list[str] = []

    async def receive(ch: Channel[str]) -> None:
        received.append(await ch.receive())

    async def body(ch: Channel[str]) -> None:
        waits.append(this_task())
        await asyncio.wait_for(receive(ch), 10)

    waits: list[asyncio.Task[Any]] = []
    with pytest.raises(CancelledError):
        await meet(body, before=lambda: cancel(waits[0]))
    assert received == ["x"]
