"""The access log of the command line."""

from __future__ import annotations

import logging
import os
import signal

import anyio
import pytest

pytest.importorskip("httptools")

from csp.net import http
from csp.net._cli._access import Logged, escaped, with_access_log
from tests.net.command import answer, ask, get, starting

PROGRAM = """
from csp.net import http

async def app(request):
    if request.path == "/teapot":
        raise http.ImATeapot
    if request.path == "/broken":
        raise ValueError("it is broken")
    return http.text(request.path)
"""

pytestmark = pytest.mark.anyio


async def app(request):
    match request.path:
        case "/teapot":
            raise http.ImATeapot
        case "/broken":
            raise ValueError("it is broken")
        case "/gone":
            raise http.ClientGone
        case "/several":
            raise ExceptionGroup("", [http.NotFound()])
        case "/nothing":
            return None
    return http.text("fine")


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "csp.net.http.access")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/", 200, None),
        ("/nothing", 500, None),
        ("/teapot", 418, http.ImATeapot),
        ("/several", 404, ExceptionGroup),
        ("/broken", 500, ValueError),
    ],
)
async def test_a_request_is_a_line(lines, path, status, error):
    """With the status that the client sees; errors go on to the server."""
    request = http.Request("GET", path, client="127.0.0.1:5000")
    if error is None:
        await Logged(app)(request)
    else:
        with pytest.raises(error):
            await Logged(app)(request)
    assert lines() == [f'127.0.0.1:5000 - "GET {path} HTTP/1.1" {status}']


async def test_nobody_who_is_gone_had_an_answer(lines):
    """So there is no line."""
    with pytest.raises(http.ClientGone):
        await Logged(app)(http.Request("GET", "/gone"))
    assert lines() == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/plain?a=%0a", "/plain?a=%0a"),
        ("/\r\nforged", r"/\r\nforged"),
        ('/" 200 "', r"/\x22 200 \x22"),
        ("/\x1b[2J\x85\u2028", r"/\x1b[2J\x85\u2028"),
        ("/a\\nb", r"/a\\nb"),
    ],
)
def test_nothing_in_a_target_looks_like_the_log(text, shown):
    """Not a line's end, not a quotation's."""
    assert escaped(text) == shown


async def test_a_block_is_entered_through_it():
    """And left; by the server, as if the log were not there."""
    seen = []

    class Block:
        async def __aenter__(self):
            seen.append("entered")

        async def __aexit__(self, *_):
            seen.append("left")

        async def __call__(self, request):
            return http.text("fine")

    async with http.Server(Logged(Block())).open():
        await anyio.lowlevel.checkpoint()
        assert seen == ["entered"]
    assert seen == ["entered", "left"]


def test_without_a_listener_there_is_no_wrapper(caplog):
    """So it costs nothing."""
    caplog.set_level(logging.WARNING, "csp.net.http.access")
    assert with_access_log(app) is app
    caplog.set_level(logging.INFO, "csp.net.http.access")
    assert isinstance(with_access_log(app), Logged)


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize(("flags", "logs"), [([], True), (["--no-access-log"], False)])
def test_it_is_on_unless_it_is_off(tmp_path, flags, logs):
    """Of the command."""
    (tmp_path / "program.py").write_text(PROGRAM)
    with starting(tmp_path) as start:
        command = start("program:app", "127.0.0.1:0", *flags)
        where = command.where()
        assert get(where)[0] == 200
        assert answer(ask(where, "/teapot"))[0] == 418
        assert answer(ask(where, "/broken"))[0] == 500
        command.signal(signal.SIGTERM)
        code, err = command.end()
    assert code == 0
    for words in (
        '"GET / HTTP/1.1" 200',
        '/teapot HTTP/1.1" 418',
        'broken HTTP/1.1" 500',
    ):
        assert (words in err) == logs
