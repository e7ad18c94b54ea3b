"""Sending a response.

The head goes out with the first piece of the body.  So what fails before that can still
be answered otherwise, and after it the response can only be cut: the connection is
closed before the end that the head has announced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from csp.net.http._content import encoded, opened
from csp.net.http._message import Response
from csp.net.http.wire import HTTP_1_0, Head, Outgoing, whole_response

if TYPE_CHECKING:
    from ._session import Session


class Sending:
    """A response on its way."""

    __slots__ = ("_method", "_session", "_version", "begun")

    begun: bool
    """Whether something of it may have been sent."""

    def __init__(self, session: Session, head: Head) -> None:
        self._session = session
        self._method = head.method
        self._version = head.version
        self.begun = False

    async def send(self, response: Response, keep: bool) -> bool:
        """Send it all; tells whether the connection can be used after it.

        Raises:
            ClientGone: The client does not take it.
            Exception: What the body raises, and if it cannot be sent a ValueError.
        """
        body = response.body
        if isinstance(body, str):
            body = body.encode()
        if not isinstance(body, bytes) or response.trailers is not None:
            async with opened(body) as pieces:
                return await self._stream(pieces, response, keep)
        session = self._session
        if keep and session.server.stopping:
            keep = await session.more_has_come()
        data, keep = whole_response(
            response.status,
            response.headers,
            body,
            method=self._method,
            version=self._version,
            keep_alive=keep,
            date=session.server.date(),
        )
        if session.untold is not None:
            await session.untold.tell()
        self.begun = True
        await session.give(data)
        return keep

    async def _stream(self, pieces: Any, response: Response, keep: bool) -> bool:
        """Send the body as it comes."""
        session = self._session
        if keep and session.server.stopping:
            keep = await session.more_has_come()
        out = Outgoing(
            response.status,
            response.headers,
            method=self._method,
            version=self._version,
            keep_alive=keep,
            date=session.server.date(),
        )
        try:
            await self._send_pieces(out, pieces, response)
        except BaseException:
            if self.begun and self._version is HTTP_1_0:
                session.conn.abort()  # else it would look complete
            raise
        return out.keep_alive

    async def _send_pieces(
        self, out: Outgoing, pieces: Any, response: Response
    ) -> None:
        rest = out.head
        if out.has_content:
            async for piece in pieces:
                data = encoded(piece)
                if data or rest:
                    await self._give(rest + out.data(data))
                    rest = b""
            rest += out.end(response.trailers)
        if rest:
            await self._give(rest)

    async def _give(self, data: bytes) -> None:
        session = self._session
        if session.untold is not None:
            await session.untold.tell()
        self.begun = True
        await session.give(data)
