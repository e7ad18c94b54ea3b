"""Calling a handler by itself: is all that it answers kept?"""

from __future__ import annotations

import anyio
import msgspec
import pytest

import csp
from csp.net import http
from csp.net.http.testing import record, request

pytestmark = pytest.mark.anyio


def answering(*args, **kwargs):
    """Return a handler that answers so."""

    async def handler(_):
        return http.Response(*args, **kwargs)

    return handler


async def pieces():
    yield b"one "
    yield ""
    yield "zwölf"


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"bytes", b"bytes"), ("zwölf", "zwölf".encode()), (pieces, "one zwölf".encode())],
)
async def test_any_body_is_gathered(body, expected):
    """Bytes, text, and what comes bit by bit."""
    handler = answering(201, body() if callable(body) else body, {"X": "y"})
    recorded = await record(handler, request())
    assert recorded.status == 201
    assert recorded.body == expected
    assert recorded.text == expected.decode()
    assert recorded.headers["x"] == "y"
    assert len(recorded.trailers) == 0


@pytest.mark.parametrize("wrap", [csp.Channel.receiver, csp.merge])
async def test_a_channel_is_gathered(wrap):
    """And so is a block that gives something to iterate over."""

    async def produce(tx):
        with tx:
            await tx.send(b"one ")
            await tx.send(b"two")

    async def handler(_):
        ch = csp.Channel()
        csp.go(produce, ch.sender())
        return http.Response(body=wrap(ch))

    assert (await record(handler, request())).body == b"one two"


async def test_trailers_are_kept():
    """As they are when the body has ended."""

    async def handler(_):
        async def body():
            yield b"x"
            response.trailers.add("Digest", "y")

        response = http.Response(body=body(), trailers={})
        return response

    assert (await record(handler, request())).trailers["digest"] == "y"


async def test_json_is_decoded():
    """And checked against a type."""

    class User(msgspec.Struct):
        name: str

    recorded = await record(answering(200, b'{"name": "Ann"}'), request())
    assert recorded.json() == {"name": "Ann"}
    assert recorded.json(User) == User("Ann")
    with pytest.raises(msgspec.DecodeError):
        recorded.json(int)


async def test_an_http_error_is_an_answer():
    """As the server gives it."""

    async def handler(_):
        raise http.NotFound("nothing here", {"X": "y"})

    recorded = await record(handler, request())
    assert recorded.status == 404
    assert recorded.json()["detail"] == "nothing here"
    assert recorded.headers["content-type"] == "application/problem+json"
    assert recorded.headers["x"] == "y"


async def test_other_errors_come_out():
    """Those of the handler and of its body, not in a group."""

    async def failing(_):
        raise ZeroDivisionError("the handler")

    async def broken():
        yield b"x"
        raise ZeroDivisionError("the body")

    for handler in (failing, answering(body=broken())):
        with pytest.raises(ZeroDivisionError):
            await record(handler, request())


async def test_what_is_no_response_is_refused():
    """With what to write."""

    async def handler(_):
        return "text"

    with pytest.raises(TypeError, match="Write: return text"):
        await record(handler, request())


async def test_what_a_handler_starts_is_waited_for():
    """And asked to stop, as by a server."""
    ended = []

    async def work():
        await csp.stopping()
        ended.append(True)

    async def handler(_):
        csp.go(work)
        return http.text("started")

    assert (await record(handler, request())).text == "started"
    assert ended


async def test_a_block_is_entered():
    """Around the call, and its body."""
    told = []

    class Block:
        async def __aenter__(self):
            told.append("entered")

        async def __aexit__(self, *_):
            told.append("left")

        async def __call__(self, req):
            async def body():
                told.append("body")
                yield await req.read()

            return http.Response(body=body())

    recorded = await record(Block(), request("POST", body=b"x"))
    assert recorded.body == b"x"
    assert told == ["entered", "body", "left"]


@pytest.mark.clock
async def test_a_body_is_closed():
    """Though it does not end before the test does."""
    closed = []

    async def endless():
        try:
            while True:
                yield b"x"
                await anyio.sleep(1)
        finally:
            closed.append(True)

    with anyio.move_on_after(10):
        await record(answering(body=endless()), request())
    assert closed
