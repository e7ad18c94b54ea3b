"""Handles to tasks: for their result, their end, or to cancel them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import Any, Generic, Literal, TypeVar

import anyio

from ._operation import NOT_READY, NotReady, Operation, wait_for_any
from ._park import Loop, Waiter, current, uninterrupted
from ._state import Keeper, keeper

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# The group of the block or task that is running: `_group` tells which that is.
current_group: ContextVar[Any] = ContextVar("csp_group", default=None)


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
            yield from wait_for_any((_Done(self),), current()).__await__()
        if self._error is None:
            return self._value
        if isinstance(self._error, anyio.get_cancelled_exc_class()):
            raise anyio.TaskCancelled(f"{self!r} was cancelled") from self._error
        raise self._error

    async def _run(
        self, group: object, care: Keeper | None, coro: Awaitable[T_co]
    ) -> None:
        if current_group.get() is not group:
            current_group.set(group)
        if keeper.get() is not care:
            keeper.set(care)
        try:
            self._value = await coro
        except BaseException as error:
            self._error = error
            if care is not None:
                care.ended(self.name, error)
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


def beside_cancellation(error: BaseException) -> BaseException | None:
    """Return what `error` tells beside that a task was cancelled."""
    if isinstance(error, Exception):
        return error
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return error.split(cancelled)[1]
    return None if isinstance(error, cancelled) else error


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
