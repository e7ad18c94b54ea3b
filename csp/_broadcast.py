"""Broadcast: what is sent goes to all who subscribe.

Each subscription is a channel of its own, a `_Box`, and what sends is the face of yet
another, a `_Hub`, which never holds anything: it gives an item to all its boxes at
once.  So a subscription is a receiver like others, in a select too, and a send waits,
fails and is cancelled as it does at a channel.

Invariants, true whenever none of the methods here is running:

1. `full_boxes` has those boxes that block and have no room.
2. A sender waits => there is such a box.

Whoever makes room in the last of them lets the first sender's item into all boxes, at
that moment.  So a send that was cancelled has reached nobody, and all see the items in
the same order.  A receive from a full buffer takes no short cut past `_Box.take`, which
therefore sees whatever makes room.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self, TypeVar

from ._channel import _check
from ._check import check_name
from ._ends import Sends
from ._errors import WouldBlock
from ._handles import Receiver
from ._park import Loop, uninterrupted
from ._state import NOTHING, UNBOUND, Mark, Overflow, State

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class BroadcastStatistics(NamedTuple):
    """Who listens to a broadcast, who waits for them, and what was sent so far."""

    subscriptions: int
    """Subscriptions that are open."""
    full: int
    """Those that senders wait for: they block, and have no room."""
    senders_waiting: int
    """Sends and selects that wait to send."""
    sent: int
    """Items sent so far."""
    unheard: int
    """Items sent while there was no subscription."""


class _Hub(State[Any]):
    """The state of a broadcast: a channel whose every item goes to all its boxes."""

    __slots__ = ("boxes", "full_boxes", "over")

    over: bool  # closed, and those who waited to send have done so

    def __init__(self, name: str | None) -> None:
        super().__init__(0, "block", None, name)
        self.boxes: dict[_Box, None] = {}
        self.full_boxes: set[_Box] = set()
        self.over = False

    def __str__(self) -> str:
        name = repr(self.name) if self.name else f"at {id(self):#x}"
        return f"broadcast {name}"

    def offer(self, item: Any) -> bool:
        if self.closed:
            raise self.refusal(item)
        if self.full_boxes:
            return False
        if self.loop is not UNBOUND:
            self.loop.check(self)
        self._give(item)
        return True

    def _give(self, item: Any) -> None:
        """Put `item` into all boxes, none of which is full."""
        for box in self.boxes:
            box.offer(item)
            if box.is_full():
                self.full_boxes.add(box)
        if self.boxes:
            self.received += 1
        else:
            self.undelivered += 1

    def proceed(self) -> None:
        """Serve those who wait to send, until a box is full; and then, the end."""
        while not self.full_boxes and (item := self._accept()) is not NOTHING:
            self._give(item)
        if self.idlers:
            self.settle()
        if self.closed and not self.over and not self.sender_waits():
            self.over = True
            for box in self.boxes:
                box.close()

    def dismiss_sender(self, key: object) -> None:
        super().dismiss_sender(key)
        self.proceed()

    def close(self) -> None:
        super().close()
        self.proceed()


class _Box(State[Any]):
    """The state of a subscription: what its hub has sent, and nobody received yet."""

    __slots__ = ("hub", "unread")

    unread: int  # items left when the last receiver closed

    def __init__(self, hub: _Hub, capacity: int | float, overflow: Overflow) -> None:
        super().__init__(capacity, overflow, None, hub.name)
        self.hub = hub
        self.unread = 0
        if hub.over:
            self.close()
        hub.boxes[self] = None

    def __str__(self) -> str:
        return f"a subscription to {self.hub}"

    def is_full(self) -> bool:
        return self.overflow == "block" and len(self.buffer) >= self.capacity

    def bind(self, loop: Loop) -> None:
        self.hub.bind(loop)
        super().bind(loop)

    def check_waiters(self) -> None:
        super().check_waiters()
        self.hub.check_waiters()

    def take(self) -> Any | Mark:
        if not self.is_full():
            return super().take()
        self.hub.check_waiters()
        item = super().take()
        self._made_room()
        return item

    def drain(self) -> list[Any]:
        self.hub.check_waiters()
        items = super().drain()
        self._made_room()
        return items

    def clear(self) -> list[Any]:
        items = super().clear()
        self._made_room()
        return items

    def break_off(self) -> None:
        del self.hub.boxes[self]
        super().break_off()
        self.unread = len(self.clear())

    def _made_room(self) -> None:
        self.hub.full_boxes.discard(self)
        self.hub.proceed()


class Subscription(Receiver[T_co]):
    """A receiver of what a broadcast sends, made by `Broadcast.subscribe`.

    Its clones share its buffer, and so the items among them.  Closing the last gives
    up what is in there.
    """

    __slots__ = ()

    @property
    def lagged(self) -> int:
        """How many items were dropped so far, because it did not keep up."""
        box: Any = self._state.real
        return box.undelivered - box.unread  # type: ignore[no-any-return]


class Broadcast(Sends[T]):
    """Sends each item to everyone who subscribes.

        prices = Broadcast[int]("prices")

        async def watch(rx: Receiver[int]) -> None:
            with rx:
                async for price in rx:
                    print(price)

        async def main() -> None:
            async with prices:
                for rx in (prices.subscribe(10), prices.subscribe(1, "drop_oldest")):
                    go(watch, rx)
                await prices.send(100)

        run(main)

    It has a channel's verbs of sending, and ``send(broadcast, item)`` is an operation.
    A send waits while a subscription that blocks is full, and then reaches all at once:
    if it raises, cancellation included, it has reached nobody.  With no subscriptions
    it succeeds, and the item goes nowhere.

    Closing it, as leaving its block does, ends all subscriptions once they have been
    read; what waits to be sent is still sent.

    Args:
        name: For messages.
    """

    __slots__ = ("__weakref__", "_state")

    _state: _Hub

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            check_name(name)
        self._state = _Hub(name)
        self._parked = 0

    @property
    def name(self) -> str | None:
        """The broadcast's name, for messages."""
        return self._state.name

    @property
    def closed(self) -> bool:
        """Whether sending is over; subscriptions may still have items."""
        return self._state.closed

    def subscribe(
        self, capacity: int | float, overflow: Overflow = "block"
    ) -> Subscription[T]:
        """Open a receiver of all items that are sent from now on.

        Args:
            capacity: How many items may wait in its buffer, at least 1.
            overflow: What a send does when that is full: wait ("block"), or drop the
                oldest item or the new one from this buffer; `lagged` counts them.
        """
        _check(capacity, overflow, None, None)
        if not capacity:
            raise ValueError(
                "a subscription needs a capacity of 1 or more: there is no rendezvous "
                "of many"
            )
        return Subscription(_Box(self._state, capacity, overflow))

    @uninterrupted
    def send_nowait(self, item: T) -> None:
        """Send one item to all now.

        Raises:
            WouldBlock: A subscription that blocks is full.
            ChannelClosed: The broadcast is closed.  `item` has the item.
        """
        if not self._state.offer(item):
            raise WouldBlock(f"a subscription to {self._state} is full")

    async def wait_empty(self) -> None:
        """Wait until nobody waits to send, and all that was sent has been received."""
        await super().wait_empty()
        while box := next((box for box in self._state.boxes if box.buffer), None):
            await _Inlet(box).wait_empty()

    @uninterrupted
    def close(self) -> None:
        """Admit no more sends.  Closing twice is fine."""
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

    def statistics(self) -> BroadcastStatistics:
        """Return the broadcast's figures, as a frozen record."""
        hub = self._state
        return BroadcastStatistics(
            subscriptions=len(hub.boxes),
            full=len(hub.full_boxes),
            senders_waiting=len(hub.senders),
            sent=hub.sent,
            unheard=hub.undelivered,
        )

    def __repr__(self) -> str:
        hub = self._state
        name = f"{hub.name!r}" if hub.name else f"at {id(hub):#x}"
        return f"<Broadcast {name} to {len(hub.boxes)} {hub.status()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self._state} cannot be pickled or copied: it belongs to this process "
            "and its event loop"
        )


class _Inlet(Sends[Any]):
    """A face of a box, to wait for its being empty."""

    __slots__ = ("_state",)

    def __init__(self, box: _Box) -> None:
        self._state = box
        self._parked = 0
