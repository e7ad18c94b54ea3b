"""A select that locks all its channels to look at them, one after the other.

Two that lock the same two in opposite order wait for each other for ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import anyio

import csp
from csp import Channel, Group, recv, send


async def naive() -> None:
    a, b = Rendezvous(), Rendezvous()

    async def left() -> object:
        return await select((a, GET), (b, "from the left"))

    async def right() -> object:
        return await select((b, GET), (a, "from the right"))

    await face(left, right)


async def mended() -> None:
    a: Channel[str] = Channel(name="a")
    b: Channel[str] = Channel(name="b")

    async def left() -> object:
        _, item = await csp.select(recv(a), send(b, "from the left"))
        return item or GET

    async def right() -> object:
        _, item = await csp.select(recv(b), send(a, "from the right"))
        return item or GET

    await face(left, right)


async def face(
    left: Callable[[], Awaitable[object]], right: Callable[[], Awaitable[object]]
) -> None:
    """Let one of them send what the other receives."""
    async with Group() as g:
        on_left, on_right = g.go(left), g.go(right)
    assert (await on_left is GET) != (await on_right is GET)


GET = object()
"""Says in the place of an item to receive one, and in that of a result that it sent."""


class Rendezvous:
    """A channel without a buffer."""

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.offers: list[tuple[Offer, object]] = []


class Offer:
    """What a select leaves in its channels while it waits."""

    def __init__(self) -> None:
        self.taken = anyio.Event()
        self.value: object = None


async def select(*cases: tuple[Rendezvous, object]) -> object:
    """Send an item to one of the channels, or receive one from it."""
    async with AsyncExitStack() as locks:
        for channel, _ in cases:
            await locks.enter_async_context(channel.lock)
        for channel, mine in cases:
            for offer, theirs in channel.offers:
                if not offer.taken.is_set() and (mine is GET) != (theirs is GET):
                    offer.value = mine
                    offer.taken.set()
                    return theirs
        offer = Offer()
        for channel, mine in cases:
            channel.offers.append((offer, mine))
    await offer.taken.wait()
    return offer.value
