"""Uploads feed a channel, and n workers take from it: work that outlives its request.

The client is told how many lines were taken, and they are done even if the server is
stopped a moment later: it answers what has begun, then this closes its channel, and the
workers end when that is empty.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from typing import TextIO

import anyio.to_thread

import csp
from csp.net import http


class Lines:
    """Digests lines; who sends them faster than that has to wait."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.channel: csp.Channel[str] = csp.Channel(100, name="lines")
        self.out = out
        self.done = 0

    @asynccontextmanager
    async def working(self, workers: int = 4) -> AsyncIterator[None]:
        """Make a block in which lines are taken; it ends when all are done."""
        async with csp.Group() as g, self.channel:
            g.go(partial(csp.each, self.work, self.channel, workers=workers))
            yield

    async def work(self, line: str) -> None:
        """Do what takes a while: a thread for it, so that the server goes on."""
        digest = await anyio.to_thread.run_sync(sha256, line.encode())
        self.done += 1
        if self.out is not None:
            print(digest.hexdigest(), line, file=self.out, flush=True)

    async def take(self, request: http.Request) -> http.Response:
        """Take the lines of a body, as fast as there is room for them."""
        count = 0
        async for line in split(request.body):
            await self.channel.send(line)
            count += 1
        return http.json({"taken": count}, 202)

    async def tell(self, request: http.Request) -> http.Response:
        """Tell how far it is."""
        return http.json({"done": self.done, "waiting": len(self.channel)})


async def split(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Give the lines of what comes in pieces."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
