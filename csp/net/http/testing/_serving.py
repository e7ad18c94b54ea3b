"""A server that runs as long as a block does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio.abc import TaskStatus

from csp._account import Undelivered
from csp._group import PrivateGroup
from csp._stop import StopScope, stop_scope
from csp.net._listener import Listener
from csp.net.http._limits import Limits
from csp.net.http.serve import serve
from csp.net.http.serve._server import Handler

if TYPE_CHECKING:
    from csp.net._tls import TLSLike


@asynccontextmanager
async def serving(
    handler: Handler,
    address: Listener | str = "127.0.0.1:0",
    *,
    tls: TLSLike | None = None,
    limits: Limits | None = None,
    grace: float = 5.0,
) -> AsyncIterator[str]:
    """Make a block around which a server runs; gives the address where it listens.

        @pytest.fixture
        async def address() -> AsyncIterator[str]:
            async with serving(app) as address:
                yield address

    At the end of the block the server is stopped and drains: what handlers have begun
    is finished, or named by the error.

    Args:
        handler: What is to be served.
        address: Where: by default any free port of this machine.
        tls: As for `http.serve`; so are `limits`.
        limits: Those of the server.
        grace: Seconds for handlers to finish at the end of the block.

    Raises:
        Undelivered: At the end of the block, a handler still ran, and was cut.
    """
    server = _Server(handler, tls, limits, grace)
    async with PrivateGroup("serving") as g:
        [where] = await g.start(server.run, address)
        yield where
        server.stop.request()
    if server.cut:
        raise Undelivered((), server.cut)


class _Server:
    """The server, and how it ended."""

    stop: StopScope

    def __init__(
        self,
        handler: Handler,
        tls: TLSLike | None,
        limits: Limits | None,
        grace: float,
    ) -> None:
        self._handler = handler
        self._tls = tls
        self._limits = limits
        self.stop = stop_scope(grace)
        self.cut: tuple[str, ...] = ()

    async def run(
        self, address: Listener | str, *, task_status: TaskStatus[tuple[str, ...]]
    ) -> None:
        async with self.stop:
            report = await serve(
                self._handler,
                address,
                tls=self._tls,
                limits=self._limits,
                task_status=task_status,
            )
        self.cut = report.cut_names
