"""The body of a request that another server has received."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio

from csp._channel import Channel
from csp._group import PrivateGroup
from csp.net.http._errors import ClientGone, ContentTooLarge
from csp.net.http._headers import Headers
from csp.net.http._message import Body

from ._types import Message, Receive

_AHEAD = 2  # messages that may wait while the handler works


class Received(Body):
    """A body that comes in messages, each of which is asked for."""

    __slots__ = ("_ahead", "_ended", "_gone", "_limit", "_receive", "_size", "trailers")

    def __init__(self, receive: Receive, limit: int | float) -> None:
        self._receive = receive
        self._limit = limit
        self._size = 0
        self._ended = self._gone = False
        self._ahead: list[Message] = []  # received while nobody asked
        self.trailers = None

    async def receive(self) -> bytes:
        while not self._ended:
            message = await self._next()
            if message["type"] == "http.disconnect":
                self._gone = True
            if self._gone:
                raise ClientGone("the client went before its request was complete")
            self._ended = not message.get("more_body", False)
            if piece := message.get("body", b""):
                return self._measured(bytes(piece))
        self.trailers = Headers()
        raise anyio.EndOfStream

    async def _next(self) -> Message:
        return self._ahead.pop(0) if self._ahead else await self._receive()

    def _measured(self, piece: bytes) -> bytes:
        self._size += len(piece)
        if self._size > self._limit:
            raise ContentTooLarge(f"the body has more than {self._limit} bytes")
        return piece

    def cancelled_if_gone(self) -> AbstractAsyncContextManager[None]:
        return self._watch()

    @asynccontextmanager
    async def _watch(self) -> AsyncIterator[None]:
        """Cancel the block if the client goes.

        The only way to learn of that is to receive, so what comes of the body goes
        through a channel to who asks for it, and what is left stays here.  If more
        comes than there is room for, it is not noticed any more whether it goes.
        """
        channel: Channel[Message] = Channel(_AHEAD, name="read ahead")
        receive = self._receive
        in_hand: list[Message] = []

        async def look_out() -> None:
            while True:
                in_hand[:] = [await receive()]
                if in_hand[0]["type"] == "http.disconnect":
                    self._gone = True
                    g.cancel()
                    return
                await channel.send(in_hand[0])
                in_hand.clear()

        self._receive = channel.receive
        try:
            async with PrivateGroup("watch") as g:
                g.go(look_out)
                yield
                g.cancel()
        finally:
            self._receive = receive
            self._ahead += [*channel.drain(), *in_hand]
            channel.close()
        if self._gone:
            raise ClientGone("the client has closed the connection")
