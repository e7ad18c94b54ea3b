"""Pools: jobs, those who call, and what becomes of both."""

from __future__ import annotations

import asyncio
import gc
import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    ChannelClosed,
    DrainReport,
    EndOfChannel,
    Group,
    Handle,
    Overloaded,
    Pool,
    PoolStatistics,
    WorkerDied,
    after,
    done,
    go,
    select,
    stop_scope,
)
from csp._processes import ProcessSeat
from tests.conftest import BACKENDS
from tests.semantics.cancelling import Cancel, Way, this_task, ways_on

pytestmark = pytest.mark.anyio

ON_ASYNCIO = [name for name in BACKENDS if name != "trio"]
LOOPS = [name for name in ("asyncio", "trio", "uvloop") if find_spec(name) is not None]
on_asyncio = pytest.mark.parametrize("backend", ON_ASYNCIO, indirect=True)
on_trio = pytest.mark.parametrize(
    "backend", [name for name in BACKENDS if name == "trio"], indirect=True
)


def ways(backend: str) -> list[Way]:
    """Return the ways to cancel a call; just two on asyncio's slower kinds."""
    return ways_on(backend)[: None if backend in ("asyncio", "trio") else 2]


async def settled() -> None:
    """Wait until nothing goes on; asyncio's own callbacks are none of the tasks'."""
    for _ in range(3):
        await parked()


class Jobs:
    """What jobs do: note that they have begun, and wait until they may end."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.ended: list[Any] = []
        self.cancelled: list[Any] = []
        self.gates: dict[Any, anyio.Event] = {}
        self.running = self.most = 0

    def gate(self, item: Any) -> anyio.Event:
        return self.gates.setdefault(item, anyio.Event())

    def let(self, *items: Any) -> None:
        for item in items:
            self.gate(item).set()

    async def __call__(self, item: Any) -> Any:
        self.begun.append(item)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate(item).wait()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await checkpoint()
            self.cancelled.append(item)
            raise
        finally:
            self.running -= 1
        self.ended.append(item)
        return f"result of {item}"


class Unpicklable:
    """Can be pickled, but not the other way."""

    def __reduce__(self) -> Any:
        return int, ("x",)


class Calls:
    """Callers of a pool, and what each got."""

    def __init__(self, pool: Pool[Any, Any], group: Group) -> None:
        self.pool = pool
        self.group = group
        self.got: dict[Any, Any] = {}

    async def __call__(self, *items: Any) -> None:
        """Let a caller come for each, one after the other."""
        for item in items:
            self.group.go(self._call, item)
            await parked()

    async def _call(self, item: Any) -> None:
        try:
            self.got[item] = await self.pool.call(item)
        except Exception as error:
            self.got[item] = error


async def double(n: int) -> int:
    await checkpoint()
    return 2 * n


async def give(value: Any) -> Any:
    return value


async def sleep(seconds: float) -> float:
    await anyio.sleep(seconds)
    return seconds


# Calls


@pytest.mark.clock
async def test_results_and_errors_go_to_their_callers() -> None:
    """However long each job takes."""

    async def work(n: int) -> int:
        await anyio.sleep((n * 7) % 5)
        if n % 3 == 0:
            raise ValueError(n)
        return n * n

    async with Group() as g, Pool(work, workers=3, queue=2) as pool:
        calls = Calls(pool, g)
        await calls(*range(12))
    for n, got in calls.got.items():
        if n % 3:
            assert got == n * n
        else:
            assert isinstance(got, ValueError)
            assert got.args == (n,)
    assert pool.statistics() == PoolStatistics(3, 0, 0, 0, 8, 4, 0, 0)


async def test_the_error_is_the_very_one() -> None:
    """With its traceback, and without anything of ours around it."""
    error = LookupError("no such thing")

    async def fail(_: None) -> None:
        raise error

    async with Pool(fail, workers=1) as pool:
        with pytest.raises(LookupError) as caught:
            await pool.call(None)
    assert caught.value is error
    assert caught.value.__cause__ is None
    assert "fail" in [entry.name for entry in caught.traceback]


async def test_at_most_so_many_run_at_once() -> None:
    """The rest are queued, and the rest of those wait."""
    jobs = Jobs()
    async with Group() as g, Pool(jobs, workers=2, queue=3) as pool:
        calls = Calls(pool, g)
        await calls(*range(7))
        assert jobs.begun == [0, 1]
        assert pool.statistics() == PoolStatistics(2, 2, 3, 2, 0, 0, 0, 0)
        jobs.let(*range(7))
    assert jobs.most == 2
    assert jobs.begun == [*range(7)]


async def test_first_come_first_served() -> None:
    """Whether by call or by submit, queued or waiting for room."""
    jobs = Jobs()
    async with Group() as g, Pool(jobs, workers=1, queue=1) as pool:
        calls = Calls(pool, g)
        await calls("a", "b", "c")
        g.go(pool.submit, "d")
        await parked()
        await calls("e")
        jobs.let(*"abcde")
    assert jobs.begun == [*"abcde"]


async def test_rejects_at_once_when_full() -> None:
    """And takes jobs again as soon as one has ended."""
    jobs = Jobs()
    async with Group() as g:
        pool = Pool(jobs, workers=1, queue=1, on_full="reject", name="small")
        async with pool:
            calls = Calls(pool, g)
            await calls("a", "b", "c")
            with pytest.raises(Overloaded, match="<Pool 'small' of 1> has no room"):
                await pool.submit("d")
            assert pool.statistics() == PoolStatistics(1, 1, 1, 0, 0, 0, 0, 2)
            assert isinstance(calls.got["c"], Overloaded)
            jobs.let(*"abcde")
            await parked()
            assert await pool.call("e") == "result of e"
    assert jobs.begun == [*"abe"]


async def test_an_idle_worker_takes_a_job_without_a_queue() -> None:
    """From the first moment on, and also when it has just been cancelled."""
    jobs = Jobs()
    async with Pool(jobs, workers=2, on_full="reject") as pool:
        first, second = await pool.submit("a"), await pool.submit("b")
        with pytest.raises(Overloaded):
            await pool.call("c")
        jobs.let("a", "d")
        await first
        with anyio.move_on_after(0):
            await pool.call("x")
        third = await pool.submit("d")
        second.cancel()
        await done(second)
        fourth = await pool.submit("d")
        assert await third == await fourth == "result of d"


async def test_a_queue_without_bounds() -> None:
    """Nobody ever waits, or is refused."""
    for on_full in ("wait", "reject"):
        async with Pool(double, workers=2, queue=math.inf, on_full=on_full) as pool:
            handles = [await pool.submit(n) for n in range(100)]
            assert pool.statistics().waiting == 0
            assert [await handle for handle in handles] == [2 * n for n in range(100)]


async def test_a_call_is_a_checkpoint() -> None:
    """Even if it could always be done at once: so a loop of them can be cancelled."""
    async with Pool(give, workers=1) as pool:
        with anyio.CancelScope() as scope:
            scope.cancel()
            while True:
                await pool.call(1)
        assert scope.cancelled_caught


async def test_a_job_may_call_another_pool() -> None:
    """Or its own, as long as a worker is left for that."""

    async def countdown(n: int) -> list[int]:
        return [n, *(await pool.call(n - 1) if n else ())]

    async with Pool(countdown, workers=4) as pool:
        assert await pool.call(3) == [3, 2, 1, 0]
        async with Pool(pool.call, workers=1) as outer:
            assert await outer.call(2) == [2, 1, 0]


@pytest.mark.clock
async def test_jobs_that_wait_for_their_own_pool_wait_for_ever() -> None:
    """As documented; a cancellation gets them out of there."""

    async def again(n: int) -> int:
        return await pool.call(n) if n else 0

    async with Pool(again, workers=1) as pool:
        with anyio.move_on_after(1) as scope:
            await pool.call(1)
        assert scope.cancelled_caught
        assert await pool.call(0) == 0


# Handles


async def test_submit_returns_a_handle() -> None:
    """To await in the block, after it, and again."""
    jobs = Jobs()
    async with Pool(jobs, workers=1, queue=1, name="p") as pool:
        handle, other = await pool.submit("a"), await pool.submit("b")
        assert isinstance(handle, Handle)
        assert not handle.finished
        await parked()
        assert (repr(handle), repr(other)) == (
            "<Job 'a' of p running>",
            "<Job 'b' of p queued>",
        )
        jobs.let("a", "b")
        assert await handle == "result of a"
    assert handle.finished
    assert repr(handle) == "<Job 'a' of p finished>"
    assert await handle == "result of a"


async def test_a_failed_job_raises_from_its_handle() -> None:
    """Only there: the pool goes on, and nobody has to look."""

    async def fail(n: int) -> None:
        raise ValueError(n)

    async with Pool(fail, workers=1) as pool:
        handle = await pool.submit(1)
        await pool.submit(2)
    with pytest.raises(ValueError, match="1"):
        await handle
    assert pool.statistics().failed == 2


async def test_done_tells_of_the_end_of_a_job() -> None:
    """In a select; it never raises."""
    jobs = Jobs()
    async with Pool(jobs, workers=1) as pool:
        good = await pool.submit("good")
        assert (await select(end=done(good), late=after(0))).which == "late"
        jobs.let("good")
        assert await select(end=done(good), never=None) == ("end", good)
        cut = await pool.submit("cut")
        cut.cancel()
        assert await done(cut) is cut


async def test_cancelling_a_handle() -> None:
    """Of a job that is queued, handed over, running, or over."""
    jobs = Jobs()
    async with Pool(jobs, workers=1, queue=2) as pool:
        handed = await pool.submit("handed over")
        handed.cancel()
        running, queued = await pool.submit("running"), await pool.submit("queued")
        await parked()
        queued.cancel()
        assert queued.finished
        assert pool.statistics().queued == 0
        running.cancel()
        running.cancel()
        assert not running.finished
        await done(running)
        assert jobs.cancelled == jobs.begun == ["running"]
        jobs.let("over")
        over = await pool.submit("over")
        assert await over == "result of over"
        over.cancel()
        assert await over == "result of over"
    for handle in (handed, queued, running):
        with pytest.raises(anyio.TaskCancelled, match=r"Job '.*' of .* was cancelled"):
            await handle
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 1, 0, 3, 0)


async def test_submit_waits_for_room() -> None:
    """And when it is cancelled there, nothing was submitted."""
    jobs = Jobs()
    async with Group() as g, Pool(jobs, workers=1, queue=1) as pool:
        for item in "abcd":
            handle = g.go(pool.submit, item)
            await parked()
            if item == "c":
                cancelled = handle
        assert pool.statistics() == PoolStatistics(1, 1, 1, 2, 0, 0, 0, 0)
        cancelled.cancel()
        await parked()
        assert pool.statistics().waiting == 1
        jobs.let(*"abcd")
    assert jobs.begun == [*"abd"]
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 3, 0, 0, 0)


# Cancelling a call


class Victim:
    """A call that is cancelled in some way, and what it gave."""

    def __init__(self, pool: Pool[Any, Any], item: Any) -> None:
        self.pool = pool
        self.item = item
        self.result: Any = None
        self.cancel: Cancel

    @contextmanager
    def expose(self, cancel: Cancel) -> Iterator[None]:
        self.cancel = cancel
        yield

    async def call(self) -> None:
        self.result = await self.pool.call(self.item)


# Brings about a moment for a call of "x", cancels it then, and sees to the rest.
Moment = Callable[[Group, Way, Pool[Any, Any], Jobs], Awaitable[None]]


async def begin(g: Group, way: Way, pool: Pool[Any, Any], item: Any = "x") -> Victim:
    victim = Victim(pool, item)
    g.go(way, victim.call, victim.expose)
    await parked()
    return victim


async def while_waiting_for_room(g: Group, way: Way, pool: Any, jobs: Jobs) -> None:
    calls = Calls(pool, g)
    await calls("a", "b")
    victim = await begin(g, way, pool)
    await calls("c")
    assert pool.statistics() == PoolStatistics(1, 1, 1, 2, 0, 0, 0, 0)
    victim.cancel()
    await settled()
    assert pool.statistics() == PoolStatistics(1, 1, 1, 1, 0, 0, 0, 0)
    jobs.let(*"abc")
    await parked()
    assert jobs.ended == [*"abc"]


async def while_queued(g: Group, way: Way, pool: Any, jobs: Jobs) -> None:
    calls = Calls(pool, g)
    await calls("a")
    victim = await begin(g, way, pool)
    await calls("b", "c")
    assert pool.statistics() == PoolStatistics(1, 1, 1, 2, 0, 0, 0, 0)
    victim.cancel()
    await settled()
    assert pool.statistics() == PoolStatistics(1, 1, 1, 1, 0, 0, 1, 0)
    jobs.let(*"abc")
    await parked()
    assert jobs.ended == [*"abc"]


async def while_running(g: Group, way: Way, pool: Any, jobs: Jobs) -> None:
    calls = Calls(pool, g)
    victim = await begin(g, way, pool)
    await calls("a")
    assert jobs.begun == ["x"]
    victim.cancel()
    await settled()
    assert jobs.cancelled == ["x"]
    assert pool.statistics() == PoolStatistics(1, 1, 0, 0, 0, 0, 1, 0)
    jobs.let("a")
    await parked()
    assert jobs.ended == ["a"]


@pytest.mark.parametrize(
    "moment", [while_waiting_for_room, while_queued, while_running]
)
async def test_a_cancelled_caller_takes_the_job_along(
    moment: Moment, backend: str
) -> None:
    """And no other is harmed; those behind it move up."""
    for way in ways(backend):
        jobs = Jobs()
        async with Group() as g, Pool(jobs, workers=1, queue=1) as pool:
            await moment(g, way, pool, jobs)
        assert "x" not in jobs.ended
        assert pool.statistics().running == 0


async def test_a_cancelled_call_ends_when_the_job_has() -> None:
    """All of its finally blocks have run by then, however long they take."""
    log = []
    may_end = anyio.Event()

    async def work(_: None) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await may_end.wait()
            log.append("job")

    async with Group() as g, Pool(work, workers=1) as pool:

        async def call() -> None:
            try:
                await pool.call(None)
            finally:
                log.append("call")

        handle = g.go(call)
        await parked()
        handle.cancel()
        await parked()
        assert log == []
        assert pool.statistics().running == 1
        may_end.set()
    assert log == ["job", "call"]


@on_asyncio
async def test_cancelling_a_call_again_and_again_does_not_hurry_it() -> None:
    """Natively: shields do not hold there."""
    log = []
    may_end = anyio.Event()

    async def work(_: None) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await may_end.wait()
            log.append("job")

    async with Pool(work, workers=1) as pool:
        task = asyncio.ensure_future(pool.call(None))
        for _ in range(3):
            await parked()
            task.cancel()
        await parked()
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert log == ["job"]


async def test_cancelled_in_the_turn_in_which_the_job_ends(backend: str) -> None:
    """It was done, and came to its caller or to on_undelivered; or it was cancelled."""
    for way in ways(backend):
        for first in ("end", "cancel"):
            jobs, undelivered = Jobs(), list[Any]()
            pool = Pool(jobs, workers=1, on_undelivered=undelivered.append)
            async with Group() as g, pool:
                victim = await begin(g, way, pool)
                if first == "end":
                    jobs.let("x")
                    victim.cancel()
                else:
                    victim.cancel()
                    jobs.let("x")
            got = undelivered if victim.result is None else [victim.result]
            assert got == ["result of x"] * pool.statistics().finished
            assert (jobs.ended == ["x"]) == bool(got)
            assert pool.statistics().finished + pool.statistics().cancelled == 1


@on_asyncio
@pytest.mark.parametrize("soon", [True, False])
async def test_a_result_on_its_way_arrives_and_the_cancellation_is_owed(
    soon: bool,
) -> None:
    """Natively cancelled between the end of the job and the step of the caller."""
    task: asyncio.Task[int]

    async def work(n: int) -> int:
        await parked()
        if soon:
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            task.cancel()
        return n

    owed, undelivered = list[str](), list[int]()

    async def call() -> int:
        result = await pool.call(5)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            owed.append("cancelled")
        return result

    async with Pool(work, workers=1, on_undelivered=undelivered.append) as pool:
        task = asyncio.ensure_future(call())
        await asyncio.wait([task])
    if soon:
        assert (task.result(), owed, undelivered) == (5, ["cancelled"], [])
    else:
        assert (task.cancelled(), owed, undelivered) == (True, [], [5])


@on_asyncio
async def test_a_timeout_in_the_turn_in_which_the_job_ends() -> None:
    """asyncio's: the result is there, and the block ends with TimeoutError."""
    result = None

    async def work(timeout: asyncio.Timeout) -> int:
        await parked()
        timeout.reschedule(0)
        return 5

    async with Pool(work, workers=1) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as timeout:
                result = await pool.call(timeout)
                await asyncio.sleep(0.01)
    assert result in (5, None)
    assert this_task().cancelling() == 0


async def test_a_job_that_does_not_let_itself_be_cancelled() -> None:
    """Its result goes to on_undelivered, since its caller is gone."""

    async def stubborn(n: int) -> int:
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep_forever()
        return n

    undelivered: list[int] = []
    async with Pool(stubborn, workers=1, on_undelivered=undelivered.append) as pool:
        for n in (1, 2):
            async with Group() as g:
                g.go(pool.call, n)
                await parked()
                g.cancel()
        assert undelivered == [1, 2]
        handle = await pool.submit(3)
        await parked()
        handle.cancel()
        with pytest.raises(anyio.TaskCancelled):
            await handle
    assert undelivered == [1, 2, 3]
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 3, 0, 0, 0)


async def test_an_error_in_a_cancelled_job_comes_out_of_the_call() -> None:
    """As it would if the job's function had been called directly."""

    async def clumsy(n: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError(n)

    async with Pool(clumsy, workers=1) as pool:
        with pytest.raises(ValueError, match="1"):
            with anyio.move_on_after(0.001):
                await pool.call(1)
        handle = await pool.submit(2)
        await parked()
        handle.cancel()
        with pytest.raises(ValueError, match="2"):
            await handle
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 0, 2, 0, 0)


async def test_a_cancelled_job_with_tasks_of_its_own() -> None:
    """What it raises in a group is told apart from the cancellation."""

    async def clumsy() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError

    async def work(fails: bool) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            if fails:
                tasks.start_soon(clumsy)

    async with Pool(work, workers=1) as pool:
        with anyio.move_on_after(0.001):
            await pool.call(False)
        with pytest.raises(ExceptionGroup) as caught:
            with anyio.move_on_after(0.001):
                await pool.call(True)
        assert isinstance(caught.value.exceptions[0], LookupError)
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 0, 1, 1, 0)


@on_trio
async def test_a_cancelled_job_with_a_nursery() -> None:
    """trio itself leaves the cancellations in the group."""
    import trio

    async def clumsy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise LookupError

    async def work(fails: bool) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(clumsy if fails else trio.sleep_forever)

    async with Pool(work, workers=1, queue=1) as pool:
        good, bad = await pool.submit(False), await pool.submit(True)
        for job in (good, bad):
            await parked()
            job.cancel()
            await done(job)
        with pytest.raises(anyio.TaskCancelled):
            await good
        with pytest.raises(ExceptionGroup) as caught:
            await bad
        assert [*map(type, caught.value.exceptions)] == [LookupError]
        await pool.submit(True)
        await parked()
        pool._group.cancel()
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 0, 2, 1, 0)


@on_asyncio
async def test_a_job_that_is_cancelled_by_nobody() -> None:
    """Such as by awaiting what was cancelled: the worker, or another, goes on."""

    async def work(n: int) -> int:
        if n == 1:
            raise asyncio.CancelledError
        if n == 2:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        if n == 3:
            this_task().cancel()
            await asyncio.sleep(1)
        return n

    async with Pool(work, workers=1, on_full="reject", queue=1) as pool:
        for n in (1, 2, 3):
            with pytest.raises(anyio.TaskCancelled, match=f"Job {n} of .* cancelled"):
                await pool.call(n)
        assert await pool.call(4) == 4
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 1, 0, 3, 0)


@on_asyncio
async def test_an_idle_worker_that_is_cancelled_is_replaced() -> None:
    """As a loop does to all of its tasks when it ends."""
    async with Pool(double, workers=2, on_full="reject") as pool:
        await parked()
        for task in asyncio.all_tasks() - {this_task()}:
            if task.get_name() == pool.name:
                task.cancel()
        await parked()
        assert [await pool.call(n) for n in range(3)] == [0, 2, 4]
    assert pool.statistics().finished == 3


async def test_a_job_cancels_itself_by_its_handle() -> None:
    """And it may hand it to others."""
    handles: Channel[Handle[None]] = Channel(1)

    async def work(_: None) -> None:
        (await handles.receive()).cancel()
        await anyio.sleep_forever()

    async with Pool(work, workers=1) as pool:
        handle = await pool.submit(None)
        await handles.send(handle)
        with pytest.raises(anyio.TaskCancelled):
            await handle


# The block


async def test_leaving_drains() -> None:
    """What was admitted is done, those who wait are served, and no more come in."""
    jobs = Jobs()
    async with Group() as g:
        async with Pool(jobs, workers=1, queue=1) as pool:
            calls = Calls(pool, g)
            await calls(*"abcd")

            async def close_in() -> None:
                await parked()
                with pytest.raises(ChannelClosed, match="takes no more jobs") as caught:
                    await pool.call("e")
                assert caught.value.item == "e"
                with pytest.raises(ChannelClosed):
                    await pool.submit("f")
                jobs.let(*"abcd")

            g.go(close_in)
        await parked()
        assert calls.got == {item: f"result of {item}" for item in "abcd"}
    assert jobs.ended == [*"abcd"]
    assert pool.report is not None
    assert (pool.report.finished, pool.report.cut, pool.report.refused) == (4, 0, 2)


async def test_an_error_in_the_block_cancels_all_jobs() -> None:
    """It comes out as it is, and callers outside learn that they were cut."""
    jobs = Jobs()
    error = LookupError()
    async with Group() as g:
        with pytest.raises(LookupError) as caught:
            async with Pool(jobs, workers=1, queue=1) as pool:
                calls = Calls(pool, g)
                await calls("running", "queued", "waiting")
                raise error
        assert caught.value is error
    assert jobs.begun == jobs.cancelled == ["running"]
    assert calls.got.keys() == {"running", "queued", "waiting"}
    for got in calls.got.values():
        assert isinstance(got, anyio.TaskCancelled)
    assert "before it began" in str(calls.got["queued"])
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 0, 0, 3, 0)
    assert pool.report is not None
    assert pool.report.cut_names == ("'running'",)
    assert (pool.report.cut, pool.report.refused) == (1, 2)


async def test_a_cancelled_block_cancels_all_jobs(backend: str) -> None:
    """In its body, or when it waits for the jobs to end."""
    for way in ways(backend):
        for in_body in (True, False):
            jobs, cancel = Jobs(), list[Cancel]()

            @contextmanager
            def expose(it: Cancel, cancel: list[Cancel] = cancel) -> Iterator[None]:
                cancel.append(it)
                yield

            async def block(jobs: Jobs = jobs, in_body: bool = in_body) -> None:
                async with Pool(jobs, workers=1, queue=1) as pool:
                    await pool.submit("a")
                    await pool.submit("b")
                    if in_body:
                        await anyio.sleep_forever()

            async with Group() as g:
                g.go(way, block, expose)
                await parked()
                cancel[0]()
            assert jobs.begun == jobs.cancelled == ["a"]


async def test_before_and_after_its_block() -> None:
    """A pool that has no block running takes no jobs, and has only one block."""
    pool = Pool(double, workers=1, name="p")
    for use in (pool.call, pool.submit):
        with pytest.raises(RuntimeError, match="<Pool 'p' of 1> has no block running"):
            await use(1)
    async with pool:
        with pytest.raises(RuntimeError, match="can be entered only once"):
            await pool.__aenter__()
        assert pool.report is None
        assert await pool.call(1) == 2
    for use in (pool.call, pool.submit):
        with pytest.raises(ChannelClosed, match="its block has ended"):
            await use(1)
    with pytest.raises(RuntimeError, match="can be entered only once"):
        async with pool:
            pass


async def test_it_belongs_to_one_loop() -> None:
    """From another thread, or a loop there, it is refused, and nothing is done."""
    jobs = Jobs()

    async def use(verb: str) -> None:
        with pytest.raises(RuntimeError, match=r"anyio.from_thread.run\(pool.call"):
            await getattr(pool, verb)("x")

    async with Pool(jobs, workers=1, queue=5) as pool:
        for _ in range(2):
            for verb in ("call", "submit"):
                await anyio.to_thread.run_sync(anyio.run, use, verb)
            handle = await pool.submit("a")
            await parked()
        with pytest.raises(RuntimeError, match="run_sync"):
            await anyio.to_thread.run_sync(handle.cancel)
        call = partial(anyio.from_thread.run, pool.call, "b")
        async with Group() as g:
            g.go(anyio.to_thread.run_sync, call)
            jobs.let("a", "b")
    assert jobs.ended == ["a", "a", "b"]


async def test_pools_in_pools() -> None:
    """The inner one is drained first; each has its own books."""
    async with Pool(double, workers=2) as outer, Pool(outer.call, workers=3) as inner:
        handles = [await inner.submit(n) for n in range(6)]
    assert [await handle for handle in handles] == [2 * n for n in range(6)]
    assert outer.statistics().finished == inner.statistics().finished == 6


async def test_go_in_the_block_and_in_a_job() -> None:
    """The block's tasks belong to the group around, those of a job to the pool."""
    jobs, ended = Jobs(), list[str]()

    async def start(item: str) -> None:
        go(jobs, item)

    async with Group() as g:
        async with Pool(start, workers=1) as pool:
            go(jobs, "of the block")
            await pool.call("of a job")
            await parked()
            assert jobs.begun == ["of the block", "of a job"]

            async def let() -> None:
                await parked()
                ended.extend(jobs.ended)
                jobs.let("of a job")

            g.go(let)
        assert jobs.ended == ["of a job"]
        jobs.let("of the block")
    assert ended == []
    assert jobs.ended == ["of a job", "of the block"]


@pytest.mark.parametrize("error", [LookupError, EndOfChannel])
async def test_an_error_of_on_undelivered_ends_the_pool(error: type[Exception]) -> None:
    """Nobody else is there to be told."""

    async def stubborn(n: int) -> int:
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep_forever()
        return n

    def complain(n: int) -> None:
        raise error(n)

    with pytest.raises(ExceptionGroup) as caught:
        async with Pool(stubborn, workers=2, on_undelivered=complain) as pool:
            with anyio.move_on_after(0.001):
                await pool.call(1)
            await anyio.sleep_forever()
    assert [*map(repr, caught.value.exceptions)] == [repr(error(1))]


@on_trio
async def test_a_keyboard_interrupt_in_a_job_ends_the_pool() -> None:
    """And all that is around it."""

    async def interrupt(_: None) -> None:
        raise KeyboardInterrupt

    jobs_of_others: list[Any] = []

    async def other(pool: Pool[None, None]) -> None:
        try:
            await pool.call(None)
        except BaseException as error:
            jobs_of_others.append(type(error))

    with pytest.raises(BaseExceptionGroup) as caught:
        async with Group() as g, Pool(interrupt, workers=1) as pool:
            g.go(other, pool)
            await anyio.sleep_forever()
    assert caught.value.split(KeyboardInterrupt)[1] is None
    assert jobs_of_others == [KeyboardInterrupt]


@pytest.mark.parametrize("anyio_backend", ["none"])
def test_a_keyboard_interrupt_in_a_job_ends_asyncio(anyio_backend: str) -> None:
    """Whose loops let it through at once, and then cancel all tasks."""
    jobs = Jobs()

    async def interrupt(item: str) -> None:
        if item == "x":
            raise KeyboardInterrupt
        await jobs(item)

    async def main() -> None:
        async with Pool(interrupt, workers=2, queue=3) as pool:
            for item in "abxc":
                await pool.submit(item)
            await parked()
            jobs.let("a")
            await anyio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert (jobs.begun, jobs.cancelled) == ([*"ab"], ["b"])


async def test_a_job_has_the_context_of_the_block() -> None:
    """Not that of its caller; and what one sets the next in its task finds."""
    var: ContextVar[str] = ContextVar("var", default="none")

    async def look(change: str | None) -> str:
        before = var.get()
        if change:
            var.set(change)
        return before

    var.set("at entry")
    async with Pool(look, workers=1) as pool:
        var.set("in the block")
        assert await pool.call(None) == "at entry"
        assert await pool.call("by a job") == "at entry"
        assert await pool.call(None) == "by a job"
        assert var.get() == "in the block"


async def test_nobody_keeps_what_is_over() -> None:
    """Neither item nor result, once the caller has it."""

    class Thing:
        alive = 0

        def __init__(self) -> None:
            Thing.alive += 1

        def __del__(self) -> None:
            Thing.alive -= 1

    async def make(_: Thing) -> Thing:
        await checkpoint()
        return Thing()

    async with Pool(make, workers=2, queue=2) as pool:
        for _ in range(3):
            await pool.call(Thing())
        with anyio.move_on_after(0):
            await pool.call(Thing())
        await settled()
        gc.collect()
        assert Thing.alive == 0


# Stopping


@pytest.mark.clock
@pytest.mark.parametrize(
    ("grace", "own", "cut"), [(10, None, 8), (10, 3, 3), (10, 20, 8), (2, None, 1)]
)
async def test_jobs_are_cut_in_time(
    grace: float, own: float | None, cut: float
) -> None:
    """Two seconds before the scope does it, if it has four; or by their own grace."""
    begun = anyio.current_time()
    async with Group() as g, stop_scope(grace) as stop:
        pool = Pool(sleep, workers=2, queue=2, grace=own, name="p")
        async with pool:
            calls = Calls(pool, g)
            short = await pool.submit(1)
            handles = [await pool.submit(n) for n in (1000, 2000, 3000)]
            g.go(calls._call, 4000)
            await anyio.sleep(0.5)
            begun = anyio.current_time()
            stop.request()
        assert anyio.current_time() - begun == pytest.approx(cut)
    assert pool.report is not None
    names = pool.report.cut_names
    assert sorted(names) == ["1000", "2000"]
    assert pool.report == DrainReport(1, 2, 2, names, pytest.approx(cut))
    assert await short == 1
    for handle in handles:
        with pytest.raises(anyio.TaskCancelled):
            await handle
    assert isinstance(calls.got[4000], anyio.TaskCancelled)
    assert pool.statistics() == PoolStatistics(2, 0, 0, 0, 1, 0, 4, 0)


@pytest.mark.clock
async def test_a_pool_in_time_is_not_cut() -> None:
    """A request alone does nothing to it: its block ends when its owner says so."""
    async with stop_scope(10) as stop:
        async with Pool(sleep, workers=1, queue=5) as pool:
            stop.request()
            await pool.submit(1)
            await pool.submit(2)
            await anyio.sleep(0.5)
        assert pool.report == DrainReport(2, 0, 0, (), pytest.approx(2.5))


@pytest.mark.clock
async def test_the_scope_that_ends_first_counts() -> None:
    """Also if it is not the innermost."""
    begun = anyio.current_time()
    async with stop_scope(5) as outer, stop_scope(100), Pool(sleep, workers=1) as pool:
        handle = await pool.submit(1000)
        outer.request()
    assert anyio.current_time() - begun == pytest.approx(3)
    with pytest.raises(anyio.TaskCancelled):
        await handle


@pytest.mark.clock
async def test_a_pool_that_is_cut_while_its_block_goes_on() -> None:
    """It takes no more jobs then."""
    async with stop_scope(10) as stop, Pool(sleep, workers=2, grace=1) as pool:
        handle = await pool.submit(1000)
        stop.request()
        await done(handle)
        with pytest.raises(ChannelClosed):
            await pool.call(1)
    assert pool.report is not None
    assert (pool.report.cut, pool.report.refused) == (1, 1)


async def test_a_pool_leaves_nothing_in_the_books_of_a_scope() -> None:
    """Its channel is its own affair, on every end."""
    jobs = Jobs()
    async with Group() as g, stop_scope():
        with suppress(LookupError):
            async with Pool(jobs, workers=1, queue=2) as pool:
                await Calls(pool, g)("a", "b", "c", "d")
                raise LookupError


# Bad arguments


@pytest.mark.parametrize("anyio_backend", ["none"])
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"fn": 3}, TypeError, "a pool needs a function, not 3"),
        ({"workers": 0}, ValueError, "workers must be 1 or more, not 0"),
        ({"workers": True}, TypeError, "workers must be a whole number, not True"),
        ({"workers": 2.0}, TypeError, "workers must be a whole number, not 2.0"),
        ({"workers": math.inf}, TypeError, "workers must be a whole number, not inf"),
        ({"queue": -1}, ValueError, "queue must be 0 or more, not -1"),
        ({"queue": "3"}, TypeError, "queue must be a whole number, not '3'"),
        ({"queue": False}, TypeError, "queue must be a whole number, not False"),
        ({"on_full": "drop"}, ValueError, "'wait' or 'reject', not 'drop'"),
        ({"on_full": None}, ValueError, "'wait' or 'reject', not None"),
        ({"run_in": "tread"}, ValueError, "'process' or an executor, not 'tread'"),
        (
            {"run_in": "thread"},
            TypeError,
            "'thread' needs a function that is not async",
        ),
        ({"run_in": "process"}, TypeError, "leave run_in out"),
        ({"on_undelivered": 1}, TypeError, "a function of one result, not 1"),
        ({"grace": -1}, ValueError, "grace must be 0 seconds or more, not -1"),
        ({"grace": math.nan}, ValueError, "grace must be 0 seconds or more, not nan"),
        ({"grace": "1"}, TypeError, "a number of seconds or None, not '1'"),
        ({"name": 1}, TypeError, "name must be a string, not 1"),
    ],
)
def test_bad_arguments_are_refused(
    options: dict[str, Any], error: type[Exception], words: str, anyio_backend: str
) -> None:
    """When the pool is made, and with the value."""
    with pytest.raises(error, match=words):
        Pool(**{"fn": double, "workers": 1} | options)


async def test_a_function_that_is_not_async() -> None:
    """Its jobs fail, and the error says what to write."""
    async with Pool(abs, workers=1) as pool:
        with pytest.raises(TypeError, match="needs an async .* returned 3.*'thread'"):
            await pool.call(-3)


async def test_a_function_that_takes_something_else() -> None:
    """Each job fails, as the call would."""

    async def add(a: int, b: int) -> int:
        return a + b

    async with Pool(add, workers=1) as pool:
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            await pool.call(1)


async def test_an_item_that_cannot_be_shown() -> None:
    """Messages do without, and are short."""

    class Odd:
        def __repr__(self) -> str:
            raise LookupError

    async with Pool(give, workers=1, queue=1, on_full="reject") as pool:
        odd, long = await pool.submit(Odd()), await pool.submit("x" * 1000)
        with pytest.raises(Overloaded):
            await pool.submit(Odd())
        odd.cancel()
        with pytest.raises(anyio.TaskCancelled, match="Job <Odd instance at .*>"):
            await odd
        assert len(repr(long)) < 200


# Threads


async def test_jobs_in_threads() -> None:
    """At most so many threads, none of which is left; errors are the very ones."""
    names = set[str]()

    def work(n: int) -> int:
        names.add(threading.current_thread().name)
        if n == 3:
            raise ValueError(n)
        return n * n

    async with Group() as g, Pool(work, workers=2, run_in="thread", name="p") as pool:
        calls = Calls(pool, g)
        for n in range(20):
            g.go(calls._call, n)
        await calls(20)
        assert len(threads_of(pool)) == 2
    assert threads_of(pool) == []
    assert repr(calls.got.pop(3)) == "ValueError(3)"
    assert calls.got == {n: n * n for n in calls.got}
    assert names == {"p_0"}


async def test_a_thread_has_a_copy_of_the_context() -> None:
    """That of the block, for each job anew."""
    var: ContextVar[str] = ContextVar("var")
    var.set("at entry")

    def look(change: str) -> str:
        before = var.get()
        var.set(change)
        return before

    async with Pool(look, workers=1, run_in="thread") as pool:
        var.set("in the block")
        assert await pool.call("a") == "at entry"
        assert await pool.call("b") == "at entry"


async def test_a_thread_can_use_channels() -> None:
    """With the token of the loop, as any thread."""
    token = anyio.lowlevel.current_token()
    ch: Channel[int] = Channel(1)

    def work(n: int) -> None:
        anyio.from_thread.run(ch.send, n, token=token)

    async with Pool(work, workers=1, run_in="thread") as pool:
        await pool.call(5)
    assert await ch.receive() == 5


class Blocking:
    """A function that blocks its thread until somebody lets it end."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, item: Any) -> Any:
        self.begun.set()
        assert self.may_end.wait(10)
        if isinstance(item, Exception):
            raise item
        return item

    async def wait(self) -> None:
        await anyio.to_thread.run_sync(self.begun.wait, 10)


async def test_a_thread_is_waited_for(backend: str) -> None:
    """However its caller is cancelled; its result goes to on_undelivered."""
    for way in ways(backend):
        undelivered: list[str] = []
        work = Blocking()
        pool = Pool(work, workers=1, run_in="thread", on_undelivered=undelivered.append)
        async with Group() as g, pool:
            victim = Victim(pool, "x")
            handle = g.go(way, victim.call, victim.expose)
            await work.wait()
            victim.cancel()
            await settled()
            assert not handle.finished
            assert pool.statistics().running == 1
            work.may_end.set()
            await done(handle)
            assert undelivered == ["x"]
            assert await pool.call("y") == "y"
        assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 2, 0, 0, 0)


async def test_a_thread_is_waited_for_when_its_pool_ends() -> None:
    """By an error, too: callers outside get what it gives."""
    work = Blocking()
    async with Group() as g:
        with pytest.raises(LookupError):
            async with Pool(work, workers=1, run_in="thread") as pool:
                calls = Calls(pool, g)
                g.go(calls._call, "x")
                await work.wait()
                g.go(anyio.to_thread.run_sync, work.may_end.set)
                raise LookupError
    assert calls.got == {"x": "x"}


async def test_a_thread_that_is_cut_still_gives_its_caller_the_result() -> None:
    """To the caller and not to on_undelivered, as the caller is there."""
    undelivered: list[str] = []
    work = Blocking()
    async with Group() as g, stop_scope(math.inf) as stop:
        pool = Pool(
            work,
            workers=1,
            queue=1,
            run_in="thread",
            on_undelivered=undelivered.append,
            grace=0,
        )
        async with pool:
            calls = Calls(pool, g)
            g.go(calls._call, "x")
            await work.wait()
            g.go(calls._call, "y")
            await parked()
            stop.request()
            await settled()
            assert isinstance(calls.got["y"], anyio.TaskCancelled)
            work.may_end.set()
    assert calls.got["x"] == "x"
    assert undelivered == []


async def test_an_error_in_an_abandoned_thread_comes_out_of_the_call() -> None:
    """Rather than being lost."""
    work = Blocking()
    error = LookupError("late")
    async with Pool(work, workers=1, run_in="thread") as pool:
        with pytest.raises(ExceptionGroup) as caught:
            async with Group() as g:
                handle = g.go(pool.call, error)
                await work.wait()
                handle.cancel()
                work.may_end.set()
        assert caught.value.exceptions == (error,)
    assert pool.statistics().failed == 1


# Other executors


async def test_jobs_in_an_executor() -> None:
    """Which is its owner's: nothing is shut down."""
    with ThreadPoolExecutor(3) as executor:
        async with Group() as g, Pool(abs, workers=2, run_in=executor) as pool:
            calls = Calls(pool, g)
            await calls(-1, -2, None)
        assert calls.got.pop(-1) == 1
        assert calls.got.pop(-2) == 2
        assert isinstance(calls.got.pop(None), TypeError)
        assert executor.submit(abs, -3).result() == 3


class Manual:
    """An executor whose jobs others end."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.futures: dict[Any, Future[Any]] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        if self.error is not None:
            raise self.error
        future = self.futures[args[0]] = Future()
        return future


async def test_an_executor_that_refuses_a_job() -> None:
    """Its error is the job's; the pool goes on."""
    executor = Manual(OSError("no more"))
    async with Pool(abs, workers=1, run_in=executor) as pool:
        for n in (1, 2):
            with pytest.raises(OSError, match="no more"):
                await pool.call(n)
        executor.error = None
        handle = await pool.submit(3)
        await parked()
        executor.futures[3].set_result(4)
        assert await handle == 4
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 1, 2, 0, 0)


async def test_an_executor_that_returns_something_else() -> None:
    """That job fails."""

    class Wrong:
        def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
            return fn(*args)

    async with Pool(abs, workers=1, run_in=Wrong()) as pool:
        with pytest.raises(AttributeError, match="done"):
            await pool.call(-1)


async def test_a_future_that_somebody_cancels() -> None:
    """Then so is the job."""
    executor = Manual()
    async with Pool(abs, workers=1, run_in=executor) as pool:
        handle = await pool.submit(1)
        await parked()
        executor.futures[1].cancel()
        with pytest.raises(anyio.TaskCancelled):
            await handle
        handle = await pool.submit(2)
        await parked()
        executor.futures[2].set_exception(CancelledError())
        with pytest.raises(anyio.TaskCancelled):
            await handle
    assert pool.statistics().cancelled == 2


async def test_a_cancelled_job_of_an_executor(backend: str) -> None:
    """Is cancelled there if it has not begun, and else waited for."""
    for way in ways(backend):
        executor, undelivered = Manual(), list[str]()
        pool = Pool(abs, workers=2, run_in=executor, on_undelivered=undelivered.append)
        async with Group() as g, pool:
            victims = [await begin(g, way, pool, item) for item in ("a", "b")]
            executor.futures["a"].set_running_or_notify_cancel()
            for victim in victims:
                victim.cancel()
            await settled()
            assert executor.futures["b"].cancelled()
            assert pool.statistics() == PoolStatistics(2, 1, 0, 0, 0, 0, 1, 0)
            executor.futures["a"].set_result("late")
            await settled()
            assert pool.statistics() == PoolStatistics(2, 0, 0, 0, 1, 0, 1, 0)
        assert undelivered == ["late"]


# Processes.  Their function is Python's eval, so that each job is what it says.


def threads_of(pool: Pool[Any, Any]) -> list[threading.Thread]:
    names = f"{pool.name}_"
    return [thread for thread in threading.enumerate() if thread.name.startswith(names)]


def children() -> list[Any]:
    return multiprocessing.active_children()


KILL = "__import__('os').kill(__import__('os').getpid(), 9)"
RAISE = "(_ for _ in ()).throw({})".format
SLEEP = "__import__('time').sleep(60)"


async def test_jobs_in_processes() -> None:
    """Other than ours; nothing of them is left."""
    async with Pool(eval, workers=2, run_in="process") as pool:
        handles = [await pool.submit("__import__('os').getpid()") for _ in range(6)]
        pids = {await handle for handle in handles}
        assert len(pids) == 2
        assert os.getpid() not in pids
        assert len(children()) == 2
        with pytest.raises(ZeroDivisionError) as caught:
            await pool.call("1/0")
        (note,) = caught.value.__notes__
        assert "in the process that did it:\nTraceback" in note
        assert 'File "<string>", line 1' in note
        with pytest.raises(SystemExit):
            await pool.call("exit(3)")
    assert children() == []
    assert threads_of(pool) == []


CANNOT_BE_DONE: list[tuple[Any, type[Exception], str]] = [
    (lambda: 1, pickle.PicklingError, "the item <function .* cannot be pickled: "),
    ("lambda: 1", pickle.PicklingError, "what came of the job, .* cannot be pickled"),
    (
        RAISE("type('Odd', (Exception,), {})('x')"),
        pickle.PicklingError,
        r"what came of the job, Odd\('x'\), cannot be pickled",
    ),
    (
        "type('Odd', (), {'__reduce__': lambda self: (int, ('x',))})()",
        pickle.UnpicklingError,
        "what came of .* cannot be unpickled: ValueError",
    ),
    (Unpicklable(), pickle.UnpicklingError, "the job cannot be unpickled: ValueError"),
    (KILL, WorkerDied, "the process that did .* has died: exit code -9"),
    ("__import__('os')._exit(3)", WorkerDied, "has died: exit code 3"),
]


async def test_only_that_job_fails() -> None:
    """Whatever it does to its process; the next one finds one."""
    async with Pool(eval, workers=1, run_in="process") as pool:
        for job, error, words in CANNOT_BE_DONE:
            with pytest.raises(error, match=words):
                await pool.call(job)
            assert await pool.call("2 + 2") == 4
    n = len(CANNOT_BE_DONE)
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, n, n, 0, 0)


async def test_a_process_that_died_idle_takes_no_job_along() -> None:
    """The next job gets another."""
    async with Pool(eval, workers=1, run_in="process") as pool:
        pid = await pool.call("__import__('os').getpid()")
        (process,) = children()
        process.kill()
        await anyio.to_thread.run_sync(process.join)
        assert await pool.call("__import__('os').getpid()") != pid


async def test_a_process_is_killed_with_its_job(backend: str) -> None:
    """When its caller is cancelled; another takes its place."""
    async with Group() as g, Pool(eval, workers=1, queue=1, run_in="process") as pool:
        for way in ways_on(backend)[:2]:
            process = await pool.call("__import__('os').getpid()")
            victim = await begin(g, way, pool, SLEEP)
            behind = await pool.submit("1 + 1")
            victim.cancel()
            assert await behind == 2
            with pytest.raises(ProcessLookupError):
                os.kill(process, 0)
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 4, 0, 2, 0)
    assert children() == []


async def test_processes_are_killed_when_their_pool_ends_by_an_error() -> None:
    """Their callers outside learn that they were cut; so does the stop scope's end."""
    async with Group() as g:
        with pytest.raises(LookupError):
            async with Pool(eval, workers=1, queue=1, run_in="process") as pool:
                calls = Calls(pool, g)
                await calls(SLEEP, "1")
                raise LookupError
        assert children() == []
        assert threads_of(pool) == []
    assert [*map(type, calls.got.values())] == [anyio.TaskCancelled] * 2
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 0, 0, 2, 0)


@on_asyncio
async def test_a_cancellation_that_comes_out_of_a_thread() -> None:
    """Nobody has cancelled the caller, so that is not what it raises."""

    def work(_: None) -> None:
        raise asyncio.CancelledError

    async with Pool(work, workers=1, run_in="thread") as pool:
        for _ in range(2):
            with pytest.raises(anyio.TaskCancelled):
                await pool.call(None)
    assert pool.statistics() == PoolStatistics(1, 0, 0, 0, 0, 0, 2, 0)


@dataclass(frozen=True)
class Frozen(Exception):
    """An error that takes no notes."""


def freeze(_: None) -> None:
    raise Frozen


@pytest.mark.parametrize("backend", ["asyncio"], indirect=True)
async def test_an_error_of_a_process_that_takes_no_note() -> None:
    """It comes out without the traceback."""
    async with Pool(freeze, workers=1, run_in="process") as pool:
        with pytest.raises(Frozen):
            await pool.call(None)


async def test_who_is_cut_at_the_end_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process takes long to begin, and nothing is left for it to do."""
    seats: list[ProcessSeat] = []
    make = ProcessSeat.__init__

    def count(seat: ProcessSeat, name: str) -> None:
        seats.append(seat)
        make(seat, name)

    monkeypatch.setattr(ProcessSeat, "__init__", count)
    async with stop_scope(math.inf) as stop:
        async with Pool(eval, workers=1, run_in="process", grace=0) as pool:
            handle = await pool.submit(SLEEP)
            stop.request()
        assert pool.report is not None
        assert pool.report.cut == 1
    assert handle.finished
    assert len(seats) == 1


async def test_a_pool_of_processes_that_does_nothing() -> None:
    """Ends as soon as its processes have begun."""
    async with Pool(eval, workers=2, run_in="process"):
        pass
    assert children() == []


@pytest.mark.parametrize("anyio_backend", ["none"])
def test_a_function_that_cannot_be_pickled_is_refused(anyio_backend: str) -> None:
    """When the pool is made."""
    with pytest.raises(TypeError, match=r"can be pickled, and <function .*top level"):
        Pool(lambda n: n, workers=1, run_in="process")


SCRIPT = """
import os, signal, sys, time
import csp

def square(n):
    if n == 3:
        os.killpg(0, signal.SIGINT)
        time.sleep(0.2)
    return n * n

async def main():
    async with csp.Pool(square, workers=1, run_in="process") as pool:
        for n in range(5):
            print(await pool.call(n), flush=True)

if __name__ == "__main__":
    csp.run(main, backend=sys.argv[1])
"""


@pytest.mark.parametrize("anyio_backend", ["none"])
@pytest.mark.parametrize("loop", [n for n in LOOPS if n != "uvloop"])
def test_a_program_with_a_main_guard(
    loop: str, tmp_path: Path, anyio_backend: str
) -> None:
    """Ctrl-C goes to all processes of the terminal, but a job is not hurt by it."""
    (tmp_path / "program.py").write_text(SCRIPT)
    end = subprocess.run(
        [sys.executable, "program.py", loop],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=30,
        start_new_session=True,
        check=False,
    )
    assert end.stdout.split() == ["0", "1", "4", "9", "16"]
    assert "Traceback" not in end.stderr
    assert end.returncode == 0


ORPHAN = """
import os, signal
import csp

async def main():
    async with csp.Pool(eval, workers=1, run_in="process") as pool:
        print(await pool.call("__import__('os').getpid()"), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    csp.run(main)
"""


@pytest.mark.parametrize("anyio_backend", ["none"])
def test_no_process_outlives_us(tmp_path: Path, anyio_backend: str) -> None:
    """Even if we are killed."""
    (tmp_path / "program.py").write_text(ORPHAN)
    end = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    pid = int(end.stdout)
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError
