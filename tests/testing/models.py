"""Models of a few well-known objects."""

from __future__ import annotations

from typing import Any

from csp.testing import Blocked, Waiting, choose


class Register:
    """Holds a value."""

    value: Any = 0

    def read(self) -> Any:
        return self.value

    def write(self, value: Any) -> None:
        self.value = value


class Counter:
    """Counts."""

    value = 0

    def increment(self) -> int:
        self.value += 1
        return self.value


class Stock:
    """A queue that raises if it is empty."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def put(self, item: Any) -> None:
        self.items.append(item)

    def get(self) -> Any:
        if not self.items:
            raise IndexError("empty")
        return self.items.pop(0)

    def clear(self) -> list[Any]:
        items, self.items = self.items, []
        return items


class Lock:
    """Whoever comes when it is free may have it."""

    held = False

    def acquire(self) -> None:
        if self.held:
            raise Blocked
        self.held = True

    def release(self) -> None:
        self.held = False


class Queue(Stock):
    """A queue that lets one wait for an item, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.getters: list[Waiting] = []

    def put(self, item: Any) -> None:
        while self.getters:
            if self.getters.pop(0).finish(item):
                return
        self.items.append(item)

    def get(self) -> Any:
        if self.items:
            return self.items.pop(0)
        self.getters.append(Waiting())
        return self.getters[-1]

    def shut(self) -> None:
        for getter in self.getters:
            getter.fail(EOFError())


class Semaphore:
    """A fair one; a large request is not overtaken by small ones."""

    def __init__(self, value: int) -> None:
        self.value = value
        self.queue: list[tuple[int, Waiting]] = []

    def acquire(self, weight: int) -> Waiting:
        waiting = Waiting()
        self.queue.append((weight, waiting))
        return waiting

    def release(self, weight: int) -> None:
        self.value += weight

    def settle(self) -> None:
        self.queue = [(weight, each) for weight, each in self.queue if not each.over]
        while self.queue and self.queue[0][0] <= self.value:
            weight, first = self.queue.pop(0)
            first.finish()
            self.value -= weight


class Bag:
    """Gives out any of what is in it, or waits for something."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def put(self, item: Any) -> None:
        self.items.append(item)

    def take(self) -> Any:
        item = choose(self.items)
        self.items.remove(item)
        return item


class Barrier:
    """Two meet, and each gets what the other brings."""

    def __init__(self) -> None:
        self.first: tuple[Any, Waiting] | None = None

    def meet(self, item: Any) -> Any:
        if self.first is None or self.first[1].over:
            self.first = item, Waiting()
            return self.first[1]
        (brought, waiting), self.first = self.first, None
        waiting.finish(item)
        return brought
