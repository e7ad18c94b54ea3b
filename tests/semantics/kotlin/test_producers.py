"""A task that fills a channel, and a loop that empties it: who ends what.

After Kotlin's ProduceTest and ConsumeTest.  A producer here is a task with
``async with ch``, or with a sender; consuming is a loop in ``with ch.receiver()``.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from anyio import wait_all_tasks_blocked as parked

from csp import Channel, ChannelBroken, EndOfChannel, Group, done

pytestmark = pytest.mark.anyio


class ProducerError(Exception):
    """What goes wrong in a producer."""


async def test_a_channel_ends_with_its_producer() -> None:
    """The loop gets all items, and ends by itself."""
    ch: Channel[int] = Channel()

    async def produce() -> None:
        async with ch:
            await ch.send(1)
            await ch.send(2)

    async with Group() as g:
        g.go(produce)
        assert [item async for item in ch] == [1, 2]


async def test_a_cancelled_producer_ends_the_channel() -> None:
    """What it was about to send is not received; what it had sent is."""
    ch: Channel[int] = Channel(1)

    async def produce() -> None:
        async with ch:
            await ch.send(1)
            await ch.send(2)

    async with Group() as g:
        producer = g.go(produce)
        await parked()
        producer.cancel()
        await done(producer)
        assert [item async for item in ch] == [1]


async def test_items_of_a_failed_producer_are_still_received() -> None:
    """Then the channel ends, and its group has the error."""
    ch: Channel[int] = Channel(3)

    async def produce() -> None:
        async with ch:
            await ch.send(1)
            await ch.send(2)
            raise ProducerError

    with pytest.RaisesGroup(ProducerError):
        async with Group() as g:
            g.go(produce)
    assert [item async for item in ch] == [1, 2]


async def test_a_producer_may_send_on_its_way_out() -> None:
    """In its finally block, after it was cancelled: by sends that do not wait."""
    ch: Channel[int] = Channel(10)

    async def produce() -> None:
        async with ch:
            try:
                await Channel[int]().receive()
            finally:
                for i in range(10):
                    ch.send_nowait(i)

    async with Group() as g:
        producer = g.go(produce)
        await parked()
        producer.cancel()
        assert [item async for item in ch] == list(range(10))


async def test_a_producer_learns_that_nobody_consumes_any_more() -> None:
    """In the send that waits, with the item that it still has."""
    ch: Channel[int] = Channel()
    unsent: list[int] = []

    async def produce() -> None:
        async with ch:
            try:
                for i in range(10):
                    await ch.send(i)
            except ChannelBroken as broken:
                unsent.append(broken.item)

    async with Group() as g:
        g.go(produce)
        with ch.receiver() as rx:
            assert await rx.receive() == 0
            await parked()
    assert unsent == [1]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_consumer_that_leaves_breaks_the_channel(fails: bool) -> None:
    """By a break or by an error: what is left is reported, and sends fail."""
    undelivered: list[int] = []
    ch: Channel[int] = Channel(4, on_undelivered=undelivered.append)
    await ch.send_many(range(4))
    with suppress(LookupError), ch.receiver() as rx:
        async for item in rx:
            assert item == 0
            if fails:
                raise LookupError
            break
    assert undelivered == [1, 2, 3]
    with pytest.raises(ChannelBroken):
        await ch.send(4)


async def test_a_consumer_that_reaches_the_end_leaves_nothing() -> None:
    """So nothing is reported when its handle closes."""
    undelivered: list[int] = []
    ch: Channel[int] = Channel(4, on_undelivered=undelivered.append)
    await ch.send_many(range(4))
    ch.close()
    with ch.receiver() as rx:
        assert [item async for item in rx] == list(range(4))
    assert undelivered == []
    with pytest.raises(EndOfChannel):
        await ch.receive()


async def test_a_consumer_cancelled_at_its_first_item_loses_none() -> None:
    """The first is its own, buffered ones are reported, the parked one goes back."""
    undelivered: list[int] = []
    ch: Channel[int] = Channel(2, on_undelivered=undelivered.append)
    consumed: list[int] = []
    unsent: list[int] = []

    async def consume() -> None:
        with ch.receiver() as rx:
            async for item in rx:
                consumed.append(item)
                await Channel[int]().receive()

    async def produce() -> None:
        try:
            for i in range(5):
                await ch.send(i)
        except ChannelBroken as broken:
            unsent.append(broken.item)

    async with Group() as g:
        consumer = g.go(consume)
        g.go(produce)
        await parked()
        consumer.cancel()
    assert (consumed, undelivered, unsent) == ([0], [1, 2], [3])
