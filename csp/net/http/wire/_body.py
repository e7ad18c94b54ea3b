"""The bodies of requests: of a known length, or in chunks.

Each reads from the buffer what it can: a piece of the body, or its End, or None if that
takes more data.  A piece that is all of what was received is not copied.

Chunks are read here and not by llhttp, because llhttp does not tell where in the data a
message ends, goes on to what follows, and has no limits.  The grammar is RFC 9112 7.1
without its exceptions: hexadecimal digits, extensions, CRLF.  There is no white space
around the size, no LF alone, no CRLF in a quoted string, and no chunk without its CRLF.

What chunks cost beside their data is limited in Go's way: for each, 16 bytes are free
and twice as many as it has data, and what goes beyond adds up, to 16 KiB at most.  So
nobody can keep a server busy with extensions that carry no data.
"""

from __future__ import annotations

import re

from csp.net.http._headers import Headers

from ._events import End, Limits, Refused
from ._grammar import NOT_IN_TRAILERS, TOKEN_CHARS
from ._head import read_fields, too_large, too_many

_NAME = TOKEN_CHARS + rb"++"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:;%b(?:=(?:%b|%b))?)*+\r\n" % (_NAME, _NAME, _QUOTED)
)
_SIZE_LINE_BYTES = 4_096
_FREE_BYTES = 16
_EXCESS_BYTES = 16_384

# A line ends with CRLF, and these characters are nowhere else.
_STRAY = re.compile(rb"\r[^\n]|(?<!\r)\n")


def check_line_ends(lines: bytes, seen: int = 0) -> None:
    """Raise Refused if there is a CR or LF without the other, from `seen` on."""
    if _STRAY.search(lines, seen):
        raise Refused(400, "lines must end with CRLF, and have no CR or LF elsewhere")


class Buffer:
    """Data that was received, and has not been read from `at` on."""

    __slots__ = ("at", "data")

    def __init__(self) -> None:
        self.data = b""
        self.at = 0

    def __len__(self) -> int:
        return len(self.data) - self.at

    def feed(self, data: bytes) -> None:
        """Add data; without a copy if all there was has been read."""
        left = len(self.data) - self.at
        self.data = self.data[self.at :] + data if left else data
        self.at = 0

    def take(self, count: int) -> bytes:
        """Read at most so many bytes."""
        data, at = self.data, self.at
        if len(data) - at <= count:
            self.data, self.at = b"", 0
            return data[at:]  # which is `data`, if `at` is 0
        self.at = at + count
        return data[at : at + count]


class Sized:
    """A body of a length that the head has told."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    def read(self, buffer: Buffer) -> bytes | End | None:
        if not self._left:
            return End()
        piece = buffer.take(self._left)
        self._left -= len(piece)
        return piece or None


class Chunked:
    """A body in chunks, and the trailers after it."""

    __slots__ = (
        "_ended",
        "_excess",
        "_in_chunk",
        "_left",
        "_limits",
        "_seen",
        "_total",
    )

    _in_chunk: bool  # from a chunk's size line to the CRLF after its data
    _left: int  # how much of the chunk's data is still to come
    _ended: bool  # the last chunk has been read
    _excess: int  # the bytes for framing, above what is free
    _seen: int  # how much of what is incomplete has no end, and no wrong one

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._in_chunk = self._ended = False
        self._left = self._excess = self._seen = self._total = 0

    def read(self, buffer: Buffer) -> bytes | End | None:
        if self._in_chunk and not self._left and not self._end_chunk(buffer):
            return None
        if not self._in_chunk and not self._ended and not self._begin_chunk(buffer):
            return None
        if self._ended:
            return self._read_trailers(buffer)
        piece = buffer.take(self._left)
        self._left -= len(piece)
        return piece or None

    def _begin_chunk(self, buffer: Buffer) -> bool:
        data, at = buffer.data, buffer.at
        end = data.find(b"\n", at, at + _SIZE_LINE_BYTES) + 1
        if not end:
            if len(buffer) >= _SIZE_LINE_BYTES:
                raise Refused(400, "the line of a chunk's size is too long")
            self._wait(data[at:])
            return False
        line = _SIZE_LINE.fullmatch(data, at, end)
        if not line:
            shown = data[at : min(end, at + 80)].decode("latin-1")
            raise Refused(400, f"a chunk cannot begin with {shown!r}")
        buffer.at = end
        self._seen = 0
        self._count(end - at, int(line[1], 16))
        return True

    def _wait(self, lines: bytes) -> None:
        """Check what there is of a line or the trailers, each byte of it once."""
        check_line_ends(lines, self._seen)
        self._seen = max(0, len(lines) - 3)  # CRLFCR may be there

    def _count(self, overhead: int, size: int) -> None:
        self._total += size
        if self._total > self._limits.body_bytes:
            raise too_large(self._limits)
        free = _FREE_BYTES + 2 * size
        self._excess = max(0, self._excess + overhead - free)
        if self._excess > _EXCESS_BYTES:
            raise Refused(400, "the chunks hold too little for their framing")
        self._left = size
        self._in_chunk = size > 0
        self._ended = not size

    def _end_chunk(self, buffer: Buffer) -> bool:
        data, at = buffer.data, buffer.at
        if data.startswith(b"\r\n", at):
            buffer.at = at + 2
            self._in_chunk = False
            return True
        if data[at:] in (b"", b"\r"):
            return False
        raise Refused(400, "a chunk is longer than its size says")

    def _read_trailers(self, buffer: Buffer) -> End | None:
        data, at = buffer.data, buffer.at
        if data.startswith(b"\r\n", at):
            buffer.at = at + 2
            return End()
        end = data.find(b"\r\n\r\n", at + self._seen) + 4
        if end < 4:  # noqa: PLR2004
            if len(buffer) > self._limits.header_bytes + 1:
                raise too_many(self._limits)
            self._wait(data[at:])
            return None
        raw = read_fields(data[at:end])
        if (
            len(raw) > self._limits.header_count
            or end - at - 2 > self._limits.header_bytes
        ):
            raise too_many(self._limits)
        buffer.at = end
        for name, _ in raw:
            if name.lower() in NOT_IN_TRAILERS:
                raise Refused(400, f"{name.decode()} cannot be a trailer")
        return End(Headers.from_raw(raw))
