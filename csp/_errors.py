"""What can come out of a channel instead of an item.

Each error is also the one that users of anyio catch already, so code written for
anyio's streams needs no new ``except``.
"""

from __future__ import annotations

from typing import Any

import anyio


class EndOfChannel(anyio.EndOfStream):
    """The channel is closed and everything in it has been received."""


class _FailedSend(Exception):
    """The face that the two failed sends share: they carry the item."""

    item: Any
    """The item that was not sent; None when nothing was being sent."""

    def __init__(self, message: str = "", item: Any = None) -> None:
        super().__init__(message)
        self.item = item


class ChannelClosed(_FailedSend, anyio.ClosedResourceError):
    """The channel, or the handle that was used, has been closed.

    `item` is the item of the send that failed: it is still the caller's.
    """


class ChannelBroken(_FailedSend, anyio.BrokenResourceError):
    """Nobody will ever receive from the channel: its last receiver closed.

    `item` is the item of the send that failed: it is still the caller's.
    """


class Overloaded(Exception):
    """There is no room to wait in: the queue of a pool or a limiter is full."""


# Not a subclass: what a `*_nowait` raises is caught everywhere under this name.
WouldBlock = anyio.WouldBlock
