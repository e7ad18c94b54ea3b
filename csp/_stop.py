"""Stopping a part of a program without losing anything.

A stop has two phases.  A *request* asks: whoever brings new work in stops doing so, and
what is already there is finished.  After `grace` seconds, or if somebody asks for it,
the *cut*: everything still running is cancelled.  Either way the scope ends only when
all in it has ended, and then accounts for what is left in the channels made in it.

A scope is asked by its own `request`, or by that of a scope around it.  Nobody polls:
`stopping` is an operation, so a source selects between its input and the stop.

The books.  A channel belongs to the scope in which it was made, and tells it if it is
forgotten with items in it.  So at the end of a scope every item of every channel made
in it was received, or has gone to the channel's `on_undelivered`, or is named by the
`Undelivered` error with which the scope ends.

What outlives a scope, such as a channel that was returned from it, or a task that it
started in somebody else's group, is then in the care of the scope around it.

The scope around it may be of another loop, of which a task has this one run in a worker
thread.  A request passes from loop to loop then, and with it the time that is left; for
cancelling the task that waits for a thread does not stop what runs in the thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias
from weakref import WeakKeyDictionary

import anyio

from ._account import Left, Undelivered
from ._check import check_seconds
from ._operation import NOT_READY, NotReady, Operation
from ._park import Loop, Waiter, current, uninterrupted
from ._state import Keeper, State, keeper
from ._tasks import beside_cancellation

# Calls a function in a loop, soon, and from anywhere.
Poster: TypeAlias = Callable[[Callable[[], object]], object]


class StopScope(Keeper):
    """A block that can be asked to stop; made by `stop_scope`."""

    __slots__ = (
        "__weakref__",
        "_channels",
        "_cut",
        "_inner",
        "_left",
        "_loop",
        "_outer",
        "_post",
        "_scope",
        "_status",
        "_waiters",
        "grace",
        "requested",
    )

    grace: float
    """Seconds from the request to the cut."""
    requested: bool
    """Whether it has been asked to stop.  Any thread may look."""

    _status: Literal["new", "running", "ended"]
    _loop: Loop
    _post: Poster
    _outer: StopScope | None
    _scope: anyio.CancelScope

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.requested = False
        self._status = "new"
        self._inner: dict[StopScope, None] = {}
        # Whom to wake, and for those in another loop what calls a function there.
        self._waiters: dict[tuple[Waiter, object], Poster | None] = {}
        self._channels: WeakKeyDictionary[State[Any], None] = WeakKeyDictionary()
        self._left: list[Left] = []
        self._cut: list[str] = []

    @property
    def deadline(self) -> float:
        """When all that still runs is cut, on the loop's clock; inf if never."""
        return math.inf if self._status == "new" else self._scope.deadline

    def request(self) -> None:
        """Ask all in the block to finish, within `grace`.

        Does nothing if it has been asked already, or has ended.

        Raises:
            RuntimeError: The block has not begun; or this is another thread.
        """
        self._ask(math.inf)

    def cut(self) -> None:
        """Cancel all in the block that still runs, now.

        Raises:
            RuntimeError: As `request`.
        """
        self._ask(-math.inf)

    @uninterrupted
    def _ask(self, deadline: float) -> None:
        """Request a stop of this and all within, to be cut at `deadline` or before."""
        if self._status == "ended":
            return
        if self._status == "new":
            raise RuntimeError(
                "this stop scope has no block running. Write: async with "
                "csp.stop_scope() as stop: ..."
            )
        self._loop.check(self, "anyio.from_thread.run_sync(stop.request)")
        now = self._loop.time()
        own = math.inf if self.requested else now + self.grace
        deadline = min(self._scope.deadline, own, max(now, deadline))
        self.requested = True
        waiters, self._waiters = self._waiters, {}
        for (waiter, op), post in waiters.items():
            if post is None:
                self._wake(waiter, op)
            else:
                _post(post, partial(self._wake, waiter, op))
        for inner in [*self._inner]:
            self._pass_on(inner, deadline)
        self._scope.deadline = deadline  # the last, as it may cancel at once

    def _wake(self, waiter: Waiter, op: object) -> None:
        if waiter.claim(op):
            waiter.wake(self)

    def _pass_on(self, inner: StopScope, deadline: float) -> None:
        """Ask a scope within this one, which is cut at `deadline`."""
        if inner._loop is self._loop:
            inner._ask(deadline)
        else:
            left = deadline - self._loop.time()
            _post(inner._post, lambda: inner._ask(inner._loop.time() + left))

    # The block

    @uninterrupted
    async def __aenter__(self) -> Self:
        if self._status != "new":
            raise RuntimeError(f"{self!r} has been used: make a new one for each block")
        self._loop = current()
        self._post = self._loop.poster()
        self._scope = anyio.CancelScope().__enter__()
        self._status = "running"
        self._outer = innermost()
        keeper.set(self)
        if self._outer is not None:
            self._outer._admit(self)
        return self

    def _admit(self, inner: StopScope) -> None:
        """Pass requests on to a scope within this one, from now on."""
        self._inner[inner] = None
        if not self.requested:
            return
        if inner._loop is self._loop:
            self._pass_on(inner, self.deadline)
        else:
            _post(self._post, lambda: self._pass_on(inner, self.deadline))

    @uninterrupted
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        keeper.set(self._outer)
        try:
            self._scope.__exit__(exc_type, exc, traceback)
        except BaseException as rest:  # what else was in a group with cancellations
            self._end(rest)
            raise
        self._end(exc)  # if the scope has caught `exc`, it raises that this was cut

    def _end(self, error: BaseException | None) -> None:
        """Close the books; raises, together with `error`, what they come to."""
        self._status = "ended"
        states = [state for ref in self._channels.keyrefs() if (state := ref())]
        failures = _report(states)
        for state in states:
            if state.on_undelivered is None and (items := state.clear()):
                self.forgotten(state, items)
        if self._scope.cancelled_caught and not self._cut:
            self._cut.append("the block itself")
        if self._left or self._cut:
            failures.append(Undelivered(tuple(self._left), tuple(self._cut)))
        self._hand_over(states)
        if not failures:
            return
        errors = [*_causes(error), *failures]
        if len(errors) == 1:
            raise errors[0] from errors[0].__cause__  # and so without a context
        raise BaseExceptionGroup("a stop scope ended with errors", errors) from None

    def _hand_over(self, states: list[State[Any]]) -> None:
        """Leave what outlives this scope to the one around it."""
        for state in states:
            self.keep(state)
        if (outer := self._live()) is None:
            return
        for inner in self._inner:
            outer._admit(inner)
        outer._inner.pop(self, None)
        post = None if outer._loop is self._loop else self._post
        outer._waiters |= {key: own or post for key, own in self._waiters.items()}

    def _live(self) -> StopScope | None:
        """Return this, or when it has ended the next one around it that has not."""
        scope: StopScope | None = self
        while scope is not None and scope._status == "ended":
            scope = scope._outer
        return scope

    # For the channels and tasks in its care

    def keep(self, state: State[Any]) -> None:
        state.keeper = scope = self._live()
        if scope is not None:
            scope._channels[state] = None

    def forgotten(self, state: State[Any], items: list[Any]) -> None:
        self._left.append(Left(state.name, items))

    def ended(self, name: str, error: BaseException) -> None:
        scope = self._live()
        if scope is None or scope._loop is not current():
            return
        if scope._scope.cancel_called and not _causes(error):
            scope._cut.append(name)

    def __repr__(self) -> str:
        stopping = self.requested and self._status == "running"
        return f"<StopScope {'stopping' if stopping else self._status}>"


def innermost() -> StopScope | None:
    """Return the innermost stop scope around the running task."""
    scope = keeper.get()
    return scope._live() if isinstance(scope, StopScope) else None


def _report(states: list[State[Any]]) -> list[BaseException]:
    """Empty the channels that have an `on_undelivered`; returns what that raised.

    It may well send to another of them, so this goes on until they are all empty; but
    not for ever, should it go round in circles.
    """
    errors: list[BaseException] = []
    reporting = [state for state in states if state.on_undelivered is not None]
    for _ in reporting:
        for state in [state for state in reporting if state.buffer or state.senders]:
            try:
                state.clear()
            except BaseException as error:
                errors.append(error)
    return errors


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return what there is in an error, or in a group of them, but cancellations."""
    error = None if error is None else beside_cancellation(error)
    if isinstance(error, BaseExceptionGroup):
        return [*error.exceptions]
    return [] if error is None else [error]


def _post(post: Poster, fn: Callable[[], object]) -> None:
    """Call `fn` in another loop, if that still runs."""
    with suppress(RuntimeError):
        post(fn)


def stop_scope(grace: float = 25.0) -> StopScope:
    """Make a block that can be stopped without losing anything.

        async with stop_scope() as stop:
            await work_until(stopping())

    On a request, whatever waits for `stopping` in the block is told; those who bring
    in new work should then end.  After `grace` seconds all that still runs in the block
    is cancelled.

    The block ends with an `Undelivered` error if something was cut, or if items are
    left in channels that were made in it and have no `on_undelivered`.

    Raises:
        Undelivered: Something was cut or left; in a group with the block's own error.
    """
    check_seconds("grace", grace)
    return StopScope(grace)


class _Stopping(Operation[StopScope]):
    """The request to stop the innermost scope of the task that waits for it."""

    __slots__ = ()

    @uninterrupted
    def poll(self) -> StopScope | Literal[NotReady.NOT_READY]:
        scope = innermost()
        return scope if scope is not None and scope.requested else NOT_READY

    @uninterrupted
    def enroll(self, waiter: Waiter) -> None:
        if (scope := innermost()) is not None:
            post = None if waiter.loop is scope._loop else waiter.loop.poster()
            scope._waiters[waiter, self] = post
            if scope.requested:  # in another thread, since the poll
                self.withdraw(waiter)
                scope._wake(waiter, self)

    @uninterrupted
    def withdraw(self, waiter: Waiter) -> None:
        if (scope := innermost()) is not None:
            scope._waiters.pop((waiter, self), None)

    def __repr__(self) -> str:
        return "stopping()"


_STOPPING = _Stopping()


def stopping() -> Operation[StopScope]:
    """Make the operation of waiting until this part of the program is asked to stop.

    That is the innermost stop scope around the task that waits, or around the group it
    was started in; outside any it is never ready.  Its value is the scope.

        while True:
            match await select(job=recv(inbox), stop=stopping()):
                case "job", job: ...
                case "stop", _: break
    """
    return _STOPPING


def request_stop() -> None:
    """Ask this part of the program to stop: the scope that `stopping` waits for.

    Raises:
        RuntimeError: There is no scope around the running task.
    """
    scope = innermost()
    if scope is None:
        raise RuntimeError(
            "there is no stop scope here. Write: async with csp.stop_scope(): ...; or "
            "start the program with csp.run(main)"
        )
    scope.request()


_MARGIN = 2.0  # seconds to report in


def time_to_cut(grace: float | None) -> float:
    """Return when a part of a scope that was just asked to stop is to cut what it has.

    That is after its own `grace`, and some time before the scope itself does it: or
    nobody would see the report of what was cut.
    """
    now, deadline = anyio.current_time(), anyio.current_effective_deadline()
    margin = min(_MARGIN, max(0.0, deadline - now) / 2)
    return min(now + (math.inf if grace is None else grace), deadline - margin)
