"""Everything at once, cancelled in every way there is, and then the books must balance.

Actors send, receive and select over the same few channels, by every verb and through
handles that others close, while their operations are cancelled and begun anew at
random.  An item's number is used again until a send of it has returned.  So a send that
was cancelled and happened all the same shows as an item received twice, and a receive
that was cancelled and took something as an item that is nowhere.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from random import Random
from typing import Any, NamedTuple, TypeAlias

import anyio
import pytest
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    ChannelClosed,
    Receiver,
    Sender,
    WouldBlock,
    after,
    recv,
    select,
    select_nowait,
    send,
)
from tests.semantics.cancelling import Cancel, Expose, Move, Way, nothing_stray, ways_on

pytestmark = pytest.mark.anyio

ACTORS = 10

Scale: TypeAlias = Callable[[int, int], int]


class Item(NamedTuple):
    """Something sent: by whom, to which channel, and the how manieth of those."""

    producer: int
    channel: str | None
    number: int


class Storm:
    """The channels, what stands in the books, and how to strike at an actor."""

    def __init__(self, seed: int, call_soon: Callable[..., Any]) -> None:
        self.random = Random(seed)
        self.call_soon = call_soon
        self.over = False
        self.sent: list[Item] = []
        self.dropped: list[Item] = []
        self.taken = 0
        self.cancels: dict[int, Cancel] = {}
        self.handles: deque[Sender[Item] | Receiver[Item]] = deque(maxlen=8)
        self.channels: list[Channel[Item]] = [
            Channel(0, name="rendezvous"),
            Channel(1, name="one"),
            Channel(3, name="three"),
            Channel(
                2,
                overflow=self.random.choice(["drop_oldest", "drop_newest"]),
                on_undelivered=self.dropped.append,
                name="leaky",
            ),
        ]
        self.open = ExitStack()  # handles, so that none of the actors' is the last
        for ch in self.channels:
            self.open.enter_context(ch.sender())
            self.open.enter_context(ch.receiver())
        self.actors = [Actor(self, i) for i in range(ACTORS + 1)]
        self.outside = self.actors.pop()  # acts from callbacks of the loop

    async def rage(self, ways: list[Way], items: int) -> None:
        """Let the actors act until they have taken that many items."""
        alive = ACTORS

        async def live(actor: Actor) -> None:
            nonlocal alive
            while not self.over:
                expose = actor.exposed
                await self.random.choice(ways)(self.random.choice(actor.moves), expose)
            alive -= 1

        async with anyio.create_task_group() as tasks:
            for actor in self.actors:
                tasks.start_soon(live, actor)
            while self.taken < items:
                await self.strike()
            self.over = True
            while alive:
                for cancel in list(self.cancels.values()):
                    cancel()
                await anyio.sleep(0.001)
        await anyio.wait_all_tasks_blocked()  # the last callbacks too

    async def strike(self) -> None:
        """Let the loop turn, or time pass, and cancel what one actor does."""
        if self.random.random() < 0.02:
            await anyio.sleep(0.001)
        else:
            await checkpoint()
        if self.cancels and self.random.random() < 0.4:
            self.random.choice(list(self.cancels.values()))()

    def settle(self) -> None:
        """Empty the channels, and compare the books with one another."""
        figures = Counter[str]()
        for ch in self.channels:
            stats = ch.statistics()
            assert (stats.senders_waiting, stats.receivers_waiting) == (0, 0), ch
            assert stats.sent == stats.received + stats.undelivered + stats.length
            figures.update(
                sent=stats.sent, received=stats.received, undelivered=stats.undelivered
            )
        assert figures["sent"] == len(self.sent)
        assert figures["received"] == self.taken
        assert figures["undelivered"] == len(self.dropped)
        for ch in self.channels:
            self.outside.take(*ch.drain())
        received = [item for a in (*self.actors, self.outside) for item in a.log]
        assert Counter(received + self.dropped) == Counter(self.sent)


class Actor:
    """One who sends and receives; every move is one operation and its booking."""

    def __init__(self, storm: Storm, number: int) -> None:
        self.storm = storm
        self.random = storm.random
        self.number = number
        self.next_number: dict[str | None, int] = defaultdict(int)
        self.last_seen: dict[tuple[int, str | None], int] = defaultdict(lambda: -1)
        self.log: list[Item] = []
        self.moves: list[Move] = [
            self.send,
            self.send_many,
            self.receive,
            self.receive_many,
            self.iterate,
            self.drain,
            self.await_operation,
            self.select,
            self.select,
            self.act_outside,
            self.wait_empty,
            self.close_a_handle,
        ]

    @contextmanager
    def exposed(self, cancel: Cancel) -> Iterator[None]:
        """Let the storm strike by `cancel` within the block."""
        self.storm.cancels[self.number] = cancel
        try:
            yield
        finally:
            del self.storm.cancels[self.number]

    # The books

    def draft(self, ch: Channel[Item], ahead: int = 0) -> Item:
        return Item(self.number, ch.name, self.next_number[ch.name] + ahead)

    def give(self, item: Item) -> None:
        self.next_number[item.channel] += 1
        self.storm.sent.append(item)

    def take(self, *items: Item) -> None:
        self.log += items
        self.storm.taken += len(items)
        for item in items:
            way = item.producer, item.channel
            assert item.number > self.last_seen[way], "out of order"
            self.last_seen[way] = item.number

    # The moves

    def channel(self) -> Channel[Item]:
        return self.random.choice(self.storm.channels)

    @contextmanager
    def end(self, handle: Sender[Item] | Receiver[Item]) -> Iterator[Any]:
        """Use a handle that anybody may close meanwhile."""
        self.storm.handles.append(handle)
        with handle, suppress(ChannelClosed):
            yield handle

    def sender(self, ch: Channel[Item]) -> AbstractContextManager[Any]:
        return self.end(ch.sender()) if self.random.random() < 0.5 else _itself(ch)

    def receiver(self, ch: Channel[Item]) -> AbstractContextManager[Any]:
        return self.end(ch.receiver()) if self.random.random() < 0.5 else _itself(ch)

    async def send(self) -> None:
        ch = self.channel()
        with self.sender(ch) as tx:
            item = self.draft(ch)
            await tx.send(item)
            self.give(item)

    async def send_many(self) -> None:
        ch = self.channel()
        with self.sender(ch) as tx:
            items = [self.draft(ch, i) for i in range(4)]
            pending = deque(items)
            try:
                await tx.send_many(pending)
            finally:
                for item in items[: 4 - len(pending)]:
                    self.give(item)

    async def receive(self) -> None:
        with self.receiver(self.channel()) as rx:
            self.take(await rx.receive())

    async def receive_many(self) -> None:
        with self.receiver(self.channel()) as rx:
            self.take(*await rx.receive_many(3))

    async def iterate(self) -> None:
        with self.receiver(self.channel()) as rx:
            async for item in rx:
                self.take(item)
                break

    async def drain(self) -> None:
        if self.random.random() < 0.2:
            self.take(*self.channel().drain())

    async def wait_empty(self) -> None:
        await self.channel().wait_empty()

    async def await_operation(self) -> None:
        ch = self.channel()
        item = self.draft(ch)
        with self.sender(ch) as tx, self.receiver(ch) as rx:
            if self.random.random() < 0.5:
                await send(tx, item)
                self.give(item)
            else:
                self.take(await recv(rx))

    async def select(self) -> None:
        with ExitStack() as handles:
            cases = [self.case(handles) for _ in range(self.random.randint(1, 3))]
            cases.append(self.random.choice(cases))  # one operation twice
            patience = after(self.random.choice([0.0005, 1.0]))
            which, value = await select(*(op for op, _ in cases), patience)
            if which != len(cases):
                cases[which][1](value)

    def case(self, handles: ExitStack) -> tuple[Any, Callable[[Any], None]]:
        """Draw an operation, and how it is booked."""
        ch = self.channel()
        if self.random.random() < 0.5:
            return recv(handles.enter_context(self.receiver(ch))), self.take
        item = self.draft(ch)
        tx = handles.enter_context(self.sender(ch))
        return send(tx, item), lambda _: self.give(item)

    async def act_outside(self) -> None:
        act = self.random.choice([self.give_now, self.take_now, self.select_now])
        self.storm.call_soon(act, self.storm.outside, self.channel())

    @staticmethod
    def give_now(actor: Actor, ch: Channel[Item]) -> None:
        item = actor.draft(ch)
        with suppress(WouldBlock):
            ch.send_nowait(item)
            actor.give(item)

    @staticmethod
    def take_now(actor: Actor, ch: Channel[Item]) -> None:
        with suppress(WouldBlock):
            actor.take(ch.receive_nowait())

    @staticmethod
    def select_now(actor: Actor, ch: Channel[Item]) -> None:
        with suppress(WouldBlock):
            item = actor.draft(ch)
            which, value = select_nowait(recv(ch), send(ch, item))
            actor.give(item) if which else actor.take(value)

    async def close_a_handle(self) -> None:
        if self.storm.handles:
            self.storm.handles.pop().close()


@contextmanager
def _itself(ch: Channel[Item]) -> Iterator[Channel[Item]]:
    yield ch


async def under_a_deadline(move: Move, expose: Expose) -> None:
    with anyio.move_on_after(0.0005):
        await move()


async def by_wait_for(move: Move, expose: Expose) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(move(), 0.0005)
    await nothing_stray()


@pytest.mark.parametrize("seed", range(4))
async def test_the_books_balance_after_a_storm(
    seed: int, scale: Scale, backend: str
) -> None:
    """Nothing is lost, doubled, out of order, or cancelled and done all the same."""
    ways = [*ways_on(backend), under_a_deadline]
    if backend != "trio":
        ways.append(by_wait_for)
    storm = Storm(seed, _call_soon(backend))
    with storm.open:
        await storm.rage(ways, scale(600, 60_000))
        storm.settle()


def _call_soon(backend: str) -> Callable[..., Any]:
    if backend != "trio":
        return asyncio.get_running_loop().call_soon
    import trio

    return trio.lowlevel.current_trio_token().run_sync_soon
