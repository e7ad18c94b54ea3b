"""Merging, splitting and throttling: nothing is taken before somebody receives it."""

from __future__ import annotations

import asyncio
import gc
import math
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from importlib.util import find_spec
from typing import Any

import anyio
import pytest
from anyio import to_thread
from anyio import wait_all_tasks_blocked as parked
from anyio.abc import ObjectReceiveStream
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Broadcast,
    Channel,
    ChannelBroken,
    ChannelClosed,
    EndOfChannel,
    Group,
    Receiver,
    WouldBlock,
    after,
    merge,
    recv,
    run,
    select,
    select_nowait,
    send,
    split,
    throttle,
)

pytestmark = pytest.mark.anyio

LOOPS = [name for name in ("asyncio", "trio", "uvloop") if find_spec(name) is not None]


async def numbers(
    *items: int, log: list[str] | None = None
) -> AsyncGenerator[int, None]:
    """Give these, and note when one is asked for and when all ends."""
    log = [] if log is None else log
    try:
        for item in items:
            log.append(f"asked for {item}")
            await checkpoint()
            yield item
    finally:
        log.append("closed")


class Numbers:
    """An async iterable that is no generator."""

    def __init__(self, *items: int) -> None:
        self.items = iter(items)

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        await checkpoint()
        for item in self.items:
            return item
        raise StopAsyncIteration


def full(*items: int) -> Channel[int]:
    """Return a channel that has these, and is closed."""
    ch: Channel[int] = Channel(len(items))
    for item in items:
        ch.send_nowait(item)
    ch.close()
    return ch


async def collect(rx: Receiver[Any]) -> list[Any]:
    """Receive until the end."""
    with rx:
        return [item async for item in rx]


async def stream(*items: int) -> Any:
    """Return one of anyio's streams, with these in it."""
    tx, rx = anyio.create_memory_object_stream[int](len(items))
    with tx:
        for item in items:
            await tx.send(item)
    return rx


SOURCES: dict[str, Any] = {
    "channel": full,
    "receiver": lambda *items: full(*items).receiver(),
    "list": lambda *items: list(items),
    "generator": lambda *items: (item for item in items),
    "async generator": numbers,
    "async iterator": Numbers,
}

sources = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
BLOCKS: dict[str, Any] = {
    "merge": merge,
    "split": partial(split, n=1),
    "throttle": partial(throttle, rate=1e6),
}
blocks = pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)


def the(result: Any) -> Receiver[int]:
    """Return the receiver of a block, which for split is in a list."""
    return result[0] if isinstance(result, list) else result


# All three


@blocks
@sources
async def test_all_that_is_in_a_source_comes_out(block: Any, source: Any) -> None:
    """In order, and then the end."""
    with ExitStack() as stack:
        items = source(1, 2, 3)
        if isinstance(items, Receiver):
            stack.enter_context(items)
        async with block(items) as result:
            rx = the(result)
            assert [item async for item in rx] == [1, 2, 3]
            with pytest.raises(
                EndOfChannel, match=r"\w+\(\.\.\.\) is closed and empty"
            ):
                await rx.receive()
            assert await recv(rx) is CLOSED


@blocks
async def test_an_anyio_stream_is_a_source(block: Any) -> None:
    """As any async iterable."""
    with await stream(1, 2, 3) as items:
        async with block(items) as result:
            assert await collect(the(result)) == [1, 2, 3]


@blocks
async def test_a_broadcast_is_listened_to(block: Any) -> None:
    """By a subscription, which makes room as the items are taken."""
    b = Broadcast[int]()
    with b.subscribe(1) as subscription:
        async with block(subscription) as result, Group() as g:
            reading = g.go(collect, the(result))
            await b.send_many(range(5))
            b.close()
        assert await reading == [0, 1, 2, 3, 4]


@blocks
async def test_one_can_be_the_source_of_another(block: Any) -> None:
    """Two deep, with an item, an error or the end."""
    ch = Channel[int]()
    async with merge(ch) as inner, block(inner) as result, Group() as g:
        rx = the(result)
        for n in range(3):
            reading = g.go(rx.receive)
            await parked()
            await ch.send(n)
            assert await reading == n
        reading = g.go(partial(anext, rx, None))
        await parked()
        ch.close()
        assert await reading is None


@blocks
async def test_the_receiver_has_all_verbs(block: Any) -> None:
    """Those of receivers, also anyio's, and selects."""
    ch = Channel[int](9)
    async with block(ch) as result:
        rx = the(result)
        assert isinstance(rx, ObjectReceiveStream)
        with pytest.raises(WouldBlock):
            rx.receive_nowait()
        assert (await select(recv(rx), after(0))).which == 1
        ch.send_nowait(0)
        assert rx.receive_nowait() == 0
        await ch.send_many(range(1, 5))
        assert await recv(rx) == 1
        assert (await select(recv(rx), recv(None))) == (0, 2)
        assert await rx.__anext__() == 3
        assert await rx.receive() == 4
        async with Group() as g:
            for verb in (rx.receive, partial(select, recv(rx)), rx.__anext__):
                task = g.go(verb)
                await parked()
                await ch.send(5)
                assert await task in (5, (0, 5))
        assert rx.statistics()[:5] == (0, 0, 0, 0, 0)
        assert rx.statistics().received == 8
        assert repr(rx).endswith("0/0 open>")
    with pytest.raises(ChannelClosed, match=r"this handle of \w+\(\.\.\.\) is closed"):
        await rx.receive()


async def test_batches_are_received() -> None:
    """Up to the limit, with an error kept for the next receive."""

    def fail() -> Iterator[int]:
        yield from (1, 2, 3)
        raise ZeroDivisionError

    async with merge(fail()) as rx:
        assert await rx.receive_many(2) == [1, 2]
        assert await rx.receive_many(2) == [3]
        with pytest.raises(ZeroDivisionError):
            await rx.receive()
        with pytest.raises(EndOfChannel):
            await rx.receive_many(2)


@blocks
async def test_leaving_early_leaves_the_rest_in_a_channel(block: Any) -> None:
    """And whoever waits to send there is served by the next."""
    ch = Channel[int](1)
    async with Group() as g:
        g.go(ch.send_many, range(5))
        async with block(ch) as result:
            assert await the(result).receive() == 0
            assert await the(result).receive() == 1
        await parked()
        assert ch.statistics()[:4] == (1, 1, 1, 0)
        assert [await ch.receive() for _ in range(3)] == [2, 3, 4]


@blocks
@pytest.mark.parametrize("make", [iter, Numbers], ids=["iterator", "async iterator"])
async def test_leaving_early_leaves_the_rest_in_an_iterator(
    block: Any, make: Any
) -> None:
    """None was taken that nobody received."""
    items = make([1, 2, 3]) if make is iter else make(1, 2, 3)
    async with block(items) as result:
        assert await the(result).receive() == 1
        await parked()
    async with merge(items) as rx:
        assert await collect(rx) == [2, 3]


@blocks
async def test_an_async_generator_is_closed(block: Any) -> None:
    """When the block is left, if not before; it has not been asked for more."""
    log: list[str] = []
    async with block(numbers(1, 2, 3, log=log)) as result:
        assert await the(result).receive() == 1
        await parked()
        assert log == ["asked for 1"]
    assert log == ["asked for 1", "closed"]


@blocks
async def test_a_receiver_that_waits_no_more_takes_nothing(block: Any) -> None:
    """The item stays in the channel."""
    ch = Channel[int](1)
    async with block(ch) as result, Group() as g:
        waiting = g.go(the(result).receive)
        await parked()
        waiting.cancel()
        await ch.send(1)
        await parked()
        assert ch.drain() == [1]


@blocks
async def test_native_cancellation_in_the_turn_of_the_item(
    block: Any, backend: str
) -> None:
    """Before the item, it stays in the channel; after it, it has been received."""
    if backend == "trio":
        pytest.skip("trio has no Task.cancel")
    for cancel_first in (True, False):
        ch = Channel[int](1)
        async with block(ch) as result:
            task = asyncio.ensure_future(the(result).receive())
            await parked()
            if cancel_first:
                task.cancel()
            ch.send_nowait(1)
            task.cancel()
            await asyncio.wait([task])
            assert ch.drain() == ([1] if cancel_first else [])
            assert task.cancelled() == cancel_first
            if not cancel_first:
                assert task.result() == 1


@blocks
async def test_other_receivers_of_a_channel_have_their_turn(block: Any) -> None:
    """Who waits at the channel itself is served in order with who waits here."""
    ch = Channel[int]()
    async with block(ch) as result, Group() as g:
        tasks = []
        for end in (ch, the(result), ch):
            tasks.append(g.go(end.receive))
            await parked()
        for n in range(3):
            await ch.send(n)
        assert [await task for task in tasks] == [0, 1, 2]


@pytest.mark.parametrize("block", [merge, BLOCKS["split"]], ids=["merge", "split"])
@pytest.mark.parametrize("order", [1, -1])
async def test_a_select_may_send_to_a_source(block: Any, order: int) -> None:
    """It does not meet itself, and is still there for others."""
    ch = Channel[int]()
    async with block(ch) as result, Group() as g:
        for _ in range(10):
            ops = [recv(the(result)), send(ch, 1)][::order]
            choice = g.go(select, *ops)
            await parked()
            await ch.send(2)
            assert (await choice).value == 2
            choice = g.go(select, *ops)
            await parked()
            assert await ch.receive() == 1
            assert (await choice).value is None
        assert ch.statistics()[:4] == (0, 0, 0, 1) or ch.statistics()[:4] == (
            0,
            0,
            0,
            0,
        )


@blocks
async def test_clones_share_and_end_with_the_block(block: Any) -> None:
    """Whoever still waits then gets the end."""
    ch = Channel[int]()
    async with Group() as g:
        async with block(ch) as result:
            clone = the(result).clone()
            reading = g.go(collect, clone)
            await ch.send(1)
            await parked()
        assert await reading == [1]
    assert ch.statistics().receivers_waiting == 0


@blocks
async def test_closing_the_receiver_leaves_the_source_open(block: Any) -> None:
    """Who waits there gets ChannelClosed, and the items stay."""
    ch = Channel[int](1)
    async with block(ch) as result, Group() as g:
        rx = the(result)

        async def fail() -> None:
            with pytest.raises(ChannelClosed):
                await rx.receive()

        g.go(fail)
        await parked()
        rx.close()
        await ch.send(1)
    assert ch.drain() == [1]
    assert not ch.closed


@blocks
async def test_a_block_is_entered_once(block: Any) -> None:
    """What it would receive in it has been received."""
    once = block([1])
    async with once:
        pass
    with pytest.raises(RuntimeError, match=r"\w+\(\.\.\.\) can be entered only once"):
        await once.__aenter__()


@blocks
@pytest.mark.parametrize("other", LOOPS)
async def test_another_loop_is_refused(block: Any, other: str) -> None:
    """When the block is entered."""
    ch = Channel[int]()

    async def use() -> None:
        with pytest.raises(RuntimeError, match="channel .* belongs to another event"):
            async with block(ch):
                pass

    async with Group() as g:
        g.go(ch.receive)
        await parked()
        await to_thread.run_sync(partial(run, use, backend=other))
        await ch.send(1)


@pytest.mark.parametrize("wrong", [None, 3, Channel[int]().send, numbers])
@pytest.mark.parametrize("verb", BLOCKS)
def test_what_is_no_source_is_refused(verb: str, wrong: Any) -> None:
    """By name, and before anything happens."""
    with pytest.raises(TypeError) as caught:
        BLOCKS[verb](wrong)
    assert str(caught.value).startswith(f"{verb} takes channels, receivers, async")
    assert str(caught.value).endswith(f", not {wrong!r}")


def test_what_only_sends_is_refused() -> None:
    """A broadcast is to be subscribed to; a sender is the wrong end."""
    with pytest.raises(TypeError, match="merge takes .* not <Broadcast"):
        merge(Broadcast[int]())  # type: ignore[arg-type]
    with (
        Channel[int]().sender() as tx,
        pytest.raises(TypeError, match="merge takes .* not <Sender"),
    ):
        merge(tx)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verb", "words"), [("merge", "rx"), ("split", "receivers"), ("throttle", "rx")]
)
async def test_iterating_a_block_shows_the_right_code(verb: str, words: str) -> None:
    """Bare, or as the source of another."""
    block = BLOCKS[verb]([1])
    match = rf"Write: async with {verb}\(\.\.\.\) as {words}: \.\.\., and iterate in it"
    with pytest.raises(TypeError, match=match):
        async for _ in block:
            pass
    with pytest.raises(TypeError, match=match):
        merge(block)


@blocks
async def test_the_callback_must_be_callable(block: Any) -> None:
    """As a channel's."""
    with pytest.raises(TypeError, match="on_undelivered must be a function"):
        block([1], on_undelivered=3)


# Errors


def fails_at_once() -> Iterator[int]:
    raise ZeroDivisionError
    yield 1


async def fails_later() -> AsyncGenerator[int, None]:
    yield 1
    await checkpoint()
    raise ZeroDivisionError


@blocks
@pytest.mark.parametrize("items", [fails_at_once, fails_later])
async def test_an_error_in_a_source_comes_out(block: Any, items: Any) -> None:
    """Of the iteration and so of the block, as it is; then comes the end."""
    with pytest.raises(ZeroDivisionError):
        async with block(items()) as result:
            async for item in the(result):
                assert item == 1
    async with block(items()) as result:
        with pytest.raises(ZeroDivisionError):
            await collect(the(result).clone())
        assert await collect(the(result)) == []


@blocks
async def test_an_error_comes_out_once(block: Any) -> None:
    """Of one of those who wait; the others get the end."""
    async with block(fails_later()) as result:
        outcomes: list[str] = []

        async def read(rx: Receiver[int]) -> None:
            try:
                await collect(rx)
                outcomes.append("the end")
            except ZeroDivisionError:
                outcomes.append("error")

        async with Group() as g:
            for _ in range(3):
                g.go(read, the(result).clone())
        assert sorted(outcomes) == ["error", "the end", "the end"]


@blocks
async def test_an_error_that_nobody_received_comes_out_of_the_block(
    block: Any,
) -> None:
    """It is not forgotten."""

    async def fail() -> AsyncGenerator[int, None]:
        await gate.receive()
        raise ZeroDivisionError
        yield 1

    gate: Channel[None] = Channel()
    with pytest.raises(ZeroDivisionError):
        async with block(fail()) as result, Group() as g:
            waiting = g.go(the(result).receive)
            await parked()
            waiting.cancel()
            await parked()
            await gate.send(None)
            await parked()


async def test_errors_that_nobody_received_come_out_together() -> None:
    """In a group."""

    async def fail() -> AsyncGenerator[int, None]:
        await gate.receive()
        raise ZeroDivisionError
        yield 1

    gate: Channel[None] = Channel()
    with pytest.raises(ExceptionGroup, match=r"sources of merge\(\.\.\.\) failed"):
        async with merge(fail(), fail()) as rx, Group() as g:
            waiting = g.go(rx.receive)
            await parked()
            waiting.cancel()
            await parked()
            gate.close()
            await parked()
            gate.close()


@blocks
async def test_an_error_in_the_block_comes_out_as_it_is(block: Any) -> None:
    """Though there are tasks in the background."""
    with pytest.raises(KeyError):
        async with block(numbers(1, 2)) as result:
            await the(result).receive()
            raise KeyError


@blocks
async def test_a_cancelled_block_ends(block: Any) -> None:
    """With all that runs in the background, and so does an outer timeout."""
    log: list[str] = []
    with anyio.move_on_after(0.01) as scope:
        async with block(numbers(1, 2, log=log)) as result:
            await the(result).receive()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert log == ["asked for 1", "closed"]


@blocks
async def test_a_natively_cancelled_block_ends(block: Any, backend: str) -> None:
    """By a timeout of asyncio."""
    if backend == "trio":
        pytest.skip("trio has no Task.cancel")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), block(numbers(1, 2)) as result:
            await the(result).receive()
            await asyncio.sleep(3600)
    await asyncio.sleep(0)


@blocks
async def test_a_cancelled_background_task_is_an_error(
    block: Any, backend: str
) -> None:
    """To all who receive, now or later, as it is not the end; the block ends well."""
    if backend == "trio":
        pytest.skip("trio's tasks cannot be cancelled by strangers")

    async def fail() -> None:
        with pytest.raises(ChannelBroken, match="the task that .* was cancelled"):
            await rx.receive()

    async with block(hang(Channel(), 1)) as result, Group() as g:
        rx = the(result)
        g.go(fail)
        g.go(fail)
        await parked()
        for task in asyncio.all_tasks():
            if task.get_name().endswith("(...)"):
                task.cancel()
        await parked()
        await fail()


@blocks
async def test_a_closed_handle_as_a_source_is_an_error(block: Any) -> None:
    """Before or while somebody waits."""
    with full(1).receiver() as rx:
        rx.drain()
    async with block(rx) as result:
        with pytest.raises(ChannelClosed, match="this handle of channel"):
            await the(result).receive()
    ch = Channel[int]()
    with ch.receiver() as rx:
        async with block(rx) as result, Group() as g:

            async def fail() -> None:
                with pytest.raises(ChannelClosed, match="this handle of channel"):
                    await the(result).receive()
                assert await collect(the(result).clone()) == []

            g.go(fail)
            await parked()
            rx.close()


# What is in hand


async def hang(gate: Channel[None], *items: int) -> AsyncGenerator[int, None]:
    """Give one item each time that the gate lets it."""
    for item in items:
        await gate.receive()
        yield item


async def in_hand(block: Any, **options: Any) -> Any:
    """Enter a block, let one be asked for, and give it up before it comes."""
    gate: Channel[None] = Channel()
    context = block(hang(gate, 1, 2), **options)
    result = await context.__aenter__()
    async with Group() as g:
        waiting = g.go(the(result).receive)
        await parked()
        waiting.cancel()
        await parked()
        await gate.send(None)
        await parked()
    return gate, context, result


@blocks
async def test_what_is_in_hand_is_received_next(block: Any) -> None:
    """It is not lost with who asked for it."""
    gate, context, result = await in_hand(block)
    async with Group() as g:
        assert await the(result).receive() == 1
        g.go(gate.send, None)
        assert await the(result).receive() == 2
    await context.__aexit__(None, None, None)


@blocks
async def test_what_is_in_hand_can_be_drained(block: Any) -> None:
    """And nothing else."""
    _, context, result = await in_hand(block)
    assert the(result).drain() == [1]
    assert the(result).drain() == []
    await context.__aexit__(None, None, None)


@blocks
async def test_what_is_left_in_hand_is_reported(block: Any) -> None:
    """To the callback, once."""
    left: list[int] = []
    _, context, result = await in_hand(block, on_undelivered=left.append)
    await context.__aexit__(None, None, None)
    assert left == [1]
    assert the(result).statistics().undelivered == 1


@blocks
async def test_what_is_left_in_hand_is_warned_of(block: Any) -> None:
    """If there is no callback."""
    _, context, result = await in_hand(block)
    await context.__aexit__(None, None, None)
    with pytest.warns(ResourceWarning, match=r"\(\.\.\.\) was forgotten with 1 items"):
        del context, result
        gc.collect()


async def test_an_iterable_that_ignores_its_cancellation_loses_nothing() -> None:
    """What it gives all the same is reported."""

    async def stubborn() -> AsyncGenerator[int, None]:
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep_forever()
        yield 1

    left: list[int] = []
    async with merge(stubborn(), on_undelivered=left.append) as rx, Group() as g:
        waiting = g.go(rx.receive)
        await parked()
        waiting.cancel()
    assert left == [1]


# Merge


async def test_all_kinds_are_merged() -> None:
    """Each in its order."""
    kinds = [make(10 * i, 10 * i + 1) for i, make in enumerate(SOURCES.values())]
    async with merge(*kinds) as rx:
        items = await collect(rx)
    for i in range(len(kinds)):
        assert [item for item in items if item // 10 == i] == [10 * i, 10 * i + 1]
    kinds[1].close()


async def test_a_source_may_be_given_twice() -> None:
    """Each item comes once."""
    ch = Channel[int]()
    async with merge(ch, ch) as rx, Group() as g:
        reading = g.go(collect, rx)
        await ch.send_many(range(5))
        await parked()
        assert ch.statistics().receivers_waiting == 2
        ch.close()
    assert await reading == [0, 1, 2, 3, 4]


async def test_the_choice_is_fair() -> None:
    """Each of those that have something is as likely, whatever is between them."""
    n = 10_000
    ready = [full(*[i] * n) for i in range(2)]
    quiet = [Channel[int]() for _ in range(3)]
    async with merge(*quiet[:2], *ready, *quiet[2:]) as rx:
        counts = Counter([await rx.receive() for _ in range(n)])
    assert abs(counts[0] / n - 0.5) < 4.891676 / (2 * math.sqrt(n))
    for ch in ready:
        ch.drain()


async def test_sources_end_one_by_one() -> None:
    """The merge ends with the last, also for who waits."""
    chs = [Channel[int]() for _ in range(3)]
    async with merge(*chs) as rx, Group() as g:
        reading = g.go(collect, rx)
        for n, ch in enumerate(chs):
            await parked()
            await ch.send(n)
            await parked()
            assert not reading.finished
            ch.close()
    assert await reading == [0, 1, 2]


async def test_one_failing_source_does_not_end_the_others() -> None:
    """Who catches the error may go on."""
    ch = Channel[int](9)
    async with merge(fails_at_once(), ch) as rx:
        with pytest.raises(ZeroDivisionError):
            await rx.receive()
        await ch.send(1)
        ch.close()
        assert await collect(rx) == [1]


async def test_waiting_receivers_are_served_in_order() -> None:
    """Whatever source the items come from."""
    chs = [Channel[int]() for _ in range(2)]
    async with merge(*chs) as rx, Group() as g:
        tasks = []
        for _ in range(4):
            tasks.append(g.go(rx.receive))
            await parked()
        for n in range(4):
            await chs[n % 2].send(n)
        assert [await task for task in tasks] == [0, 1, 2, 3]


async def test_a_merge_holds_up_who_sends_until_somebody_receives() -> None:
    """It has no buffer of its own."""
    ch = Channel[int]()
    async with merge(ch) as rx, Group() as g:
        sending = g.go(ch.send_many, [1, 2])
        await parked()
        assert await rx.receive() == 1
        await parked()
        assert not sending.finished
        assert await rx.receive() == 2


async def test_polling_an_async_iterable_asks_it() -> None:
    """So a select with a default comes to its items too."""
    async with merge(numbers(1, 2)) as rx:
        items: list[int] = []
        while len(items) < 2:
            with suppress(WouldBlock):
                items.append(select_nowait(recv(rx)).value)
            await checkpoint()
    assert items == [1, 2]


# Split


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError)])
async def test_a_split_needs_somebody(n: int, error: type[Exception]) -> None:
    """At least one."""
    with pytest.raises(error, match=f"n must be 1 or more, not {n}"):
        split([1], n)


@pytest.mark.parametrize("n", [True, 1.0, None])
async def test_a_split_needs_a_whole_number(n: Any) -> None:
    """A bool is no count."""
    with pytest.raises(TypeError, match=f"n must be a whole number, not {n!r}"):
        split([1], n)


@sources
async def test_each_item_goes_to_exactly_one(source: Any) -> None:
    """Together they have all."""
    items = source(*range(20))
    async with split(items, 3) as receivers, Group() as g:
        assert len(receivers) == 3
        readers = [g.go(collect, rx) for rx in receivers]
    got = [await reader for reader in readers]
    assert sorted(n for part in got for n in part) == list(range(20))
    assert all(part == sorted(part) for part in got)
    if isinstance(items, Receiver):
        items.close()


async def test_an_item_goes_to_who_is_ready() -> None:
    """One who is busy is not waited for."""
    ch = Channel[int]()
    async with split(ch, 3) as (busy, one, two), Group() as g:
        readers = []
        for rx in (one, two):
            readers.append(g.go(collect, rx))
            await parked()
        for n in range(10):
            await ch.send(n)
            await parked()
        ch.close()
        got = [await reader for reader in readers]
        assert got == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]
        assert await collect(busy) == []


async def test_one_that_closes_takes_nothing_along() -> None:
    """The others have all; when all have closed, it stays in the source."""
    ch = Channel[int](9)
    await ch.send_many(range(4))
    async with split(ch, 3) as (one, two, three):
        assert await one.receive() == 0
        one.close()
        assert await two.receive() == 1
        two.close()
        assert await three.receive() == 2
        three.close()
    assert ch.drain() == [3]


# Throttle


@pytest.mark.parametrize("rate", [0, -1, math.inf, math.nan])
def test_the_rate_must_be_above_0(rate: float) -> None:
    """And finite."""
    with pytest.raises(ValueError, match=f"rate must be above 0 and finite.* {rate!r}"):
        throttle([1], rate)


@pytest.mark.parametrize("rate", [True, "3", None])
def test_the_rate_must_be_a_number(rate: Any) -> None:
    """Of items a second."""
    with pytest.raises(TypeError, match=f"rate must be a number of .* {rate!r}"):
        throttle([1], rate)


@pytest.mark.parametrize(
    ("burst", "error"), [(0, ValueError), (True, TypeError), (1.5, TypeError)]
)
def test_the_burst_must_be_a_count(burst: Any, error: type[Exception]) -> None:
    """Of 1 or more."""
    with pytest.raises(error, match=f"burst must be .* {burst!r}"):
        throttle([1], 1, burst)


async def times_of(rx: Receiver[Any]) -> list[float]:
    """Receive until the end; returns when the items came, and the end."""
    start = anyio.current_time()
    times = [anyio.current_time() - start async for _ in rx]
    return [*times, anyio.current_time() - start]


@pytest.mark.clock
@sources
@pytest.mark.parametrize(
    ("burst", "times"),
    [
        (1, [0, 0.5, 1, 1.5, 2, 2]),
        (2, [0, 0, 0.5, 1, 1.5, 1.5]),
        (4, [0, 0, 0, 0, 0.5, 0.5]),
        (9, [0, 0, 0, 0, 0, 0]),
    ],
)
async def test_items_come_on_a_grid_after_the_burst(
    source: Any, burst: int, times: list[float]
) -> None:
    """And the end comes when it is there, not when an item might come."""
    items = source(*range(5))
    async with throttle(items, 2, burst) as rx:
        assert await times_of(rx) == pytest.approx(times)
    if isinstance(items, Receiver):
        items.close()


@pytest.mark.clock
async def test_there_is_no_drift() -> None:
    """After thousands of items it is as exact as after ten."""
    async with throttle(range(3_000), 10) as rx:
        start = anyio.current_time()
        async for n in rx:
            assert anyio.current_time() == pytest.approx(start + n / 10, abs=1e-6)


@pytest.mark.clock
async def test_who_works_between_items_stays_on_the_grid() -> None:
    """As long as that takes less than a period."""
    async with throttle(range(5), 1) as rx:
        start, times = anyio.current_time(), []
        async for _ in rx:
            times.append(anyio.current_time() - start)
            await anyio.sleep(0.7)
    assert times == pytest.approx([0, 1, 2, 3, 4])


@pytest.mark.clock
async def test_who_comes_late_starts_a_new_grid() -> None:
    """And is not given more, for what it did not take."""
    async with throttle(range(5), 1) as rx:
        await anyio.sleep(10.3)
        assert await times_of(rx) == pytest.approx([0, 1, 2, 3, 4, 4])


@pytest.mark.clock
async def test_the_burst_comes_back_with_a_pause() -> None:
    """One for each period, up to the burst."""
    async with throttle(range(9), 1, 3) as rx:
        start = anyio.current_time()
        times = []
        for n in range(9):
            await rx.receive()
            times.append(anyio.current_time() - start)
            if n in (3, 6):
                await anyio.sleep((2.0, 50.0)[n > 3])
    assert times == pytest.approx([0, 0, 0, 1, 3, 3, 4, 54, 54])


@pytest.mark.clock
async def test_an_item_that_comes_late_is_given_at_once() -> None:
    """Whoever waits for it has long had leave."""
    ch = Channel[int]()
    async with throttle(ch, 1) as rx, Group() as g:
        reading = g.go(times_of, rx)
        await anyio.sleep(5)
        for pause in (0.2, 3, 0):
            await ch.send(1)
            await anyio.sleep(pause)
        ch.close()
    assert await reading == pytest.approx([5, 6, 9, 9])


@pytest.mark.clock
async def test_closing_ends_it_though_it_is_not_time() -> None:
    """When nothing is left in the source."""
    ch = Channel[int](1)
    await ch.send(1)
    async with throttle(ch, 0.001) as rx, Group() as g:
        reading = g.go(times_of, rx)
        await anyio.sleep(1)
        ch.close()
    assert await reading == pytest.approx([0, 1])


@pytest.mark.clock
async def test_it_holds_up_who_sends() -> None:
    """To the same rate."""
    ch = Channel[int]()
    start, times = anyio.current_time(), []

    async def feed() -> None:
        for n in range(4):
            await ch.send(n)
            times.append(anyio.current_time() - start)
        ch.close()

    async with throttle(ch, 1) as rx, Group() as g:
        g.go(feed)
        await collect(rx)
    assert times == pytest.approx([0, 1, 2, 3])


@pytest.mark.clock
async def test_several_share_one_rate() -> None:
    """Each item to who has waited longest, and none to who came last."""
    async with throttle(range(6), 1) as rx, Group() as g:
        got: list[tuple[str, int, float]] = []
        start = anyio.current_time()

        async def read(name: str) -> None:
            async for n in rx:
                got.append((name, n, anyio.current_time() - start))  # noqa: PERF401

        for name in "abc":
            g.go(read, name)
            await parked()
    assert got == [(name, n, n) for n, name in enumerate("aabcab")]


@pytest.mark.clock
async def test_who_waits_behind_another_has_his_time_too() -> None:
    """Though nobody comes any more who would ask for it."""
    ch = Channel[int]()
    async with throttle(ch, 1) as rx, Group() as g:
        for _ in range(3):
            g.go(rx.receive)
        await parked()
        start = anyio.current_time()
        await ch.send_many(range(3))
        assert anyio.current_time() - start == pytest.approx(2)


def hold_up(backend: str, seconds: float) -> None:
    """Let the clock go on while nothing runs, as if something had blocked the loop."""
    if backend == "trio":
        import trio

        trio.lowlevel.current_clock().jump(seconds)
    else:
        asyncio.get_running_loop()._jumping.now += seconds  # type: ignore[attr-defined]


@pytest.mark.clock
async def test_a_loop_that_is_late_makes_no_drift(backend: str) -> None:
    """Who waits pays for the time that was due, not for that at which it was served."""
    async with throttle(range(20), 1) as rx, Group() as g:

        async def be_late() -> None:
            while True:
                await anyio.sleep(0.999)
                hold_up(backend, 0.3)

        g.go(be_late)
        times = await times_of(rx)
        g.cancel()
    for n, time in enumerate(times[:-1]):
        assert n - 1e-6 <= time <= n + 0.3


@pytest.mark.clock
async def test_a_loop_that_is_very_late_does_not_catch_up(backend: str) -> None:
    """The first has his item late, the next as late as he, and then it goes on."""
    async with throttle(range(9), 1) as rx, Group() as g:
        await rx.receive()
        tasks = [g.go(times_of_one, rx) for _ in range(4)]
        await parked()
        now = anyio.current_time()
        hold_up(backend, 9)
        times = sorted([await task for task in tasks])
    assert times == pytest.approx([now + 9, now + 9, now + 10, now + 11])


@pytest.mark.clock
async def test_an_item_that_comes_when_the_time_has_come_uses_it_up(
    backend: str,
) -> None:
    """Whoever is next waits for his own, though a task was about to serve him."""
    ch = Channel[int](2)
    async with throttle(ch, 1) as rx, Group() as g:
        await ch.send(0)
        await rx.receive()
        tasks = [g.go(times_of_one, rx) for _ in range(2)]
        await parked()
        hold_up(backend, 1)
        ch.send_nowait(1)
        ch.send_nowait(2)
        times = sorted([await task for task in tasks])
    assert times[1] - times[0] == pytest.approx(1)


async def times_of_one(rx: Receiver[Any]) -> float:
    """Receive one item; returns when."""
    await rx.receive()
    return anyio.current_time()


@pytest.mark.clock
async def test_nobody_overtakes_who_waits_for_its_time() -> None:
    """Not even in the turn in which that has come."""
    ch = full(1, 2, 3)
    async with throttle(ch, 1) as rx, Group() as g:
        await rx.receive()
        waiting = g.go(rx.receive)
        await parked()
        await anyio.sleep(1)
        with suppress(WouldBlock):
            assert rx.receive_nowait() == 3
        assert await waiting == 2
    ch.drain()


@pytest.mark.clock
async def test_a_cancelled_wait_costs_nothing() -> None:
    """Neither an item nor its time."""
    ch = full(*range(4))
    async with throttle(ch, 1) as rx:
        start = anyio.current_time()
        assert await rx.receive() == 0
        for _ in range(3):
            with anyio.move_on_after(0.2):
                await rx.receive()
        assert await rx.receive() == 1
        assert anyio.current_time() - start == pytest.approx(1)
        with anyio.move_on_after(0.5):
            await rx.receive()
        await anyio.sleep(5)
        assert rx.receive_nowait() == 2
        with pytest.raises(WouldBlock):
            rx.receive_nowait()
    assert ch.drain() == [3]


@pytest.mark.clock
async def test_it_can_be_selected_on() -> None:
    """With a deadline that is earlier or later than its time."""
    async with throttle(iter([1, 2, 3]), 1) as rx:
        assert await select(recv(rx), after(9)) == (0, 1)
        assert (await select(recv(rx), after(0.5))).which == 1
        assert await select(recv(rx), after(9)) == (0, 2)
        assert rx.drain() == []


@pytest.mark.clock
async def test_a_throttled_merge_and_a_merged_throttle() -> None:
    """They can be put together in any order."""
    async with (
        merge(full(1, 2), [3, 4]) as merged,
        throttle(merged, 1) as slow,
        throttle([5, 6], 2) as quick,
        merge(slow, quick) as rx,
    ):
        start = anyio.current_time()
        times: dict[int, float] = {}
        async for n in rx:
            times[n] = anyio.current_time() - start
    assert sorted(times) == [1, 2, 3, 4, 5, 6]
    assert (times[5], times[6]) == pytest.approx((0, 0.5))
    assert sorted(times[n] for n in (1, 2, 3, 4)) == pytest.approx([0, 1, 2, 3])


async def test_a_throttle_in_real_time() -> None:
    """On a clock that is not exact, it is never early, and late only by a little."""
    async with throttle(range(11), 1000) as rx:
        start = anyio.current_time()
        assert len(await times_of(rx)) == 12
        assert 0.0099 < anyio.current_time() - start < 1
