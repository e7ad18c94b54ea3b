"""The server's side of a connection, without the connection: bytes in, events out.

    parser = Parser()
    parser.feed(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    head = parser.next_event()
    assert head.path_and_query == "/" and head.length == 0
    assert parser.next_event() is NEED_DATA

A request is a Head; then, unless `length` is 0, pieces of the body as bytes, and an
End.  A request of length 0 ends with its Head, so that the many without a body are one
call each.

Only what is asked for is parsed.  What follows a request stays in the buffer as bytes
until the next call, so a client that sends a thousand requests at once costs no more
than one read.  Before each call there is at most the beginning of one head, one line of
a chunk, or the trailers, all of which have limits; so memory is bounded, if more is fed
only after NEED_DATA.

A violation is raised in its place: what came before it comes first.  After that, and
after a request that ends the connection, nothing more is parsed, ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NoReturn, TypeAlias

from ._body import Buffer, Chunked, Sized, check_line_ends
from ._events import CLOSED, NEED_DATA, End, Event, Head, Limits, Refused, Signal
from ._head import METHOD_BYTES, read_first_line, read_head, too_long, too_many

State: TypeAlias = Literal["idle", "head", "body", "closed"]

_BLANK_LINES = 2  # RFC 9112 2.2: before a request, an empty line is to be ignored
_LINE_FRAMING = METHOD_BYTES + len("  HTTP/1.1\r")  # of a first line beside its target
_NOT_IN_LINE = re.compile(rb"[^\r\n -~]")
_CR, _LF = b"\r\n"
_TLS_HANDSHAKE = 0x16


class Parser:
    """Parses what one client sends over one connection."""

    __slots__ = (
        "_blank_lines",
        "_body",
        "_buffer",
        "_ended",
        "_keep_alive",
        "_limits",
        "_method",
        "_next",
        "_refusal",
        "_scanned",
        "state",
    )

    state: State
    """Where in a request the data ends that was parsed.

    "idle": between two.  "head": something of the next is there.  "body": its Head has
    been told and its End has not.  "closed": nothing more comes.
    """

    # What next_event does.  A plain function: a bound method would make a cycle.
    _next: Callable[[Parser], Event]
    _body: Sized | Chunked
    _ended: bool  # the client will send nothing more
    _scanned: int  # how much of an incomplete head is known to have no end
    _refusal: tuple[int, str, str | None]

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._buffer = Buffer()
        self._next = Parser._read_head
        self._ended = False
        self._scanned = self._blank_lines = 0
        self.state = "idle"

    def feed(self, data: bytes) -> None:
        """Give it what was received.  Best after NEED_DATA, as it is kept."""
        if self.state == "closed":
            return
        buffer = self._buffer
        if buffer.at or buffer.data:
            buffer.feed(data)
        else:
            buffer.data = data
        if self.state == "idle" and data:
            self.state = "head"

    def feed_eof(self) -> None:
        """Tell it that the client will send nothing more."""
        self._ended = True

    def __len__(self) -> int:
        """Return how many bytes it has that are not parsed; of a head, for one."""
        return len(self._buffer)

    def next_event(self) -> Event:
        """Return what comes next.

        That is a Head; a piece of the body, as bytes; an End; NEED_DATA; or CLOSED, if
        no further request can come.

        Raises:
            Refused: The client broke the protocol or went beyond a limit; and so from
                now on.
        """
        return self._next(self)

    # Heads

    def _read_head(self) -> Head | Signal:
        buffer = self._buffer
        data, at = buffer.data, buffer.at
        end = data.find(b"\r\n\r\n", at + self._scanned) + 4
        if end < 4:  # noqa: PLR2004
            return self._wait_for_head() if data or self._ended else NEED_DATA
        if data[at] == _CR and data[at + 1] == _LF:
            return self._skip_blank_line()
        rest = len(data) - end
        try:
            head = read_head(data[at:end], self._limits)
        except Refused as refused:
            refused.method = data[at:end].partition(b" ")[0].decode("latin-1")
            self._refuse(refused)
        self._scanned = self._blank_lines = 0
        if rest:
            buffer.at = end
        else:
            buffer.data, buffer.at = b"", 0
        self._keep_alive = head.keep_alive
        length = head.length
        if length != 0:
            self._method = head.method
            self._body = Chunked(self._limits) if length is None else Sized(length)
            self._next = Parser._read_body
            self.state = "body"
        elif head.keep_alive:
            self.state = "head" if rest else "idle"
        else:
            self._close()
        return head

    def _skip_blank_line(self) -> Head | Signal:
        self._blank_lines += 1
        if self._blank_lines > _BLANK_LINES:
            self._refuse(Refused(400, "too many empty lines before a request"))
        self._buffer.at += 2
        self.state = "head" if len(self._buffer) else "idle"
        return self._read_head()

    def _wait_for_head(self) -> Head | Signal:
        """Look for what can be told of a head before it is complete."""
        buffer = self._buffer
        if buffer.data.startswith(b"\r\n", buffer.at):
            return self._skip_blank_line()
        if self._ended:
            if not len(buffer):
                return self._close()
            self._refuse(Refused(400, "the connection ended within a request's head"))
        try:
            self._check_beginning(buffer.data[buffer.at :])
        except Refused as refused:
            self._refuse(refused)
        self._scanned = max(0, len(buffer) - 3)  # CRLFCR may be there
        return NEED_DATA

    def _check_beginning(self, head: bytes) -> None:
        seen = self._scanned
        check_line_ends(head, seen)
        line_end = head.find(b"\r\n")
        if line_end < 0:
            if _NOT_IN_LINE.search(head, seen):
                raise _unreadable(head[0])
            if len(head) > self._limits.target_bytes + _LINE_FRAMING:
                raise too_long(self._limits)
            return
        if line_end + 2 >= seen:  # it has just come
            read_first_line(head[:line_end], self._limits)
        if len(head) - line_end - 3 > self._limits.header_bytes:
            raise too_many(self._limits)

    # Bodies

    def _read_body(self) -> bytes | End | Signal:
        try:
            event = self._body.read(self._buffer)
        except Refused as refused:
            refused.method = self._method
            self._refuse(refused)
        if event is None:
            if self._ended:
                self._refuse(
                    Refused(400, "the connection ended within a body", self._method)
                )
            return NEED_DATA
        if isinstance(event, End):
            self._end_request()
        return event

    # Ends

    def _end_request(self) -> None:
        if self._keep_alive:
            self._next = Parser._read_head
            self.state = "head" if len(self._buffer) else "idle"
        else:
            self._close()

    def _close(self) -> Signal:
        self._buffer = Buffer()
        self.state = "closed"
        self._next = Parser._stay_closed
        return CLOSED

    def _stay_closed(self) -> Signal:
        return CLOSED

    def _refuse(self, refusal: Refused) -> NoReturn:
        self._close()
        self._refusal = refusal.status, refusal.detail, refusal.method
        self._next = Parser._stay_refused
        try:
            raise refusal
        finally:
            del refusal  # or its traceback would hold it, and it the parser

    def _stay_refused(self) -> NoReturn:
        raise Refused(*self._refusal)


def _unreadable(first: int) -> Refused:
    if first == _TLS_HANDSHAKE:
        return Refused(400, "this looks like TLS, and here is plain HTTP")
    return Refused(400, "a request line has printable ASCII characters only")
