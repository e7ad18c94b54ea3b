"""Connections in memory, on any event loop and on virtual time; and what HTTP needs.

A pipe holds so many bytes and no more, as a kernel does: so backpressure is seen, and
a connection that is closed with something unread in it is broken for the other side.
"""

from __future__ import annotations

import http.client
import io
import math
from contextlib import asynccontextmanager

import anyio
import attrs

from csp.net import Connection
from csp.net.http import Limits, Server

KERNEL = 65536
BRIEF = Limits(linger=0.01)  # uvloop has no virtual clock


class Pipe:
    """Bytes on their way in one direction."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.data = bytearray()
        self.ended = False  # the sender sends no more
        self.broken = False  # the receiver is gone, or the sender was reset
        self.changed = anyio.Event()

    def touch(self):
        self.changed.set()
        self.changed = anyio.Event()


class Memory(Connection):
    """One end of a connection in memory."""

    unsent = 0

    def __init__(self, incoming, outgoing, local, peer):
        self.incoming, self.outgoing = incoming, outgoing
        self.local, self.peer = local, peer
        self.bytes_received = self.bytes_sent = 0
        self.closed = False
        self._deadlines = {"read": math.inf, "write": math.inf}
        self._scopes = {}
        self._error = None

    def _set_deadline(self, which, when):
        self._deadlines[which] = when
        if which in self._scopes:
            self._scopes[which].deadline = when

    read_deadline = property(
        lambda self: self._deadlines["read"],
        lambda self, when: self._set_deadline("read", when),
    )
    write_deadline = property(
        lambda self: self._deadlines["write"],
        lambda self, when: self._set_deadline("write", when),
    )

    async def _wait(self, which, pipe):
        with anyio.CancelScope(deadline=self._deadlines[which]) as scope:
            self._scopes[which] = scope
            try:
                await pipe.changed.wait()
            finally:
                del self._scopes[which]
        if scope.cancelled_caught and self._deadlines[which] <= anyio.current_time():
            self._error = TimeoutError(f"{which}_deadline passed")
            raise self._error

    def _check(self, broken):
        if self.closed:
            raise anyio.ClosedResourceError
        if broken:
            self._error = anyio.BrokenResourceError("it was reset")
            raise self._error

    async def receive(self, max_bytes=KERNEL):
        if "read" in self._scopes:
            raise anyio.BusyResourceError("receiving from")
        pipe = self.incoming
        while not pipe.data:
            self._check(pipe.broken)
            if pipe.ended:
                raise anyio.EndOfStream
            await self._wait("read", pipe)
        self._check(broken=False)
        data = bytes(pipe.data[:max_bytes])
        del pipe.data[:max_bytes]
        self.bytes_received += len(data)
        pipe.touch()
        return data

    async def send(self, item):
        if "write" in self._scopes:
            raise anyio.BusyResourceError("sending to")
        pipe, rest = self.outgoing, memoryview(bytes(item))
        try:
            while True:
                self._check(pipe.broken)
                if pipe.ended:
                    raise anyio.ClosedResourceError
                room = pipe.capacity - len(pipe.data)
                pipe.data += rest[:room]
                self.bytes_sent += min(room, len(rest))
                rest = rest[room:]
                pipe.touch()
                if not rest:
                    return
                self.unsent = len(rest)
                await self._wait("write", pipe)
        finally:
            self.unsent = 0

    async def send_eof(self):
        self._check(self.outgoing.broken)
        self.outgoing.ended = True
        self.outgoing.touch()

    def raised(self, error):
        return error is self._error

    def close(self):
        """Close; with something unread in it, that is a reset."""
        if self.closed:
            return
        self.closed = self.outgoing.ended = True
        if self.incoming.data:
            self.outgoing.broken = True
            self.outgoing.data.clear()
        self.incoming.broken = True
        self.incoming.touch()
        self.outgoing.touch()

    def reset(self):
        """Break it off, as a crash does."""
        self.incoming.data += b"unread"
        self.close()

    async def receive_all(self):
        """Return what comes until the other side closes; or breaks, which is shown."""
        data = b""
        try:
            async for piece in self:
                data += piece
        except anyio.BrokenResourceError:
            data += b"[reset]"
        return data

    async def receive_until(self, end):
        """Return what comes up to some bytes."""
        data = b""
        while end not in data:
            data += await self.receive()
        return data


def pair(capacity=KERNEL):
    """Return both ends of a connection: the server's and the client's."""
    up, down = Pipe(capacity), Pipe(capacity)
    return (
        Memory(up, down, "127.0.0.1:80", "127.0.0.1:999"),
        Memory(down, up, "127.0.0.1:999", "127.0.0.1:80"),
    )


@asynccontextmanager
async def served(handler, *, capacity=KERNEL, limits=BRIEF):
    """Serve one connection while the block runs; gives the client's end of it."""
    server = handler if isinstance(handler, Server) else Server(handler, limits=limits)
    conn, client = pair(capacity)
    async with server.open(), anyio.create_task_group() as tasks:
        tasks.start_soon(server.handle, conn)
        yield client
        client.close()


async def talk(handler, *pieces, half_close=True, **options):
    """Send some bytes to a handler; returns all that comes back."""
    async with served(handler, **options) as client, anyio.create_task_group() as tasks:

        async def send():
            try:
                for piece in pieces:
                    await client.send(piece)
                if half_close:
                    await client.send_eof()
            except anyio.BrokenResourceError:
                pass

        tasks.start_soon(send)
        return await client.receive_all()


# Messages


def get(target="/", *fields, version="1.1", method="GET", body=b""):
    """Return a request as bytes."""
    lines = [f"{method} {target} HTTP/{version}", "Host: x", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def post(body, *fields, target="/", version="1.1"):
    """Return a request with a body as bytes: of known length, or a list in chunks."""
    if isinstance(body, list):
        fields += ("Transfer-Encoding: chunked",)
        chunks = [*filter(None, body), b""]
        body = b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data in chunks)
    elif not any("ontent-" in field for field in fields):
        fields += (f"Content-Length: {len(body)}",)
    return get(target, *fields, version=version, method="POST", body=body)


@attrs.frozen
class Answer:
    """A response as a client sees it."""

    status: int
    headers: http.client.HTTPMessage = attrs.field(repr=False)
    body: bytes
    whole: bool

    @property
    def closing(self):
        return self.headers.get("connection", "").lower() == "close"


class _Data(io.BytesIO):
    def makefile(self, _):
        return self

    def close(self):
        pass


def parse(data, *methods):
    """Return the responses that some bytes are, to requests of such methods or GET."""
    stream, answers = _Data(data), []
    while stream.tell() < len(data):
        method = methods[len(answers)] if len(answers) < len(methods) else "GET"
        response = http.client.HTTPResponse(stream, method=method)
        response.begin()
        try:
            body, whole = response.read(), True
        except http.client.IncompleteRead as error:
            body, whole = error.partial, False
        answers.append(Answer(response.status, response.headers, body, whole))
    return answers


async def ask(handler, *pieces, methods=(), **options):
    """Do as `talk`, and parse what comes back."""
    return parse(await talk(handler, *pieces, **options), *methods)


def logged(caplog, above=0):
    """Return what we have logged; asyncio may still complain of an earlier test."""
    return [r for r in caplog.records if r.name.startswith("csp") and r.levelno > above]
