"""Channels, and the handles to either end of one.

All are thin views of one `State`, whose file says how a channel works.  The verbs of
a direction are written once, in `_Sends` and `_Receives`; a `Channel` has both, and a
`Sender` or `Receiver` has one of them and can be closed by itself.  A closed handle
has a `Shut` for its state, so an open one need not look whether it is closed.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Generic, NamedTuple, NoReturn, Self, TypeVar

from anyio.abc import ObjectReceiveStream, ObjectSendStream

from ._errors import ChannelBroken, ChannelClosed, EndOfChannel, WouldBlock
from ._park import current, uninterrupted
from ._queue import End, join, leave
from ._state import END, NOTHING, Overflow, Shut, State, shut

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class ChannelStatistics(NamedTuple):
    """What a channel holds, who waits at it, and what it has done so far.

    At any time ``sent == received + undelivered + length``.
    """

    length: int
    """Items in the buffer."""
    capacity: int | float
    """Items that the buffer has room for."""
    senders_waiting: int
    """Sends and selects that wait to send."""
    receivers_waiting: int
    """Receives and selects that wait to receive."""
    open_senders: int
    """`Sender` handles that are not closed."""
    open_receivers: int
    """`Receiver` handles that are not closed."""
    sent: int
    """Items accepted so far."""
    received: int
    """Items received or drained so far."""
    undelivered: int
    """Items accepted and then given up: dropped, or left when the channel broke."""
    high_water: int
    """The most items that have been in the buffer at once."""


class _View(End):
    """What a channel and its handles have in common."""

    __slots__ = ("_state",)

    _state: State[Any]

    def __init__(self, state: State[Any]) -> None:
        self._state = state
        self._parked = 0

    @property
    def _real(self) -> State[Any]:
        """The channel's state, whether this view of it is closed or not."""
        state = self._state
        return state.real if isinstance(state, Shut) else state

    @property
    def name(self) -> str | None:
        """The channel's name, for messages."""
        return self._state.name

    @property
    def capacity(self) -> int | float:
        """How many items the buffer has room for; `math.inf` for no limit."""
        capacity = self._real.capacity
        return math.inf if capacity == sys.maxsize else capacity

    def __len__(self) -> int:
        """Return how many items are in the buffer."""
        return len(self._real.buffer)

    def __bool__(self) -> bool:
        """Return True: an empty channel is still a channel."""
        return True

    def statistics(self) -> ChannelStatistics:
        """Return the channel's figures, as a frozen record."""
        state = self._real
        return ChannelStatistics(
            length=len(state.buffer),
            capacity=self.capacity,
            senders_waiting=len(state.senders),
            receivers_waiting=len(state.receivers),
            open_senders=state.open_senders,
            open_receivers=state.open_receivers,
            sent=state.sent,
            received=state.received,
            undelivered=state.undelivered,
            high_water=state.high_water,
        )

    def __repr__(self) -> str:
        state = self._real
        waiting = "".join(
            f", {len(queue)} waiting to {verb}"
            for verb, queue in (("send", state.senders), ("receive", state.receivers))
            if queue
        )
        name = f"{state.name!r}" if state.name else f"at {id(state):#x}"
        kind, status = type(self).__name__, self._state.status()
        return f"<{kind} {name} {len(self)}/{self.capacity} {status}{waiting}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self._real} cannot be pickled or copied: it belongs to this process "
            "and its event loop. Send the items, not the channel"
        )


class _Sends(End, Generic[T_contra]):
    """The verbs of sending."""

    __slots__ = ()

    _state: State[Any]

    @uninterrupted
    async def send(self, item: T_contra) -> None:
        """Give one item to the channel, waiting while there is no room for it.

        If this raises, cancellation included, then the item was not sent.  It is a
        checkpoint when it has to wait, and at least once in 64 operations.

        Raises:
            ChannelClosed: The channel, or this handle, is closed.  `item` has the item.
            ChannelBroken: The last receiver has closed.  `item` has the item.
        """
        state = self._state
        loop = state.loop
        if 0 < len(state.buffer) < state.soft and loop.budget > 0:
            loop.budget -= 1
            state.buffer.append(item)
            return
        if loop.budget <= 0:
            loop = await state.turn()
            state = self._state
        loop.budget -= 1
        if state.offer(item):
            return
        loop.check(state)
        waiter = loop.waiter_class(loop)
        state.senders = join(state.senders, waiter, (waiter, self, self, item))
        try:
            await waiter.sleep()
        except BaseException as error:
            state.dismiss_sender(waiter)
            waiter.rescue(error)

    @uninterrupted
    def send_nowait(self, item: T_contra) -> None:
        """Give one item to the channel now.

        May be called where no task runs, such as in a callback of the event loop.

        Raises:
            WouldBlock: There is no room, and nobody waits to receive.
            ChannelClosed: The channel, or this handle, is closed.  `item` has the item.
            ChannelBroken: The last receiver has closed.  `item` has the item.
        """
        if not self._state.offer(item):
            raise WouldBlock(f"{self._state} is full, and nobody waits to receive")

    @uninterrupted
    async def send_many(self, items: Iterable[T_contra]) -> None:
        """Send all items in order, waiting for room as often as needed.

        Each item is popped from a `deque` as it is accepted, so whatever this raises,
        what is left in the deque was not sent.  Another iterable is first copied.

            pending = deque(rows)
            try:
                await ch.send_many(pending)
            finally:
                print(len(pending), "not sent")

        Raises:
            ChannelClosed, ChannelBroken: As `send`; `item` has the first one not sent.
        """
        pending = items if isinstance(items, deque) else deque(items)
        while pending:
            loop = self._state.loop
            if loop.budget <= 0:
                loop = await self._state.turn()
            if count := self._state.offer_many(pending, loop.budget):
                loop.budget -= count
                continue
            loop.budget -= 1
            if not self._state.offer_first(pending):
                await self.send(pending[0])
                pending.popleft()

    @uninterrupted
    async def wait_empty(self) -> None:
        """Wait until nothing is in the buffer and nobody waits to send."""
        loop = await self._state.turn()
        loop.budget -= 1
        state = self._state
        if isinstance(state, Shut):
            raise shut(state.real)
        if not state.buffer and not state.senders:
            return
        waiter = loop.waiter_class(loop)
        state.idlers = join(state.idlers, waiter, (waiter, self, self, None))
        state.brim = 0
        try:
            await waiter.sleep()
        except BaseException as error:
            leave(state.idlers, waiter)
            state.settle()
            waiter.rescue(error)


class _Receives(End, Generic[T_co]):
    """The verbs of receiving."""

    __slots__ = ()

    _state: State[Any]

    @uninterrupted
    async def receive(self) -> T_co:
        """Take one item from the channel, waiting while there is none.

        If this raises, cancellation included, then nothing was taken.  It is a
        checkpoint when it has to wait, and at least once in 64 operations.

        Raises:
            EndOfChannel: The channel is closed and all that was in it is received.
            ChannelClosed: This handle is closed.
        """
        state = self._state
        loop = state.loop
        if 1 < len(state.buffer) < state.brim and loop.budget > 0:
            loop.budget -= 1
            state.received += 1
            return state.buffer.popleft()  # type: ignore[no-any-return]
        if loop.budget <= 0:
            loop = await state.turn()
            state = self._state
        loop.budget -= 1
        item = state.take()
        if item is NOTHING:
            loop.check(state)
            waiter = loop.waiter_class(loop)
            state.receivers = join(state.receivers, waiter, (waiter, self, self, END))
            try:
                item = await waiter.sleep()
            except BaseException as error:
                leave(state.receivers, waiter)
                item = waiter.rescue(error)
        if item is END:
            raise EndOfChannel(f"{state} is closed and empty")
        return item  # type: ignore[no-any-return]

    @uninterrupted
    def receive_nowait(self) -> T_co:
        """Take one item from the channel now.

        May be called where no task runs, such as in a callback of the event loop.

        Raises:
            WouldBlock: There is no item, and nobody waits to send one.
            EndOfChannel: The channel is closed and all that was in it is received.
            ChannelClosed: This handle is closed.
        """
        item = self._state.take()
        if item is NOTHING:
            raise WouldBlock(f"{self._state} is empty, and nobody waits to send")
        if item is END:
            raise EndOfChannel(f"{self._state} is closed and empty")
        return item  # type: ignore[no-any-return]

    @uninterrupted
    async def receive_many(self, limit: int) -> list[T_co]:
        """Take 1 to `limit` items, waiting only for the first.

        Raises:
            EndOfChannel, ChannelClosed: As `receive`.
        """
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"limit must be a whole number of items, not {limit!r}")
        if limit < 1:
            raise ValueError(f"limit must be 1 or more, not {limit}")
        state = self._state
        state.bind(current())
        items = [await self.receive()]
        if state is self._state:  # else this handle was closed after the match
            items += state.take_many(limit - 1)
            state.loop.budget -= len(items) - 1
        return items

    @uninterrupted
    def drain(self) -> list[T_co]:
        """Take out at once all that is buffered or that waiting senders hold.

        Their sends succeed.  The items count as received.
        """
        return self._state.drain()

    def __aiter__(self) -> Self:
        return self

    @uninterrupted
    async def __anext__(self) -> T_co:
        state = self._state
        loop = state.loop
        if 1 < len(state.buffer) < state.brim and loop.budget > 0:  # as in receive
            loop.budget -= 1
            state.received += 1
            return state.buffer.popleft()  # type: ignore[no-any-return]
        try:
            return await self.receive()
        except EndOfChannel:
            raise StopAsyncIteration from None


class Channel(_Sends[T], _Receives[T], _View):
    """A queue that connects tasks, as in Go: what one sends, another receives.

    Use it directly and `close` it when nothing more is sent, in Go's style; or give
    each producer a `sender()` and each consumer a `receiver()`, in trio's style, and
    the channel closes with its last sender and breaks with its last receiver.

        jobs: Channel[str] = Channel(10, name="jobs")
        await jobs.send("a")
        jobs.close()
        async for job in jobs:
            print(job)

    Args:
        capacity: How many items may wait in the buffer.  At 0 each send waits for
            its receive; `math.inf` is no limit, and no backpressure either.
        overflow: What a send to a full channel does: wait ("block"), or succeed at
            once and drop the oldest item, or the new one.
        on_undelivered: Called once with each item that was accepted and will never be
            handed out: one dropped, left when the channel broke, or still there when
            the channel was garbage collected.  What it raises comes out of the call
            that caused it, after all items were handed over.
        name: For messages.
    """

    __slots__ = ("__weakref__",)

    def __init__(
        self,
        capacity: int | float = 0,
        *,
        overflow: Overflow = "block",
        on_undelivered: Callable[[T], None] | None = None,
        name: str | None = None,
    ) -> None:
        _check(capacity, overflow, on_undelivered, name)
        super().__init__(State(capacity, overflow, on_undelivered, name))

    @property
    def closed(self) -> bool:
        """Whether sending is over; there may still be items to receive."""
        return self._state.closed

    @uninterrupted
    def close(self) -> None:
        """Admit no more sends.  Closing twice is fine.

        What is buffered, and what senders that wait already hold, can still be
        received; after that, receives raise `EndOfChannel`.
        """
        self._state.close()

    async def aclose(self) -> None:
        """Do as `close`."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def sender(self) -> Sender[T]:
        """Open a handle that can send; the channel closes when the last one does.

        Raises:
            ChannelClosed: The channel is closed.
        """
        if self._state.closed:
            raise ChannelClosed(f"{self._state} is closed: it takes no more senders")
        return Sender(self._state)

    def receiver(self) -> Receiver[T]:
        """Open a handle that can receive; the channel breaks when the last one closes.

        Then sends raise `ChannelBroken`, and what is buffered goes to
        `on_undelivered`, or stays for `drain` if there is none.

        Raises:
            ChannelBroken: All receivers there were have closed.
        """
        if self._state.broken:
            raise ChannelBroken(f"the last receiver of {self._state} has closed")
        return Receiver(self._state)


class _Handle(_View):
    """A view that is counted, and closed by itself."""

    __slots__ = ()

    def __init__(self, state: State[Any]) -> None:
        super().__init__(state)
        self._count(1)

    def _count(self, change: int) -> int:
        """Count this handle in or out; returns how many of its kind are open."""
        raise NotImplementedError

    def _last_closed(self, state: State[Any]) -> None:
        """Do what the closing of the last handle means."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether this handle is closed."""
        return isinstance(self._state, Shut)

    def clone(self) -> Self:
        """Open another handle to the same end, to be closed by itself.

        Raises:
            ChannelClosed: This handle is closed.
        """
        if isinstance(self._state, Shut):
            raise shut(self._state.real)
        return type(self)(self._state)

    @uninterrupted
    def close(self) -> None:
        """Close this handle.  Closing twice is fine.

        Tasks that wait through it get `ChannelClosed`, as does who uses it later.
        """
        state = self._state
        if isinstance(state, Shut):
            return
        state.check_waiters()
        still_open = self._count(-1)
        self._state = Shut(state)
        state.evict(self)
        if not still_open:
            self._last_closed(state)

    async def aclose(self) -> None:
        """Do as `close`."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not self.closed:
            warnings.warn(
                f"{self!r} was not closed: use it in a with block",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )


class Sender(_Sends[T_contra], _Handle, ObjectSendStream[T_contra]):
    """A handle that sends, made by `Channel.sender`: an anyio `ObjectSendStream`."""

    __slots__ = ()

    def _count(self, change: int) -> int:
        self._state.open_senders += change
        return self._state.open_senders

    def _last_closed(self, state: State[Any]) -> None:
        state.close()


class Receiver(_Receives[T_co], _Handle, ObjectReceiveStream[T_co]):
    """A handle that receives, made by `Channel.receiver`: an `ObjectReceiveStream`."""

    __slots__ = ()

    def _count(self, change: int) -> int:
        self._state.open_receivers += change
        return self._state.open_receivers

    def _last_closed(self, state: State[Any]) -> None:
        state.break_off()


def _check(capacity: object, overflow: object, callback: object, name: object) -> None:
    """Raise unless these can be the arguments of a channel."""
    if isinstance(capacity, bool) or not (
        isinstance(capacity, int) or capacity == math.inf
    ):
        raise TypeError(
            f"capacity must be a whole number or math.inf, not {capacity!r}"
        )
    if capacity < 0:
        raise ValueError(f"capacity must be 0 or more, not {capacity!r}")
    if overflow not in ("block", "drop_oldest", "drop_newest"):
        raise ValueError(
            f"overflow must be 'block', 'drop_oldest' or 'drop_newest', not "
            f"{overflow!r}"
        )
    if overflow != "block" and not capacity:
        raise ValueError(
            f"overflow={overflow!r} needs a capacity of 1 or more: without a buffer "
            "there is nothing to drop from"
        )
    if callback is not None and not callable(callback):
        raise TypeError(
            f"on_undelivered must be a function of one item, not {callback!r}"
        )
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a string, not {name!r}")
