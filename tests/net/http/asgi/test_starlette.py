"""What Starlette expects of a server, as its own tests do of its test client.

Those of requests, responses and routing, in our words: each sends a request through our
server, on every loop, and looks at what the app saw and at what came back.
"""

from __future__ import annotations

import contextlib
import logging

import anyio
import pytest

from csp.net.http.asgi import from_asgi
from csp.net.http.testing import Client
from tests.net.http.asgi.clock import in_real_time

starlette = pytest.importorskip("starlette")

from starlette import status  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.background import BackgroundTask, BackgroundTasks  # noqa: E402
from starlette.endpoints import HTTPEndpoint  # noqa: E402
from starlette.exceptions import HTTPException  # noqa: E402
from starlette.requests import ClientDisconnect, Request  # noqa: E402
from starlette.responses import (  # noqa: E402
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Host, Mount, Route, Router  # noqa: E402
from starlette.staticfiles import StaticFiles  # noqa: E402

pytestmark = pytest.mark.anyio
anyio_backend = in_real_time


def serving(app, **options):
    return Client(from_asgi(app), **options)


def answering(make):
    """Return an app that answers what `make` makes of a request."""

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError
        response = await make(Request(scope, receive, send))
        await response(scope, receive, send)

    return app


# Requests

SEEN = {
    "url": (
        ("GET", "/123?a=123", {}),
        lambda r: [r.method, str(r.url)],
        ["GET", "http://test/123?a=123"],
    ),
    "a path with escapes": (
        ("GET", "/a%20b%C3%A9", {}),
        lambda r: [r.url.path, r.scope["path"]],
        ["/a bé", "/a bé"],
    ),
    "query": (
        ("GET", "/?a=123&b=456&a=1", {}),
        lambda r: [r.query_params["b"], r.query_params.getlist("a")],
        ["456", ["123", "1"]],
    ),
    "headers": (
        ("GET", "/", {"headers": {"X-Up": "VaLue"}}),
        lambda r: [r.headers["host"], r.headers["x-up"], ("X-UP" in r.headers)],
        ["test", "VaLue", True],
    ),
    "cookies": (
        ("GET", "/", {"headers": {"Cookie": 'a=1; b="2 3"; c'}}),
        lambda r: r.cookies,
        {"a": "1", "b": "2 3", "": "c"},
    ),
    "client": (
        ("GET", "/", {}),
        lambda r: [r.client.host, isinstance(r.client.port, int)],
        ["127.0.0.1", True],
    ),
    "no authority": (
        ("GET", "/", {"headers": {"Host": "other:81"}}),
        lambda r: [str(r.base_url), r.url.port],
        ["http://other:81/", 81],
    ),
}


@pytest.mark.parametrize("name", SEEN)
async def test_what_an_app_sees_of_a_request(name):
    """Its address, parameters, fields and cookies."""
    (method, path, options), look, expected = SEEN[name]

    async def make(request):
        return JSONResponse(look(request))

    async with serving(answering(make)) as client:
        assert (await client.request(method, path, **options)).json() == expected


async def pieces():
    for piece in (b"ab", b"", b"c" * 100_000):
        yield piece


BODIES = {
    "none": ({}, b""),
    "bytes": ({"content": b"abc"}, b"abc"),
    "form": ({"data": {"a": "1 2"}}, b"a=1+2"),
    "json": ({"json": {"a": 1}}, b'{"a":1}'),
    "in chunks": ({"content": pieces}, b"ab" + b"c" * 100_000),
}


@pytest.mark.parametrize("how", ["body", "stream", "twice", "body, then stream"])
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_is_read_whole_or_in_pieces(name, how):
    """And again, if it was read whole."""

    async def make(request):
        if how == "stream":
            return Response(b"".join([piece async for piece in request.stream()]))
        data = await request.body()
        if how == "twice":
            assert await request.body() == data
        if how == "body, then stream":
            assert b"".join([piece async for piece in request.stream()]) == data
        return Response(data)

    options, expected = BODIES[name]
    options = {k: v() if callable(v) else v for k, v in options.items()}
    async with serving(answering(make)) as client:
        assert (await client.post("/", **options)).content == expected


async def test_a_body_after_its_stream_is_an_error_of_the_app():
    """As Starlette has it."""

    async def make(request):
        async for _ in request.stream():
            pass
        with pytest.raises(RuntimeError, match="Stream consumed"):
            await request.body()
        return Response()

    async with serving(answering(make)) as client:
        assert (await client.post("/", content=b"abc")).status_code == 200


async def test_json_and_forms_are_parsed():
    """Files among them."""

    async def make(request):
        if request.url.path == "/json":
            return JSONResponse(await request.json())
        async with request.form() as form:
            file = form["file"]
            return JSONResponse(
                [form["a"], file.filename, file.content_type, len(await file.read())]
            )

    async with serving(answering(make)) as client:
        assert (await client.post("/json", json={"a": "é"})).json() == {"a": "é"}
        file = ("name.txt", bytes(2_000_000), "text/plain")
        response = await client.post("/form", data={"a": "1"}, files={"file": file})
        assert response.json() == ["1", "name.txt", "text/plain", 2_000_000]


async def test_a_client_that_goes_in_its_body_is_a_disconnect():
    """Which Starlette raises."""
    seen = anyio.Event()

    async def make(request):
        try:
            await request.body()
        except ClientDisconnect:
            seen.set()
            raise
        return Response()

    async def endless():
        yield b"a"
        await anyio.sleep_forever()

    async with serving(answering(make)) as client:
        with anyio.move_on_after(0.1):
            await client.post("/", content=endless())
        await seen.wait()


async def test_an_app_may_poll_for_the_disconnect():
    """While the client is there, and after it has gone."""
    polled = []
    over = anyio.Event()

    async def make(request):
        polled.append(await request.is_disconnected())
        asked.set()
        while not await request.is_disconnected():
            await anyio.lowlevel.checkpoint()
        polled.append(True)
        over.set()
        return Response()

    asked = anyio.Event()
    async with serving(answering(make)) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.get, "/")
        await asked.wait()
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await over.wait()
    assert polled == [False, True]


# Responses


async def test_headers_and_cookies_of_a_response():
    """Each cookie in a field of its own."""

    async def make(request):
        response = PlainTextResponse("hi", headers={"x-one": "123", "x-two": "é"})
        response.set_cookie("a", "1", max_age=10, httponly=True)
        response.set_cookie("b", "2")
        response.delete_cookie("c")
        response.headers["x-one"] = "456"
        return response

    async with serving(answering(make)) as client:
        response = await client.get("/")
        assert response.headers["x-one"] == "456"
        assert (b"x-two", "é".encode("latin-1")) in [
            (name.lower(), value) for name, value in response.headers.raw
        ]
        set_cookies = response.headers.get_list("set-cookie")
        assert [cookie.partition("=")[0] for cookie in set_cookies] == ["a", "b", "c"]
        assert response.headers["content-length"] == "2"


@pytest.mark.parametrize("code", [200, 201, 204, 304, 404, 418, 599])
async def test_a_status_without_content_has_no_length(code):
    """204 and 304 have no body at all, and the connection goes on."""

    async def make(request):
        return Response(status_code=code)

    async with serving(answering(make)) as client:
        for _ in range(2):
            response = await client.get("/")
            assert (response.status_code, response.content) == (code, b"")
            has_length = code not in {204, 304}
            assert ("content-length" in response.headers) == has_length


async def test_a_redirect_is_followed():
    """With what cannot be in a URL escaped."""

    async def make(request):
        if request.url.path == "/":
            return RedirectResponse("/target ☺")
        return PlainTextResponse("ok")

    async with serving(answering(make), follow_redirects=True) as client:
        response = await client.get("/")
        assert (response.text, response.url.path) == ("ok", "/target ☺")


SOURCES = {
    "an async generator": pieces,
    "a list": lambda: [b"ab", b"", b"c" * 100_000],
    "a generator": lambda: (p for p in [b"ab", b"", b"c" * 100_000]),
}


@pytest.mark.parametrize("name", SOURCES)
async def test_a_stream_comes_whole_and_its_task_after_it(name):
    """Also if the length is told beforehand."""
    filled = []

    async def clean_up():
        filled.append("cleaned")

    async def make(request):
        headers = dict(request.query_params)
        task = BackgroundTask(clean_up)
        return StreamingResponse(SOURCES[name](), headers=headers, background=task)

    async with serving(answering(make)) as client:
        for query in ("", "?content-length=100002"):
            response = await client.get(f"/{query}")
            assert response.content == b"ab" + b"c" * 100_000
            assert ("content-length" in response.headers) == bool(query)
    assert filled == ["cleaned"] * 2


class Endless:
    """A body without an end."""

    def __aiter__(self):
        return self

    async def __anext__(self):
        return bytes(100_000)


async def test_a_client_that_leaves_a_stream_is_a_disconnect(caplog):
    """Which Starlette raises, and which is no news."""
    seen = anyio.Event()

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError
        try:
            await StreamingResponse(Endless())(scope, receive, send)
        except ClientDisconnect:
            seen.set()
            raise

    async with serving(app) as client:
        async with client.stream("GET", "/") as response:
            assert response.status_code == 200
        await seen.wait()
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


RANGES = {
    "bytes=0-4": (206, "bytes 0-4/1000", 5),
    "bytes=990-": (206, "bytes 990-999/1000", 10),
    "bytes=-10": (206, "bytes 990-999/1000", 10),
    "bytes=1000-": (416, "bytes */1000", None),
    "": (200, None, 1000),
}


@pytest.mark.parametrize("wanted", RANGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_file_and_parts_of_it(wanted, method, tmp_path):
    """HEAD tells its length."""
    path = tmp_path / "file name.txt"
    path.write_bytes(bytes(1000))

    async def make(request):
        return FileResponse(path, filename=path.name)

    code, told, size = RANGES[wanted]
    headers = {"Range": wanted} if wanted else {}
    async with serving(answering(make)) as client:
        response = await client.request(method, "/", headers=headers)
    assert response.status_code == code
    assert response.headers.get("content-range") == told
    if size is not None:
        assert response.headers["content-length"] == str(size)
        assert len(response.content) == (size if method == "GET" else 0)
        expected = "attachment; filename*=utf-8''file%20name.txt"
        assert response.headers["content-disposition"] == expected


async def test_background_tasks_come_after_the_response():
    """In their order."""
    done = []
    goes_on = anyio.Event()

    async def wait():
        await goes_on.wait()
        done.append("async")

    tasks = BackgroundTasks()
    tasks.add_task(wait)
    tasks.add_task(done.append, "sync")

    async def make(request):
        return PlainTextResponse("ok", background=tasks)

    async with serving(answering(make)) as client:
        assert (await client.get("/")).text == "ok"
        assert not done
        goes_on.set()
    assert done == ["async", "sync"]


# Routing


class Endpoint(HTTPEndpoint):
    async def get(self, request):
        return PlainTextResponse(f"got {request.path_params.get('name')}")


async def reversed_url(request):
    return PlainTextResponse(str(request.url_for("user", number=5)))


async def user(request):
    return JSONResponse(request.path_params)


async def forbidden(request):
    raise HTTPException(status.HTTP_403_FORBIDDEN, "no", {"x-why": "told"})


async def root(request):
    return PlainTextResponse(request.scope["root_path"] + "|" + request.url.path)


def routed(folder):
    return Starlette(
        routes=[
            Route("/", reversed_url),
            Route("/users/{number:int}", user, name="user"),
            Route("/path/{rest:path}", user),
            Route("/float/{x:float}", user),
            Route("/endpoint/{name}", Endpoint),
            Route("/forbidden", forbidden),
            Route("/only/", root, methods=["POST"]),
            Mount("/static", StaticFiles(directory=folder)),
            Mount("/sub", Starlette(routes=[Route("/page", root)])),
            Host("api.test", Router([Route("/there", root)])),
        ]
    )


ROUTES = {
    ("GET", "/"): (200, "http://test/users/5"),
    ("GET", "/users/5"): (200, '{"number":5}'),
    ("GET", "/users/x"): (404, "Not Found"),
    ("GET", "/path/a/b%2Fc"): (200, '{"rest":"a/b/c"}'),
    ("GET", "/float/1.5"): (200, '{"x":1.5}'),
    ("GET", "/endpoint/x"): (200, "got x"),
    ("POST", "/endpoint/x"): (405, "Method Not Allowed"),
    ("GET", "/forbidden"): (403, "no"),
    ("GET", "/only/"): (405, "Method Not Allowed"),
    ("POST", "/only"): (307, ""),
    ("GET", "/static/a.txt"): (200, "a file"),
    ("GET", "/static/../a.txt"): (404, "Not Found"),
    ("GET", "/static/none"): (404, "Not Found"),
    ("GET", "/sub/page"): (200, "/sub|/sub/page"),
    ("GET", "http://api.test/there"): (200, "|/there"),
    ("HEAD", "/users/5"): (200, ""),
}


@pytest.mark.parametrize("asked", ROUTES, ids=" ".join)
async def test_where_a_request_is_routed(asked, tmp_path):
    """By path, method, mount and host."""
    (tmp_path / "a.txt").write_text("a file")
    async with serving(routed(tmp_path)) as client:
        response = await client.request(*asked)
    assert (response.status_code, response.text) == ROUTES[asked]


async def test_a_mounted_app_has_no_lifespan_of_its_own():
    """The outer one's is around all requests."""
    events = []

    def life(name):
        @contextlib.asynccontextmanager
        async def lifespan(app):
            events.append(f"{name} begins")
            yield
            events.append(f"{name} ends")

        return lifespan

    inner = Starlette(routes=[Route("/", root)], lifespan=life("inner"))
    app = Starlette(routes=[Mount("/in", inner)], lifespan=life("outer"))
    async with serving(app) as client:
        assert (await client.get("/in/")).status_code == 200
    assert events == ["outer begins", "outer ends"]
