"""Those who do not keep up with a broadcast, after tokio's tests of its own.

There a receive raises Lagged(n), and goes on with the oldest item that is left.  Here
it just goes on, and `lagged` has grown by n.  A send with nobody there succeeds.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from random import Random

import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import Broadcast, EndOfChannel, Group, Subscription, WouldBlock

pytestmark = pytest.mark.anyio


class Reader:
    """A subscription, and how far it is known to lag."""

    def __init__(self, rx: Subscription[str]) -> None:
        self.rx = rx
        self.known = 0

    def lag(self) -> int:
        """Return by how much the lag has grown."""
        self.known, before = self.rx.lagged, self.known
        return self.known - before

    def receive(self) -> str:
        """Take what is there, which has not been preceded by a lag."""
        assert self.lag() == 0
        return self.rx.receive_nowait()

    def is_empty(self) -> bool:
        return not len(self.rx)


@asynccontextmanager
async def broadcast(
    capacity: int, readers: int = 1
) -> AsyncGenerator[tuple[Broadcast[str], list[Reader]], None]:
    """Open one with readers that drop the oldest."""
    b = Broadcast[str]()
    with ExitStack() as stack:
        subscriptions = [b.subscribe(capacity, "drop_oldest") for _ in range(readers)]
        for rx in subscriptions:
            stack.enter_context(rx)
        yield b, [Reader(rx) for rx in subscriptions]


async def test_two_see_all() -> None:
    """Whatever either has read meanwhile."""
    async with broadcast(16, 2) as (b, (one, two)):
        assert one.is_empty()
        assert two.is_empty()
        b.send_nowait("hello")
        assert one.receive() == two.receive() == "hello"
        b.send_nowait("world")
        assert two.receive() == "world"
        assert two.is_empty()
        assert one.receive() == "world"


async def test_all_who_wait_are_woken() -> None:
    """By one send."""
    async with broadcast(16, 2) as (b, (one, two)):
        for word in ("hello", "world"):
            async with Group() as g:
                tasks = [g.go(reader.rx.receive) for reader in (one, two)]
                await parked()
                b.send_nowait(word)
            assert [await task for task in tasks] == [word, word]


async def test_a_lagging_reader() -> None:
    """It has missed one, and goes on with the next."""
    async with broadcast(2, 2) as (b, (one, two)):
        b.send_nowait("one")
        assert one.receive() == "one"
        b.send_nowait("two")
        assert one.receive() == "two"
        b.send_nowait("three")
        assert two.lag() == 1
        assert two.receive() == "two"
        b.send_nowait("four")
        assert two.receive() == "three"
        assert two.receive() == "four"
        assert one.receive() == "three"
        assert one.receive() == "four"
        b.close()
        for reader in (one, two):
            with pytest.raises(EndOfChannel):
                reader.receive()


@pytest.mark.parametrize("closed", [False, True])
async def test_it_recovers_after_being_overwritten(closed: bool) -> None:
    """All that it had is gone; it goes on with what came in its place."""
    async with broadcast(2) as (b, (reader,)):
        for word in ("one", "two", "three", "four"):
            b.send_nowait(word)
        if closed:
            b.close()
        assert reader.lag() == 2
        assert [reader.receive(), reader.receive()] == ["three", "four"]
        with pytest.raises(EndOfChannel if closed else WouldBlock):
            reader.receive()


async def test_it_lags_again_before_it_reads() -> None:
    """The lags add up."""
    async with broadcast(2) as (b, (reader,)):
        for n in range(1, 10):
            b.send_nowait(str(n))
            if n in (4, 7):
                assert reader.lag() == n - 2 - (n == 7) * 2
        assert reader.lag() == 2
        assert reader.receive() == "8"


async def test_a_single_slot() -> None:
    """The latest value, and how many there were before it."""
    async with broadcast(1) as (b, (reader,)):
        for word in ("a", "b", "c"):
            b.send_nowait(word)
        assert reader.lag() == 2
        assert reader.receive() == "c"
        assert reader.is_empty()


async def test_the_length_is_what_can_be_read() -> None:
    """And never more than the capacity, which is just what was asked for."""
    async with broadcast(3) as (b, (reader,)):
        for n in range(10):
            assert len(reader.rx) == min(n, 3)
            b.send_nowait(str(n))
        assert reader.rx.capacity == 3


async def test_subscribing_again_begins_at_the_end() -> None:
    """Apart from what the old one still has."""
    async with broadcast(4) as (b, (old,)):
        b.send_nowait("one")
        with b.subscribe(4, "drop_oldest") as rx:
            new = Reader(rx)
            assert new.is_empty()
            b.send_nowait("two")
            assert new.receive() == "two"
        assert [old.receive(), old.receive()] == ["one", "two"]


async def test_one_that_closes_is_gone() -> None:
    """And the broadcast goes on."""
    async with broadcast(1, 2) as (b, (one, two)):
        one.rx.close()
        b.send_nowait("x")
        assert two.receive() == "x"
        assert b.statistics().subscriptions == 1


async def test_closing_overwrites_nothing() -> None:
    """What is there can be read, all of it."""
    async with broadcast(2) as (b, (reader,)):
        b.send_nowait("one")
        b.send_nowait("two")
        b.close()
        assert reader.rx.drain() == ["one", "two"]
        assert reader.lag() == 0


async def test_any_history(scale: Callable[[int, int], int]) -> None:
    """Each reader has the last items, and has lagged by the others."""
    random = Random(0)
    for _ in range(scale(100, 5_000)):
        capacity = random.randrange(1, 5)
        sent: list[str] = []
        async with broadcast(capacity, 3) as (b, readers):
            seen = dict.fromkeys(readers, 0)
            for step in range(random.randrange(40)):
                if random.random() < 0.5:
                    b.send_nowait(str(step))
                    sent.append(str(step))
                    continue
                reader = random.choice(readers)
                position = max(seen[reader], len(sent) - capacity)
                assert len(reader.rx) == len(sent) - position
                reader.lag()
                if position < len(sent):
                    assert reader.receive() == sent[position]
                    seen[reader] = position + 1
                    missed = position + 1 - reader.rx.statistics().received
                    assert reader.known == missed
