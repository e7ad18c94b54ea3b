"""Serving: slots, contained errors, background tasks, and a stop that loses none."""

from __future__ import annotations

import logging
import socket
import struct

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute

from csp import DrainReport, Group, go, request_stop, stop_scope, stopping
from csp.net._connection import Connection
from csp.net._dial import dial
from csp.net._listener import listen
from csp.net._serve import Limits, serve

pytestmark = pytest.mark.anyio


async def echo(conn: Connection) -> None:
    async for data in conn:
        await conn.send(data)


class Serving:
    """A server in a stop scope, in a block that ends by stopping it."""

    def __init__(self, handler, *where, scope_grace=25.0, **options):
        self._arguments = handler, *(where or ("127.0.0.1:0",))
        self._options = options
        self._scope = stop_scope(scope_grace)
        self._group = Group()
        self.report = None
        self.ended = anyio.Event()

    async def __aenter__(self):
        self.stop = await self._scope.__aenter__()
        await self._group.__aenter__()
        self.addresses = await self._group.start(self._serve)
        self.address = self.addresses[0]
        return self

    async def _serve(self, *, task_status):
        self.report = await serve(
            *self._arguments, **self._options, task_status=task_status
        )
        self.ended.set()

    async def __aexit__(self, *exc):
        self.stop.request()
        try:
            await self._group.__aexit__(*exc)
        finally:
            await self._scope.__aexit__(*exc)


async def exchange(address, data=b"hello"):
    """Send something to an echo, and see it come back."""
    async with await dial(address) as conn:
        await conn.send(data)
        received = b""
        while len(received) < len(data):
            received += await conn.receive()
        assert received == data
        await conn.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await conn.receive()


async def test_every_connection_has_a_task(tmp_path):
    """At several addresses, given or opened; `start` returns them."""
    listener = await listen("127.0.0.1:0")
    path = f"unix:{tmp_path}/x"
    async with Serving(echo, "127.0.0.1:0", path, listener) as server:
        assert server.addresses[1:] == (path, listener.address)
        async with anyio.create_task_group() as tasks:
            for address in server.addresses * 3:
                tasks.start_soon(exchange, address)
    assert server.report == DrainReport(0, 0, 0, (), server.report.seconds)
    for address in server.addresses:
        with pytest.raises(OSError, match="cannot connect"):
            await dial(address)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((), ValueError, "needs an address"),
        (("nowhere",), ValueError, "'nowhere' is no address"),
        (("127.0.0.1:0", "203.0.113.1:1"), OSError, "cannot listen on 203.0.113.1:1"),
    ],
)
async def test_what_cannot_be_listened_at_is_said_at_once(arguments, error, text):
    """And what was opened before is closed."""
    with pytest.raises(error, match=text):
        await serve(echo, *arguments)


async def test_a_listener_is_closed_though_another_cannot_be_opened():
    """It was the server's to close."""
    listener = await listen("127.0.0.1:0")
    with pytest.raises(ValueError, match="nowhere"):
        await serve(echo, "nowhere", listener)
    assert listener.fileno() == -1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"connections": 0}, ValueError),
        ({"connections": "9"}, TypeError),
        ({"handshake_timeout": -1.0}, ValueError),
    ],
)
def test_limits_are_positive_numbers(options, error):
    """The error names the limit and the value."""
    (name, value), *_ = options.items()
    with pytest.raises(error, match=f"{name} must be .* not {value!r}"):
        Limits(**options)


async def test_more_connections_wait_in_the_kernel():
    """With every slot in use nobody is accepted, nor refused."""
    running = 0
    most = 0

    async def handler(conn):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await echo(conn)
        running -= 1

    limits = Limits(connections=2)
    async with Serving(handler, "127.0.0.1:0", "127.0.0.1:0", limits=limits) as server:
        first = [await dial(server.addresses[n]) for n in (0, 1)]
        for conn in first:
            await conn.send(b"x")
            assert await conn.receive() == b"x"
        third = await dial(server.address)
        await third.send(b"y")
        await anyio.wait_all_tasks_blocked()
        assert running == 2
        first[0].close()
        assert await third.receive() == b"y"
        first[1].close()
        third.close()
    assert most == 2


async def test_an_idle_listener_keeps_no_slot_from_another():
    """One slot serves any number of addresses."""
    limits = Limits(connections=1)
    async with Serving(echo, *["127.0.0.1:0"] * 3, limits=limits) as server:
        for address in server.addresses * 2:
            await exchange(address)


async def test_an_error_is_logged_once_and_contained(caplog):
    """With the peer's address and the traceback; others go on."""

    async def handler(conn):
        if await conn.receive() == b"bad":
            raise KeyError("oops")
        await conn.send(b"good")

    async with Serving(handler) as server, await dial(server.address) as good:
        async with await dial(server.address) as bad:
            await bad.send(b"bad")
            with pytest.raises(anyio.EndOfStream):
                await bad.receive()
        await good.send(b"good")
        assert await good.receive() == b"good"
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.name == "csp.net"
    assert bad.local in record.getMessage()
    assert record.exc_info[0] is KeyError
    assert server.report.cut == 0


async def test_a_handler_that_is_not_async_is_told(caplog):
    """By a sentence with its name."""
    async with Serving(print) as server, await dial(server.address) as conn:
        with pytest.raises(anyio.EndOfStream):
            await conn.receive()
    assert "serve takes an async function; print" in caplog.text
    with pytest.raises(TypeError, match="serve takes an async function"):
        await serve(None, "127.0.0.1:0")


@pytest.mark.parametrize("nested", [False, True])
async def test_a_peer_that_breaks_off_is_no_error(caplog, nested):
    """It is one line of information, without a traceback; so is a deadline."""

    async def handler(conn):
        conn.read_deadline = anyio.current_time() + 0.05
        if nested:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(echo, conn)
        else:
            await echo(conn)

    with caplog.at_level(logging.INFO, "csp.net"):
        async with Serving(handler) as server:
            conn = await dial(server.address)
            await conn.send(b"x")
            assert await conn.receive() == b"x"
            abort = struct.pack("ii", 1, 0)
            sock = conn.extra(SocketAttribute.raw_socket)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort)
            conn.close()
            async with await dial(server.address) as late:
                with pytest.raises(anyio.EndOfStream):
                    await late.receive()
    records = [r for r in caplog.records if "connection from" in r.getMessage()]
    assert [r.levelname for r in records] == ["INFO", "INFO"]
    assert not any(r.exc_info for r in caplog.records)


async def test_a_connection_is_closed_with_its_handler():
    """Whatever the handler forgot."""

    async def handler(conn):
        await conn.send(b"bye")

    async with Serving(handler) as server, await dial(server.address) as conn:
        assert await conn.receive() == b"bye"
        with pytest.raises(anyio.EndOfStream):
            await conn.receive()


async def test_go_in_a_handler_outlives_it_and_is_waited_for(caplog):
    """Also its errors are contained; the report counts it."""
    ended = anyio.Event()
    release = anyio.Event()

    async def background():
        await release.wait()
        ended.set()

    async def bad():
        raise KeyError("oops")

    async def handler(conn):
        go(background)
        go(bad, name="a bad task")
        await conn.send(b"bye")

    async with Serving(handler) as server:
        async with await dial(server.address) as conn:
            assert await conn.receive() == b"bye"
            with pytest.raises(anyio.EndOfStream):
                await conn.receive()
        await anyio.wait_all_tasks_blocked()
        server.stop.request()
        await anyio.wait_all_tasks_blocked()
        assert server.report is None
        release.set()
    assert ended.is_set()
    assert server.report.finished == 1
    assert "a bad task failed" in caplog.text


async def test_what_is_queued_at_the_stop_is_served():
    """Even if it came while the loop was busy, and there is one slot."""
    listener = await listen("127.0.0.1:0")
    host, _, port = listener.address.rpartition(":")
    limits = Limits(connections=1)
    async with Serving(echo, listener, limits=limits) as server:
        await exchange(server.address)
        clients = []
        for number in range(20):  # and no turn of the loop in between
            sock = socket.create_connection((host, int(port)))
            sock.sendall(b"%d" % number)
            sock.shutdown(socket.SHUT_WR)
            clients.append(sock)
        server.stop.request()
    for number, sock in enumerate(clients):
        with sock:
            assert sock.recv(9) == b"%d" % number
            assert sock.recv(9) == b""
    assert server.report.finished > 0
    assert server.report.cut == 0


@pytest.mark.parametrize("turn", range(8))
async def test_a_stop_at_any_turn_loses_no_connection(turn):
    """Cancelling the wait for connections loses none."""
    listener = await listen("127.0.0.1:0")
    host, _, port = listener.address.rpartition(":")
    async with Serving(echo, listener) as server:
        await anyio.wait_all_tasks_blocked()
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(b"hello")
            sock.shutdown(socket.SHUT_WR)
            for _ in range(turn):
                await anyio.lowlevel.checkpoint()
            server.stop.request()
            await anyio.wait_all_tasks_blocked()
            assert sock.recv(9) == b"hello"
    assert server.report.cut == 0


async def test_handlers_hear_of_the_stop():
    """And end in their own way; nobody is accepted any more."""

    async def handler(conn):
        await stopping()
        await conn.send(b"bye")

    async with Serving(handler) as server, await dial(server.address) as conn:
        await anyio.wait_all_tasks_blocked()
        server.stop.request()
        assert await conn.receive() == b"bye"
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(OSError, match="cannot connect"):
            await dial(server.address)
    assert (server.report.finished, server.report.cut) == (1, 0)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [({"grace": 0.05}, 0.05), ({"scope_grace": 2.05}, 0.05), ({"grace": 0.0}, 0.0)],
)
async def test_who_does_not_end_is_cut_and_named(options, seconds):
    """At `grace`, or two seconds before the scope does it."""
    cleaned = []

    async def handler(conn):
        try:
            await conn.receive()
        finally:
            cleaned.append(conn.peer)

    async with Serving(handler, **options) as server:
        conn = await dial(server.address)
        await anyio.wait_all_tasks_blocked()
        server.stop.request()
        with pytest.raises(anyio.EndOfStream):
            await conn.receive()
        conn.close()
    assert cleaned == [conn.local]
    assert server.report.cut_names == (f"connection from {conn.local}",)
    assert server.report.cut == 1
    assert seconds - 0.01 <= server.report.seconds < seconds + 1


async def test_queued_connections_are_given_up_at_the_cut():
    """When all slots are in use until then."""
    limits = Limits(connections=1)
    async with (
        Serving(echo, limits=limits, grace=0.05) as server,
        await dial(server.address) as one,
    ):
        await one.send(b"x")
        assert await one.receive() == b"x"
        async with await dial(server.address) as other:
            server.stop.request()
            with pytest.raises(anyio.EndOfStream):
                await one.receive()
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await other.receive()
    assert server.report.cut == 1


async def test_cancelling_ends_all_at_once():
    """Without a stop scope too."""
    async with anyio.create_task_group() as tasks:
        (address,) = await tasks.start(serve, echo, "127.0.0.1:0")
        async with await dial(address) as conn:
            await conn.send(b"x")
            assert await conn.receive() == b"x"
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                with pytest.raises(anyio.EndOfStream):
                    await conn.receive()


async def test_closing_the_listeners_stops_the_server():
    """As in Go; connections are finished."""
    listener = await listen("127.0.0.1:0")
    async with Serving(echo, listener) as server:
        async with await dial(server.address) as conn:
            await conn.send(b"x")
            assert await conn.receive() == b"x"
            listener.close()
            await conn.send(b"y")
            assert await conn.receive() == b"y"
        await server.ended.wait()


async def test_a_handler_can_stop_the_server():
    """By `csp.request_stop`."""

    async def handler(conn):
        request_stop()

    async with stop_scope(), anyio.create_task_group() as tasks:
        (address,) = await tasks.start(serve, handler, "127.0.0.1:0")
        async with await dial(address) as conn:
            with pytest.raises(anyio.EndOfStream):
                await conn.receive()


async def test_the_group_around_is_not_the_servers():
    """What the caller starts next to it belongs to the caller."""
    ran = anyio.Event()

    async def task():
        ran.set()

    async with stop_scope() as stop, Group():

        async def body(conn):
            stop.request()

        async def knock(address):
            async with await dial(address) as conn:
                with pytest.raises(anyio.EndOfStream):
                    await conn.receive()

        listener = await listen("127.0.0.1:0")
        go(knock, listener.address)
        await serve(body, listener)
        go(task)
        await ran.wait()


async def test_handshakes_are_bounded_in_time(tmp_path, caplog):
    """A silent client is dropped, quietly, and holds up nobody."""
    trustme = pytest.importorskip("trustme")
    import ssl

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    limits = Limits(handshake_timeout=0.5)
    with caplog.at_level(logging.INFO, "csp.net"):
        async with (
            Serving(echo, tls=context, limits=limits) as server,
            await dial(server.address) as silent,
            await dial(server.address) as junk,
        ):
            await silent.send(b"\x16\x03\x01")
            await junk.send(b"junk" * 100)
            async with await dial(server.address, tls=trusting) as conn:
                await conn.send(b"hello")
                assert await conn.receive() == b"hello"
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                while True:
                    await junk.receive()
            with pytest.raises(anyio.EndOfStream):
                await silent.receive()
    texts = [r.getMessage() for r in caplog.records if r.name == "csp.net"]
    assert sum("no TLS handshake" in text for text in texts) == 2
    assert not any(r.exc_info for r in caplog.records)
    assert all(r.levelno <= logging.INFO for r in caplog.records)
