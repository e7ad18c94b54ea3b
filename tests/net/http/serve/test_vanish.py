"""Clients that go at any point, and schedules of all kinds: nothing is left behind."""

from __future__ import annotations

import logging
from contextlib import suppress
from importlib.util import find_spec

import anyio
import pytest

import csp
from csp.net.http import ClientGone, Response, text
from csp.testing import explore
from tests.net.http.memory import get, parse, post, receive_all, receive_until, served

HAS_TRIO = find_spec("trio") is not None
TRACEBACK = b"Traceback"
GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


@pytest.fixture
def errors(caplog):
    """What is logged as an error."""
    caplog.set_level(logging.INFO)
    return lambda: [
        r
        for r in caplog.records
        if r.levelno >= logging.ERROR and r.name.startswith("csp")
    ]


async def twice(request):
    """Stream what comes, twice."""
    async for data in request.body:
        yield data + data
    yield b"end"


async def handler(request):
    """One of each kind of handler."""
    match request.path:
        case "/stream":
            return Response(body=twice(request), trailers={"X-T": "1"})
        case "/watch":
            async with request.cancelled_if_gone():
                return text(await request.read())
        case "/task":
            async with csp.Group() as g:
                body = g.go(request.read)
            return text(await body)
    return text(await request.read())


def requests(path):
    """Return an exchange of several requests as bytes."""
    return b"".join(
        [
            post([b"abc", b"defg"], "Expect: 100-continue", target=path),
            post(b"abc", target=path),
            get(path),
        ]
    )


PATHS = ["/", "/stream", "/watch", "/task"]


@pytest.mark.anyio
@pytest.mark.clock
@pytest.mark.parametrize("how", ["close", "abort", "send_eof", "cancel"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_client_may_go_at_any_point(path, how, errors, scale):
    """Of what it sends; what was complete by then was answered, if it could be."""
    exchange = requests(path)
    for at in range(0, len(exchange) + 1, scale(7, 1)):
        with anyio.CancelScope() as scope:
            async with served(handler) as client:
                await client.send(exchange[:at])
                await anyio.wait_all_tasks_blocked()
                if how == "cancel":
                    scope.cancel()
                    await anyio.sleep(1)
                with suppress(*GONE):
                    if going := getattr(client, how)():
                        await going
                        data = await receive_all(client)
                        parse(data.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))
                        assert TRACEBACK not in data
    assert not errors()


@pytest.mark.anyio
@pytest.mark.clock
@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_client_may_go_at_any_point_of_the_answer(path, how, errors, scale):
    """When it has received so much of it; the pipe is narrow."""
    for count in range(0, 500, scale(13, 1)):
        async with served(handler, capacity=10) as client:  # noqa: SIM117
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send, client, requests(path))
                with suppress(anyio.EndOfStream):
                    while client.bytes_received < count:
                        await client.receive(count - client.bytes_received)
                getattr(client, how)()
    assert not errors()


async def send(client, data):
    with suppress(*GONE):
        await client.send(data)


# Under many schedules, with something cancelled in every second


@pytest.mark.parametrize("backend", ["asyncio", *["trio"] * HAS_TRIO])
@pytest.mark.parametrize("path", PATHS)
def test_an_exchange_under_many_schedules(path, backend, scale):
    """Complete or cancelled, it leaves nothing, and what is answered is right."""

    async def program():
        async with served(handler, capacity=60) as client, csp.Group() as g:
            g.go(send, client, post([b"abc", b"defg"], target=path) + get(path))
            data = await receive_until(client, b"\r\n\r\n")
            while data.count(b"200 OK") < 2:
                data += await client.receive()
            assert data.startswith(b"HTTP/1.1 200 OK\r\n")

    async def forgiving():
        try:
            await program()
        except* GONE:  # the other side was cancelled
            pass

    explore(forgiving, runs=scale(150, 2000), cancel=True, backend=backend)
    explore(program, runs=scale(50, 1000), backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", *["trio"] * HAS_TRIO])
def test_a_client_that_goes_under_many_schedules(backend, scale):
    """The handler is told once, and what was read ahead is there or it is gone."""

    async def program():
        ends = []

        async def watching(request):
            try:
                async with request.cancelled_if_gone():
                    await request.read()
                    await anyio.sleep(1)
            except ClientGone:
                ends.append("gone")
                raise
            ends.append("done")
            return text("ok")

        async with served(watching) as client:
            await client.send(post(b"abcdef")[:-3])
            await client.send(b"def" + get())
            await anyio.sleep(1)
            client.close()
        assert ends in (["gone"], ["done"], ["done", "gone"], ["done", "done"])

    explore(program, runs=scale(150, 3000), backend=backend)
