"""Ours: python -m benchmarks.servers.ours PORT BACKEND."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import csp
from csp.net import http

from . import HELLO, LARGE, PIECE, PIECES


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(PIECES):
        yield PIECE


async def app(request: http.Request) -> http.Response:
    match request.method, request.target:
        case "GET", "/":
            return http.text(HELLO)
        case "GET", "/large":
            return http.text(LARGE)
        case "GET", "/stream":
            return http.Response(body=pieces())
    return http.text(str(len(await request.read())))


if __name__ == "__main__":
    csp.run(http.serve, app, f"127.0.0.1:{sys.argv[1]}", backend=sys.argv[2])
