"""Anything is an item: a channel never looks into what it carries."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn

import anyio
import pytest
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    NOT_READY,
    Channel,
    ChannelBroken,
    EndOfChannel,
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


class Touchy:
    """Wants to be carried, and not to be asked anything."""

    def refuse(self, *_: object) -> NoReturn:
        raise AssertionError("a channel looked into its item")

    __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __repr__ = refuse  # type: ignore[assignment]
    __call__ = __await__ = __getattr__ = refuse


def dead_proxy() -> object:
    """Return what raises ReferenceError, even if asked for its class."""
    referent = type("Referent", (), {})()
    proxy = weakref.proxy(referent)
    del referent
    return proxy


ITEMS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "False": lambda: False,
    "touchy": Touchy,
    "dead proxy": dead_proxy,
    "CLOSED": lambda: CLOSED,
    "channel": Channel,
    "operation": lambda: recv(None),
    "exception": ValueError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "CancelledError": asyncio.CancelledError,
    "EndOfChannel": EndOfChannel,
    "exception class": lambda: KeyboardInterrupt,
    "set of one": lambda: {1},
}


async def perform(op: Operation[Any]) -> Any:
    return await op


async def choose(ch: Channel[Any]) -> Any:
    _, value = await select(recv(ch), recv(None), after(3600))
    return value


async def first_of_many(ch: Channel[Any]) -> Any:
    (item,) = await ch.receive_many(2)
    return item


async def first_of_loop(ch: Channel[Any]) -> Any:
    return await anext(aiter(ch))


async def poll(take: Callable[[], Any]) -> Any:
    for _ in range(100):
        try:
            return take()
        except WouldBlock:
            await checkpoint()
    raise TimeoutError


async def drain(ch: Channel[Any]) -> Any:
    while not (items := ch.drain()):
        await checkpoint()
    return items[0]


RECEIVES: list[Callable[[Channel[Any]], Awaitable[Any]]] = [
    lambda ch: ch.receive(),
    lambda ch: perform(recv(ch)),
    choose,
    first_of_many,
    first_of_loop,
    lambda ch: poll(ch.receive_nowait),
    lambda ch: poll(lambda: select_nowait(recv(ch)).value),
    drain,
]
SENDS: list[Callable[[Channel[Any], Any], Awaitable[Any]]] = [
    lambda ch, item: ch.send(item),
    lambda ch, item: ch.send_many((item,)),
    lambda ch, item: perform(send(ch, item)),
    lambda ch, item: select(send(ch, item), recv(None)),
]


@pytest.mark.parametrize("make", ITEMS.values(), ids=ITEMS)
@pytest.mark.parametrize("capacity", [0, 1])
async def test_anything_is_an_item(make: Callable[[], Any], capacity: int) -> None:
    """It comes out by every verb, whichever side is first, and is the very same."""
    item = make()
    for give in SENDS:
        for take in RECEIVES:
            for first in (give, take):
                ch: Channel[Any] = Channel(capacity)
                async with Group() as g:
                    if first is give:
                        g.go(give, ch, item)
                        await checkpoint()
                        assert await take(ch) is item
                    else:
                        taken = g.go(take, ch)
                        await checkpoint()
                        await give(ch, item)
                        assert await taken is item


@pytest.mark.parametrize("make", ITEMS.values(), ids=ITEMS)
@pytest.mark.parametrize("capacity", [2, 3, 4, 9])
async def test_anything_comes_in_batches(
    make: Callable[[], Any], capacity: int
) -> None:
    """A batch is as blind to what it is made of."""
    items = [make() for _ in range(9)]
    ch: Channel[Any] = Channel(capacity)
    got: list[Any] = []
    async with Group() as g:
        g.go(ch.send_many, items)
        while len(got) < len(items):
            got += await ch.receive_many(4)
    assert [*map(id, got)] == [*map(id, items)]


@pytest.mark.parametrize("take", RECEIVES)
async def test_not_ready_is_refused_or_received(
    take: Callable[[Channel[Any]], Awaitable[Any]],
) -> None:
    """It means something to operations, but that must not make an item vanish."""
    ch: Channel[Any] = Channel(1)
    with suppress(TypeError):
        ch.send_nowait(NOT_READY)
        with anyio.fail_after(1):
            assert await take(ch) is NOT_READY


@pytest.mark.parametrize("make", ITEMS.values(), ids=ITEMS)
async def test_anything_can_be_given_back(make: Callable[[], Any]) -> None:
    """By an error, or to the callback."""
    item = make()
    told: list[Any] = []
    ch: Channel[Any] = Channel(1, overflow="drop_newest", on_undelivered=told.append)
    with ch.receiver():
        ch.send_nowait(1)
        await ch.send(item)
    assert told[0] is item
    for attempt in (lambda: ch.send(item), lambda: perform(send(ch, item))):
        with pytest.raises(ChannelBroken) as caught:
            await attempt()
        assert caught.value.item is item
