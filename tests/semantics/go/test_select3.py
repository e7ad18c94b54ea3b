"""What blocks, what does not, and what raises: the truth table of test/chan/select3.go.

All 23 rows of it; nil channels are written in both ways, as None or as an operation
of None.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from csp import CLOSED, Channel, ChannelClosed, recv, select, send
from tests.semantics.go.words import blocks, closed, scratch, select_default

pytestmark = pytest.mark.anyio

Program: TypeAlias = Callable[[], Awaitable[object]]


async def both_directions() -> object:
    """Select between sending to and receiving from one unbuffered channel."""
    ch: Channel[int] = Channel()
    return await select(send(ch, 1), recv(ch))


async def send_or_default(ch: Channel[int] | None) -> object:
    """Select between sending 7 and default."""
    return select_default(send(ch, 7))


async def receive_or_default(ch: Channel[int] | None) -> object:
    """Select between receiving and default."""
    return select_default(recv(ch))


async def default_alone() -> object:
    """Select with a default and nothing else."""
    return select_default()


async def end_ten_times() -> object:
    """Receive from a closed channel again and again."""
    ch = closed()
    return {await recv(ch) for _ in range(10)}


FOREVER: dict[str, Program] = {
    "send to nil": lambda: send(None, 7),
    "receive from nil": lambda: recv(None),
    "receive from an empty channel": lambda: Channel[int]().receive(),
    "select of nothing": select,
    "select of None": lambda: select(None),
    "select of a nil receive": lambda: select(recv(None)),
    "select of a nil send": lambda: select(send(None, 7)),
    "select of both": lambda: select(recv(None), send(None, 7)),
    "select of an empty channel": lambda: select(recv(Channel[int]())),
    "select of both directions": both_directions,
}

AT_ONCE: dict[str, tuple[Program, object]] = {
    "send into a buffer": (lambda: scratch(1).send(7), None),
    "receive from a closed channel": (end_ten_times, {CLOSED}),
    "default alone": (default_alone, None),
    "nil receive or default": (lambda: receive_or_default(None), None),
    "nil send or default": (lambda: send_or_default(None), None),
    "ready send or default": (lambda: send_or_default(scratch(1)), (0, None)),
    "ready receive or default": (lambda: receive_or_default(closed(7)), (0, 7)),
    "select of a closed channel": (lambda: select(recv(closed())), (0, CLOSED)),
    "its item": (lambda: select(recv(closed(7))), (0, 7)),
    "by name": (lambda: select(end=recv(closed())), ("end", CLOSED)),
}

RAISING: dict[str, Program] = {
    "send to a closed channel": lambda: closed().send(7),
    "select of that": lambda: select(send(closed(), 7)),
    "that or default": lambda: send_or_default(closed()),
}


@pytest.mark.parametrize("fn", FOREVER.values(), ids=FOREVER)
async def test_what_blocks_for_ever(fn: Program) -> None:
    """Nothing can ever make these go on."""
    assert await blocks(fn)


@pytest.mark.parametrize(("fn", "value"), AT_ONCE.values(), ids=AT_ONCE)
async def test_what_does_not_block(fn: Program, value: object) -> None:
    """These go on by themselves, with this value."""
    assert not await blocks(fn)
    assert await fn() == value


@pytest.mark.parametrize("fn", RAISING.values(), ids=RAISING)
async def test_what_raises(fn: Program) -> None:
    """A send to a closed channel raises, and returns the item."""
    with pytest.raises(ChannelClosed) as caught:
        await fn()
    assert caught.value.item == 7
