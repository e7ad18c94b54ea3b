"""Bodies of responses: whole and in pieces, and what becomes of those that fail."""

from __future__ import annotations

import logging

import anyio
import anyio.lowlevel
import pytest

import csp
from csp.net.http import HTTPError, Response, text
from tests.net.http.memory import (
    ask,
    get,
    parse,
    receive_all,
    receive_until,
    served,
    talk,
)

pytestmark = pytest.mark.anyio

LARGE = 1_000_000  # bytes that no pipe takes at once


@pytest.fixture
def errors(caplog):
    """What is logged as an error."""
    caplog.set_level(logging.INFO)
    return lambda: [
        r
        for r in caplog.records
        if r.levelno >= logging.ERROR and r.name.startswith("csp")
    ]


class Pieces:
    """Makes generators, and knows which of them have ended."""

    def __init__(self, *pieces, error=None):
        self.pieces = pieces
        self.error = error
        self.ended = 0

    async def __call__(self):
        try:
            for piece in self.pieces:
                await anyio.lowlevel.checkpoint()
                yield piece
            if self.error:
                raise self.error
        finally:
            self.ended += 1


def answering(**options):
    """Make a handler; a body that is to be made is made for each request."""

    async def handler(request):
        if request.target == "/ok":
            return text("ok")
        body = options["body"]
        body = body() if callable(body) else body
        return Response(**(options | {"body": body}))

    return handler


def filled():
    ch = csp.Channel(2, on_undelivered=id)
    ch.send_nowait("a")
    ch.send_nowait(b"bc")
    ch.close()
    return ch


def received():
    ch = csp.Channel(2, on_undelivered=id)
    receiver = ch.receiver()
    with ch.sender() as sender:
        sender.send_nowait("a")
        sender.send_nowait(b"bc")
    return receiver


class Block:
    """An async context manager that gives an iterator."""

    async def __aenter__(self):
        self.generator = Pieces("a", "b", "c")()
        return self.generator

    async def __aexit__(self, *exc_info):
        await self.generator.aclose()


async def encoded(piece):
    await anyio.lowlevel.checkpoint()
    return piece.encode()


BODIES = {
    "bytes": b"abc",
    "str": "abc",
    "generator": Pieces("a", b"b", "", b"", bytearray(b"c"), memoryview(b"")),
    "nothing first": Pieces(b"", "abc"),
    "channel": filled,
    "receiver": received,
    "block": Block,
    "csp.map": lambda: csp.map(encoded, "abc", workers=2),
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("trailers", [None, {"X-T": "1"}])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_is_sent(body, trailers, version, method):
    """Whatever it is made of, and it is closed."""
    handler = answering(body=body, trailers=trailers)
    data = await talk(handler, get(method=method, version=version), get("/ok"))
    first, *others = parse(data, method)
    assert first.body == (b"abc" if method == "GET" else b"")
    assert first.whole
    assert [other.body for other in others] == ([b"ok"] if version == "1.1" else [])
    chunked = version == "1.1" and method == "GET"
    assert (b"0\r\nX-T: 1\r\n\r\n" in data) is (chunked and trailers is not None)


@pytest.mark.parametrize("count", [0, 1])
async def test_an_empty_piece_sends_the_head(count):
    """So a handler can answer before it has anything to say."""
    going = anyio.Event()

    async def body():
        for _ in range(count):
            yield b""
        await going.wait()
        yield b"abc"

    async with served(answering(body=body)) as client:
        await client.send(get())
        await anyio.wait_all_tasks_blocked()
        assert bool(client._incoming.data) is bool(count)
        going.set()
        assert b"abc" in await receive_until(client, b"0\r\n\r\n")


@pytest.mark.parametrize("stated", [2, 4])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_body_has_the_length_that_was_told(stated, streamed, errors):
    """Else it is an error: answered, or visible if something has been sent."""
    pieces = Pieces("a", "bc")
    body = pieces if streamed else "abc"
    handler = answering(body=body, headers={"Content-Length": str(stated)})
    first, *others = await ask(handler, get() + get("/ok"))
    assert len(errors()) == 1
    if streamed:
        assert (first.status, first.whole, others) == (200, False, [])
        assert pieces.ended == 1
    else:
        assert (first.status, others[0].body) == (500, b"ok")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nSet-Cookie: b"},
        {"X\r\nY": "a"},
        {"X": "a\0"},
        {"": "a"},
        {"Content-Length": "x"},
    ],
)
async def test_nobody_splits_a_response(headers, streamed, errors):
    """Headers that cannot be sent are an error, and the body is closed."""
    receiver = received()
    body = receiver if streamed else b""
    handler = answering(body=body, headers=headers)
    first, second = await ask(handler, get() + get("/ok"))
    assert (first.status, second.body) == (500, b"ok")
    assert "set-cookie" not in first.headers
    assert len(errors()) == 1
    receiver.close()


async def test_what_is_no_body_is_an_error(errors):
    """As is a piece of it that is nothing to send."""
    for body in (5, ["a"], Pieces(5), Pieces("", None)):
        first = (await ask(answering(body=body), get()))[0]
        assert (first.status, first.whole) in ((500, True), (200, False))
    assert len(errors()) == 4


@pytest.mark.parametrize("error", [ValueError("secret"), HTTPError(503)])
@pytest.mark.parametrize("pieces", [(), (b"",), (b"a",), (b"a", bytes(LARGE))])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_body_that_fails(pieces, error, version, errors):
    """Before its first piece it is answered; after it the client sees a cut."""
    made = Pieces(*pieces, error=error)
    data = await talk(answering(body=made), get(version=version) + get("/ok"))
    first, *others = parse(data)
    assert made.ended == 1
    assert b"secret" not in data
    assert [record.exc_info[1] for record in errors()] == [error] * (
        bool(pieces) or error.args == ("secret",)
    )
    if pieces:
        assert (first.status, others) == (200, [])
        assert first.whole is (version == "1.0")  # where a reset tells: test_sockets
        assert "cut" in errors()[0].getMessage()
    else:
        assert first.status == (503 if isinstance(error, HTTPError) else 500)
        assert len(others) == (version == "1.1")


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("trailers", [None, {"X": "1"}])
async def test_a_client_that_goes_while_it_is_answered(streamed, trailers, how, errors):
    """Ends the response, closes the body, and is nothing to log."""
    made = Pieces(bytes(LARGE), "b")
    body = made if streamed else bytes(LARGE)
    async with served(answering(body=body, trailers=trailers)) as client:
        await client.send(get())
        await client.receive(10)
        getattr(client, how)()
    assert not errors()
    assert made.ended == streamed


async def test_a_cancelled_response_closes_its_body(errors):
    """At once, whatever it waits for."""
    made = Pieces("a", bytes(LARGE))
    with anyio.CancelScope() as scope:
        async with served(answering(body=made)) as client:
            await client.send(get())
            await anyio.wait_all_tasks_blocked()
            assert not made.ended
            scope.cancel()
            await anyio.sleep(1)
    assert made.ended == 1
    assert not errors()


async def test_a_producer_waits_for_the_client():
    """As its channel is full."""
    ch = csp.Channel()
    sent = []

    async def produce():
        with ch.sender() as sender:
            for n in range(100):
                await sender.send(bytes(1000))
                sent.append(n)

    async with csp.Group() as g:
        g.go(produce)
        body = ch.receiver()
        async with served(answering(body=lambda: body), capacity=10_000) as client:
            await client.send(get())
            await anyio.wait_all_tasks_blocked()
            assert 5 < len(sent) < 15
            await client.send_eof()
            (answer,) = parse(await receive_all(client))
    assert answer.body == bytes(100_000)


async def test_a_producer_learns_that_the_client_is_gone():
    """As its channel is broken."""
    ch = csp.Channel()
    ends = []

    async def produce():
        with ch.sender() as sender:
            try:
                while True:
                    await sender.send(bytes(1000))
            except csp.ChannelBroken:
                ends.append("broken")

    async with csp.Group() as g:
        g.go(produce)
        body = ch.receiver()
        async with served(answering(body=lambda: body)) as client:
            await client.send(get())
            await client.receive(1)
    assert ends == ["broken"]
