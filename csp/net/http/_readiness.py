"""Saying whether more should be sent here."""

from __future__ import annotations

from csp._stop import innermost

from ._makers import text
from ._message import Request, Response

_NOT_STORED = {"Cache-Control": "no-store"}


async def readiness(request: Request) -> Response:
    """Answer 200 "ready", or 503 "stopping" from a stop request on: a handler.

        async def handler(request: Request) -> Response:
            if request.path == "/ready":
                return await readiness(request)
            return text("Hello, www!\\n")

    Whoever deals out the requests, such as a load balancer, asks it now and then, and
    turns to other servers once it says no.  `Limits.lame_duck` is the time it takes
    them to.
    """
    stop = innermost()
    if stop is not None and stop.requested:
        return text("stopping", 503, _NOT_STORED)
    return text("ready", headers=_NOT_STORED)
