"""How a task goes to sleep, and is woken with a value.

This floor alone knows event loops: what they share is here, and the two that exist
are in `_park_asyncio` and `_park_trio`, imported when a loop of that kind runs.

A task that must wait makes one `Waiter`, leaves it with whatever could wake it, and
sleeps::

    waiter = loop.waiter_class(loop)
    ...                                   # hand it out
    try:
        value = await waiter.sleep()
    except BaseException as error:
        ...                               # take it back
        value = waiter.rescue(error)      # raises, unless it was woken after all

The rules:

1. A waiter is claimed at most once.  `claim` says True to the first who asks, and to
   nobody once the wait was cancelled.  Who hears False tries the next waiter: so a
   cancelled one swallows no wake-up that is meant for another.
2. Who has claimed a waiter wakes it, with `wake` or `fail`, before anything else can
   run.  What they stand for has then happened, and there is no way back.
3. Hence a wait either returns what it was woken with, or raises and never was
   claimed.  `rescue` keeps this true where a loop would break it.

The budget.  An operation that need not wait does not yield, so a busy task could
starve its loop and never learn that it was cancelled.  A loop therefore grants
`BUDGET` operations between two checkpoints, over all channels; the operation that
finds the budget spent yields first and commits afterwards.  Going to sleep renews
it.  tokio has the same, with 128 for each task.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine
from importlib import import_module
from random import Random
from threading import get_ident
from typing import Any, ClassVar, NoReturn, TypeAlias, TypeVar

from anyio.abc import TaskGroup

BUDGET = 64


class Waiter:
    """One wait of one task: claimed once, and then woken with a value or an error."""

    __slots__ = ("loop", "op")

    loop: Loop
    op: object
    """What the waiter was claimed for; None until then."""

    def __init__(self, loop: Loop) -> None:
        raise NotImplementedError

    def waits(self) -> bool:
        """Tell whether it could be claimed now."""
        raise NotImplementedError

    def claim(self, op: object) -> bool:
        """Take the right and the duty to wake this waiter, on behalf of `op`.

        False if somebody else has it, or if the wait was cancelled.
        """
        raise NotImplementedError

    def wake(self, value: object) -> None:
        """Let the wait end with `value`.  Only after `claim` said True."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """Let the wait end by raising `error`.  Only after `claim` said True."""
        raise NotImplementedError

    def match(self, op: object, value: object) -> bool:
        """Claim and wake in one."""
        raise NotImplementedError

    def alarm(self, when: float, ring: Ring) -> None:
        """Call `ring(self)` once the loop's clock shows `when`, if still asleep."""
        raise NotImplementedError

    def disarm(self) -> None:
        """Forget all alarms."""
        raise NotImplementedError

    def sleep(self) -> Awaitable[Any]:
        """Return what the task that made this waiter awaits, at once and only once."""
        raise NotImplementedError

    def rescue(self, error: BaseException) -> Any:
        """Return what the waiter was woken with, though `error` ended the sleep.

        Raises `error` if nobody woke it.
        """
        raise NotImplementedError


# Called when an alarm is due; claims the waiter, or sets the next alarm.
Ring: TypeAlias = Callable[[Waiter], None]


SEND = "anyio.from_thread.run(ch.send, item)"

# Starts a coroutine as a task with a name; returns what cancels it.
Starter: TypeAlias = Callable[[Coroutine[Any, Any, None], str], Callable[[], None]]


new_random: Callable[[], Random] = Random
"""Makes the source of select's choices for a loop; tests put a seeded one here."""


class Loop:
    """What the library keeps for one running event loop."""

    __slots__ = ("budget", "random", "thread")

    waiter_class: ClassVar[type[Waiter]]

    budget: int  # operations until the next checkpoint
    random: Random  # makes select's choices
    thread: int  # the one that the loop runs in; 0 if it is known to have ended

    def __init__(self) -> None:
        self.budget = BUDGET
        self.thread = get_ident()
        self.random = new_random()

    def check(self, what: object, remedy: str = SEND) -> None:
        """Refuse the use of `what` in another thread, or after this loop has ended.

        Called where a task goes to sleep or is woken.
        """
        if get_ident() != self.thread:
            self.refuse(what, remedy)

    def refuse(self, what: object, remedy: str = SEND) -> NoReturn:
        """Raise the RuntimeError for the use of `what` where it does not belong."""
        raise RuntimeError(
            f"{what} belongs to another event loop or thread. From a worker thread, "
            f"write: {remedy}"
        )

    def is_over(self) -> bool:
        """Tell whether this loop is known to have ended."""
        return not self.thread

    def starter(self, tasks: TaskGroup) -> Starter:
        """Return how to start tasks in a group that the running task just entered."""
        raise NotImplementedError

    def poster(self) -> Callable[[Callable[[], object]], object]:
        """Return what calls a function in the loop soon, from anywhere.

        That is from another thread, or from the handler of a signal.
        """
        raise NotImplementedError

    def time(self) -> float:
        """Return the loop's clock, in seconds."""
        raise NotImplementedError

    async def checkpoint(self) -> None:
        """Let others run, notice a cancellation, and renew the budget."""
        raise NotImplementedError


_F = TypeVar("_F", bound=Callable[..., Any])

surgery: list[Callable[..., Any]] = []
"""The functions marked `uninterrupted`."""


def uninterrupted(fn: _F) -> _F:
    """Keep Ctrl-C from cutting `fn` in two: trio raises it at the next checkpoint."""
    surgery.append(fn)
    return fn


_finders: list[Callable[[], Loop | None]] = []
_not_imported = {"asyncio": "._park_asyncio", "trio": "._park_trio"}


def current() -> Loop:
    """Return the record of the event loop that runs in this thread.

    Raises RuntimeError if none does.
    """
    for find in _finders:
        if (loop := find()) is not None:
            return loop
    if _import_next():
        return current()
    raise RuntimeError(
        "no event loop is running here. Start one with csp.run(main), asyncio.run or "
        "trio.run, and call this from a task of it"
    )


def _import_next() -> bool:
    """Import the backend of a library that the program uses, if there is a new one."""
    for library, name in [*_not_imported.items()]:
        if library in sys.modules:
            find = import_module(name, __package__).find
            if find not in _finders:  # two threads may come here at once
                _finders.append(find)
            _not_imported.pop(library, None)
            return True
    return False
