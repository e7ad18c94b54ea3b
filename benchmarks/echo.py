"""What it costs to give back a small message: python -m benchmarks.echo."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from time import process_time
from typing import Any, TypeAlias

import anyio
from anyio.abc import ByteStream, SocketAttribute

from csp.net import Connection, listen

from ._command import main
from ._harness import Case, Contender, Suite, on
from ._peers import loops

OURS = "csp.net"
ANYIO = "anyio"
STREAMS = "asyncio streams"
PROTOCOL = "a bare asyncio.Protocol"
TRIO = "trio"

HOST = "127.0.0.1"

NOTES = """
What is measured is the processor time of the server's process, its system calls
included; the client is another process.
"""

# Runs an echo server meanwhile, and gives its port.
Server: TypeAlias = Callable[[], AbstractAsyncContextManager[int]]


async def echo(stream: Connection | ByteStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data)


@asynccontextmanager
async def ours() -> AsyncIterator[int]:
    async with await listen(f"{HOST}:0") as listener, anyio.create_task_group() as g:
        g.start_soon(listener.serve, echo)
        yield int(listener.address.rpartition(":")[2])
        g.cancel_scope.cancel()


@asynccontextmanager
async def anyios() -> AsyncIterator[int]:
    listener = await anyio.create_tcp_listener(local_host=HOST)
    async with listener, anyio.create_task_group() as g:
        g.start_soon(listener.serve, echo)
        yield listener.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's
        g.cancel_scope.cancel()


@asynccontextmanager
async def streams() -> AsyncIterator[int]:
    async def handle(reader: Any, writer: Any) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


class Echo(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.write = transport.write

    def data_received(self, data: bytes) -> None:
        self.write(data)


@asynccontextmanager
async def protocol() -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Echo, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def trios() -> AsyncIterator[int]:
    import trio

    async def handle(stream: Any) -> None:
        async for data in stream:
            await stream.send_all(data)

    listeners = await trio.open_tcp_listeners(0, host=HOST)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@cache
def client() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"{__package__}._pinger"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)  # noqa: S603


def ping(port: int, connections: int, messages: int) -> float:
    """Have the client do it; returns the processor time that the server took."""
    process = client()
    assert process.stdin is not None
    assert process.stdout is not None
    started = process_time()
    print(port, connections, messages, file=process.stdin, flush=True)
    process.stdout.readline()
    return process_time() - started


def serving(server: Server, connections: int) -> Callable[[int], Awaitable[float]]:
    async def work(messages: int) -> float:
        async with server() as port:
            return await anyio.to_thread.run_sync(ping, port, connections, messages)

    return work


SERVERS: dict[str, tuple[Server, set[str]]] = {
    OURS: (ours, {"asyncio", "uvloop", "trio"}),
    ANYIO: (anyios, {"asyncio", "uvloop", "trio"}),
    STREAMS: (streams, {"asyncio", "uvloop"}),
    PROTOCOL: (protocol, {"asyncio", "uvloop"}),
    TRIO: (trios, {"trio"}),
}


def case(title: str, connections: int) -> Case:
    contenders = [
        Contender(name, loop, on(loop, serving(server, connections)))
        for loop in loops()
        for name, (server, runs_on) in SERVERS.items()
        if loop in runs_on
    ]
    return Case(title, contenders, per="message")


def suite() -> Suite:
    cases = [case("echo, 1 connection", 1), case("echo, 64 connections", 64)]
    return Suite("echo", cases, NOTES)


if __name__ == "__main__":
    main(suite)
