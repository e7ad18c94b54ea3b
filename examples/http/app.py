"""The handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256

import csp
from csp.net import http


async def app(request: http.Request) -> http.Response:
    """Choose by method and path."""
    match request.method, request.path:
        case "GET" | "HEAD", "/":
            return http.text("Hello, www!\n")
        case "GET" | "HEAD", "/count":
            return http.Response(body=count(10), headers={"Content-Type": "text/plain"})
        case "PUT" | "POST", "/upload":
            return await upload(request)
        case _, "/" | "/count" | "/upload":
            raise http.MethodNotAllowed(f"{request.method} is not for {request.path}")
    raise http.NotFound(f"there is nothing at {request.path}")


async def count(n: int) -> AsyncIterator[str]:
    """Give a number a second, and stop early if the server is to stop."""
    for number in range(n):
        yield f"{number}\n"
        match await csp.select(tick=csp.after(1), stop=csp.stopping()):
            case "stop", _:
                yield "the server stops\n"
                return


async def upload(request: http.Request) -> http.Response:
    """Digest a body of any size, of which little is ever in memory.

    The client sends as fast as this reads: nothing is received ahead.
    """
    size, digest = 0, sha256()
    async for data in request.body:
        size += len(data)
        digest.update(data)
    return http.json({"bytes": size, "sha256": digest.hexdigest()})
