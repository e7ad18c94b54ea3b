"""The transcript of a request; vectors 20 and 21."""

from __future__ import annotations

import io
import logging
import re
from contextlib import suppress

import anyio
import pytest

from csp.net.http import Request, Response, json, text
from csp.net.http.testing import record, request
from csp.net.http.web import first, logged
from tests.net.http.memory import ask, get, post, served

pytestmark = pytest.mark.anyio


async def echo(request):
    return json(await request.json())


async def transcript(handler, request, **options):
    """Return the lines of a request, without its id."""
    out = io.StringIO()
    options.setdefault("make_id", lambda _: "ID")
    with suppress(OSError):
        await record(logged(out, **options)(handler), request)
    return out.getvalue().removesuffix("\n").split("\n")


async def test_the_transcript_of_a_post_has_nine_lines():
    """Keep: Tiger Tonic's, to the letter."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    out = io.StringIO()
    await logged(out)(echo)(Request("POST", "/foo?q=1", headers, b'{"foo":"bar"}\n'))
    (name,) = set(re.findall(r"^\w{16}", out.getvalue(), re.MULTILINE))
    assert out.getvalue() == "".join(
        f"{name} {line}\n"
        for line in [
            "> POST /foo?q=1 HTTP/1.1",
            "> Accept: application/json",
            "> Content-Type: application/json",
            ">",
            '> {"foo":"bar"}',
            "< HTTP/1.1 200 OK",
            "< Content-Type: application/json",
            "<",
            '< {"foo":"bar"}',
        ]
    )


async def test_ids_differ():
    """They are of letters and digits."""
    out = io.StringIO()
    handler = logged(out)(echo)
    for _ in range(20):
        await handler(Request("POST", "/", body=b"1"))
    names = set(re.findall(r"^([A-Za-z0-9]{16}) > POST", out.getvalue(), re.MULTILINE))
    assert len(names) == 20


async def test_lines_go_to_the_logger_by_default(caplog):
    """And nothing is done if that is off."""
    made = []
    handler = logged(make_id=lambda _: made.append(1) or "ID")(echo)
    with caplog.at_level(logging.INFO, "csp.net.http.access"):
        await handler(Request("POST", "/", body=b"1"))
    assert caplog.records[0].getMessage() == "ID > POST / HTTP/1.1"
    with caplog.at_level(logging.WARNING, "csp.net.http.access"):
        await handler(Request("POST", "/", body=b"1"))
    assert len(made) == 1


async def test_credentials_are_not_shown():
    """Fix: in both directions, whatever the case of the name."""

    async def handler(request):
        return text("", headers={"set-cookie": "SECRET"})

    names = ["AUTHORIZATION", "proxy-authorization", "Cookie"]
    asked = request(headers=dict.fromkeys(names, "SECRET"))
    lines = await transcript(handler, asked)
    assert not [line for line in lines if "SECRET" in line]
    assert sum("***" in line for line in lines) == 4
    lines = await transcript(handler, asked, secrets=["cookie"])
    assert sum("***" in line for line in lines) == 1


async def test_a_redactor_sees_every_line():
    """Keep."""
    asked = request(
        "POST", "/SECRET", headers={"X-Secret": "SECRET"}, json={"a": "SECRET"}
    )
    lines = await transcript(
        echo, asked, redact=lambda line: line.replace("SECRET", "REDACTED")
    )
    assert "SECRET" not in "".join(lines)
    assert "".join(lines).count("REDACTED") == 4


@pytest.mark.parametrize(
    ("kind", "coding", "shown"),
    [
        (None, None, True),
        ("text/html; charset=utf-8", None, True),
        ("application/json; charset=utf-8", None, True),  # fix: it was hidden
        ("Application/Problem+JSON", None, True),
        ("image/png", None, False),
        ("application/x-www-form-urlencoded", None, False),
        ("text/plain", "gzip", False),
    ],
)
async def test_bodies_that_are_no_text_are_not_shown(kind, coding, shown):
    """In both directions."""
    fields = {"Content-Type": kind, "Content-Encoding": coding}
    headers = {name: value for name, value in fields.items() if value is not None}

    async def handler(request):
        return Response(200, await request.read(), headers)

    lines = await transcript(handler, Request("POST", "/", headers, b"SECRET"))
    assert ("ID > SECRET" in lines) == ("ID < SECRET" in lines) == shown
    assert ("ID > ** request body redacted **" in lines) != shown
    assert ("ID < ** response body redacted **" in lines) != shown


async def test_of_a_long_body_the_beginning_is_shown():
    """And that there was more, once."""

    async def handler(request):
        return Response(body=request.body)

    async def pieces():
        for piece in (b"abc", b"def", b"ghi"):
            yield piece

    asked = request("POST", "/", body=pieces())
    lines = await transcript(handler, asked, body_bytes=4)
    for way, whose in (">", "request"), ("<", "response"):
        said = [line[5:] for line in lines if line.startswith(f"ID {way}")]
        rest = f"** the rest of the {whose} body is left out **"
        assert said[-3:] == ["abc", "d", rest]


async def test_no_client_can_forge_a_line():
    """Neither by the target nor in a field or body."""
    asked = request("POST", "/", body="a\nID < HTTP/1.1 200 OK\x1b[31m\u2028")
    asked.target = "/\r\nX"
    asked.headers["X"] = "\x85\n"
    lines = await transcript(first(lambda _: text("x")), asked)
    assert lines[0] == "ID > POST /\\x0d\\x0aX HTTP/1.1"
    assert "ID > X: \\x85\\x0a" in lines

    async def read(request):
        return text(str(len(await request.read())))

    lines = await transcript(read, request("POST", "/", body="a\nID < b\x1b[3m"))
    assert lines[-6:-4] == ["ID > a", "ID > ID < b\\x1b[3m"]


async def test_a_stream_is_shown_as_it_passes():
    """The head before the first piece; closed at the end."""
    out = io.StringIO()
    log = []

    async def pieces():
        try:
            yield b"one\n"
            log.append(out.getvalue())
            yield "two\n"
        finally:
            log.append("closed")

    async def handler(request):
        return Response(body=pieces())

    handler = logged(out, make_id=lambda _: "ID")(handler)
    (answer,) = await ask(handler, get())
    assert answer.body == b"one\ntwo\n"
    assert log[0].endswith("ID < HTTP/1.1 200 OK\nID <\nID < one\n")
    assert log[1] == "closed"
    assert out.getvalue().endswith("ID < one\nID < two\n")


async def test_a_response_without_a_body_is_shown_too():
    """Fix: who wrote nothing had no response in the log."""

    async def empty():
        return
        yield

    for body in (b"", empty()):
        lines = await transcript(first(lambda _, b=body: Response(204, b)), request())
        assert lines[-2:] == ["ID < HTTP/1.1 204 No Content", "ID <"]


async def test_an_error_is_shown_as_the_server_answers_it():
    """With its status, never 0."""
    lines = await transcript(
        first(lambda _: None), request(headers={"Accept": "text/*"})
    )
    assert "ID < HTTP/1.1 404 Not Found" in lines
    assert lines[-1] == "ID < Not Found"

    async def fail(request):
        raise OSError("SECRET")

    lines = await transcript(fail, request())
    assert "ID < HTTP/1.1 500 Internal Server Error" in lines
    assert "SECRET" not in "".join(lines)


@pytest.mark.parametrize("late", [False, True])
async def test_a_stream_that_fails(late):
    """Before its first piece another response is sent; after it, it is cut."""

    async def pieces():
        if late:
            yield b"x"
        raise OSError

    lines = await transcript(first(lambda _: Response(body=pieces())), request())
    cut = "ID < ** the response was cut **"
    assert (lines[-1] == cut) == ("ID < HTTP/1.1 200 OK" in lines) == late
    assert ("ID < HTTP/1.1 500 Internal Server Error" in lines) != late


async def test_a_client_that_goes_leaves_the_body_closed():
    """And the transcript says that it was cut."""
    out = io.StringIO()
    closed = anyio.Event()

    async def pieces():
        try:
            while True:
                yield b"x" * 65536
                await anyio.lowlevel.checkpoint()
        finally:
            closed.set()

    handler = logged(out)(first(lambda _: Response(body=pieces())))
    async with served(handler) as client:
        await client.send(get())
        await client.receive()
        client.abort()
        await closed.wait()
    assert out.getvalue().endswith(" < ** the response was cut **\n")


async def test_who_does_not_answer_leaves_the_body_to_the_next():
    """Not shown as that of the first."""
    out = io.StringIO()

    async def nothing(request):
        return None

    handler = first(logged(out)(nothing), echo)
    (answer,) = await ask(handler, post(b"1"))
    assert answer.body == b"1"
    assert " < " not in out.getvalue()
    assert "> 1" not in out.getvalue()


async def test_nested_ones_show_all():
    """Each with its own id."""
    out, inner = io.StringIO(), io.StringIO()
    await record(logged(out)(logged(inner)(echo)), request("POST", json=1))
    assert [s[17:] for s in out.getvalue().split("\n")] == [
        s[17:] for s in inner.getvalue().split("\n")
    ]


def test_where_nothing_can_be_written_is_refused():
    """As a handler, if the brackets are forgotten."""
    with pytest.raises(TypeError, match=r"logged\(\)\(handler\)"):
        logged(echo)
    with pytest.raises(TypeError, match="write"):
        logged(secrets="cookie")
