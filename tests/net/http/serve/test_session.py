"""One request after the other on a connection: which are answered, and when it ends."""

from __future__ import annotations

import pytest

from csp.net.http import Limits, Response, text
from tests.net.http.memory import ask, get, logged, parse, post, served, talk

pytestmark = pytest.mark.anyio


async def echo(request):
    """Answer with the target and the body."""
    return text(f"{request.target} {(await request.read()).decode()}")


async def deaf(request):
    """Answer with the target, and leave the body alone."""
    return text(request.target)


def bodies(answers):
    return [answer.body for answer in answers]


async def test_a_connection_is_used_again():
    """By HTTP/1.1, until somebody closes."""
    async with served(echo) as client:
        for n in range(3):
            await client.send(get(f"/{n}"))
            (answer,) = parse(await client.receive())
            assert (answer.status, answer.body) == (200, b"/%d " % n)
            assert "connection" not in answer.headers


@pytest.mark.parametrize(
    ("version", "fields", "kept"),
    [
        ("1.1", [], True),
        ("1.1", ["Connection: close"], False),
        ("1.1", ["Connection: x, Close"], False),
        ("1.0", [], False),
        ("1.0", ["Connection: keep-alive"], True),
    ],
)
async def test_who_says_that_a_connection_is_kept(version, fields, kept):
    """The version says it, and Connection; the second request tells what was done."""
    one = get("/1", *fields, version=version)
    answers = await ask(echo, one + get("/2"))
    assert bodies(answers) == ([b"/1 ", b"/2 "] if kept else [b"/1 "])
    assert answers[0].closing is not kept
    if version == "1.0" and kept:
        assert answers[0].headers["connection"] == "keep-alive"


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_pipelined_requests_are_answered_in_order(size):
    """However they are divided into pieces."""
    stream = get("/1") + post(b"two", target="/2") + post([b"thr", b"ee"]) + get("/4")
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    answers = await ask(echo, *pieces)
    assert bodies(answers) == [b"/1 ", b"/2 two", b"/ three", b"/4 "]


async def test_garbage_after_a_request_is_answered_after_it():
    """In order, and then the connection is closed."""
    first, second = await ask(echo, get("/1") + b"garbage\r\n\r\n" + get("/3"))
    assert (first.status, first.closing, first.body) == (200, False, b"/1 ")
    assert (second.status, second.closing) == (400, True)
    assert second.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("how", ["the client", "the handler", "an error"])
async def test_nothing_is_done_after_a_response_that_closes(how):
    """Whoever wanted it so."""
    seen = []

    async def handler(request):
        seen.append(request.target)
        fields = {"Connection": "close"} if how == "the handler" else None
        return text("", headers=fields)

    one = get("/1", *["Connection: close"] * (how == "the client"))
    if how == "an error":
        one = b"GET / HTTP/1.1\r\n\r\n"  # without Host
    (answer,) = await ask(handler, one + get("/2"), get("/3"))
    assert answer.closing
    assert seen == ([] if how == "an error" else ["/1"])


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [("HEAD", 200, "5"), ("GET", 204, None), ("GET", 304, None), ("GET", 200, "5")],
)
async def test_a_response_without_content_ends_with_its_head(method, status, length):
    """And the next one follows it at once."""

    async def handler(request):
        return Response(status, b"" if status != 200 else b"hello")

    requests = get(method=method) + get()
    one, two = await ask(handler, requests, methods=[method])
    assert (one.status, one.headers["content-length"]) == (status, length)
    assert one.body == (b"hello" if (method, status) == ("GET", 200) else b"")
    assert two.status == status
    assert "transfer-encoding" not in one.headers


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (get("/" + "a" * 9_000), 414),
        (get("/", "X: " + "a" * 70_000), 431),
        (get("/", *["X: y"] * 101), 431),
        (get("/", "Expect: more"), 417),
        (post(b"", "Content-Length: 20000000"), 413),
        (b"HEAD / HTTP/1.1\r\n\r\n", 400),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    ],
)
async def test_what_is_no_request_is_refused(request_, status, caplog):
    """With its status, without a call of the handler or a word in the log."""
    data = await talk(deaf, request_, half_close=False)
    (answer,) = parse(data, request_.split(b" ")[0].decode("latin-1"))
    assert (answer.status, answer.closing, answer.whole) == (status, True, True)
    assert not logged(caplog)


async def test_a_client_that_sends_nothing_is_told_nothing():
    """Its connection ends."""
    assert await talk(echo, b"") == b""
    assert await talk(echo, b"GET / HT") == b""


async def test_the_request_is_what_was_sent():
    """Down to the addresses of both ends."""
    seen = []

    async def handler(request):
        seen.append(request)
        return text("")

    await talk(handler, get("http://y/a%20b?c=d", "X-A: 1", version="1.0"))
    (it,) = seen
    assert (it.method, it.target, it.http_version) == ("GET", "/a%20b?c=d", "1.0")
    assert (it.client, it.server, it.scheme) == (
        "127.0.0.1:999",
        "127.0.0.1:80",
        "http",
    )
    assert (it.headers["x-a"], it.path, it.query["c"]) == ("1", "/a b", "d")


@pytest.mark.parametrize("size", [10, 300_000, 2_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_nobody_read_is_read_past(size, chunked):
    """If it is not too much; else the connection is closed, which is told if known."""
    body = bytes(size)
    one = post([body[:70_000], body[70_000:]] if chunked else body, target="/1")
    first, *others = await ask(deaf, one + get("/2"), limits=Limits(linger=0.1))
    assert first.body == b"/1"
    assert bodies(others) == ([b"/2"] if size == 10 else [])
    assert first.closing is (size > 10 and not chunked)


async def test_empty_lines_before_a_request_are_skipped():
    """As RFC 9112 2.2 asks for."""
    assert bodies(await ask(deaf, b"\r\n" + get("/1") + b"\r\n" + get("/2"))) == [
        b"/1",
        b"/2",
    ]
