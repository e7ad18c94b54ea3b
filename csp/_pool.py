"""A pool: one channel of jobs, m senders, n receivers.

Whoever calls sends a job and waits for its end; the workers are tasks that receive jobs
until the channel is closed and empty.  What a pool promises follows from what a channel
does: a job is handed over whole or not at all, those who wait for room are served in
order, and closing serves all who came before.

A caller who is cancelled takes the job along.  While it is queued, it is taken out of
the channel.  While it runs, its worker is cancelled; and since a worker that is being
cancelled must not take another job, it retires and a new one is hired.  The call ends
when the job has.  So it may turn out that a job has ended well though its caller was
cancelled, just before or all the same: then nobody is left to return its result to.

Jobs that run elsewhere have their workers too: each has a seat in an executor, gives
the job to that, and waits.

The books: every job that was admitted is finished, failed or cancelled in the end, and
until then it is queued or runs.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from inspect import iscoroutinefunction
from threading import get_ident
from types import TracebackType
from typing import Any, Generic, Literal, NamedTuple, Self, TypeAlias, TypeVar, overload

import anyio

from ._account import DrainReport
from ._channel import Channel
from ._check import check_count, check_name, check_on_undelivered, check_seconds
from ._errors import ChannelClosed, Overloaded
from ._executors import Ended, Executor, Seat, ThreadSeat, WorkerDied, brief, see_out
from ._group import Group, PrivateGroup
from ._operation import begin
from ._park import Loop, Waiter, current, uninterrupted
from ._queue import join
from ._state import UNBOUND
from ._stop import stopping, time_to_cut
from ._tasks import Handle, beside_cancellation, done
from ._timer import at

T = TypeVar("T")
R = TypeVar("R")

RunIn: TypeAlias = Literal["task", "thread", "process"] | Executor


class PoolStatistics(NamedTuple):
    """What a pool is doing, and what it has done so far.

    At any time, all jobs that were ever admitted are among `running`, `queued`,
    `finished`, `failed` and `cancelled`.
    """

    workers: int
    """How many jobs it runs at once."""
    running: int
    """Jobs that run now."""
    queued: int
    """Jobs in the queue."""
    waiting: int
    """Callers who wait for room in it."""
    finished: int
    """Jobs that returned."""
    failed: int
    """Jobs that raised."""
    cancelled: int
    """Jobs that were cancelled, queued or running."""
    refused: int
    """Jobs that were not admitted: the pool was full, or its block had ended."""


class Job(Handle[R]):
    """A job of a pool: a handle, as that of a task.

    It also stands in the channel's queue of senders for the caller who waits for room,
    since being received does not end that wait, but only the job's end does.
    """

    __slots__ = ("_caller", "_pool", "_worker", "given_up", "item", "op")

    def __init__(self, pool: Pool[Any, R], item: Any) -> None:
        self.name = pool.name
        self.item = item
        self.given_up = False  # whether nobody wants it any more
        self.op: object = None  # see Waiter
        self._loop = pool._loop
        self._error = self._waiters = None
        self._finished = False
        self._pool = pool
        self._worker: Worker | None = None
        self._caller: Waiter | None = None

    def match(self, op: object, value: object) -> bool:
        """Be received, while the caller sleeps on."""
        self.op = op
        return True

    def cancel(self) -> None:
        """Take the job back: out of the queue, or by cancelling it while it runs.

        A result that it has all the same goes to the pool's `on_undelivered`.
        """
        self._loop.check(self, "anyio.from_thread.run_sync(job.cancel)")
        self._pool._withdraw(self)

    @uninterrupted
    def finish(self) -> None:
        """Be over, and wake whoever waits for that."""
        if self._caller is not None and not self._caller.match(self, None):
            self.given_up = True  # cancelled, which its task may not have noticed yet
        if self._waiters is None:
            self._finished = True
        else:
            self._finish()

    def fail(self, error: BaseException) -> None:
        """End by raising `error`."""
        self._error = error
        self.finish()

    def __repr__(self) -> str:
        status = "running" if self._worker else "queued"
        if self._finished:
            status = "finished"
        return f"<Job {brief(self.item)} of {self.name} {status}>"


class Worker:
    """A task that does jobs, one after the other."""

    __slots__ = ("_future", "_handle", "_pool", "_seat", "_spent", "job")

    _future: Future[Any]

    _handle: Handle[None]

    def __init__(self, pool: Pool[Any, Any]) -> None:
        self._pool = pool
        self._seat: Seat | None = None
        self._spent = False  # whether it has been cancelled, and so is to be replaced
        self.job: Job[Any] | None = None

    def start(self, group: Group) -> None:
        """Begin to work."""
        self._handle = group.go(self._work, name=self._pool.name)

    def cancel(self) -> None:
        """Cancel the job that is being done."""
        self._spent = True
        if self._seat is None:
            self._handle.cancel()
        else:
            self._seat.abort(self._future)

    async def _work(self) -> None:
        pool = self._pool
        try:
            if anyio.current_effective_deadline() == -math.inf:
                return  # the pool has been cancelled: no jobs are begun any more
            self._seat = pool._seat()
            await (self._work_here() if self._seat is None else self._work_elsewhere())
        except BaseException as error:
            self._spent = beside_cancellation(error) is None
            # One that asyncio alone knows of ends this worker, and not the pool.
            if not self._spent or anyio.current_effective_deadline() == -math.inf:
                raise
        finally:
            if self._seat is not None:
                await self._seat.close()
            pool._leaves(self, self._spent)

    async def _work_here(self) -> None:
        """Do jobs in this task."""
        pool, fn = self._pool, self._pool._fn
        async for job in pool._jobs:
            if self._begin(job):
                try:
                    coro = fn(job.item)
                    if not hasattr(coro, "__await__"):
                        raise TypeError(_sync(fn, coro))
                    value = await coro
                except BaseException as error:
                    if not isinstance(self._book_error(job, error), Exception):
                        raise
                else:
                    pool._book_finished(job, value)
                self._end(job)
                if self._spent:
                    break
            coro = value = None  # not to keep them while waiting for the next
            del job

    async def _work_elsewhere(self) -> None:
        """Have jobs done by the executor."""
        async for job in self._pool._jobs:
            if self._begin(job):
                await self._do_elsewhere(job)
                self._end(job)
                if self._spent:
                    break
            del job

    def _begin(self, job: Job[Any]) -> bool:
        """Take on a job, unless nobody wants it any more."""
        if job.given_up:
            self._pool._book_cancelled(job)
            return False
        self.job, job._worker = job, self
        return True

    def _end(self, job: Job[Any]) -> None:
        self.job = job._worker = None

    def _book_error(self, job: Job[Any], error: BaseException) -> BaseException | None:
        """Book what came out of a job; returns it unless that is a cancellation."""
        failure = beside_cancellation(error)
        if failure is None:
            self._pool._book_cancelled(job)
        else:
            self._pool._book_failed(job, failure)
        return failure

    async def _do_elsewhere(self, job: Job[Any]) -> None:
        """Have a job done by the executor."""
        assert self._seat is not None
        try:
            self._future = self._seat.submit(self._pool._fn, job.item)
            await Ended(self._future)
        except Exception as error:
            self._pool._book_failed(job, error)
            return
        except BaseException:
            self.cancel()
            await see_out(Ended(self._future))
            self._settle(job)
            raise
        self._settle(job)

    def _settle(self, job: Job[Any]) -> None:
        """Book what came of a job that was done elsewhere."""
        pool = self._pool
        try:
            value = self._future.result()
        except BaseException as error:
            cut = self._spent and isinstance(error, WorkerDied)
            if cut or isinstance(error, CancelledError):
                pool._book_cancelled(job)
            else:
                self._book_error(job, error)
        else:
            pool._book_finished(job, value)


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
        self._fn: Any = fn
        self._workers = workers
        self._reject = on_full == "reject"
        self._limit = workers + queue  # of jobs at once
        self._seat = _seats(run_in, fn, self.name)
        self._on_undelivered = on_undelivered
        self._grace = grace
        # Who is rejected is so by the books.  By the channel it would depend on whether
        # an idle worker waits at it already.
        capacity = self._limit if self._reject else queue
        self._jobs: Channel[Job[R]] = Channel(capacity, name=self.name)
        self._staff: set[Worker] = set()
        self._finished = self._failed = self._cancelled = self._refused = 0
        self._cut_names: list[str] = []  # of the jobs cancelled since it closed
        self._unbegun = 0  # jobs among those that had not begun
        self._group: PrivateGroup | None = None
        self._loop: Loop = UNBOUND

    @uninterrupted
    async def submit(self, item: T) -> Handle[R]:
        """Have a job admitted, and return its handle: to await, cancel or select on.

        What the job raises comes out of awaiting the handle, and only there.

        Raises:
            Overloaded: The queue is full, and the pool was told not to wait.
            ChannelClosed: The pool's block has ended.
        """
        self._check_use()
        job: Job[R] = Job(self, item)
        if self._reject:
            await begin()
            self._offer(job)
        else:
            try:
                await self._jobs.send(job)
            except ChannelClosed:
                raise self._closed(item) from None
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
        loop = self._loop
        if loop.budget <= 0 or loop.thread != get_ident():
            self._check_use()
            await loop.checkpoint()
        loop.budget -= 1
        job: Job[R] = Job(self, item)
        self._offer(job)
        waiter = job._caller = loop.waiter_class(loop)
        try:
            await waiter.sleep()
        except BaseException as error:
            if waiter.op is None:
                await self._take_back(job, error)
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
        self._loop.check(self, "anyio.from_thread.run(pool.call, item)")

    def _offer(self, job: Job[R]) -> None:
        """Let a job be received, or queue up for it."""
        jobs = self._jobs
        if self._reject and self._inside() >= self._limit and not jobs.closed:
            self._refused += 1
            raise Overloaded(f"{self!r} has no room for another job")
        try:
            if jobs._state.offer(job):
                return
        except ChannelClosed:
            raise self._closed(job.item) from None
        senders = jobs._state.senders
        jobs._state.senders = join(senders, job, (job, job, jobs, job))  # type: ignore[arg-type]

    async def _take_back(self, job: Job[R], cancellation: BaseException) -> None:
        """Withdraw a job, and see it end; raises what it raises."""
        self._withdraw(job)
        await see_out(done(job))
        failure = job._error
        if failure is None or isinstance(failure, anyio.TaskCancelled):
            return
        if anyio.current_effective_deadline() == -math.inf:
            raise failure
        raise cancellation from failure  # native, so it would not come again

    def _withdraw(self, job: Job[R]) -> None:
        """Take a job back that nobody wants any more."""
        if job._finished or job.given_up:
            return
        job.given_up = True
        state = self._jobs._state
        if job._worker is not None:
            job._worker.cancel()
        elif state.discard(job):
            self._book_cancelled(job)
        elif job in state.senders:  # it never came in
            state.dismiss_sender(job)
            job.fail(_cancelled(job))
        # Else a worker has it already, and will see.

    def _closed(self, item: T) -> ChannelClosed:
        self._refused += 1
        text = f"{self!r} takes no more jobs: its block has ended"
        return ChannelClosed(text, item)

    # The books

    def _inside(self) -> int:
        """Return how many jobs have been admitted and have not ended."""
        ended = self._finished + self._failed + self._cancelled
        return self._jobs._state.sent - ended

    def statistics(self) -> PoolStatistics:
        """Return the pool's figures, as a frozen record."""
        inside = self._inside()
        running = min(inside, self._workers)
        return PoolStatistics(
            workers=self._workers,
            running=running,
            queued=inside - running,
            waiting=len(self._jobs._state.senders),
            finished=self._finished,
            failed=self._failed,
            cancelled=self._cancelled,
            refused=self._refused,
        )

    def _book_finished(self, job: Job[R], value: R) -> None:
        self._finished += 1
        if job.given_up:
            job.fail(_cancelled(job))
        else:
            job._value = value
            job.finish()
        if job.given_up and self._on_undelivered is not None:
            self._on_undelivered(value)

    def _book_failed(self, job: Job[R], error: BaseException) -> None:
        self._failed += 1
        job.fail(error)

    def _book_cancelled(self, job: Job[R]) -> None:
        self._cancelled += 1
        if self._jobs.closed:
            self._cut_names.append(brief(job.item))
        job.fail(_cancelled(job))

    def _make_report(self) -> DrainReport:
        before, now = self._before, self.statistics()
        return DrainReport(
            finished=now.finished + now.failed - before.finished - before.failed,
            cut=len(self._cut_names),
            refused=now.refused - before.refused + self._unbegun,
            cut_names=tuple(self._cut_names),
            seconds=self._loop.time() - self._began,
        )

    # The block

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise RuntimeError(f"{self!r} can be entered only once")
        self._loop = current()
        self._jobs._state.bind(self._loop)
        self._group = PrivateGroup(self.name)
        await self._group.__aenter__()
        for _ in range(self._workers):
            self._hire()
        self._watcher = self._group.go(self._watch, name=f"watch of {self.name}")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._group is not None
        self._close()
        try:
            return await self._group.__aexit__(exc_type, exc, traceback)
        finally:
            self._cut_queued()
            self.report = self._make_report()

    def _close(self) -> None:
        """Admit no more jobs; what is there will be done."""
        if not self._jobs.closed:
            self._jobs.close()
            self._began = self._loop.time()
            self._before = self.statistics()
        if not self._staff:
            self._watcher.cancel()

    async def _watch(self) -> None:
        """Cut the jobs in time if the program is asked to stop."""
        await stopping()
        await at(time_to_cut(self._grace))
        self._close()
        self._cut_queued()
        for worker in [*self._staff]:
            if worker.job is not None:
                worker.cancel()

    def _cut_queued(self) -> None:
        """Cancel the jobs that have not begun."""
        for job in self._jobs.drain():
            self._unbegun += 1
            self._cancelled += 1
            job.fail(anyio.TaskCancelled(f"{job!r} was cut before it began"))

    # Workers

    def _hire(self) -> None:
        assert self._group is not None
        worker = Worker(self)
        self._staff.add(worker)
        worker.start(self._group)

    def _leaves(self, worker: Worker, spent: bool) -> None:
        self._staff.discard(worker)
        jobs = self._jobs
        if spent and (not jobs.closed or len(jobs) or jobs._state.senders):
            self._hire()
        if not self._staff and jobs.closed:
            self._watcher.cancel()

    def __repr__(self) -> str:
        return f"<Pool {self.name!r} of {self._workers}>"


def _cancelled(job: Job[Any]) -> anyio.TaskCancelled:
    return anyio.TaskCancelled(f"{job!r} was cancelled")


def _seats(run_in: RunIn, fn: object, name: str) -> Callable[[], Seat | None]:
    """Return what makes a worker's seat; it is None if jobs are done by tasks."""
    match run_in:
        case "task":
            return lambda: None
        case "thread":
            return lambda: ThreadSeat(name)
        case "process":
            from ._processes import ProcessSeat, check_picklable

            check_picklable(fn)
            return lambda: ProcessSeat(name)
        case executor:
            return lambda: Seat(executor)


def _sync(fn: object, value: object) -> str:
    return (
        f"a pool of tasks needs an async function, and {fn!r} returned {value!r}. For "
        "a function that blocks, write: Pool(fn, run_in='thread', ...)"
    )


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
