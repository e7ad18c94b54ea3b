"""Workers of a pool that are processes.

Each has a process of its own, and a thread that starts it, gives it the jobs through a
pipe and waits for what comes back; so the event loop waits for nothing.  A process can
be killed by itself, and if it dies it takes no job with it but its own.  When the pipe
closes it ends, and so it does not outlive us even if we are killed.
"""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from traceback import format_exc
from typing import Any

from ._executors import Ended, ThreadSeat, WorkerDied, brief, see_out

_PATIENCE = 5.0  # seconds for a process to end by itself


class ProcessSeat(ThreadSeat):
    """A process of one's own, which can be killed."""

    _pipe: Connection[Any, Any]
    _process: SpawnProcess | None = None
    _killed = False

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._executor.submit(self._start)  # the first job need not wait for all of it

    def submit(self, fn: Callable[[Any], Any], item: Any) -> Future[Any]:
        return self._executor.submit(self._do, fn, item)

    def abort(self, future: Future[Any]) -> None:
        self._killed = not future.cancel()
        process = self._process
        if self._killed and process is not None:
            process.kill()

    async def close(self) -> None:
        await see_out(Ended(self._executor.submit(self._stop)))
        await super().close()

    # In the thread

    def _start(self) -> None:
        _hold_back_ctrl_c()
        # Not forked: a fork would share this process's loop, threads and sockets.
        context = get_context("spawn")
        self._pipe, pipe = context.Pipe()
        with pipe:
            process = context.Process(target=_serve, args=(pipe,))
            process.start()
        self._process = process
        if self._killed:  # by somebody who could not see it yet
            process.kill()

    def _stop(self) -> int | None:
        """See the process end; returns its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        self._pipe.close()
        process.join(_PATIENCE)
        process.kill()
        process.join()
        return process.exitcode

    def _do(self, fn: Callable[[Any], Any], item: Any) -> Any:
        job = _pickled((fn, item), f"the item {brief(item)}")
        if self._process is None or not self._process.is_alive():
            self._stop()
            self._start()
        try:
            self._pipe.send_bytes(job)
            outcome = self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            raise WorkerDied(
                f"the process that did {brief(item)} has died: exit code {self._stop()}"
            ) from error
        answer, trace = pickle.loads(outcome)  # noqa: S301 - of our own process
        returned, value = _unpickled(answer, f"what came of {brief(item)}", trace)
        if returned:
            return value
        with suppress(Exception):  # there are frozen ones
            value.add_note(trace)
        raise value


def _pickled(value: object, what: str) -> bytes:
    try:
        return bytes(ForkingPickler.dumps(value))
    except Exception as error:
        raise pickle.PicklingError(f"{what} cannot be pickled: {error}") from error


def _unpickled(data: bytes, what: str, trace: str = "") -> Any:
    try:
        return pickle.loads(data)  # noqa: S301 - of our own process, or for it
    except Exception as error:
        text = f"{what} cannot be unpickled: {error!r}"
        failure = pickle.UnpicklingError(text)
        if trace:
            failure.add_note(trace)
        raise failure from error


def _hold_back_ctrl_c() -> None:
    """Let what this thread starts not see Ctrl-C: it is for us to obey."""
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # else it starts later, and undoes this
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


def check_picklable(fn: object) -> None:
    """Raise TypeError unless `fn` can be sent to another process."""
    try:
        pickle.dumps(fn)
    except Exception as error:
        raise TypeError(
            f"run_in='process' needs a function that can be pickled, and {fn!r} "
            f"cannot: {error}. Define it at the top level of a module"
        ) from error


# In the process


def _serve(pipe: Connection[Any, Any]) -> None:
    """Do the jobs that come through a pipe, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be held back
    with suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(_answer(pipe.recv_bytes()))


def _answer(job: bytes) -> bytes:
    """Do a job.  Returns what came of it, and the traceback if that is an error."""
    trace = ""
    try:
        fn, item = _unpickled(job, "the job")
        outcome = True, fn(item)
    except BaseException as error:
        outcome, trace = (False, error), _trace()
    try:
        answer = _pickled(outcome, f"what came of the job, {brief(outcome[1])},")
    except Exception as error:
        answer, trace = _pickled((False, error), "this"), trace or _trace()
    return pickle.dumps((answer, trace))


def _trace() -> str:
    return f"in the process that did it:\n{format_exc()}"
