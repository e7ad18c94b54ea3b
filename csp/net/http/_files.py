"""Answering with a file, or with parts of it.

Files are opened and read in threads.  A small one is read by the call that opens it. Of
a large one that call learns only what the header has to say, and it is opened again by
the call that reads the first piece.  So a response holds no descriptor until it is
being sent, and one that is never sent has nothing to close.

It is sent as long as it was at first.  If it shrinks meanwhile, the response is cut,
which the client can see; what is appended to it is not sent.
"""

from __future__ import annotations

import errno
import mimetypes
import os
import stat
from contextlib import AbstractAsyncContextManager
from io import FileIO
from secrets import token_hex
from threading import Lock
from time import time
from typing import NamedTuple, Self

from anyio import to_thread

from ._conditions import check, still_valid
from ._errors import Forbidden, NotFound, RangeNotSatisfiable, ServiceUnavailable
from ._headers import Headers, HeadersLike
from ._message import Request, Response
from ._ranges import Part, parse_ranges
from .wire import http_date

_PIECE = 256 * 1024
_SMALL = 64 * 1024

# Opening a pipe would wait for somebody to write into it, a terminal might become ours.
_HARMLESS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_ABSENT = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.ENXIO, errno.ENODEV),  # sockets, and devices without a driver
}

Pieces = list[tuple[bytes, Part]]  # parts of a file, each with what comes before it


async def file(
    request: Request,
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    *,
    content_type: str | None = None,
    headers: HeadersLike = None,
) -> Response:
    """Answer with a file: whole, in parts, or not at all if the client has it.

        async def handler(request: Request) -> Response:
            return await file(request, "report.pdf")

    Heeds `Range`, `If-Range`, `If-Match`, `If-None-Match`, `If-Modified-Since` and
    `If-Unmodified-Since`; the validators are the file's time and size, or an `ETag`
    among `headers`.  The path is taken as it is: one that is made of what a client has
    sent needs to be checked before.

    Args:
        request: The request to answer.
        path: Where the file is.
        content_type: What it is; by default as its name tells.
        headers: More header fields.

    Raises:
        NotFound: There is no such file, or it is a directory or a device.
        Forbidden: It may not be read.
        PreconditionFailed, RangeNotSatisfiable: As the fields above ask for.
        OSError: It cannot be read at all, or there are too many open files.
    """
    found = await to_thread.run_sync(_look, os.fspath(path))
    fields = Headers(headers)
    etag = fields.setdefault("ETag", found.etag)
    fields["Last-Modified"] = http_date(min(found.modified, time())).decode()
    fields["Accept-Ranges"] = "bytes"
    if not check(request.headers, request.method, etag, found.modified):
        return Response(304, b"", fields)
    fields.setdefault("Content-Type", content_type or found.content_type)
    parts = _parts(request, etag, found)
    if parts is None:
        pieces = [(b"", Part(0, found.size))]
    elif not parts:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{found.size}"})
    elif len(parts) == 1:
        fields["Content-Range"] = parts[0].field(found.size)
        pieces = [(b"", parts[0])]
    else:
        pieces = _multipart(parts, found.size, fields)
    length = sum(len(before) + part.length for before, part in pieces)
    fields["Content-Length"] = str(length)
    response = Response(200 if parts is None else 206, b"", fields)
    if request.method != "HEAD":
        response.body = found.body(pieces)
    return response


class _Found(NamedTuple):
    """What was seen of a file."""

    path: str | bytes
    identity: tuple[int, int]
    size: int
    modified: int
    etag: str
    content_type: str
    data: bytes | None  # all of it, if it is small

    def body(self, pieces: Pieces) -> bytes | _Sending:
        data = self.data
        if data is None:
            return _Sending(self, pieces)
        return b"".join(
            before + data[part.start : part.start + part.length]
            for before, part in pieces
        )


def _look(path: str | bytes) -> _Found:
    """Return what there is to see of a file; in a thread."""
    with _open(path) as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotFound
        size = status.st_size
        data = opened.read(size) if size <= _SMALL else None
    if data is not None:
        size = len(data)  # less, if it has just shrunk
    return _Found(
        path,
        (status.st_dev, status.st_ino),
        size,
        int(status.st_mtime),
        f'"{status.st_mtime_ns:x}-{size:x}"',
        _guess(path),
        data,
    )


def _open(path: str | bytes) -> FileIO:
    try:
        return open(path, "rb", buffering=0, opener=_open_harmlessly)
    except ValueError:  # a NUL, or what is no name in this file system's encoding
        raise NotFound from None
    except PermissionError:
        raise Forbidden from None
    except OSError as error:
        if error.errno in _ABSENT:
            raise NotFound from None
        raise


def _open_harmlessly(path: str, flags: int) -> int:
    return os.open(path, flags | _HARMLESS)


def _guess(path: str | bytes) -> str:
    # Only the ending, as mimetypes takes the rest for a URL.
    ending = os.path.splitext(os.fsdecode(path))[1]
    kind, encoding = mimetypes.guess_type("file" + ending)
    if kind is None or encoding is not None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _parts(request: Request, etag: str, found: _Found) -> list[Part] | None:
    """Return the parts that the client wants; None if it is to have all."""
    ranges = request.headers.get_all("range")
    if not ranges or request.method != "GET":
        return None
    if not still_valid(request.headers, etag, found.modified):
        return None
    return parse_ranges(", ".join(ranges), found.size)


def _multipart(parts: list[Part], size: int, fields: Headers) -> Pieces:
    """Return the parts with what stands between them: RFC 9110, section 14.6."""
    boundary = token_hex(16)
    content_type = fields["Content-Type"]
    if not content_type.isprintable():
        raise ValueError(f"{content_type!r} cannot be a Content-Type")
    fields["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    pieces = [
        (
            f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
            f"Content-Range: {part.field(size)}\r\n\r\n".encode("latin-1"),
            part,
        )
        for part in parts
    ]
    return [*pieces, (f"\r\n--{boundary}--\r\n".encode(), Part(0, 0))]


class _Sending(AbstractAsyncContextManager["_Sending"]):
    """The block in which pieces of a file are read.

    A task that is cancelled by asyncio itself does not wait for the thread that works
    for it.  So if a thread is reading when the block ends, it is the thread that closes
    the file: who has the lock does.
    """

    def __init__(self, found: _Found, pieces: Pieces) -> None:
        self._found = found
        self._pieces = [*reversed(pieces)]
        self._file: FileIO | None = None
        self._lock = Lock()
        self._ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        before, (start, length) = self._pieces.pop()
        if length > _PIECE:
            rest = Part(start + _PIECE, length - _PIECE)
            self._pieces.append((b"", rest))
            length = _PIECE
        if not length:
            return before
        return before + await to_thread.run_sync(self._read, start, length)

    def _read(self, start: int, length: int) -> bytes:
        """Return some bytes of the file; in a thread."""
        try:
            with self._lock:
                if self._file is None:
                    self._file = self._open_again()
                self._file.seek(start)
                data = self._file.read(length)
        finally:
            if self._ended:
                self._close()
        if len(data) < length:
            raise EOFError(f"{self._found.path!r} has shrunk while it was being sent")
        return data

    def _open_again(self) -> FileIO:
        opened = _open(self._found.path)
        status = os.fstat(opened.fileno())
        if (status.st_dev, status.st_ino) == self._found.identity:
            return opened
        opened.close()
        raise ServiceUnavailable("it has just been replaced", {"Retry-After": "0"})

    def _close(self) -> None:
        self._ended = True
        if self._lock.acquire(blocking=False):
            if self._file is not None:
                self._file.close()
            self._lock.release()
