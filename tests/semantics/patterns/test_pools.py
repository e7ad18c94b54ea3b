"""Pools, each and map as small programs, which hold under any schedule.

Also if one of their waits is cancelled, at any moment and in any way: that of a caller,
of a job, or of a worker itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    ChannelClosed,
    Group,
    Overloaded,
    Pool,
    after,
    done,
    each,
    select,
    stop_scope,
)
from csp._each import map as map_in_tasks
from tests.semantics.patterns.exploring import BACKENDS, Programs, explore_all_ways

PROGRAMS = Programs()
program = PROGRAMS.add


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_holds_under_any_schedule(
    program: Any, backend: str, scale: Callable[[int, int], int]
) -> None:
    """Whatever is cancelled."""
    explore_all_ways(program, backend, scale(20, 2_500))


class Cancelled(Exception):
    """What a task that was cancelled leaves in the books."""


class Ledger:
    """What became of jobs, as their functions, their callers and the pool tell it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.returned: list[str] = []
        self.raised: list[str] = []
        self.got: dict[str, Any] = {}
        self.undelivered: list[str] = []
        self.running = 0

    def pool(self, **options: Any) -> Pool[str, str]:
        return Pool(self.work, on_undelivered=self.undelivered.append, **options)

    async def work(self, item: str) -> str:
        """Do what the item's first letter says, in one step or in more."""
        assert item not in self.begun
        self.begun.append(item)
        self.running += 1
        try:
            if item[0] != "a":
                await checkpoint()
            if item[0] == "f":
                raise LookupError(item)
        except LookupError:
            self.raised.append(item)
            raise
        except BaseException:
            if item[0] != "s":
                raise
        finally:
            self.running -= 1
        self.returned.append(f"did {item}")
        return f"did {item}"

    async def call(self, pool: Pool[str, str], *items: str) -> None:
        """Have jobs done one after the other, and book what came of each."""
        for item in items:
            try:
                self.got[item] = await pool.call(item)
            except Exception as error:
                self.got[item] = error
            except BaseException as error:  # by asyncio alone, from what the job raised
                told = isinstance(error.__cause__, LookupError)
                self.got[item] = error.__cause__ if told else Cancelled()
                raise

    async def await_job(self, job: Any) -> None:
        """Book what came of a job that was submitted."""
        try:
            self.got[job.item] = await job
        except Exception as error:
            self.got[job.item] = error

    def settle(self, pool: Pool[str, str]) -> None:
        """Compare the books: each job ran at most once, and its end is known."""
        now = pool.statistics()
        assert (now.running, now.queued, now.waiting) == (0, 0, 0)
        assert (
            pool._jobs.channel.statistics().sent
            == now.finished + now.failed + now.cancelled
        )
        assert now.finished == len(self.returned)
        assert now.failed == len(self.raised)
        assert self.running == 0
        delivered = [got for got in self.got.values() if isinstance(got, str)]
        assert Counter(delivered + self.undelivered) == Counter(self.returned)
        failed = [i for i, got in self.got.items() if isinstance(got, LookupError)]
        assert sorted(failed) == sorted(self.raised)


async def calls(**options: Any) -> None:
    """Several callers, more than there is room for."""
    ledger = Ledger()
    async with ledger.pool(**options) as pool, Group() as g:
        g.go(ledger.call, pool, "a1", "b1")
        g.go(ledger.call, pool, "s1", "f1")
        g.go(ledger.call, pool, "b2")
    ledger.settle(pool)


@program
async def calls_of_one_worker() -> None:
    await calls(workers=1)


@program
async def calls_of_two_workers_and_a_queue() -> None:
    await calls(workers=2, queue=1)


@program
async def calls_that_may_be_rejected() -> None:
    await calls(workers=1, queue=1, on_full="reject")


@program
async def callers_outside() -> None:
    """The pool closes while they call: what was admitted is done, the rest refused."""
    ledger = Ledger()
    async with Group() as g, ledger.pool(workers=1, queue=1) as pool:
        g.go(ledger.call, pool, "b1", "b2")
        g.go(ledger.call, pool, "s1", "a1")
        await checkpoint()
    ledger.settle(pool)
    for got in ledger.got.values():
        assert isinstance(got, (str, ChannelClosed, anyio.TaskCancelled, Cancelled))


@program
async def a_block_that_fails() -> None:
    """Running and queued jobs are cancelled; nobody waits for ever."""
    ledger = Ledger()
    async with Group() as g:
        with suppress(ZeroDivisionError):
            async with ledger.pool(workers=1, queue=1) as pool:
                g.go(ledger.call, pool, "b1")
                g.go(ledger.call, pool, "s1", "a1")
                g.go(ledger.call, pool, "b2")
                await checkpoint()
                raise ZeroDivisionError
    ledger.settle(pool)


@program
async def handles() -> None:
    """Some are cancelled, by hand, at any moment."""
    ledger = Ledger()
    async with ledger.pool(workers=1, queue=1) as pool, Group() as g:

        async def submit(item: str, cancel: bool) -> None:
            job = await pool.submit(item)
            if cancel:
                g.go(take_back, job)
            await select(end=done(job))
            await ledger.await_job(job)

        async def take_back(job: Any) -> None:
            await checkpoint()
            job.cancel()

        g.go(submit, "b1", True)
        g.go(submit, "s1", True)
        g.go(submit, "b2", False)
    now = pool.statistics()
    assert (now.running, now.queued, now.waiting) == (0, 0, 0)
    for got in ledger.got.values():
        assert isinstance(got, anyio.TaskCancelled) or got in ledger.returned
        assert got not in ledger.undelivered


@program
async def a_pool_that_is_cut() -> None:
    """By a stop request, with or without time to finish."""
    ledger = Ledger()
    async with Group() as g:
        with suppress(BaseExceptionGroup):
            async with stop_scope() as stop, ledger.pool(workers=1, grace=1) as pool:
                g.go(ledger.call, pool, "b1", "b2")
                g.go(ledger.call, pool, "s1")
                await checkpoint()
                stop.request()
                await select(late=after(2))
    ledger.settle(pool)


@program
async def a_rejection_is_right() -> None:
    """Nobody is rejected as long as there is room."""

    async def work(_: None) -> None:
        await checkpoint()

    async with Pool(work, workers=1, queue=1, on_full="reject") as pool, Group() as g:

        async def call() -> None:
            before = pool.statistics()
            with suppress(anyio.TaskCancelled):
                try:
                    await pool.call(None)
                except Overloaded:
                    assert before.running + before.queued == 2

        for _ in range(4):
            g.go(call)


# each and map


async def step(n: int) -> int:
    """Take more or fewer steps, one after the other in no order."""
    for _ in range(n % 3):
        await checkpoint()
    return n


class Source:
    """A channel of numbers, and what became of each."""

    def __init__(self, count: int, capacity: int) -> None:
        self.ch: Channel[int] = Channel(capacity)
        self.count = count
        self.sent: list[int] = []
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.undelivered: list[int] = []
        self.results: list[int] = []
        self.errors: list[Exception] = []

    async def feed(self) -> None:
        try:
            for n in range(self.count):
                await self.ch.send(n)
                self.sent.append(n)
        finally:
            self.ch.close()

    async def work(self, n: int) -> int:
        self.begun.append(n)
        try:
            return await step(n)
        except BaseException:
            self.cancelled.append(n)
            raise

    async def receive(self, results: AsyncIterator[int], limit: int = 99) -> None:
        """Take results to the end, or to that many, or until there is an error."""
        try:
            async for n in results:
                self.results.append(n)
                if len(self.results) == limit:
                    break
        except (anyio.TaskCancelled, ChannelClosed) as error:
            self.errors.append(error)

    def settle(self, out: Iterable[int]) -> None:
        """Compare what was sent with what came out and with what is left."""
        missing = Counter(self.sent)
        missing.subtract([*out, *self.ch.drain()])
        lost = [*missing.elements()]
        assert not -missing, f"doubled: {-missing}"
        assert set(lost) <= set(self.cancelled), "lost"
        assert len(lost) <= len(self.errors), "lost"
        assert self.begun == [*dict.fromkeys(self.begun)]

    def settle_map(self, in_order: bool = True) -> None:
        self.settle(self.results + self.undelivered)
        assert self.results == sorted(self.results) or not in_order

    async def feed_while(self, use: Callable[[], Awaitable[None]]) -> None:
        """Feed the channel as long as `use` takes something out of it."""
        async with Group() as g:
            feed, user = g.go(self.feed), g.go(use)
            await done(user)
            feed.cancel()


@program
async def each_of_a_channel() -> None:
    """Each item is given to the function once, or left where it was."""
    source = Source(5, 1)

    async def use() -> None:
        with suppress(anyio.TaskCancelled):
            await each(source.work, source.ch, workers=2)

    await source.feed_while(use)
    source.settle(source.begun)


@program
async def each_that_fails() -> None:
    """What was drawn is finished, and nothing else is drawn."""
    source, ended = Source(6, 2), list[int]()
    begun = 9

    async def work(n: int) -> None:
        nonlocal begun
        await source.work(n)
        ended.append(n)
        if n == 2:
            begun = len(source.begun)
            raise LookupError

    async def use() -> None:
        try:
            await each(work, source.ch, workers=2)
        except (LookupError, anyio.TaskCancelled, ExceptionGroup) as error:
            if isinstance(error, LookupError):
                assert sorted(ended + source.cancelled) == sorted(source.begun)
                assert len(ended) <= begun + 1  # one may have been on its way

    await source.feed_while(use)
    source.settle(source.begun)


async def map_all(source: Source, ordered: bool, limit: int = 99) -> None:
    """Take results to the end, or not quite."""

    async def take() -> None:
        async with map_in_tasks(
            source.work,
            source.ch,
            workers=2,
            buffer=1,
            ordered=ordered,
            on_undelivered=source.undelivered.append,
        ) as results:
            await source.receive(results, limit)

    await source.feed_while(take)
    source.settle_map(ordered)


@program
async def map_in_order() -> None:
    await map_all(Source(5, 1), ordered=True)


@program
async def map_as_ready() -> None:
    await map_all(Source(5, 1), ordered=False)


@program
async def map_that_is_left_early() -> None:
    await map_all(Source(6, 2), ordered=True, limit=2)


@program
async def map_as_ready_that_is_left_early() -> None:
    await map_all(Source(6, 0), ordered=False, limit=2)


@program
async def map_whose_results_are_received_with_a_timeout() -> None:
    """One that was being waited for when that struck is the next to be received."""
    results: list[int] = []
    errors = 0

    async def work(n: int) -> int:
        await after(n % 3)
        return n

    async with map_in_tasks(work, range(5), workers=2) as them:
        while True:
            try:
                with anyio.move_on_after(0.7):
                    results.append(await anext(them))
            except anyio.TaskCancelled:
                errors += 1
            except StopAsyncIteration:
                break
    assert results == sorted(results)
    assert 5 <= len(results) + errors <= 6  # one for the source, if a draw is struck


@program
async def two_maps_of_one_channel() -> None:
    """Each item is in one of them; either may be cancelled."""
    source = Source(5, 1)

    async def take() -> None:
        async with map_in_tasks(
            source.work, source.ch, workers=1, on_undelivered=source.undelivered.append
        ) as results:
            await source.receive(results)

    async def take_twice() -> None:
        async with Group() as g:
            g.go(take)
            g.go(take)

    await source.feed_while(take_twice)
    source.settle_map(in_order=False)


@program
async def map_of_a_generator() -> None:
    """One worker at a time draws from it, so all come in order."""
    source = Source(5, 0)

    async def numbers() -> AsyncIterator[int]:
        for n in range(5):
            await step(n)
            source.sent.append(n)
            yield n

    async with (
        aclosing(numbers()) as them,
        map_in_tasks(
            source.work, them, workers=2, on_undelivered=source.undelivered.append
        ) as results,
    ):
        await source.receive(results)
    source.settle_map()


@program
async def map_of_a_handle_that_is_closed() -> None:
    """Its error comes at the end, and nothing is lost."""
    source = Source(4, 1)
    rx, other = source.ch.receiver(), source.ch.receiver()

    async def close() -> None:
        await checkpoint()
        rx.close()

    async def take() -> None:
        with rx:
            async with map_in_tasks(
                source.work, rx, workers=2, on_undelivered=source.undelivered.append
            ) as results:
                await source.receive(results)

    with rx, other:
        async with Group() as g:
            g.go(close)
            await source.feed_while(take)
        source.settle_map()
