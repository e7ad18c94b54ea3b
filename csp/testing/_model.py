"""What a method of a model can say, besides returning a result or raising.

A model says what an object does when its calls come one after the other.  It is a plain
class; these are for calls that wait for others, and for those that may do any of
several things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")


class Blocked(Exception):
    """Raised by a method of a model: the call cannot take its step in this state.

    It takes it later, once others have changed the state.

        class Semaphore:
            def __init__(self, value):
                self.value = value

            def acquire(self):
                if not self.value:
                    raise Blocked
                self.value -= 1

            def release(self):
                self.value += 1
    """


class Waiting:
    """Returned by a method of a model: the call has queued up, and others finish it.

    The model keeps it until then.  Unlike with `Blocked`, those who wait have an order,
    and what one call does can depend on who waits.

        class FairSemaphore:
            def __init__(self, value):
                self.value = value
                self.queue = []

            def acquire(self):
                self.queue.append(Waiting())
                return self.queue[-1]

            def release(self):
                self.value += 1

            def settle(self):
                while self.value and self.queue:
                    if self.queue.pop(0).finish():
                        self.value -= 1
    """

    __slots__ = ("_call", "_error", "_value", "over")

    over: bool
    """Whether the call has been finished, or was cancelled and waits no more."""

    def __init__(self) -> None:
        self.over = False
        self._call: int | None = None  # its number, once this has been returned
        self._value: Any = None
        self._error: BaseException | None = None

    def finish(self, value: Any = None) -> bool:
        """Let the call return `value`.

        False if it is over, and so the next in the queue is to be tried.  A `Waiting`
        may be in several queues; the first to finish it wins.
        """
        return self._end(value, None)

    def fail(self, error: BaseException) -> bool:
        """Let the call raise an error like this; False if it is over."""
        return self._end(None, error)

    def _end(self, value: Any, error: BaseException | None) -> bool:
        if self.over:
            return False
        self.over, self._value, self._error = True, value, error
        return True

    def __str__(self) -> str:
        if not self.over:
            return "waits"
        if self._error is not None:
            return f"raises {self._error!r}"
        return f"returns {self._value!r}"


def outcome_of(step: Callable[[], Any]) -> Waiting:
    """Take a step of a model; returns how the call ended by it, or that it waits."""
    outcome = Waiting()
    try:
        value = step()
    except Blocked:
        raise
    except Exception as error:
        outcome.fail(error)
    else:
        if not isinstance(value, Waiting):
            outcome.finish(value)
        elif value._call is None:
            return value
        else:
            raise TypeError("a Waiting is of one call: make one in each that waits")
    return outcome


class _Plan:
    """Which of its options each `choose` of a step takes: at first the first."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.sizes: list[int] = []
        self.position = 0

    def take(self, options: Sequence[T]) -> T:
        if self.position == len(self.taken):
            self.taken.append(0)
            self.sizes.append(len(options))
        self.position += 1
        return options[self.taken[self.position - 1]]

    def advance(self) -> bool:
        """Change the last choice that can be changed; False if there is none."""
        self.position = 0
        while self.taken and self.taken[-1] + 1 == self.sizes[-1]:
            self.taken.pop()
            self.sizes.pop()
        if self.taken:
            self.taken[-1] += 1
        return bool(self.taken)


_plan: ContextVar[_Plan | None] = ContextVar("plan", default=None)


def choose(options: Iterable[T]) -> T:
    """Return one of `options`: in a model, the call may do any of these.

    `linearizable` tries them all; elsewhere it is the first.  If there are none, the
    call is `Blocked`.

        class Bag:
            def __init__(self):
                self.items = []

            def put(self, item):
                self.items.append(item)

            def take(self):
                item = choose(self.items)
                self.items.remove(item)
                return item
    """
    options = [*options]
    if not options:
        raise Blocked
    plan = _plan.get()
    return plan.take(options) if plan else options[0]


def each_way(step: Callable[[], T]) -> Iterator[T]:
    """Take a step in each way in which its choices can go; yields what comes of it."""
    plan = _Plan()
    more = True
    while more:
        token = _plan.set(plan)
        try:
            result = step()
        finally:
            _plan.reset(token)
        yield result
        more = plan.advance()
