"""each and map: several workers over one source, for what they do or return."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import Channel, ChannelClosed, EndOfChannel, Group, Pool, each, go, stop_scope
from csp._each import map as map_in_tasks
from tests.conftest import BACKENDS
from tests.semantics.cancelling import ways_on

pytestmark = pytest.mark.anyio

on_asyncio = pytest.mark.parametrize(
    "backend", [name for name in BACKENDS if name != "trio"], indirect=True
)


async def double(n: int) -> int:
    await checkpoint()
    return 2 * n


async def give(value: Any) -> Any:
    return value


async def sleep(seconds: float) -> float:
    """Take so long, and return it."""
    await anyio.sleep(seconds)
    return seconds


async def collect(results: AsyncIterator[Any]) -> list[Any]:
    return [result async for result in results]


# Sources, each of the numbers below 10


class Stream:
    """An async iterator that is no generator, and has no aclose."""

    def __init__(self) -> None:
        self.numbers = iter(range(10))

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> int:
        await checkpoint()
        for n in self.numbers:
            return n
        raise StopAsyncIteration


class Rows:
    """What makes a generator for whoever iterates; tells whether that was closed."""

    def __init__(self, count: float = 10) -> None:
        self.count = count
        self.begun = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[int]:
        try:
            while self.begun < self.count:
                self.begun += 1
                await checkpoint()
                yield self.begun - 1
        finally:
            self.closed = True


async def generated() -> AsyncIterator[int]:
    for n in range(10):
        if n % 3 == 0:
            await checkpoint()
        yield n


def filled() -> Channel[int]:
    ch: Channel[int] = Channel(10)
    for n in range(10):
        ch.send_nowait(n)
    ch.close()
    return ch


def fed(capacity: int) -> Channel[int]:
    ch: Channel[int] = Channel(capacity)

    async def feed() -> None:
        await ch.send_many(range(10))
        ch.close()

    go(feed)
    return ch


SOURCES: dict[str, Callable[[], Any]] = {
    "range": lambda: range(10),
    "list": lambda: [*range(10)],
    "iterator": lambda: iter(range(10)),
    "generator": lambda: (n for n in range(10)),
    "channel": filled,
    "rendezvous": lambda: fed(0),
    "slow channel": lambda: fed(1),
    "receiver": lambda: fed(3).receiver(),
    "async generator": generated,
    "stream": Stream,
    "rows": Rows,
}

each_source = pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)


def close(source: Any) -> None:
    """Close a handle, as its owner does."""
    if hasattr(source, "close"):
        source.close()


@each_source
@pytest.mark.parametrize("workers", [1, 3])
async def test_each_takes_every_item_once(
    make: Callable[[], Any], workers: int
) -> None:
    """Whatever the source is; and in order, if there is one worker."""
    done: list[int] = []

    async def note(n: int) -> None:
        for _ in range(n % 3):
            await checkpoint()
        done.append(n)

    async with Group():
        source = make()
        await each(note, source, workers=workers)
        close(source)
    assert sorted(done) == [*range(10)]
    assert workers > 1 or done == sorted(done)


@each_source
@pytest.mark.parametrize("ordered", [True, False])
async def test_map_gives_the_result_of_every_item(
    make: Callable[[], Any], ordered: bool
) -> None:
    """Whatever the source is."""
    async with Group():
        source = make()
        async with map_in_tasks(double, source, workers=3, ordered=ordered) as results:
            out = await collect(results)
        close(source)
    assert sorted(out) == [*range(0, 20, 2)]
    assert not ordered or out == sorted(out)


@pytest.mark.parametrize("source", [[], (), iter([])])
async def test_an_empty_source(source: Any) -> None:
    """Ends at once."""
    await each(double, source, workers=2)
    async with map_in_tasks(double, source, workers=2) as results:
        assert await collect(results) == []


@pytest.mark.clock
async def test_order_is_kept_with_mixed_delays() -> None:
    """And costs no more time than the slowest makes the others wait."""
    delays = [5, 1, 3, 1, 8, 2, 2, 0, 0, 4]
    begun = anyio.current_time()
    async with map_in_tasks(sleep, delays, workers=3) as results:
        assert await collect(results) == delays
    assert anyio.current_time() - begun == pytest.approx(10)


@pytest.mark.clock
async def test_results_as_they_are_ready() -> None:
    """The quicker first."""
    async with map_in_tasks(sleep, [5, 1, 3], workers=3, ordered=False) as results:
        assert await collect(results) == [1, 3, 5]


@pytest.mark.clock
async def test_each_takes_the_time_of_its_workers() -> None:
    """At most so many calls run at once."""
    begun = anyio.current_time()
    await each(sleep, [2] * 9, workers=3)
    assert anyio.current_time() - begun == pytest.approx(6)


# How far map runs ahead


class Meter:
    """Counts the items drawn, those computed at once, and the results received."""

    def __init__(self) -> None:
        self.drawn = self.running = self.most = self.received = self.ahead = 0

    def numbers(self) -> Iterator[int]:
        while True:
            self.drawn += 1
            self.ahead = max(self.ahead, self.drawn - self.received)
            yield self.drawn - 1

    async def work(self, n: int) -> int:
        self.running += 1
        self.most = max(self.most, self.running)
        await checkpoint()
        self.running -= 1
        return n

    async def receive(self, results: AsyncIterator[int], count: int) -> None:
        async for n in results:
            self.received += 1
            assert n < self.drawn
            if self.received == count:
                break


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    ("workers", "buffer"), [(1, 0), (1, 3), (4, 0), (4, 2), (8, 5)]
)
async def test_how_far_it_runs_ahead(workers: int, buffer: int, ordered: bool) -> None:
    """By the workers and the buffer, if nobody receives; and all workers work."""
    meter = Meter()
    source = meter.numbers()
    async with map_in_tasks(
        meter.work, source, workers=workers, buffer=buffer, ordered=ordered
    ) as results:
        await parked()
        assert meter.drawn == workers + buffer
        assert meter.most == workers
        for count in (1, 2, 30):
            await meter.receive(results, count)
            await parked()
            assert meter.drawn == count + workers + buffer
        # While a result is being waited for, it counts as received.
        assert meter.ahead <= workers + buffer + 1
    assert meter.most == workers
    assert meter.drawn == 30 + workers + buffer


async def test_a_channel_is_not_emptied_ahead_of_need() -> None:
    """What is not drawn stays there, for others."""
    ch: Channel[int] = Channel(100)
    await ch.send_many(range(50))
    async with map_in_tasks(give, ch, workers=2, buffer=3) as results:
        await parked()
        assert len(ch) == 45
        assert await anext(results) == 0
        await parked()
        assert len(ch) == 44
    assert ch.drain() == [*range(6, 50)]
    assert not ch.closed


# Errors of the function


async def test_an_error_of_each_names_the_item() -> None:
    """What was drawn is finished; nothing more is; and the error is the very one."""
    gate, begun, ended = anyio.Event(), list[int](), list[int]()
    error = LookupError("no such thing")

    async def work(n: int) -> None:
        begun.append(n)
        if n == 3:
            raise error
        if n < 5:
            await gate.wait()
        ended.append(n)

    ch: Channel[int] = Channel(100)
    await ch.send_many(range(50))
    async with Group() as g:

        async def use() -> None:
            with pytest.raises(LookupError) as caught:
                await each(work, ch, workers=4)
            assert caught.value is error
            assert caught.value.__notes__ == ["in each, at the item 3"]

        g.go(use)
        await parked()
        assert begun == [0, 1, 2, 3]
        assert ended == []
        gate.set()
    assert sorted(ended) == [0, 1, 2]
    assert ch.drain() == [*range(4, 50)]


async def test_several_errors_of_each_come_in_a_group() -> None:
    """Each with its note."""
    gate = anyio.Event()

    async def work(n: int) -> None:
        if n < 3:
            await gate.wait()
        else:
            gate.set()
        raise LookupError(n)

    with pytest.raises(ExceptionGroup, match="several calls of each failed") as caught:
        await each(work, range(50), workers=4)
    errors = caught.value.exceptions
    assert sorted(error.args[0] for error in errors) == [0, 1, 2, 3]
    for error in errors:
        assert error.__notes__ == [f"in each, at the item {error.args[0]}"]


@pytest.mark.parametrize("ordered", [True, False])
async def test_an_error_of_map_comes_out_of_the_iteration(ordered: bool) -> None:
    """In its place; and one may go on after it."""

    async def work(n: int) -> int:
        if n in (3, 5):
            raise LookupError(n)
        return n

    out: list[Any] = []
    async with map_in_tasks(work, range(8), workers=2, ordered=ordered) as results:
        while True:
            try:
                out.append(await anext(results))
            except LookupError as error:
                out.append(f"{error!r} {error.__notes__[0]}")
            except StopAsyncIteration:
                break
    if not ordered:
        out.sort(key=str)
    third = "LookupError(3) in map, at the item 3"
    fifth = "LookupError(5) in map, at the item 5"
    expected = [0, 1, 2, third, 4, fifth, 6, 7]
    assert out == (expected if ordered else sorted(expected, key=str))


async def test_an_error_that_leaves_the_block() -> None:
    """Comes out as it is; the rest is cancelled."""
    cancelled: list[int] = []

    async def work(n: int) -> int:
        if n == 1:
            raise LookupError(n)
        if n > 1:
            try:
                await anyio.sleep_forever()
            except BaseException:
                cancelled.append(n)
                raise
        return n

    with pytest.raises(LookupError, match="1"):
        async with map_in_tasks(work, range(9), workers=3) as results:
            assert await anext(results) == 0
            await parked()
            await anext(results)
    assert sorted(cancelled) == [2, 3, 4]


async def not_async(n: int) -> Any:
    return n


@pytest.mark.parametrize("fn", [abs, lambda n: n, functools.partial(pow, 2)])
async def test_a_function_that_is_not_async(fn: Any) -> None:
    """The error says so, and what to write."""
    words = "needs an async function, and .* is none: .*run_in='thread'"
    with pytest.raises(TypeError, match=f"each {words}"):
        await each(fn, range(3), workers=1)
    async with map_in_tasks(fn, range(3), workers=1) as results:
        with pytest.raises(TypeError, match=f"map {words}"):
            await anext(results)


@pytest.mark.parametrize("fn", [lambda: None, anyio.sleep_forever])
async def test_a_function_that_does_not_take_an_item(fn: Any) -> None:
    """Python's error says it, and is not explained away."""
    with pytest.raises(TypeError, match="takes 0 positional arguments"):
        await each(fn, range(3), workers=1)


async def test_a_type_error_of_the_function_is_its_own() -> None:
    """Even one about something else that cannot be awaited."""

    async def work(n: Any) -> Any:
        return await n

    with pytest.raises(TypeError) as caught:
        await each(work, range(1), workers=1)
    assert "needs an async function" not in str(caught.value)
    assert caught.value.__notes__ == ["in each, at the item 0"]


async def test_a_plain_function_that_returns_something_to_await() -> None:
    """Is as good as an async one."""

    def plain(n: int) -> Awaitable[int]:
        return double(n)

    await each(plain, range(3), workers=1)
    pool = Pool(lambda n: -n, workers=2, run_in="thread")
    async with pool, map_in_tasks(pool.call, range(5), workers=3) as results:
        assert await collect(results) == [0, -1, -2, -3, -4]


@on_asyncio
async def test_a_call_that_is_cancelled_by_nobody() -> None:
    """Such as by awaiting what was cancelled: an error, so that no item is dropped."""

    async def work(n: int) -> int:
        if n == 1:
            raise asyncio.CancelledError
        return n

    with pytest.raises(anyio.TaskCancelled) as caught:
        await each(work, range(3), workers=1)
    assert caught.value.__notes__ == ["in each, at the item 1"]
    out: list[Any] = []
    async with map_in_tasks(work, range(3), workers=1) as results:
        for _ in range(3):
            try:
                out.append(await anext(results))
            except anyio.TaskCancelled as error:
                out += error.__notes__
    assert out == [0, "in map, at the item 1", 2]


# Errors of the source


def breaking(error: Exception) -> Iterator[int]:
    yield 0
    yield 1
    raise error


async def breaking_later(error: Exception) -> AsyncIterator[int]:
    yield 0
    await checkpoint()
    yield 1
    raise error


@pytest.mark.parametrize("make", [breaking, breaking_later])
@pytest.mark.parametrize("ordered", [True, False])
async def test_an_error_of_the_source(make: Any, ordered: bool) -> None:
    """Comes out of each, or of the iteration: after the results, if in order."""
    error, done = LookupError("broken"), list[int]()

    async def note(n: int) -> int:
        await checkpoint()
        done.append(n)
        return n

    with pytest.raises(LookupError) as caught:
        await each(note, make(error), workers=3)
    assert caught.value is error
    assert sorted(done) == [0, 1]

    out, undelivered = list[int](), list[int]()
    with pytest.raises(LookupError) as caught:
        async with map_in_tasks(
            note,
            make(error),
            workers=3,
            ordered=ordered,
            on_undelivered=undelivered.append,
        ) as results:
            async for n in results:
                out.append(n)
    assert caught.value is error
    assert sorted(out + undelivered) == [0, 1]
    assert not ordered or out == [0, 1]


async def test_a_handle_that_is_closed_meanwhile() -> None:
    """Is an error; the channel is not touched any more."""
    ch: Channel[int] = Channel(10)
    other = ch.receiver()
    with ch.receiver() as rx:
        await ch.send_many(range(5))

        async def work(n: int) -> None:
            if n == 1:
                rx.close()

        with pytest.raises(ChannelClosed):
            await each(work, rx, workers=1)
        assert ch.drain() == [2, 3, 4]
        with pytest.raises(ChannelClosed):
            await each(work, rx, workers=1)
        async with map_in_tasks(double, rx, workers=2) as results:
            with pytest.raises(ChannelClosed):
                await anext(results)
            assert await collect(results) == []
    other.close()


async def test_channels_and_handles_are_left_open() -> None:
    """Whoever made them closes them."""
    ch: Channel[int] = Channel(10)
    with ch.receiver() as rx, ch.sender() as tx:
        for _ in range(2):
            await tx.send(1)
            async with map_in_tasks(double, rx, workers=2) as results:
                assert await anext(results) == 2
            with anyio.move_on_after(0):
                await each(double, rx, workers=2)
            assert not rx.closed
        assert ch.statistics().receivers_waiting == 0
        assert not ch.closed


# Leaving, and being cancelled


async def test_leaving_early_cancels_the_rest() -> None:
    """Each item drawn and not delivered is reported once, in order."""
    begun, cancelled, undelivered = list[int](), list[int](), list[int]()

    async def work(n: int) -> int:
        begun.append(n)
        if n > 2:
            try:
                await anyio.sleep_forever()
            except BaseException:
                cancelled.append(n)
                raise
        return n

    ch: Channel[int] = Channel(100)
    await ch.send_many(range(50))
    async with map_in_tasks(
        work, ch, workers=3, buffer=2, on_undelivered=undelivered.append
    ) as results:
        async for n in results:
            if n == 1:
                break
        await parked()
    assert begun == [0, 1, 2, 3, 4, 5]
    assert sorted(cancelled) == [3, 4, 5]
    assert undelivered == [2, 3, 4, 5]
    assert ch.drain() == [*range(6, 50)]
    assert await collect(results) == []


async def test_leaving_at_once_draws_nothing() -> None:
    """The workers have not begun, and do not any more."""
    ch: Channel[int] = Channel(100)
    await ch.send_many(range(5))
    undelivered: list[int] = []
    async with map_in_tasks(double, ch, workers=3, on_undelivered=undelivered.append):
        pass
    assert undelivered + ch.drain() == [*range(5)]
    with anyio.CancelScope() as scope:
        scope.cancel()
        await each(double, ch, workers=3)


async def test_errors_of_on_undelivered_come_out_at_the_end() -> None:
    """When all items have been handed back."""
    undelivered: list[int] = []

    def complain(n: int) -> None:
        undelivered.append(n)
        if n % 2:
            raise LookupError(n)

    for first, type_, count in ((3, LookupError, 1), (1, ExceptionGroup, 2)):
        undelivered.clear()
        source = range(first, first + 3)
        with pytest.raises(type_):
            async with map_in_tasks(
                give, source, workers=2, on_undelivered=complain
            ) as results:
                await parked()
                if count == 1:
                    await anext(results)
        assert undelivered == [*source][-len(undelivered) :]
        assert len(undelivered) >= 2


async def test_receiving_a_result_can_be_cancelled() -> None:
    """Then it is the next to be received."""
    gate = anyio.Event()

    async def work(n: int) -> int:
        if n == 0:
            await gate.wait()
        return n

    async with map_in_tasks(work, range(4), workers=2) as results:
        for _ in range(3):
            with anyio.move_on_after(0.001) as scope:
                await anext(results)
            assert scope.cancelled_caught
        gate.set()
        assert await collect(results) == [0, 1, 2, 3]


async def test_cancelled_from_outside(backend: str) -> None:
    """All that is in the source stays there, and what was drawn is accounted for."""
    for way in ways_on(backend):
        ch: Channel[int] = Channel(100)
        await ch.send_many(range(50))
        begun, cancelled, undelivered = list[int](), list[int](), list[int]()

        async def work(
            n: int, begun: list[int] = begun, cancelled: list[int] = cancelled
        ) -> None:
            begun.append(n)
            try:
                await anyio.sleep_forever()
            except BaseException:
                cancelled.append(n)
                raise

        async def use_map(
            ch: Channel[int] = ch, work: Any = work, undelivered: Any = undelivered
        ) -> None:
            async with map_in_tasks(
                work, ch, workers=2, on_undelivered=undelivered.append
            ) as results:
                await collect(results)

        for use in (functools.partial(each, work, ch, workers=2), use_map):
            cancels: list[Any] = []
            await strike(way, use, cancels)
        assert begun == [0, 1, 2, 3]
        assert sorted(cancelled) == begun
        assert undelivered == [2, 3]
        assert ch.drain() == [*range(4, 50)]


async def strike(way: Any, use: Callable[[], Awaitable[None]], cancels: Any) -> None:
    """Begin something, and cancel it when it waits."""

    class Expose:
        def __init__(self, cancel: Any) -> None:
            cancels.append(cancel)

        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

    async with Group() as g:
        g.go(way, use, Expose)
        await parked()
        cancels[0]()


async def test_an_endless_source() -> None:
    """Is drawn from as far as results are wanted."""

    def count() -> Iterator[int]:
        n = 0
        while True:
            yield n
            n += 1

    async with map_in_tasks(double, count(), workers=3) as results:
        async for n in results:
            if n == 20:
                break


@pytest.mark.parametrize("way", ["left", "failed", "cancelled", "ended"])
async def test_an_iterator_made_here_is_closed(way: str) -> None:
    """On every end, as nobody else can do it."""
    rows = Rows(5 if way == "ended" else math.inf)
    with suppress(LookupError), anyio.CancelScope() as scope:
        async with map_in_tasks(double, rows, workers=2) as results:
            async for n in results:
                if n == 8 and way != "ended":
                    break
            if way == "failed":
                raise LookupError
            if way == "cancelled":
                scope.cancel()
                await checkpoint()
    assert rows.closed


@pytest.mark.parametrize("way", ["failed", "cancelled", "ended"])
async def test_an_iterator_made_for_each_is_closed(way: str) -> None:
    """Likewise."""
    rows = Rows(5 if way == "ended" else math.inf)

    async def work(n: int) -> None:
        await checkpoint()
        if n == 4 and way == "failed":
            raise LookupError
        if n == 4 and way == "cancelled":
            scope.cancel()

    with suppress(LookupError), anyio.CancelScope() as scope:
        await each(work, rows, workers=2)
    assert rows.closed


async def test_a_generator_of_somebody_else_is_left_as_it_is() -> None:
    """Whoever made it may go on with it, and closes it."""
    async with aclosing(generated()) as numbers:
        async with map_in_tasks(give, numbers, workers=1, buffer=0) as results:
            await parked()
            assert await anext(results) == 0
            await parked()
        drawn = 2
        assert [n async for n in numbers] == [*range(drawn, 10)]


async def test_an_error_stops_a_source_that_is_being_waited_for() -> None:
    """Neither a channel nor a stream keeps each from ending."""

    async def silent() -> AsyncIterator[int]:
        yield 0
        await anyio.sleep_forever()

    async def work(n: int) -> None:
        await parked()
        raise LookupError(n)

    ch: Channel[int] = Channel(1)
    await ch.send(0)
    for source in (ch, silent()):
        with pytest.raises(LookupError):
            await each(work, source, workers=3)
    assert ch.statistics().receivers_waiting == 0


async def test_two_maps_over_one_channel() -> None:
    """Share its items."""
    ch = filled()
    async with (
        map_in_tasks(double, ch, workers=2) as some,
        map_in_tasks(double, ch, workers=2) as others,
    ):
        out = await collect(some) + await collect(others)
    assert sorted(out) == [*range(0, 20, 2)]


async def test_a_map_of_a_map() -> None:
    """What is iterated can be a source."""
    async with (
        map_in_tasks(double, range(10), workers=3) as doubles,
        map_in_tasks(double, doubles, workers=3) as results,
    ):
        assert await collect(results) == [*range(0, 40, 4)]


async def test_results_shared_by_several_tasks() -> None:
    """Each is received once."""
    out: list[int] = []

    async def receive() -> None:
        async for n in results:
            out.append(n)  # noqa: PERF401 - by two at once

    async with map_in_tasks(double, range(20), workers=3) as results, Group() as g:
        g.go(receive)
        g.go(receive)
    assert sorted(out) == [*range(0, 40, 2)]


async def test_who_still_waits_when_the_block_is_left_is_told() -> None:
    """That this is the end, or that the call was cancelled."""
    ends: list[str] = []

    async def work(n: int) -> int:
        return await (sleep(1000) if n else give(n))

    async def receive() -> None:
        try:
            await anext(results)
        except (StopAsyncIteration, anyio.TaskCancelled) as error:
            ends.append(type(error).__name__)

    async with Group() as g, map_in_tasks(work, range(2), workers=1) as results:
        await anext(results)
        for _ in range(2):
            g.go(receive)
            await parked()
    assert sorted(ends) == ["StopAsyncIteration", "TaskCancelled"]


async def test_go_in_the_block_and_in_a_call() -> None:
    """The block's tasks belong to the group around."""
    ended: list[str] = []

    async def end(name: str) -> None:
        await parked()
        ended.append(name)

    async with Group():
        async with map_in_tasks(give, range(3), workers=1) as results:
            go(end, "of the block")
            assert await collect(results) == [0, 1, 2]
        assert ended == []
    assert ended == ["of the block"]


async def test_nothing_is_left_in_the_books_of_a_scope() -> None:
    """On every end; what is in the source is the user's."""
    ch: Channel[int] = Channel(100)
    await ch.send_many(range(50))
    async with stop_scope():
        with anyio.move_on_after(0.001):
            await each(sleep, ch, workers=2)
        with anyio.move_on_after(0.001):
            await each(sleep, Rows(), workers=2)
        for ordered in (True, False):
            async with map_in_tasks(give, ch, workers=2, buffer=2, ordered=ordered):
                await parked()
        map_in_tasks(give, ch, workers=2)
    ch.drain()


# Bad use


async def test_iterating_a_bare_map() -> None:
    """Is an error that says what to write."""
    with pytest.raises(TypeError, match=r"write async with map\(\.\.\.\) as results"):
        async for _ in map_in_tasks(double, range(3), workers=2):  # type: ignore[attr-defined]
            pass


async def test_a_map_can_be_used_once() -> None:
    """Its source is used up."""
    them = map_in_tasks(double, [1, 2], workers=2)
    async with them as results:
        assert await collect(results) == [2, 4]
    with pytest.raises(RuntimeError, match="can be entered only once: make another"):
        async with them:
            pass


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"workers": 0}, ValueError, "workers must be 1 or more, not 0"),
    ({"workers": -1}, ValueError, "workers must be 1 or more, not -1"),
    ({"workers": True}, TypeError, "workers must be a whole number, not True"),
    ({"workers": 1.5}, TypeError, "workers must be a whole number, not 1.5"),
    ({"workers": None}, TypeError, "workers must be a whole number, not None"),
    ({"workers": math.inf}, TypeError, "workers must be a whole number, not inf"),
    ({"source": 3}, TypeError, "takes a channel, a Receiver, an iterable .* not 3"),
    ({"source": None}, TypeError, "or an async iterable, not None"),
    ({"source": double}, TypeError, "or an async iterable, not <function double"),
    ({"source": Channel[int]().sender}, TypeError, "or an async iterable, not <bound"),
    ({"fn": 3}, TypeError, "needs an async function, not 3"),
]


@pytest.mark.parametrize(("options", "error", "words"), BAD)
async def test_bad_arguments_are_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """At once, and with the value."""
    options = {"fn": double, "source": [1], "workers": 1} | options
    with pytest.raises(error, match=words):
        map_in_tasks(**options)
    with pytest.raises(error, match=words):
        await each(**options)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"buffer": -1}, ValueError, "buffer must be 0 or more, not -1"),
        ({"buffer": None}, TypeError, "buffer must be a whole number, not None"),
        ({"buffer": True}, TypeError, "buffer must be a whole number, not True"),
        ({"on_undelivered": 3}, TypeError, "must be a function of one item, not 3"),
    ],
)
async def test_bad_options_of_map_are_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """Likewise."""
    with pytest.raises(error, match=words):
        map_in_tasks(double, [1], workers=1, **options)


# Errors that mean something else elsewhere


def ends_by_mistake() -> Iterator[int]:
    yield 0
    raise EndOfChannel


async def ends_by_mistake_too() -> AsyncIterator[int]:
    yield 0
    raise EndOfChannel


@pytest.mark.parametrize("source", [ends_by_mistake, ends_by_mistake_too])
async def test_an_end_that_is_not_the_sources_own_is_an_error(source: Any) -> None:
    """Such as of a channel that a generator receives from: or it would pass for it."""
    async with map_in_tasks(give, source(), workers=2) as results:
        assert await anext(results) == 0
        with pytest.raises(RuntimeError, match="source raised EndOfChannel") as caught:
            await anext(results)
        assert isinstance(caught.value.__cause__, EndOfChannel)
    with pytest.raises(RuntimeError, match="source raised EndOfChannel"):
        await each(give, source(), workers=2)


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_stray_end_of_an_iteration_does_not_end_a_map(ordered: bool) -> None:
    """As in an async generator, it is an error."""

    async def work(n: int) -> int:
        if n == 1:
            await anext(empty())
        return n

    async def empty() -> AsyncIterator[int]:
        for n in ():
            yield n

    out = []
    async with map_in_tasks(work, range(3), workers=1, ordered=ordered) as results:
        out.append(await anext(results))
        with pytest.raises(RuntimeError, match="raised StopAsyncIteration") as caught:
            await anext(results)
        assert "at the item 1" in caught.value.__notes__[0]
        out += await collect(results)
    assert out == [0, 2]


@dataclass(frozen=True)
class Frozen(Exception):
    """An error that takes no notes."""


class Dumb:
    """An item that does not say what it is."""

    def __repr__(self) -> str:
        raise LookupError


async def test_an_error_that_takes_no_note() -> None:
    """It comes out without one."""

    async def work(n: int) -> None:
        raise error

    error = Frozen()
    async with map_in_tasks(work, range(2), workers=1) as results:
        for _ in range(2):
            with pytest.raises(Frozen) as caught:
                await anext(results)
            assert caught.value is error


async def test_an_item_without_a_repr() -> None:
    """What it failed with is told all the same."""

    async def work(item: object) -> None:
        raise LookupError

    with pytest.raises(LookupError) as caught:
        await each(work, [Dumb()], workers=1)
    assert "<Dumb instance at" in caught.value.__notes__[0]
    async with map_in_tasks(work, [Dumb()], workers=1) as results:
        with pytest.raises(LookupError):
            await anext(results)
