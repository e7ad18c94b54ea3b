"""Small programs around one select.

From Go's test/chan: select.go, select4.go, select6.go, select7.go, sendstmt.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from csp import Channel, Group, recv, select, send
from tests.semantics.go.words import parked, select_default

pytestmark = pytest.mark.anyio


async def test_operands_of_all_cases_are_evaluated() -> None:
    """Each round evaluates every item to send, that for a nil channel too."""
    calls = 0
    shift = 0

    def value() -> int:
        nonlocal calls
        calls += 1
        return 1 << shift

    def send_to_both(a: Channel[int] | None, b: Channel[int] | None) -> int:
        nonlocal shift
        sent = 0
        while selected := select_default(send(a, value()), send(b, value())):
            sent += 1
            if selected.which == 0:
                a = None
            else:
                b = None
            shift += 1
        return sent

    a, b = Channel[int](1), Channel[int](1)
    assert send_to_both(a, b) == 2
    assert await a.receive() | await b.receive() == 0b11
    assert send_to_both(a, None) == 1
    assert calls == 10
    a.drain()


async def test_only_the_chosen_branch_runs() -> None:
    """With one channel ready and one not, the other's branch is not entered."""
    ready, quiet = Channel[int](1), Channel[int]()
    await ready.send(42)
    match await select(quiet=recv(quiet), ready=recv(ready)):
        case "ready", item:
            assert item == 42
        case other:
            pytest.fail(f"selected {other}")


async def test_a_loser_leaves_the_queue_whole_behind_it() -> None:
    """A waiter that gives up its place in a queue breaks no other's (go#2075)."""
    c1, c2, c3 = Channel[bool](), Channel[bool](), Channel[bool]()

    async def second() -> None:
        which, _ = await select(recv(c1), recv(c2))
        assert which == 1
        await c3.send(True)
        await c1.receive()

    async with Group() as g:
        first = g.go(c1.receive)
        await parked()
        g.go(second)
        await parked()
        g.go(c2.send, True)
        await c3.receive()
        await c1.send(True)
        await c1.send(True)
        assert await first


SENDS: list[Callable[[Channel[int]], Awaitable[object]]] = [
    lambda ch: ch.send(42),
    lambda ch: send(ch, 42),
    lambda ch: select(send(ch, 42)),
    lambda ch: select(send(ch, 42), recv(Channel[int]())),
]
RECEIVES: list[Callable[[Channel[int]], Awaitable[object]]] = [
    lambda ch: ch.receive(),
    recv,
    lambda ch: select(recv(ch)),
    lambda ch: select(recv(ch), recv(Channel[int]())),
]


@pytest.mark.parametrize("first", ["receiver", "sender"])
async def test_all_kinds_of_sends_meet_all_kinds_of_receives(first: str) -> None:
    """Whichever side waits for the other, every pair completes."""
    pairs = [(sender, receiver) for sender in SENDS for receiver in RECEIVES]
    if first == "receiver":
        pairs = [(receiver, sender) for sender, receiver in pairs]
    channels = [Channel[int]() for _ in pairs]
    async with Group() as g:
        for ch, (waits, _) in zip(channels, pairs, strict=True):
            g.go(waits, ch)
        await parked()
        for ch, (_, comes) in zip(channels, pairs, strict=True):
            g.go(comes, ch)
    for ch in channels:
        statistics = ch.statistics()
        assert (statistics.sent, statistics.received) == (1, 1)


async def test_an_item_can_be_sent_where_another_channel_says() -> None:
    """The channel of a send may itself be received, also in a select with default."""
    channels: Channel[Channel[int]] = Channel(1)
    target: Channel[int] = Channel(1)
    await channels.send(target)
    await (await channels.receive()).send(2)
    assert await target.receive() == 2
    await channels.send(target)
    assert select_default(send(await channels.receive(), 3)) == (0, None)
    assert await target.receive() == 3
    assert len(channels) == 0
