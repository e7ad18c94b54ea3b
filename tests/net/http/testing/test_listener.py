"""A listener in memory: is it one, for both kinds of servers?"""

from __future__ import annotations

import anyio
import pytest

import csp
from csp import net
from csp.net import http
from csp.net.http.testing import Listener
from csp.testing import explore

pytestmark = pytest.mark.anyio


async def echo(conn):
    async for data in conn:
        await conn.send(data)


async def hello(request):
    return http.text(f"{request.scheme} {request.client} {request.server}\n")


async def exchange(listener, **options):
    """Ask for something; returns the body of the answer."""
    async with await listener.dial(**options) as conn:
        await conn.send(b"GET / HTTP/1.0\r\n\r\n")
        data = b"".join([piece async for piece in conn])
        return data.partition(b"\r\n\r\n")[2].decode()


async def test_a_server_of_connections_runs_on_it():
    """With nothing cut at the end."""
    listener = Listener()
    reports = []

    async def serve(*, task_status):
        reports.append(await net.serve(echo, listener, task_status=task_status))

    async with csp.stop_scope() as stop, csp.Group() as g:
        assert await g.start(serve) == ("127.0.0.1:80",)
        async with await listener.dial() as conn:
            await conn.send(b"hello")
            assert await conn.receive() == b"hello"
            await conn.send_eof()
            with pytest.raises(anyio.EndOfStream):
                await conn.receive()
        stop.request()
    assert reports[0].cut == 0


async def test_an_http_server_runs_on_it():
    """Who calls may say from where, and whether it is encrypted."""
    listener = Listener("10.0.0.1:8080")
    async with csp.stop_scope() as stop, csp.Group() as g:
        await g.start(http.serve, hello, listener)
        assert await exchange(listener) == "http 127.0.0.1:50000 10.0.0.1:8080\n"
        answer = await exchange(listener, local="10.0.0.2:7", secure=True)
        assert answer == "https 10.0.0.2:7 10.0.0.1:8080\n"
        stop.request()


async def test_who_dialled_before_the_stop_is_answered():
    """Though nobody had accepted yet."""
    listener = Listener()
    async with csp.stop_scope() as stop, csp.Group() as g:
        asked = [g.go(exchange, listener) for _ in range(3)]
        await anyio.wait_all_tasks_blocked()
        g.go(http.serve, hello, listener)
        stop.request()
        answers = [await one for one in asked]
    assert all(answer.startswith("http ") for answer in answers)


async def test_who_dials_a_closed_one_is_refused():
    """And who was in its queue is broken off."""
    listener = Listener(backlog=1)
    async with csp.Group() as g:
        queued = await listener.dial()
        g.go(refused, listener)
        await anyio.wait_all_tasks_blocked()
        listener.close()
        listener.close()
    await refused(listener)
    with pytest.raises(anyio.BrokenResourceError):
        await queued.receive()


async def refused(listener):
    with pytest.raises(ConnectionRefusedError, match="127.0.0.1:80 closed"):
        await listener.dial()


async def test_accepting():
    """It waits, does not wait, and ends when it is closed."""
    async with Listener() as listener, csp.Group() as g:
        with pytest.raises(anyio.WouldBlock):
            listener.accept_nowait()
        accepting = g.go(listener.accept)
        await anyio.wait_all_tasks_blocked()
        ours = await listener.dial()
        theirs = await accepting
        assert (ours.local, ours.peer) == (theirs.peer, theirs.local)
        with pytest.raises(ValueError, match="has no descriptor"):
            listener.fileno()
    with pytest.raises(anyio.ClosedResourceError):
        listener.accept_nowait()
    with pytest.raises(anyio.ClosedResourceError):
        await listener.accept()


async def test_a_cancelled_accept_loses_no_connection():
    """It is there for the next."""
    async with Listener() as listener, csp.Group() as g:
        waiting = g.go(listener.wait)
        await anyio.wait_all_tasks_blocked()
        conn = await listener.dial()
        waiting.cancel()
        await anyio.wait_all_tasks_blocked()
        other = await listener.accept()
        assert other.peer == conn.local


@pytest.mark.clock
async def test_time_is_virtual():
    """An idle connection is closed after a minute that takes no time."""
    listener = Listener()
    async with csp.stop_scope() as stop, csp.Group() as g:
        await g.start(http.serve, hello, listener)
        async with await listener.dial() as conn:
            began = anyio.current_time()
            await conn.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await conn.receive()
            with pytest.raises(anyio.EndOfStream):
                await conn.receive()
            assert anyio.current_time() - began == pytest.approx(60, abs=2)
        stop.request()


@pytest.mark.parametrize("explored", ["asyncio", "trio"])
def test_a_whole_server_can_be_explored(explored, scale):
    """Whenever the stop comes, who has dialled is answered."""
    if explored == "trio":
        pytest.importorskip("trio")

    async def stop_soon(stop):
        stop.request()

    async def program():
        listener = Listener()
        async with csp.stop_scope() as stop, csp.Group() as g:
            await g.start(http.serve, hello, listener)
            conn = await listener.dial()
            g.go(stop_soon, stop)
            await conn.send(b"GET / HTTP/1.0\r\n\r\n")
            answer = b"".join([piece async for piece in conn])
            conn.close()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nhttp 127.0.0.1:50000 127.0.0.1:80\n")

    explore(program, runs=scale(30, 1000), backend=explored)
