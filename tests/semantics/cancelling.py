"""The ways in which an operation can be cancelled.

Each makes a move, and lets others strike at it while it lasts.  Each ends clean,
whatever happened: it catches the cancellation that it made possible, and fails if one
comes that nobody asked for, or one that was asked for does not come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from csp import Channel, recv, select, send

Move: TypeAlias = Callable[[], Awaitable[Any]]
Cancel: TypeAlias = Callable[[], Any]
# Makes known how to cancel what runs in the block.
Expose: TypeAlias = Callable[[Cancel], AbstractContextManager[None]]
Way: TypeAlias = Callable[[Move, Expose], Awaitable[None]]


async def in_a_scope(move: Move, expose: Expose) -> None:
    with anyio.CancelScope() as scope, expose(scope.cancel):
        await move()


async def in_a_trio_scope(move: Move, expose: Expose) -> None:
    import trio

    with trio.CancelScope() as scope, expose(scope.cancel):
        await move()


async def by_task_cancel(move: Move, expose: Expose) -> None:
    task = this_task()
    try:
        with expose(task.cancel):
            await move()
        if task.cancelling():
            await asyncio.sleep(0)
            raise AssertionError("the cancellation that is owed never came")
    except asyncio.CancelledError:
        assert task.cancelling(), "cancelled by nobody"
    take_back_requests()
    await nothing_stray()


async def as_a_task(move: Move, expose: Expose) -> None:
    task = asyncio.ensure_future(move())
    with expose(task.cancel):
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def in_a_timeout(move: Move, expose: Expose) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as timeout:
            with expose(lambda: expire(timeout)):
                await move()
    await nothing_stray()


async def in_two_timeouts(move: Move, expose: Expose) -> None:
    """They expire in one turn, and the outer one has to end what follows the inner."""
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as outer:
            async with asyncio.timeout(None) as inner:
                with expose(lambda: expire(outer, inner)):
                    await move()
            if outer.expired():
                await asyncio.sleep(0)
                raise AssertionError("the outer deadline has been forgotten")
    await nothing_stray()


async def in_a_task_group(move: Move, expose: Expose) -> None:
    struck = asyncio.Event()

    async def fail() -> None:
        await struck.wait()
        raise ZeroDivisionError

    try:
        async with asyncio.TaskGroup() as tasks:
            failing = tasks.create_task(fail())
            with expose(struck.set):
                await move()
            failing.cancel()
    except* ZeroDivisionError:
        pass
    take_back_requests()  # until 3.13 a group may forget to do that
    await nothing_stray()


def this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def take_back_requests() -> None:
    """Say that all requests to cancel this task have been met."""
    while this_task().cancelling():
        this_task().uncancel()


def expire(*timeouts: asyncio.Timeout) -> None:
    """Let them expire in the next turn of the loop."""
    for timeout in timeouts:
        if not timeout.expired():
            timeout.reschedule(0)


async def nothing_stray() -> None:
    """Nobody cancels this task any more, so nothing may come out of here."""
    assert this_task().cancelling() == 0
    await asyncio.sleep(0)


ON_TRIO: list[Way] = [in_a_scope, in_a_trio_scope]
ON_ASYNCIO: list[Way] = [
    in_a_scope,
    by_task_cancel,
    as_a_task,
    in_a_timeout,
    in_two_timeouts,
    in_a_task_group,
]


def ways_on(backend: str) -> list[Way]:
    """Return the ways that there are on the loop of that name."""
    return ON_TRIO if backend == "trio" else ON_ASYNCIO


# One who was met, and is cancelled before it has run


Body: TypeAlias = Callable[[Channel[str]], Awaitable[Any]]


def nothing(*_: object) -> None:
    pass


async def meet(
    body: Body,
    *,
    before: Callable[[], Any] = nothing,
    after: Callable[[asyncio.Task[Any]], Any] = nothing,
) -> Any:
    """Run `body` in a task, give it "x" once it waits to receive, and see it end.

    Returns the result.  What is done `before` or `after` falls in the turn of the item.
    """
    ch: Channel[str] = Channel()
    task = asyncio.ensure_future(body(ch))
    while not ch.statistics().receivers_waiting:
        await checkpoint()
    before()
    ch.send_nowait("x")
    after(task)
    ended, _ = await asyncio.wait([task], timeout=2)
    task.cancel()
    assert ended, "the cancellation never came"
    return task.result()


async def wait_for_event() -> None:
    await asyncio.Event().wait()


async def enter_timeout() -> None:
    async with asyncio.timeout(3600):
        await wait_for_event()


NEXT_WAITS: dict[str, Callable[[], Awaitable[Any]]] = {
    "receive": lambda: Channel[str]().receive(),
    "send": lambda: Channel[str]().send("y"),
    "select": lambda: select(recv(Channel[str]()), send(Channel[str](), "y")),
    "nothing": select,
    "event": wait_for_event,
    "turn": lambda: asyncio.sleep(0),
    "sleep": lambda: asyncio.sleep(3600),
    "anyio.sleep": lambda: anyio.sleep(3600),
    "timeout": enter_timeout,
}
