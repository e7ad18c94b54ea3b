"""Apps of others on our server."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self

from csp._group import go
from csp.net.http._message import Request, Response

from ._exchange import Exchange
from ._lifespan import lifespan
from ._runners import Runners
from ._scope import http_scope
from ._types import App, check_app


def from_asgi(
    app: App, *, root_path: str = "", has_lifespan: bool = True
) -> Application:
    """Make a handler of an ASGI app: Starlette, FastAPI, Litestar, Django or any other.

        csp.run(serve, from_asgi(app), "127.0.0.1:8080")

    The handler is an async context manager too, which is the app's lifespan: entering
    it waits for the app's startup, and raises if that fails; leaving it waits for its
    shutdown.  An app without one is fine.  `serve` enters the handler that it is given,
    and those within a router, or within one that has `functools.wraps`.  One that it
    cannot see needs a block of its own:

        async with from_asgi(app) as handler:
            await serve(opaque(handler), "127.0.0.1:8080")

    Within the block, entering it again does nothing.

    What the app does after its response, in background tasks of a framework, is waited
    for in a stop, and its errors are logged.  On trio the app has to be one that runs
    on trio.

    Args:
        app: Of ASGI 3.0.  Only requests come to it, and no websockets.
        root_path: Where the app is, if it does not see all of the path: as behind a
            proxy, or a router, that takes off a prefix.  It is put before the path.
        has_lifespan: Whether the app may have one.  If not, its handler need not be
            entered, though it is faster if it is.

    Raises:
        RuntimeError: The app could not begin, or not end; from the block.
    """
    check_app(app, "from_asgi")
    return Application(app, root_path.rstrip("/"), has_lifespan)


class Application(AbstractAsyncContextManager["Application"]):
    """An ASGI app as a handler; made by `from_asgi`."""

    def __init__(self, app: App, root_path: str, has_lifespan: bool) -> None:
        self.app: App = app
        self.root_path: str = root_path
        self._has_lifespan = has_lifespan
        self._entries = 0
        self._blocks = AsyncExitStack()
        self._runners: Runners | None = None
        self._state: dict[str, Any] | None = None

    def __call__(self, request: Request) -> Coroutine[Any, Any, Response]:
        if not self._entries and self._has_lifespan:
            raise RuntimeError(
                "the application has not been started. Write: async with handler: "
                "await serve(...); or, if it needs no startup, from_asgi(app, "
                "has_lifespan=False)"
            )
        scope = http_scope(request, self.root_path, self._state)
        run = _go if self._runners is None else self._runners.run
        return Exchange(self.app, request, run).run(scope)

    async def __aenter__(self) -> Self:
        if not self._entries:
            async with AsyncExitStack() as blocks:
                if self._has_lifespan:
                    block = lifespan(self.app)
                    self._state = await blocks.enter_async_context(block)
                self._runners = await blocks.enter_async_context(Runners())
                self._blocks = blocks.pop_all()
        self._entries += 1
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._entries -= 1
        if self._entries:
            return None
        self._state = self._runners = None
        return await self._blocks.__aexit__(exc_type, exc, traceback)

    def __repr__(self) -> str:
        return f"<ASGI application {self.app!r}>"


def _go(job: Coroutine[Any, Any, None]) -> Callable[[], None]:
    """Start a coroutine in the server's group."""

    async def run() -> None:
        await job

    return go(run, name="asgi").cancel
