"""A select that starts to receive from all channels at once, and cancels the losers.

A loser may have received by then, and its item is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio

from csp import Channel, Group, recv, select


async def among_tasks() -> None:
    await choose(first_of_tasks)


async def in_a_group() -> None:
    await choose(first_in_a_group)


async def mended() -> None:
    await choose(first_selected)


async def choose(first_of: Callable[..., Awaitable[str]]) -> None:
    a: Channel[str] = Channel(1, name="a")
    b: Channel[str] = Channel(1, name="b")

    async def produce(ch: Channel[str]) -> None:
        await ch.send(f"from {ch.name}")

    async with Group() as g:
        g.go(produce, a)
        g.go(produce, b)
        chosen = await first_of(a, b)
    items = {chosen, *a.drain(), *b.drain()}
    assert items == {"from a", "from b"}, f"there is only {items}"


async def first_of_tasks(*channels: Channel[str]) -> str:
    """Race tasks; on asyncio."""

    async def race(ch: Channel[str]) -> str:
        return await ch.receive()

    racers = [asyncio.create_task(race(ch), name=ch.name) for ch in channels]
    await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
    winner = next(racer for racer in racers if racer.done())
    for racer in racers:
        racer.cancel()
    return winner.result()


async def first_in_a_group(*channels: Channel[str]) -> str:
    """Race tasks of a group that the first one cancels."""
    items = []

    async def race(ch: Channel[str]) -> None:
        items.append(await ch.receive())
        racers.cancel_scope.cancel()

    async with anyio.create_task_group() as racers:
        for ch in channels:
            racers.start_soon(race, ch)
    return items[0]


async def first_selected(*channels: Channel[str]) -> str:
    """Let exactly one receive happen."""
    _, item = await select(*map(recv, channels))
    return item
