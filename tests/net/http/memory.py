"""A server in memory, requests as bytes, and responses as a client sees them."""

from __future__ import annotations

import http.client
import io
from contextlib import asynccontextmanager

import anyio
import attrs

from csp.net.http import Limits, Server
from csp.net.http.testing import pipe

KERNEL = 65536
BRIEF = Limits(linger=0.01)  # uvloop has no virtual clock


def pair(capacity=KERNEL):
    """Return both ends of a connection: the server's and the client's."""
    client, conn = pipe(capacity=capacity, local="127.0.0.1:999")
    return conn, client


async def receive_all(conn):
    """Return what comes until the other side closes; or breaks, which is shown."""
    data = b""
    try:
        async for piece in conn:
            data += piece
    except anyio.BrokenResourceError:
        data += b"[reset]"
    return data


async def receive_until(conn, end):
    """Return what comes up to some bytes."""
    data = b""
    while end not in data:
        data += await conn.receive()
    return data


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
        return await receive_all(client)


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
