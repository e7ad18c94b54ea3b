"""The patterns as one writes them with what other libraries have.

They promise what ours do: no more calls at once, no more items on the way, an error
comes to whoever asked, and results come in order.  Where the usual way promises less,
its name says so.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, create_task, get_running_loop
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import anyio

from ._peers import QUEUE, Peer, Pipe, consume, produce

WORKERS = 8
BUFFER = 64
SOURCES = 4
LISTENERS = 10

Work: TypeAlias = Callable[[Any], Coroutine[Any, Any, Any]]


async def answer(item: int) -> int:
    """Do what a worker does: nothing, so that all that costs is the pattern."""
    return item


# A pool on asyncio: workers take jobs from a queue, and whose job it is has a future.


async def do_jobs(jobs: asyncio.Queue[tuple[int, Future[int]]], fn: Work) -> None:
    while True:
        item, future = await jobs.get()
        if future.done():  # its caller was cancelled
            continue
        try:
            result = await fn(item)
        except Exception as error:
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)


@asynccontextmanager
async def queue_pool(fn: Work, queue: int) -> AsyncIterator[Work]:
    """Yield what calls `fn` in one of the workers."""
    jobs: asyncio.Queue[tuple[int, Future[int]]] = asyncio.Queue(queue)
    loop = get_running_loop()

    async def call(item: int) -> int:
        future: Future[int] = loop.create_future()
        await jobs.put((item, future))
        return await future

    async with anyio.create_task_group() as tasks:
        for _ in range(WORKERS):
            tasks.start_soon(do_jobs, jobs, fn)
        yield call
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def limiter_pool(fn: Work, limiter: Any) -> AsyncIterator[Work]:
    """Yield what calls `fn` in the caller's own task, when there is room."""

    async def call(item: int) -> Any:
        async with limiter:
            return await fn(item)

    yield call


# Mapping and visiting on asyncio, with queues.


async def queue_map(size: int) -> None:
    """Receive futures in the order of the items, and let workers fill them."""
    order: asyncio.Queue[Future[int]] = asyncio.Queue(BUFFER)
    jobs: asyncio.Queue[tuple[int, Future[int]]] = asyncio.Queue(WORKERS)
    loop = get_running_loop()

    async def feed() -> None:
        for item in range(size):
            future: Future[int] = loop.create_future()
            await order.put(future)
            await jobs.put((item, future))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed)
        for _ in range(WORKERS):
            tasks.start_soon(do_jobs, jobs, answer)
        for item in range(size):
            assert await (await order.get()) == item
        tasks.cancel_scope.cancel()


async def task_map(size: int) -> None:
    """Start a task for each item, as many as may run at once."""
    order: asyncio.Queue[asyncio.Task[int]] = asyncio.Queue(BUFFER)
    room = asyncio.Semaphore(WORKERS)

    async def compute(item: int) -> int:
        try:
            return await answer(item)
        finally:
            room.release()

    async def feed() -> None:
        for item in range(size):
            await room.acquire()
            await order.put(create_task(compute(item)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed)
        for item in range(size):
            assert await (await order.get()) == item


async def queue_each(size: int) -> None:
    items: asyncio.Queue[int] = asyncio.Queue(WORKERS)

    async def work() -> None:
        while True:
            item = await items.get()
            await answer(item)
            items.task_done()

    async with anyio.create_task_group() as tasks:
        for _ in range(WORKERS):
            tasks.start_soon(work)
        for item in range(size):
            await items.put(item)
        await items.join()
        tasks.cancel_scope.cancel()


async def shared_each(size: int) -> None:
    """Let tasks share an iterator: one that never waits is then done by the first."""
    items = iter(range(size))

    async def work() -> None:
        for item in items:
            await answer(item)

    async with anyio.create_task_group() as tasks:
        for _ in range(WORKERS):
            tasks.start_soon(work)


# The same by a task for each item, in any library that has groups of tasks.


async def task_each(
    group: Callable[[], AbstractAsyncContextManager[Any]], limiter: Any, size: int
) -> list[int]:
    """Start a task when there is room; returns all results at the end."""
    results = [-1] * size

    async def compute(item: int) -> None:
        try:
            results[item] = await answer(item)
        finally:
            limiter.release_on_behalf_of(item)

    async with group() as tasks:
        for item in range(size):
            await limiter.acquire_on_behalf_of(item)
            tasks.start_soon(compute, item)
    return results


async def anyio_each(size: int) -> list[int]:
    limiter = anyio.CapacityLimiter(WORKERS)
    return await task_each(anyio.create_task_group, limiter, size)


async def trio_each(size: int) -> list[int]:
    import trio

    return await task_each(trio.open_nursery, trio.CapacityLimiter(WORKERS), size)


async def anyio_amap(size: int) -> list[int]:
    """Start all tasks at once, and let them wait for room."""
    async with limiter_pool(answer, anyio.CapacityLimiter(WORKERS)) as call:
        return await anyio.amap(call, range(size))


# Flows, through the channels of any library


@asynccontextmanager
async def pipes(peer: Peer, count: int) -> AsyncIterator[list[Pipe]]:
    """Make channels."""
    channels = [peer.make(BUFFER) for _ in range(count)]
    yield [peer.pipe(channel) for channel in channels]
    for channel in channels:
        await peer.dispose(channel)


@asynccontextmanager
async def fed(peer: Peer, count: int, size: int) -> AsyncIterator[list[Pipe]]:
    """Make channels, into each of which a task sends its share of the items."""
    async with pipes(peer, count) as sources, anyio.create_task_group() as tasks:
        for pipe in sources:
            tasks.start_soon(produce, pipe.send, size // count)
        yield sources


async def forward(source: Pipe, to: Pipe, count: int) -> None:
    for _ in range(count):
        await to.send(await source.receive())


async def merge(peer: Peer, size: int) -> None:
    async with (
        pipes(peer, 1) as (results,),
        fed(peer, SOURCES, size) as sources,
        anyio.create_task_group() as tasks,
    ):
        for source in sources:
            tasks.start_soon(forward, source, results, size // SOURCES)
        await consume(results.receive, size)


async def split(peer: Peer, size: int) -> None:
    """Let all receive from the same channel."""
    async with fed(peer, 1, size) as (source,), anyio.create_task_group() as tasks:
        for _ in range(SOURCES):
            tasks.start_soon(consume, source.receive, size // SOURCES)


async def broadcast(peer: Peer, size: int) -> None:
    async with (
        pipes(peer, LISTENERS) as boxes,
        anyio.create_task_group() as tasks,
    ):
        for box in boxes:
            tasks.start_soon(consume, box.receive, size)
        for item in range(size):
            for box in boxes:
                await box.send(item)


async def pipeline(peer: Peer, size: int) -> None:
    """Join three stages by two channels."""

    async def begin(to: Pipe) -> None:
        for item in range(size):
            await to.send(await answer(item))

    async def go_on(source: Pipe, to: Pipe) -> None:
        for _ in range(size):
            await to.send(await answer(await source.receive()))

    async with (
        pipes(peer, 2) as (first, second),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(begin, first)
        tasks.start_soon(go_on, first, second)
        for _ in range(size):
            await answer(await second.receive())


# aiostream


async def aiostream_map(size: int, workers: int = WORKERS, stages: int = 1) -> None:
    from aiostream import pipe, stream

    results = stream.iterate(range(size))
    fn: Any = answer  # it is typed as a function of several streams
    for _ in range(stages):
        results |= pipe.map(fn, ordered=True, task_limit=workers)
    async with results.stream() as items:
        async for _ in items:
            pass


async def aiostream_pipeline(size: int) -> None:
    await aiostream_map(size, workers=1, stages=3)


async def aiostream_merge(size: int) -> None:
    from aiostream import stream

    async def drawn(source: Pipe) -> AsyncIterator[Any]:
        for _ in range(size // SOURCES):
            yield await source.receive()

    async with (
        fed(QUEUE, SOURCES, size) as sources,
        stream.merge(*map(drawn, sources)).stream() as items,
    ):
        async for _ in items:
            pass
