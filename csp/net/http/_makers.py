"""Makers of the usual responses."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from ._headers import Headers, HeadersLike
from ._message import Content, Response

_TEXT = (b"Content-Type", b"text/plain; charset=utf-8")
_HTML = (b"Content-Type", b"text/html; charset=utf-8")
_JSON = (b"Content-Type", b"application/json")
_REDIRECTS = (301, 302, 303, 307, 308)

_encode = msgspec.json.Encoder().encode


def _typed(
    content_type: tuple[bytes, bytes], body: Content, status: int, headers: HeadersLike
) -> Response:
    """Make a response of a type, unless `headers` tells another."""
    if headers is None:
        return Response(status, body, Headers.from_raw([content_type]))
    fields = Headers(headers)
    fields.setdefault("Content-Type", content_type[1].decode())
    return Response(status, body, fields)


def text(body: Content, status: int = 200, headers: HeadersLike = None) -> Response:
    """Answer with plain text.

    async def handler(request: Request) -> Response:
        return text("Hello, www!\\n")
    """
    return _typed(_TEXT, body, status, headers)


def html(body: Content, status: int = 200, headers: HeadersLike = None) -> Response:
    """Answer with a page.

    async def handler(request: Request) -> Response:
        return html("<h1>Hello, www!</h1>")
    """
    return _typed(_HTML, body, status, headers)


def json(value: Any, status: int = 200, headers: HeadersLike = None) -> Response:
    """Answer with a value as JSON: whatever msgspec can encode.

    async def handler(request: Request) -> Response:
        return json({"hello": "www"})

    Raises:
        TypeError: It cannot be encoded.
    """
    return _typed(_JSON, _encode(value), status, headers)


def redirect(location: str, status: int = 307, headers: HeadersLike = None) -> Response:
    """Send the client elsewhere: with the same request, if it does not know better.

        async def handler(request: Request) -> Response:
            return redirect("/elsewhere")

    Args:
        location: A URL or a part of one; what may not be in a URL is quoted.
        status: 301 or 308: for good; 302 or 307: for now; 303: go on with a GET.
            301, 302 and 303 make a GET of a POST, 307 and 308 do not.
        headers: More header fields.
    """
    if not isinstance(location, str):
        raise TypeError(f"location must be a str, not {location!r}")
    if status not in _REDIRECTS:
        raise ValueError(
            f"the status of a redirect is 301, 302, 303, 307 or 308, not {status!r}"
        )
    fields = Headers(headers)
    fields["Location"] = quote(location, safe="/%:=&?~#+!$,;'@()*[]")
    return Response(status, b"", fields)
