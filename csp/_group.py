"""Tasks in groups: `go`, and handles to what it started.

A `Group` is anyio's task group, plus what Go and anyio have not: a handle with the
result that a select can wait for, and `csp.go`, which finds its group by itself.

Which group is that?  The one of the block that the calling task runs in: inside the
body of an ``async with Group()`` that group; elsewhere, the group the task was
started in.  A context variable says so.  Each task sets its own copy as it starts,
since the task that starts it may be inside another group by then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from inspect import iscoroutine
from types import TracebackType
from typing import Any, Generic, Literal, NoReturn, Self, TypeVar, TypeVarTuple

import anyio
from anyio.abc import TaskGroup, TaskStatus

from ._operation import NOT_READY, NotReady, Operation
from ._park import Loop, Starter, Waiter, current, uninterrupted

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Ts = TypeVarTuple("Ts")

_current: ContextVar[Group | None] = ContextVar("csp_group", default=None)


class Handle(Generic[T_co]):
    """A task that was started with `go`.

    Await it for the task's result: returns what its function returned, raises what
    it raised, or `anyio.TaskCancelled` if it was cancelled.  ``done(handle)`` is the
    operation of waiting for its end, for a select.
    """

    __slots__ = (
        "__weakref__",
        "_cancel",
        "_error",
        "_finished",
        "_loop",
        "_value",
        "_waiters",
        "name",
    )

    name: str
    """The task's name, as debuggers show it."""

    _value: T_co
    _cancel: Callable[[], None]

    def __init__(self, name: str, loop: Loop) -> None:
        self.name = name
        self._loop = loop
        self._error: BaseException | None = None
        self._finished = False
        # Whom to wake at the end, and on behalf of which operation.
        self._waiters: dict[tuple[Waiter, object], None] | None = None

    @property
    def finished(self) -> bool:
        """Whether the task has ended, in whatever way."""
        return self._finished

    def cancel(self) -> None:
        """Cancel the task, and only it.  Once it has ended this does nothing."""
        if not self._finished:
            self._cancel()

    def __await__(self) -> Generator[Any, Any, T_co]:
        if not self._finished:
            yield from done(self).__await__()
        if self._error is None:
            return self._value
        if isinstance(self._error, anyio.get_cancelled_exc_class()):
            raise anyio.TaskCancelled(f"{self!r} was cancelled") from self._error
        raise self._error

    async def _run(self, group: Group, coro: Awaitable[T_co]) -> None:
        if _current.get() is not group:
            _current.set(group)
        try:
            self._value = await coro
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._finish()

    @uninterrupted
    def _finish(self) -> None:
        self._finished = True
        for waiter, op in self._waiters or ():
            if waiter.claim(op):
                waiter.wake(self)
        self._waiters = None

    def __repr__(self) -> str:
        status = "finished" if self._finished else "running"
        return f"<Handle {self.name!r} {status}>"


class _Done(Operation[Handle[T]]):
    """The end of a task."""

    __slots__ = ("_handle",)

    def __init__(self, handle: Handle[T]) -> None:
        self._handle = handle

    @uninterrupted
    def poll(self) -> Handle[T] | Literal[NotReady.NOT_READY]:
        return self._handle if self._handle._finished else NOT_READY

    @uninterrupted
    def enroll(self, waiter: Waiter) -> None:
        handle = self._handle
        if waiter.loop is not handle._loop:
            handle._loop.refuse(self, f"anyio.from_thread.run(csp.select, {self!r})")
        if handle._waiters is None:
            handle._waiters = {}
        handle._waiters[waiter, self] = None

    @uninterrupted
    def withdraw(self, waiter: Waiter) -> None:
        if self._handle._waiters is not None:
            self._handle._waiters.pop((waiter, self), None)

    def __repr__(self) -> str:
        return f"done({self._handle!r})"


def done(handle: Handle[T]) -> Operation[Handle[T]]:
    """Make the operation of waiting for a task to end, however it does.

    Its value is the handle, and it never raises: ``await handle`` gives the result.

        match await select(end=done(worker), late=after(5.0)):
            case "end", worker:
                print(await worker)
    """
    if not isinstance(handle, Handle):
        raise TypeError(f"done takes a Handle, as g.go(...) returns, not {handle!r}")
    return _Done(handle)


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

    __slots__ = ("__weakref__", "_loop", "_open", "_outer", "_start", "_tasks", "name")

    name: str | None
    """What messages call the group."""

    _loop: Loop
    _outer: Group | None
    _start: Starter
    _tasks: TaskGroup

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string, not {name!r}")
        self.name = name
        self._open = False

    async def __aenter__(self) -> Self:
        self._loop = current()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._start = self._loop.starter(self._tasks)
        self._open = True
        self._outer = _current.get()
        _current.set(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        _current.set(self._outer)
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
        handle._cancel = self._start(handle._run(self, coro), handle.name)
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
            _current.set(self)
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
    group = _current.get()
    if group is None:
        raise RuntimeError(
            "go needs a group to start the task in. Write: async with csp.Group() as "
            "g: g.go(fn, *args); or start the program with csp.run(main)"
        )
    return group.go(fn, *args, name=name)


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
