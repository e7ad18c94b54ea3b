"""Emptying a channel, and waiting until it is: by receiving, draining, or giving up."""

from __future__ import annotations

from contextlib import suppress

import anyio
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    ChannelBroken,
    EndOfChannel,
    Group,
    Receiver,
    Sender,
    done,
    recv,
    select,
    send,
)
from tests.semantics.explored.book import Book, in_order, program, untouched
from tests.semantics.explored.ways import close_soon, pause


@program
async def drained() -> None:
    """Who drains gets what is buffered, and from all who wait to send."""
    book, ch = Book(), Channel[str](1)

    async def drain(rx: Receiver[str]) -> None:
        with rx:
            for _ in range(4):
                book.received += rx.drain()
                assert rx.statistics().senders_waiting == 0
                await checkpoint()

    async with Group() as g:
        g.go(book.produce, ch.sender(), ["a1", "a2"])
        g.go(book.produce, ch.sender(), ["b1", "b2"])
        g.go(drain, ch.receiver())
    in_order(book.received)
    book.balance(ch)


async def overflowing(ch: Channel[str], book: Book) -> None:
    """Send more than there is room for."""

    async def produce(tx: Sender[str], *items: str) -> None:
        with tx, suppress(ChannelBroken):
            for item in items:
                await book.send(tx, item)
                await checkpoint()

    async with Group() as g:
        g.go(produce, ch.sender(), "a1", "a2", "a3", "a4")
        g.go(produce, ch.sender(), "b1", "b2", "b3", "b4")
        g.go(book.consume, ch.receiver())
    book.balance(ch)


@program
async def dropping_the_oldest() -> None:
    """What is dropped for new items is reported, each once."""
    book = Book()
    await overflowing(
        Channel(2, overflow="drop_oldest", on_undelivered=book.undelivered.append), book
    )
    in_order(book.undelivered)


@program
async def dropping_the_newest() -> None:
    """What is dropped since there is no room is reported, each once."""
    book = Book()
    await overflowing(
        Channel(2, overflow="drop_newest", on_undelivered=book.undelivered.append), book
    )


@program
async def flushed() -> None:
    """Who waits until all is received goes on then, and not before."""
    book = Book()
    ch = Channel[str](2, on_undelivered=book.undelivered.append)

    async def give(tx: Sender[str]) -> None:
        with tx, suppress(ChannelBroken):
            for item in ("a1", "a2", "a3"):
                await book.send(tx, item)
            await tx.wait_empty()
            assert not len(ch)

    async def take(rx: Receiver[str]) -> None:
        with rx, suppress(EndOfChannel):
            for _ in range(3):
                await book.receive(rx)
                await checkpoint()
            await done(giver)

    async with Group() as g:
        giver = g.go(give, ch.sender())
        g.go(take, ch.receiver())
    book.balance(ch)


@program
async def flushed_by_others() -> None:
    """All who wait for it go on once nothing is left of what was sent before."""
    book, ch, begun = Book(), Channel[str](), []

    async def give(tx: Sender[str], item: str) -> None:
        with tx, suppress(ChannelBroken):
            begun.append(item)
            await book.send(tx, item)

    async def wait() -> None:
        all_begun = len(begun) == 3
        await ch.wait_empty()
        waiting = ch.statistics().senders_waiting
        await checkpoint()
        # One may have been cancelled, and not have left yet; if all were, so was this.
        assert not all_begun or waiting <= 1

    async with Group() as g:
        for item in ("a", "b", "c"):
            g.go(give, ch.sender(), item)
        for _ in range(3):
            g.go(wait)
        g.go(book.consume, ch.receiver(), checkpoint)
    book.balance(ch)


@program
async def flushed_by_draining() -> None:
    """Draining is receiving."""
    ch: Channel[str] = Channel(2)
    ch.send_nowait("a")
    try:
        async with Group() as g:
            g.go(ch.wait_empty)
            g.go(ch.wait_empty)
            await pause()
            ch.drain()
    finally:
        ch.drain()


@program
async def flushed_by_giving_up() -> None:
    """One who does not wait to send any more holds up nobody."""
    ch: Channel[str] = Channel()

    async def offer(item: str) -> None:
        with anyio.move_on_after(1):
            await ch.send(item)

    async with Group() as g:
        g.go(offer, "a")
        g.go(offer, "b")
        g.go(ch.wait_empty)
        await ch.wait_empty()
    untouched(ch)


@program
async def flushed_before_another_comes() -> None:
    """Once all have given up, one who comes then to send is not waited for."""
    ch: Channel[str] = Channel()
    seconds: list[float] = []
    start = anyio.current_time()

    async def wait() -> None:
        nonlocal waits
        waits = True
        await ch.wait_empty()
        seconds.append(anyio.current_time() - start)

    waits = waited = False
    async with Group() as g:
        first = g.go(ch.send, "a")
        g.go(wait)
        await pause()
        waited = waits
        first.cancel()
        with anyio.move_on_after(1):
            await ch.send("b")
    if waited:
        assert seconds in ([], [0])
    untouched(ch)


@program
async def flushed_by_choosing_otherwise() -> None:
    """Nor does one who waited in a select."""
    ch, home = Channel[str](), Channel[None]()

    async def offer(item: str) -> None:
        await select(send(ch, item), recv(home))

    async with Group() as g:
        g.go(offer, "a")
        g.go(offer, "b")
        g.go(close_soon, home)
        g.go(ch.wait_empty)
        await ch.wait_empty()
    untouched(ch)


@program
async def flushed_by_breaking() -> None:
    """What is given up when the last receiver closes is waited for by nobody."""
    book = Book()
    ch = Channel[str](3, on_undelivered=book.undelivered.append)
    async with Group() as g:
        g.go(book.produce, ch.sender(), ["a1", "a2", "a3"])
        g.go(ch.wait_empty)
        g.go(close_soon, ch.receiver())
        await ch.wait_empty()
    book.balance(ch)
