"""Tasks that run one coroutine after another.

To start a task costs more than all the rest of a short request, so tasks are used
again.  Each coroutine has a context of its own nonetheless: what an app sets in context
variables for one request is not there in the next, of somebody else.  As a task has one
context, each step of the coroutine is made in the other, by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from types import TracebackType
from typing import Any, Self, TypeAlias

from csp._group import PrivateGroup
from csp._park import Loop, Waiter, current
from csp._tasks import Handle

_MOST_IDLE = 100

Job: TypeAlias = Coroutine[Any, Any, None]


class Runners:
    """A block with such tasks; leaving it waits for what they run."""

    def __init__(self) -> None:
        self.idle: list[_Runner] = []
        self.closed = False
        self._group = PrivateGroup("asgi")

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self.closed = True
        while self.idle:
            self.idle.pop().give(None)
        if isinstance(exc, Exception):  # what they run is finished all the same
            await self._group.__aexit__(None, None, None)
            return False
        return await self._group.__aexit__(exc_type, exc, traceback)

    def run(self, job: Job) -> Callable[[], None]:
        """Run a coroutine in a copy of this context; returns what cancels it."""
        step = _Steps(job, copy_context())
        while self.idle:
            runner = self.idle.pop()
            if runner.give(step):
                return runner.cancel
        runner = _Runner(self)
        runner.handle = self._group.go(runner.work, step, name="asgi")
        return runner.cancel


class _Steps:
    """A coroutine whose steps are made in a context."""

    __slots__ = ("_context", "_job")

    def __init__(self, job: Job, context: Context) -> None:
        self._job = job
        self._context = context

    def __await__(self) -> Generator[Any, Any, None]:
        run, send, throw = self._context.run, self._job.send, self._job.throw
        try:
            wanted = run(send, None)
            while True:
                try:
                    got = yield wanted
                except BaseException as error:
                    wanted = run(throw, error)
                else:
                    wanted = run(send, got)
        except StopIteration:
            return


class _Runner:
    """One of the tasks."""

    __slots__ = ("_runners", "_waiter", "handle")

    handle: Handle[None]
    _waiter: Waiter

    def __init__(self, runners: Runners) -> None:
        self._runners = runners

    def cancel(self) -> None:
        self.handle.cancel()

    def give(self, steps: _Steps | None) -> bool:
        """Let it run this, or end; tells whether it still can."""
        return self._waiter.match(self, steps)

    async def work(self, steps: _Steps | None) -> None:
        runners = self._runners
        loop = current()
        while steps is not None:
            await steps
            if runners.closed or len(runners.idle) >= _MOST_IDLE:
                return
            steps = await self._next(loop)

    async def _next(self, loop: Loop) -> _Steps | None:
        self._waiter = waiter = loop.waiter_class(loop)
        idle = self._runners.idle
        idle.append(self)
        steps: _Steps | None
        try:
            steps = await waiter.sleep()
        except BaseException as error:
            if self in idle:
                idle.remove(self)
            steps = waiter.rescue(error)
        return steps
