"""What comes of a handler, and what is answered for it."""

from __future__ import annotations

import asyncio
import logging

import anyio
import anyio.lowlevel
import pytest

import csp
from csp.net.http import ClientGone, HTTPError, NotFound, Response, text
from tests.net.http.memory import ask, get, parse, post, served, talk

pytestmark = pytest.mark.anyio


@pytest.fixture
def errors(caplog):
    """What is logged as an error."""
    caplog.set_level(logging.INFO)
    return lambda: [
        r
        for r in caplog.records
        if r.levelno >= logging.ERROR and r.name.startswith("csp")
    ]


def raising(error):
    async def handler(request):
        if request.target == "/ok":
            return text("ok")
        await anyio.lowlevel.checkpoint()
        raise error

    return handler


ERRORS = {
    "HTTPError": (NotFound("no such thing", {"X-A": "1"}), 404),
    "HTTPError of a group of one": (ExceptionGroup("", [NotFound()]), 404),
    "5xx that was meant": (HTTPError(503), 503),
    "error": (ValueError("secret"), 500),
    "timeout": (TimeoutError(), 500),
    "end of a stream": (anyio.EndOfStream(), 500),
    "broken connection to elsewhere": (anyio.BrokenResourceError(), 500),
    "group": (ExceptionGroup("", [ValueError("secret"), NotFound()]), 500),
    "headers that cannot be sent": (NotFound(headers={"X": "a\r\nb: c"}), 500),
    "headers that are none": (NotFound(headers={"X": "\N{SNOWMAN}"}), 500),
    "detail that cannot be sent": (NotFound("\ud800"), 500),
    "length that is wrong": (NotFound(headers={"Content-Length": "1"}), 500),
}


@pytest.mark.parametrize(("error", "status"), ERRORS.values(), ids=ERRORS)
async def test_an_error_is_answered(error, status, errors):
    """What is not an answer, with 500 and once in the log; the connection goes on."""
    data = await talk(raising(error), get("/x?y"), get("/ok"))
    one, two = parse(data)
    assert (one.status, one.closing, two.body) == (status, False, b"ok")
    assert b"secret" not in data
    if status != 500:
        assert not errors()
        return
    (record,) = errors()
    assert "GET /x?y from 127.0.0.1:999" in record.getMessage()
    assert issubclass(record.exc_info[0], (type(error), ValueError))


async def test_the_answer_to_an_error_has_its_headers_and_detail():
    """As problem+json."""
    (answer,) = await ask(raising(NotFound("no such thing", {"X-A": "1"})), get())
    assert answer.headers["x-a"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert b'"detail":"no such thing"' in answer.body


@pytest.mark.parametrize("value", [None, "hello", b"", 200, Response, NotFound()])
async def test_what_is_no_response_is_an_error(value, errors):
    """And the log says what to write."""

    async def handler(request):
        return value

    one, two = await ask(handler, get() + get())
    assert one.status == two.status == 500
    assert "Write: return text(...)" in str(errors()[0].exc_info[1])


async def test_a_function_that_is_not_async_is_an_error(errors):
    """It is the request's, not the server's."""
    (answer,) = await ask(lambda _: text(""), get())
    assert answer.status == 500
    assert len(errors()) == 1


async def test_an_error_with_the_body_unread_leaves_the_connection_right():
    """The body is read past, as after a response."""
    one, two = await ask(raising(ValueError()), post(b"GET /a HTTP"), get("/ok"))
    assert (one.status, two.body) == (500, b"ok")


async def test_a_cancellation_that_nobody_asked_for_is_an_error(errors, backend):
    """As of another task of asyncio, whose result the handler waits for."""
    if backend == "trio":
        pytest.skip("trio's cannot be raised by hand")

    async def handler(request):
        if request.target == "/ok":
            return text("ok")
        task = asyncio.ensure_future(asyncio.sleep(1))
        task.cancel()
        return await task

    one, two = await ask(handler, get(), get("/ok"))
    assert (one.status, two.body) == (500, b"ok")
    assert len(errors()) == 1


async def test_a_cancelled_handler_is_cancelled(errors):
    """It answers nothing; what cancels it goes on as usual."""
    ended = []

    async def handler(request):
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(request.target)

    with anyio.CancelScope() as scope:
        async with served(handler) as client:
            await client.send(get())
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            await anyio.sleep(1)
    assert ended == ["/"]
    assert scope.cancelled_caught
    assert not errors()


@pytest.mark.parametrize("group", [False, True])
async def test_who_is_gone_is_not_logged(group, errors):
    """However the handler learns of it: alone, or in two tasks at once."""
    learned = []

    async def read(request):
        try:
            await request.read()
        except ClientGone as error:
            learned.append(error)
            raise

    async def handler(request):
        if not group:
            await read(request)
        async with csp.Group() as g:
            g.go(read, request)
            g.go(raising(ClientGone()), request)

    assert await talk(handler, post(b"abc", "Content-Length: 10")) == b""
    assert len(learned) == 1
    assert not errors()


async def test_a_handler_may_start_tasks_that_outlive_its_response():
    """They are those of the server, if it has a group."""
    done = []

    async def later():
        await anyio.sleep(0.1)
        done.append(1)

    async def handler(request):
        csp.go(later)
        return text("")

    async with csp.Group():
        await talk(handler, get())
        assert not done
    assert done
