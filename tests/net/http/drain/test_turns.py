"""A stop at every turn of the event loop, between a connection and its last response.

What load finds once in a million runs, a step finds always.
"""

from __future__ import annotations

import socket

import anyio
import anyio.lowlevel
import pytest

import csp
from csp.net import dial, listen
from csp.net.http import Limits, Server, serve, text
from tests.net.http.memory import get, pair, parse, post

pytestmark = pytest.mark.anyio

BRIEF = Limits(linger=0.02)
TURNS = 12  # more than an exchange takes


async def handler(request):
    await anyio.lowlevel.checkpoint()
    return text(f"{request.path} {len(await request.read())}")


async def turns(count):
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def receive_all(conn):
    data = b""
    try:
        async for piece in conn:
            data += piece
    except anyio.BrokenResourceError:
        data += b"[reset]"
    return data


EXCHANGES = {
    "one": ([get("/1")], [b"/1 0"]),
    "halves": ([get("/1")[:9], get("/1")[9:]], [b"/1 0"]),
    "an upload": ([post(b"abcdef")[:-3], b"def"], [b"/ 6"]),
    "two at once": ([get("/1") + get("/2")], [b"/1 0", b"/2 0"]),
    "one and a half": ([get("/1") + get("/2")[:5], get("/2")[5:]], [b"/1 0", b"/2 0"]),
}


@pytest.fixture(params=EXCHANGES)
def exchange(request):
    """What the client sends, piece by piece, and what is to come back."""
    return EXCHANGES[request.param]


def check(data, bodies):
    """All of these are answered, and only the last response closes, if any does."""
    answers = parse(data)
    assert [answer.body for answer in answers] == bodies
    assert not any(answer.closing for answer in answers[:-1])


@pytest.mark.parametrize("turn", range(TURNS))
async def test_in_memory(exchange, turn):
    """The stop comes so many turns after the first piece, and then come the others."""
    (first, *rest), bodies = exchange
    server = Server(handler, limits=BRIEF)
    async with csp.stop_scope() as stop, server.open(), csp.Group() as g:
        conn, client = pair()
        g.go(server.handle, conn)
        await client.send(first)
        await turns(turn)
        stop.request()
        for piece in rest:
            await anyio.wait_all_tasks_blocked()
            await client.send(piece)
        check(await receive_all(client), bodies)
        client.close()


@pytest.mark.parametrize("turn", range(TURNS))
async def test_with_sockets(exchange, turn):
    """Which are connected in the same turn, before anybody has accepted them."""
    (first, *rest), bodies = exchange
    listener = await listen("127.0.0.1:0")
    host, _, port = listener.address.rpartition(":")
    reports = []

    async def run(*, task_status):
        reports.append(
            await serve(handler, listener, limits=BRIEF, task_status=task_status)
        )

    async with csp.stop_scope() as stop, csp.Group() as g:
        await g.start(run)
        await anyio.wait_all_tasks_blocked()
        with socket.create_connection((host, int(port))) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(first)
            await turns(turn)
            stop.request()
            for piece in rest:
                await turns(turn)
                sock.sendall(piece)
            data = await anyio.to_thread.run_sync(receive_blocking, sock)
        check(data, bodies)
    (report,) = reports
    assert (report.cut, report.requests.cut) == (0, 0)


def receive_blocking(sock):
    sock.settimeout(10)
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


@pytest.mark.parametrize("turn", range(TURNS))
async def test_the_second_request_of_a_connection(turn):
    """It is sent so many turns after the stop: within the linger it is answered."""
    listener = await listen("127.0.0.1:0")
    async with csp.stop_scope() as stop, csp.Group() as g:

        async def run(*, task_status):
            await serve(
                handler, listener, limits=Limits(linger=5), task_status=task_status
            )

        await g.start(run)
        async with await dial(listener.address) as conn:
            await conn.send(get("/1"))
            await conn.receive()
            stop.request()
            await turns(turn)
            await conn.send(get("/2"))
            (answer,) = parse(await receive_all(conn))
            assert (answer.body, answer.closing) == (b"/2 0", True)


@pytest.mark.clock
@pytest.mark.parametrize("turn", range(TURNS))
async def test_a_cut_at_any_turn_is_counted(turn):
    """What was cut is in the report, and what is not was answered."""
    reports = []
    listener = await listen("127.0.0.1:0")

    async def run(*, task_status):
        reports.append(
            await serve(handler, listener, grace=0.0, task_status=task_status)
        )

    async with csp.stop_scope() as stop, csp.Group() as g:
        await g.start(run)
        async with await dial(listener.address) as conn:
            await conn.send(get("/1"))
            await turns(turn)
            stop.request()
            data = await receive_all(conn)
            local = conn.local
    (report,) = reports
    # A connection that was not accepted, or not read from, is not counted.
    names = {(f"GET /1 from {local}",), (f"connection from {local}",), ()}
    assert report.cut_names in names
    assert report.cut == report.requests.cut == len(report.cut_names)
    if b"/1 0" in data:
        assert not report.cut
