"""Limiters, broadcasts and flows as small programs, which hold under any schedule.

Also if one of their waits is cancelled, at any moment and in any way.  So each program
compares what has come out with what has gone in, and with what is still there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from csp import (
    Broadcast,
    Channel,
    ChannelBroken,
    EndOfChannel,
    Group,
    Limiter,
    Overloaded,
    Receiver,
    Subscription,
    after,
    done,
    merge,
    recv,
    select,
    send,
    split,
    throttle,
)
from tests.semantics.patterns.exploring import BACKENDS, Programs, explore_all_ways

PROGRAMS = Programs()
program = PROGRAMS.add


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_holds_under_any_schedule(
    program: Any, backend: str, scale: Callable[[int, int], int]
) -> None:
    """Whatever is cancelled."""
    explore_all_ways(program, backend, scale(40, 2_500))


# Limiters


@program
async def weights() -> None:
    """Never more than there is, and all of it free in the end."""
    limiter, used = Limiter(3), 0

    async def use(units: int) -> None:
        nonlocal used
        async with limiter.weight(units):
            used += units
            assert used <= 3
            try:
                await checkpoint()
            finally:
                used -= units

    async with Group() as g:
        for units in (2, 3, 1, 1):
            g.go(use, units)
    assert limiter.statistics()[:3] == (3, 0, 0)


@program
async def rejection() -> None:
    """Each is let in, or waits, or is rejected, or was cancelled."""
    limiter, ends = Limiter(1, queue=1, on_full="reject"), Counter[str]()

    async def use() -> None:
        try:
            async with limiter:
                await checkpoint()
                ends["in"] += 1
        except Overloaded:
            ends["rejected"] += 1
        except BaseException:
            ends["cancelled"] += 1
            raise

    async with Group() as g:
        for _ in range(4):
            g.go(use)
    assert ends["cancelled"] <= 1 or ends["cancelled"] + ends["rejected"] <= 4
    assert limiter.statistics().refused == ends["rejected"]
    assert limiter.statistics().in_use == limiter.statistics().waiting == 0


@program
async def a_limiter_in_line() -> None:
    """Who came first is in first, save who has been cancelled."""
    limiter, came, went_in = Limiter(2), list[int](), list[int]()

    async def use(me: int, units: int) -> None:
        came.append(me)
        async with limiter.weight(units):
            went_in.append(me)
            await checkpoint()

    async with Group() as g:
        for me, units in enumerate((1, 2, 1, 1)):
            g.go(use, me, units)
    # Two who are let in at once may run in any order, as 2 and 3 may.
    order = [me for me in came if me in went_in]
    assert sorted(went_in) == sorted(order)
    if len(came) > 3 and 1 in went_in:
        before = came[: came.index(1)]
        assert all(went_in.index(me) < went_in.index(1) for me in before if me in order)
    assert limiter.statistics().in_use == 0


# Broadcasts


async def read(rx: Subscription[str] | Receiver[str], got: list[str]) -> None:
    """Receive until the end."""
    with rx:
        async for item in rx:
            got.append(item)  # noqa: PERF401 - some come before a cancellation


async def tell(b: Broadcast[str], sent: list[str], *items: str) -> None:
    """Send them, and note each that has been."""
    for item in items:
        await b.send(item)
        sent.append(item)


def in_order(items: Iterable[str]) -> bool:
    """Whether those of each sender are in its order."""
    return sorted(items, key=lambda item: item[0]) == sorted(items)


@program
async def all_or_nobody() -> None:
    """All who stay see the same, in the same order: just what has been sent."""
    b, sent, got = Broadcast[str](), list[str](), [list[str](), list[str]()]
    ways = [b.subscribe(n, "block") for n in (1, 2)]
    with b.subscribe(9) as log:
        async with Group() as g:
            for rx, items in zip(ways, got, strict=True):
                g.go(read, rx, items)

            async def send_all() -> None:
                try:
                    async with Group() as senders:
                        senders.go(tell, b, sent, "a1", "a2")
                        senders.go(tell, b, sent, "b1", "b2")
                finally:
                    b.close()

            g.go(send_all)
        seen = log.drain()
    assert Counter(seen) == Counter(sent)
    assert in_order(seen)
    for items in got:
        assert items == seen[: len(items)]
    assert b.statistics()[:3] == (0, 0, 0)


@program
async def leaving_a_broadcast() -> None:
    """Who leaves holds up nobody, and a select sends to all or to nobody."""
    b, sent, got = Broadcast[str](), list[str](), list[str]()
    slow, log = b.subscribe(1), b.subscribe(9)

    async def leave() -> None:
        with slow:
            got.append(await slow.receive())
            await checkpoint()

    async def choose() -> None:
        for item in ("b1", "b2"):
            if (await select(send(b, item), after(5))).which == 0:
                sent.append(item)

    async with Group() as g:
        g.go(leave)
        g.go(tell, b, sent, "a1", "a2", "a3")
        g.go(choose)
    with log:
        seen = log.drain()
    assert Counter(seen) == Counter(sent)
    assert seen[:1] == got or not got
    assert b.statistics()[:3] == (0, 0, 0)


@program
async def dropping() -> None:
    """What was missed and what was seen make up what was sent."""
    b, sent, got = Broadcast[str](), list[str](), list[str]()
    rx = b.subscribe(1, "drop_oldest")

    async def watch() -> None:
        while "a4" not in got:
            match await select(recv(rx), after(1)):
                case 0, str(item):
                    got.append(item)
                case _:
                    break

    async def tell_slowly() -> None:
        for item in ("a1", "a2", "a3", "a4"):
            await tell(b, sent, item)
            await checkpoint()

    async with Group() as g:
        g.go(watch)
        g.go(tell_slowly)
    with rx:
        left = rx.drain()
        assert rx.lagged + len(got) + len(left) == len(sent)
        assert in_order(got + left)


# Flows


async def feed(ch: Channel[str], sent: list[str], *items: str) -> None:
    """Send them, note each that has been, and close; nobody may be there for some."""
    try:
        for item in items:
            if (await select(send(ch, item), after(99))).which == 1:
                break
            sent.append(item)
    finally:
        ch.close()


async def choose(rx: Receiver[str], got: list[str], seconds: float = 1) -> None:
    """Receive two in selects, if there are any in time."""
    with rx, suppress(ChannelBroken):
        for _ in range(2):
            match await select(recv(rx), after(seconds)):
                case 0, str(item):
                    got.append(item)


async def read_all(rx: Receiver[str], got: list[str]) -> None:
    """Receive until the end, or until a task of the block has been cancelled."""
    with suppress(ChannelBroken):
        await read(rx, got)


def rest(*chs: Channel[str]) -> list[str]:
    """Return what is still there, where nobody waits any more."""
    for ch in chs:
        assert ch.statistics()[2:4] == (0, 0)
    return [item for ch in chs for item in ch.drain()]


@program
async def merging() -> None:
    """Whatever was sent was received, or is still in its channel."""
    sent, got = list[str](), list[str]()
    a, b = Channel[str](), Channel[str](1)

    async def run() -> None:
        async with merge(a, b) as rx, Group() as g:
            g.go(feed, a, sent, "a1", "a2")
            g.go(feed, b, sent, "b1", "b2")
            g.go(choose, rx.clone(), got)
            g.go(read_all, rx.clone(), got)

    async with Group() as g:
        g.go(run)
    assert Counter(got + rest(a, b)) == Counter(sent)


@program
async def merging_early() -> None:
    """The block is left while others still send, and what is left is with them."""
    sent, got = list[str](), list[str]()
    a, b = Channel[str](), Channel[str](1)

    async def run() -> None:
        async with merge(a, b) as rx:
            for _ in range(2):
                with suppress(EndOfChannel):
                    got.append(await rx.receive())

    async def go_on() -> None:
        await done(first)
        for ch in (a, b):
            async for item in ch:
                got.append(item)

    async with Group() as g:
        first = g.go(run)
        g.go(go_on)
        g.go(feed, a, sent, "a1", "a2")
        g.go(feed, b, sent, "b1", "b2")
    assert Counter(got + rest(a, b)) == Counter(sent)


@program
async def merging_selects() -> None:
    """A select may send to what is merged, and receives from it."""
    sent, got = list[str](), list[str]()
    ch = Channel[str]()

    async def both(rx: Receiver[str], item: str) -> None:
        with rx:
            match await select(recv(rx), send(ch, item), after(1)):
                case 0, str(received):
                    got.append(received)
                case 1, _:
                    sent.append(item)

    async def run() -> None:
        async with merge(ch) as rx, Group() as g:
            for item in ("a1", "b1", "c1"):
                g.go(both, rx.clone(), item)

    async with Group() as g:
        g.go(run)
    assert Counter(got + rest(ch)) == Counter(sent)


async def give(given: list[str], *items: str) -> AsyncGenerator[str, None]:
    """Give these, and note that each was given, and that it was closed."""
    try:
        for item in items:
            await checkpoint()
            given.append(item)
            yield item
    finally:
        given.append("closed")


@program
async def merging_iterables() -> None:
    """What has come out of an iterable was received, or is reported."""
    given, got, left = list[str](), list[str](), list[str]()
    items = iter(["b1", "b2"])

    async def run() -> None:
        source = give(given, "a1", "a2")
        async with merge(source, items, on_undelivered=left.append) as rx:
            async with Group() as g:
                g.go(choose, rx.clone(), got)
                g.go(choose, rx.clone(), got)
            for _ in range(2):
                with suppress(EndOfChannel, ChannelBroken):
                    got.append(await rx.receive())

    async with Group() as g:
        g.go(run)
    assert "closed" not in given[:-1]
    taken = {"b1", "b2"} - {*items}
    assert Counter(got + left + ["closed"] * len(given)) >= Counter(taken)
    assert Counter(got + left) == Counter([*given, *taken]) - Counter(["closed"])


@program
async def splitting() -> None:
    """Each item goes to one, and those of a receiver that leaves to the others."""
    sent, got = list[str](), list[str]()
    ch = Channel[str]()

    async def take_one(rx: Receiver[str]) -> None:
        with rx, suppress(EndOfChannel):
            got.append(await rx.receive())

    async def run() -> None:
        async with split(ch, 3) as (one, two, three), Group() as g:
            g.go(feed, ch, sent, "a1", "a2", "a3")
            g.go(take_one, one)
            g.go(take_one, two)
            g.go(read_all, three, got)

    async with Group() as g:
        g.go(run)
    assert Counter(got + rest(ch)) == Counter(sent)


@program
async def throttling() -> None:
    """Not too many at a time, and none is lost: in hand, it is reported."""
    sent, got, left = list[str](), list[str](), list[str]()
    ch, times = Channel[str](1), list[float]()

    async def take(rx: Receiver[str]) -> None:
        with rx, suppress(ChannelBroken):
            async for item in rx:
                times.append(anyio.current_time())
                got.append(item)

    async def run() -> None:
        flow = throttle(ch, 1, 2, on_undelivered=left.append)
        async with flow as rx, Group() as g:
            g.go(take, rx.clone())
            g.go(take, rx.clone())

    async with Group() as g:
        g.go(feed, ch, sent, "a1", "a2", "a3", "a4")
        g.go(run)
    assert Counter(got + left + rest(ch)) == Counter(sent)
    for first, third in zip(times, times[2:], strict=False):
        assert third >= first + 1


@program
async def throttling_selects() -> None:
    """With deadlines that come just when the time has come."""
    sent, got, left = list[str](), list[str](), list[str]()
    ch = Channel[str]()

    async def run() -> None:
        flow = throttle(ch, 1, on_undelivered=left.append)
        async with flow as rx, merge(rx) as merged, Group() as g:
            g.go(choose, rx.clone(), got, 1)
            g.go(choose, merged.clone(), got, 2)

    async with Group() as g:
        g.go(feed, ch, sent, "a1", "a2", "a3")
        g.go(run)
    assert Counter(got + left + rest(ch)) == Counter(sent)


@program
async def cancelled_flows() -> None:
    """With all that is around them, they end as cancelled, and with nothing else."""
    ch = Channel[str]()

    async def run(verb: Callable[..., Any], *options: Any) -> None:
        source = give([], "a1", "a2")
        block = verb(source, *options, on_undelivered=lambda _: None)
        with suppress(ChannelBroken):
            async with block as result:
                inner = result[0] if isinstance(result, list) else result
                async with merge(inner, ch) as rx:
                    for _ in range(3):
                        await rx.receive()

    with anyio.move_on_after(3):
        async with Group() as g:
            for verb in ((merge,), (split, 1), (throttle, 1)):
                g.go(run, *verb)
    rest(ch)
