"""The jobs of a pool: the channel that they wait in, and the books.

A caller who is cancelled takes the job along.  While it is queued, it is taken out of
the channel.  While it runs, whoever does it is told.  The call ends when the job has.
So it may turn out that a job has ended well though its caller was cancelled, just
before or all the same: then nobody is left to return its result to.

The books: every job that was admitted is finished, failed or cancelled in the end, and
until then it is queued or runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import anyio

from ._account import DrainReport
from ._channel import Channel
from ._errors import ChannelClosed, Overloaded
from ._executors import brief, see_out
from ._park import Loop, Waiter, uninterrupted
from ._queue import join
from ._state import UNBOUND
from ._tasks import Handle, done

R = TypeVar("R")


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


class Doer(Protocol):
    """Who does a job."""

    def cancel(self) -> None:
        """Cancel the job that is being done."""


class Job(Handle[R]):
    """A job of a pool: a handle, as that of a task.

    It also stands in the channel's queue of senders for the caller who waits for room,
    since being received does not end that wait, but only the job's end does.
    """

    __slots__ = ("_caller", "_jobs", "_worker", "given_up", "item", "op")

    def __init__(self, jobs: Jobs[R], item: Any) -> None:
        self.name = jobs.name
        self.item = item
        self.given_up = False  # whether nobody wants it any more
        self.op: object = None  # see Waiter
        self._loop = jobs.loop
        self._error = self._waiters = None
        self._finished = False
        self._jobs = jobs
        self._worker: Doer | None = None
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
        self._jobs.withdraw(self)

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


class Jobs(Generic[R]):
    """The jobs of one pool.

    Args:
        name: What messages call the pool.
        workers: How many jobs run at once.
        queue: How many more may be admitted.
        rejects: Whether one more than that is refused; else it waits.
        on_undelivered: Called with results that nobody waits for.
    """

    def __init__(
        self,
        name: str,
        workers: int,
        queue: int | float,
        rejects: bool,
        on_undelivered: Callable[[R], None] | None,
    ) -> None:
        self.name = name
        self.workers = workers
        self.rejects = rejects
        self.loop: Loop = UNBOUND
        self._whose = f"<Pool {name!r} of {workers}>"
        self._limit = workers + queue  # of jobs at once
        # Who is rejected is so by the books.  By the channel it would depend on whether
        # an idle worker waits at it already.
        capacity = self._limit if rejects else queue
        self.channel: Channel[Job[R]] = Channel(capacity, name=name)
        self._state = self.channel._state
        self._on_undelivered = on_undelivered
        self._finished = self._failed = self._cancelled = self._refused = 0
        self._cut_names: list[str] = []  # of the jobs cancelled since it closed
        self._unbegun = 0  # jobs among those that had not begun

    def bind(self, loop: Loop) -> None:
        """Let jobs be given on this loop, from now on."""
        self.loop = loop
        self._state.bind(loop)

    def offer(self, job: Job[R]) -> None:
        """Let a job be received, or queue up for it."""
        state = self._state
        if self.rejects and self.inside() >= self._limit and not self.channel.closed:
            self._refused += 1
            raise Overloaded(f"{self._whose} has no room for another job")
        try:
            if state.offer(job):
                return
        except ChannelClosed:
            raise self.refuse(job.item) from None
        entry = (job, job, self.channel, job)
        state.senders = join(state.senders, job, entry)  # type: ignore[arg-type]

    def withdraw(self, job: Job[R]) -> None:
        """Take a job back that nobody wants any more."""
        if job._finished or job.given_up:
            return
        job.given_up = True
        state = self._state
        if job._worker is not None:
            job._worker.cancel()
        elif state.discard(job):
            self.book_cancelled(job)
        elif job in state.senders:  # it never came in
            state.dismiss_sender(job)
            job.fail(_cancelled(job))
        # Else a worker has it already, and will see.

    async def take_back(self, job: Job[R], cancellation: BaseException) -> None:
        """Withdraw a job, and see it end; raises what it raises."""
        self.withdraw(job)
        await see_out(done(job))
        failure = job._error
        if failure is None or isinstance(failure, anyio.TaskCancelled):
            return
        if anyio.current_effective_deadline() == -math.inf:
            raise failure
        raise cancellation from failure  # native, so it would not come again

    def refuse(self, item: object) -> ChannelClosed:
        """Count a job that comes too late; returns what to raise."""
        self._refused += 1
        text = f"{self._whose} takes no more jobs: its block has ended"
        return ChannelClosed(text, item)

    # The books

    def inside(self) -> int:
        """Return how many jobs have been admitted and have not ended."""
        ended = self._finished + self._failed + self._cancelled
        return self._state.sent - ended

    def statistics(self) -> PoolStatistics:
        """Return the pool's figures, as a frozen record."""
        inside = self.inside()
        running = min(inside, self.workers)
        return PoolStatistics(
            workers=self.workers,
            running=running,
            queued=inside - running,
            waiting=len(self._state.senders),
            finished=self._finished,
            failed=self._failed,
            cancelled=self._cancelled,
            refused=self._refused,
        )

    def book_finished(self, job: Job[R], value: R) -> None:
        self._finished += 1
        if job.given_up:
            job.fail(_cancelled(job))
        else:
            job._value = value
            job.finish()
        if job.given_up and self._on_undelivered is not None:
            self._on_undelivered(value)

    def book_failed(self, job: Job[R], error: BaseException) -> None:
        self._failed += 1
        job.fail(error)

    def book_cancelled(self, job: Job[R]) -> None:
        self._cancelled += 1
        if self.channel.closed:
            self._cut_names.append(brief(job.item))
        job.fail(_cancelled(job))

    # The end

    def close(self) -> None:
        """Admit no more; what is there will be done."""
        if not self.channel.closed:
            self.channel.close()
            self._began = self.loop.time()
            self._before = self.statistics()

    def cut_queued(self) -> None:
        """Cancel the jobs that have not begun."""
        for job in self.channel.drain():
            self._unbegun += 1
            self._cancelled += 1
            job.fail(anyio.TaskCancelled(f"{job!r} was cut before it began"))

    def report(self) -> DrainReport:
        """Report what became of those that were there when it closed."""
        before, now = self._before, self.statistics()
        return DrainReport(
            finished=now.finished + now.failed - before.finished - before.failed,
            cut=len(self._cut_names),
            refused=now.refused - before.refused + self._unbegun,
            cut_names=tuple(self._cut_names),
            seconds=self.loop.time() - self._began,
        )


def _cancelled(job: Job[Any]) -> anyio.TaskCancelled:
    return anyio.TaskCancelled(f"{job!r} was cancelled")
