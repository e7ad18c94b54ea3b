"""Whether a body is what a function can take: RFC 9110, sections 8.3, 8.4 and 15.5.16.

A refusal says what would have been taken instead: in `Accept-Post` or `Accept-Patch`,
or for other methods in `Accept`, which in a response means just that.
"""

from __future__ import annotations

from csp.net.http._accept import MediaType, field, parse_media_type
from csp.net.http._errors import UnsupportedMediaType
from csp.net.http._message import Request

from ._lines import LINES

_TAKEN_BY = {"POST": "Accept-Post", "PATCH": "Accept-Patch"}
_JSON = b"application/json"
_LINES = frozenset({*LINES, "application/ndjson", "application/x-jsonlines"})


def check_json(request: Request) -> None:
    """Raise UnsupportedMediaType unless a body is JSON."""
    first = request.headers._first()
    if (
        first.get(b"content-type") == _JSON
        and b"content-encoding" not in first
        and len(first) == len(request.headers.raw)
    ):
        return
    media = _checked(request, "application/json")
    if not media.is_json:
        raise _refusal(request, "application/json", f"not {media.essence}")


def check_lines(request: Request) -> None:
    """Raise UnsupportedMediaType unless a body is lines of JSON."""
    media = _checked(request, ", ".join(LINES))
    if media.essence not in _LINES:
        raise _refusal(request, ", ".join(LINES), f"not {media.essence}")


def has_body(request: Request) -> bool:
    """Tell whether a request says that something comes after its header fields."""
    headers = request.headers
    if "content-type" in headers or "transfer-encoding" in headers:
        return True
    return headers.get("content-length", "0").strip("0") != ""


def _checked(request: Request, taken: str) -> MediaType:
    """Return the type of a body that is encoded as we can read it."""
    encoding = field(request.headers, b"content-encoding")
    if encoding is not None and encoding.strip(" \t").lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            f"the body has to be sent as it is, not as {encoding[:99]}",
            {"Accept-Encoding": "identity"},
        )
    text = field(request.headers, b"content-type")
    if text is None:
        raise _refusal(request, taken, "and say so in Content-Type")
    media = parse_media_type(text)
    if media is None:
        raise _refusal(request, taken, f"and {text[:99]!r} is no media type")
    if not media.is_utf8:
        raise _refusal(request, taken, "in UTF-8")
    return media


def _refusal(request: Request, taken: str, why: str) -> UnsupportedMediaType:
    name = _TAKEN_BY.get(request.method, "Accept")
    return UnsupportedMediaType(
        f"the body has to be {taken.replace(', ', ' or ')}, {why}", {name: taken}
    )
