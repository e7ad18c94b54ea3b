"""Lines in the combined format; vector 20."""

from __future__ import annotations

import io
import re
import time
from contextlib import suppress

import pytest

from csp.net.http import ClientGone, NotFound, Request, Response, text
from csp.net.http.testing import record, request
from csp.net.http.web import apache_logged, first
from csp.net.http.web.middleware import _apache_logged

pytestmark = pytest.mark.anyio

LINE = re.compile(
    r"(?P<host>\S+) - (?P<user>\S+) "
    r"\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    r'"(?P<asked>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<size>-|[1-9]\d*) '
    r'"(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"\n'
)


async def line(answer, asked=None):
    """Return the fields of the line of a request."""
    out = io.StringIO()

    async def handler(request):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    with suppress(OSError, ClientGone, NotFound):
        await record(apache_logged(out)(handler), asked or request())
    return LINE.fullmatch(out.getvalue()).groupdict()


async def test_a_line_has_its_fields():
    """Keep the format."""
    headers = {
        "Authorization": "bAsIc YW5uOnNlY3JldA==",
        "Referer": "http://x/",
        "User-Agent": "curl/8",
    }
    found = await line(text("Hello, world!\n"), request("GET", "/a?b", headers=headers))
    del found["time"]
    assert found == {
        "host": "127.0.0.1",
        "user": "ann",
        "asked": "GET /a?b HTTP/1.1",
        "status": "200",
        "size": "14",
        "referer": "http://x/",
        "agent": "curl/8",
    }


async def pieces(*all_of_them, error=None):
    for piece in all_of_them:
        yield piece
    if error is not None:
        raise error


GERMAN = "\u00fc"


@pytest.mark.parametrize(
    ("answer", "method", "status", "size"),
    [
        (lambda: text(""), "GET", "200", "-"),  # fix: status 0
        (lambda: text(GERMAN), "GET", "200", "2"),
        (lambda: text("x"), "HEAD", "200", "-"),
        (lambda: Response(304, b"x"), "GET", "304", "-"),
        (lambda: Response(body=pieces(b"ab", GERMAN)), "GET", "200", "4"),
        (lambda: Response(body=pieces(b"ab", error=OSError())), "GET", "200", "2"),
        (lambda: Response(body=pieces(error=NotFound())), "GET", "404", "75"),
        (NotFound, "GET", "404", "75"),
        (NotFound, "HEAD", "404", "-"),
        (OSError, "GET", "500", "111"),
        (ClientGone, "GET", "499", "-"),
    ],
)
async def test_status_and_bytes_are_those_of_the_response(answer, method, status, size):
    """Of a stream what was sent, "-" for nothing."""
    found = await line(answer(), request(method))
    assert (found["status"], found["size"]) == (status, size)


async def test_the_line_of_a_stream_comes_at_its_end(monkeypatch):
    """With the time of its beginning: fix."""
    out = io.StringIO()
    now = 1136239445.9
    monkeypatch.setattr(_apache_logged.time, "time", lambda: now)

    async def slow():
        nonlocal now
        now += 100
        assert not out.getvalue()
        yield b"x"

    await record(apache_logged(out)(first(lambda _: Response(body=slow()))), request())
    at = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(1136239445))
    assert LINE.fullmatch(out.getvalue())["time"] == at


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be set")
@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("MST7", "02/Jan/2006:15:04:05 -0700"),
        ("UTC0", "02/Jan/2006:22:04:05 +0000"),
        ("IST-5:30", "03/Jan/2006:03:34:05 +0530"),
        ("NST3:30", "02/Jan/2006:18:34:05 -0330"),
    ],
)
def test_the_time_is_that_of_the_zone(zone, shown, monkeypatch):
    """West of Greenwich the offset has a minus."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    _apache_logged._clock.cache_clear()
    try:
        assert _apache_logged._clock(1136239445) == shown
    finally:
        monkeypatch.undo()
        time.tzset()
        _apache_logged._clock.cache_clear()


@pytest.mark.parametrize(
    ("client", "host"),
    [
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:80", "::1"),
        ("unix:/run/x:y", "-"),
        ("", "-"),
    ],
)
async def test_the_host_has_no_port(client, host):
    """Fix: an address of IPv6 is whole."""
    assert (await line(text(""), request(client=client)))["host"] == host


@pytest.mark.parametrize(
    ("field", "user"),
    [
        ("Bearer x", "-"),
        ("Basic", "-"),
        ("Basic ???", "-"),
        ("Basic YW5u", "-"),
        ("Basic OnNlY3JldA==", "-"),
        ("Basic YSBiOng=", "a\\x20b"),
        ("Basic Ilw6eA==", '\\"\\\\'),
        ("Basic w7w6eA==", "\\xc3\\xbc"),
    ],
)
async def test_the_user_is_one_field(field, user):
    """Whatever the name is; "-" if there is none."""
    asked = request(headers={"Authorization": field})
    assert (await line(text(""), asked))["user"] == user


async def test_quotes_and_control_characters_are_escaped_as_by_apache():
    """Fix: a client could forge lines."""
    asked = Request("GET", "/")
    asked.target = '/"\\\x1b'
    asked.headers["User-Agent"] = "a\nb\tc\x00\xff"
    found = await line(text(""), asked)
    assert found["asked"] == 'GET /\\"\\\\\\x1b HTTP/1.1'
    assert found["agent"] == "a\\nb\\tc\\x00\\xff"
    assert found["referer"] == "-"


def test_where_nothing_can_be_written_is_refused():
    """As a handler, if the brackets are forgotten."""
    with pytest.raises(TypeError, match=r"apache_logged\(\)\(handler\)"):
        apache_logged(print)
