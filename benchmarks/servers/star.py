"""Starlette apps: python -m benchmarks.servers.star APP PORT BACKEND serves one.

bare      the app of benchmarks.servers.asgi, without Starlette
hello     answers at once
waits     answers after a millisecond, any number of requests at a time; on our server
          eight, by its own limit
capacity  the same, eight at a time, as Starlette's users write it
limited   the same, by our limit for any ASGI app
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import csp
from csp.net import http
from csp.net.http.asgi import from_asgi, limit

from . import HELLO
from .asgi import app as bare

AT_ONCE = 8
LINE = 1_000


async def at_once(_: Request) -> PlainTextResponse:
    return PlainTextResponse(HELLO)


async def slow(_: Request) -> PlainTextResponse:
    await anyio.sleep(0.001)
    return PlainTextResponse(HELLO)


@cache
def limiter() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(AT_ONCE)  # made where the loop runs


async def slow_by_eight(request: Request) -> PlainTextResponse:
    async with limiter():
        return await slow(request)


hello = Starlette(routes=[Route("/", at_once)])
waits = Starlette(routes=[Route("/", slow)])
capacity = Starlette(routes=[Route("/", slow_by_eight)])
limited = limit(waits, concurrency=AT_ONCE, queue=LINE)

APPS: dict[str, Any] = {
    "bare": bare,
    "hello": hello,
    "waits": waits,
    "capacity": capacity,
    "limited": limited,
}
OUR_OWN = {"waits": http.Limits(requests=AT_ONCE, queue=LINE)}


if __name__ == "__main__":
    name, port, backend = sys.argv[1:]
    handler = from_asgi(APPS[name])
    address = f"127.0.0.1:{port}"

    async def main() -> None:
        await http.serve(handler, address, limits=OUR_OWN.get(name))

    csp.run(main, backend=backend)
