"""Many selects at once, and many in a row.

After the stress, matching and linearizable tests of crossbeam-channel's select.rs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Channel,
    Group,
    Operation,
    WouldBlock,
    after,
    recv,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio

Scale = Callable[[int, int], int]


async def test_a_select_of_receives_serves_two_partners(scale: Scale) -> None:
    """One buffered, the other not; each sends when the other has been received."""
    count = scale(300, 10_000)
    ins, meeting, go_on = Channel[int](math.inf), Channel[int](), Channel[None]()

    async def produce() -> None:
        for i in range(count):
            await ins.send(i)
            await go_on.receive()
            await meeting.send(i)
            await go_on.receive()

    async with Group() as g:
        g.go(produce)
        for i in range(count):
            for which in (0, 1):
                assert await select(recv(ins), recv(meeting)) == (which, i)
                await go_on.send(None)


async def test_a_select_of_sends_serves_two_partners(scale: Scale) -> None:
    """Each takes its item in every round."""
    count = scale(300, 10_000)
    outs = [Channel[int](), Channel[int]()]
    go_on: Channel[None] = Channel(100)

    async def consume() -> None:
        for i in range(count):
            assert await outs[0].receive() == i
            assert await outs[1].receive() == i
            await go_on.receive()

    async with Group() as g:
        g.go(consume)
        for i in range(count):
            chosen = {(await select(*(send(ch, i) for ch in outs)))[0] for _ in outs}
            assert chosen == {0, 1}
            await go_on.send(None)


async def test_a_select_of_both_serves_two_partners(scale: Scale) -> None:
    """One item comes in and one goes out in every round."""
    count = scale(300, 10_000)
    ins, outs = Channel[int](), Channel[int]()
    go_on: Channel[None] = Channel(100)

    async def partner() -> None:
        for i in range(count):
            await ins.send(i)
            assert await outs.receive() == i
            await go_on.receive()

    async with Group() as g:
        g.go(partner)
        for i in range(count):
            chosen = {(await select(recv(ins), send(outs, i)))[0] for _ in range(2)}
            assert chosen == {0, 1}
            await go_on.send(None)


@pytest.mark.clock
async def test_two_selects_with_short_timeouts_lose_nothing() -> None:
    """Both try for 10 ms again and again, and pause 50 ms at every other item."""
    ch: Channel[int] = Channel(2)

    async def keep_trying(op: Operation[Any], pause: bool) -> Any:
        if pause:
            await anyio.sleep(0.05)
        while True:
            match await select(op, late=after(0.01)):
                case 0, value:
                    return value

    async def produce() -> None:
        for i in range(100):
            await keep_trying(send(ch, i), i % 2 == 0)

    async with Group() as g:
        g.go(produce)
        for i in range(100):
            assert await keep_trying(recv(ch), i % 2 == 0) == i


@pytest.mark.parametrize("leftover", [False, True])
async def test_tasks_that_offer_and_ask_at_once_pair_up(
    leftover: bool, scale: Scale
) -> None:
    """Nobody meets itself, nobody is left alone, and nothing is left over."""
    count = 55 if leftover else 44
    ch: Channel[int] = Channel()
    met: Counter[int] = Counter()

    async def meet(me: int) -> None:
        match await select(item=recv(ch), sent=send(ch, me)):
            case "item", other:
                assert other != me
                met[other] += 1

    for _ in range(scale(5, 100)):
        met.clear()
        async with Group() as g:
            for me in range(count):
                g.go(meet, me)
            if leftover:
                await ch.send(count)
        assert max(met.values()) == 1
        assert met.total() == math.ceil(count / 2)
        with pytest.raises(WouldBlock):
            ch.receive_nowait()


async def test_tasks_share_the_same_operations() -> None:
    """The very objects: each select commits its own choice of them."""
    ch: Channel[str] = Channel()
    operations: dict[str, Any] = {"item": recv(ch), "sent": send(ch, "shared")}
    async with Group() as g:
        choices = [g.go(lambda: select(**operations)) for _ in range(20)]
    which = Counter([(await choice).which for choice in choices])
    assert which == {"item": 10, "sent": 10}
    with pytest.raises(WouldBlock):
        ch.receive_nowait()


async def test_the_same_operations_serve_for_ever(scale: Scale) -> None:
    """An operation is a value: a select leaves nothing in it."""
    ins, outs = Channel[int](), Channel[int]()
    operations = (recv(ins), send(outs, 7))

    async def partner() -> None:
        for i in range(scale(300, 10_000)):
            await ins.send(i)
            assert await outs.receive() == 7

    async with Group() as g:
        finished = g.go(partner)
        for i in range(scale(300, 10_000)):
            chosen = {(await select(*operations)) for _ in range(2)}
            assert chosen == {(0, i), (1, None)}
        await finished


@pytest.mark.parametrize("capacity", [1, math.inf])
@pytest.mark.parametrize("timeout", [None, 0], ids=["default", "expired"])
async def test_a_look_at_two_channels_is_one_instant(
    capacity: float, timeout: int | None, scale: Scale
) -> None:
    """There is always an item in one of the two, so no look finds neither."""
    a, b = Channel[int](capacity), Channel[int](capacity)
    moved, go_on = Channel[None](), Channel[None]()
    count = scale(300, 100_000)

    async def move(i: int) -> None:
        await pause(i % 4)
        b.send_nowait(2)
        await pause(i % 3)
        a.drain()

    async def keep_moving() -> None:
        for i in range(count):
            await move(i)
            await moved.send(None)
            await go_on.receive()

    async def look() -> object:
        if timeout is None:
            return select_nowait(recv(a), recv(b)).which
        return (await select(recv(a), recv(b), after(timeout), priority=True)).which

    async with Group() as g:
        g.go(keep_moving)
        for i in range(count):
            a.send_nowait(1)
            await pause(i % 5)
            assert await look() in {0, 1}
            await moved.receive()
            assert len(a.drain() + b.drain()) < 2
            await go_on.send(None)


async def pause(turns: int) -> None:
    """Let others run, so many times."""
    for _ in range(turns):
        await checkpoint()


async def test_a_receive_on_each_side_of_a_chain_of_channels() -> None:
    """What a select receives may be the channel to go on with."""
    start: Channel[Any] = Channel(1)

    async def lay() -> None:
        ch = start
        for _ in range(100):
            following: Channel[Any] = Channel(1)
            await select(send(ch, following))
            ch = following
        ch.close()

    async with Group() as g:
        g.go(lay)
        hops, ch = 0, start
        while (value := (await select(recv(ch))).value) is not CLOSED:
            hops, ch = hops + 1, value
    assert hops == 100
