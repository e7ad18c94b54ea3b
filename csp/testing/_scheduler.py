"""Who takes the next step of an explored program, whatever the event loop.

The loops in `_explore_asyncio` and `_explore_trio` run one step of one task at a time,
and before each they ask here whose it is.  Before a step, and before time passes, a
task may be cancelled.  Nothing else happens in between: so the decisions taken here
settle the whole run.

Time stands still while a task is ready, and jumps when none is.  If there is nothing to
jump to either, the program is at a deadlock.  That, or more steps than allowed, ends
the run: the program is cancelled, then all its tasks, shielded or not, and if that does
not help they are made to raise.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import CodeType
from typing import Any, NamedTuple, Protocol

from ._choices import Choices
from ._places import innermost
from ._timeline import Timeline

_POLITE = 2  # attempts to end a program by cancelling it
_ATTEMPTS = 6  # in all, before its loop is crashed


class Deadlock(RuntimeError):
    """Every task of a program waits, and there is nobody to wake any of them."""


class Endless(RuntimeError):
    """A program took more steps than it was allowed."""


class Outside(RuntimeError):
    """A program used what `explore` has no control of: threads, or real I/O."""


class Stuck(BaseException):
    """Raised in tasks that will not end, and out of a loop that will not."""


class Strike(NamedTuple):
    """A cancellation that could happen now."""

    task: Any
    how: str
    cancel: Callable[[], object]


def can_be_cancelled(scope: Any) -> bool:
    """Tell whether anybody could cancel `scope` now, or its deadline could pass."""
    return not scope.cancel_called and not (scope.shield and scope.deadline == math.inf)


class World(Protocol):
    """What a loop tells about its tasks, and does with them."""

    def name(self, task: Any) -> str:
        """Return the name that `task` was given."""

    def frames(self, task: Any) -> Iterable[tuple[CodeType, int]]:
        """Return where `task` stands, from the outermost function in."""

    def outcome(self, task: Any) -> str | None:
        """Tell in a word how `task` has ended, if it has."""

    def sleepers(self) -> Iterable[Any]:
        """Return the tasks of the program that have not ended."""

    def strikes(self, started: set[Any]) -> list[Strike]:
        """Return what can be cancelled now."""

    def stop(self, *, everything: bool) -> None:
        """Cancel the program: its main task, or all of them, shielded or not."""

    def abandon(self) -> None:
        """Raise `Stuck` in the tasks of the program, or else out of the loop."""


class Scheduler:
    """Settles one run of a program."""

    world: World

    def __init__(
        self,
        choices: Choices,
        *,
        cancel: bool,
        limit: int,
        timeline: Timeline | None = None,
    ) -> None:
        self._choices = choices
        self._cancel = cancel  # while nothing has been cancelled yet
        self._limit = limit
        self._timeline = timeline
        self.steps = 0
        self.verdict: BaseException | None = None  # why the run was ended, if it was
        self.refusal: Exception | None = None  # of the program as such
        self._attempts = 0  # to end it
        self._running = False  # whether the program is
        self._queue: dict[Any, None] = {}  # the ready tasks, longest first
        self._started: set[Any] = set()
        self._names: dict[Any, str] = {}

    def attach(self, world: World) -> None:
        """Learn which loop it is that runs the program."""
        self.world = world
        if self._timeline:
            self._timeline.attach(world, self.name)

    async def run(self, program: Callable[[], Awaitable[Any]], main: Any) -> Any:
        """Run the program, in the task `main`."""
        self._running = True
        self._names[main] = "main"
        self.steps = max(1, self.steps)
        self._begin_step(main)
        try:
            result = await program()
        except BaseException as error:
            self._over(main, f"ends with {type(error).__name__}")
            raise
        self._over(main, "ends")
        return result

    def _over(self, main: Any, how: str) -> None:
        self._running = False  # what is left is only cleared up
        if self._timeline:
            self._timeline.end(main, how)
            self._timeline.close()

    def strike(self) -> bool:
        """Cancel something, if that is decided."""
        if not self._cancel or not self._running or self.verdict:
            return False
        strikes = self.world.strikes(self._started)
        which = self._choices.strike(len(strikes))
        if which:
            task, how, cancel = strikes[which - 1]
            self._cancel = False
            if self._timeline:
                self._timeline.note(task, f"is cancelled {how}")
            cancel()
        return which > 0

    def choose(self, ready: Sequence[Any]) -> Any:
        """Decide whose the next step is; `ready` is in order of age."""
        self._count()
        self._queue = dict.fromkeys(task for task in self._queue if task in ready)
        self._queue.update(dict.fromkeys(ready))
        task = self._decide([*self._queue])
        del self._queue[task]
        return task

    def _decide(self, queue: list[Any]) -> Any:
        if not self._running or self.verdict:
            return queue[0]
        task = queue[self._choices.task(queue)]
        self._begin_step(task)
        return task

    def _begin_step(self, task: Any) -> None:
        self._started.add(task)
        if self._timeline:
            self._timeline.step(task)

    def _count(self) -> None:
        self.steps += 1
        if self.steps % self._limit == 0:
            self.end(
                Endless(
                    f"the program was not over after {self._limit} steps. Does it wait "
                    "in a loop for something that never comes? If it is only long, "
                    "give explore a higher steps="
                )
            )

    def deadlock(self) -> None:
        """End the run, since nothing can happen in it any more."""
        waits = []
        for task in self.world.sleepers():
            place = innermost(self.world.frames(task))
            waits.append(self.name(task) + (f" at {place}" if place else ""))
        if self._running:
            what = "every task waits, and nothing can wake any of them"
        else:
            what = "the program is over, but these tasks of it do not end"
        self.end(Deadlock(f"{what}: {', '.join(waits)}"))

    def end(self, verdict: BaseException) -> None:
        """Make the program end; each call is harder than the one before."""
        self.verdict = self.verdict or verdict
        self._attempts += 1
        if self._timeline:
            self._timeline.close()
        if self._attempts <= _POLITE:
            self.world.stop(everything=self._attempts == _POLITE)
        elif self._attempts <= _ATTEMPTS:
            self.world.abandon()
        else:
            raise Stuck

    def name(self, task: Any) -> str:
        """Return what a task is called: as its function, numbered if there are more."""
        if task not in self._names:
            full = self.world.name(task).rpartition("<locals>.")[2]
            name = full.rpartition(".")[2]
            same = [n for n in self._names.values() if n.partition(" #")[0] == name]
            self._names[task] = f"{name} #{len(same) + 1}" if same else name
        return self._names[task]

    def refuse(self, what: str) -> Exception:
        """Make the error of using something that is not controlled here."""
        self.refusal = self.refusal or Outside(
            f"{what} is outside of what explore controls: tasks, channels and time. "
            "What came of it could not be repeated; put a task or a fake in its place"
        )
        return self.refusal
