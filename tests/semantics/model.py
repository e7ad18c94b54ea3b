"""What a channel is, in lists: too simple to be wrong, and too slow to be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from csp import ChannelBroken, ChannelClosed, EndOfChannel, WouldBlock


class Wait(NamedTuple):
    """One who waits in the model."""

    kind: str  # "send", "receive" or "empty"
    call: object
    end: object
    item: Any  # what a sender has, or what a receiver is told when the channel ends
    met: Callable[[Any], Any]


class Model:
    """A channel of which everybody who has to wait is a `Wait` in one queue."""

    def __init__(self, capacity: int, overflow: str, reports: bool) -> None:
        self.capacity, self.overflow, self.reports = capacity, overflow, reports
        self.buffer: list[int] = []
        self.waits: list[Wait] = []
        self.given_up: list[int] = []
        self.closed = self.broken = False
        self.received = 0

    def claim(self, kind_or_end: object) -> Iterator[Wait]:
        while found := [w for w in self.waits if kind_or_end in (w.kind, w.end)]:
            self.leave(found[0].call)
            yield found[0]

    def leave(self, call: object) -> None:
        self.waits = [wait for wait in self.waits if wait.call is not call]

    def offer(self, item: int) -> bool:
        if self.closed:
            raise (ChannelBroken if self.broken else ChannelClosed)("", item)
        for wait in self.claim("receive"):
            self.received += 1
            wait.met(item)
            self.settle()  # what has received may have been waiting to send as well
            return True
        if len(self.buffer) == self.capacity and self.overflow == "block":
            return False
        self.buffer.append(item)
        if len(self.buffer) > self.capacity:
            oldest = self.overflow == "drop_oldest"
            self.given_up.append(self.buffer.pop(0 if oldest else -1))
        return True

    def take(self) -> int:
        for wait in self.claim("send"):
            self.buffer.append(wait.item)
            wait.met(None)
            break
        if not self.buffer:
            raise EndOfChannel if self.closed else WouldBlock
        self.received += 1
        item = self.buffer.pop(0)
        self.settle()
        return item

    def close(self) -> None:
        self.closed = True
        for wait in self.claim("receive"):
            wait.met(wait.item)
        self.settle()

    def break_off(self) -> None:
        self.close()
        self.broken = True
        for wait in self.claim("send"):
            wait.met(ChannelBroken("", wait.item))
        if self.reports:
            self.given_up += self.buffer
            self.buffer = []
        self.settle()

    def evict(self, end: object) -> None:
        for wait in self.claim(end):
            wait.met(ChannelClosed("", wait.item if wait.kind == "send" else None))
        self.settle()

    def settle(self) -> None:
        if self.is_empty():
            for wait in self.claim("empty"):
                wait.met(None)

    def is_empty(self) -> bool:
        return not self.buffer and all(wait.kind != "send" for wait in self.waits)
