"""Words of Go that the tests here share."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    Group,
    Operation,
    Selected,
    Waiter,
    WouldBlock,
    select_nowait,
)

Scale: TypeAlias = Callable[[int, int], int]
"""The fixture `scale`: how often to do something, by default and under --stress."""

CAPACITIES = (0, 1, 10, 100)

parked = anyio.wait_all_tasks_blocked
gosched = checkpoint


@asynccontextmanager
async def program() -> AsyncIterator[Group]:
    """Be the main function of a Go program: all goroutines end when it returns."""
    async with Group() as g:
        yield g
        g.cancel()


async def blocks(fn: Callable[[], Awaitable[object]]) -> bool:
    """Tell whether `fn()` still waits when nothing else can run."""
    async with program() as g:
        task = g.go(fn)
        await parked()
        return not task.finished


def select_default(*cases: Operation[Any] | None) -> Selected | None:
    """Select with a default case; None says that it was taken."""
    try:
        return select_nowait(*cases)
    except WouldBlock:
        return None


def scratch(capacity: int | float = 0) -> Channel[Any]:
    """Make a channel that may be forgotten with items in it, as any may in Go."""
    return Channel(capacity, on_undelivered=lambda _: None)


def closed(*items: object) -> Channel[Any]:
    """Make a closed channel that holds `items`."""
    ch: Channel[Any] = Channel(len(items))
    for item in items:
        ch.send_nowait(item)
    ch.close()
    return ch


def live_waiters() -> int:
    """Count the waiters that exist in this process."""
    gc.collect()
    return sum(isinstance(thing, Waiter) for thing in gc.get_objects())
