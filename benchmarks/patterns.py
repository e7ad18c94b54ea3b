"""What pools, flows and limits cost for each item: python -m benchmarks.patterns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from time import perf_counter, process_time
from typing import Any

import anyio
import attrs
from anyio.lowlevel import checkpoint

import csp

from . import _by_hand
from ._by_hand import BUFFER, LISTENERS, SOURCES, WORKERS, Work, answer
from ._command import main
from ._harness import LOOPS, Case, Contender, Goal, Suite, on, timed
from ._peers import (
    ANYIO,
    OURS,
    QUEUE,
    TRIO,
    Peer,
    Pipe,
    consume,
    installed,
    loops,
    produce,
)

ON_ASYNCIO = ("asyncio", "uvloop")
ON_TRIO = ("trio",), "trio"
CALLERS = 64
PROCESSES = 2
WARM_UP = 0.05  # seconds for a job, so that no process does the jobs of others
JOBS = [(1, 200), (5, 100), (20, 40)]  # milliseconds, and how many


@attrs.frozen
class Way:
    """A way to do so many items; the first of a case is ours."""

    name: str
    work: Callable[[int], Awaitable[object]]
    loops: Sequence[str] = tuple(LOOPS)
    package: str = "csp"


def case(title: str, ways: Sequence[Way], goals: Sequence[Goal] = ()) -> Case:
    found = [
        Contender(way.name, loop, on(loop, timed(way.work)))
        for way in ways
        if installed(way.package)
        for loop in loops(way.loops)
    ]
    return Case(title, found, goals)


def goal(ours: Way, peer: Way, *known: str) -> Goal:
    return Goal(peer.name, ours.name, 1.5, 2, known)


async def iterate(items: AsyncIterable[Any]) -> None:
    async for _ in items:
        pass


# map and each


async def csp_map(size: int, ordered: bool = True) -> None:
    async with csp.map(
        answer, range(size), workers=WORKERS, ordered=ordered, buffer=BUFFER
    ) as results:
        await iterate(results)


async def csp_each(size: int) -> None:
    await csp.each(answer, range(size), workers=WORKERS)


def maps() -> Case:
    ours = Way("csp.map", csp_map)
    queue = Way("asyncio.Queue and futures", _by_hand.queue_map, ON_ASYNCIO)
    tasks = Way("anyio tasks, limited; a list", _by_hand.anyio_each)
    nursery = Way("trio nursery, limited; a list", _by_hand.trio_each, *ON_TRIO)
    return case(
        f"map, {WORKERS} workers",
        [
            ours,
            Way("csp.map, not in order", partial(csp_map, ordered=False)),
            queue,
            Way("asyncio.Queue of tasks", _by_hand.task_map, ON_ASYNCIO),
            tasks,
            Way("anyio.amap, limited; no bounds", _by_hand.anyio_amap),
            nursery,
            Way("aiostream map", _by_hand.aiostream_map, ON_ASYNCIO, "aiostream"),
        ],
        [
            goal(ours, queue, "asyncio"),
            goal(ours, tasks, "asyncio", "trio"),
            goal(ours, nursery, "trio"),
        ],
    )


def visits() -> Case:
    ours = Way("csp.each", csp_each)
    queue = Way("asyncio.Queue", _by_hand.queue_each, ON_ASYNCIO)
    tasks = Way("anyio tasks, limited", _by_hand.anyio_each)
    nursery = Way("trio nursery, limited", _by_hand.trio_each, *ON_TRIO)
    return case(
        f"each, {WORKERS} workers",
        [
            ours,
            Way("anyio tasks, one iterator, no checkpoints", _by_hand.shared_each),
            queue,
            tasks,
            nursery,
        ],
        [
            goal(ours, queue, "asyncio"),
            goal(ours, tasks, "asyncio", "trio"),
            goal(ours, nursery, "trio"),
        ],
    )


# Pool.call


async def share(call: Work, callers: int, size: int) -> None:
    """Let several tasks call, each again and again."""
    items = iter(range(size))

    async def work() -> None:
        for item in items:
            await call(item)

    async with anyio.create_task_group() as tasks:
        for _ in range(callers):
            tasks.start_soon(work)


async def csp_calls(callers: int, queue: int, size: int) -> None:
    async with csp.Pool(answer, workers=WORKERS, queue=queue) as pool:
        await share(pool.call, callers, size)


async def queue_calls(callers: int, queue: int, size: int) -> None:
    async with _by_hand.queue_pool(answer, queue) as call:
        await share(call, callers, size)


async def limited_calls(limiter: Callable[[int], Any], callers: int, size: int) -> None:
    async with _by_hand.limiter_pool(answer, limiter(WORKERS)) as call:
        await share(call, callers, size)


def calls(title: str, callers: int, queue: int) -> Case:
    limited = partial(limited_calls, anyio.CapacityLimiter, callers)
    ours = Way("csp.Pool.call", partial(csp_calls, callers, queue))
    by_hand = Way(
        "asyncio.Queue and futures", partial(queue_calls, callers, queue), ON_ASYNCIO
    )
    limiter = Way("anyio.CapacityLimiter", limited)
    return case(
        title,
        [ours, by_hand, limiter],
        [goal(ours, by_hand, "asyncio"), goal(ours, limiter, "asyncio", "trio")],
    )


# Pools of processes


def spin(seconds: float) -> None:
    """Keep a processor busy."""
    end = process_time() + seconds
    while process_time() < end:
        pass


async def csp_processes(seconds: float, size: int) -> float:
    async with csp.Pool(
        spin, workers=PROCESSES, queue=PROCESSES, run_in="process"
    ) as pool:
        return await spin_in(pool.call, seconds, size)


async def executor_processes(seconds: float, size: int) -> float:
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as executor:

        async def call(item: float) -> None:
            await loop.run_in_executor(executor, spin, item)

        return await spin_in(call, seconds, size)


async def spin_in(call: Work, seconds: float, size: int) -> float:
    """Measure jobs in processes, once all of these have begun."""
    callers = 2 * PROCESSES
    await share(lambda _: call(WARM_UP), callers, 2 * callers)
    started = perf_counter()
    await share(lambda _: call(seconds), callers, size)
    return perf_counter() - started


def processes(milliseconds: int, size: int) -> Case:
    ours, peer = "csp.Pool", "ProcessPoolExecutor"
    seconds = milliseconds / 1_000
    return Case(
        f"Jobs of {milliseconds} ms in {PROCESSES} processes",
        [
            Contender(ours, "asyncio", on("asyncio", partial(csp_processes, seconds))),
            Contender(
                peer, "asyncio", on("asyncio", partial(executor_processes, seconds))
            ),
        ],
        per="job",
        size=size,
        rounds=5,
    )


# Limits


async def enter(make: Callable[[int], Any], size: int) -> None:
    limiter = make(1)
    for _ in range(size):
        async with limiter:
            pass


async def contend(make: Callable[[int], Any], size: int) -> None:
    limiter = make(WORKERS)

    async def work(_: int) -> None:
        async with limiter:
            await checkpoint()

    await share(work, CALLERS, size)


def trio_limiter(n: int) -> Any:
    import trio

    return trio.CapacityLimiter(n)


def limits(
    title: str, use: Callable[[Callable[[int], Any], int], Awaitable[None]]
) -> Case:
    ours = Way("csp.Limiter", partial(use, csp.Limiter))
    semaphore = Way("asyncio.Semaphore", partial(use, asyncio.Semaphore), ON_ASYNCIO)
    limiter = Way("anyio.CapacityLimiter", partial(use, anyio.CapacityLimiter))
    trio = Way("trio.CapacityLimiter", partial(use, trio_limiter), *ON_TRIO)
    return case(
        title,
        [ours, semaphore, limiter, trio],
        [
            goal(ours, semaphore, "asyncio"),
            goal(ours, limiter, "asyncio", "trio"),
            goal(ours, trio, "trio"),
        ],
    )


# Flows


def channel(pipe: Pipe) -> AsyncIterable[Any]:
    """Return the channel of ours behind a pipe."""
    assert pipe.items is not None
    return pipe.items


async def csp_merge(size: int) -> None:
    async with (
        _by_hand.fed(OURS, SOURCES, size) as sources,
        csp.merge(*map(channel, sources)) as rx,
    ):
        await consume(rx.receive, size)


async def csp_split(size: int) -> None:
    async with (
        _by_hand.fed(OURS, 1, size) as (source,),
        csp.split(channel(source), SOURCES) as receivers,
        anyio.create_task_group() as tasks,
    ):
        for rx in receivers:
            tasks.start_soon(consume, rx.receive, size // SOURCES)


async def csp_broadcast(size: int) -> None:
    async def listen(rx: csp.Receiver[int]) -> None:
        with rx:
            await consume(rx.receive, size)

    news = csp.Broadcast[int]()
    async with anyio.create_task_group() as tasks:
        for _ in range(LISTENERS):
            tasks.start_soon(listen, news.subscribe(BUFFER))
        await produce(news.send, size)


async def csp_pipeline(size: int) -> None:
    stages = csp.pipeline(range(size), buffer=BUFFER).map(answer).map(answer)
    await stages.each(answer).run()


def flow(
    title: str,
    ours: Way,
    by_hand: Callable[[Peer, int], Awaitable[None]],
    *others: Way,
) -> Case:
    """Compare a flow of ours with the same by hand, with the channels of others."""
    ways = [
        Way(f"{peer.name}, by hand", partial(by_hand, peer), peer.loops, peer.package)
        for peer in (ANYIO, TRIO, QUEUE)
    ]
    anyio_way, trio_way, queue_way = ways
    return case(
        title,
        [ours, *ways, *others],
        [
            goal(ours, queue_way, "asyncio"),
            goal(ours, anyio_way, "asyncio", "trio"),
            goal(ours, trio_way, "trio"),
        ],
    )


def flows() -> list[Case]:
    aiostream = partial(Way, loops=ON_ASYNCIO, package="aiostream")
    return [
        flow(
            f"merge of {SOURCES}",
            Way("csp.merge", csp_merge),
            _by_hand.merge,
            aiostream("aiostream merge", _by_hand.aiostream_merge),
        ),
        flow(f"split in {SOURCES}", Way("csp.split", csp_split), _by_hand.split),
        flow(
            f"Broadcast to {LISTENERS}",
            Way("csp.Broadcast", csp_broadcast),
            _by_hand.broadcast,
        ),
        flow(
            "pipeline of 3 stages",
            Way("csp.pipeline", csp_pipeline),
            _by_hand.pipeline,
            aiostream("aiostream map, 3 times", _by_hand.aiostream_pipeline),
        ),
    ]


def suite() -> Suite:
    return Suite(
        "patterns",
        [
            maps(),
            visits(),
            calls(f"Pool.call, {WORKERS} workers, {CALLERS} callers", CALLERS, CALLERS),
            calls(f"Pool.call, {WORKERS} workers, 1 caller", 1, 1),
            limits("Limiter, free", enter),
            limits(f"Limiter, {WORKERS} of {CALLERS} at once", contend),
            *flows(),
            *(processes(*job) for job in JOBS),
        ],
    )


if __name__ == "__main__":
    main(suite)
