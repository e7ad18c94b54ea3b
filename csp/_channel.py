"""The channel: both ends in one."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from ._check import COUNT_OR_INF, check_count, check_name, check_on_undelivered
from ._ends import Receives, Sends, View
from ._errors import ChannelBroken, ChannelClosed
from ._handles import Receiver, Sender
from ._park import uninterrupted
from ._state import Overflow, State

T = TypeVar("T")


class Channel(Sends[T], Receives[T], View):
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


def _check(capacity: object, overflow: object, callback: object, name: object) -> None:
    """Raise unless these can be the arguments of a channel."""
    if type(capacity) is not int or capacity < 0:  # so it is faster than to call
        check_count("capacity", capacity, 0, kind=COUNT_OR_INF, bounded=False)
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
    if callback is not None:
        check_on_undelivered(callback)
    if name is not None:
        check_name(name)
