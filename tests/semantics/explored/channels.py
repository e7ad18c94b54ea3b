"""Sending and receiving: nothing is lost, doubled, overtaken or held up."""

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
    WouldBlock,
    recv,
    select_nowait,
)
from tests.semantics.explored.book import Book, program, untouched
from tests.semantics.explored.ways import (
    WAYS_TO_RECEIVE,
    WAYS_TO_SEND,
    close_soon,
    pause,
    receive_alone,
    receive_selected,
    send_selected,
)


@program
async def rendezvous() -> None:
    """Without a buffer, what is sent is received, in order."""
    book, ch = Book(), Channel[str]()
    async with Group() as g:
        g.go(book.produce, ch.sender(), ["a1", "a2", "a3"])
        g.go(book.consume, ch.receiver())
    assert book.sent == book.received
    book.balance(ch)


@program
async def crowd() -> None:
    """Several at each end share the items, each sender's in order."""
    book, ch = Book(), Channel[str](1)
    async with Group() as g:
        g.go(book.produce, ch.sender(), ["a1", "a2", "a3"])
        g.go(book.produce, ch.sender(), ["b1", "b2", "b3"])
        g.go(book.consume, ch.receiver())
        g.go(book.consume, ch.receiver())
    book.balance(ch)


@program
async def senders_in_line() -> None:
    """Those who wait to send are served in the order in which they came."""
    book, ch = Book(), Channel[str](2)
    asked: list[str] = []

    async def ask(tx: Sender[str], item: str, way: Any) -> None:
        with tx, suppress(ChannelBroken):
            asked.append(item)
            await book.send(tx, item, way)

    async with Group() as g:
        for item, way in zip("abcd", WAYS_TO_SEND, strict=True):
            g.go(ask, ch.sender(), item, way)
        await pause()
        await book.consume(ch.receiver(), checkpoint)
    came_out = book.received + ch.drain()
    assert came_out == [item for item in asked if item in book.sent]


@program
async def receivers_in_line() -> None:
    """Those who wait to receive are served in the order in which they came."""
    book, ch = Book(), Channel[str]()
    asked: list[object] = []
    given: dict[object, str] = {}

    async def ask(rx: Receiver[str], way: Any) -> None:
        with rx, suppress(EndOfChannel):
            asked.append(way)
            given[way] = await book.receive(rx, way)

    async with Group() as g:
        for way in WAYS_TO_RECEIVE:
            g.go(ask, ch.receiver(), way)
        await pause()
        await book.produce(ch.sender(), ["a1", "a2", "a3", "a4", "a5"])
    assert [given[way] for way in asked if way in given] == book.sent
    book.balance(ch)


@program
async def impatient_receiver() -> None:
    """An item comes as a receiver gives up: then it has it, or another gets it."""
    book, ch = Book(), Channel[str]()

    async def receive(rx: Receiver[str], patience: float) -> None:
        with rx, suppress(EndOfChannel), anyio.move_on_after(patience):
            await book.receive(rx)

    async def give(tx: Sender[str]) -> None:
        with tx:
            await anyio.sleep(1)
            await book.produce(tx, ["a1"])

    async with Group() as g:
        g.go(receive, ch.receiver(), 1)
        g.go(receive, ch.receiver(), math.inf)
        g.go(give, ch.sender())
    book.balance(ch)


@program
async def impatient_sender() -> None:
    """A sender gives up as it is received from: then that was it, or the one behind."""
    book, ch = Book(), Channel[str]()

    async def give(tx: Sender[str], item: str, patience: float) -> None:
        with tx, suppress(ChannelBroken), anyio.move_on_after(patience):
            await book.send(tx, item)

    async def receive(rx: Receiver[str]) -> None:
        with rx, suppress(EndOfChannel):
            await anyio.sleep(1)
            await book.receive(rx)

    async with Group() as g:
        g.go(give, ch.sender(), "a", 1)
        g.go(give, ch.sender(), "b", math.inf)
        g.go(receive, ch.receiver())
    assert book.sent == book.received
    book.balance(ch)


@program
async def batches() -> None:
    """What a batch leaves in its deque has not been sent, and all else has."""
    ch: Channel[int] = Channel(2)
    await ch.send_many([0, 1])
    pending, received = deque(range(2, 8)), []

    async def give(tx: Sender[int]) -> None:
        with tx, suppress(ChannelBroken):
            await tx.send_many(pending)

    async def receive(rx: Receiver[int]) -> None:
        with rx, suppress(EndOfChannel):
            while True:
                assert len(rx) <= rx.capacity
                received.extend(await rx.receive_many(3))
                await checkpoint()

    async with Group() as g:
        g.go(give, ch.sender())
        g.go(receive, ch.receiver())
    assert [*received, *ch.drain(), *pending] == [*range(8)]


@program
async def long_runs() -> None:
    """One who need not wait lets others run now and then, before it goes on."""
    book, ch = Book(), Channel[str](math.inf)
    async with Group() as g:
        g.go(book.produce, ch.sender(), [f"a{i:03}" for i in range(150)])
        g.go(book.consume, ch.receiver())
    book.balance(ch)


@program
async def long_runs_of_operations() -> None:
    """So does one who performs operations, alone or in selects."""
    book, ch = Book(), Channel[str](math.inf)

    async def produce(tx: Sender[str]) -> None:
        with tx, suppress(ChannelBroken):
            for i in range(100):
                await book.send(tx, f"a{i:03}", send_selected)

    async def consume(rx: Receiver[str], way: Any) -> None:
        with rx, suppress(EndOfChannel):
            while True:
                await book.receive(rx, way)

    async with Group() as g:
        g.go(produce, ch.sender())
        g.go(consume, ch.receiver(), receive_alone)
        g.go(consume, ch.receiver(), receive_selected)
    book.balance(ch)


@program
async def long_runs_through_closing_handles() -> None:
    """A handle that is closed in between lets nothing more through."""
    ch: Channel[int] = Channel(math.inf)
    sent: list[int] = []
    received: list[int] = []

    async def give(tx: Sender[int]) -> None:
        with suppress(ChannelClosed, ChannelBroken):
            for i in range(150):
                await tx.send(i)
                assert not tx.closed
                sent.append(i)

    async def take(rx: Receiver[int]) -> None:
        with suppress(ChannelClosed, EndOfChannel):
            while True:
                at_once = len(rx) > 0
                received.append(await rx.receive())
                assert not (at_once and rx.closed)

    async def close(end: Sender[int] | Receiver[int]) -> None:
        end.close()

    with ch.sender(), ch.receiver():
        async with Group() as g:
            tx, rx = ch.sender(), ch.receiver()
            g.go(give, tx)
            g.go(take, rx)
            g.go(close, tx)
            g.go(close_soon, rx)
    assert received + ch.drain() == sent


@program
async def without_waiting() -> None:
    """One who never waits meets those who do."""
    book, ch, back = Book(), Channel[str](), Channel[str](1)

    async def turn_round(rx: Receiver[str], tx: Sender[str]) -> None:
        with rx, tx, suppress(EndOfChannel, ChannelBroken):
            while True:
                try:
                    book.received.append(rx.receive_nowait())
                    tx.send_nowait(book.received[-1])
                    book.sent.append(book.received[-1])
                except WouldBlock:  # what is received then goes no further
                    await checkpoint()

    async with Group() as g:
        g.go(book.produce, ch.sender(), ["a1", "a2", "a3"])
        g.go(turn_round, ch.receiver(), back.sender())
        g.go(book.consume, back.receiver())
    book.balance(ch, back)


@program
async def semaphore() -> None:
    """The room in a channel is a number of permits, of which none stays unused."""
    permits, inside = Channel[None](2), []

    async def work() -> None:
        await permits.send(None)
        inside.append(None)
        assert len(inside) <= 2
        try:
            await checkpoint()
        finally:
            inside.pop()
            select_nowait(recv(permits))
            assert len(permits) == 2 or not permits.statistics().senders_waiting

    async with Group() as g:
        for _ in range(4):
            g.go(work)
    assert not len(permits)


@program
async def giving_up() -> None:
    """Who gives up leaves nothing behind."""
    ch: Channel[str] = Channel()

    async def wait(way: Any, *item: str) -> None:
        with anyio.move_on_after(1):
            await way(ch, *item)

    async with Group() as g:
        for way in WAYS_TO_SEND:
            g.go(wait, way, "a")
        g.go(wait, Channel.wait_empty)
    untouched(ch)
    async with Group() as g:
        for way in WAYS_TO_RECEIVE:
            g.go(wait, way)
    untouched(ch)
