"""From a response to bytes: its head, and its body as it is framed.

All that decides where a response ends is decided here, in `frame`, by RFC 9112 6.3:

    the request or the status allows no content    no body
    the length is known                            Content-Length
    to a client of HTTP/1.1                        chunked
    to a client of HTTP/1.0                        up to the end of the connection

A handler's own headers are its own, save those that frame.  As in Go:

* Content-Length says the length of a body that is not at hand yet, or of the content
  that the answer to HEAD, or a 304, is not going to have.  Sending more is an error at
  once, sending less at the end, and so is saying another length than that of a body
  that is there.  It is left out of what must not have one.
* Transfer-Encoding is left out: that is the server's own business.
* Connection: `close` closes.  `keep-alive` is left out, other options are sent.
* Date is the handler's, if it sends one.

The version is 1.1 always, as it tells what the server can do, and not the client.
"""

from __future__ import annotations

import time
from functools import lru_cache
from http import HTTPStatus
from typing import Literal, TypeAlias

from csp.net.http._headers import Headers, RawHeaders

from ._events import HTTP_1_0, HTTP_1_1, Version
from ._grammar import NOT_IN_TRAILERS
from ._lines import Field, Said, add_lines, join, shown

Framing: TypeAlias = Literal["none", "length", "chunked", "close"]

_NO_CONTENT = 204
_EMPTY = frozenset({_NO_CONTENT, 304})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_MONTHS = [
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
]


class WrongLength(ValueError):
    """A body is longer or shorter than its response's head has said."""


class Outgoing:
    """One response: its head, then its body as it goes over the wire.

        out = Outgoing(200, Headers({"Content-Type": "text/plain"}), length=5)
        sent = out.head + out.data(b"hello") + out.end()

    Each piece is for itself: they may be sent one by one, or joined.
    """

    __slots__ = ("_framing", "_left", "head", "keep_alive")

    head: bytes
    """The first bytes to send."""
    keep_alive: bool
    """Whether the connection can be used after the end."""

    def __init__(
        self,
        status: int,
        headers: Headers,
        *,
        method: str = "GET",
        version: Version = HTTP_1_1,
        length: int | None = None,
        keep_alive: bool = True,
        date: bytes | None = None,
    ) -> None:
        """Make it.

        Args:
            status: Any of three digits, but not 1xx.
            headers: What else is to be said.
            method: The request's.
            version: The request's.
            length: How many bytes the body has; None: only a Content-Length in
                `headers` tells, or nobody.
            keep_alive: Whether client and server would both keep the connection.
            date: What to send as Date.

        Raises:
            WrongLength: Content-Length and `length` differ.
            ValueError: Something in the status or headers cannot be sent.
        """
        self.head, self._framing, self._left, self.keep_alive = _compose(
            status, headers.raw, method, version, length, keep_alive, date
        )

    @property
    def has_content(self) -> bool:
        """Whether the body is sent; not if the request was HEAD, for one."""
        return self._framing != "none"

    def data(self, data: bytes) -> bytes:
        """Return a piece of the body as it is to be sent, which may be nothing.

        Raises:
            WrongLength: It goes beyond the length that was told.
        """
        if self._framing == "length":
            self._left -= len(data)
            if self._left < 0:
                raise WrongLength(
                    f"the body is {-self._left} bytes longer than its Content-Length"
                )
            return data
        if self._framing == "chunked":
            return chunk(data)
        return data if self._framing == "close" else b""

    def end(self, trailers: Headers | None = None) -> bytes:
        """Return what comes after the body.  Without chunks trailers are left out.

        Raises:
            WrongLength: There was less than the length that was told.  The connection
                has to be closed then: nothing else can tell the client.
        """
        if self._framing == "chunked":
            return last_chunk(trailers)
        if self._framing == "length" and self._left:
            raise WrongLength(
                f"the body is {self._left} bytes shorter than its Content-Length"
            )
        return b""


def whole_response(
    status: int,
    headers: Headers,
    body: bytes,
    *,
    method: str = "GET",
    version: Version = HTTP_1_1,
    keep_alive: bool = True,
    date: bytes | None = None,
) -> tuple[bytes, bool]:
    """Return a response with all of its body, and whether the connection is kept.

    The arguments and errors are those of Outgoing.
    """
    head, framing, _, kept = _compose(
        status, headers.raw, method, version, len(body), keep_alive, date
    )
    return head if framing == "none" else head + body, kept


def informational(status: int, headers: Headers | None = None) -> bytes:
    """Return an interim response: 100, or 103 with its headers.

    Raises:
        ValueError: It is not 1xx, or 101, which is not interim; or as for Outgoing.
    """
    if not 100 <= status <= 199 or status == 101:  # noqa: PLR2004
        raise ValueError(f"an informational status is 100 or 102 to 199, not {status}")
    raw = headers.raw if headers is not None else []
    lines = [_status_line(status)]
    add_lines(lines, raw)
    return join(lines, raw) + b"\r\n"


def chunk(data: bytes) -> bytes:
    """Return data as a chunk; none as nothing, as an empty chunk would be the last."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: Headers | None = None) -> bytes:
    """Return the end of a body in chunks.

    Raises:
        ValueError: There are trailers that cannot be sent, or that are not for
            trailers, such as Content-Length.
    """
    if not trailers:
        return b"0\r\n\r\n"
    raw = trailers.raw
    for name, value in raw:
        if name.lower() in NOT_IN_TRAILERS:
            raise ValueError(f"{shown(name, value)} cannot be a trailer")
    lines = [b"0\r\n"]
    add_lines(lines, raw)
    return join(lines, raw) + b"\r\n"


def http_date(seconds: float) -> bytes:
    """Return a time, in seconds since 1970, as it is sent in Date."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(seconds)
    date = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04}"
    return f"{date} {hour:02}:{minute:02}:{second:02} GMT".encode()


# How it is done


def frame(method: str, version: Version, status: int, length: int | None) -> Framing:
    """Decide how a body is framed."""
    if method == "HEAD" or status in _EMPTY:
        return "none"
    if length is not None:
        return "length"
    return "close" if version == HTTP_1_0 else "chunked"


def _compose(  # noqa: PLR0917
    status: int,
    raw: RawHeaders,
    method: str,
    version: Version,
    length: int | None,
    keep_alive: bool,
    date: bytes | None,
) -> tuple[bytes, Framing, int, bool]:
    """Return a head, how the body is framed, its length, and whether to go on after."""
    begin = _recall if len(raw) <= _FEW else _begin
    head, (stated, closing, dated) = begin(status, tuple(raw))
    if length is None:
        length = stated
    framing = frame(method, version, status, length)
    if framing == "length":
        assert length is not None
        if stated is not None and stated != length:
            raise WrongLength(
                f"Content-Length is {stated}, but the body has {length} bytes"
            )
        head += b"Content-Length: %d\r\n" % length
    elif framing == "chunked":
        head += b"Transfer-Encoding: chunked\r\n"
    elif framing == "none" and (told := _told(status, length, stated)) is not None:
        head += b"Content-Length: %d\r\n" % told
    if date is not None and not dated:
        head += _date_line(date)
    kept = keep_alive and not closing and framing != "close"
    if not kept:
        head += b"Connection: close\r\n"
    elif version == HTTP_1_0:
        head += b"Connection: keep-alive\r\n"
    return head + b"\r\n", framing, length or 0, kept


def _begin(status: int, raw: tuple[Field, ...]) -> tuple[bytes, Said]:
    """Return the status line and a handler's own fields, and what these say."""
    lines = [_status_line(status)]
    if status < 200:  # noqa: PLR2004
        raise ValueError(f"{status} is an informational status: a response comes after")
    said = add_lines(lines, raw)
    return join(lines, raw), said


# Handlers repeat themselves: most of their responses have the same one or two fields.
_FEW = 2
_recall = lru_cache(256, typed=True)(_begin)


@lru_cache(16)
def _date_line(date: bytes) -> bytes:
    return join([b"Date: %b\r\n" % date], [(b"Date", date)])


def _told(status: int, length: int | None, stated: int | None) -> int | None:
    """Return the length to be told of content that is not sent, if any."""
    if status == _NO_CONTENT:
        return None
    if stated is None and status not in _EMPTY:
        return length or None  # nothing may mean: not made, as it was only a HEAD
    return stated


@lru_cache(1000)
def _status_line(status: object) -> bytes:
    if type(status) is not int or not 100 <= status <= 999:  # noqa: PLR2004
        raise ValueError(f"a status is a number of three digits, not {status!r}")
    return f"HTTP/1.1 {status:d} {_PHRASES.get(status, '')}\r\n".encode()
