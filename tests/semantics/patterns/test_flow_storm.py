"""Flows and broadcasts, with all who use them cancelled at random: nothing is lost.

An item's number is used again until a send of it has returned.  So one that was sent
although its send was cancelled shows as received twice.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from random import Random
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from csp import (
    Broadcast,
    Channel,
    ChannelClosed,
    Group,
    after,
    merge,
    recv,
    select,
    send,
    split,
    throttle,
)
from tests.semantics.cancelling import Cancel, Expose, Move, ways_on

pytestmark = pytest.mark.anyio

Scale = Callable[[int, int], int]


class Storm:
    """Actors that make moves, each of which may be struck."""

    def __init__(self, seed: int, backend: str) -> None:
        self.random = Random(seed)
        self.ways = ways_on(backend)
        self.cancels: dict[object, Cancel] = {}
        self.over = False

    def exposed(self) -> Expose:
        @contextmanager
        def expose(cancel: Cancel) -> Iterator[None]:
            key = object()
            self.cancels[key] = cancel
            try:
                yield
            finally:
                del self.cancels[key]

        return expose

    async def rage(self, moves: list[Move], enough: Callable[[], bool]) -> None:
        """Let one actor make each of these moves, again and again."""
        alive = len(moves)

        async def act(move: Move) -> None:
            nonlocal alive
            while not self.over:
                await self.random.choice(self.ways)(move, self.exposed())
            alive -= 1

        async with anyio.create_task_group() as tasks:
            for move in moves:
                tasks.start_soon(act, move)
            while not enough():
                await checkpoint()
                self.strike(0.3)
            self.over = True
            while alive:
                await checkpoint()
                self.strike(1)

    def strike(self, chance: float) -> None:
        if self.cancels and self.random.random() < chance:
            self.cancels[self.random.choice([*self.cancels])]()


@pytest.mark.parametrize("seed", range(4))
async def test_flows_lose_nothing(seed: int, backend: str, scale: Scale) -> None:
    """Merged, split and throttled, by many, to one another."""
    storm, chs = Storm(seed, backend), [Channel[Any](n) for n in (0, 1, 3)]
    sent: list[tuple[int, int]] = []
    got: list[tuple[int, int]] = []
    given_out: list[tuple[int, int]] = []
    last = Counter[int]()

    def sender(number: int) -> Move:
        async def move() -> None:
            item = (number, last[number])
            ch = storm.random.choice(chs)
            if storm.random.random() < 0.5:
                await ch.send(item)
            else:
                await select(send(ch, item), recv(None))
            last[number] += 1
            sent.append(item)

        return move

    async def endless() -> AsyncGenerator[tuple[int, int], None]:
        for n in range(1_000_000):
            if n % 3 == 0:
                await checkpoint()
            given_out.append((-1, n))
            yield -1, n

    def receiver(rx: Any) -> Move:
        async def move() -> None:
            match storm.random.randrange(4):
                case 0:
                    got.append(await rx.receive())
                case 1:
                    got.extend(await rx.receive_many(3))
                case 2:
                    which, value = await select(recv(rx), after(0.001))
                    if which == 0:
                        got.append(value)
                case 3:
                    async for item in rx:
                        got.append(item)
                        break

        return move

    left: list[Any] = []
    async with AsyncExitStack() as stack:

        async def enter(block: Any) -> Any:
            return await stack.enter_async_context(block)

        merged = await enter(
            merge(chs[0], chs[1], endless(), on_undelivered=left.append)
        )
        one, two = await enter(split(chs[2], 2, on_undelivered=left.append))
        slow = await enter(throttle(merged, 1e5, 10, on_undelivered=left.append))
        both = await enter(merge(slow, one, chs[0], on_undelivered=left.append))
        moves = [receiver(rx) for rx in (merged, both, both, two, slow, chs[2])]
        moves += [sender(n) for n in range(4)]
        await storm.rage(moves, lambda: len(got) > scale(1_000, 50_000))
    for ch in chs:
        assert ch.statistics()[2:4] == (0, 0)
        left += ch.drain()
    assert Counter(got + left) == Counter(sent + given_out)


@pytest.mark.parametrize("seed", range(4))
async def test_broadcasts_reach_all_or_nobody(
    seed: int, backend: str, scale: Scale
) -> None:
    """Each who stays has what one who never blocks has, whatever others do."""
    storm, b = Storm(seed, backend), Broadcast[tuple[int, int]]()
    sent: list[tuple[int, int]] = []
    last = Counter[int]()

    def sender(number: int) -> Move:
        async def move() -> None:
            item = (number, last[number])
            if storm.random.random() < 0.5:
                await b.send(item)
            else:
                await select(send(b, item), recv(None))
            last[number] += 1
            sent.append(item)

        return move

    def reader(rx: Any, got: list[tuple[int, int]]) -> Move:
        async def move() -> None:
            match storm.random.randrange(3):
                case 0:
                    got.append(await rx.receive())
                case 1:
                    got.extend(await rx.receive_many(3))
                case 2:
                    got.append((await select(recv(rx), recv(None))).value)

        return move

    async def come_and_go() -> None:
        with b.subscribe(1) as rx, suppress(ChannelClosed):
            await rx.receive()

    with b.subscribe(math.inf) as log:
        stay = [b.subscribe(n) for n in (1, 2, 7)]
        lag = b.subscribe(2, "drop_oldest")
        books: list[list[tuple[int, int]]] = [[] for _ in stay]
        lagging: list[tuple[int, int]] = []
        moves = [reader(rx, got) for rx, got in zip(stay, books, strict=True)]
        moves += [reader(lag, lagging), come_and_go]
        moves += [sender(n) for n in range(4)]
        await storm.rage(moves, lambda: len(sent) > scale(500, 30_000))
        seen = log.drain()
        assert Counter(seen) == Counter(sent)
        assert sorted(seen, key=lambda item: item[0]) == sorted(seen)
        for rx, got in zip(stay, books, strict=True):
            with rx:
                assert got + rx.drain() == seen
        with lag:
            lagging += lag.drain()
            assert lag.lagged + len(lagging) == len(seen)
            assert lagging == sorted(lagging, key=seen.index)
    assert b.statistics()[:3] == (0, 0, 0)


@pytest.mark.clock
@given(
    rate=st.sampled_from([0.3, 1, 7, 10, 1000]),
    burst=st.integers(1, 4),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["work", "wait", "give up"]),
            st.floats(0, 3, allow_subnormal=False),
        ),
        max_size=12,
    ),
)
async def test_a_throttle_is_a_token_bucket(
    rate: float, burst: int, steps: list[tuple[str, float]]
) -> None:
    """In t seconds no more than burst + rate * t come out, and none comes late."""
    times: list[float] = []
    left: list[int] = []
    items = iter(range(100))
    tokens, then = float(burst), anyio.current_time()
    async with throttle(items, rate, burst, on_undelivered=left.append) as rx:
        for step, periods in steps:
            if step == "work":
                await anyio.sleep(periods / rate)
                continue
            now = anyio.current_time()
            tokens = min(burst, tokens + (now - then) * rate)
            due = now + max(0, 1 - tokens) / rate
            limit = periods / rate if step == "give up" else math.inf
            with anyio.move_on_after(limit) as scope:
                await rx.receive()
                times.append(anyio.current_time())
            then = anyio.current_time()
            tokens = min(burst, tokens + (then - now) * rate)
            if not scope.cancelled_caught:
                assert then == pytest.approx(due, abs=1e-6)
                tokens -= 1
            else:
                assert due - now >= limit - 1e-6
    assert len(times) + len(left) + len([*items]) == 100
    for i, start in enumerate(times):
        for later in times[i:]:
            count = bisect_right(times, later) - i
            assert count <= burst + rate * (later - start) + 1e-3


@given(
    sources=st.lists(st.integers(0, 5), max_size=5),
    n=st.integers(1, 4),
    capacity=st.integers(0, 2),
)
async def test_merging_and_splitting_again_keeps_all(
    sources: list[int], n: int, capacity: int
) -> None:
    """Each item once, and those of a source in order for each who receives."""
    chs = [Channel[tuple[int, int]](capacity) for _ in sources]
    got: list[list[tuple[int, int]]] = [[] for _ in range(n)]

    async def feed(which: int) -> None:
        for item in range(sources[which]):
            await chs[which].send((which, item))
        chs[which].close()

    async def read(rx: Any, items: list[tuple[int, int]]) -> None:
        items.extend([item async for item in rx])

    async with merge(*chs) as merged, split(merged, n) as receivers, Group() as g:
        for which in range(len(chs)):
            g.go(feed, which)
        for rx, items in zip(receivers, got, strict=True):
            g.go(read, rx, items)
    everything = sorted(item for items in got for item in items)
    assert everything == [
        (i, k) for i, count in enumerate(sources) for k in range(count)
    ]
    for items in got:
        assert sorted(items, key=lambda item: item[0]) == sorted(items)
