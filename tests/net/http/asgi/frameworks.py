"""Small apps of the frameworks that people use, after what their manuals begin with.

As a program it serves one of them: python -m tests.net.http.asgi.frameworks NAME
DESCRIPTOR LOOP.
"""

import contextlib
import sys
from typing import Annotated

import anyio.lowlevel

import csp
from csp.net import http
from csp.net.http.asgi import from_asgi


def make_starlette(events):
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    @contextlib.asynccontextmanager
    async def lifespan(app):
        events("startup")
        yield {"name": "state"}
        events("shutdown")

    async def hello(request):
        return PlainTextResponse(f"hello {request.path_params['name']}")

    async def size(request):
        return PlainTextResponse(str(len(await request.body())))

    async def stream(request):
        async def numbers():
            for n in range(100):
                yield f"{n}\n"

        return StreamingResponse(numbers())

    async def background(request):
        async def task():
            await anyio.lowlevel.checkpoint()
            events("background")

        return PlainTextResponse("ok", background=BackgroundTask(task))

    async def fail(request):
        raise ValueError("told")

    async def state(request):
        gone = await request.is_disconnected()
        return JSONResponse([request.state.name, gone, request.url.path])

    class Added(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            response = await call_next(request)
            response.headers["x-added"] = "1"
            return response

    routes = [
        Route("/hello/{name}", hello),
        Route("/size", size, methods=["POST"]),
        Route("/stream", stream),
        Route("/background", background),
        Route("/fail", fail),
        Route("/state", state),
    ]
    middleware = [Middleware(GZipMiddleware), Middleware(Added)]
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


def make_fastapi(events):
    """Models, dependencies that clean up, functions in threads, errors."""
    import fastapi
    import pydantic
    from fastapi.responses import StreamingResponse

    class Item(pydantic.BaseModel):
        name: str
        price: float
        tags: list[str] = []

    async def session():
        yield "session"
        events("closed")

    def page(skip: int = 0, limit: Annotated[int, fastapi.Query(le=100)] = 10):
        return {"skip": skip, "limit": limit}

    @contextlib.asynccontextmanager
    async def lifespan(app):
        events("startup")
        yield
        events("shutdown")

    app = fastapi.FastAPI(lifespan=lifespan)
    items = {}

    @app.get("/hello/{name}")
    async def hello(name: str):
        return fastapi.responses.PlainTextResponse(f"hello {name}")

    @app.get("/items")
    def listed(page: Annotated[dict, fastapi.Depends(page)]):
        return {**page, "names": [*items]}

    @app.put("/items/{item_id}", status_code=201)
    async def put(item_id: int, item: Item, tasks: fastapi.BackgroundTasks) -> Item:
        items[item_id] = item
        tasks.add_task(events, "background")
        return item

    @app.get("/items/{item_id}")
    async def get(
        item_id: int,
        used: Annotated[str, fastapi.Depends(session)],
        q: str | None = None,
        user_agent: Annotated[str | None, fastapi.Header()] = None,
    ):
        if item_id not in items:
            raise fastapi.HTTPException(404, "Item not found", {"X-Error": "none"})
        return {"item": items[item_id], "q": q, "used": used, "agent": user_agent}

    @app.post("/form")
    async def form(name: Annotated[str, fastapi.Form()], file: fastapi.UploadFile):
        return {"name": name, "size": len(await file.read())}

    @app.post("/size")
    async def size(request: fastapi.Request):
        return fastapi.responses.PlainTextResponse(str(len(await request.body())))

    @app.get("/stream")
    def stream():
        return StreamingResponse(f"{n}\n" for n in range(100))  # in a thread

    return app


def make_litestar(events):
    import litestar
    from litestar.response import Stream

    @litestar.get("/hello/{name:str}", media_type="text/plain")
    async def hello(request: litestar.Request) -> str:
        return f"hello {request.path_params['name']}"

    @litestar.get("/json")
    async def told(request: litestar.Request) -> dict[str, str]:
        if "n" not in request.query_params:
            raise litestar.exceptions.ValidationException("n is missing")
        return {"n": request.query_params["n"]}

    @litestar.get("/stream")
    async def stream() -> Stream:
        async def pieces():
            for n in range(100):
                yield f"{n}\n"

        return Stream(pieces())

    @litestar.post("/size", media_type="text/plain", status_code=200)
    async def size(request: litestar.Request) -> str:
        return str(len(await request.body()))

    return litestar.Litestar(
        [hello, told, stream, size],
        on_startup=[lambda: events("startup")],
        on_shutdown=[lambda: events("shutdown")],
        logging_config=None,  # its own starts a thread that stays
    )


def make_django(events):
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

    return get_asgi_application()


def django_patterns():
    from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path

    async def hello(request, name):
        return HttpResponse(f"hello {name}")

    def sync(request):
        return JsonResponse({"q": request.GET.getlist("q")})

    async def stream(request):
        async def pieces():
            for n in range(100):
                yield f"{n}\n"

        return StreamingHttpResponse(pieces())

    async def size(request):
        return HttpResponse(str(len(request.body)))

    return [
        path("hello/<name>", hello),
        path("sync", sync),
        path("stream", stream),
        path("size", size),
    ]


def __getattr__(name):
    """Make what Django looks for here, when it does."""
    if name != "urlpatterns":
        raise AttributeError(name)
    return django_patterns()


APPS = {
    "starlette": make_starlette,
    "fastapi": make_fastapi,
    "litestar": make_litestar,
    "django": make_django,
}


def say(event):
    sys.stderr.write(f"{event}\n")


if __name__ == "__main__":
    framework, descriptor, loop = sys.argv[1:]
    app = APPS[framework](say)
    report = csp.run(http.serve, from_asgi(app), f"fd:{descriptor}", backend=loop)
    sys.exit(4 if report.cut else 0)
