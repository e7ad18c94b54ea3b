"""Selects: exactly one operation happens, or none if it is cancelled."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Channel,
    ChannelBroken,
    ChannelClosed,
    Group,
    Receiver,
    Sender,
    WouldBlock,
    after,
    recv,
    select,
    select_nowait,
    send,
)
from tests.semantics.explored.book import Book, in_order, program, untouched
from tests.semantics.explored.ways import close_soon


@program
async def receiving_from_two() -> None:
    """Selects share what comes on two channels, and have it in order."""
    book = Book()
    a, b = Channel[str](name="a"), Channel[str](1, name="b")

    async def consume(choose: Any, *ends: Receiver[str]) -> None:
        cases: list[Any] = [*map(recv, ends)]
        mine: list[str] = []
        with ends[0], ends[1]:
            while any(cases):
                which, item = await choose(*cases)
                if item is CLOSED:
                    cases[which] = None
                else:
                    book.received.append(item)
                    mine.append(item)
        in_order(mine)

    async with Group() as g:
        g.go(book.produce, a.sender(), ["a1", "a2", "a3"])
        g.go(book.produce, b.sender(), ["b1", "b2", "b3"])
        g.go(consume, select, a.receiver(), b.receiver())
        g.go(consume, partial(select, priority=True), b.receiver(), a.receiver())
        g.go(consume, poll, a.receiver(), b.receiver())
    book.balance(a, b)


async def poll(*cases: Any) -> Any:
    """Select without waiting, again and again."""
    while True:
        with suppress(WouldBlock):
            return select_nowait(*cases)
        await checkpoint()


@program
async def sending_to_two() -> None:
    """Selects offer each item to two channels, and one of those has it."""
    book = Book()
    a, b = Channel[str](name="a"), Channel[str](1, name="b")

    async def produce(tx: Sender[str], other: Sender[str], *items: str) -> None:
        with tx, other, suppress(ChannelBroken):
            for item in items:
                await select(send(tx, item), send(other, item))
                book.sent.append(item)

    async with Group() as g:
        g.go(produce, a.sender(), b.sender(), "x1", "x2")
        g.go(produce, b.sender(), a.sender(), "y1", "y2")
        g.go(book.consume, a.receiver())
        g.go(book.consume, b.receiver())
    book.balance(a, b)


@program
async def the_same_twice() -> None:
    """A channel may be in a select twice, and gives or takes once."""
    book, ch = Book(), Channel[str]()

    async def give(tx: Sender[str], *items: str) -> None:
        with tx, suppress(ChannelBroken):
            which, _ = await select(*(send(tx, item) for item in items))
            book.sent.append(items[which])

    async def take(rx: Receiver[str]) -> None:
        with rx:
            _, item = await select(recv(rx), recv(rx))
            if item is not CLOSED:
                book.received.append(item)

    async with Group() as g:
        for item in ("a", "b"):
            g.go(give, ch.sender(), item, item.upper())
            g.go(take, ch.receiver())
    book.balance(ch)


class Meeting:
    """Selects that would receive or send, once; the first to be done sends all home."""

    def __init__(self) -> None:
        self.book = Book()
        self.home = Channel[None](name="home")

    async def join(self, here: Channel[str], there: Channel[str], item: str) -> None:
        """Receive here, or send the item there."""
        try:
            match await select(recv(here), send(there, item), recv(self.home)):
                case 0, other:
                    assert other != item
                    self.book.received.append(other)
                case 1, _:
                    self.book.sent.append(item)
        finally:
            self.home.close()


@program
async def both_directions() -> None:
    """Selects that receive and send on one channel meet others, never themselves."""
    meeting, ch = Meeting(), Channel[str]()
    async with Group() as g:
        for item in ("a", "b", "c"):
            g.go(meeting.join, ch, ch, item)
    meeting.book.balance(ch)
    untouched(meeting.home)


@program
async def face_to_face() -> None:
    """Of two selects opposite each other, one sends what the other receives."""
    meeting, a, b = Meeting(), Channel[str](), Channel[str]()
    async with Group() as g:
        g.go(meeting.join, a, b, "left")
        g.go(meeting.join, b, a, "right")
    meeting.book.balance(a, b)
    untouched(meeting.home)


@program
async def in_a_ring() -> None:
    """Of three in a ring, two meet, and the third goes home."""
    meeting = Meeting()
    ring = [Channel[str](), Channel[str](), Channel[str]()]
    async with Group() as g:
        for i, item in enumerate("abc"):
            g.go(meeting.join, ring[i - 1], ring[i], item)
    meeting.book.balance(*ring)
    untouched(meeting.home)


@program
async def going_home() -> None:
    """A channel that closes reaches all selects, and a job that was taken is kept."""
    book, jobs, home = Book(), Channel[str](), Channel[str]()

    async def work(rx: Receiver[str]) -> None:
        with rx:
            while True:
                _, job = await select(recv(rx), recv(home))
                if job is CLOSED:
                    break
                book.received.append(job)

    async with Group() as g:
        g.go(work, jobs.receiver())
        g.go(work, jobs.receiver())
        g.go(close_soon, home)
        g.go(book.produce, jobs.sender(), ["a1", "a2", "a3", "a4"])
    book.balance(jobs)
    untouched(home)


@program
async def a_handle_closes() -> None:
    """A select that fails, since a handle in it was closed, takes nothing elsewhere."""
    book, a, b = Book(), Channel[str](), Channel[str]()
    mine = a.receiver()

    async def choose(rx: Receiver[str]) -> None:
        with rx, suppress(ChannelClosed):
            _, item = await select(recv(mine), recv(rx))
            if item is not CLOSED:
                book.received.append(item)

    async with Group() as g:
        g.go(choose, b.receiver())
        g.go(close_soon, mine)
        g.go(book.produce, b.sender(), ["b1", "b2"])
        g.go(book.consume, b.receiver())
    book.balance(a, b)


@program
async def timeouts() -> None:
    """All give up at the moment at which they could meet: two meet, or none."""
    book, ch = Book(), Channel[str]()

    async def give(item: str) -> None:
        if (await select(send(ch, item), after(1))).which == 0:
            book.sent.append(item)

    async def take() -> None:
        await anyio.sleep(1)
        which, item = await select(after(0.5), recv(ch))
        if which == 1:
            book.received.append(item)

    async with Group() as g:
        g.go(give, "a")
        g.go(give, "b")
        g.go(take)
        g.go(take)
    book.balance(ch)
