"""aiohttp: python -m benchmarks.servers.aio PORT."""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

from . import HELLO, LARGE, PIECE, PIECES


async def hello(_: web.Request) -> web.Response:
    return web.Response(body=HELLO, content_type="text/plain", charset="utf-8")


async def large(_: web.Request) -> web.Response:
    return web.Response(body=LARGE, content_type="text/plain", charset="utf-8")


async def post(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(PIECES):
        await response.write(PIECE)
    await response.write_eof()
    return response


def main(port: int) -> None:
    app = web.Application()
    app.add_routes(
        [
            web.get("/", hello),
            web.post("/", post),
            web.get("/large", large),
            web.get("/stream", stream),
        ]
    )
    try:
        import uvloop
    except ModuleNotFoundError:
        loop = None
    else:
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
    web.run_app(
        app, host="127.0.0.1", port=port, access_log=None, print=None, loop=loop
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
