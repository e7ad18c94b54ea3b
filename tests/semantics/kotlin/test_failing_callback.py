"""A callback for undelivered items that raises: to whom, and what is true then.

After Kotlin's ChannelUndeliveredElementFailureTest.  What is thrown to a global
handler there comes out of the call that caused it here; where nobody called, as in a
garbage collection, it goes to `sys.unraisablehook`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import (
    Channel,
    ChannelBroken,
    Group,
    recv,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio


class CallbackError(Exception):
    """What the callback raises."""


def fail(item: object) -> None:
    """Be a callback that always raises."""
    raise CallbackError(item)


async def soon(value: object) -> object:
    """Make an awaitable of what has happened already."""
    return value


SENDS: dict[str, Callable[[Channel[Any], object], Awaitable[object]]] = {
    "send": Channel.send,
    "send_nowait": lambda ch, item: soon(ch.send_nowait(item)),
    "send_many": lambda ch, item: ch.send_many([item]),
    "operation": lambda ch, item: perform(send(ch, item)),
    "select": lambda ch, item: select(send(ch, item)),
    "select_nowait": lambda ch, item: soon(select_nowait(send(ch, item))),
}

RECEIVES: dict[str, Callable[[Channel[Any]], Awaitable[object]]] = {
    "receive": Channel.receive,
    "receive_many": lambda ch: first(ch.receive_many(1)),
    "async for": anext,
    "operation": lambda ch: perform(recv(ch)),
    "select": lambda ch: value_of(select(recv(ch))),
}


async def perform(op: Any) -> object:
    """Wait for an operation."""
    return await op


async def first(items: Awaitable[list[Any]]) -> object:
    """Return the only item of a batch."""
    (item,) = await items
    return item


async def value_of(selected: Awaitable[Any]) -> object:
    """Return the value that a select chose."""
    return (await selected).value


@pytest.mark.parametrize(
    ("overflow", "dropped", "kept"),
    [("drop_oldest", 1, 2), ("drop_newest", 2, 1)],
)
@pytest.mark.parametrize("put", SENDS)
async def test_it_comes_out_of_the_send_that_overflows(
    put: str,
    overflow: Literal["drop_oldest", "drop_newest"],
    dropped: int,
    kept: int,
) -> None:
    """The new item has been accepted all the same, and the channel goes on."""
    ch: Channel[int] = Channel(1, overflow=overflow, on_undelivered=fail)
    ch.send_nowait(1)
    with pytest.raises(CallbackError, match=str(dropped)):
        await SENDS[put](ch, 2)
    assert await ch.receive() == kept
    assert ch.statistics().undelivered == 1
    ch.send_nowait(3)
    assert await ch.receive() == 3


async def test_a_batch_knows_how_far_it_came() -> None:
    """What is left in the deque was not sent, although the callback stopped it."""
    ch: Channel[int] = Channel(2, overflow="drop_oldest", on_undelivered=fail)
    pending = deque(range(5))
    with pytest.raises(CallbackError, match="0"):
        await ch.send_many(pending)
    assert [*pending] == [3, 4]
    assert ch.drain() == [1, 2]


async def test_it_comes_out_of_the_close_that_breaks_the_channel() -> None:
    """The only error as it is; the channel is broken, and closing again is quiet."""
    ch: Channel[int] = Channel(1, on_undelivered=fail)
    rx = ch.receiver()
    ch.send_nowait(1)
    with pytest.raises(CallbackError, match="1"):
        rx.close()
    rx.close()
    assert (rx.closed, len(ch)) == (True, 0)
    with pytest.raises(ChannelBroken):
        ch.send_nowait(2)


async def test_all_errors_of_a_break_come_out_together() -> None:
    """One for each item, after all of them were handed over."""
    ch: Channel[int] = Channel(math.inf, on_undelivered=fail)
    await ch.send_many(range(3))
    with pytest.raises(ExceptionGroup) as raised:
        ch.receiver().close()
    assert [error.args for error in raised.value.exceptions] == [(0,), (1,), (2,)]
    assert all(type(error) is CallbackError for error in raised.value.exceptions)


async def test_parked_senders_are_woken_although_it_raises() -> None:
    """The state is settled before the callback is called."""
    ch: Channel[int] = Channel(1, on_undelivered=fail)
    back: list[int] = []

    async def produce() -> None:
        try:
            await ch.send(2)
        except ChannelBroken as broken:
            back.append(broken.item)

    async with Group() as g:
        rx = ch.receiver()
        ch.send_nowait(1)
        g.go(produce)
        g.go(ch.wait_empty)
        await parked()
        with pytest.raises(CallbackError, match="1"):
            rx.close()
    assert back == [2]


@pytest.mark.parametrize("take", RECEIVES)
async def test_it_is_not_called_for_what_a_cancelled_receiver_has_got(
    take: str,
) -> None:
    """The item was handed over before the cancellation: so it was received."""
    ch: Channel[int] = Channel(on_undelivered=fail)
    received = []

    async def consume() -> None:
        received.append(await RECEIVES[take](ch))

    async with Group() as g:
        consumer = g.go(consume)
        await parked()
        ch.send_nowait(1)
        consumer.cancel()
    assert received == [1]


@pytest.mark.parametrize("put", ["send", "send_many", "operation", "select"])
async def test_it_is_not_called_for_what_a_cancelled_sender_has_sent(put: str) -> None:
    """The item was taken before the cancellation: so it was sent."""
    ch: Channel[int] = Channel(on_undelivered=fail)
    sent = []

    async def produce() -> None:
        await SENDS[put](ch, 1)
        sent.append(1)

    async with Group() as g:
        producer = g.go(produce)
        await parked()
        assert ch.receive_nowait() == 1
        producer.cancel()
    assert sent == [1]


@pytest.mark.parametrize("put", SENDS)
async def test_it_is_not_called_for_an_item_that_is_refused(put: str) -> None:
    """A failed send raises its own error, and that alone."""
    ch: Channel[int] = Channel(1, on_undelivered=fail)
    ch.receiver().close()
    with pytest.raises(ChannelBroken) as broken:
        await SENDS[put](ch, 1)
    assert broken.value.__context__ is None


async def test_in_a_garbage_collection_it_goes_to_the_hook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For all items at once, as nobody called."""
    raised: list[BaseException | None] = []
    monkeypatch.setattr("sys.unraisablehook", lambda u: raised.append(u.exc_value))
    ch: Channel[int] = Channel(2, on_undelivered=fail)
    await ch.send_many(range(2))
    del ch
    (group,) = raised
    assert isinstance(group, ExceptionGroup)
    assert [error.args for error in group.exceptions] == [(0,), (1,)]


async def test_it_may_use_the_channel() -> None:
    """A dropped item sent anew drops the next; the ledger still balances."""
    undelivered: list[int] = []

    def once_more(item: int) -> None:
        undelivered.append(item)
        if len(undelivered) < 3:
            ch.send_nowait(item)

    ch: Channel[int] = Channel(2, overflow="drop_oldest", on_undelivered=once_more)
    await ch.send_many([1, 2, 3])
    assert undelivered == [1, 2, 3]
    assert ch.drain() == [1, 2]
    figures = ch.statistics()
    assert (figures.sent, figures.received, figures.undelivered) == (5, 2, 3)
