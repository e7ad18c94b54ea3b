"""What can be done at a channel in each of its states, without waiting.

From Go's test/chan/select8.go, whose select may receive from a channel, send to it or
take the default, while another task sends for ever; here with all the other states.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from csp import (
    CLOSED,
    Channel,
    ChannelClosed,
    Operation,
    WouldBlock,
    recv,
    select_nowait,
    send,
)
from tests.semantics.go.words import closed, parked, program

pytestmark = pytest.mark.anyio


async def nobody(ch: Channel[int]) -> None:
    """Leave the channel alone."""


async def sender(ch: Channel[int]) -> None:
    """Send 5 for ever."""
    while True:
        await ch.send(5)


async def receiver(ch: Channel[int]) -> None:
    """Receive for ever."""
    while True:
        await ch.receive()


def holding(capacity: int, *items: int) -> Channel[Any]:
    """Make a channel with `items` in its buffer."""
    ch: Channel[Any] = Channel(capacity)
    for item in items:
        ch.send_nowait(item)
    return ch


State: TypeAlias = tuple[
    Callable[[], Channel[Any] | None],
    Callable[[Channel[Any]], Awaitable[None]],
    object,
    object,
]

# A channel, what another task does to it, and what a receive and a send of 10 give.
STATES: dict[str, State] = {
    "nil": (lambda: None, nobody, WouldBlock, WouldBlock),
    "unbuffered": (Channel, nobody, WouldBlock, WouldBlock),
    "unbuffered, sender": (Channel, sender, 5, WouldBlock),
    "unbuffered, receiver": (Channel, receiver, WouldBlock, None),
    "empty": (lambda: holding(1), nobody, WouldBlock, None),
    "empty, receiver": (lambda: holding(1), receiver, WouldBlock, None),
    "full": (lambda: holding(1, 7), nobody, 7, WouldBlock),
    "full, sender": (lambda: holding(1, 7), sender, 7, WouldBlock),
    "half full": (lambda: holding(2, 7), nobody, 7, None),
    "closed": (closed, nobody, CLOSED, ChannelClosed),
    "closed, holding": (lambda: closed(7), nobody, 7, ChannelClosed),
}


def outcome(*operations: Operation[Any]) -> object:
    """Select among the operations and default; an error stands for itself."""
    try:
        return select_nowait(*operations).value
    except (WouldBlock, ChannelClosed) as error:
        return type(error)


@pytest.mark.parametrize(
    ("make", "other", "received", "sent"), STATES.values(), ids=STATES
)
async def test_what_is_ready(
    make: Callable[[], Channel[Any] | None],
    other: Callable[[Channel[Any] | None], Awaitable[None]],
    received: object,
    sent: object,
) -> None:
    """A select does one of the things that can be done, and else takes default."""
    channels = [make() for _ in range(3)]
    to_receive, to_send, to_do_either = channels
    async with program() as g:
        for ch in channels:
            g.go(other, ch)
        await parked()
        assert outcome(recv(to_receive)) == received
        assert outcome(send(to_send, 10)) == sent
        either = outcome(recv(to_do_either), send(to_do_either, 10))
        assert either in ({received, sent} - {WouldBlock} or {WouldBlock})
    for ch in filter(None, channels):
        ch.drain()
