"""Our handlers on the servers of others."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from csp._state import keeper
from csp._stop import StopScope, stop_scope
from csp._tasks import current_group
from csp.net._serve import _Crew as Crew
from csp.net.http._entered import entered
from csp.net.http._errors import ClientGone, ContentTooLarge
from csp.net.http._message import Request, Response
from csp.net.http._problem import answer_to, sole

from ._received import Received
from ._scope import request_of
from ._sent import Sent
from ._types import App, Receive, Scope, Send

_log = logging.getLogger("csp.net.http")

_BODY = 16 * 2**20


def to_asgi(
    handler: Callable[[Request], Awaitable[Response]],
    *,
    body_bytes: int | float = _BODY,
    grace: float = 25.0,
) -> App:
    """Make an ASGI app of a handler, for uvicorn, hypercorn, granian and any other.

        async def hello(request: Request) -> Response:
            return text("Hello, www!\\n")

        app = to_asgi(hello)    # uvicorn module:app

    If the server has lifespans, as all of these have, a handler that is an async
    context manager is entered at startup and left at shutdown.  What handlers start
    with `csp.go` lives until then: at shutdown, `csp.stopping()` is told, tasks are
    waited for, and what takes longer than `grace` is cut, which is a failed shutdown.
    Some servers shut down only after the last response, so a response without an end
    should have one of its own.

    Without lifespan, as for an app that is mounted in another, the tasks that a handler
    has started are waited for by the call of the app, after the response.

    Args:
        handler: An async function of a request.
        body_bytes: The most that a request's body may have: more is answered 413.
        grace: Seconds for what still runs at shutdown.
    """
    if not callable(handler):
        raise TypeError(
            f"to_asgi takes an async function of a request, not {handler!r}"
        )
    return _Handler(handler, body_bytes, grace)


class _Handler:
    """A handler as an ASGI app."""

    def __init__(self, handler: Any, body_bytes: int | float, grace: float) -> None:
        self._handler = handler
        self._body_bytes = body_bytes
        self._grace = grace
        self._life: tuple[StopScope, Crew] | None = None  # from startup to shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            async with self._background():
                await self._answer(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close"})  # which refuses it
        else:
            raise NotImplementedError(f"this is an app for http, not for {kind!r}")

    # Lifespan

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        phase = "startup"
        try:
            async with (
                stop_scope(self._grace) as stop,
                entered(self._handler),
                Crew("asgi") as tasks,
            ):
                self._life = stop, tasks
                await send({"type": "lifespan.startup.complete"})
                await receive()
                phase = "shutdown"
                stop.request()
        except Exception as error:
            _log.error("%s failed", phase, exc_info=error)
            await send({"type": f"lifespan.{phase}.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})
        finally:
            self._life = None

    @asynccontextmanager
    async def _background(self) -> AsyncIterator[None]:
        """Make a block in which `csp.go` and `csp.stopping` are of this app's life."""
        if self._life is None:
            if hasattr(self._handler, "__aenter__"):
                raise RuntimeError(
                    f"{self._handler!r} has to be entered, and the server has begun no "
                    "lifespan. Turn it on, or pass it on from the app around this one"
                )
            failure = None
            async with Crew("request"):
                try:
                    yield
                except Exception as error:
                    failure = error
            if failure is not None:
                raise failure
            return
        before = keeper.get(), current_group.get()
        stop, tasks = self._life
        keeper.set(stop)
        current_group.set(tasks)
        try:
            yield
        finally:
            keeper.set(before[0])
            current_group.set(before[1])

    # Requests

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = request_of(scope, Received(receive, self._body_bytes))
        sent = Sent(request, scope, send)
        try:
            _check_length(request, self._body_bytes)
            response = await self._handler(request)
            if not isinstance(response, Response):
                raise TypeError(
                    f"the handler returned {response!r}. Write: return text(...), or "
                    f"another Response"
                )
            await sent.send(response)
        except Exception as error:
            if isinstance(sole(error), ClientGone):
                return
            if sent.begun:
                raise  # so the server cuts it, and logs this
            await self._refuse(sent, request, error)

    async def _refuse(self, sent: Sent, request: Request, error: Exception) -> None:
        """Answer an error, and if what it says cannot be sent, that."""
        answer, blamed = answer_to(error, request.headers)
        if blamed:
            what = f"{request.method} {request.target} from {request.client}"
            _log.error("%s: the handler failed", what, exc_info=error)
        with suppress(ClientGone):
            try:
                await sent.send(answer)
            except (TypeError, ValueError) as wrong:  # in its headers
                await self._refuse(sent, request, wrong)


def _check_length(request: Request, most: int | float) -> None:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise ContentTooLarge(f"the body has more than {most} bytes")
