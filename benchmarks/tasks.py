"""What it costs to start a task and see it end: python -m benchmarks.tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import anyio
import attrs

import csp

from ._command import main
from ._go import gopher
from ._harness import LOOPS, Case, Contender, Goal, Suite, on, timed
from ._peers import loops

BATCH = 100


async def nothing() -> None:
    pass


@attrs.frozen
class Spawner:
    """A way to start tasks.  Both works start so many, and see all of them end."""

    name: str
    batches: Callable[[int], Awaitable[None]]
    """In blocks of `BATCH` tasks."""
    one_by_one: Callable[[int], Awaitable[None]] | None
    """Each awaited before the next is started, if there is something to await."""
    loops: Sequence[str] = tuple(LOOPS)


async def csp_batches(size: int) -> None:
    for _ in range(size // BATCH):
        async with csp.Group() as group:
            for _ in range(BATCH):
                group.go(nothing)


async def csp_one_by_one(size: int) -> None:
    async with csp.Group() as group:
        for _ in range(size):
            await group.go(nothing)


async def anyio_batches(size: int) -> None:
    for _ in range(size // BATCH):
        async with anyio.create_task_group() as tasks:
            for _ in range(BATCH):
                tasks.start_soon(nothing)


async def anyio_one_by_one(size: int) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(size):
            await tasks.start_soon(nothing)


async def asyncio_batches(size: int) -> None:
    for _ in range(size // BATCH):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(BATCH):
                tasks.create_task(nothing())


async def asyncio_one_by_one(size: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(size):
            await tasks.create_task(nothing())


async def trio_batches(size: int) -> None:
    import trio

    for _ in range(size // BATCH):
        async with trio.open_nursery() as nursery:
            for _ in range(BATCH):
                nursery.start_soon(nothing)


OURS = Spawner("csp.Group.go", csp_batches, csp_one_by_one)
ANYIO = Spawner("anyio start_soon", anyio_batches, anyio_one_by_one)
SPAWNERS = [
    OURS,
    ANYIO,
    Spawner(
        "asyncio.TaskGroup",
        asyncio_batches,
        asyncio_one_by_one,
        ("asyncio", "uvloop"),
    ),
    Spawner("trio nursery", trio_batches, None, ("trio",)),
]


def case(
    title: str,
    work_of: Callable[[Spawner], Callable[[int], Awaitable[None]] | None],
    batch: int,
) -> Case:
    found = [
        Contender(spawner.name, loop, on(loop, timed(work)))
        for spawner in SPAWNERS
        if (work := work_of(spawner)) is not None
        for loop in loops(spawner.loops)
    ]
    return Case(
        title,
        [*found, *gopher("spawn", batch=batch)],
        [Goal(OURS.name, ANYIO.name, 1.1, 0.7)],
        per="task",
    )


def suite() -> Suite:
    return Suite(
        "tasks",
        [
            case(
                f"Start, in blocks of {BATCH}", lambda spawner: spawner.batches, BATCH
            ),
            case("Start and await", lambda spawner: spawner.one_by_one, 1),
        ],
    )


if __name__ == "__main__":
    main(suite)
