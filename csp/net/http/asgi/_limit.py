"""At most so many requests in an app at once."""

from __future__ import annotations

import math

import anyio
import msgspec

from csp._limiter import Limiter
from csp.net.http._errors import ServiceUnavailable

from ._types import App, Message, Receive, Scope, Send, check_app

_MOST_AHEAD = 2  # messages that are received while a request waits


def limit(
    app: App,
    *,
    concurrency: int,
    queue: int | float = 1_000,
    retry_after: float = 1.0,
) -> App:
    """Let so many requests into an ASGI app at once; others wait, in order.

        app = limit(app, concurrency=8, queue=100)

    One more than may wait is answered 503, with Retry-After.  A client that goes while
    it waits loses its place.  A request counts until the app has ended its call, and so
    with its background tasks.  At shutdown the app hears of it once all that were there
    have ended.  Websockets are not counted.

    Args:
        app: Any ASGI app, for any server.
        concurrency: How many requests are in the app at once.
        queue: How many may wait; `math.inf` for any number.
        retry_after: Seconds after which a client that was refused may try again.
    """
    check_app(app, "limit")
    return _Limited(app, concurrency, queue, retry_after)


class _Limited:
    """An app with a line in front of it."""

    def __init__(
        self, app: App, concurrency: int, queue: int | float, retry_after: float
    ) -> None:
        Limiter(1, queue=queue)  # which looks at it
        if isinstance(retry_after, bool) or not isinstance(retry_after, (int, float)):
            raise TypeError(f"retry_after must be a number, not {retry_after!r}")
        if not 0 <= retry_after < math.inf:
            raise ValueError(f"retry_after must be 0 or more, not {retry_after!r}")
        self._app = app
        self._limiter = Limiter(concurrency, name="requests")
        self._everything = self._limiter.weight(concurrency)
        self._queue = queue
        self._retry_after = math.ceil(retry_after)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._enter(scope, receive, send)
        elif kind == "lifespan":
            await self._app(scope, self._draining(receive), send)
        else:
            await self._app(scope, receive, send)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        limiter = self._limiter
        n, in_use, waiting, *_ = limiter.statistics()
        if not waiting and in_use < n:
            async with limiter:
                await self._app(scope, receive, send)
        elif waiting >= self._queue:
            await self._refuse(send)
        elif await (waited := _Wait(receive)).for_place(limiter):
            try:
                await self._app(scope, waited.receive, send)
            finally:
                await limiter.__aexit__(None, None, None)

    async def _refuse(self, send: Send) -> None:
        body = msgspec.json.encode(ServiceUnavailable("too many requests").problem())
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", b"%d" % self._retry_after),
        ]
        start = {"type": "http.response.start", "status": 503, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _draining(self, receive: Receive) -> Receive:
        """Return a `receive` that keeps a shutdown back until the app is empty."""

        async def drained() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                async with self._everything:
                    pass
            return message

        return drained


class _Wait:
    """The wait of one request, and what has come of it meanwhile.

    The only way to learn that the client has gone is to receive.  So its first messages
    are kept for the app; if there are more, it is not noticed any more.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ahead: list[Message] = []
        self._gone = False

    async def for_place(self, limiter: Limiter) -> bool:
        """Wait for a place; tells whether it has one, or the client has gone."""
        has_place = False
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._look_out, tasks.cancel_scope)
                await limiter.__aenter__()
                has_place = True
                tasks.cancel_scope.cancel()
        except BaseException:
            if has_place:
                await limiter.__aexit__(None, None, None)
            raise
        if has_place and self._gone:
            await limiter.__aexit__(None, None, None)
        return has_place and not self._gone

    async def _look_out(self, scope: anyio.CancelScope) -> None:
        while len(self._ahead) < _MOST_AHEAD:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone = True
                scope.cancel()
                return
            self._ahead.append(message)

    async def receive(self) -> Message:
        """What the app calls."""
        return self._ahead.pop(0) if self._ahead else await self._receive()
