"""The handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256

import anyio
import attrs

import csp
from csp.net import http

from .lines import Lines

busy = csp.Limiter(2, queue=2, on_full="reject")


@attrs.frozen
class App:
    """All of them."""

    lines: Lines

    async def __call__(self, request: http.Request) -> http.Response:
        """Choose by method and path."""
        match request.method, request.path:
            case "GET" | "HEAD", "/":
                return http.text("Hello, www!\n")
            case "GET" | "HEAD", "/count":
                fields = {"Content-Type": "text/plain"}
                return http.Response(body=count(10), headers=fields)
            case "GET" | "HEAD", "/slow":
                return await slow(request)
            case "PUT" | "POST", "/upload":
                return await upload(request)
            case "POST", "/lines":
                return await self.lines.take(request)
            case "GET" | "HEAD", "/lines":
                return await self.lines.tell(request)
            case _, "/" | "/count" | "/slow" | "/upload" | "/lines":
                raise http.MethodNotAllowed(
                    f"{request.method} is not for {request.path}"
                )
        raise http.NotFound(f"there is nothing at {request.path}")


async def count(n: int) -> AsyncIterator[str]:
    """Give a number a second, and stop early if the server is to stop."""
    for number in range(n):
        yield f"{number}\n"
        match await csp.select(tick=csp.after(1), stop=csp.stopping()):
            case "stop", _:
                yield "the server stops\n"
                return


async def slow(request: http.Request) -> http.Response:
    """Do what only two may do at once; two more may wait, and others are sent away."""
    try:
        async with busy:
            await anyio.sleep(1)
    except csp.Overloaded:
        raise http.ServiceUnavailable("too many", {"Retry-After": "1"}) from None
    return http.text("done\n")


async def upload(request: http.Request) -> http.Response:
    """Digest a body of any size, of which little is ever in memory.

    The client sends as fast as this reads: nothing is received ahead.
    """
    size, digest = 0, sha256()
    async for data in request.body:
        size += len(data)
        digest.update(data)
    return http.json({"bytes": size, "sha256": digest.hexdigest()})
