"""The two ends of a channel, and what can be done at each.

The verbs of a direction are written once, here.  A `Channel` has both, a `Sender` or
a `Receiver` has one of them; all are thin views of one `State`, whose file tells how
a channel works.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, NoReturn, Self, TypeVar

from ._errors import EndOfChannel, WouldBlock
from ._park import BUDGET, current, uninterrupted
from ._queue import End, join, leave
from ._state import END, NOTHING, State, shut

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


class View(End):
    """What a channel and its handles have in common."""

    __slots__ = ("_state",)

    _state: State[Any]

    def __init__(self, state: State[Any]) -> None:
        self._state = state
        self._parked = 0

    @property
    def name(self) -> str | None:
        """The channel's name, for messages."""
        return self._state.name

    @property
    def capacity(self) -> int | float:
        """How many items the buffer has room for; `math.inf` for no limit."""
        return self._state.real.capacity

    def __len__(self) -> int:
        """Return how many items are in the buffer."""
        return len(self._state.real.buffer)

    def __bool__(self) -> bool:
        """Return True: an empty channel is still a channel."""
        return True

    def statistics(self) -> ChannelStatistics:
        """Return the channel's figures, as a frozen record."""
        state = self._state.real
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
        state = self._state.real
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
            f"{self._state.real} cannot be pickled or copied: it belongs to this "
            "process and its event loop. Send the items, not the channel"
        )


class Sends(End, Generic[T_contra]):
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
        state.enqueue_sender(waiter, (waiter, self, self, item))
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
        if state.real is not state:
            raise shut(state.real)
        if not state.buffer and not state.sender_waits():
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


class Receives(End, Generic[T_co]):
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
        if state.loop.budget < min(limit, len(state.buffer), BUDGET):
            state.loop.budget = 0  # so that it yields before it takes so many
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
