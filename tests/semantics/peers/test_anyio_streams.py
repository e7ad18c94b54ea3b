"""Handles in the place of anyio's memory object streams.

After anyio's test_memory.py.  Left out are a send and a receive in a scope that is
cancelled already: here an operation that need not wait does not look.
"""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from anyio.streams.stapled import StapledObjectStream

from csp import (
    CLOSED,
    Channel,
    ChannelBroken,
    ChannelClosed,
    Group,
    Receiver,
    Sender,
    recv,
)

pytestmark = pytest.mark.anyio


def open_stream(capacity: float = 0) -> tuple[Sender[str], Receiver[str]]:
    """Make both ends of a channel, as anyio's function does."""
    ch: Channel[str] = Channel(capacity)
    return ch.sender(), ch.receiver()


async def test_a_receive_that_waits_gets_what_is_sent() -> None:
    """First come, first served."""
    tx, rx = open_stream()
    with tx, rx:
        async with Group() as g:
            first = g.go(rx.receive)
            await parked()
            second = g.go(rx.receive)
            await parked()
            await tx.send("hello")
            await tx.send("anyio")
    assert [await first, await second] == ["hello", "anyio"]


async def test_a_send_that_waits_is_ended_by_a_receive() -> None:
    """By one that does not wait, too."""
    tx, rx = open_stream()
    with tx, rx:
        async with Group() as g:
            sent = g.go(tx.send, "hello")
            await parked()
            assert not sent.finished
            assert rx.receive_nowait() == "hello"
        assert sent.finished


async def test_errors_are_those_that_users_of_anyio_catch() -> None:
    """Also the one that says: not now."""
    tx, rx = open_stream()
    with tx, rx:
        with pytest.raises(anyio.WouldBlock):
            tx.send_nowait("a")
        with pytest.raises(anyio.WouldBlock):
            rx.receive_nowait()
        other = tx.clone()
        other.close()
        with pytest.raises(anyio.ClosedResourceError):
            await other.send("a")
        tx.close()
        with pytest.raises(anyio.EndOfStream):
            await rx.receive()
    tx, rx = open_stream()
    rx.close()
    with tx, pytest.raises(anyio.BrokenResourceError):
        await tx.send("a")
    with pytest.raises(anyio.ClosedResourceError):
        await rx.receive()


async def test_handles_go_wherever_anyios_streams_go() -> None:
    """As the halves of a stapled stream, for one."""
    tx, rx = open_stream(1)
    assert isinstance(tx, ObjectSendStream)
    assert isinstance(rx, ObjectReceiveStream)
    async with StapledObjectStream(tx, rx) as stream:
        await stream.send("item")
        assert await stream.receive() == "item"
        await stream.send_eof()
        assert [item async for item in stream] == []
    assert (tx.closed, rx.closed) == (True, True)


async def test_a_closed_handle_cannot_be_cloned() -> None:
    """Of either kind."""
    tx, rx = open_stream()
    for handle in (tx, rx):
        handle.close()
        with pytest.raises(ChannelClosed):
            handle.clone()


async def test_what_was_sent_before_the_end_is_received() -> None:
    """Though its sender has closed."""
    tx, rx = open_stream(2)
    with rx:
        with tx:
            await tx.send("1")
            await tx.send("2")
        assert [item async for item in rx] == ["1", "2"]


async def test_a_receiver_that_closes_wakes_a_parked_sender() -> None:
    """With the item that it could not send."""
    tx, rx = open_stream()

    async def put() -> str:
        with pytest.raises(ChannelBroken) as broken:
            await tx.send("mine")
        return broken.value.item  # type: ignore[no-any-return]

    async with Group() as g:
        with tx, rx:
            item = g.go(put)
            await parked()
            rx.close()
            assert await item == "mine"


async def test_a_sender_that_closes_wakes_a_parked_receiver() -> None:
    """With the end."""
    tx, rx = open_stream()

    async def take() -> object:
        return await recv(rx)

    async with Group() as g:
        with tx, rx:
            taken = g.go(take)
            await parked()
            tx.close()
            assert await taken is CLOSED


async def test_a_cancelled_receive_takes_nothing() -> None:
    """What is sent afterwards is for the next, or has nobody."""
    tx, rx = open_stream()
    with tx, rx:
        async with Group() as g:
            g.go(rx.receive)
            await parked()
            g.cancel()
        with pytest.raises(anyio.WouldBlock):
            tx.send_nowait("a")


async def test_a_cancelled_send_sends_nothing() -> None:
    """There is nothing to receive afterwards."""
    tx, rx = open_stream()
    with tx, rx:
        async with Group() as g:
            g.go(tx.send, "hello")
            await parked()
            g.cancel()
        with pytest.raises(anyio.WouldBlock):
            rx.receive_nowait()


@pytest.mark.parametrize("capacity", [0, 1])
@pytest.mark.parametrize("first", ["send", "cancel"])
async def test_of_an_item_and_a_cancellation_the_first_counts(
    capacity: int, first: str
) -> None:
    """In one turn of the loop: the receiver has the item, or it is still there."""
    tx, rx = open_stream(capacity + (first == "cancel"))
    received: list[str] = []

    async def take() -> None:
        received.append(await rx.receive())

    with tx, rx:
        async with Group() as g:
            taking = g.go(take)
            await parked()
            if first == "send":
                tx.send_nowait("hello")
                taking.cancel()
            else:
                taking.cancel()
                tx.send_nowait("hello")
        assert received == ["hello"] if first == "send" else received == []
        assert len(rx) == (first == "cancel")
        rx.drain()


async def test_an_item_does_not_go_to_a_receiver_that_is_cancelled() -> None:
    """But to the next one in the queue, although both still wait."""
    tx, rx = open_stream()
    received: list[tuple[int, str]] = []

    async def take(me: int) -> None:
        received.append((me, await rx.receive()))

    with tx, rx:
        async with Group() as g:
            takers = []
            for me in range(2):
                takers.append(g.go(take, me))
                await parked()
            takers[0].cancel()
            tx.send_nowait("hello")
        assert received == [(1, "hello")]


async def test_an_end_that_is_closed_late_gives_up_the_rest() -> None:
    """The buffer stays to be drained, as there is nobody to report it to."""
    ch: Channel[str] = Channel(1)
    tx, rx = ch.sender(), ch.receiver()
    await tx.send("hello")
    rx.close()
    with tx, pytest.raises(ChannelBroken):
        await tx.send("world")
    assert ch.drain() == ["hello"]


@pytest.mark.parametrize("kind", ["sender", "receiver"])
async def test_an_unclosed_handle_that_is_forgotten_is_a_warning(kind: str) -> None:
    """It names the channel, and goes on counting as open."""
    ch: Channel[str] = Channel(name="jobs")
    handle = ch.sender() if kind == "sender" else ch.receiver()
    with pytest.warns(ResourceWarning, match="'jobs'.* was not closed"):
        del handle
    figures = ch.statistics()
    assert figures.open_senders + figures.open_receivers == 1
    assert not ch.closed


@pytest.mark.parametrize("how", ["close", "aclose", "with", "async with"])
async def test_a_handle_can_be_closed_in_four_ways(how: str) -> None:
    """And more than once."""
    tx, rx = open_stream()
    for handle in (tx, rx):
        match how:
            case "close":
                handle.close()
            case "aclose":
                await handle.aclose()
            case "with":
                with handle as same:
                    assert same is handle
            case _:
                async with handle as same:
                    assert same is handle
        assert handle.closed
        handle.close()
