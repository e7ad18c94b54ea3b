"""A pool: one channel of jobs, m senders, n receivers.

Whoever calls sends a job and waits for its end (`_jobs`); the workers are tasks that
receive jobs until the channel is closed and empty (`_workers`).  What a pool promises
follows from what a channel does: a job is handed over whole or not at all, those who
wait for room are served in order, and closing serves all who came before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from threading import get_ident
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, overload

from ._account import DrainReport
from ._check import check_count, check_name, check_on_undelivered, check_seconds
from ._errors import ChannelClosed
from ._executors import Executor
from ._group import PrivateGroup
from ._jobs import Job, Jobs, PoolStatistics
from ._operation import begin
from ._park import current, uninterrupted
from ._tasks import Handle
from ._workers import RunIn, Staff

T = TypeVar("T")
R = TypeVar("R")


class Pool(Generic[T, R]):
    """A fixed number of workers for one function, and a queue before them.

        async def square(n: int) -> int:
            await anyio.sleep(0.1)
            return n * n

        async def main() -> None:
            async with Pool(square, workers=2) as pool:
                job = await pool.submit(3)
                print(await pool.call(4), await job)

        csp.run(main)

    Leaving the block admits no more jobs, and waits until all that were admitted are
    done.  If the block raises, they are cancelled.

    Jobs are done in the order in which they came.  One that calls its own pool waits
    for a worker while it keeps one: if all do, they wait for ever.

    A job runs in the context in which the block was entered, with the context variables
    that jobs before it in the same task have set; in a thread with a copy.  What it
    starts by `go` belongs to the pool's block.

    Args:
        fn: What a job does: a function of one item; async, unless it runs elsewhere.
        workers: How many jobs run at once.
        queue: How many more may be admitted.
        on_full: What a call does then: wait for room, or raise `Overloaded`.
        run_in: Where jobs run: in tasks, threads, processes, or in an executor whose
            ``submit(fn, item)`` returns a `concurrent.futures.Future`.  A process is
            started by importing the program's main module, which therefore needs its
            ``if __name__ == "__main__":``, and does not see Ctrl-C.
        on_undelivered: Called with the result of a job that was cancelled, or whose
            caller was, if there is one all the same, as from a thread.  What it raises
            ends the pool, and comes out of the block.
        grace: Seconds after a stop request before jobs are cut; by default, and at
            most, until two seconds before the stop scope does it.
        name: For messages.
    """

    @overload
    def __init__(
        self,
        fn: Callable[[T], Awaitable[R]],
        *,
        workers: int,
        queue: int | float = ...,
        on_full: Literal["wait", "reject"] = ...,
        run_in: Literal["task"] = ...,
        on_undelivered: Callable[[R], None] | None = ...,
        grace: float | None = ...,
        name: str | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        fn: Callable[[T], R],
        *,
        workers: int,
        queue: int | float = ...,
        on_full: Literal["wait", "reject"] = ...,
        run_in: Literal["thread", "process"] | Executor,
        on_undelivered: Callable[[R], None] | None = ...,
        grace: float | None = ...,
        name: str | None = ...,
    ) -> None: ...
    def __init__(
        self,
        fn: Callable[[T], Any],
        *,
        workers: int,
        queue: int | float = 0,
        on_full: Literal["wait", "reject"] = "wait",
        run_in: RunIn = "task",
        on_undelivered: Callable[[R], None] | None = None,
        grace: float | None = None,
        name: str | None = None,
    ) -> None:
        _check(fn, workers, queue, on_full)
        _check_place(fn, run_in)
        _check_options(on_undelivered, grace, name)
        self.name: str = name or f"pool of {getattr(fn, '__qualname__', fn)!s}"
        self.report: DrainReport | None = None
        """What became of the jobs that were there when the block ended."""
        self._jobs: Jobs[R] = Jobs(
            self.name, workers, queue, on_full == "reject", on_undelivered
        )
        self._staff = Staff(self._jobs, fn, run_in, grace)
        self._group: PrivateGroup | None = None

    @uninterrupted
    async def submit(self, item: T) -> Handle[R]:
        """Have a job admitted, and return its handle: to await, cancel or select on.

        What the job raises comes out of awaiting the handle, and only there.

        Raises:
            Overloaded: The queue is full, and the pool was told not to wait.
            ChannelClosed: The pool's block has ended.
        """
        self._check_use()
        jobs = self._jobs
        job = Job(jobs, item)
        if jobs.rejects:
            await begin()
            jobs.offer(job)
        else:
            try:
                await jobs.channel.send(job)
            except ChannelClosed:
                raise jobs.refuse(item) from None
        return job

    @uninterrupted
    async def call(self, item: T) -> R:
        """Have a job done and return its result, or raise what it raised.

        If this is cancelled the job is too, and has ended when this raises; if it ends
        with an error, then with that, or if asyncio alone has cancelled it, from that.
        A thread cannot be cancelled, and is waited for.

        Raises:
            Overloaded, ChannelClosed: As `submit`.
            TaskCancelled: The job was cut, or cancelled itself.
            WorkerDied: The process that ran it has ended.
        """
        jobs = self._jobs
        loop = jobs.loop
        if loop.budget <= 0 or loop.thread != get_ident():
            self._check_use()
            await loop.checkpoint()
        loop.budget -= 1
        job = Job(jobs, item)
        jobs.offer(job)
        waiter = job._caller = loop.waiter_class(loop)
        try:
            await waiter.sleep()
        except BaseException as error:
            if waiter.op is None:
                await jobs.take_back(job, error)
            waiter.rescue(error)
        if job._error is not None:
            raise job._error
        return job._value

    def _check_use(self) -> None:
        """Raise RuntimeError unless jobs can be given here."""
        if self._group is None:
            raise RuntimeError(
                f"{self!r} has no block running. Write: async with Pool(...) as pool: "
                "..."
            )
        self._jobs.loop.check(self, "anyio.from_thread.run(pool.call, item)")

    def statistics(self) -> PoolStatistics:
        """Return the pool's figures, as a frozen record."""
        return self._jobs.statistics()

    # The block

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise RuntimeError(f"{self!r} can be entered only once")
        self._jobs.bind(current())
        self._group = PrivateGroup(self.name)
        await self._group.__aenter__()
        self._staff.start(self._group)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._group is not None
        self._staff.close()
        try:
            return await self._group.__aexit__(exc_type, exc, traceback)
        finally:
            self._jobs.cut_queued()
            self.report = self._jobs.report()

    def __repr__(self) -> str:
        return f"<Pool {self.name!r} of {self._jobs.workers}>"


def _check(fn: object, workers: object, queue: object, on_full: object) -> None:
    """Raise unless these can be the arguments of a pool."""
    if not callable(fn):
        raise TypeError(f"a pool needs a function, not {fn!r}")
    check_count("workers", workers, 1)
    check_count("queue", queue, 0, bounded=False)
    if on_full not in ("wait", "reject"):
        raise ValueError(f"on_full must be 'wait' or 'reject', not {on_full!r}")


def _check_place(fn: Any, run_in: Any) -> None:
    """Raise unless jobs of `fn` can be run there."""
    if run_in not in ("task", "thread", "process") and not hasattr(run_in, "submit"):
        raise ValueError(
            f"run_in must be 'task', 'thread', 'process' or an executor, not {run_in!r}"
        )
    if run_in != "task" and (
        iscoroutinefunction(fn) or iscoroutinefunction(type(fn).__call__)
    ):
        raise TypeError(
            f"run_in={run_in!r} needs a function that is not async, and {fn!r} is: "
            "leave run_in out"
        )


def _check_options(callback: object, grace: object, name: object) -> None:
    """Raise unless these can be the other arguments of a pool."""
    if callback is not None:
        check_on_undelivered(callback, "result")
    if grace is not None:
        check_seconds("grace", grace, "a number of seconds or None")
    if name is not None:
        check_name(name)
