"""What has happened once a channel operation has: the NoRace programs of Go's
runtime/race/testdata/chan_test.go and select_test.go.

Go's race detector finds there that memory is never touched by two goroutines in no
order.  Here tasks note what they do, with pauses of random length between any two
steps, and the notes have to be in the order that the channel promises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any, TypeAlias

import pytest

from csp import Channel, EndOfChannel, Group, recv, select, send
from tests.semantics.go.words import Scale, gosched, parked, program

pytestmark = pytest.mark.anyio

Act: TypeAlias = Callable[[Channel[Any]], Awaitable[object]]


class Pauses:
    """Pauses of random length, the same in each run of the tests."""

    def __init__(self) -> None:
        self.random = Random(1)

    async def __call__(self) -> None:
        for _ in range(self.random.randrange(4)):
            await gosched()


async def close(ch: Channel[Any]) -> None:
    """Signal by closing."""
    ch.close()


async def receive(ch: Channel[Any]) -> None:
    """Wait for an item or the end."""
    with suppress(EndOfChannel):
        await ch.receive()


SIGNALS: dict[str, Act] = {
    "send": lambda ch: ch.send(0),
    "select send": lambda ch: select(send(ch, 0), send(Channel[int](), 0)),
    "close": close,
}
WAITS: dict[str, Act] = {
    "receive": receive,
    "recv": recv,
    "for": lambda ch: anext(ch, None),
    "select recv": lambda ch: select(recv(ch), recv(Channel[int]())),
}


@pytest.mark.parametrize("capacity", [0, 10])
@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
async def test_what_precedes_a_signal_precedes_what_follows_the_wait(
    capacity: int, signal: Act, wait: Act, scale: Scale
) -> None:
    """A send or close comes before the end of the receive that it answers.

    ChanSync, ChanAsync, Chan(A)SyncCloseRecv 1 to 3, Select1 to 3, Select5.
    """
    pause = Pauses()

    async def signaller(ch: Channel[int], notes: list[str]) -> None:
        await pause()
        notes.append("before")
        await signal(ch)

    for _ in range(scale(10, 1000)):
        ch: Channel[int] = Channel(capacity)
        notes: list[str] = []
        async with Group() as g:
            g.go(signaller, ch, notes)
            await pause()
            await wait(ch)
            notes.append("after")
        assert notes == ["before", "after"]


@pytest.mark.parametrize("capacity", [0, 1, 10])
async def test_a_receive_precedes_the_end_of_the_send_that_needs_its_room(
    capacity: int, scale: Scale
) -> None:
    """The n-th receive comes before the end of the (n + capacity)-th send.

    ChanSyncRev, and its generalisation in Go's memory model.
    """
    pause = Pauses()

    async def sender(ch: Channel[int], notes: list[str]) -> None:
        for i in range(capacity + 1):
            await pause()
            await ch.send(i)
        notes.append("after")

    for _ in range(scale(10, 1000)):
        ch: Channel[int] = Channel(capacity)
        notes: list[str] = []
        async with Group() as g:
            g.go(sender, ch, notes)
            await pause()
            notes.append("before")
            await ch.receive()
        assert notes == ["before", "after"]
        ch.drain()


LOCKS: dict[str, tuple[Act, Act]] = {
    "plain": (lambda ch: ch.send(None), lambda ch: ch.receive()),
    "select": (
        lambda ch: select(send(ch, None), recv(Channel[int]())),
        lambda ch: select(recv(ch), recv(Channel[int]())),
    ),
}


@pytest.mark.parametrize(("lock", "unlock"), LOCKS.values(), ids=LOCKS)
async def test_a_buffer_of_one_is_a_lock(lock: Act, unlock: Act, scale: Scale) -> None:
    """Who has put the one item in is alone until it is out.  ChanMutex, SelectMutex."""
    pause = Pauses()
    mutex: Channel[None] = Channel(1)
    inside: list[int] = []

    async def critical(me: int) -> None:
        for _ in range(scale(20, 1000)):
            await lock(mutex)
            inside.append(me)
            await pause()
            assert inside == [me]
            inside.remove(me)
            await unlock(mutex)

    async with Group() as g:
        for me in range(4):
            g.go(critical, me)
    assert len(mutex) == 0


async def test_a_full_buffer_means_that_all_have_finished(scale: Scale) -> None:
    """Each task takes an item when done, so room for all says that.  ChanWaitGroup."""
    pause = Pauses()

    async def work(i: int, data: list[int], running: Channel[None]) -> None:
        await pause()
        data[i] = 42
        await running.receive()

    for _ in range(scale(10, 1000)):
        running: Channel[None] = Channel(5)
        data = [0] * 10
        async with Group() as g:
            for i in range(len(data)):
                await running.send(None)
                g.go(work, i, data, running)
            for _ in range(5):
                await running.send(None)
            assert data == [42] * 10
        running.drain()


@pytest.mark.parametrize(
    ("give", "take"),
    [
        (Channel.send, Channel.receive),
        (
            lambda ch, item: select(send(ch, item), recv(Channel[int]())),
            lambda ch: select(recv(ch), recv(Channel[int]())),
        ),
    ],
    ids=["plain", "select"],
)
async def test_a_server_has_done_what_it_says_it_has(
    give: Callable[[Channel[Any], Any], Awaitable[object]],
    take: Callable[[Channel[Any]], Awaitable[object]],
    scale: Scale,
) -> None:
    """A task that runs functions for others.  ProducerConsumerUnbuffered, Select4."""
    pause = Pauses()
    queue: Channel[tuple[Callable[[int], None], int, Channel[bool]]] = Channel()

    async def server() -> None:
        async for fn, argument, done in queue:
            await pause()
            fn(argument)
            await done.send(True)

    results: list[int] = []
    async with program() as g:
        g.go(server)
        for i in range(scale(20, 1000)):
            done: Channel[bool] = Channel(1)
            await give(queue, (results.append, i, done))
            await take(done)
            assert results[-1] == i


@pytest.mark.parametrize(
    "take", [WAITS["recv"], WAITS["select recv"]], ids=["plain", "select"]
)
async def test_a_sender_that_waited_hands_its_own_item_over(take: Act) -> None:
    """The very object, which is then the receiver's.

    ChanPtr, BlockedSendSync, BlockedSelectSendSync.
    """
    ch: Channel[list[int]] = Channel(1)
    await ch.send([])
    item = [42]
    async with Group() as g:
        g.go(ch.send, item)
        await parked()
        assert await ch.receive() == []
        received = await take(ch)
        received = received[1] if isinstance(received, tuple) else received
        assert received is item


@pytest.mark.parametrize("capacity", [0, 10])
async def test_what_is_sent_is_what_it_was_before(capacity: int, scale: Scale) -> None:
    """A send has its item before the receiver overwrites the variable.

    ChanReadWriteAsync, SelectReadWriteAsync.
    """
    pause = Pauses()
    x = 0
    ch: Channel[int] = Channel(capacity)
    never: Channel[int] = Channel()

    async def sender() -> None:
        await pause()
        await select(send(ch, x), send(never, -1))

    for i in range(scale(10, 1000)):
        x = i
        async with Group() as g:
            g.go(sender)
            await pause()
            _, received = await select(recv(ch), send(never, -1))
            x = -1
        assert received == i
