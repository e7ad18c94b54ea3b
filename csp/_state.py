"""What a channel is: a buffer, two queues of waiters, and the rules that join them.

Everything here is synchronous and happens whole.  The faces of a channel, in
`_channel` and `_operation`, are views of one `State` and add the waiting.

Invariants, true whenever none of these methods is running (Go's chan.go opens with
the same three):

1. Items in the buffer => no receiver waits.
2. A sender waits => the buffer is full; at capacity 0 it always is.
3. So a sender and a receiver never wait together, save one task that selects on both
   directions of one channel, and it does not meet itself.

"Waits" means: can still be claimed.  A queue may also hold a waiter that cannot be,
because another case of its select won, or it was cancelled, and its task has not run
yet.  Whoever meets it takes it out and tries the next.

The match is direct: at that moment the item goes from hand to hand, and no newcomer
can come between.  A receive that makes room moves the first waiting sender's item
into it at once.

`soft` and `brim` make the common case one comparison.  While 0 < len(buffer) < soft,
a send may append and look at nothing else: by rule 1 no receiver waits.  While
1 < len(buffer) < brim, a receive may pop: by rule 2 no sender waits; and the last item
goes the slow way, which gives up the buffer's memory.  `soft` is the high-water mark,
raised in `_append`, so it costs the fast path nothing; closing sets it to 0.  `brim`
is the capacity; while somebody is in `wait_empty` it is 0.  Either way everything then
takes the slow path, which looks at it all.

The ledger: sent == received + undelivered + len(buffer), always, since `sent` is
defined so.  What a waiting sender holds has not been sent.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from ._errors import ChannelBroken, ChannelClosed
from ._park import Loop, current
from ._queue import NOBODY, End, Entry, Queue, claim_first, extract, join, leave

T = TypeVar("T")

Overflow: TypeAlias = Literal["block", "drop_oldest", "drop_newest"]


class Mark(Enum):
    """What `State.take` returns when there is no item."""

    NOTHING = "nothing to receive now"
    END = "nothing to receive ever again"


NOTHING: Final = Mark.NOTHING
END: Final = Mark.END

# The buffer nothing has been put in yet.  Shared, and a deque of its own takes 760
# bytes, so a channel makes one when it needs it.
_NO_ITEMS: Final[deque[Any]] = deque(maxlen=0)


class _Unbound(Loop):
    """The loop of a channel that no task has waited on yet; its budget is spent."""

    __slots__ = ()

    def __init__(self) -> None:
        self.budget = 0


UNBOUND: Final = _Unbound()


class Keeper:
    """Whoever has to account for channels and tasks: a stop scope."""

    __slots__ = ()

    def keep(self, state: State[Any]) -> None:
        """Take note of a channel."""
        raise NotImplementedError

    def forgotten(self, state: State[Any], items: list[Any]) -> None:
        """Take over what was in a channel that nobody can reach any more."""
        raise NotImplementedError

    def ended(self, name: str, error: BaseException) -> None:
        """Take note that a task has not ended well."""
        raise NotImplementedError


# That of the block or task that is running, for what is made or started in it.
keeper: ContextVar[Keeper | None] = ContextVar("csp_keeper", default=None)


class State(Generic[T]):
    """The state of one channel."""

    __slots__ = (
        "__weakref__",
        "brim",
        "broken",
        "buffer",
        "capacity",
        "closed",
        "full",
        "high_water",
        "idlers",
        "keeper",
        "loop",
        "name",
        "on_undelivered",
        "open_receivers",
        "open_senders",
        "overflow",
        "received",
        "receivers",
        "senders",
        "soft",
        "undelivered",
    )

    capacity: int | float
    overflow: Overflow
    on_undelivered: Callable[[T], None] | None
    name: str | None
    keeper: Keeper | None
    loop: Loop  # the one that it is used on; UNBOUND until a task has done so
    buffer: deque[T]
    senders: Queue
    receivers: Queue
    idlers: Queue  # those in wait_empty
    soft: int  # below this, a send may just append
    brim: int  # below this, a receive may just pop
    full: int  # the capacity, as brim has it
    high_water: int
    closed: bool  # no more sends
    broken: bool  # closed, and nobody is left to receive
    open_senders: int
    open_receivers: int
    received: int
    undelivered: int

    def __init__(
        self,
        capacity: int | float,
        overflow: Overflow,
        on_undelivered: Callable[[T], None] | None,
        name: str | None,
    ) -> None:
        self.capacity = capacity
        self.overflow = overflow
        self.on_undelivered = on_undelivered
        self.name = name
        self.keeper = keeper.get()
        if self.keeper is not None:
            self.keeper.keep(self)
        self.loop = UNBOUND
        self.buffer = _NO_ITEMS
        self.senders = self.receivers = self.idlers = NOBODY
        self.soft = self.high_water = 0
        self.brim = self.full = sys.maxsize if capacity == math.inf else int(capacity)
        self.closed = self.broken = False
        self.open_senders = self.open_receivers = 0
        self.received = self.undelivered = 0

    def __str__(self) -> str:
        return f"channel {self.name!r}" if self.name else f"channel at {id(self):#x}"

    @property
    def real(self) -> State[T]:
        """This, or the channel's state behind the one of a closed handle."""
        return self

    @property
    def sent(self) -> int:
        return self.received + self.undelivered + len(self.buffer)

    def status(self) -> str:
        """Describe in a word how far the channel's life has come."""
        return "broken" if self.broken else "closed" if self.closed else "open"

    # Sending

    def offer(self, item: T) -> bool:
        """Accept `item` if that can be done now."""
        if self.closed:
            raise self.refusal(item)
        if self.receivers:
            self.loop.check(self)
            receivers = self.receivers
            while receivers:  # claim_first, written out: it is the hot path
                _, (waiter, op, end, _) = receivers.popitem(False)
                end._parked -= 1
                if waiter.match(op, item):
                    self.received += 1
                    if self.idlers:  # its select may have been waiting to send, too
                        self.settle()
                    return True
        if len(self.buffer) < self.capacity:
            self._append(item)
            return True
        if self.overflow == "block":
            return False
        self._overflow(item)
        return True

    def offer_many(self, pending: deque[T], limit: int) -> int:
        """Accept up to `limit` of `pending`, in order, if it is as simple as that.

        Returns how many were taken out of it.
        """
        count = 0
        if self.buffer:
            count = min(limit, len(pending), max(0, self.soft - len(self.buffer)))
            for _ in range(count):
                self.buffer.append(pending.popleft())
        return count

    def offer_first(self, pending: deque[T]) -> bool:
        """Accept the first of `pending`, taking it out there, if that can be done."""
        sent = self.sent
        try:
            return self.offer(pending[0])
        finally:
            if self.sent != sent:  # even if on_undelivered has raised
                pending.popleft()

    def refusal(self, item: T) -> ChannelClosed | ChannelBroken:
        """Make the error of a send that can never succeed."""
        if self.broken:
            text = f"cannot send: the last receiver of {self} has closed"
            return ChannelBroken(text, item)
        return ChannelClosed(f"cannot send: {self} is closed", item)

    def _append(self, item: T) -> None:
        if self.buffer is _NO_ITEMS:
            self.buffer = deque()
        self.buffer.append(item)
        if len(self.buffer) > self.high_water:
            self.high_water = self.soft = len(self.buffer)

    def _overflow(self, item: T) -> None:
        """Accept `item` into a full buffer at the cost of another, or of itself."""
        if self.overflow == "drop_oldest":
            self.buffer.append(item)
            item = self.buffer.popleft()
        self._report([item])

    # Receiving

    def take(self) -> T | Mark:
        """Take the next item out, if there is one."""
        if self.senders or self.idlers:
            self.loop.check(self)
        if self.buffer:
            item: T | Mark = self.buffer.popleft()
            if self.senders and (first := self._accept()) is not NOTHING:
                self.buffer.append(first)
            elif not self.buffer:
                self.buffer = _NO_ITEMS
        elif not self.senders or (item := self._accept()) is NOTHING:
            if self.idlers:
                self.settle()
            return END if self.closed else NOTHING
        self.received += 1
        if self.idlers:
            self.settle()
        return item

    def take_many(self, limit: int) -> list[T]:
        """Take out the next items that there are, `limit` at the most."""
        items: list[T] = []
        if len(self.buffer) < self.brim:  # so nobody waits to be told of a receive
            count = min(limit, len(self.buffer) - 1)
            items += [self.buffer.popleft() for _ in range(count)]
            self.received += len(items)
        while len(items) < limit:
            item = self.take()
            if item is NOTHING or item is END:
                break
            items.append(item)
        return items

    def _accept(self) -> T | Literal[Mark.NOTHING]:
        """Let the first waiting sender's send succeed; returns its item."""
        senders = self.senders
        while senders:
            _, (waiter, op, end, item) = senders.popitem(False)
            end._parked -= 1
            if waiter.match(op, None):
                return item  # type: ignore[no-any-return]
        return NOTHING

    def drain(self) -> list[T]:
        """Take out at once all that is buffered or held by waiting senders."""
        items = self._empty()
        self.received += len(items)
        self.settle()
        return items

    def _empty(self) -> list[T]:
        if self.senders or self.idlers:
            self.loop.check(self)
        items = list(self.buffer)
        self.buffer = _NO_ITEMS
        while (item := self._accept()) is not NOTHING:
            items.append(item)
        return items

    def discard(self, item: T) -> bool:
        """Take `item` back out of the buffer, if it is still there.

        It counts as received.
        """
        for i, other in enumerate(self.buffer):
            if other is item:
                del self.buffer[i]
                if self.senders and (first := self._accept()) is not NOTHING:
                    self.buffer.append(first)
                self.received += 1
                self.settle()
                return True
        return False

    # Waiting

    async def turn(self) -> Loop:
        """Begin an operation for which no budget is left: nothing is committed yet."""
        loop = current()
        self.bind(loop)
        if loop.budget <= 0:
            await loop.checkpoint()
        return loop

    def bind(self, loop: Loop) -> None:
        """Make sure that the channel is used on one loop: the first."""
        if self.loop is UNBOUND:
            self.loop = loop
        elif self.loop is not loop:
            self.loop.refuse(self)

    def dismiss_sender(self, key: object) -> None:
        """Forget a sender that waits no more."""
        leave(self.senders, key)
        if self.idlers:
            self.settle()

    def settle(self) -> None:
        """If the channel is empty, wake those who wait for that."""
        if self.idlers and (self.buffer or self.sender_waits()):
            return
        self.brim = self.full
        while first := claim_first(self.idlers):
            first[0].wake(None)

    def sender_waits(self) -> bool:
        """Tell whether there is a sender that has not gone some other way."""
        return any(waiter.waits() for waiter, *_ in self.senders.values())

    def enqueue_sender(self, key: object, entry: Entry) -> None:
        """Let a sender wait."""
        if self.idlers:
            self.settle()  # those before it may have gone, and their tasks not run yet
        self.senders = join(self.senders, key, entry)

    # Closing

    def check_waiters(self) -> None:
        """Refuse to go on where the tasks that wait could not be woken."""
        if self.senders or self.receivers or self.idlers:
            self.loop.check(self)

    def close(self) -> None:
        """Admit no more sends; what is in the channel can still be received."""
        self.check_waiters()
        self.closed = True
        self.soft = 0
        while first := claim_first(self.receivers):
            waiter, last_word = first
            waiter.wake(last_word)
        self.settle()

    def break_off(self) -> None:
        """Close, and give up what nobody is left to receive."""
        self.close()
        self.broken = True
        while first := claim_first(self.senders):
            waiter, item = first
            waiter.fail(self.refusal(item))
        if self.on_undelivered is not None:
            items = list(self.buffer)
            self.buffer = _NO_ITEMS
            self.settle()
            self._report(items)
        else:
            self.settle()

    def evict(self, end: End) -> None:
        """Fail the waits made through `end`, which has closed."""
        if not end._parked:
            return
        for queue in (self.senders, self.receivers, self.idlers):
            mine = extract(queue, end)
            while first := claim_first(mine):
                waiter, item = first
                waiter.fail(shut(self, item if queue is self.senders else None))
        self.settle()

    def clear(self) -> list[T]:
        """Give up all that is in the channel, to the callback or else to the caller."""
        items = self._empty()
        self.settle()
        if self.on_undelivered is not None:
            self._report(items)
            return []
        self.undelivered += len(items)
        return items

    def _report(self, items: list[T]) -> None:
        """Hand items that were accepted and will not be received to the callback."""
        self.undelivered += len(items)
        if self.on_undelivered is None:
            return
        errors: list[BaseException] = []
        for item in items:
            try:
                self.on_undelivered(item)
            except BaseException as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup(f"on_undelivered of {self} failed", errors)

    def __del__(self) -> None:
        items = list(self.buffer)
        if not items:
            return
        self.buffer = _NO_ITEMS
        if self.on_undelivered is not None:
            self._report(items)
        elif self.keeper is not None:
            self.keeper.forgotten(self, items)
        else:
            warnings.warn(
                f"{self} was forgotten with {len(items)} items in it: receive or "
                "drain() them, or give it an on_undelivered",
                ResourceWarning,
                stacklevel=1,
            )


def shut(state: State[Any], item: Any = None) -> ChannelClosed:
    """Make the error of using a handle that has been closed."""
    return ChannelClosed(f"this handle of {state} is closed", item)
