"""Handlers with a beginning and an end, within a router; and apps that are mounted."""

from __future__ import annotations

import functools

import pytest

from csp.net import http
from csp.net.http import testing
from csp.net.http._entered import entered
from csp.net.http.asgi import from_asgi, to_asgi

pytestmark = pytest.mark.anyio


class Block:
    """A handler that notes when it is entered and left."""

    def __init__(self):
        self.told = []

    async def __aenter__(self):
        self.told.append("entered")
        return self

    async def __call__(self, request):
        self.told.append(request.path)
        return http.text("")

    async def __aexit__(self, *exc_info):
        self.told.append("left")


async def test_blocks_in_a_router_are_entered():
    """Each once, also in routers that are mounted."""
    block, inner, outer = Block(), http.Router(), http.Router()
    inner.handle("GET /a", block)
    outer.handle("GET /b", block)
    outer.mount("/in", inner)
    other = Block()
    inner.handle("/c", other)
    async with entered(outer):
        for path in ("/in/a", "/b", "/in/c"):
            await outer(http.Request("GET", path))
    assert block.told == ["entered", "/in/a", "/b", "left"]
    assert other.told == ["entered", "/in/c", "left"]


async def test_a_block_that_is_wrapped_is_entered():
    """By whatever sets `__wrapped__`."""
    block, router = Block(), http.Router()

    @functools.wraps(block.__call__)
    async def around(request):
        return await block(request)

    around.__wrapped__ = block
    router.handle("/", around)
    async with testing.Client(router) as client:
        await client.get("/a")
    assert block.told == ["entered", "/a", "left"]


async def test_blocks_are_entered_through_handlers_around_them():
    """Of several too, also if only a router within them knows of the block."""
    block, router = Block(), http.Router()
    router.handle("/a", block)
    handler = http.conditional(lambda request: None)(http.first(router, Block()))
    async with testing.Client(handler) as client:
        await client.get("/a")
    assert block.told == ["entered", "/a", "left"]
    block.told.clear()
    without = http.first(http.conditional(lambda request: None)(router))
    async with testing.Client(without) as client:
        await client.get("/a")
    assert block.told == ["entered", "/a", "left"]


async def app(scope, receive, send):
    """An ASGI app that says where it is."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
        return
    body = f"{scope['root_path']} {scope['path']}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def test_an_app_that_is_mounted():
    """Has its lifespan, and knows under what prefix it is."""
    router = http.Router()
    router.mount("/a%20b", from_asgi(app))
    async with testing.Client(router) as client:
        assert (await client.get("/a%20b/c")).text == "/a b /a b/c"


async def test_a_router_mounted_in_an_app():
    """Looks at what is left of the path after `root_path`."""
    router = http.Router()

    @router.get("/c/{d}")
    async def handler(request):
        return http.text(f"{request.mount} {request.params['d']}")

    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/a b/c/1",
        "root_path": "/a b",
        "headers": [],
        "query_string": b"",
    }
    await to_asgi(router)(scope, receive, send)
    assert sent[1]["body"] == b"/a%20b 1"
