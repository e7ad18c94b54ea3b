"""An app's own beginning and end, as the server's side sees them.

An app that raises or returns before it has said that it began has no lifespan, says
ASGI, and it is served without.  One that says that it could not begin is not served.

All of it runs in one task, so that an app may open a group in it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio

from csp._group import PrivateGroup

from ._scope import LIFESPAN
from ._types import App, Message

_log = logging.getLogger("csp.net.http")


class LifespanError(RuntimeError):
    """An app could not begin, or not end."""


class _Lifespan:
    """One life of an app."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._phase: Literal["new", "starting", "running", "ending", "over"] = "new"
        self.state: dict[str, Any] = {}
        self.failure: str | None = None
        self.supported = False
        self.begun = anyio.Event()
        self._to_end = anyio.Event()

    async def run(self) -> None:
        """Run the app to its end."""
        scope = {"type": "lifespan", "asgi": {**LIFESPAN}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            self._failed(error)
        finally:
            self._phase = "over"
            self.begun.set()

    def _failed(self, error: Exception) -> None:
        if self._phase in ("new", "starting"):
            _log.info("the application has no lifespan: %s", error, exc_info=error)
        elif self._phase == "running":
            _log.error("the application's lifespan ended", exc_info=error)
        elif self._phase == "ending":
            self.failure = f"{type(error).__name__}: {error}"
            _log.error("the application's shutdown failed", exc_info=error)

    async def _receive(self) -> Message:
        if self._phase == "new":
            self._phase = "starting"
            return {"type": "lifespan.startup"}
        if self._phase in ("ending", "over"):
            raise RuntimeError("there is nothing to receive after lifespan.shutdown")
        await self._to_end.wait()
        self._phase = "ending"
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._phase == "starting" and kind == "lifespan.startup.complete":
            self._phase = "running"
            self.supported = True
            self.begun.set()
        elif (self._phase, kind) in _FAILURES:
            if self._phase != "running":  # else it goes on to raise what that was
                self._phase = "over"
            self.failure = message.get("message", "") or "it does not say why"
            self.begun.set()
        elif self._phase == "ending" and kind == "lifespan.shutdown.complete":
            self._phase = "over"
        else:
            raise RuntimeError(
                f"{kind!r} is no message for a lifespan that is {self._phase}"
            )

    def end(self) -> None:
        """Let the app shut down."""
        self._to_end.set()


_FAILURES = {
    ("starting", "lifespan.startup.failed"),
    ("running", "lifespan.shutdown.failed"),  # so Starlette if it is cancelled
    ("ending", "lifespan.shutdown.failed"),
}


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, Any] | None]:
    """Make the block in which an app lives.

    Gives the state that its requests start with; None if it has no lifespan.

    Raises:
        LifespanError: It could not begin, or not end.
    """
    life = _Lifespan(app)
    failure = None
    async with PrivateGroup("lifespan") as g:
        g.go(life.run)
        await life.begun.wait()
        if life.supported or life.failure is None:
            try:
                yield life.state if life.supported else None
            except Exception as error:
                failure = error
            life.end()
        else:
            failure = LifespanError(f"the application did not start: {life.failure}")
    if failure is None and life.failure is not None:
        failure = LifespanError(f"the application did not shut down: {life.failure}")
    if failure is not None:
        raise failure
