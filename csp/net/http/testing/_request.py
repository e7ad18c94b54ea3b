"""Requests made by hand."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlencode

import anyio
import msgspec

from csp.net.http._headers import Headers, HeadersLike
from csp.net.http._message import Body, Request

Pairs: TypeAlias = Mapping[str, Any] | Sequence[tuple[str, Any]]

_FORM = "application/x-www-form-urlencoded"


def request(
    method: str = "GET",
    target: str = "/",
    *,
    headers: HeadersLike = None,
    query: Pairs | None = None,
    body: bytes | str | AsyncIterable[bytes] = b"",
    json: Any = msgspec.UNSET,
    form: Pairs | None = None,
    params: Mapping[str, Any] | None = None,
    pattern: str | None = None,
    context: Any = None,
    client: str = "127.0.0.1:50000",
    server: str = "127.0.0.1:80",
    scheme: str = "http",
    http_version: str = "1.1",
) -> Request:
    """Make a request as the server would have made it, to call a handler with.

        await handler(request("GET", "/search", query={"q": "csp"}))
        await handler(request("PUT", "/users/1", json={"name": "Ann"}))

    Args:
        method: The method.
        target: The path and what comes after it, as it would be sent.
        headers: Header fields; `Host` and those of the body are added.
        query: Parameters that are added to the target; a list is several of a name.
        body: The body: bytes, or text, or its pieces as an async iterable.
        json: A value to send as JSON instead.
        form: Fields to send as a form instead.
        params: What a router would have found in the path.
        pattern: The pattern of the router that would have been chosen.
        context: Whatever handlers around this one would have had to say to it.
        client: The address of the other end.
        server: The address of this end.
        scheme: "http" or "https".
        http_version: "1.1" or "1.0".

    Raises:
        TypeError: It has two bodies.
        ValueError: The target is none.
    """
    if query is not None:
        target += "&" if "?" in target else "?"
        target += urlencode(query, doseq=True)
    fields = Headers(headers)
    fields.setdefault("Host", "test")
    content = _content(body, json, form, fields)
    made = Request(
        method,
        target,
        fields,
        b"" if isinstance(content, Body) else content,  # which checks the line
        http_version,
        client,
        server,
        scheme,
    )
    if isinstance(content, Body):
        made.body = content
    made.pattern = pattern
    made.context = context
    if params is not None:
        made.params = params
    return made


def _content(body: Any, json: Any, form: Pairs | None, fields: Headers) -> Body | bytes:
    """Return the body, and add the fields that tell of it."""
    if (body != b"") + (json is not msgspec.UNSET) + (form is not None) > 1:
        raise TypeError("a request has one of body, json and form")
    if json is not msgspec.UNSET:
        fields.setdefault("Content-Type", "application/json")
        body = msgspec.json.encode(json)
    elif form is not None:
        fields.setdefault("Content-Type", _FORM)
        body = urlencode(form, doseq=True)
    if isinstance(body, str):
        body = body.encode()
    if hasattr(body, "__aiter__"):
        fields.setdefault("Transfer-Encoding", "chunked")
        return _Pieces(body)
    if not isinstance(body, bytes):
        raise TypeError(
            f"the body of a request is bytes, str or an async iterable, not {body!r}"
        )
    if body:
        fields.setdefault("Content-Length", str(len(body)))
    return body


class _Pieces(Body):
    """A body that comes bit by bit."""

    __slots__ = ("_pieces", "trailers")

    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        self._pieces: AsyncIterator[bytes] = aiter(pieces)
        self.trailers = None

    async def receive(self) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        self.trailers = Headers()
        raise anyio.EndOfStream
