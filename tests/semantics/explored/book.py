"""What the programs here have in common: that they keep books, which must balance.

A program sees for itself that all went well, in whatever order its tasks take their
steps, and if one of its waits is cancelled at any moment.  It also ends: a task closes
its handles, cancelled or not, and so those who wait for it learn that it is gone.

Items are named after who sends them, and in order: "a1", "a2", "b1".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeAlias

from csp import Channel, ChannelBroken, ChannelClosed, Receiver, Sender
from tests.semantics.explored.ways import at_once, receive_plainly, send_plainly

Program: TypeAlias = Callable[[], Awaitable[None]]

PROGRAMS: list[Program] = []


def program(fn: Program) -> Program:
    """Have `fn` explored."""
    PROGRAMS.append(fn)
    return fn


class Book:
    """What has been sent and received, entered once it has happened."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.received: list[str] = []
        self.undelivered: list[str] = []

    async def send(self, end: Any, item: str, way: Any = send_plainly) -> None:
        """Send an item in some way; if it is refused it comes back with the error."""
        try:
            await way(end, item)
        except (ChannelBroken, ChannelClosed) as refusal:
            if refusal.item != item:
                raise AssertionError(refusal.item) from refusal
            raise
        self.sent.append(item)
        assert len(end) <= end.capacity

    async def receive(self, end: Any, way: Any = receive_plainly) -> str:
        item = await way(end)
        self.received.append(item)
        return item

    async def produce(self, tx: Sender[str], items: Iterable[str]) -> None:
        """Send all, as long as somebody is there to receive."""
        with tx, suppress(ChannelBroken):
            for item in items:
                await self.send(tx, item)

    async def consume(self, rx: Receiver[str], between: Any = at_once) -> None:
        """Receive until the end, and see that each sender's items come in order."""
        mine: list[str] = []
        with rx:
            async for item in rx:
                self.received.append(item)
                mine.append(item)
                in_order(mine)
                await between()
            assert rx.statistics().senders_waiting == 0

    def balance(self, *channels: Channel[str]) -> None:
        """Compare with the channels' own figures, and with what is left in them."""
        for figure in ("senders_waiting", "receivers_waiting"):
            assert total(channels, figure) == 0, figure
        for figure in ("sent", "received", "undelivered"):
            assert total(channels, figure) == len(getattr(self, figure)), figure
        left = [item for ch in channels for item in ch.drain()]
        assert Counter(self.sent) == Counter(self.received + self.undelivered + left)


def total(channels: Iterable[Channel[Any]], figure: str) -> int:
    """Add up one of the figures of some channels."""
    return sum(getattr(ch.statistics(), figure) for ch in channels)


def in_order(items: list[str]) -> None:
    """Raise unless the items of each sender are in the order in which it sent them."""
    assert sorted(items, key=lambda item: item[0]) == sorted(items)


def untouched(*channels: Channel[Any]) -> None:
    """Raise unless nothing went through the channels, and nobody waits at them."""
    Book().balance(*channels)
