"""What a select costs over a plain receive: python -m benchmarks.select."""

from __future__ import annotations

import asyncio
from asyncio import FIRST_COMPLETED, create_task
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import anyio
from anyio.lowlevel import checkpoint

import csp
from csp import recv

from ._command import main
from ._go import gopher
from ._harness import Case, Contender, Goal, Measure, Suite, on, timed
from ._peers import AIOCHAN, OURS, QUEUE, Peer, installed, loops, produce

BUFFER = 100
CROWD = 10_000

Ints: TypeAlias = csp.Channel[int]
# Receives so many items from the first channel; the second one stays quiet.
Consumer: TypeAlias = Callable[[Any, Any, int], Awaitable[None]]


async def receive(ch: Ints, quiet: Ints, count: int) -> None:
    for _ in range(count):
        await ch.receive()


async def positional(ch: Ints, quiet: Ints, count: int) -> None:
    for _ in range(count):
        await csp.select(recv(ch), recv(quiet))


async def named(ch: Ints, quiet: Ints, count: int) -> None:
    for _ in range(count):
        await csp.select(item=recv(ch), quit=recv(quiet))


async def hoisted(ch: Ints, quiet: Ints, count: int) -> None:
    item, quit_ = recv(ch), recv(quiet)
    for _ in range(count):
        await csp.select(item, quit_)


async def get(ch: Any, quiet: Any, count: int) -> None:
    for _ in range(count):
        await ch.get()


async def aiochan_select(ch: Any, quiet: Any, count: int) -> None:
    import aiochan

    for _ in range(count):
        await aiochan.select(ch, quiet)


async def asyncio_wait(ch: Any, quiet: Any, count: int) -> None:
    """Keep one task for each queue, so that no item is lost between two waits."""
    gets = {create_task(ch.get()), create_task(quiet.get())}
    for _ in range(count):
        done, gets = await asyncio.wait(gets, return_when=FIRST_COMPLETED)
        for get in done:
            get.result()
            gets.add(create_task(ch.get()))
    for get in gets:
        get.cancel()


# The first is what the others are compared to.
CONSUMERS: list[tuple[str, Peer, Consumer]] = [
    ("csp receive", OURS, receive),
    ("csp select", OURS, named),
    ("csp select, positional", OURS, positional),
    ("csp select, hoisted", OURS, hoisted),
    ("asyncio.Queue get", QUEUE, get),
    ("asyncio.wait on 2 gets", QUEUE, asyncio_wait),
    ("aiochan get", AIOCHAN, get),
    ("aiochan select", AIOCHAN, aiochan_select),
]


def feed(peer: Peer, loop: str, consume: Consumer) -> Measure:
    """Measure a producer, and `consume` as the consumer."""

    @timed
    async def work(size: int) -> None:
        ch, quiet = peer.make(BUFFER), peer.make(BUFFER)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(produce, peer.pipe(ch).send, size)
            await consume(ch, quiet, size)

    return on(loop, work)


@asynccontextmanager
async def crowd(quiet: Ints, count: int) -> AsyncIterator[None]:
    """Let `count` tasks wait at `quiet`."""

    async def wait() -> None:
        await recv(quiet)

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        yield
        quiet.close()


async def choose_in_crowd(count: int, size: int) -> float:
    """Let every select wait: the next item comes a turn of the loop later."""
    ch: Ints = csp.Channel()
    quiet: Ints = csp.Channel()

    async def produce() -> None:
        for item in range(size):
            await ch.send(item)
            await checkpoint()

    @timed
    async def exchange() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(produce)
            await named(ch, quiet, size)

    async with crowd(quiet, count):
        return await exchange()


def of_two() -> Case:
    found = [
        Contender(name, loop, feed(peer, loop, consume))
        for name, peer, consume in CONSUMERS
        if installed(peer.package)
        for loop in loops(peer.loops)
    ]
    plain, *ours = (name for name, peer, _ in CONSUMERS if peer is OURS)
    return Case(
        "Select of 2 receives",
        [
            *found,
            *gopher("exchange", "Go receive", capacity=BUFFER),
            *gopher("select", "Go select", capacity=BUFFER),
        ],
        [Goal(name, plain, 4, 2.5) for name in ours],
    )


def in_crowd() -> Case:
    alone, crowded = "csp, alone", "csp, in the crowd"
    found = [
        Contender(name, loop, on(loop, partial(choose_in_crowd, count)))
        for name, count in [(alone, 0), (crowded, CROWD)]
        for loop in loops()
    ]
    return Case(
        f"Select beside {CROWD:,} others",
        [
            *found,
            *gopher("crowd", "Go, alone"),
            *gopher("crowd", "Go, in the crowd", crowd=CROWD),
        ],
        [Goal(crowded, alone, 1.3, 1.1)],
    )


def suite() -> Suite:
    return Suite("select", [of_two(), in_crowd()])


if __name__ == "__main__":
    main(suite)
