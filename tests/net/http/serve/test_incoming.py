"""Bodies of requests: as they come, and only as they are asked for."""

from __future__ import annotations

import logging

import anyio
import pytest

import csp
from csp.net.http import ClientGone, ContentTooLarge, HTTPError, Limits, Response, text
from tests.net.http.memory import (
    KERNEL,
    ask,
    get,
    parse,
    post,
    receive_all,
    receive_until,
    served,
    talk,
)

pytestmark = pytest.mark.anyio

EXPECTS = "Expect: 100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
def errors(caplog):
    """What is logged as an error."""
    caplog.set_level(logging.INFO)
    return lambda: [
        r
        for r in caplog.records
        if r.levelno >= logging.ERROR and r.name.startswith("csp")
    ]


async def echo(request):
    if request.target == "/ok":
        return text("ok")
    return text(await request.read())


async def deaf(request):
    return text(request.target)


async def test_a_client_waits_for_a_handler_that_does_not_read():
    """And nothing is read ahead for it."""
    going = anyio.Event()

    async def handler(request):
        await going.wait()
        return text(str(len(await request.read())))

    async with served(handler) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, post(bytes(1_000_000)))
        await anyio.wait_all_tasks_blocked()
        assert client.bytes_sent <= 2 * KERNEL
        going.set()
        assert b"1000000" in await client.receive()


@pytest.mark.parametrize("body", [b"abc", [b"a", b"bc"], b"", []])
async def test_a_body_ends(body):
    """And says so as often as it is asked; only then there are trailers."""
    seen = []

    async def handler(request):
        if request.method == "POST":
            seen.append(b"".join([data async for data in request.body]))
            seen.append([data async for data in request.body])
            with pytest.raises(anyio.EndOfStream):
                await request.body.receive()
            seen.append(len(request.body.trailers))
        return text("ok")

    assert len(await ask(handler, post(body) + get())) == 2
    assert seen == [b"".join(body) if isinstance(body, list) else body, [], 0]


async def test_trailers_come_after_the_body():
    """With the end of it."""
    seen = []

    async def handler(request):
        seen.append(request.body.trailers)
        await request.read()
        seen.append(request.body.trailers["x-sum"])
        return text("")

    await talk(handler, post([b"abc"])[:-2] + b"X-Sum: 6\r\n\r\n")
    assert seen == [None, "6"]


async def test_a_handler_can_read_less_than_the_server_allows():
    """A larger body is refused, and the rest of it read past."""

    async def handler(request):
        return text(await request.read(3))

    one, two, three = await ask(handler, post(b"1234") + post(b"123") + post([b"1234"]))
    assert (one.status, two.body, three.status) == (413, b"123", 413)


@pytest.mark.parametrize("body", [bytes(101), [bytes(60), bytes(60)]])
async def test_a_body_larger_than_the_server_allows(body, errors):
    """Is refused from its length before the handler, else as the chunk comes."""
    seen = []

    async def handler(request):
        try:
            async for data in request.body:
                seen.append(len(data))  # noqa: PERF401
        except ContentTooLarge as error:
            seen.append(error.status)
            raise

    (answer,) = await ask(handler, post(body), get(), limits=Limits(body_bytes=100))
    assert (answer.status, answer.closing) == (413, True)
    assert seen == ([60, 413] if isinstance(body, list) else [])
    assert not errors()


@pytest.mark.parametrize("catch", [False, True])
async def test_a_malformed_chunk(catch, errors):
    """Is an error for the handler, which may catch it; and the connection ends."""

    async def handler(request):
        try:
            await request.read()
        except HTTPError:
            if not catch:
                raise
        with pytest.raises(anyio.ClosedResourceError, match="has not come"):
            await request.body.receive()
        return text("caught")

    data = post([b"abc"]).replace(b"3\r\n", b"2\r\n") + get()
    (answer,) = await ask(handler, data)
    assert (answer.status, answer.closing) == (200 if catch else 400, True)
    assert not errors()


@pytest.mark.parametrize("how", ["send_eof", "close", "abort"])
async def test_a_client_that_goes_in_the_middle_of_a_body(how, errors):
    """Is gone for the handler; nothing is answered."""
    ends = []

    async def handler(request):
        try:
            await request.read()
        except ClientGone as error:
            ends.append(error)
            raise

    async with served(handler) as client:
        await client.send(post(b"abc", "Content-Length: 10"))
        await anyio.wait_all_tasks_blocked()
        assert not ends
        going = getattr(client, how)()
        if going:
            await going
            assert await receive_all(client) == b""
    assert len(ends) == 1
    assert not errors()


@pytest.mark.parametrize("when", ["read", "read twice", "part", "later", "streamed"])
async def test_a_client_that_waits_is_told_to_send_as_the_body_is_read(when):
    """Once, and before the response."""

    async def body(request):
        yield await request.body.receive()

    async def handler(request):
        if when == "later":
            await anyio.sleep(0.1)
        if when == "streamed":
            return Response(body=body(request))
        if when == "part":
            return text(await request.body.receive())
        if when == "read twice":
            await request.body.receive()
        return text(await request.read())

    async with served(handler) as client:
        await client.send(get("/", EXPECTS, "Content-Length: 6", method="POST"))
        assert await client.receive() == CONTINUE
        await client.send(b"abc")
        await anyio.wait_all_tasks_blocked()
        await client.send(b"def")
        await client.send_eof()
        (answer,) = parse(await receive_all(client))
    whole = {"read": b"abcdef", "read twice": b"def", "later": b"abcdef"}
    assert answer.body == whole.get(when, b"abc")


@pytest.mark.parametrize("error", [None, HTTPError(417)])
async def test_a_client_that_waits_may_be_told_the_answer(error):
    """Then the body is neither asked for nor read, and the connection closes."""

    async def handler(request):
        if error:
            raise error
        return text("no, thank you")

    (answer,) = await ask(
        handler, get("/", EXPECTS, "Content-Length: 6", method="POST"), half_close=False
    )
    assert (answer.status, answer.closing) == (417 if error else 200, True)


async def test_there_is_no_100_within_a_response():
    """A body that is read after the response has begun comes without."""

    async def body(request):
        yield b"begun "
        yield await request.read()

    async def handler(request):
        return Response(body=body(request))

    async with served(handler) as client:
        await client.send(get("/", EXPECTS, "Content-Length: 3", method="POST"))
        data = await receive_until(client, b"begun")
        await client.send(b"abc")
        data += await receive_all(client)
    assert CONTINUE not in data
    (answer,) = parse(data)
    assert (answer.body, answer.closing) == (b"begun abc", True)


async def test_a_100_and_a_response_at_once():
    """Do not get in each other's way: the pipe takes but one byte at a time."""

    async def reader(request):
        with pytest.raises(anyio.ClosedResourceError, match="given up"):
            await request.read()

    async def handler(request):
        csp.go(reader, request)
        await anyio.wait_all_tasks_blocked()
        return text("the response")

    async with csp.Group(), served(handler, capacity=1) as client:
        await client.send(get("/", EXPECTS, "Content-Length: 3", method="POST"))
        await anyio.wait_all_tasks_blocked()
        data = await receive_until(client, b"response")
        assert data.startswith(CONTINUE + b"HTTP/1.1 200 OK")
        assert data.count(b"HTTP/1.1") == 2
        client.close()


async def test_a_response_is_sent_while_the_body_is_read():
    """Piece for piece: full duplex."""

    async def handler(request):
        return Response(body=request.body)

    async with served(handler) as client:
        await client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
        for piece in (b"one", b"two", b"three"):
            await client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            assert piece in await receive_until(client, piece)
        await client.send(b"0\r\n\r\n" + get("/next", "Content-Length: 2") + b"ok")
        assert b"ok" in await receive_until(client, b"ok")


async def test_a_full_duplex_echo_is_bounded():
    """Who does not read the answer cannot go on sending."""

    async def handler(request):
        return Response(body=request.body)

    async with served(handler) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, post([bytes(50_000)] * 40))
        await anyio.wait_all_tasks_blocked()
        assert client.bytes_sent < 6 * KERNEL
        await receive_until(client, b"0\r\n\r\n")


@pytest.mark.parametrize("kept", [True, False])
async def test_a_body_that_is_read_after_the_response(kept, errors):
    """Is not there any more, whatever has become of the connection."""
    bodies = []
    told = []

    async def handler(request):
        bodies.append(request.body)
        return text(request.target)

    size = 3 if kept else 300_000
    async with served(handler) as client:
        await client.send(get("/", f"Content-Length: {size}", method="POST") + b"abc")
        await receive_until(client, b"/")
        await anyio.wait_all_tasks_blocked()
        try:
            told.append(await bodies[0].receive())
        except anyio.EndOfStream:
            told.append("end")
        except anyio.ClosedResourceError as error:
            told.append(str(error))
    assert told[0] == "end" if kept else "given up" in told[0]
    assert not errors()


@pytest.mark.parametrize("then", ["rest", "nothing", "close"])
async def test_a_task_that_still_reads_after_the_response(then, errors):
    """Ends with the connection, which takes no other request."""
    ends = []

    async def reader(request):
        try:
            ends.append(await request.read())
        except anyio.ClosedResourceError as error:
            ends.append(str(error))
        except ClientGone:
            ends.append("gone")

    async def handler(request):
        csp.go(reader, request)
        await anyio.wait_all_tasks_blocked()
        return text("answered")

    async with csp.Group(), served(handler) as client:
        await client.send(post(b"abc", "Content-Length: 6"))
        await receive_until(client, b"answered")
        if then == "rest":
            await client.send(b"def")
        if then == "close":
            client.close()
        else:
            assert await receive_all(client) in (b"", b"[reset]")
    assert len(ends) == 1
    assert ends[0] in (b"abcdef", "gone") or "given up" in ends[0]
    assert not errors()


async def test_two_readers_at_once_are_refused():
    """As two of a connection are."""

    async def handler(request):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(request.read)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError):
                await request.body.receive()
        return text("ok")

    async with served(handler) as client:
        await client.send(post(b"abc", "Content-Length: 6"))
        await anyio.wait_all_tasks_blocked()
        await client.send(b"def")
        assert b"ok" in await client.receive()


async def test_a_read_that_is_cancelled_can_be_repeated():
    """Nothing of the body is lost."""

    async def handler(request):
        parts = []
        for _ in range(5):
            with anyio.move_on_after(0.1):
                async for data in request.body:
                    parts.append(data)  # noqa: PERF401
        return text(b"".join(parts))

    async with served(handler) as client:
        await client.send(post(b"abc", "Content-Length: 6"))
        for byte in (b"d", b"e", b"f"):
            await anyio.sleep(0.15)
            await client.send(byte)
        assert b"abcdef" in await client.receive()


async def test_what_comes_as_a_body_is_no_request(errors):
    """Nothing of it is taken for one."""
    seen = []

    async def handler(request):
        seen.append(request.target)
        return text("")

    smuggled = get("/smuggled")
    await talk(handler, post(smuggled, target="/1") + post([smuggled], target="/2"))
    assert seen == ["/1", "/2"]
    assert not errors()
