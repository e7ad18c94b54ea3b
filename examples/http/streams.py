"""Handlers that take their time: a stream, an upload, and a route that is limited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256

import anyio

import csp
from csp.net import http

busy = csp.Limiter(2, queue=2, on_full="reject")


async def count(request: http.Request) -> http.Response:
    """Answer with a stream, which goes on for ten seconds."""
    fields = {"Content-Type": "text/plain"}
    return http.Response(body=numbers(10), headers=fields)


async def numbers(n: int) -> AsyncIterator[str]:
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
