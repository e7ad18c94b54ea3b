"""Streams in and out of marshaled functions; and that they are closed at every end."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest

import csp
from csp.net import http
from csp.net.http.testing import record, request
from csp.net.http.web import Reply, marshaled
from csp.net.http.web._lines import Lines
from tests.net.http.memory import (
    ask,
    get,
    post,
    receive_all,
    receive_until,
    served,
)

pytestmark = pytest.mark.anyio

LINES = {"Content-Type": "application/jsonl"}


class Item(msgspec.Struct):
    n: int


class Source:
    """Numbers, as an iterable that has to be closed."""

    def __init__(self, *items, error=None):
        self.items = list(items)
        self.error = error
        self.closed = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        await anyio.lowlevel.checkpoint()
        if self.items:
            return self.items.pop(0)
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def aclose(self):
        self.closed += 1


@marshaled
async def doubled(items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """Answer to each item as it comes."""
    async for item in items:
        yield Item(item.n * 2)


# In


@pytest.mark.parametrize(
    "kind", [http.Body, AsyncIterator[bytes], AsyncIterable[bytes]]
)
async def test_a_body_can_be_had_as_it_comes(kind):
    """Of any type, as nobody decodes it."""

    async def size(data) -> int:
        return sum([len(piece) async for piece in data])

    size.__annotations__["data"] = kind
    asked = request("POST", body=b"x" * 10, headers={"Content-Type": "image/png"})
    assert (await record(marshaled(size), asked)).json() == 10


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"", b""),
        (b'{"n":1}', b'{"n":2}\n'),
        (b'{"n":1}\n{"n":2}\n', b'{"n":2}\n{"n":4}\n'),
        (b'\r\n{"n":1}\r\n \n\n{"n":2}', b'{"n":2}\n{"n":4}\n'),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
async def test_lines_are_decoded_however_they_are_cut(body, answer, size):
    """Those that are blank are no items."""

    async def pieces():
        for at in range(0, len(body), size):
            yield body[at : at + size]

    recorded = await record(doubled, request("POST", body=pieces(), headers=LINES))
    assert (recorded.status, recorded.body) == (200, answer)
    assert recorded.headers["content-type"] == "application/jsonl"


@pytest.mark.parametrize(
    ("body", "line", "pointer"),
    [
        (b'{"n":1}\n\n{"n":"x"}\n', 3, "/n"),
        (b"7", 1, ""),
        (b'{"n":1}\n{"n":\n2}', 2, None),
        (b'{"n":1}\n' + b"[" * 100_000, 2, None),
        (b'{"n":1}\n"\xff"', 2, None),
        (b'{"n":1}{"n":1}', 1, None),
    ],
)
async def test_a_bad_line_is_told_by_its_number(body, line, pointer):
    """400, as long as nothing has been answered."""

    @marshaled
    async def count(items: AsyncIterator[Item]) -> int:
        return len([item async for item in items])

    recorded = await record(count, request("POST", body=body, headers=LINES))
    problem = recorded.json()
    assert (recorded.status, problem["line"]) == (400, line)
    assert problem["detail"].startswith(f"line {line}: ")
    if pointer is not None:
        assert problem["pointer"] == pointer


async def test_each_item_comes_as_soon_as_its_line():
    """While the rest of the body is not there yet."""
    seen = []

    @marshaled
    async def watch(items: AsyncIterator[Item]) -> None:
        async for item in items:
            seen.append(item.n)  # noqa: PERF401 - one by one

    fields = "Content-Type: application/x-ndjson", "Transfer-Encoding: chunked"
    async with served(watch) as client:
        await client.send(get("/", *fields, method="POST") + b'9\r\n{"n":1}\n{\r\n')
        await anyio.wait_all_tasks_blocked()
        assert seen == [1]
        await client.send(b'6\r\n"n":2}\r\n0\r\n\r\n')
        await client.send_eof()
        assert b" 204 " in await receive_all(client)
    assert seen == [1, 2]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
async def test_lines_need_their_type(content_type):
    """Else it is a 415 that says which."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    recorded = await record(doubled, request("POST", headers=headers, body=b"1"))
    assert recorded.status == 415
    assert recorded.headers["accept-post"] == "application/jsonl, application/x-ndjson"


async def test_the_query_is_looked_at_before_the_lines():
    """400 for it goes before 415, as for other bodies."""

    @marshaled
    async def handler(items: AsyncIterator[Item], n: int) -> None: ...

    for target, status in ("/?n=x", 400), ("/?n=1", 415):
        asked = request("POST", target, body=b"1")
        assert (await record(handler, asked)).status == status


async def test_one_long_line_takes_no_more_than_its_length():
    """It is not searched again for each piece that comes."""
    line = b'{"n":1,"x":"' + b"x" * 3_000_000 + b'"}'

    class Pieces(http.Body):
        at = 0

        async def receive(self):
            self.at += 10
            if self.at > len(line) + 10:
                raise anyio.EndOfStream
            return line[self.at - 10 : self.at]

    items = Lines[Item](Pieces(), msgspec.json.Decoder(Item).decode)
    before = time.perf_counter()
    assert [item.n async for item in items] == [1]
    assert time.perf_counter() - before < 2


# Out


def generator():
    async def numbers():
        yield {"n": 1}
        yield {"n": 2}

    return numbers()


def receiver():
    channel = csp.Channel(2)
    with channel.sender() as tx:
        tx.send_nowait({"n": 1})
        tx.send_nowait({"n": 2})
    return channel.receiver()


def merged():
    return csp.merge(generator())


@pytest.mark.parametrize("make", [generator, receiver, merged])
@pytest.mark.parametrize("wrap", [lambda x: x, Reply])
async def test_what_comes_bit_by_bit_goes_out_as_lines(make, wrap):
    """Generators, channels, and blocks that give them."""
    recorded = await record(marshaled(lambda: wrap(make())), request())
    assert (recorded.status, recorded.body) == (200, b'{"n":1}\n{"n":2}\n')
    assert recorded.headers["content-type"] == "application/jsonl"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/jsonl"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson, application/jsonl;q=0.5", "application/x-ndjson"),
        ("application/json", None),
    ],
)
async def test_lines_have_the_name_that_the_client_knows(accept, content_type):
    """406 if it knows none."""
    asked = request("POST", headers={**LINES, "Accept": accept})
    recorded = await record(doubled, asked)
    assert recorded.status == (406 if content_type is None else 200)
    if content_type is not None:
        assert recorded.headers["content-type"] == content_type


@pytest.mark.parametrize("pieces", [(b"a,", b"b"), ("a,", "b")])
async def test_bytes_and_text_go_out_as_they_are(pieces):
    """With a content type, of the function or its reply."""

    @marshaled(content_type="text/csv")
    async def table() -> AsyncGenerator[str, None]:
        for piece in pieces:
            yield piece

    @marshaled
    async def reply() -> Reply[AsyncIterator[bytes]]:
        return Reply(Source(*pieces), 203, {"Content-Type": "text/csv"})

    for handler, status in (table, 200), (reply, 203):
        recorded = await record(handler, request(headers={"Accept": "text/*"}))
        assert (recorded.status, recorded.body) == (status, b"a,b")
        assert recorded.headers["content-type"] == "text/csv"


@pytest.mark.parametrize("item", [b"x", "x"])
async def test_without_a_type_they_are_refused(item):
    """Before anything is sent; fix: the original leaves the stream open."""
    source = Source(item)
    with pytest.raises(TypeError, match="content_type"):
        await record(marshaled(lambda: source), request())
    assert source.closed == 1


# Closing


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/csv"}])
async def test_a_406_after_the_call_closes_the_stream(headers):
    """Fix: the original leaves it open."""
    source = Source(1)
    handler = marshaled(lambda: Reply(source, headers=headers))
    recorded = await record(handler, request(headers={"Accept": "image/*"}))
    assert (recorded.status, source.closed) == (406, 1)


async def test_the_end_closes_the_stream():
    """Once."""
    source = Source([1])
    await record(marshaled(lambda: source), request())
    assert source.closed == 1


@pytest.mark.parametrize(
    ("items", "status"), [([], 500), ([[1]], 200)], ids=["at first", "later"]
)
async def test_an_error_closes_the_stream(items, status, caplog):
    """It is a 500 before the first item; after it the response is cut."""
    source = Source(*items, error=RuntimeError("broken"))
    (answer,) = await ask(marshaled(lambda: source), get())
    assert (answer.status, source.closed) == (status, 1)
    assert b"broken" not in answer.body
    assert answer.whole is (status == 500)


async def test_an_item_that_cannot_be_encoded_closes_the_stream(caplog):
    """As any other error does."""
    source = Source(object())
    (answer,) = await ask(marshaled(lambda: source), get())
    assert (answer.status, source.closed) == (500, 1)


async def test_a_head_closes_the_stream():
    """Without a look at it."""
    source = Source([1])
    (answer,) = await ask(
        marshaled(lambda: source), get(method="HEAD"), methods=["HEAD"]
    )
    assert (answer.status, answer.body, source.closed) == (200, b"", 1)
    assert source.items == [[1]]


class Endless(Source):
    async def __anext__(self):
        await anyio.lowlevel.checkpoint()
        return ["x" * 1000]


async def test_a_client_that_goes_closes_the_stream():
    """As soon as that is noticed."""
    source = Endless()
    async with served(marshaled(lambda: source), capacity=4096) as client:
        await client.send(get())
        await client.receive()
        client.abort()
        with anyio.fail_after(5):
            while not source.closed:
                await anyio.lowlevel.checkpoint()
    assert source.closed == 1


async def test_cancellation_closes_the_stream():
    """In the middle of it, and a block that gives it is left."""
    left = []

    @asynccontextmanager
    async def block():
        try:
            yield Waiting()
        finally:
            left.append(True)

    class Waiting(Source):
        async def __anext__(self):
            await anyio.sleep_forever()

    with anyio.move_on_after(0.01) as scope:
        await record(marshaled(block), request())
    assert scope.cancelled_caught
    assert left == [True]


async def test_a_generator_function_is_closed_too():
    """Its finally runs."""
    left = []

    @marshaled
    async def numbers() -> AsyncIterator[list[int]]:
        try:
            yield [1]
            raise RuntimeError
        finally:
            left.append(True)

    with pytest.raises(RuntimeError):
        await record(numbers, request())
    assert left == [True]


async def test_items_are_answered_while_they_come():
    """An answer goes out before the next item is in."""
    async with served(doubled) as client:
        fields = "Content-Type: application/jsonl", "Transfer-Encoding: chunked"
        await client.send(get("/", *fields, method="POST"))
        await client.send(b'8\r\n{"n":1}\n\r\n')
        head = await receive_until(client, b'{"n":2}\n')
        assert b" 200 " in head
        await client.send(b'8\r\n{"n":2}\n\r\n0\r\n\r\n')
        await client.send_eof()
        assert b'{"n":4}\n' in await receive_all(client)


async def test_a_bad_line_late_cuts_the_answer():
    """As it has begun; the client sees that it is not whole."""
    body = b'{"n":1}\n{"n":"x"}\n'
    (answer,) = await ask(
        doubled, post(body, "Content-Type: application/jsonl", "Content-Length: 18")
    )
    assert (answer.status, answer.whole) == (200, False)
