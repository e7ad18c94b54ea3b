"""Stopping: what has begun is answered, and nothing else waits for long."""

from __future__ import annotations

import logging

import anyio
import pytest

import csp
from csp.net import dial
from csp.net.http import Limits, Response, Server, serve, text
from tests.net.http.memory import get, pair, parse, post, receive_all, receive_until

pytestmark = pytest.mark.anyio

LINGERING = Limits(linger=1)


@pytest.fixture
def running(caplog):
    """Everything of a server on memory connections, and its stop scope."""
    caplog.set_level(logging.INFO)
    return Running


class Running:
    """A server in a stop scope; its connections are those that `connect` makes."""

    def __init__(self, handler, limits=LINGERING, grace=25.0):
        self.server = Server(handler, limits=limits)
        self.grace = grace

    async def __aenter__(self):
        self.stop = await csp.stop_scope(self.grace).__aenter__()
        self.open = self.server.open()
        await self.open.__aenter__()
        self.tasks = await anyio.create_task_group().__aenter__()
        return self

    def connect(self):
        conn, client = pair()
        self.tasks.start_soon(self.server.handle, conn)
        return client

    async def __aexit__(self, *exc_info):
        await self.tasks.__aexit__(*exc_info)
        await self.open.__aexit__(*exc_info)
        await self.stop.__aexit__(*exc_info)


async def slow(request):
    """Take as long as the target says."""
    await anyio.sleep(float(request.path[1:] or 0))
    return text(f"{request.target} {len(await request.read())}.")


async def drain(client):
    """Return the responses until the connection ends, and when it did."""
    data = await receive_all(client)
    client.close()
    return [(a.status, a.body, a.closing) for a in parse(data)]


async def settle():
    await anyio.wait_all_tasks_blocked()


@pytest.mark.clock
async def test_a_request_in_its_handler_is_answered():
    """With Connection: close, and then the connection closes at once."""
    async with Running(slow) as it:
        client = it.connect()
        await client.send(get("/5"))
        await settle()
        it.stop.request()
        assert await drain(client) == [(200, b"/5 0.", True)]
        assert anyio.current_time() == 5


@pytest.mark.clock
@pytest.mark.parametrize("served_before", [False, True])
async def test_an_idle_connection_lingers(served_before):
    """For as long as that is set, not longer."""
    async with Running(slow) as it:
        client = it.connect()
        if served_before:
            await client.send(get())
            await client.receive()
        await settle()
        it.stop.request()
        assert await drain(client) == []
        assert anyio.current_time() == 1


@pytest.mark.clock
async def test_a_request_while_it_lingers_is_answered():
    """Though it comes late, and slowly."""
    async with Running(slow) as it:
        client = it.connect()
        await settle()
        it.stop.request()
        await anyio.sleep(0.9)
        await client.send(get("/2")[:10])
        await anyio.sleep(3)
        await client.send(get("/2")[10:])
        assert await drain(client) == [(200, b"/2 0.", True)]


@pytest.mark.clock
@pytest.mark.parametrize("cut", [5, 60])
async def test_what_is_half_sent_is_finished(cut):
    """A head, or a body."""
    request = post(b"abcdefghij", target="/0.5")
    async with Running(slow) as it:
        client = it.connect()
        await client.send(request[:cut])
        await settle()
        it.stop.request()
        await anyio.sleep(4)
        await client.send(request[cut:])
        assert await drain(client) == [(200, b"/0.5 10.", True)]


@pytest.mark.parametrize("at_once", [True, False])
async def test_pipelined_requests_that_have_come_are_answered(at_once):
    """Be they in the program or in the kernel; and only the last says close."""
    going = anyio.Event()

    async def handler(request):
        await going.wait()
        return text(request.target)

    async with Running(handler) as it:
        client = it.connect()
        requests = [get(f"/{n}") for n in range(4)]
        for request in [b"".join(requests)] if at_once else requests:
            await client.send(request)
            await settle()
        it.stop.request()
        await settle()
        going.set()
        expected = [(200, b"/%d" % n, n == 3) for n in range(4)]
        assert await drain(client) == expected


@pytest.mark.clock
async def test_a_stream_goes_on():
    """Its head has not said close, so a request while it lingers is answered."""

    async def body():
        for _ in range(3):
            yield b"."
            await anyio.sleep(2)

    async def handler(request):
        return Response(body=body() if request.target == "/" else b"")

    async with Running(handler) as it:
        client = it.connect()
        await client.send(get())
        await settle()
        it.stop.request()
        data = await receive_until(client, b"0\r\n\r\n")
        await client.send(get("/2"))
        (one, two) = parse(data + await receive_all(client))
        client.close()
    assert (one.body, one.closing, two.closing) == (b"...", False, True)


@pytest.mark.clock
async def test_a_connection_that_comes_in_the_stop_lingers_as_well():
    """And what it sends is answered."""
    async with Running(slow) as it:
        it.stop.request()
        await settle()
        silent, talking = it.connect(), it.connect()
        await talking.send(get())
        assert await drain(talking) == [(200, b"/ 0.", True)]
        assert await drain(silent) == []
        assert anyio.current_time() == 1


# With sockets


@pytest.fixture
def brief():
    return Limits(linger=0.05)


async def test_a_server_stops_and_reports(brief, tmp_path):
    """One request in its handler, one connection idle, one in the kernel's queue."""
    reports, going = [], anyio.Event()

    async def handler(request):
        if request.target == "/wait":
            await going.wait()
        return text(request.target)

    async def run(*, task_status):
        reports.append(
            await serve(handler, "127.0.0.1:0", limits=brief, task_status=task_status)
        )

    async with csp.stop_scope() as stop, csp.Group() as g:
        (address,) = await g.start(run)
        async with await dial(address) as busy, await dial(address) as idle:
            await busy.send(get("/wait"))
            await idle.send(get("/"))
            await idle.receive()
            async with await dial(address) as queued:
                await queued.send(get("/queued"))
                stop.request()
                data = b"".join([data async for data in queued])
                assert [a.body for a in parse(data)] == [b"/queued"]
            assert [data async for data in idle] == []
            going.set()
            (answer,) = parse(b"".join([data async for data in busy]))
            assert (answer.body, answer.closing) == (b"/wait", True)
        with pytest.raises(ConnectionRefusedError):
            await dial(address)
    (report,) = reports
    assert (report.finished, report.cut, report.refused) == (3, 0, 0)


async def test_what_takes_too_long_is_cut(brief):
    """The handler's finally runs, generators are closed, and the report says so."""
    reports, ends = [], []

    async def body():
        try:
            yield b"begun"
            await anyio.sleep_forever()
        finally:
            ends.append("body")

    async def handler(request):
        if request.target == "/body":
            return Response(body=body())
        try:
            await anyio.sleep_forever()
        finally:
            ends.append("handler")

    async def run(*, task_status):
        reports.append(
            await serve(
                handler, "127.0.0.1:0", limits=brief, grace=0.2, task_status=task_status
            )
        )

    async with csp.stop_scope() as stop, csp.Group() as g:
        (address,) = await g.start(run)
        async with await dial(address) as one, await dial(address) as two:
            await one.send(get("/body"))
            assert b"begun" in await one.receive()
            await two.send(get())
            await anyio.sleep(0.05)
            stop.request()
            assert b"0\r\n\r\n" not in await everything(one)
            assert await everything(two) == b""
    assert sorted(ends) == ["body", "handler"]
    (report,) = reports
    assert (report.finished, report.cut, len(report.cut_names)) == (0, 2, 2)


async def everything(conn):
    try:
        return b"".join([data async for data in conn])
    except anyio.BrokenResourceError:
        return b""


async def test_errors_of_listening_come_out_as_they_are():
    """In no group."""
    with pytest.raises(ValueError, match="needs an address"):
        await serve(slow)
    with pytest.raises(ValueError, match="nowhere"):
        await serve(slow, "nowhere")
    with pytest.raises(TypeError, match="async function"):
        await serve(None, "127.0.0.1:0")
