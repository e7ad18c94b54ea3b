"""What a user would pick instead of a channel of ours, each behind the same face.

A peer makes its channel as its manual says; the benchmarks then call the bound
methods in `Pipe`, so that nothing of ours stands between them and the peer.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import anyio
import attrs

import csp

from ._harness import LOOPS


@cache
def installed(package: str) -> bool:
    """Whether `package` can be imported; says so, once, if it cannot."""
    if find_spec(package) is not None:
        return True
    print(f"{package} is not installed: skipped", file=sys.stderr)
    return False


def loops(wanted: Sequence[str] = tuple(LOOPS)) -> list[str]:
    """Return those of the event loops `wanted` that are installed."""
    return [loop for loop in wanted if installed(loop)]


@attrs.frozen
class Pipe:
    """A peer's channel, as the benchmarks use it."""

    send: Callable[[Any], Awaitable[Any]]
    receive: Callable[[], Awaitable[Any]]
    close: Callable[[], object] = lambda: None
    """Says that nothing more will be sent."""
    items: AsyncIterable[Any] | None = None
    """All that is received, until nothing more will be."""


class Peer:
    """A library's channel."""

    name: str
    package: str
    loops: Sequence[str] = tuple(LOOPS)
    rendezvous = True
    """Whether capacity 0 means that a send waits for its receive."""
    iterable = True
    """Whether it can be closed, and iterated over until then."""

    def make(self, capacity: int) -> Any:
        """Make what a user has to make for one channel."""
        raise NotImplementedError

    def pipe(self, channel: Any) -> Pipe:
        """Return the verbs of what `make` returned."""
        raise NotImplementedError

    async def dispose(self, channel: Any) -> None:
        """Leave nothing behind that the library would complain of."""


class Ours(Peer):
    name = "csp"
    package = "csp"

    def make(self, capacity: int) -> csp.Channel[Any]:
        return csp.Channel(capacity)

    def pipe(self, channel: csp.Channel[Any]) -> Pipe:
        return Pipe(channel.send, channel.receive, channel.close, channel)


class Anyio(Peer):
    name = "anyio memory stream"
    package = "anyio"

    def make(self, capacity: int) -> Any:
        return anyio.create_memory_object_stream[Any](capacity)

    def pipe(self, channel: Any) -> Pipe:
        tx, rx = channel
        return Pipe(tx.send, rx.receive, tx.close, rx)

    async def dispose(self, channel: Any) -> None:
        for end in channel:
            end.close()


class Trio(Peer):
    name = "trio memory channel"
    package = "trio"
    loops = ("trio",)

    def make(self, capacity: int) -> Any:
        import trio

        return trio.open_memory_channel[Any](capacity)

    def pipe(self, channel: Any) -> Pipe:
        tx, rx = channel
        return Pipe(tx.send, rx.receive, tx.close, rx)

    async def dispose(self, channel: Any) -> None:
        for end in channel:
            end.close()


class Queue(Peer):
    name = "asyncio.Queue"
    package = "asyncio"
    loops = ("asyncio", "uvloop")
    rendezvous = iterable = False

    def make(self, capacity: int) -> asyncio.Queue[Any]:
        return asyncio.Queue(capacity)

    def pipe(self, channel: asyncio.Queue[Any]) -> Pipe:
        return Pipe(channel.put, channel.get)


class Aiochan(Peer):
    name = "aiochan"
    package = "aiochan"
    loops = ("asyncio", "uvloop")

    def make(self, capacity: int) -> Any:
        import aiochan

        return aiochan.Chan(capacity or None)

    def pipe(self, channel: Any) -> Pipe:
        return Pipe(channel.put, channel.get, channel.close, channel)


class Janus(Peer):
    name = "janus, async side"
    package = "janus"
    loops = ("asyncio", "uvloop")
    rendezvous = iterable = False

    def make(self, capacity: int) -> Any:
        import janus

        return janus.Queue[Any](capacity)

    def pipe(self, channel: Any) -> Pipe:
        return Pipe(channel.async_q.put, channel.async_q.get)

    async def dispose(self, channel: Any) -> None:
        await channel.aclose()


OURS = Ours()
ANYIO = Anyio()
TRIO = Trio()
QUEUE = Queue()
AIOCHAN = Aiochan()
JANUS = Janus()


def peers() -> list[Peer]:
    """Return ourselves and those peers that are installed."""
    known = [OURS, ANYIO, TRIO, QUEUE, AIOCHAN, JANUS]
    return [peer for peer in known if installed(peer.package)]


async def produce(send: Callable[[Any], Awaitable[Any]], count: int) -> None:
    for item in range(count):
        await send(item)


async def consume(receive: Callable[[], Awaitable[Any]], count: int) -> None:
    for _ in range(count):
        await receive()
