"""Operations: sending, receiving and others, as values that `select` chooses among.

They are the events of Concurrent ML: immutable, so one may be kept, shared by any
number of selects, and performed again and again.  This file has the protocol, how an
operation is performed alone, and the two operations of channels.

The protocol is open.  To make something of your own selectable, subclass `Operation`:

    class Exit(Operation[int]):
        def poll(self):
            return NOT_READY if self.process.running else self.process.code

        def enroll(self, waiter):
            self.waiters[waiter] = None

        def withdraw(self, waiter):
            self.waiters.pop(waiter, None)

        def exited(self, code):              # what makes it ready
            for waiter in list(self.waiters):
                if waiter.claim(self):
                    waiter.wake(code)

`poll`, `enroll` and `withdraw` are synchronous, and nothing else runs between a
`poll` that says NOT_READY and the `enroll` after it, so nothing can be missed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from enum import Enum
from typing import Any, Final, Generic, Literal, Never, TypeVar, overload

from ._ends import Receives, Sends
from ._park import Loop, Waiter, current, uninterrupted
from ._queue import join, leave
from ._state import END, NOTHING

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Closed(Enum):
    """The type of `CLOSED`, to match it by: ``case Closed(): ...``."""

    CLOSED = "closed"

    def __repr__(self) -> str:
        return "csp.CLOSED"


CLOSED: Final = Closed.CLOSED
"""What receiving from a closed and empty channel gives in a select."""


class NotReady(Enum):
    """The type of `NOT_READY`."""

    NOT_READY = "not ready"

    def __repr__(self) -> str:
        return "csp.NOT_READY"


NOT_READY: Final = NotReady.NOT_READY
"""What `Operation.poll` returns when nothing can be done now."""


class Operation(Generic[T_co]):
    """Something that can be awaited alone, or be one of the choices of a select."""

    __slots__ = ()

    def poll(self) -> T_co | Literal[NotReady.NOT_READY]:
        """Do it if it can be done now, and return its value; else NOT_READY."""
        raise NotImplementedError

    def enroll(self, waiter: Waiter) -> None:
        """Remember to claim and wake `waiter` when this can be done.

        Whoever makes it possible calls ``if waiter.claim(op): waiter.wake(value)``,
        or ``waiter.fail(error)`` after a claim, and nothing if the claim is refused.
        """
        raise NotImplementedError

    def withdraw(self, waiter: Waiter) -> None:
        """Forget `waiter`, in O(1); harmless if it is not remembered."""
        raise NotImplementedError

    def __await__(self) -> Generator[Any, Any, T_co]:
        return _perform(self).__await__()


@uninterrupted
async def _perform(op: Operation[T]) -> T:
    """Perform `op` alone."""
    loop = await begin()
    value = op.poll()
    if value is NOT_READY:
        _, value = await wait_for_any((op,), loop)
    return value


async def begin() -> Loop:
    """Begin an operation: count it, and yield first if the budget is spent."""
    loop = current()
    if loop.budget <= 0:
        await loop.checkpoint()
    loop.budget -= 1
    return loop


@uninterrupted
async def wait_for_any(ops: Sequence[Operation[Any]], loop: Loop) -> tuple[object, Any]:
    """Wait until one of `ops`, none of them ready, happens; return it and its value."""
    loop.check(ops[0] if ops else "this select")
    budget = loop.budget
    waiter = loop.waiter_class(loop)
    try:
        for op in ops:
            op.enroll(waiter)
            if waiter.op is not None:  # at once: there will be no sleep
                loop.budget = budget
                break
        value = await waiter.sleep()
    except BaseException as error:
        value = waiter.rescue(error)
    finally:
        for op in ops:
            if op is not waiter.op:
                op.withdraw(waiter)
    return waiter.op, value


class ChannelOperation(Operation[Any]):
    """An operation on a channel, made through one end of it."""

    __slots__ = ("end",)

    end: Any


_new = object.__new__  # `recv` is called in every round of a loop: skip __init__


class _Recv(ChannelOperation):
    """Receive from a channel or a `Receiver`."""

    __slots__ = ()

    end: Receives[Any]

    @uninterrupted
    def poll(self) -> Any:
        state = self.end._state
        if 1 < len(state.buffer) < state.brim:  # as in receive
            state.received += 1
            item = state.buffer.popleft()
        elif not (state.buffer or state.senders or state.closed):
            return NOT_READY
        else:
            item = state.take()
            if item is NOTHING:
                return NOT_READY
            if item is END:
                return CLOSED
        if item is NOT_READY:
            raise TypeError(f"csp.NOT_READY came out of {state}: send something else")
        return item

    @uninterrupted
    def enroll(self, waiter: Waiter) -> None:
        state = self.end._state
        state.bind(waiter.loop)
        entry = (waiter, self, self.end, CLOSED)
        state.receivers = join(state.receivers, (waiter, self), entry)

    @uninterrupted
    def withdraw(self, waiter: Waiter) -> None:
        leave(self.end._state.receivers, (waiter, self))

    def __repr__(self) -> str:
        return f"recv({self.end!r})"


class _Send(ChannelOperation):
    """Send one item to a channel or through a `Sender`."""

    __slots__ = ("_item",)

    def __init__(self, end: Sends[Any], item: Any) -> None:
        self.end = end
        self._item = item

    @uninterrupted
    def poll(self) -> Literal[NotReady.NOT_READY] | None:
        return None if self.end._state.offer(self._item) else NOT_READY

    @uninterrupted
    def enroll(self, waiter: Waiter) -> None:
        state = self.end._state
        state.bind(waiter.loop)
        entry = (waiter, self, self.end, self._item)
        state.enqueue_sender((waiter, self), entry)

    @uninterrupted
    def withdraw(self, waiter: Waiter) -> None:
        self.end._state.dismiss_sender((waiter, self))

    def __repr__(self) -> str:
        return f"send({self.end!r}, {self._item!r})"


class _Never(Operation[Never]):
    """What a channel that is None has in place of an operation."""

    __slots__ = ()

    def poll(self) -> Literal[NotReady.NOT_READY]:
        return NOT_READY

    def enroll(self, waiter: Waiter) -> None:
        """Do nothing: it never becomes ready."""

    def withdraw(self, waiter: Waiter) -> None:
        """Do nothing: see `enroll`."""

    def __repr__(self) -> str:
        return "recv(None)"


NEVER: Final = _Never()


@overload
def recv(ch: None) -> Operation[Never]: ...
@overload
def recv(ch: Receives[T]) -> Operation[T | Literal[Closed.CLOSED]]: ...
def recv(ch: Receives[T] | None) -> Operation[Any]:
    """Make the operation of receiving from `ch`.

    Its value is the item, or `CLOSED` once `ch` is closed and empty: so closing a
    channel is a broadcast.  From None nothing can ever be received, as in Go.

        match await select(job=recv(jobs), quit=recv(done)):
            case "job", Closed():
                ...
            case "job", job:
                ...
    """
    if isinstance(ch, Receives):
        op = _new(_Recv)
        op.end = ch
        return op
    if ch is None:
        return NEVER
    raise TypeError(f"recv takes a Channel, a Receiver or None, not {ch!r}")


def send(ch: Sends[T] | None, item: T) -> Operation[None]:
    """Make the operation of sending `item` to `ch`.

    Its value is None.  If it is chosen though `ch` is closed, the select raises
    `ChannelClosed`.  To None nothing can ever be sent, as in Go.
    """
    if isinstance(ch, Sends):
        return _Send(ch, item)
    if ch is None:
        return NEVER
    raise TypeError(f"send takes a Channel, a Sender or None, not {ch!r}")
