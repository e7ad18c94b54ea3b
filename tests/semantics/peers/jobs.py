"""Tasks that are cancelled one by one: by a cancel scope, or by asyncio itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

import anyio

from csp import Group

CANCELLED = "cancelled"
"""The outcome of a job that was cancelled."""


class Jobs:
    """A block that ends when all its jobs have ended."""

    def __init__(self, how: str) -> None:
        self.native = how == "native"

    async def __aenter__(self) -> Self:
        self.tasks: list[asyncio.Future[Any]] = []
        self.group = await Group().__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:  # noqa: PYI036 - only passed on
        for task in self.tasks if exc_info[0] else ():
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)
        await self.group.__aexit__(*exc_info)

    def start(self, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Start a job, which has `cancel()` and an `outcome`."""
        if not self.native:
            return self.group.go(fn, *args)
        task = asyncio.ensure_future(fn(*args))
        self.tasks.append(task)
        return task


async def outcome(job: Awaitable[Any]) -> Any:
    """Return a job's result, or CANCELLED."""
    try:
        return await job
    except (anyio.TaskCancelled, anyio.get_cancelled_exc_class()):
        return CANCELLED
