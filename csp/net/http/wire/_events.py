"""What comes out of the parser, and how much it lets in."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, TypeAlias

import attrs

from csp.net.http._headers import Headers

Version: TypeAlias = tuple[Literal[1], Literal[0, 1]]

HTTP_1_0: Final[Version] = (1, 0)
HTTP_1_1: Final[Version] = (1, 1)


@attrs.frozen
class Limits:
    """How large the parts of a request may be, in bytes."""

    target_bytes: int = 8_192
    """The request's target.  Beyond: 414."""
    header_bytes: int = 65_536
    """All header lines together, and again all trailer lines.  Beyond: 431."""
    header_count: int = 100
    """The number of header lines, and again of trailer lines.  Beyond: 431."""
    body_bytes: float = 16 * 1024 * 1024
    """The body without its framing; may be `math.inf`.  Beyond: 413."""
    unsupported_methods: frozenset[str] = frozenset({"CONNECT", "TRACE"})
    """What no handler here can do.  Refused with 501."""


@attrs.define
class Head:
    """The head of a request.  Its body follows, unless `length` is 0."""

    method: str
    """As it was sent; upper and lower case differ."""
    target: str
    """As it was sent: ASCII without spaces and control characters."""
    path_and_query: str
    """The target without scheme and authority; or "*", for OPTIONS."""
    version: Version
    """1.0 or 1.1; a client that says 1.2 means what is in 1.1."""
    headers: Headers
    host: str
    """Host and perhaps port, of the target if it has one; "" in 1.0 without either."""
    length: int | None
    """The bytes in the body; None if only its end will tell."""
    keep_alive: bool
    """Whether the client lets the connection be used after this request."""
    expects_continue: bool
    """Whether the client waits for a 100 before it sends the body."""


@attrs.define
class End:
    """The end of a body."""

    trailers: Headers = attrs.field(factory=Headers)


class Refused(Exception):
    """The client broke the protocol or went beyond a limit.

    The connection has to be closed after an answer with `status`.
    """

    status: int
    """What to answer."""
    detail: str
    """What was wrong, for the client too."""
    method: str | None
    """The request's method, if it got so far; HEAD is answered without a body."""

    def __init__(self, status: int, detail: str, method: str | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.method = method

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}"


class Signal(Enum):
    NEED_DATA = "NEED_DATA"
    CLOSED = "CLOSED"

    def __repr__(self) -> str:
        return self.value


NEED_DATA: Final = Signal.NEED_DATA
CLOSED: Final = Signal.CLOSED

Event: TypeAlias = Head | bytes | End | Signal
