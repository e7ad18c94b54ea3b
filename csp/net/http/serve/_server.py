"""A server: connections, each of which is a session, and what they have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import time
from typing import TYPE_CHECKING, TypeAlias

import anyio
from anyio.abc import TaskStatus

from csp._group import PrivateGroup
from csp._stop import innermost, stopping, time_to_cut
from csp.net._connection import Connection
from csp.net._listener import Listener
from csp.net._serve import Limits as ConnectionLimits
from csp.net._serve import Serving, quack
from csp.net.http._entered import entered
from csp.net.http._limits import Limits
from csp.net.http._message import Request, Response
from csp.net.http.wire import Limits as WireLimits
from csp.net.http.wire import http_date

from ._line import Line
from ._pace import keep_pace
from ._report import DrainReport, Tally
from ._session import Session

if TYPE_CHECKING:
    from csp.net._tls import TLSLike

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class Server:
    """An HTTP server around a handler.

        server = Server(hello)

        async def main() -> None:
            report = await server.serve("127.0.0.1:8080")

    `serve` does that in one call.  A connection that comes from elsewhere is served so:

        async with server.open():
            await server.handle(conn)
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits | None = None,
        grace: float | None = None,
    ) -> None:
        if not callable(handler):
            raise TypeError(
                f"a server needs an async function of a request, not {handler!r}"
            )
        self.handler: Handler = handler
        self.limits: Limits = limits or Limits()
        self.grace: float | None = grace
        self.wire_limits: WireLimits = WireLimits(
            target_bytes=self.limits.target_bytes,
            header_bytes=self.limits.header_bytes,
            header_count=self.limits.header_count,
            body_bytes=self.limits.body_bytes,
        )
        self.line: Line = Line(self.limits)
        self.stopping: bool = False
        self.tally: Tally = Tally(None)
        self.sessions: set[Session] = set()
        self._date = b""
        self._second = 0

    def date(self) -> bytes:
        """Return the time as it stands in the header."""
        second = int(time())
        if second != self._second:
            self._second = second
            self._date = http_date(second)
        return self._date

    async def handle(self, conn: Connection) -> None:
        """Serve one connection, until one of the sides closes it."""
        session = Session(self, conn)
        self.sessions.add(session)
        try:
            await session.run()
        except anyio.get_cancelled_exc_class():
            self.tally.cut[conn] = str(session) if session.owing else None
            raise
        finally:
            self.sessions.discard(session)
            conn.close()

    async def serve(
        self,
        *addresses: Listener | str,
        tls: TLSLike | None = None,
        task_status: TaskStatus[tuple[str, ...]] = anyio.TASK_STATUS_IGNORED,
    ) -> DrainReport:
        """Do as the function `serve`."""
        limits = self.limits
        async with self.open():
            serving = Serving(
                self.handle,
                ConnectionLimits(
                    connections=limits.connections,
                    handshake_timeout=limits.handshake_timeout,
                ),
                self.grace,
                lame_duck=limits.lame_duck,
                linger=limits.linger,
                doing=self.tally.doing,
            )
            report = await serving.run(addresses, tls, task_status, _answer_plain)
        return self.tally.report(report)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Make a block in which connections can be handled.

        It enters the handler, if that is an async context manager; ends the waits of
        clients that are too slow; and hears of a stop request.
        """
        async with entered(self.handler), self._open():
            yield

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        self.tally = Tally(innermost())
        self.stopping = False
        async with PrivateGroup("http") as g:
            g.go(keep_pace, self.sessions, self.limits)
            g.go(self._hear)
            yield
            g.cancel()

    async def _hear(self) -> None:
        """Learn of a stop request, and let those hurry who wait for nothing yet."""
        await stopping()
        await quack(self.limits.lame_duck, time_to_cut(self.grace))
        self.stopping = True
        now = anyio.current_time()
        for session in self.sessions:
            session.hurry(now)


def _answer_plain(listener: Listener) -> None:
    """Have a listener tell who speaks plain HTTP to it that it should not."""
    if listener.tls is not None:
        from csp.net._tls import PLAIN_HTTP

        listener.plain_answer = PLAIN_HTTP


async def serve(
    handler: Handler,
    *addresses: Listener | str,
    tls: TLSLike | None = None,
    limits: Limits | None = None,
    grace: float | None = None,
    task_status: TaskStatus[tuple[str, ...]] = anyio.TASK_STATUS_IGNORED,
) -> DrainReport:
    """Serve HTTP: a task for each connection, a call of the handler for each request.

        async def hello(request: Request) -> Response:
            return text("Hello, www!\\n")

        async def main() -> None:
            await serve(hello, "127.0.0.1:8080")

        csp.run(main)

    It serves until its stop scope is asked to stop.  Then it accepts no more, answers
    what clients have begun to send, and returns.

    What a handler raises is answered: an `HTTPError` as it says, anything else with 500
    and a line in the log, with the traceback.

    Args:
        handler: An async function of a `Request` that returns a `Response`.  If it is
            also an async context manager, it is entered before it is called, and left
            when the last request has been answered.
        addresses: Where to listen, as for `csp.net.listen`; or listeners.
        tls: As for `csp.net.listen`.
        limits: See `Limits`.
        grace: Seconds after a stop request before what still runs is cut; by default
            until two seconds before the stop scope does it.
        task_status: Makes ``await group.start(serve, ...)`` return when it listens,
            with the addresses as a tuple.

    Returns:
        What became of the connections that were there at the stop, and of the requests:
        see `DrainReport`.
    """
    server = Server(handler, limits=limits, grace=grace)
    return await server.serve(*addresses, tls=tls, task_status=task_status)
