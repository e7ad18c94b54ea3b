"""ASGI apps on our server, held to what ASGI says, over connections in memory."""

from __future__ import annotations

import logging
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest

import csp
from csp.net import http
from csp.net.http.asgi import from_asgi
from tests.net.http.memory import (
    ask,
    get,
    parse,
    post,
    receive_all,
    receive_until,
    served,
    talk,
)

pytestmark = pytest.mark.anyio

START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body"}


def body(data, more=True):
    return {"type": "http.response.body", "body": data, "more_body": more}


def handler_of(app):
    """Return a handler that need not be entered."""
    return from_asgi(app, has_lifespan=False)


def sending(*messages, after=None):
    """Return an app that sends some messages, and then may raise."""

    async def app(scope, receive, send):
        for message in messages:
            await send(message)
        if after is not None:
            raise after

    return app


@pytest.fixture
def errors(caplog):
    """What is logged as an error."""
    caplog.set_level(logging.INFO)
    return lambda: [
        r
        for r in caplog.records
        if r.levelno >= logging.ERROR and r.name.startswith("csp")
    ]


@pytest.fixture(params=["entered", "not entered"])
async def asking(request):
    """Ask an app, in tasks that are used again and in those of the server."""

    async def ask_app(app, *pieces, **options):
        handler = handler_of(app)
        async with csp.Group():
            if request.param == "entered":
                async with handler:
                    return await ask(handler, *pieces, **options)
            return await ask(handler, *pieces, **options)

    return ask_app


# Scopes


async def scope_of(*request, root_path="", **made):
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)
        await send(START)
        await send(END)

    handler = from_asgi(app, root_path=root_path, has_lifespan=False)
    async with csp.Group():
        if made:
            await handler(http.Request(**made))
        else:
            await ask(handler, *request)
    return scopes[0]


async def test_a_scope_tells_of_the_request():
    """All that ASGI demands, in its types."""
    scope = await scope_of(get("/a%20b%C3%A9?q=%20", "X-Up: Value", "x-up: 2"))
    assert scope.pop("asgi") == {"version": "3.0", "spec_version": "2.5"}
    assert scope.pop("extensions").keys() == {
        "http.response.trailers",
        "http.response.pathsend",
    }
    assert scope == {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a bé",
        "raw_path": b"/a%20b%C3%A9",
        "query_string": b"q=%20",
        "root_path": "",
        "headers": [(b"host", b"x"), (b"x-up", b"Value"), (b"x-up", b"2")],
        "client": ("127.0.0.1", 999),
        "server": ("127.0.0.1", 80),
    }


async def test_a_root_path_is_put_before_the_path():
    """As by other servers."""
    scope = await scope_of(get("/a"), root_path="/api/")
    assert scope["root_path"] == "/api"
    assert (scope["path"], scope["raw_path"]) == ("/api/a", b"/api/a")


ENDPOINTS = {
    "[::1]:80": ("::1", 80),
    "127.0.0.1:5": ("127.0.0.1", 5),
    "": None,
}


@pytest.mark.parametrize(("address", "pair"), ENDPOINTS.items(), ids=ENDPOINTS)
async def test_addresses_are_pairs(address, pair):
    """Or None, if there is none."""
    scope = await scope_of(client=address, server=address)
    assert scope["client"] == scope["server"] == pair


async def test_a_unix_socket_is_a_path():
    """And who calls there has no address."""
    scope = await scope_of(client="unix:", server="unix:/run/x")
    assert (scope["client"], scope["server"]) == (None, ("/run/x", None))


async def test_a_host_in_the_target_is_the_host():
    """Whatever Host says."""
    scope = await scope_of(b"GET http://real/a HTTP/1.1\r\nHost: other\r\n\r\n")
    assert scope["headers"] == [(b"host", b"real")]
    assert scope["path"] == "/a"


# Responses


async def test_a_response_in_one_piece(asking):
    """Its length is told, and the connection is kept."""
    app = sending(START, body(b"hello", more=False))
    one, two = await asking(app, get(), get())
    assert one.body == two.body == b"hello"
    assert one.headers["content-length"] == "5"


async def test_a_response_in_pieces(asking):
    """Empty ones do no harm."""
    app = sending(START, body(b"a"), body(b""), body(b"b"), body(b"c", more=False))
    one, two = await asking(app, get(), get())
    assert one.body == two.body == b"abc"
    assert one.headers["transfer-encoding"] == "chunked"


async def test_headers_and_status_are_sent_as_they_are(asking):
    """Pairs may be lists."""
    start = START | {"status": 404, "headers": [[b"x-a", b"1"], (b"x-a", b"2")]}
    (answer,) = await asking(sending(start, END), get())
    assert answer.status == 404
    assert answer.headers.get_all("x-a") == ["1", "2"]


@pytest.mark.parametrize("more", [True, False])
async def test_the_answer_to_head_has_no_content(more, asking):
    """Though the app sends it."""
    app = sending(START, body(b"abc", more), *([body(b"d", False)] if more else []))
    one, two = await asking(
        app,
        get(method="HEAD"),
        get(),
        methods=["HEAD", "GET"],
    )
    assert one.body == b""
    assert two.body == (b"abcd" if more else b"abc")


async def test_a_head_is_sent_with_the_first_piece_and_not_before():
    """An empty one sends it."""
    goes_on = anyio.Event()

    async def app(scope, receive, send):
        await send(START)
        await anyio.lowlevel.checkpoint()
        await send(body(b""))
        await goes_on.wait()
        await send(body(b"late", more=False))

    async with csp.Group(), served(handler_of(app)) as client:
        await client.send(get("/", "Connection: close"))
        head = await receive_until(client, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        goes_on.set()
        assert parse(head + await receive_all(client))[0].body == b"late"


async def test_a_client_that_does_not_read_makes_the_app_wait():
    """So a response of any size needs little memory."""
    sent = []

    async def app(scope, receive, send):
        await send(START)
        for n in range(100):
            await send(body(bytes(1000)))
            sent.append(n)
        await send(END)

    async with csp.Group(), served(handler_of(app), capacity=4000) as client:
        await client.send(get("/", "Connection: close"))
        await anyio.wait_all_tasks_blocked()
        assert len(sent) < 8
        (answer,) = parse(await receive_all(client))
        assert len(answer.body) == 100_000


async def test_trailers(asking):
    """They come after the body, if the app said that there will be some."""
    trailers = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}
    app = sending(START | {"trailers": True}, body(b"a", more=False), trailers)
    handler = handler_of(app)
    async with csp.Group():
        data = await talk(handler, get("/", "Connection: close"))
    assert data.endswith(b"0\r\nx-sum: 1\r\n\r\n")
    (answer,) = await asking(app, get(method="HEAD"), methods=["HEAD"])
    assert answer.status == 200


async def test_a_file_is_sent_by_its_path(tmp_path, asking):
    """The extension is there."""
    path = tmp_path / "file"
    path.write_bytes(bytes(200_000))
    send_file = {"type": "http.response.pathsend", "path": str(path)}
    (answer,) = await asking(sending(START, send_file), get())
    assert len(answer.body) == 200_000


# Apps that do wrong

WRONG = {
    "raises": sending(after=ValueError("secret")),
    "raises after the start": sending(START, after=ValueError("secret")),
    "raises a group": sending(after=ExceptionGroup("", [ValueError("secret")])),
    "returns": sending(),
    "returns after the start": sending(START),
    "body first": sending(END),
    "starts twice": sending(START, START, END),
    "unknown message": sending({"type": "http.response.what"}),
    "headers of str": sending(START | {"headers": [("a", "b")]}, END),
    "body of str": sending(START, body("hello", more=False)),
    "status of str": sending(START | {"status": "200"}, END),
    "status that is none": sending(START | {"status": 99}, END),
    "split": sending(START | {"headers": [(b"a", b"b\r\nc: d")]}, END),
    "trailers without the word": sending(START, {"type": "http.response.trailers"}),
}


@pytest.mark.parametrize("app", WRONG.values(), ids=WRONG)
async def test_what_goes_wrong_before_the_body_is_answered_500(app, asking, errors):
    """It is logged once, and the connection goes on."""
    one, two = await asking(app, get("/x"), get("/x"))
    assert (one.status, two.status) == (500, 500)
    assert b"secret" not in one.body
    assert len(errors()) == 2
    assert "GET /x from 127.0.0.1:999" in errors()[0].getMessage()


CUT = {
    "raises": sending(START, body(b"a"), after=ValueError("secret")),
    "returns": sending(START, body(b"a")),
    "body of str": sending(START, body(b"a"), body("b")),
    "starts again": sending(START, body(b"a"), START),
}


@pytest.mark.parametrize("app", CUT.values(), ids=CUT)
async def test_what_goes_wrong_in_the_body_cuts_it(app, asking, errors):
    """So that the client can see it."""
    (answer,) = await asking(app, get(), get())
    assert (answer.body, answer.whole) == (b"a", False)
    assert len(errors()) == 1


LATE = {
    "raises": sending(START, END, after=ValueError("secret")),
    "raises after a body in pieces": sending(
        START, body(b"a"), body(b"", more=False), after=ValueError("secret")
    ),
    "sends more": sending(START, END, END),
}


@pytest.mark.parametrize("app", LATE.values(), ids=LATE)
async def test_what_goes_wrong_after_the_response_is_logged(app, asking, errors):
    """And that is all."""
    one, two = await asking(app, get(), get())
    assert (one.status, two.status, two.whole) == (200, 200, True)
    assert len(errors()) == 2
    assert "failed after the response" in errors()[0].getMessage()


# Requests


async def test_a_body_comes_in_pieces_as_the_app_asks():
    """And the client waits for that."""
    asked = anyio.Event()
    got = []

    async def app(scope, receive, send):
        await asked.wait()
        while (message := await receive())["more_body"]:
            got.append(message["body"])
        await send(START)
        await send(END)

    data = bytes(50_000)
    async with csp.Group() as g, served(handler_of(app), capacity=4096) as client:
        g.go(client.send, post(data, "Connection: close"))
        await anyio.wait_all_tasks_blocked()
        assert client.bytes_sent < 10_000
        asked.set()
        assert parse(await receive_all(client))[0].status == 200
    assert b"".join(got) == data


async def test_a_request_without_a_body_has_an_empty_one(asking):
    """And that is the end of it."""

    async def app(scope, receive, send):
        assert await receive() == {
            "type": "http.request",
            "body": b"",
            "more_body": False,
        }
        await send(START)
        await send(END)

    (answer,) = await asking(app, get())
    assert answer.status == 200


async def test_after_its_response_an_app_hears_of_a_disconnect(asking):
    """At once, and as often as it asks; whether it has read the body or not."""
    heard = []

    async def app(scope, receive, send):
        if scope["path"] == "/read":
            await receive()
        await send(START)
        await send(END)
        heard.extend([(await receive())["type"], (await receive())["type"]])

    one, two = await asking(app, get("/read"), get("/"))
    assert one.status == two.status == 200
    assert heard == ["http.disconnect"] * 4


async def test_who_waits_for_the_disconnect_hears_of_the_end_of_the_response(asking):
    """And the connection can be used again."""
    heard = []

    async def app(scope, receive, send):
        await receive()

        async def listen():
            heard.append(await receive())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            tasks.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            await send(START)
            await send(body(b"a"))
            await send(END)

    last = get("/", "Connection: close")
    one, two = await asking(app, get(), last, half_close=False)
    assert one.body == two.body == b"a"
    assert heard == [{"type": "http.disconnect"}] * 4


async def test_a_client_that_goes_is_told_of(errors):
    """By a disconnect, and an OSError; and what the app raises then is no news."""
    heard = []

    async def app(scope, receive, send):
        await receive()
        heard.append((await receive())["type"])
        try:
            await send(START)
        except OSError as error:
            heard.append(type(error))
            raise ValueError from error

    async with csp.Group(), served(handler_of(app)) as client:
        await client.send(get())
        await anyio.wait_all_tasks_blocked()
        assert not heard
        client.close()
    assert heard == ["http.disconnect", BrokenPipeError]
    assert not errors()


async def test_a_client_that_goes_in_a_response_is_told_of(errors):
    """As an OSError where the app sends."""
    heard = []

    async def app(scope, receive, send):
        await send(START)
        try:
            while True:
                await send(body(bytes(1000)))
        except OSError as error:
            heard.append(type(error))
            heard.append((await receive())["type"])
            raise

    async with csp.Group(), served(handler_of(app), capacity=4000) as client:
        await client.send(get())
        await client.receive()
        client.abort()
    assert heard == [BrokenPipeError, "http.disconnect"]
    assert not errors()


async def test_a_client_that_goes_in_its_request_is_told_of(errors):
    """By a disconnect."""
    heard = []

    async def app(scope, receive, send):
        while (message := await receive())["type"] == "http.request":
            heard.append(message["body"])
        heard.append(message["type"])

    async with csp.Group():
        await talk(handler_of(app), post(b"", "Content-Length: 5") + b"abc")
    assert heard == [b"abc", "http.disconnect"]
    assert not errors()


async def test_an_app_may_ask_in_passing_whether_the_client_has_gone():
    """By receiving in a block that is cancelled already, as Starlette does."""
    answers = []
    over = anyio.Event()

    async def has_gone(receive):
        message = {}
        with anyio.CancelScope() as at_once:
            at_once.cancel()
            message = await receive()
        return message.get("type") == "http.disconnect"

    async def app(scope, receive, send):
        await receive()
        answers.append(await has_gone(receive))
        client.close()
        await anyio.wait_all_tasks_blocked()
        answers.append(await has_gone(receive))
        over.set()

    async with csp.Group(), served(handler_of(app)) as client:
        await client.send(get())
        await over.wait()
    assert answers == [False, True]


async def test_a_body_that_is_refused_is_answered_as_ever():
    """The app is told that the client has gone."""
    heard = []

    async def app(scope, receive, send):
        while (message := await receive())["type"] == "http.request":
            pass
        heard.append(message["type"])
        await send(START)

    limits = http.Limits(body_bytes=3, linger=0.01)
    async with csp.Group():
        (answer,) = await ask(handler_of(app), post([b"ab", b"cd"]), limits=limits)
    assert (answer.status, heard) == (413, ["http.disconnect"])


# Tasks


async def test_the_app_may_go_on_after_its_response(asking):
    """The next request is not kept waiting."""
    goes_on = anyio.Event()
    finished = []

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"ok", more=False))
        if scope["path"] == "/slow":
            await goes_on.wait()
            finished.append("slow")
        else:
            goes_on.set()

    one, two = await asking(app, get("/slow"), get("/"))
    assert one.body == two.body == b"ok"
    assert finished == ["slow"]


async def test_what_an_app_sets_in_its_context_stays_in_it(asking):
    """Though tasks are used again."""
    variable = ContextVar("variable", default=0)
    seen = []

    async def app(scope, receive, send):
        seen.append(variable.get())
        variable.set(1)
        await anyio.lowlevel.checkpoint()
        seen.append(variable.get())
        await send(START)
        await send(END)

    await asking(app, get(), get(), get())
    assert seen == [0, 1] * 3


async def test_a_stop_waits_for_what_goes_on_after_the_response():
    """And what takes too long is cut, and named."""
    cut = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send(START)
            await send(END)
            try:
                await anyio.sleep_forever()
            finally:
                cut.append(scope["path"])

    async with csp.stop_scope() as stop, from_asgi(app) as handler:
        server = http.Server(handler, grace=0.1)

        async def go_there(address):
            async with await csp.net.dial(address) as conn:
                await conn.send(get("/background"))
                assert b" 200 " in await conn.receive()
            stop.request()

        async with csp.Group() as g:

            class Status:
                def started(self, addresses):
                    g.go(go_there, addresses[0])

            report = await server.serve("127.0.0.1:0", task_status=Status())
    assert cut == ["/background"]
    assert any("GET /background" in name for name in report.cut_names)


# Lifespan


class App:
    """An app with a lifespan that is what it is told to be."""

    def __init__(self, **said):
        self.said = said
        self.events = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            self.events.append(dict(scope.get("state", {})))
            scope.get("state", {})["mine"] = True
            await send(START)
            await send(END)
            return
        assert scope["asgi"]["version"] == "3.0"
        for phase in ("startup", "shutdown"):
            message = await receive()
            assert message == {"type": f"lifespan.{phase}"}
            self.events.append(phase)
            scope["state"]["count"] = 1
            error = self.said.get(phase)
            if isinstance(error, str):
                await send({"type": f"lifespan.{phase}.failed", "message": error})
                return
            if error is not None:
                raise error
            await send({"type": f"lifespan.{phase}.complete"})


async def test_a_lifespan_is_around_all_requests():
    """Each of which has a copy of its state."""
    app = App()
    async with csp.Group(), from_asgi(app) as handler:
        assert app.events == ["startup"]
        await ask(handler, get(), get())
    assert app.events == ["startup", {"count": 1}, {"count": 1}, "shutdown"]


async def test_a_server_enters_the_handler_that_it_is_given():
    """Once, whether somebody has entered it before or not."""
    app = App()
    handler = from_asgi(app)
    async with csp.Group():
        await ask(handler, get(), get())
    served_alone = ["startup", {"count": 1}, {"count": 1}, "shutdown"]
    assert app.events == served_alone
    async with csp.Group(), handler:
        await ask(handler, get(), get())
    assert app.events == served_alone * 2


async def test_an_app_that_cannot_begin_is_not_served():
    """The error says why."""
    with pytest.raises(RuntimeError, match="did not start: no database"):
        async with from_asgi(App(startup="no database")):
            pytest.fail("it was entered")


async def test_an_app_that_cannot_end_says_so():
    """Also if it raises."""
    for error in ("still busy", ValueError("still busy")):
        with pytest.raises(RuntimeError, match="did not shut down: .*still busy"):
            async with from_asgi(App(shutdown=error)):
                pass


async def unstable(scope, receive, send):
    """Do as Starlette does if something ends its lifespan early."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    try:
        if scope["state"].get("fails", True):
            raise ValueError("told")
        await receive()
    except BaseException:
        await send({"type": "lifespan.shutdown.failed", "message": "told"})
        raise


async def test_a_lifespan_that_fails_early_is_logged_and_told_at_the_end(errors):
    """With what the app says of it; meanwhile requests are served."""
    with pytest.raises(RuntimeError, match="did not shut down: told"):
        async with from_asgi(unstable):
            await anyio.wait_all_tasks_blocked()
            assert len(errors()) == 1
            assert isinstance(errors()[0].exc_info[1], ValueError)


async def test_a_lifespan_that_is_cancelled_is_no_error(errors):
    """Though the app says that it has not shut down."""

    async def app(scope, receive, send):
        scope["state"]["fails"] = False
        await unstable(scope, receive, send)

    with anyio.CancelScope() as scope:
        async with from_asgi(app):
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert not errors()


async def test_the_errors_of_the_block_come_out_as_they_are():
    """After the app's shutdown."""
    app = App()
    with pytest.raises(KeyError):
        async with from_asgi(app):
            raise KeyError
    assert app.events == ["startup", "shutdown"]


async def returning(scope, receive, send):
    if scope["type"] == "http":
        assert "state" not in scope
        await send(START)
        await send(END)


async def raising(scope, receive, send):
    assert scope["type"] == "http"
    await returning(scope, receive, send)


@pytest.mark.parametrize("app", [returning, raising])
async def test_an_app_without_a_lifespan_is_served_without(app):
    """Whether it raises or returns at once."""
    async with csp.Group(), from_asgi(app) as handler:
        (answer,) = await ask(handler, get())
    assert answer.status == 200


async def test_a_handler_that_was_not_entered_says_what_to_write(errors):
    """Rather than serve an app that has not been started."""
    async with csp.Group():
        response = None
        with pytest.raises(RuntimeError, match="async with handler"):
            response = await from_asgi(App())(http.Request())
    assert response is None


async def test_a_handler_can_be_entered_again():
    """Within its block that does nothing; after it the app begins anew."""
    app = App()
    handler = from_asgi(app)
    async with handler, handler:
        assert app.events == ["startup"]
    async with handler:
        pass
    assert app.events == ["startup", "shutdown"] * 2


async def test_a_lifespan_may_have_a_group_that_requests_use():
    """All of it runs in one task."""
    done = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            scope["state"]["tasks"].start_soon(background)
            await send(START)
            await send(END)
            return
        await receive()
        async with anyio.create_task_group() as tasks:
            scope["state"]["tasks"] = tasks
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def background():
        await anyio.lowlevel.checkpoint()
        done.append(True)

    async with csp.Group(), from_asgi(app) as handler:
        await ask(handler, get())
    assert done == [True]


@pytest.mark.parametrize("app", [None, "app", {}])
def test_what_is_no_app(app):
    """Is an error at once."""
    with pytest.raises(TypeError, match="from_asgi takes an ASGI app"):
        from_asgi(app)
