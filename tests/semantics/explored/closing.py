"""Closing: it wakes those whom it concerns, and nobody loses anything."""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    ChannelBroken,
    ChannelClosed,
    EndOfChannel,
    Group,
    Receiver,
    Sender,
)
from tests.semantics.explored.book import Book, program, untouched
from tests.semantics.explored.ways import (
    WAYS_TO_RECEIVE,
    WAYS_TO_SEND,
    close_soon,
    pause,
    send_plainly,
    send_selected,
)


@program
async def the_end_is_told_to_all() -> None:
    """Closing wakes all who wait to receive, also beside some who give up just then."""
    ch: Channel[str] = Channel()

    async def wait(way: Any, patience: float) -> None:
        with suppress(EndOfChannel), anyio.move_on_after(patience):
            await way(ch)
            raise AssertionError

    async def close() -> None:
        try:
            await anyio.sleep(1)
        finally:
            ch.close()

    async with Group() as g:
        for way in WAYS_TO_RECEIVE:
            g.go(wait, way, 1)
            g.go(wait, way, math.inf)
        g.go(close)
    untouched(ch)


@program
async def closing_a_rendezvous() -> None:
    """Who waits to send at the close is received from, who comes later is refused."""
    book, ch = Book(), Channel[str]()
    await close_while_sending(book, ch)
    book.balance(ch)


@program
async def closing_a_buffer() -> None:
    """So it is with a buffer that is full, and has room again after the close."""
    book, ch = Book(), Channel[str](2)
    await book.send(ch, "x1")
    await book.send(ch, "x2")
    await close_while_sending(book, ch)
    book.balance(ch)


async def close_while_sending(book: Book, ch: Channel[str]) -> None:
    async def give(item: str, turns: int) -> None:
        for _ in range(turns):
            await checkpoint()
        late = ch.closed
        try:
            await book.send(ch, item)
        except ChannelBroken:
            assert ch.statistics().open_receivers == 0
        except ChannelClosed:
            assert late
        else:
            assert not late

    async with Group() as g:
        for turns, item in enumerate("abcde"):
            g.go(give, item, turns)
        g.go(close_soon, ch)
        await pause()
        await book.consume(ch.receiver(), checkpoint)


@program
async def the_last_receiver_breaks_it() -> None:
    """Then all who wait to send have their item back, and the buffer is reported."""
    book = Book()
    ch = Channel[str](1, on_undelivered=book.undelivered.append)

    async def give(item: str, way: Any) -> None:
        with suppress(ChannelBroken):
            await book.send(ch, item, way)

    async def receive_once(rx: Receiver[str]) -> None:
        with rx:
            await book.receive(rx)

    async with Group() as g:
        for item, way in zip("abcd", WAYS_TO_SEND, strict=True):
            g.go(give, item, way)
        g.go(receive_once, ch.receiver())
        g.go(receive_once, ch.receiver())
    assert not len(ch)
    book.balance(ch)


@program
async def the_last_one_out() -> None:
    """Neither end is over before the last of its handles is closed."""
    book, ch = Book(), Channel[str](1)

    async def produce(tx: Sender[str], item: str) -> None:
        with tx:
            try:
                await book.send(tx, item)
                await checkpoint()
                await book.send(tx, item)
            except ChannelBroken:
                assert ch.statistics().open_receivers == 0

    async def consume(rx: Receiver[str]) -> None:
        await book.consume(rx)
        assert ch.statistics().open_senders == 0

    async with Group() as g:
        tx, rx = ch.sender(), ch.receiver()
        g.go(produce, tx.clone(), "a")
        g.go(produce, tx, "b")
        g.go(consume, rx.clone())
        g.go(consume, rx)
    book.balance(ch)


@program
async def closed_handles() -> None:
    """Closing a handle ends all waits through it; nobody has to come to meet them."""
    a, b = Channel[str](), Channel[str]()
    with a.sender(), b.receiver():
        await wait_and_close(a.sender(), b.receiver())
    untouched(a, b)


@program
async def last_handles() -> None:
    """So it is also with the last one of its kind."""
    a, b = Channel[str](), Channel[str]()
    await wait_and_close(a.sender(), b.receiver())
    untouched(a, b)


async def wait_and_close(tx: Sender[str], rx: Receiver[str]) -> None:
    async def wait(way: Any, *args: Any) -> None:
        with suppress(ChannelClosed):
            await way(*args)
            raise AssertionError

    async def flush() -> None:
        # One may have been cancelled, and not have left yet; if all were, so was this.
        hopeless = tx.statistics().senders_waiting > 1
        with suppress(ChannelClosed):
            await tx.wait_empty()
            await checkpoint()
            assert not hopeless

    async with Group() as g:
        for way in WAYS_TO_SEND:
            g.go(wait, way, tx, "a")
        for way in WAYS_TO_RECEIVE:
            g.go(wait, way, rx)
        g.go(flush)
        g.go(close_soon, tx)
        g.go(close_soon, rx)


@program
async def a_sender_closes_for_itself() -> None:
    """Who waits through a handle that is closed is told; others wait on."""
    book, ch = Book(), Channel[str]()
    mine, theirs = ch.sender(), ch.sender()

    async def give(tx: Sender[str], item: str, way: Any) -> None:
        with suppress(ChannelBroken):
            try:
                await book.send(tx, item, way)
            except ChannelClosed:
                assert tx.closed

    async def go_on() -> None:
        with theirs:
            await give(theirs, "y", send_plainly)
            await give(theirs, "z", send_selected)
            await theirs.wait_empty()

    async def wait() -> None:
        with suppress(ChannelClosed):
            await mine.wait_empty()

    async def consume(rx: Receiver[str]) -> None:
        with rx:
            await pause()
            await book.consume(rx)

    async with Group() as g:
        for item, way in zip("abcd", WAYS_TO_SEND, strict=True):
            g.go(give, mine, item, way)
        g.go(go_on)
        g.go(wait)
        g.go(close_soon, mine)
        g.go(consume, ch.receiver())
    book.balance(ch)


@program
async def a_receiver_closes_for_itself() -> None:
    """Who waits through a handle that is closed is told, or has been given an item."""
    book, ch = Book(), Channel[str]()
    mine, theirs = ch.receiver(), ch.receiver()

    async def take(way: Any) -> None:
        with suppress(EndOfChannel):
            try:
                await book.receive(mine, way)
            except ChannelClosed:
                assert mine.closed

    async with Group() as g:
        for way in WAYS_TO_RECEIVE:
            g.go(take, way)
        g.go(close_soon, mine)
        g.go(book.consume, theirs)
        g.go(book.produce, ch.sender(), ["a1", "a2", "a3", "a4"])
    book.balance(ch)


@program
async def batches_through_closing_handles() -> None:
    """A handle that closes in the middle of a batch loses nothing of it."""
    ch: Channel[int] = Channel(1)
    pending, received = deque(range(6)), []

    async def give(tx: Sender[int]) -> None:
        with suppress(ChannelClosed, ChannelBroken):
            await tx.send_many(pending)

    async def take(rx: Receiver[int]) -> None:
        with suppress(EndOfChannel, ChannelClosed):
            while True:
                received.extend(await rx.receive_many(2))

    async with Group() as g:
        tx, rx = ch.sender(), ch.receiver()
        g.go(give, tx)
        g.go(take, rx)
        g.go(close_soon, tx)
        g.go(close_soon, rx)
    assert [*received, *ch.drain(), *pending] == [*range(6)]
