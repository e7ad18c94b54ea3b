"""How fast items go through a channel: python -m benchmarks.channels."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from typing import Any

import anyio

import csp

from ._command import main
from ._go import gopher
from ._harness import Case, Contender, Goal, Measure, Suite, on, timed
from ._peers import ANYIO, OURS, QUEUE, TRIO, Peer, consume, loops, peers, produce

BUFFER = 100
BATCH = 50


async def iterate(items: AsyncIterable[Any]) -> None:
    async for _ in items:
        pass


def exchange(
    peer: Peer, loop: str, capacity: int, producers: int = 1, consumers: int = 1
) -> Measure:
    """Measure sends by `producers` tasks and receives by `consumers` tasks."""

    @timed
    async def work(size: int) -> None:
        channel = peer.make(capacity)
        pipe = peer.pipe(channel)
        async with anyio.create_task_group() as tasks:
            for _ in range(producers):
                tasks.start_soon(produce, pipe.send, size // producers)
            for _ in range(consumers):
                tasks.start_soon(consume, pipe.receive, size // consumers)
        await peer.dispose(channel)

    return on(loop, work)


def iteration(peer: Peer, loop: str) -> Measure:
    """Measure an `async for` over all items, until the producer ends them."""

    @timed
    async def work(size: int) -> None:
        channel = peer.make(BUFFER)
        pipe = peer.pipe(channel)
        assert pipe.items is not None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(iterate, pipe.items)
            await produce(pipe.send, size)
            pipe.close()
        await peer.dispose(channel)

    return on(loop, work)


@timed
async def exchange_batches(size: int) -> None:
    """Let both sides of a channel of ours handle several items at once."""
    ch: csp.Channel[int] = csp.Channel(BUFFER)

    async def produce_batches() -> None:
        for _ in range(size // BATCH):
            await ch.send_many(deque(range(BATCH)))
        ch.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(produce_batches)
        received = 0
        while received < size:
            received += len(await ch.receive_many(BATCH))


def contenders(
    measure: Callable[..., Measure],
    *args: int,
    among: Callable[[Peer], bool] = lambda peer: True,
) -> Iterator[Contender]:
    """Make a contender of each peer in `among`, on each event loop it knows."""
    for peer in filter(among, peers()):
        for loop in loops(peer.loops):
            yield Contender(peer.name, loop, measure(peer, loop, *args))


def exchanges(
    title: str,
    capacity: int,
    producers: int = 1,
    consumers: int = 1,
    goals: Sequence[Goal] = (),
) -> Case:
    found = contenders(
        exchange,
        capacity,
        producers,
        consumers,
        among=lambda peer: capacity > 0 or peer.rendezvous,
    )
    go = gopher("exchange", capacity=capacity, producers=producers, consumers=consumers)
    return Case(title, [*found, *go], goals)


def iterations() -> Case:
    found = contenders(iteration, among=lambda peer: peer.iterable)
    go = gopher("range", capacity=BUFFER)
    return Case(f"async for, capacity {BUFFER}", [*found, *go])


def batches() -> Case:
    found: list[Contender] = []
    for loop in loops():
        found += [
            Contender("csp, one by one", loop, exchange(OURS, loop, BUFFER)),
            Contender(f"csp, {BATCH} at a time", loop, on(loop, exchange_batches)),
        ]
    return Case(f"send_many and receive_many, capacity {BUFFER}", found)


def suite() -> Suite:
    anyio, trio, queue = ANYIO.name, TRIO.name, QUEUE.name
    return Suite(
        "channels",
        [
            exchanges(
                f"Buffered, capacity {BUFFER}",
                BUFFER,
                goals=[
                    Goal(anyio, OURS.name, 8, 12, ("asyncio", "trio")),
                    Goal(queue, OURS.name, 1.1, 1.4, ("asyncio",)),
                ],
            ),
            exchanges(
                "Rendezvous",
                0,
                goals=[
                    Goal(anyio, OURS.name, 3, 4, ("asyncio",)),
                    Goal(anyio, OURS.name, 2.5, 3, ("trio",)),
                    Goal(trio, OURS.name, 1.4, 1.7, ("trio",)),
                ],
            ),
            exchanges("Capacity 1", 1),
            exchanges(f"4 producers, 4 consumers, capacity {BUFFER}", BUFFER, 4, 4),
            exchanges("4 producers, 4 consumers, rendezvous", 0, 4, 4),
            iterations(),
            batches(),
        ],
    )


if __name__ == "__main__":
    main(suite)
