"""The workers of a pool: tasks that receive jobs until there are no more.

While a job runs, to cancel it is to cancel its worker; and since a worker that is being
cancelled must not take another job, it retires and a new one is hired.

Jobs that run elsewhere have their workers too: each has a seat in an executor, gives
the job to that, and waits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, Literal, TypeAlias

import anyio

from ._executors import Ended, Executor, Seat, ThreadSeat, WorkerDied, see_out
from ._group import Group
from ._jobs import Job, Jobs
from ._stop import stopping, time_to_cut
from ._tasks import Handle, beside_cancellation
from ._timer import at

RunIn: TypeAlias = Literal["task", "thread", "process"] | Executor


class Worker:
    """A task that does jobs, one after the other."""

    __slots__ = ("_future", "_handle", "_jobs", "_seat", "_spent", "_staff", "job")

    _future: Future[Any]

    _handle: Handle[None]

    def __init__(self, staff: Staff) -> None:
        self._staff = staff
        self._jobs = staff.jobs
        self._seat: Seat | None = None
        self._spent = False  # whether it has been cancelled, and so is to be replaced
        self.job: Job[Any] | None = None

    def start(self, group: Group) -> None:
        """Begin to work."""
        self._handle = group.go(self._work, name=self._jobs.name)

    def cancel(self) -> None:
        """Cancel the job that is being done."""
        self._spent = True
        if self._seat is None:
            self._handle.cancel()
        else:
            self._seat.abort(self._future)

    async def _work(self) -> None:
        staff = self._staff
        try:
            if anyio.current_effective_deadline() == -math.inf:
                return  # the pool has been cancelled: no jobs are begun any more
            self._seat = staff.seat()
            await (self._work_here() if self._seat is None else self._work_elsewhere())
        except BaseException as error:
            self._spent = beside_cancellation(error) is None
            # One that asyncio alone knows of ends this worker, and not the pool.
            if not self._spent or anyio.current_effective_deadline() == -math.inf:
                raise
        finally:
            if self._seat is not None:
                await self._seat.close()
            staff.leave(self, self._spent)

    async def _work_here(self) -> None:
        """Do jobs in this task."""
        jobs, fn = self._jobs, self._staff.fn
        async for job in jobs.channel:
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
                    jobs.book_finished(job, value)
                self._end(job)
                if self._spent:
                    break
            coro = value = None  # not to keep them while waiting for the next
            del job

    async def _work_elsewhere(self) -> None:
        """Have jobs done by the executor."""
        async for job in self._jobs.channel:
            if self._begin(job):
                await self._do_elsewhere(job)
                self._end(job)
                if self._spent:
                    break
            del job

    def _begin(self, job: Job[Any]) -> bool:
        """Take on a job, unless nobody wants it any more."""
        if job.given_up:
            self._jobs.book_cancelled(job)
            return False
        self.job, job._worker = job, self
        return True

    def _end(self, job: Job[Any]) -> None:
        self.job = job._worker = None

    def _book_error(self, job: Job[Any], error: BaseException) -> BaseException | None:
        """Book what came out of a job; returns it unless that is a cancellation."""
        failure = beside_cancellation(error)
        if failure is None:
            self._jobs.book_cancelled(job)
        else:
            self._jobs.book_failed(job, failure)
        return failure

    async def _do_elsewhere(self, job: Job[Any]) -> None:
        """Have a job done by the executor."""
        assert self._seat is not None
        try:
            self._future = self._seat.submit(self._staff.fn, job.item)
            await Ended(self._future)
        except Exception as error:
            self._jobs.book_failed(job, error)
            return
        except BaseException:
            self.cancel()
            await see_out(Ended(self._future))
            self._settle(job)
            raise
        self._settle(job)

    def _settle(self, job: Job[Any]) -> None:
        """Book what came of a job that was done elsewhere."""
        jobs = self._jobs
        try:
            value = self._future.result()
        except BaseException as error:
            cut = self._spent and isinstance(error, WorkerDied)
            if cut or isinstance(error, CancelledError):
                jobs.book_cancelled(job)
            else:
                self._book_error(job, error)
        else:
            jobs.book_finished(job, value)


class Staff:
    """All workers of a pool, and who cuts their jobs when the program is to stop.

    Args:
        jobs: What they do.
        fn: How.
        run_in: Where.
        grace: Seconds after a stop request before jobs are cut.
    """

    _group: Group
    _watcher: Handle[None]

    def __init__(
        self, jobs: Jobs[Any], fn: Any, run_in: RunIn, grace: float | None
    ) -> None:
        self.jobs = jobs
        self.fn = fn
        self.seat = _seats(run_in, fn, jobs.name)
        self._grace = grace
        self._workers: set[Worker] = set()

    def start(self, group: Group) -> None:
        """Begin to work, in tasks of a group."""
        self._group = group
        for _ in range(self.jobs.workers):
            self._hire()
        self._watcher = group.go(self._watch, name=f"watch of {self.jobs.name}")

    def close(self) -> None:
        """Let them go when all that was admitted is done."""
        self.jobs.close()
        if not self._workers:
            self._watcher.cancel()

    async def _watch(self) -> None:
        """Cut the jobs in time if the program is asked to stop."""
        await stopping()
        await at(time_to_cut(self._grace))
        self.close()
        self.jobs.cut_queued()
        for worker in [*self._workers]:
            if worker.job is not None:
                worker.cancel()

    def _hire(self) -> None:
        worker = Worker(self)
        self._workers.add(worker)
        worker.start(self._group)

    def leave(self, worker: Worker, spent: bool) -> None:
        """Go on without one, or with another if it is spent and there is work."""
        self._workers.discard(worker)
        jobs = self.jobs.channel
        if spent and (not jobs.closed or len(jobs) or jobs._state.senders):
            self._hire()
        if not self._workers and jobs.closed:
            self._watcher.cancel()


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
