"""Ours: python -m benchmarks.servers.ours PORT BACKEND."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import csp
from csp.net import http

from . import HELLO, LARGE, PIECE, PIECES

app = http.Router()


@app.get("/{$}")
async def hello(request: http.Request) -> http.Response:
    return http.text(HELLO)


@app.get("/large")
async def large(request: http.Request) -> http.Response:
    return http.text(LARGE)


@app.get("/stream")
async def stream(request: http.Request) -> http.Response:
    return http.Response(body=pieces())


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(PIECES):
        yield PIECE


@app.post("/{$}")
async def upload(request: http.Request) -> http.Response:
    return http.text(str(len(await request.read())))


if __name__ == "__main__":
    csp.run(http.serve, app, f"127.0.0.1:{sys.argv[1]}", backend=sys.argv[2])
