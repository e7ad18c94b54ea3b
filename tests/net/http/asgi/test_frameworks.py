"""Apps written with the frameworks that people use, on our server over sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging

import anyio.lowlevel
import anyio.to_thread
import pytest

import csp
from csp.net import http as csp_http
from csp.net.http.asgi import from_asgi

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"


@contextlib.asynccontextmanager
async def serving(app):
    """Serve an app while the block runs; gives a function that sends a request."""
    async with csp.stop_scope() as stop, csp.Group(), from_asgi(app) as handler:
        limits = csp_http.Limits(linger=0.01)

        async def serve(*, task_status):
            await csp_http.serve(
                handler, "127.0.0.1:0", limits=limits, task_status=task_status
            )

        async with csp.Group() as server:
            [address] = await server.start(serve)
            host, _, port = address.rpartition(":")

            def send(method, path, body=None, headers=None):
                connection = http.client.HTTPConnection(host, int(port), timeout=10)
                with contextlib.closing(connection):
                    connection.request(method, path, body, headers or {})
                    response = connection.getresponse()
                    return response.status, response.read(), response.headers

            async def request(*args):
                return await anyio.to_thread.run_sync(send, *args)

            try:
                yield request
            finally:
                stop.request()


async def test_starlette(tmp_path, caplog):  # noqa: PLR0915 - it is a small app
    """On every loop: what its own documentation begins with."""
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import (
        FileResponse,
        JSONResponse,
        PlainTextResponse,
        StreamingResponse,
    )
    from starlette.routing import Mount, Route

    events = []
    path = tmp_path / "file.txt"
    path.write_bytes(b"x" * 100_000)

    @contextlib.asynccontextmanager
    async def lifespan(app):
        events.append("startup")
        yield {"name": "state"}
        events.append("shutdown")

    async def hello(request):
        return PlainTextResponse(f"hello {request.path_params['name']}")

    async def echo(request):
        return PlainTextResponse(await request.body())

    async def stream(request):
        async def numbers():
            for n in range(100):
                yield f"{n}\n"

        return StreamingResponse(numbers())

    async def background(request):
        async def task():
            await anyio.lowlevel.checkpoint()
            events.append("background")

        return PlainTextResponse("ok", background=BackgroundTask(task))

    async def form(request):
        async with request.form() as fields:
            return JSONResponse(dict(fields))

    async def fail(request):
        raise ValueError("told")

    async def state(request):
        gone = await request.is_disconnected()
        return JSONResponse([request.state.name, gone, str(request.url.path)])

    class Added(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            response = await call_next(request)
            response.headers["x-added"] = "1"
            return response

    async def send_file(request):
        return FileResponse(path)

    routes = [
        Route("/hello/{name}", hello),
        Route("/echo", echo, methods=["POST"]),
        Route("/stream", stream),
        Mount("/sub", routes=[Route("/file", send_file)]),
        Route("/background", background),
        Route("/form", form, methods=["POST"]),
        Route("/fail", fail),
        Route("/state", state),
    ]
    middleware = [Middleware(GZipMiddleware), Middleware(Added)]
    app = Starlette(routes=routes, middleware=middleware, lifespan=lifespan)
    with caplog.at_level(logging.ERROR):
        async with serving(app) as request:
            status, data, headers = await request("GET", "/hello/you%20there")
            assert (status, data) == (200, b"hello you there")
            assert headers["x-added"] == "1"
            body = bytes(200_000)
            assert (await request("POST", "/echo", body))[1] == body
            numbers = (await request("GET", "/stream"))[1]
            assert numbers.split() == [b"%d" % n for n in range(100)]
            status, data, headers = await request("GET", "/sub/file")
            assert (status, len(data)) == (200, 100_000)
            piece = await request("GET", "/sub/file", None, {"Range": "bytes=1-5"})
            assert piece[:2] == (206, b"xxxxx")
            status, data, headers = await request("HEAD", "/sub/file")
            assert (status, data, headers["content-length"]) == (200, b"", "100000")
            assert (await request("GET", "/background"))[1] == b"ok"
            answer = await request("POST", "/form", "a=b", {"Content-Type": FORM})
            assert json.loads(answer[1]) == {"a": "b"}
            assert not caplog.records
            assert (await request("GET", "/fail"))[0] == 500
            answer = await request("GET", "/state")
            assert json.loads(answer[1]) == ["state", False, "/state"]
            assert (await request("GET", "/none"))[0] == 404
            assert (await request("GET", "/echo"))[0] == 405
    assert events == ["startup", "background", "shutdown"]
    ours = [r for r in caplog.records if r.name.startswith("csp")]
    assert len(ours) == 1
    assert isinstance(ours[0].exc_info[1], ValueError)


async def test_fastapi():
    """On every loop: models, dependencies that clean up, functions in threads."""
    pytest.importorskip("fastapi")
    import fastapi
    import pydantic

    events = []

    class Item(pydantic.BaseModel):
        name: str
        price: float

    async def session():
        yield "session"
        events.append("closed")

    app = fastapi.FastAPI()

    async def add(item, tasks):
        tasks.add_task(events.append, "background")
        return {"name": item.name, "double": item.price * 2}

    add.__annotations__ = {"item": Item, "tasks": fastapi.BackgroundTasks}  # so here
    app.post("/items")(add)

    @app.get("/sync/{n}")
    def sync(n: int, used: str = fastapi.Depends(session)):
        return [n, used]

    async with serving(app) as request:
        body = json.dumps({"name": "a", "price": 2})
        kind = {"Content-Type": "application/json"}
        status, data, _ = await request("POST", "/items", body, kind)
        assert (status, json.loads(data)) == (200, {"name": "a", "double": 4})
        assert (await request("POST", "/items", "{}", kind))[0] == 422
        assert json.loads((await request("GET", "/sync/3"))[1]) == [3, "session"]
        assert (await request("GET", "/openapi.json"))[0] == 200
    assert sorted(events) == ["background", "closed"]


@pytest.mark.leaks("threads")  # its own, for logs
async def test_litestar():
    """On every loop: handlers, streams, hooks."""
    pytest.importorskip("litestar")
    import litestar
    from litestar.response import Stream

    events = []

    @litestar.get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "a"}

    async def stream():
        async def pieces():
            for _ in range(10):
                yield b"abc"

        return Stream(pieces())

    stream.__annotations__ = {"return": Stream}  # which is known only here
    stream = litestar.get("/stream")(stream)

    async def size(request):
        return {"size": len(await request.body())}

    size.__annotations__ = {"request": litestar.Request, "return": dict[str, int]}
    size = litestar.post("/size")(size)

    app = litestar.Litestar(
        [hello, stream, size],
        on_startup=[lambda: events.append("startup")],
        on_shutdown=[lambda: events.append("shutdown")],
    )
    async with serving(app) as request:
        assert json.loads((await request("GET", "/hello"))[1]) == {"hello": "a"}
        assert (await request("GET", "/stream"))[1] == b"abc" * 10
        answer = await request("POST", "/size", bytes(100_000))
        assert json.loads(answer[1]) == {"size": 100_000}
    assert events == ["startup", "shutdown"]


async def test_django(backend):
    """On asyncio, which it needs; it has no lifespan."""
    if backend == "trio":
        pytest.skip("Django runs on asyncio alone")
    pytest.importorskip("django")
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=__name__,
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="x",
            MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        )
        django.setup()
    from django.core.asgi import get_asgi_application

    async with serving(get_asgi_application()) as request:
        assert (await request("GET", "/hello?name=a"))[1] == b"hello a"
        assert (await request("GET", "/sync"))[1] == b"sync"
        assert (await request("GET", "/stream"))[1] == b"abc" * 10
        body = bytes(100_000)
        assert (await request("POST", "/size", body))[1] == b"100000"
        assert (await request("GET", "/none"))[0] == 404


def django_patterns():
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    async def hello(request):
        return HttpResponse(f"hello {request.GET['name']}")

    def sync(request):
        return HttpResponse("sync")

    async def stream(request):
        async def pieces():
            for _ in range(10):
                yield b"abc"

        return StreamingHttpResponse(pieces())

    async def size(request):
        return HttpResponse(str(len(request.body)))

    return [
        path("hello", hello),
        path("sync", sync),
        path("stream", stream),
        path("size", size),
    ]


def __getattr__(name):
    """Make what Django looks for here, when it does."""
    if name != "urlpatterns":
        raise AttributeError(name)
    return django_patterns()
