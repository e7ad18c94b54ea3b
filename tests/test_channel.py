"""A channel and its handles: what they accept, show, and refuse."""

from __future__ import annotations

import copy
import gc
import math
import pickle
from collections import deque
from typing import Any

import anyio
import pytest
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from csp import (
    Channel,
    ChannelBroken,
    ChannelClosed,
    EndOfChannel,
    Group,
    WouldBlock,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("capacity", [-1, -math.inf])
def test_negative_capacity_is_refused(capacity: float) -> None:
    """There is no buffer with less than no room."""
    with pytest.raises((TypeError, ValueError), match=f"capacity.*{capacity}"):
        Channel(capacity)


@pytest.mark.parametrize("capacity", [True, False, 1.5, math.nan, "3", None])
def test_capacity_must_be_a_whole_number(capacity: Any) -> None:
    """A bool is not a count, whatever Python thinks."""
    with pytest.raises(TypeError, match=f"capacity must be a whole .* {capacity!r}"):
        Channel(capacity)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"overflow": "drop"},
            ValueError,
            "'drop_oldest' or 'drop_newest', not 'drop'",
        ),
        ({"overflow": "drop_newest"}, ValueError, "needs a capacity of 1 or more"),
        ({"on_undelivered": 3}, TypeError, "a function of one item, not 3"),
        ({"name": b"x"}, TypeError, "name must be a string, not b'x'"),
    ],
)
def test_wrong_options_are_refused(
    options: Any, error: type[Exception], words: str
) -> None:
    """Each with a sentence that has the value in it."""
    with pytest.raises(error, match=words):
        Channel(0, **options)


async def test_everything_about_a_channel_can_be_seen() -> None:
    """Its length, capacity, name, state, statistics and who waits."""
    ch: Channel[int] = Channel(2, name="jobs")
    assert (len(ch), ch.capacity, ch.name, ch.closed, bool(ch)) == (
        0, 2, "jobs", False, True,
    )  # fmt: skip
    assert repr(ch) == "<Channel 'jobs' 0/2 open>"
    async with Group() as g:
        g.go(ch.send_many, range(4))
        await anyio.wait_all_tasks_blocked()
        assert repr(ch) == "<Channel 'jobs' 2/2 open, 1 waiting to send>"
        seen = ch.statistics()
        assert (seen.length, seen.senders_waiting, seen.sent) == (2, 1, 2)
        assert ch.drain() == [0, 1, 2]
        assert await ch.receive() == 3
    seen = ch.statistics()
    assert (seen.sent, seen.received, seen.high_water) == (4, 4, 2)
    with pytest.raises(AttributeError):
        seen.sent = 5  # type: ignore[misc]
    assert "at 0x" in repr(Channel(math.inf))


async def test_high_water_is_the_most_there_ever_was() -> None:
    """Not the last, and it survives the closing."""
    ch: Channel[int] = Channel(5)
    for burst in (3, 4, 2):
        for i in range(burst):
            await ch.send(i)
        assert await ch.receive_many(9) == list(range(burst))
    ch.close()
    assert ch.statistics().high_water == 4


@pytest.mark.parametrize("act", [pickle.dumps, copy.copy, copy.deepcopy])
async def test_a_channel_cannot_be_pickled_or_copied(act: Any) -> None:
    """It says so, and is none the worse."""
    ch: Channel[int] = Channel(1, name="jobs")
    with ch.sender() as tx, ch.receiver() as rx:
        for thing in (ch, tx, rx):
            with pytest.raises(TypeError, match="channel 'jobs' cannot be pickled"):
                act(thing)
        await tx.send(1)
        assert await rx.receive() == 1


async def test_handles_are_what_anyio_takes_for_object_streams() -> None:
    """So code written for anyio's streams runs on a channel."""

    async def double(
        source: ObjectReceiveStream[int], sink: ObjectSendStream[int]
    ) -> None:
        async with source, sink:
            async for n in source:
                await sink.send(2 * n)

    numbers: Channel[int] = Channel()
    doubled: Channel[int] = Channel()
    async with Group() as g, numbers:
        g.go(double, numbers.receiver(), doubled.sender())
        for n in range(3):
            await numbers.send(n)
            assert await doubled.receive() == 2 * n
    assert doubled.closed
    assert not isinstance(numbers, (ObjectSendStream, ObjectReceiveStream))


async def test_errors_are_anyio_errors_and_carry_the_item() -> None:
    """So they are caught by the except clauses that there are."""
    ch: Channel[str] = Channel(1, name="jobs")
    ch.close()
    with pytest.raises(anyio.ClosedResourceError, match="'jobs' is closed") as closed:
        await ch.send("a")
    assert isinstance(closed.value, ChannelClosed)
    assert closed.value.item == "a"
    with pytest.raises(anyio.EndOfStream, match="'jobs' is closed and empty"):
        await ch.receive()

    ch = Channel(1, name="jobs")
    ch.receiver().close()
    with pytest.raises(anyio.BrokenResourceError, match="last receiver") as broken:
        ch.send_nowait("b")
    assert isinstance(broken.value, ChannelBroken)
    assert broken.value.item == "b"
    assert WouldBlock is anyio.WouldBlock


async def test_handles_cannot_be_had_when_they_would_be_useless() -> None:
    """No sender to a closed channel, no receiver from a broken one."""
    ch: Channel[int] = Channel(1)
    await ch.send(1)
    ch.close()
    with pytest.raises(ChannelClosed):
        ch.sender()
    with ch.receiver() as rx:  # what is in it can still be had
        assert [item async for item in rx] == [1]
    with pytest.raises(ChannelBroken):
        ch.receiver()


async def test_a_closed_handle_is_an_error_for_every_verb() -> None:
    """And says which channel; closing it again is fine."""
    ch: Channel[int] = Channel(3, name="jobs")
    tx, rx = ch.sender(), ch.receiver()
    with ch.sender(), ch.receiver():  # so that the channel stays as it is
        for handle in (tx, rx):
            handle.close()
            handle.close()
            assert handle.closed
            assert (len(handle), handle.capacity, handle.name) == (0, 3, "jobs")
            assert repr(handle).endswith("'jobs' 0/3 handle closed>")
            with pytest.raises(ChannelClosed, match="this handle of channel 'jobs'"):
                handle.clone()
        for verb in (tx.send, tx.send_nowait):
            with pytest.raises(ChannelClosed) as error:
                if (result := verb(5)) is not None:
                    await result
            assert error.value.item == 5
        pending = deque([1, 2])
        with pytest.raises(ChannelClosed):
            await tx.send_many(pending)
        assert pending == deque([1, 2])
        with pytest.raises(ChannelClosed):
            await tx.wait_empty()
        with pytest.raises(ChannelClosed):
            await rx.receive()
        with pytest.raises(ChannelClosed):
            await rx.receive_many(2)
        with pytest.raises(ChannelClosed):
            await anext(rx)
        for nowait in (rx.receive_nowait, rx.drain):
            with pytest.raises(ChannelClosed):
                nowait()
    assert ch.statistics().sent == 0


async def test_an_unclosed_handle_is_a_warning_and_stays_counted() -> None:
    """A dropped sender must not end the channel behind its user's back."""
    ch: Channel[int] = Channel(name="jobs")
    with pytest.warns(ResourceWarning, match="Sender 'jobs' 0/0 open.*not closed"):
        ch.sender()
        gc.collect()
    assert ch.statistics().open_senders == 1
    assert not ch.closed


async def test_items_forgotten_with_their_channel_are_a_warning() -> None:
    """Unless somebody asked to be told of them."""
    ch: Channel[int] = Channel(3, name="jobs")
    await ch.send(1)
    await ch.send(2)
    with pytest.warns(ResourceWarning, match="channel 'jobs' .* with 2 items in it"):
        del ch
        gc.collect()

    told: list[int] = []
    ch = Channel(3, on_undelivered=told.append)
    await ch.send(1)
    await ch.send(2)
    del ch
    gc.collect()
    assert told == [1, 2]


async def test_what_was_matched_is_received_though_the_handle_closes() -> None:
    """By every verb that receives, the batch too."""
    ch: Channel[int] = Channel(2)
    with ch.receiver():
        for verb in ("receive", "receive_many", "__anext__"):
            rx = ch.receiver()
            async with Group() as g:
                waiting = g.go(getattr(rx, verb), *([5] if "many" in verb else []))
                await anyio.wait_all_tasks_blocked()
                ch.send_nowait(1)
                ch.send_nowait(2)
                rx.close()
            assert await waiting in (1, [1])
            assert ch.drain() == [2]


@pytest.mark.parametrize("limit", [0, -1, True, 1.0, None])
async def test_receive_many_takes_a_positive_count(limit: Any) -> None:
    """And leaves the channel as it is if it gets something else."""
    ch: Channel[int] = Channel(1)
    await ch.send(1)
    with pytest.raises((TypeError, ValueError), match=f"limit must be .*{limit}"):
        await ch.receive_many(limit)
    assert ch.drain() == [1]


async def test_a_channel_is_closed_by_its_block() -> None:
    """Like anything that is to be closed."""
    ch: Channel[int] = Channel()
    async with ch as same:
        assert same is ch
        assert not ch.closed
    assert ch.closed
    await ch.aclose()
    with pytest.raises(EndOfChannel):
        ch.receive_nowait()
