"""Every way to use a closed channel: Go's test/closedchan.go.

Go does it by plain operations, by selects of one case, and by selects of two of which
one is never ready; on a closed channel that is empty, and on one that holds an item;
and with each kind of receive as the first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from csp import (
    CLOSED,
    Channel,
    ChannelClosed,
    EndOfChannel,
    Group,
    recv,
    select,
    send,
)
from tests.semantics.go.words import closed, parked, select_default

pytestmark = pytest.mark.anyio

Receive: TypeAlias = Callable[[Channel[Any]], Awaitable[object]]
Send: TypeAlias = Callable[[Channel[Any], Any], Awaitable[object]]


async def receive(ch: Channel[Any]) -> object:
    """Receive; the end is CLOSED."""
    try:
        return await ch.receive()
    except EndOfChannel:
        return CLOSED


async def receive_nowait(ch: Channel[Any]) -> object:
    """Receive without waiting; the end is CLOSED."""
    try:
        return ch.receive_nowait()
    except EndOfChannel:
        return CLOSED


async def iterate(ch: Channel[Any]) -> object:
    """Go one round of a loop over the channel; the end is CLOSED."""
    return await anext(ch, CLOSED)


async def send_nowait(ch: Channel[Any], item: Any) -> None:
    """Send without waiting."""
    ch.send_nowait(item)


def receives_by_select(width: int) -> list[Receive]:
    """Make selects that receive, of so many cases, without and with a default."""

    async def wait(ch: Channel[Any]) -> object:
        others = [recv(Channel[int]()) for _ in range(width - 1)]
        return (await select(*others, recv(ch))).value

    async def or_default(ch: Channel[Any]) -> object:
        others = [recv(Channel[int]()) for _ in range(width - 1)]
        selected = select_default(*others, recv(ch))
        assert selected, "took default"
        return selected.value

    return [wait, or_default]


def sends_by_select(width: int) -> list[Send]:
    """Make selects that send, of so many cases, without and with a default."""

    async def wait(ch: Channel[Any], item: Any) -> None:
        others = [recv(Channel[int]()) for _ in range(width - 1)]
        await select(*others, send(ch, item))

    async def or_default(ch: Channel[Any], item: Any) -> None:
        others = [recv(Channel[int]()) for _ in range(width - 1)]
        select_default(*others, send(ch, item))

    return [wait, or_default]


WAYS: dict[str, tuple[list[Receive], list[Send]]] = {
    "plain": (
        [receive, recv, receive_nowait, iterate],
        [Channel.send, send, send_nowait],
    ),
    "select": (receives_by_select(1), sends_by_select(1)),
    "select of two": (receives_by_select(2), sends_by_select(2)),
}


@pytest.mark.parametrize(
    ("receives", "sends", "first"),
    [
        pytest.param(receives, sends, first, id=f"{way}-{first.__name__}")
        for way, (receives, sends) in WAYS.items()
        for first in receives
    ],
)
@pytest.mark.parametrize("items", [[], [1]], ids=["empty", "holding"])
async def test_a_closed_channel_only_gives(
    receives: list[Receive], sends: list[Send], first: Receive, items: list[int]
) -> None:
    """It gives what it holds, then its end for ever; and it takes nothing."""
    ch = closed(*items)
    for item in items:
        assert await first(ch) == item
    assert await first(ch) is CLOSED
    for _ in range(3):
        assert [await way(ch) for way in receives] == [CLOSED] * len(receives)
    for attempt in sends:
        with pytest.raises(ChannelClosed):
            await attempt(ch, 2)
    assert [await way(ch) for way in receives] == [CLOSED] * len(receives)
    ch.close()  # once more is fine
    assert ch.closed


@pytest.mark.parametrize("items", [[], [1], [1, 2]])
async def test_a_closed_channel_that_was_full_has_no_room(items: list[int]) -> None:
    """However much of its buffer was free when it closed."""
    ch: Channel[int] = Channel(2)
    await ch.send_many([0, 0])
    ch.drain()
    await ch.send_many(items)
    ch.close()
    for _, sends in WAYS.values():
        for attempt in sends:
            with pytest.raises(ChannelClosed):
                await attempt(ch, 3)
    assert ch.drain() == items


async def test_senders_that_wait_outlive_a_close() -> None:
    """They panic in Go; here what they hold is received before the end."""
    ch: Channel[int] = Channel()
    async with Group() as g:
        for attempt in (Channel.send, send, sends_by_select(2)[0]):
            g.go(attempt, ch, 1)
        await parked()
        ch.close()
        assert ch.statistics().senders_waiting == 3
        assert [await recv(ch) for _ in range(4)] == [1, 1, 1, CLOSED]
