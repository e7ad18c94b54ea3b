"""Tasks in groups: blocks that wait for what was started in them.

A `Group` is anyio's task group, plus what Go and anyio have not: handles that a
select can wait for, and `csp.go`, which finds its group by itself.

Which group is that?  The one of the block that the calling task runs in: inside the
body of an ``async with Group()`` that group; elsewhere, the group the task was
started in.  A context variable says so.  Each task sets its own copy as it starts,
since the task that starts it may be inside another group by then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutine
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, TypeVarTuple

import anyio
from anyio.abc import TaskGroup, TaskStatus

from ._check import check_name
from ._park import Loop, Starter, current, uninterrupted
from ._state import Keeper, keeper
from ._tasks import Handle, current_group

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Group:
    """A block that does not end before the tasks started in it.

        async with Group() as g:
            g.go(produce, jobs)
            worker = g.go(consume, jobs)
        print(await worker)

    An error in the block or in a task cancels all the others, and comes out of the
    block in an `ExceptionGroup` once they have ended.

    Args:
        name: For messages.
    """

    __slots__ = (
        "__weakref__",
        "_keeper",
        "_loop",
        "_open",
        "_outer",
        "_start",
        "_tasks",
        "name",
    )

    name: str | None
    """What messages call the group."""

    _keeper: Keeper | None  # whose care its tasks are in
    _loop: Loop
    _outer: Group | None
    _start: Starter
    _tasks: TaskGroup

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            check_name(name)
        self.name = name
        self._open = False

    @uninterrupted
    async def __aenter__(self) -> Self:
        self._loop = current()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._start = self._loop.starter(self._tasks)
        self._open = True
        self._keeper = keeper.get()
        self._outer = current_group.get()
        current_group.set(self)
        return self

    @uninterrupted
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        current_group.set(self._outer)
        try:
            return await self._tasks.__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup as group:
            # An error that also came out of awaiting the task's handle is there twice.
            errors = [*{id(error): error for error in group.exceptions}.values()]
            if len(errors) == len(group.exceptions):
                raise
            raise BaseExceptionGroup(group.message, errors) from None
        finally:
            self._open = False

    @property
    def cancel_scope(self) -> anyio.CancelScope:
        """The scope around the block and its tasks: for deadlines and shields."""
        return self._tasks.cancel_scope

    def cancel(self) -> None:
        """Cancel the block and all its tasks."""
        self._tasks.cancel_scope.cancel()

    @uninterrupted
    def go(
        self,
        fn: Callable[[*Ts], Awaitable[T]],
        *args: *Ts,
        name: str | None = None,
    ) -> Handle[T]:
        """Start ``fn(*args)`` as a task of this group.

        Args:
            fn: An async function; keyword arguments go in with `functools.partial`.
            args: Its arguments.
            name: The task's name; by default the function's.

        Raises:
            RuntimeError: The group's block has not begun, or has ended; or this is
                another thread or event loop.
            TypeError: `fn` is not an async function.
        """
        self._check()
        handle: Handle[T] = Handle(name or _name_of(fn), self._loop)
        coro = call(fn, args, "go")
        task = handle._run(self, self._keeper, coro)
        handle._cancel = self._start(task, handle.name)
        return handle

    async def start(
        self, fn: Callable[..., Awaitable[Any]], *args: Any, name: str | None = None
    ) -> Any:
        """Start ``fn(*args, task_status=...)`` and wait until it says it is ready.

        Returns what it gave to ``task_status.started(value)``, as anyio's `start`.
        If it fails before that, the error comes out here and the group goes on.

            address = await g.start(serve, handler, "127.0.0.1:0")
        """
        self._check()

        async def run(*, task_status: TaskStatus[Any]) -> None:
            current_group.set(self)
            keeper.set(self._keeper)
            await call(fn, args, "start", task_status=task_status)

        return await self._tasks.start(run, name=name or _name_of(fn))

    def _check(self) -> None:
        """Raise RuntimeError unless tasks can be started here and now."""
        if not self._open:
            raise RuntimeError(
                f"{self!r} has no block running. Write: async with csp.Group() as g: "
                "g.go(fn, *args)"
            )
        self._loop.check(self, "anyio.from_thread.run_sync(csp.go, fn, *args)")

    def __repr__(self) -> str:
        name = f"{self.name!r} " if self.name else ""
        return f"<Group {name}{'open' if self._open else 'closed'}>"


class PrivateGroup(Group):
    """A group behind a block of the library's own, such as that of a pool.

    Nobody sees that there is a group.  So what the block starts with `go` is not in
    this one, but in the one that it would be in without it; and an error that the block
    raises by itself comes out as it is, not in an `ExceptionGroup`.
    """

    __slots__ = ()

    @uninterrupted
    async def __aenter__(self) -> Self:
        outer = current_group.get()
        await super().__aenter__()
        current_group.set(outer)
        return self

    @uninterrupted
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        outer = current_group.get()
        try:
            return await super().__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup as group:
            if not has_only(group, exc):
                raise
            return False
        finally:
            current_group.set(outer)


def go(
    fn: Callable[[*Ts], Awaitable[T]], *args: *Ts, name: str | None = None
) -> Handle[T]:
    """Start ``fn(*args)`` as a task, in the group of the block that runs this.

    That is the group in whose body this is called, or else the one that the calling
    task was started in; under `csp.run`, at least the program's own.

        async def main():
            go(produce, jobs)
            await consume(jobs)

        csp.run(main)

    Raises:
        RuntimeError: There is no such group, or its block has ended; or this is
            another thread or event loop.
        TypeError: `fn` is not an async function.
    """
    group: Group | None = current_group.get()
    if group is None:
        raise RuntimeError(
            "go needs a group to start the task in. Write: async with csp.Group() as "
            "g: g.go(fn, *args); or start the program with csp.run(main)"
        )
    return group.go(fn, *args, name=name)


def has_only(group: BaseExceptionGroup[Any], error: BaseException | None) -> bool:
    """Tell whether this error alone is in a group.

    If it is a group itself, what is in there may be a copy: trio makes one when it
    takes its cancellations out.
    """
    return len(group.exceptions) == 1 and _is_same(group.exceptions[0], error)


def _is_same(error: BaseException, other: BaseException | None) -> bool:
    if not (
        isinstance(error, BaseExceptionGroup) and isinstance(other, BaseExceptionGroup)
    ):
        return error is other
    return (
        error.message == other.message
        and len(error.exceptions) == len(other.exceptions)
        and all(map(_is_same, error.exceptions, other.exceptions))
    )


def _name_of(fn: object) -> str:
    return getattr(fn, "__qualname__", None) or repr(fn)


def call(
    fn: Callable[..., Awaitable[T]], args: tuple[Any, ...], verb: str, **kwargs: Any
) -> Awaitable[T]:
    """Call `fn`, and raise TypeError if that does not give something to await."""
    if not callable(fn):
        _refuse_function(fn, verb)
    coro = fn(*args, **kwargs)
    if not hasattr(coro, "__await__"):
        raise TypeError(
            f"{verb} takes an async function; {_name_of(fn)} returned {coro!r}. For a "
            f"function that blocks, write: {verb}(anyio.to_thread.run_sync, fn, *args)"
        )
    return coro


def _refuse_function(fn: object, verb: str) -> NoReturn:
    if iscoroutine(fn):
        fn.close()
        name = fn.__qualname__
        raise TypeError(
            f"{verb} takes the function and its arguments, not a coroutine object. "
            f"Write {verb}({name}, *args), not {verb}({name}(*args))"
        )
    raise TypeError(f"{verb} takes an async function and its arguments, not {fn!r}")
