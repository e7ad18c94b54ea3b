"""So many requests in the handler at once, so many that wait, and 503 for one more."""

from __future__ import annotations

import json
import math
from contextlib import asynccontextmanager

import anyio
import pytest

from csp.net.http import Limits, NotFound, Server, text
from tests.net.http.memory import get, pair, parse, post, receive_all, receive_until

pytestmark = pytest.mark.anyio


class Gate:
    """A handler that lets requests through one by one, and knows who is in it."""

    def __init__(self):
        self.inside = []
        self.events = {}

    async def __call__(self, request):
        self.inside.append(request.path)
        self.events[request.path] = anyio.Event()
        try:
            await self.events[request.path].wait()
            return text(f"{request.path} {len(await request.read())}")
        finally:
            self.inside.remove(request.path)

    def let_through(self, path):
        self.events[path].set()


@asynccontextmanager
async def serving(handler, **limits):
    """Give what makes a connection to a server; they are closed at the end."""
    server = Server(handler, limits=Limits(linger=0.01, **limits))
    clients = []
    async with server.open(), anyio.create_task_group() as tasks:

        def connect():
            conn, client = pair()
            tasks.start_soon(server.handle, conn)
            clients.append(client)
            return client

        yield connect
        for client in clients:
            client.close()


async def answer(client):
    """Return the next response; it comes in one piece."""
    (response,) = parse(await receive_until(client, b"\r\n\r\n"))
    return response


async def settle():
    await anyio.wait_all_tasks_blocked()


async def ask(client, request):
    await client.send(request)
    await settle()


async def test_requests_wait_in_order():
    """One goes in as another comes out; nobody overtakes."""
    gate = Gate()
    async with serving(gate, requests=1, queue=9) as connect:
        clients = [connect() for _ in range(4)]
        for n, client in enumerate(clients):
            await ask(client, get(f"/{n}"))
        for n, client in enumerate(clients):
            assert gate.inside == [f"/{n}"]
            gate.let_through(f"/{n}")
            assert (await answer(client)).body == b"/%d 0" % n
            await settle()
    assert gate.inside == []


async def test_one_too_many_is_answered_503_and_may_try_again():
    """The connection is kept, and when there is room the request is taken."""
    gate = Gate()
    async with serving(gate, requests=1, queue=0) as connect:
        one, two = connect(), connect()
        await ask(one, get("/1"))
        await ask(two, get("/2"))
        refused = await answer(two)
        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["content-type"] == "application/problem+json"
        assert json.loads(refused.body)["error"] == "service_unavailable"
        assert not refused.closing
        gate.let_through("/1")
        await answer(one)
        await ask(two, get("/2"))
        gate.let_through("/2")
        assert (await answer(two)).status == 200


async def test_head_is_refused_without_content():
    """It has the head only."""
    gate = Gate()
    async with serving(gate, requests=1, queue=0) as connect:
        one, two = connect(), connect()
        await ask(one, get("/1"))
        await ask(two, get("/2", method="HEAD"))
        data = await two.receive()
        assert data.startswith(b"HTTP/1.1 503 ")
        assert data.endswith(b"\r\n\r\n")
        gate.let_through("/1")


async def test_a_body_is_not_read_while_its_request_waits():
    """Nor asked for: the client waits as for a slow handler."""
    gate = Gate()
    async with serving(gate, requests=1, queue=1) as connect:
        one, two = connect(), connect()
        await ask(one, get("/1"))
        upload = post(bytes(200_000), target="/2")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(two.send, upload)
            await settle()
            assert len(two._outgoing.data) == two._outgoing.capacity
            gate.let_through("/1")
            await settle()
            gate.let_through("/2")
            assert (await answer(two)).body == b"/2 200000"


async def test_a_client_that_waits_to_send_is_not_told_to_while_in_line():
    """And refused instead, if there is no room."""
    gate = Gate()
    async with serving(gate, requests=1, queue=1) as connect:
        one, two, three = connect(), connect(), connect()
        await ask(one, get("/1"))
        upload = post(b"12345", "Expect: 100-continue", target="/2")
        head = upload.removesuffix(b"12345")
        await ask(two, head)
        await ask(three, head)
        assert not two._incoming.data
        assert (await answer(three)).status == 503
        gate.let_through("/1")
        await settle()
        gate.let_through("/2")
        await receive_until(two, b" 100 Continue\r\n\r\n")
        await two.send(b"12345")
        assert (await answer(two)).body == b"/2 5"


async def test_idle_connections_have_no_place():
    """Nor those that send a head."""
    gate = Gate()
    async with serving(gate, requests=1, queue=0) as connect:
        idle, half, one = connect(), connect(), connect()
        await ask(idle, get("/0"))
        gate.let_through("/0")
        await answer(idle)
        await ask(half, get("/9")[:9])
        await ask(one, get("/1"))
        assert gate.inside == ["/1"]
        gate.let_through("/1")


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_goes_leaves_the_line(reset):
    """Within a second, so its place is free for another."""
    gate = Gate()
    async with serving(gate, requests=1, queue=1) as connect:
        one, gone, three = connect(), connect(), connect()
        await ask(one, get("/1"))
        await ask(gone, get("/gone"))
        if reset:
            gone.abort()
        else:
            gone.close()
        await anyio.sleep(1.01)
        await ask(three, get("/3"))
        gate.let_through("/1")
        await settle()
        assert gate.inside == ["/3"]
        gate.let_through("/3")
        assert (await answer(three)).status == 200


async def test_the_request_of_a_client_that_has_gone_is_not_begun():
    """Even if that was a moment ago."""
    gate = Gate()
    async with serving(gate, requests=1, queue=1) as connect:
        one, gone = connect(), connect()
        await ask(one, get("/1"))
        await ask(gone, get("/gone"))
        gone.close()
        gate.let_through("/1")
        await settle()
        assert not gate.inside
        await ask(one, get("/2"))
        assert gate.inside == ["/2"]
        gate.let_through("/2")


async def test_a_client_that_sends_no_more_is_answered():
    """It looks the same as one that goes, so it is told to try again."""
    gate = Gate()
    async with serving(gate, requests=1, queue=1) as connect:
        one, two = connect(), connect()
        await ask(one, get("/1"))
        await ask(two, get("/2"))
        await two.send_eof()
        (refused,) = parse(await receive_all(two))
        assert (refused.status, refused.whole) == (503, True)
        gate.let_through("/1")


async def test_what_is_pipelined_meanwhile_is_not_lost():
    """It is read ahead, and answered in its turn."""
    gate = Gate()
    async with serving(gate, requests=1, queue=1) as connect:
        one, two = connect(), connect()
        await ask(one, get("/1"))
        await ask(two, get("/2"))
        await ask(two, get("/3") + get("/4", "Connection: close"))
        gate.let_through("/1")
        for path in ("/2", "/3", "/4"):
            await settle()
            gate.let_through(path)
        answers = parse(await receive_all(two))
        assert [answer.body for answer in answers] == [b"/2 0", b"/3 0", b"/4 0"]


async def test_who_fails_gives_its_place_back():
    """Whatever it raises."""
    calls = []

    async def handler(request):
        calls.append(request.path)
        raise (KeyError, NotFound, anyio.ClosedResourceError)[len(calls) % 3]

    async with serving(handler, requests=1, queue=0) as connect:
        client = connect()
        for _ in range(6):
            await client.send(get())
            assert (await answer(client)).status in (404, 500)


async def test_there_may_be_no_limit():
    """`math.inf` is none."""
    gate = Gate()
    async with serving(gate, requests=math.inf, queue=math.inf) as connect:
        for n in range(50):
            await ask(connect(), get(f"/{n}"))
        assert len(gate.inside) == 50
        for n in range(50):
            gate.let_through(f"/{n}")
