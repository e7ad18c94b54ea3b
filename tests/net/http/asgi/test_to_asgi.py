"""Our handlers as ASGI apps, in the hands of a server that is made up here."""

from __future__ import annotations

import logging

import anyio
import anyio.lowlevel
import pytest

import csp
from csp.net import http
from csp.net.http.asgi import to_asgi

pytestmark = pytest.mark.anyio


class Server:
    """One that has one request, and gives it to an app as the test likes."""

    def __init__(self, app, *pieces, gone=None, **scope):
        self.app = app
        self.pieces = [*pieces] or [b""]
        self.gone = gone or anyio.Event()
        self.refuses = False  # to send, as it does once the client has gone
        self.sent = []
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "path": "/a b",
            "raw_path": b"/a%20b",
            "query_string": b"c=d",
            "headers": [(b"host", b"x")],
            "client": ("127.0.0.1", 9),
            "server": ("::1", 80),
            "scheme": "https",
            **scope,
        }

    async def receive(self):
        if self.pieces:
            body = self.pieces.pop(0)
            more = bool(self.pieces)
            return {"type": "http.request", "body": body, "more_body": more}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        await anyio.lowlevel.checkpoint()
        if self.refuses:
            raise OSError
        self.sent.append(message)

    async def run(self):
        await self.app(self.scope, self.receive, self.send)
        return self

    @property
    def start(self):
        return self.sent[0]

    @property
    def headers(self):
        return dict(self.start["headers"])

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])


def answering(*args, **kwargs):
    async def handler(request):
        return http.Response(*args, **kwargs)

    return to_asgi(handler)


@pytest.fixture
def errors(caplog):
    """What is logged as an error."""
    caplog.set_level(logging.INFO)
    return lambda: [
        r
        for r in caplog.records
        if r.levelno >= logging.ERROR and r.name.startswith("csp")
    ]


# Requests


async def test_a_request_is_what_the_scope_says():
    """In our words."""
    requests = []

    async def handler(request):
        requests.append(request)
        return http.text(await request.read())

    server = await Server(to_asgi(handler), b"ab", b"", b"c", method="POST").run()
    (request,) = requests
    assert (request.method, request.target) == ("POST", "/a%20b?c=d")
    assert (request.path, request.query["c"]) == ("/a b", "d")
    assert (request.client, request.server) == ("127.0.0.1:9", "[::1]:80")
    assert (request.scheme, request.host) == ("https", "x")
    assert server.body == b"abc"


async def test_a_scope_may_have_no_raw_path():
    """Nor addresses."""

    async def handler(request):
        return http.text(f"{request.target} {request.client!r}")

    app = to_asgi(handler)
    server = await Server(app, raw_path=None, client=None, query_string=b"").run()
    assert server.body == b"/a%20b ''"


@pytest.mark.parametrize("fields", [[], [(b"content-length", b"4")]])
async def test_a_body_that_is_too_large_is_refused(fields):
    """Before the handler if its length is known, or as it comes."""

    async def handler(request):
        return http.text(await request.read())

    app = to_asgi(handler, body_bytes=3)
    server = await Server(app, b"ab", b"cd", headers=fields).run()
    assert server.start["status"] == 413


async def test_a_client_that_goes_in_its_request_is_no_news(errors):
    """The handler gets `ClientGone`."""
    caught = []

    async def handler(request):
        try:
            await request.read()
        except http.ClientGone as error:
            caught.append(error)
            raise

    server = Server(to_asgi(handler))
    server.pieces = []
    server.gone.set()
    await server.run()
    assert caught
    assert not server.sent
    assert not errors()


async def test_a_handler_is_cancelled_if_the_client_goes(errors):
    """If it asks for that; and can read its body meanwhile."""
    ends = []

    async def handler(request):
        async with request.cancelled_if_gone():
            try:
                assert await request.read() == b"abc"
                ends.append("read")
                await anyio.sleep_forever()
            finally:
                ends.append("cancelled")

    server = Server(to_asgi(handler), b"a", b"b", b"", b"c")
    async with csp.Group() as g:
        g.go(server.run)
        await anyio.wait_all_tasks_blocked()
        assert ends == ["read"]
        server.gone.set()
    assert ends == ["read", "cancelled"]
    assert not server.sent
    assert not errors()


async def test_what_was_received_ahead_is_not_lost():
    """It is there after the block."""

    async def handler(request):
        async with request.cancelled_if_gone():
            await anyio.wait_all_tasks_blocked()
        return http.text(await request.read())

    server = await Server(to_asgi(handler), b"a", b"b", b"c", b"d", b"e").run()
    assert server.body == b"abcde"


# Responses


async def pieces():
    yield b"a"
    yield "b"
    yield bytearray(b"c")


class Block:
    async def __aenter__(self):
        return pieces()

    async def __aexit__(self, *exc_info):
        pass


BODIES = {
    "bytes": lambda: b"abc",
    "str": lambda: "abc",
    "iterable": pieces,
    "block": Block,
}


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
async def test_a_body_is_sent(make):
    """Of whatever kind."""
    server = await Server(answering(body=make(), headers={"X-A": "1"})).run()
    assert server.body == b"abc"
    assert server.headers[b"x-a"] == b"1"
    known = isinstance(make(), (bytes, str))
    assert server.headers.get(b"content-length") == (b"3" if known else None)
    assert [message.get("more_body", False) for message in server.sent][-1] is False


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)]
)
async def test_a_response_without_content_has_none(method, status, make):
    """Though the handler gave some."""
    server = await Server(answering(status, make()), method=method).run()
    assert server.start["status"] == status
    assert server.body == b""
    assert server.sent[-1]["more_body"] is False


FRAMING = {"Transfer-Encoding": "chunked", "Content-Length": "3", "Connection": "x"}


async def test_what_frames_is_left_to_the_server():
    """But for a length, and that the connection is to be closed."""
    server = await Server(answering(body=b"abc", headers=FRAMING)).run()
    assert server.start["headers"] == [(b"content-length", b"3")]
    close = answering(headers={"Connection": "close"})
    assert (await Server(close).run()).headers[b"connection"] == b"close"
    server = await Server(close, http_version="2").run()
    assert b"connection" not in server.headers


@pytest.mark.parametrize("extensions", [None, {}, {"http.response.trailers": {}}])
async def test_trailers_are_sent_if_the_server_can(extensions):
    """Otherwise they are dropped."""
    app = answering(body=pieces(), trailers={"X-Sum": "1"})
    server = await Server(app, extensions=extensions).run()
    assert server.body == b"abc"
    assert (server.sent[-1]["type"] == "http.response.trailers") is bool(extensions)


WRONG = {
    "error": (ValueError("secret"), 500),
    "HTTPError": (http.NotFound("no such thing"), 404),
    "group of one": (ExceptionGroup("", [http.NotFound("no such thing")]), 404),
    "headers that cannot be sent": (http.NotFound(headers={"X": "a\r\nb: c"}), 500),
}


@pytest.mark.parametrize(("error", "status"), WRONG.values(), ids=WRONG)
async def test_an_error_is_answered(error, status, errors):
    """As by our own server."""

    async def handler(request):
        raise error

    server = await Server(to_asgi(handler)).run()
    assert server.start["status"] == status
    assert server.headers[b"content-type"] == b"application/problem+json"
    assert b"secret" not in server.body
    assert len(errors()) == (status == 500)


CANNOT = {
    "none": None,
    "split": http.Response(headers={"X": "a\r\nb: c"}),
    "wrong length": http.Response(body=b"a", headers={"Content-Length": "2"}),
}


@pytest.mark.parametrize("response", CANNOT.values(), ids=CANNOT)
async def test_what_cannot_be_sent_is_an_error(response, errors):
    """Before anything is sent."""

    async def handler(request):
        return response

    server = await Server(to_asgi(handler)).run()
    assert server.start["status"] == 500
    assert len(errors()) == 1


async def test_a_body_that_fails_is_left_to_the_server():
    """Which cuts it, and logs the error."""

    async def failing():
        yield b"a"
        raise ValueError("told")

    server = Server(answering(body=failing()))
    with pytest.raises(ValueError, match="told"):
        await server.run()
    assert server.sent[-1]["more_body"] is True


@pytest.mark.parametrize("how", ["told", "refused"])
async def test_a_client_that_goes_ends_the_body(how, errors):
    """Whether the server says so to who receives or to who sends."""
    closed = []

    async def endless():
        try:
            while True:
                yield b"a"
        finally:
            closed.append(True)

    server = Server(answering(body=endless()))
    async with csp.Group() as g:
        g.go(server.run)
        while len(server.sent) < 5:
            await anyio.lowlevel.checkpoint()
        if how == "told":
            server.gone.set()
        server.refuses = how == "refused"
    assert closed == [True]
    assert not errors()


# Lifespan


class Life:
    """The lifespan of an app."""

    def __init__(self, app):
        self.app = app
        self.to_app = csp.Channel(2)
        self.from_app = csp.Channel(2)

    async def run(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        await self.app(scope, self.to_app.receive, self.from_app.send)

    async def do(self, phase):
        await self.to_app.send({"type": f"lifespan.{phase}"})
        return await self.from_app.receive()


async def test_tasks_of_handlers_live_until_shutdown():
    """And are told of it."""
    ends = []

    async def work():
        await csp.stopping()
        await anyio.lowlevel.checkpoint()
        ends.append("told")

    async def handler(request):
        csp.go(work)
        return http.text("ok")

    app = to_asgi(handler)
    life = Life(app)
    async with csp.Group() as g:
        g.go(life.run)
        assert (await life.do("startup"))["type"] == "lifespan.startup.complete"
        assert (await Server(app).run()).body == b"ok"
        await anyio.wait_all_tasks_blocked()
        assert not ends
        assert (await life.do("shutdown"))["type"] == "lifespan.shutdown.complete"
        assert ends == ["told"]


async def test_what_takes_too_long_at_shutdown_is_cut(errors):
    """And the shutdown has failed."""

    async def handler(request):
        csp.go(anyio.sleep_forever)
        return http.text("ok")

    app = to_asgi(handler, grace=0.01)
    life = Life(app)
    async with csp.Group() as g:
        g.go(life.run)
        await life.do("startup")
        await Server(app).run()
        assert (await life.do("shutdown"))["type"] == "lifespan.shutdown.failed"
    assert len(errors()) == 1


async def test_without_a_lifespan_tasks_end_with_the_call():
    """After the response."""
    goes_on = anyio.Event()

    async def handler(request):
        csp.go(goes_on.wait)
        return http.text("ok")

    server = Server(to_asgi(handler))
    async with csp.Group() as g:
        call = g.go(server.run)
        await anyio.wait_all_tasks_blocked()
        assert server.body == b"ok"
        assert not call.finished
        goes_on.set()


class Entered:
    """A handler that has to be entered."""

    def __init__(self, error=None):
        self.error = error
        self.events = []

    async def __aenter__(self):
        if self.error:
            raise self.error
        self.events.append("in")

    async def __aexit__(self, *exc_info):
        self.events.append("out")

    async def __call__(self, request):
        return http.text("ok")


async def test_a_handler_is_entered_at_startup():
    """And left at shutdown."""
    handler = Entered()
    app = to_asgi(handler)
    with pytest.raises(RuntimeError, match="no lifespan"):
        await Server(app).run()
    life = Life(app)
    async with csp.Group() as g:
        g.go(life.run)
        await life.do("startup")
        assert handler.events == ["in"]
        assert (await Server(app).run()).body == b"ok"
        await life.do("shutdown")
        assert handler.events == ["in", "out"]


async def test_a_handler_that_cannot_be_entered_fails_the_startup(errors):
    """The server is told why."""
    life = Life(to_asgi(Entered(ValueError("no database"))))
    async with csp.Group() as g:
        g.go(life.run)
        message = await life.do("startup")
    assert message == {"type": "lifespan.startup.failed", "message": "no database"}
    assert len(errors()) == 1


# Others


async def test_a_websocket_is_refused():
    """Politely."""
    server = await Server(answering(), type="websocket").run()
    assert server.sent == [{"type": "websocket.close"}]


async def test_an_unknown_scope_is_an_error():
    """As ASGI says."""
    with pytest.raises(NotImplementedError, match="udp"):
        await Server(answering(), type="udp").run()


def test_what_is_no_handler():
    """Is an error at once."""
    with pytest.raises(TypeError, match="to_asgi takes an async function"):
        to_asgi(None)
