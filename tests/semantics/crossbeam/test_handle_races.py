"""Senders and receivers that come and go while others work.

After crossbeam-channel's mpsc.rs: its `stress`, `gone_concurrent`, `upgrade` and
`shared` families.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
import pytest

from csp import (
    CLOSED,
    Channel,
    ChannelBroken,
    Closed,
    Group,
    Operation,
    Receiver,
    Sender,
    after,
    go,
    recv,
    select,
)

pytestmark = pytest.mark.anyio

Scale = Callable[[int, int], int]

each_flavor = pytest.mark.parametrize("capacity", [0, 1, math.inf])


def ends(capacity: float) -> tuple[Sender[int], Receiver[int]]:
    """Open a channel by its handles."""
    ch: Channel[int] = Channel(capacity, on_undelivered=lambda item: None)
    return ch.sender(), ch.receiver()


async def perform(op: Operation[object]) -> object:
    """Wait for `op`, as a task of its own."""
    return await op


@each_flavor
async def test_a_sender_notices_in_the_end_that_its_receiver_has_gone(
    capacity: float,
) -> None:
    """Even if it never waits."""
    tx, rx = ends(capacity)

    async def receive_one() -> None:
        with rx:
            await rx.receive()

    async def send_for_ever() -> None:
        with tx:
            while True:
                await tx.send(1)

    async with Group() as g:
        g.go(receive_one)
        with pytest.raises(ChannelBroken):
            await send_for_ever()


@each_flavor
async def test_a_send_and_the_receivers_end_at_once(
    capacity: float, scale: Scale
) -> None:
    """Either the item is given up, and reported, or the send failed with it."""
    undelivered: list[int] = []
    failed: list[int] = []
    runs = scale(100, 10_000)

    async def send_one(tx: Sender[int], item: int) -> None:
        with tx:
            try:
                await tx.send(item)
            except ChannelBroken as broken:
                failed.append(broken.item)

    for run in range(runs):
        ch: Channel[int] = Channel(capacity, on_undelivered=undelivered.append)
        async with Group() as g:
            g.go(send_one, ch.sender(), run)
            g.go(ch.receiver().aclose)
    assert sorted(undelivered + failed) == list(range(runs))
    assert undelivered or capacity == 0


@each_flavor
async def test_a_receive_and_the_senders_end_at_once(
    capacity: float, scale: Scale
) -> None:
    """Whichever comes first, it is the end."""
    for _ in range(scale(100, 10_000)):
        tx, rx = ends(capacity)
        with rx:
            async with Group() as g:
                got = g.go(perform, recv(rx))
                g.go(tx.aclose)
            assert await got is CLOSED


@each_flavor
async def test_a_sender_is_handed_on_from_task_to_task(capacity: float) -> None:
    """Each sends one item, and starts the next."""
    tx, rx = ends(capacity)

    async def produce(item: int) -> None:
        if item == 50:
            tx.close()
            return
        await tx.send(item)
        go(produce, item + 1)

    async with Group() as g:
        g.go(produce, 0)
        with rx:
            assert [item async for item in rx] == list(range(50))


@each_flavor
async def test_tasks_at_both_ends_go_as_they_come(
    capacity: float, scale: Scale
) -> None:
    """A thousand senders of one item each, and one receiver for all."""
    count = scale(200, 1_000)
    tx, rx = ends(capacity)

    async def produce(tx: Sender[int], item: int) -> None:
        with tx:
            await tx.send(item)

    async with Group() as g:
        with tx:
            for item in range(count):
                g.go(produce, tx.clone(), item)
        with rx:
            assert sorted([item async for item in rx]) == list(range(count))


@each_flavor
@pytest.mark.clock
async def test_a_timeout_runs_on_while_senders_are_cloned(capacity: float) -> None:
    """A clone that comes and goes is no event for who waits to receive."""
    tx, rx = ends(capacity)

    async def clone() -> None:
        for _ in range(5):
            await anyio.sleep(0.1)
            tx.clone().close()

    with tx, rx:
        async with Group() as g:
            g.go(clone)
            with pytest.raises(TimeoutError), anyio.fail_after(1):
                await rx.receive()
    assert anyio.current_time() == 1


@each_flavor
@pytest.mark.clock
async def test_a_receiver_with_timeouts_gets_what_comes_slowly(capacity: float) -> None:
    """A sender each ten milliseconds, a timeout each three: no item is missed."""
    tx, rx = ends(capacity)

    async def produce(tx: Sender[int], item: int) -> None:
        with tx:
            await anyio.sleep(item / 100)
            await tx.send(item)

    received, late = [], 0
    async with Group() as g:
        with tx:
            for item in range(20):
                g.go(produce, tx.clone(), item)
        with rx:
            while True:
                match await select(recv(rx), late=after(0.003)):
                    case "late", _:
                        late += 1
                    case _, Closed():
                        break
                    case _, item:
                        received.append(item)
    assert received == list(range(20))
    assert late > 19


async def test_an_answer_may_be_sent_before_the_question_returns() -> None:
    """Two channels of the same capacity, and no send that waits."""
    for _ in range(100):
        ask, asked = ends(3)
        answer, answered = ends(3)

        async def reply(asked: Receiver[int], answer: Sender[int]) -> None:
            answer.send_nowait(await asked.receive() + 1)

        with ask, asked, answer, answered:
            async with Group() as g:
                g.go(reply, asked, answer)
                ask.send_nowait(1)
                assert await answered.receive() == 2
