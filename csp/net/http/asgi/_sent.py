"""A response, as messages to another server.

Which fields are sent is decided as for our own server, by `wire`: so nobody splits a
response, and lengths are right.  How its end is marked is the other server's business.
"""

from __future__ import annotations

from typing import Any

from csp.net.http._content import encoded, opened
from csp.net.http._errors import ClientGone
from csp.net.http._headers import Headers
from csp.net.http._message import Request, Response
from csp.net.http.wire import HTTP_1_0, Outgoing

from ._types import RawFields, Scope, Send

_EXTENSION = "http.response.trailers"


class Sent:
    """A response on its way."""

    __slots__ = ("_request", "_send", "_trailers", "begun")

    begun: bool
    """Whether something of it may have been sent."""

    def __init__(self, request: Request, scope: Scope, send: Send) -> None:
        self._request = request
        self._send = send
        self._trailers = _EXTENSION in (scope.get("extensions") or {})
        self.begun = False

    async def send(self, response: Response) -> None:
        """Send it all.

        Raises:
            ClientGone: The client does not take it.
            Exception: What the body raises, and if it cannot be sent a ValueError.
        """
        body = (
            response.body.encode() if isinstance(response.body, str) else response.body
        )
        length = len(body) if isinstance(body, bytes) else None
        out = Outgoing(
            response.status,
            response.headers,
            method=self._request.method,
            version=HTTP_1_0,  # for which a body is sent as it is
            length=length,
        )
        start = {
            "type": "http.response.start",
            "status": int(response.status),
            "headers": _fields(out, response.headers, self._request.http_version),
        }
        trailing = self._trailers and response.trailers is not None
        if trailing:
            start["trailers"] = True
        if isinstance(body, bytes):
            data = out.data(body) if out.has_content else b""
            await self._give(start)
            await self._give(_piece(data, more=False))
        else:
            await self._stream(start, out, body)
        if trailing:
            await self._give({"type": _EXTENSION, "headers": _raw(response.trailers)})

    async def _stream(self, start: Any, out: Outgoing, body: Any) -> None:
        """Send the body as it comes, unless the client goes.

        Not all servers tell who sends that the client has gone.
        """
        async with opened(body) as pieces, self._request.cancelled_if_gone():
            if out.has_content:
                async for piece in pieces:
                    data = encoded(piece)
                    if start is not None:
                        await self._give(start)
                        start = None
                    await self._give(_piece(out.data(data), more=True))
                out.end()
            if start is not None:
                await self._give(start)
            await self._give(_piece(b"", more=False))

    async def _give(self, message: Any) -> None:
        self.begun = True
        try:
            await self._send(message)
        except OSError as error:
            raise ClientGone("the client does not take what is sent") from error


def _piece(data: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _raw(headers: Headers | None) -> RawFields:
    return [(n.lower(), v) for n, v in (headers or Headers()).raw]


def _fields(out: Outgoing, headers: Headers, http_version: str) -> RawFields:
    """Return the fields that `wire` sends, but those for a connection."""
    lines = [line.split(b": ", 1) for line in out.head.split(b"\r\n")[1:-2]]
    fields = [(name.lower(), value) for name, value in lines]
    fields = [field for field in fields if field[0] != b"connection"]
    options = ",".join(headers.get_all("connection")).lower().split(",")
    if "close" in map(str.strip, options) and http_version in {"1.0", "1.1"}:
        fields.append((b"connection", b"close"))
    return fields
