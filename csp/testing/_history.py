"""What concurrent tasks did with an object, and when: evidence for `linearizable`.

Time is counted in beginnings and ends of calls.  A call came before another if it had
ended when the other began; else they overlapped, and either may have taken effect
first.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import wraps
from inspect import iscoroutinefunction
from itertools import count
from reprlib import repr as short
from typing import Any, TypeVar, cast

import anyio
import attrs

T = TypeVar("T")

_WIDTH = 72  # of the diagram, at most


@attrs.define(eq=False, repr=False)
class Call:
    """One call by one task: when it began, and how it ended.

    It returned `result`, unless it is `cancelled`, `pending`, or has `raised`.
    """

    task: str
    """The task's name; several of one name are numbered."""
    verb: str
    """What was called."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = attrs.Factory(dict)
    begin: float = 0
    end: float = math.inf
    """Infinite while the call has not ended."""
    result: Any = None
    raised: type[BaseException] | None = None
    """The class of what it raised; the error itself would keep its frames alive."""
    cancelled: bool = False
    """Whether that was a cancellation: then the call claims to have done nothing."""

    @property
    def pending(self) -> bool:
        """Whether the call has not ended."""
        return self.end == math.inf

    def __str__(self) -> str:
        args = [short(arg) for arg in self.args]
        args += [f"{name}={short(value)}" for name, value in self.kwargs.items()]
        return f"{self.task}: {self.verb}({', '.join(args)}) {self._outcome()}"

    def _outcome(self) -> str:
        if self.pending:
            return "pending"
        if self.cancelled:
            return "cancelled"
        if self.raised is not None:
            return f"raised {self.raised.__name__}"
        return f"-> {short(self.result)}"

    def __repr__(self) -> str:
        return f"<Call {self}>"


class History:
    """Records what concurrent tasks do with an object.

        history = History()
        ch = history.spy(Channel(1))
        async with Group() as g:
            g.go(ch.receive)
            g.go(ch.receive)
            await ch.send("a")
            await anyio.wait_all_tasks_blocked()
            history.rest()
            g.cancel()
        verdict = linearizable(ChannelModel(1), history)
        assert verdict, str(verdict)

    ``str(history)`` draws the calls as intervals, one a line.

    Args:
        calls: Calls to begin with, such as some written by hand.
        rests: Times at which all was at rest.
    """

    calls: list[Call]
    """In the order in which they began."""
    rests: list[float]
    """The times at which all was at rest."""

    def __init__(self, calls: Iterable[Call] = (), rests: Iterable[float] = ()) -> None:
        self.calls = [*calls]
        self.rests = [*rests]
        self._clock = count(math.ceil(self.end))
        self._tasks: dict[str, dict[int, int]] = {}  # of each name, with their numbers

    def spy(self, obj: T, name: str = "") -> T:
        """Return a stand-in for `obj` whose public methods are recorded.

        A method that is an async function is recorded from when it is awaited.  What
        belongs to the class, such as ``async for`` and ``with``, needs `obj` itself.

        Args:
            obj: Anything.
            name: Comes before the verbs, as in "jobs.send", to tell several objects
                apart: then the model has an attribute of that name with the methods.
        """
        return cast("T", _Spy(self, obj, f"{name}." if name else ""))

    @contextmanager
    def call(self, verb: str, /, *args: Any, **kwargs: Any) -> Iterator[Call]:
        """Record what the block does, for what is not the call of a method.

            with history.call("select", ("receive",), ("send", 1)) as call:
                call.result = await select(recv(ch), send(ch, 1))

        What the block raises is recorded too, and goes on.
        """
        args = tuple(map(_keep, args))
        kwargs = {name: _keep(value) for name, value in kwargs.items()}
        call = Call(self._task(), verb, args, kwargs, next(self._clock))
        self.calls.append(call)
        try:
            yield call
        except GeneratorExit:  # the task was thrown away where it waited
            raise
        except BaseException as error:
            call.raised, call.cancelled = type(error), _is_cancellation(error)
            call.end = next(self._clock)
            raise
        call.result = _keep(call.result)
        call.end = next(self._clock)

    def rest(self) -> None:
        """Note that nothing moves now: whoever has not ended waits for others.

        So a call that is pending must wait in the model too, or a wake-up was lost; and
        it is ahead of calls that begin later, if those who wait are served in order.

            await anyio.wait_all_tasks_blocked()
            history.rest()
        """
        self.rests.append(next(self._clock))

    def _task(self) -> str:
        """Return the name of the running task, or thread."""
        try:
            task = anyio.get_current_task()
        except (RuntimeError, TypeError):  # in a callback it depends on the version
            return threading.current_thread().name
        name = (task.name or "task").rpartition("<locals>.")[2]
        alike = self._tasks.setdefault(name, {})
        number = alike.setdefault(task.id, len(alike) + 1)
        return f"{name} #{number}" if number > 1 else name

    @property
    def end(self) -> float:
        """The time after all that is recorded."""
        times = [*self.rests, *(time for c in self.calls for time in (c.begin, c.end))]
        return 1 + max((time for time in times if time < math.inf), default=-1)

    def __str__(self) -> str:
        end = self.end
        scale = min(1, _WIDTH / max(1, end))
        rows = [(c.begin, _interval(c, end, scale), str(c)) for c in self.calls]
        rests = ((time, " " * int(time * scale) + ":") for time in self.rests)
        rows += [(time, bar, "(all at rest)") for time, bar in rests]
        rows.sort(key=lambda row: row[0])
        wide = max((len(bar) for _, bar, _ in rows), default=0)
        return "\n".join(f"{bar:{wide}}  {text}" for _, bar, text in rows)

    def __repr__(self) -> str:
        return f"<History of {len(self.calls)} calls>"


def _interval(call: Call, last: float, scale: float) -> str:
    """Draw when a call was: up to an x if it was cancelled, a > if it is pending."""
    begin, end = int(call.begin * scale), int(min(call.end, last) * scale)
    mark = ">" if call.pending else "x" if call.cancelled else "|"
    bar = "" if begin == end else "|" + "-" * (end - begin - 1)
    return " " * begin + bar + mark


def _keep(value: Any) -> Any:
    """Return `value` as it is now, if it is a collection that may change."""
    return copy(value) if type(value) in (list, deque, dict, set) else value


def _is_cancellation(error: BaseException) -> bool:
    try:
        return isinstance(error, anyio.get_cancelled_exc_class())
    except RuntimeError:  # no event loop runs here
        return False


class _Spy:
    """Stands in for an object, and records the calls of its methods."""

    __slots__ = ("_history", "_obj", "_prefix")

    def __init__(self, history: History, obj: object, prefix: str) -> None:
        self._history = history
        self._obj = obj
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._obj, name)
        if name.startswith("_") or not callable(method):
            return method
        return self._recorded(self._prefix + name, method)

    def _recorded(self, verb: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self._history.call(verb, *args, **kwargs) as call:
                call.result = method(*args, **kwargs)
                return call.result

        @wraps(method)  # which gives its name to a task, too
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with self._history.call(verb, *args, **kwargs) as call:
                call.result = await method(*args, **kwargs)
                return call.result

        return awaited if iscoroutinefunction(method) else called

    def __repr__(self) -> str:
        return f"<spy on {self._obj!r}>"
