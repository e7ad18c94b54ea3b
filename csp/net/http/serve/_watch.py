"""Noticing that the client has gone, while nobody reads."""

from __future__ import annotations

import math
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING

import anyio

from csp._channel import Channel
from csp._group import PrivateGroup
from csp.net.http._errors import ClientGone

if TYPE_CHECKING:
    from ._session import Session

_AHEAD = 2  # reads that may wait while the handler works
_ENOUGH = 65536  # bytes from before; with more than that nothing is read ahead


class Watch(AbstractAsyncContextManager[None]):
    """A block that is cancelled when the client closes the connection.

    A task reads ahead, for the only way to learn of the end is to come to it.  What it
    has read goes through a channel to whoever reads meanwhile, and what is left to the
    session.  If a client sends so much ahead that the channel is full, it is not
    noticed any more whether it goes.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ahead: Channel[bytes] = Channel(_AHEAD, name="read ahead")
        self._in_hand = b""
        self._gone = False
        self._late: TimeoutError | None = None

    async def __aenter__(self) -> None:
        session = self._session
        self._receive = session.receive
        self._group = PrivateGroup("watch")
        await self._group.__aenter__()
        if len(session.parser) <= _ENOUGH:
            session.conn.read_deadline = math.inf
            session.receive = self._receive_ahead
            self._group.go(self._read_ahead)

    async def _read_ahead(self) -> None:
        try:
            while True:
                self._in_hand = await self._receive()
                await self._ahead.send(self._in_hand)
                self._in_hand = b""
        except TimeoutError as error:  # the body is too slow
            self._late = error
            self._ahead.close()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            self._gone = True
            self._ahead.close()
            self._group.cancel()

    async def _receive_ahead(self) -> bytes:
        try:
            return await self._ahead.receive()
        except anyio.EndOfStream:
            if self._late is not None:
                raise self._late from None
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._group.cancel()
        try:
            caught = await self._group.__aexit__(exc_type, exc, traceback)
        finally:
            self._give_back()
        if self._gone and (caught or exc is None):
            raise ClientGone("the client has closed the connection")
        return caught

    def _give_back(self) -> None:
        session = self._session
        session.receive = self._receive
        for data in (*self._ahead.drain(), self._in_hand):
            session.parser.feed(data)
        self._ahead.close()  # who still waits there goes on with the session's
