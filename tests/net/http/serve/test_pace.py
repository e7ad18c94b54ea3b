"""Clients that are slow, and those that are not: every limit, on virtual time."""

from __future__ import annotations

import logging
from contextlib import suppress

import anyio
import pytest

from csp.net.http import Limits, Response, Server, text
from tests.net.http.memory import (
    get,
    logged,
    pair,
    parse,
    post,
    receive_all,
    receive_until,
)

pytestmark = [pytest.mark.anyio, pytest.mark.clock]

LIMITS = Limits(header_timeout=10, idle_timeout=60, rate_grace=5, linger=1)
GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError)
SWEEP = 1.0  # how often is looked who is too slow


@pytest.fixture
async def server(caplog):
    """Serve as many connections as one likes; nothing of it may be logged."""
    caplog.set_level(logging.INFO)
    running = Server(handler, limits=LIMITS)
    async with running.open(), anyio.create_task_group() as tasks:

        def connect(capacity=65536):
            conn, client = pair(capacity)
            tasks.start_soon(running.handle, conn)
            return client

        yield connect
        tasks.cancel_scope.cancel()
    assert not logged(caplog)


async def handler(request):  # noqa: PLR0911
    """Do what the path says."""
    match request.path.split("/")[1:]:
        case ["read"]:
            return text(f"{len(await request.read())} read")
        case ["sleep", seconds]:
            await anyio.sleep(float(seconds))
            return text(f"{len(await request.read())} slept")
        case ["pause", seconds]:
            size = 0
            async for data in request.body:
                size += len(data)
                await anyio.sleep(float(seconds))
            return text(f"{size} paused")
        case ["large", size]:
            return text(bytes(int(size)))
        case ["stream", size]:
            return Response(body=stream(int(size)))
        case ["events", seconds]:
            return Response(body=stream(5, float(seconds)))
    return text("ok")


async def stream(size, seconds=0.0):
    for at in range(0, size, 10_000 if not seconds else 1):
        await anyio.sleep(seconds)
        yield bytes(min(10_000, size - at))


async def ended(client):
    """Return what a connection ended with, and when."""
    data = await receive_all(client)
    client.close()
    return data, anyio.current_time()


async def dribble(client, data, seconds=1.0, size=1):
    """Send slowly, until nobody listens any more."""
    with suppress(*GONE):
        for at in range(0, len(data), size):
            await client.send(data[at : at + size])
            await anyio.sleep(seconds)


async def sip(client, size=1, seconds=1.0):
    """Receive slowly; returns when that came to an end."""
    with suppress(anyio.EndOfStream, *GONE):
        while True:
            await client.receive(size)
            await anyio.sleep(seconds)
    return anyio.current_time()


async def test_a_silent_connection(server):
    """Is closed without a word after header_timeout."""
    assert await ended(server()) == (b"", 10)


async def test_a_header_that_comes_slowly(server):
    """Is answered 408 header_timeout after its first byte, however many have come."""
    client = server()
    await anyio.sleep(4)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dribble, client, get("/", "X: " + "y" * 100))
        data = await receive_until(client, b"}")
        assert anyio.current_time() == 14
        client.close()
    (answer,) = parse(data)
    assert (answer.status, answer.closing) == (408, True)


@pytest.mark.parametrize("before", [get("/sleep/30"), post(b"abc", target="/read")])
async def test_a_slow_header_behind_another_request(server, before):
    """Has its whole time from the end of that, and no more."""
    client = server()
    await client.send(before + b"GET / HT")
    data = await client.receive()
    begun = anyio.current_time()
    data += await receive_until(client, b"}")
    assert [answer.status for answer in parse(data)] == [200, 408]
    assert anyio.current_time() - begun == 10


async def test_a_header_may_come_in_pieces(server):
    """If it is there in time, after any time of idling."""
    client = server()
    for _ in range(3):
        await dribble(client, get(), seconds=0.2)
        assert b"ok" in await client.receive()
        await anyio.sleep(59)


async def test_an_idle_connection(server):
    """Is closed without a word after idle_timeout, and nothing is read after that."""
    client = server()
    await client.send(get())
    await client.receive()
    assert await ended(client) == (b"", 60)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("start", [0, 100_000])
async def test_a_body_that_comes_slowly(server, start, chunked):
    """Or stalls after a fast start, is answered 408 within two graces."""
    client = server()
    fields = ["Transfer-Encoding: chunked" if chunked else "Content-Length: 200000"]
    head = get("/read", *fields, method="POST", body=b"30d40\r\n" * chunked)
    async with anyio.create_task_group() as tasks:
        await client.send(head + bytes(start))
        tasks.start_soon(dribble, client, bytes(1000))
        (answer,) = parse(await receive_until(client, b"}"))
        assert (answer.status, answer.closing) == (408, True)
        assert 5 <= anyio.current_time() <= 10 + SWEEP
        assert (await ended(client))[1] <= 11 + SWEEP


async def test_a_body_that_stalls_after_a_long_time(server):
    """Is not helped by how fast it was before."""
    client = server()
    await client.send(get("/read", "Content-Length: 5000000", method="POST"))
    await dribble(client, bytes(2_000_000), size=50_000)
    stalled = anyio.current_time()
    assert b" 408 " in await client.receive()
    assert anyio.current_time() - stalled <= 10 + SWEEP


async def test_a_client_is_not_held_to_what_was_slow_before():
    """A deadline that was set as it caught up does not hold for the next response."""
    running = Server(handler, limits=LIMITS)
    conn, client = pair()
    async with running.open(), anyio.create_task_group() as tasks:
        tasks.start_soon(running.handle, conn)
        conn.write_deadline = 0
        await anyio.sleep(2)
        await client.send(get("/large/200000", "Connection: close"))
        await anyio.sleep(1)
        (answer,) = parse(await receive_all(client))
        assert answer.whole
        client.close()
        tasks.cancel_scope.cancel()


async def test_a_body_that_nobody_reads_comes_slowly(server):
    """What is read past is measured as well."""
    client = server()
    await client.send(get("/", "Content-Length: 100", method="POST"))
    await receive_until(client, b"ok")
    assert (await ended(client))[1] <= 6 + SWEEP


async def test_a_body_that_is_fast_enough(server):
    """May take its time."""
    client = server()
    await client.send(get("/read", "Content-Length: 30000", method="POST"))
    await dribble(client, bytes(30_000), size=300)
    assert b"30000 read" in await client.receive()
    assert anyio.current_time() >= 100


@pytest.mark.parametrize("target", ["/sleep/1000", "/pause/100"])
async def test_a_handler_may_be_slow(server, target):
    """It is no fault of the client's, which waits with its body, and for the answer."""
    client = server()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, post(bytes(300_000), target=target) + get())
        data = await receive_until(client, b"ok")
    assert [answer.status for answer in parse(data)] == [200, 200]
    assert anyio.current_time() >= 500


async def test_a_stream_may_be_slow(server):
    """A byte every hour."""
    client = server()
    await client.send(get("/events/3600"))
    (answer,) = parse(await receive_until(client, b"0\r\n\r\n"))
    assert answer.body == bytes(15)


@pytest.mark.parametrize("target", ["/large/10000000", "/stream/10000000"])
async def test_a_client_that_receives_slowly(server, target):
    """Is cut off within two graces."""
    client = server()
    await client.send(get(target))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sip, client)
        while not client._outgoing.broken:  # noqa: ASYNC110
            await anyio.sleep(0.1)
        assert 5 <= anyio.current_time() <= 10 + SWEEP
        client.close()


async def test_a_client_that_stops_receiving(server):
    """After a fast start."""
    client = server()
    await client.send(get("/stream/10000000"))
    for _ in range(20):
        await client.receive()
    began = anyio.current_time()
    await anyio.sleep(10 + SWEEP)
    assert client._outgoing.broken
    assert began < 1
    await receive_all(client)
    client.close()


async def test_a_client_that_receives_fast_enough(server):
    """Gets it all."""
    client = server()
    await client.send(get("/large/200000", "Connection: close"))
    began = anyio.current_time()
    assert await sip(client, size=1000) - began >= 200
    assert client.bytes_received > 200_000


async def test_a_slow_client_disturbs_no_other(server):
    """A hundred who sip, and one who drinks."""
    slow = [server(1000) for _ in range(50)]
    for client in slow:
        await client.send(get("/large/100000"))
    good = server()
    for _ in range(30):
        await good.send(get())
        assert b"ok" in await good.receive()
        await anyio.sleep(1)
    assert all(client._outgoing.broken for client in slow)
    await good.send_eof()
    assert (await ended(good))[1] == 30


async def test_a_client_that_goes_on_sending_after_a_refusal(server):
    """Is listened to for as long as the server lingers."""
    client = server()
    await client.send(b"garbage\r\n\r\n")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dribble, client, bytes(1000), 0.1)
        assert b" 400 " in await client.receive()
        began = anyio.current_time()
        while not client._outgoing.broken:  # noqa: ASYNC110
            await anyio.sleep(0.05)
        assert 1 <= anyio.current_time() - began <= 1.2
