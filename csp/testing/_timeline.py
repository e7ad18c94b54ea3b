"""Who ran when in an explored program, and what each did.

Kept only for the run that is shown, since it costs more than the program itself.  What
is done with channels comes from wrappers, put around their operations meanwhile; all
other waits from the line of the program at which a task stands after its step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch
from weakref import WeakKeyDictionary

from csp import _channel, _ends, _handles, _operation, _select, _tasks

from ._places import Place, caller, innermost

if TYPE_CHECKING:
    from ._scheduler import World

_WIDTH = 40  # of an item, at most
_ROWS = 80  # of a table, at most


class Moment(NamedTuple):
    """One thing that happened in a run."""

    step: int
    """The number of the step, counted over all tasks."""
    task: str
    """Whose it was; tasks of the same name are numbered."""
    what: str
    where: str
    """The place in the program, as "file.py:12"; empty if it has none."""


class Timeline:
    """Writes down the moments of one run."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self._step = self._told = 0
        self._task: Any = None  # whose step it is
        self._channels: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._doing: dict[Any, str] = {}  # the operation that a task is in
        self._waiting: set[Any] = set()  # the tasks whose operation was seen to wait
        self._closed = False

    def attach(self, world: World, name: Callable[[Any], str]) -> None:
        """Learn whom to ask about tasks."""
        self._world = world
        self._name = name

    def step(self, task: Any) -> None:
        """Begin a step of `task`."""
        self.pause()
        self._step += 1
        self._task = task
        self._told = len(self.moments)

    def pause(self) -> None:
        """Write down how the step has ended."""
        task, self._task = self._task, None
        if task is None:
            return
        if outcome := self._world.outcome(task):
            self._add(task, outcome)
        elif task in self._doing:
            if task not in self._waiting:
                self._waiting.add(task)
                self._add(task, f"{self._doing[task]} waits", self._place(task))
        elif place := self._place(task):
            self._add(task, f"at: {place.source}", place)
        elif self._told == len(self.moments):
            self._add(task, "goes on")

    def end(self, task: Any, how: str) -> None:
        """Write down that `task`, whose step it is, has ended."""
        self._task = None
        self._add(task, how)

    def note(self, task: Any, what: str) -> None:
        """Write down what happens to `task` between its steps."""
        self.pause()
        self._add(task, what, self._place(task))

    def close(self) -> None:
        """Write no more: what follows is clearing up."""
        self.pause()
        self._closed = True

    def _place(self, task: Any) -> Place | None:
        return innermost(self._world.frames(task))

    def _add(self, task: Any, what: str, place: Place | None = None) -> None:
        if not self._closed:
            where = str(place) if place else ""
            self.moments.append(Moment(self._step, self._name(task), what, where))

    # What tasks do with channels

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hear of what is done with channels while the block runs."""
        with ExitStack() as stack:
            for owner, verb in _VERBS:
                method = owner.__dict__[verb]
                wrap = self._wrap_async if verb in _ASYNC else self._wrap
                stack.enter_context(patch.object(owner, verb, wrap(method)))
            for module in (_operation, _select, _tasks):
                wait = self._wrap_wait(module.wait_for_any)
                stack.enter_context(patch.object(module, "wait_for_any", wait))
            for op in (_operation._Recv, _operation._Send):
                stack.enter_context(patch.object(op, "poll", self._wrap_poll(op.poll)))
            yield

    def _wrap_async(self, method: Any) -> Any:
        @wraps(method)
        async def watched(end: Any, *args: Any) -> Any:
            with self._operation(self._call(end, method, args)) as outcome:
                value = await method(end, *args)
                outcome(value)
                return value

        return watched

    def _wrap(self, method: Any) -> Any:
        @wraps(method)
        def watched(end: Any, *args: Any) -> Any:
            with self._operation(self._call(end, method, args)) as outcome:
                value = method(end, *args)
                outcome(value)
                return value

        return watched

    def _wrap_wait(self, wait_for_any: Any) -> Any:
        async def watched(ops: Any, loop: Any) -> Any:
            cases = ", ".join(map(self._describe, ops))
            with self._operation(f"select({cases})") as outcome:
                op, value = await wait_for_any(ops, loop)
                outcome(value, self._describe(op))
                return op, value

        return watched

    def _wrap_poll(self, poll: Any) -> Any:
        def watched(op: Any) -> Any:
            value = poll(op)
            if value is not _operation.NOT_READY and self._task not in self._doing:
                self._happened(self._describe(op), value)
            return value

        return watched

    @contextmanager
    def _operation(self, text: str) -> Iterator[Callable[..., None]]:
        """Write down an operation, unless it is a part of another."""
        task = self._task
        if task is None or task in self._doing:
            yield lambda *_: None
            return
        self._doing[task] = text
        try:
            yield lambda value, case="": self._happened(text, value, case)
        except BaseException as error:
            self._add(task, f"{text} raises {type(error).__name__}", caller())
            raise
        finally:
            del self._doing[task]
            self._waiting.discard(task)

    def _happened(self, text: str, value: Any, case: str = "") -> None:
        result = ", ".join([case] * bool(case) + [show(value)] * (value is not None))
        if self._task is not None:
            self._add(self._task, f"{text} -> {result}" if result else text, caller())

    def _call(self, end: Any, method: Any, args: tuple[Any, ...]) -> str:
        verb = "receive" if method.__name__ == "__anext__" else method.__name__
        return f"{self._channel(end)}.{verb}({', '.join(map(show, args))})"

    def _describe(self, op: Any) -> str:
        match op:
            case _operation._Recv():
                return f"recv({self._channel(op.end)})"
            case _operation._Send():
                return f"send({self._channel(op.end)}, {show(op._item)})"
            case _tasks._Done():
                return f"done({op._handle.name.rpartition('.')[2]})"
        return show(op)

    def _channel(self, end: Any) -> str:
        state = end._state.real
        unnamed = f"channel{len(self._channels) + 1}"
        return self._channels.setdefault(state, state.name or unnamed)


_SENDING = ("send", "send_nowait", "send_many", "wait_empty")
_RECEIVING = ("receive", "receive_nowait", "receive_many", "drain", "__anext__")
_ASYNC = {"send", "send_many", "wait_empty", "receive", "receive_many", "__anext__"}
_VERBS: list[tuple[type, str]] = [
    *((_ends.Sends, verb) for verb in _SENDING),
    *((_ends.Receives, verb) for verb in _RECEIVING),
    (_channel.Channel, "close"),
    (_handles._Handle, "close"),
]


def render(moments: Sequence[Moment]) -> str:
    """Lay moments out as a table, without the middle of a long one."""
    cut = len(moments) - _ROWS
    if cut > 0:
        first, last = _ROWS // 4, _ROWS - _ROWS // 4
        gap = Moment(moments[first].step, "", f"... {cut} moments left out ...", "")
        moments = [*moments[:first], gap, *moments[-last:]]
    rows = [("step", "task", "", ""), *((str(m.step), *m[1:]) for m in moments)]
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{step:>{wide[0]}}  {task:{wide[1]}}  {what:{wide[2]}}  {where}".rstrip()
        for step, task, what, where in rows
    )


def show(value: object) -> str:
    """Return a short repr that is the same in every run."""
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
