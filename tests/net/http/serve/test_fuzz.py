"""Random requests, cut into random pieces, against a model; and random bytes."""

from __future__ import annotations

import logging
import random

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csp.net.http import HTTPError, Limits, Response, text
from tests.net.http.memory import ask, get, logged, post, talk

pytestmark = pytest.mark.anyio

WORDS = st.binary(max_size=300)


@st.composite
def exchanges(draw):
    """A request, and what is to come of it: status, body, whether it closes."""
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "FROB"]))
    does = draw(
        st.sampled_from(["echo", "stream", "deaf", "error", "fail", "empty", "none"])
    )
    closes = draw(st.sampled_from([False] * 6 + [True]))
    body = draw(st.one_of(WORDS, st.lists(WORDS.filter(bool), max_size=4)))
    fields = ["Connection: close"] if closes else []
    request = post(body, *fields, target=f"/{does}").replace(
        b"POST", method.encode(), 1
    )
    whole = body if isinstance(body, bytes) else b"".join(body)
    status, answer = {
        "echo": (200, whole),
        "stream": (200, whole + b"end"),
        "deaf": (200, b"deaf"),
        "error": (404, None),
        "fail": (500, None),
        "empty": (204, b""),
        "none": (500, None),
    }[does]
    return request, method, (status, b"" if method == "HEAD" else answer), closes


async def handler(request):
    """Do what the model says."""
    await anyio.lowlevel.checkpoint()
    match request.path:
        case "/echo":
            return text(await request.read())
        case "/stream":
            return Response(body=stream(request))
        case "/deaf":
            return text("deaf")
        case "/error":
            raise HTTPError(404)
        case "/fail":
            raise ValueError("secret")
        case "/empty":
            return Response(204)
    return None


async def stream(request):
    async for data in request.body:
        yield data
    yield b"end"


@given(st.lists(exchanges(), max_size=6), st.randoms(use_true_random=False))
async def test_requests_are_answered_as_the_model_says(script, chance):
    """All up to the first that closes, in order, whatever pieces they come in."""
    data = b"".join(request for request, *_ in script)
    pieces = []
    while data:
        size = chance.choice([1, 5, 50, 5000])
        pieces.append(data[:size])
        data = data[size:]
    answers = await ask(handler, *pieces, methods=[method for _, method, *_ in script])
    closing = [closes for *_, closes in script]
    expected = script[: closing.index(True) + 1] if True in closing else script
    assert len(answers) == len(expected)
    for answer, (_, _, (status, body), closes) in zip(answers, expected, strict=True):
        assert (answer.status, answer.whole, answer.closing) == (status, True, closes)
        assert body in (None, answer.body)
        assert b"secret" not in answer.body


@given(data=st.data())
async def test_junk_is_refused(data):
    """It never gets a 500 or a traceback, nor keeps the connection busy."""
    good = get("/echo") + post([b"ab", b"cd"], "X-A: b", target="/stream")
    junk = data.draw(st.one_of(st.binary(max_size=200), st.just(good)))
    if junk == good:
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(junk)))
            insert = data.draw(st.sampled_from(BAD))
            junk = junk[:at] + insert + junk[at + data.draw(st.integers(0, 3)) :]
    with anyio.fail_after(50):
        answers = await ask(deaf_to_errors, junk, limits=Limits(linger=0.01))
    for answer in answers:
        assert answer.status < 500 or answer.status in (501, 505)
        assert b"Traceback" not in answer.body
    assert sum(answer.closing for answer in answers) <= 1


BAD = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b":",
    b"\xff",
    b"0",
    b"fffffffff",
    b";",
    b"\t",
]


async def deaf_to_errors(request):
    return text(await request.read())


async def test_a_lot_of_junk(scale, caplog):
    """In one connection after the other; nothing of it is worth a word in the log."""
    caplog.set_level(logging.INFO)
    chance = random.Random(1)
    good = get("/a", "X: y") + post(b"body") + post([b"chunk"])
    for _ in range(scale(200, 20_000)):
        junk = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            junk[chance.randrange(len(junk))] = chance.choice(b"\0\r\n :;,0f\xff\t/")
        data = await talk(deaf_to_errors, bytes(junk))
        assert b" 500 " not in data
    assert not logged(caplog)
