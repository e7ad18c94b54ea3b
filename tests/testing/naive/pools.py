"""A worker of a pool that takes a job, and then waits for what it needs to do it.

Cancelled in that wait, it forgets the job.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from anyio.lowlevel import checkpoint

from csp import Channel, Group

Worker: TypeAlias = Callable[[Channel[str], list[str]], Awaitable[None]]


async def naive() -> None:
    await pool(forgetful)


async def mended() -> None:
    await pool(careful)


async def forgetful(jobs: Channel[str], finished: list[str]) -> None:
    async for job in jobs:
        await connect()
        finished.append(job)


async def careful(jobs: Channel[str], finished: list[str]) -> None:
    """Take a job only when there is nothing left to wait for."""
    await connect()
    async for job in jobs:
        finished.append(job)
        await connect()


async def connect() -> None:
    await checkpoint()


async def pool(worker: Worker) -> None:
    jobs: Channel[str] = Channel(3, name="jobs")
    await jobs.send_many("abc")
    jobs.close()
    finished: list[str] = []
    async with Group() as g:
        g.go(worker, jobs, finished)
        g.go(worker, jobs, finished)
    known = sorted(finished + jobs.drain())
    assert known == ["a", "b", "c"], f"there is only {known}"
