"""A listener in memory: whoever calls it is connected, and no socket is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio

from csp import net
from csp._channel import Channel
from csp._errors import ChannelClosed, EndOfChannel

from ._memory import CAPACITY, Connection, pipe

if TYPE_CHECKING:
    from csp.net._tls import TLS

_FIRST_PORT = 50_000  # of those that callers seem to come from


class Listener(net.Listener):
    """Where connections in memory come in, for a server without sockets.

        listener = Listener()
        async with csp.stop_scope() as stop, csp.Group() as g:
            await g.start(http.serve, app, listener)
            async with await listener.dial() as conn:
                await conn.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
                print(await conn.receive())
            stop.request()

    It does for `csp.net.serve` as well.  It has a queue like the kernel's: who dials is
    connected before anybody accepts, and broken off if nobody does until it closes.

    Args:
        address: What it says its address is.
        backlog: How many may be in the queue; more wait in `dial`.
        capacity: How many bytes can be on their way on a connection, in each direction.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:80",
        *,
        backlog: int = 1024,
        capacity: int = CAPACITY,
    ) -> None:
        self.address = address
        self.tls: TLS | None = None
        self.unlink = False
        self._closed = False
        self._pause = 0.0
        self._capacity = capacity
        self._ports = count(_FIRST_PORT)
        self._queue: Channel[Connection] = Channel(backlog, name="backlog")
        self._first: deque[Connection] = deque()  # what was seen to be there

    async def dial(
        self, *, local: str | None = None, secure: bool = False
    ) -> Connection:
        """Connect to it; returns the caller's end.

        Args:
            local: The address that the caller seems to have.
            secure: Whether to say that the connection is encrypted: so the scheme of
                its requests is https.

        Raises:
            ConnectionRefusedError: It is closed.
        """
        conn, theirs = pipe(
            capacity=self._capacity,
            local=f"127.0.0.1:{next(self._ports)}" if local is None else local,
            peer=self.address,
            secure=secure,
        )
        with suppress(ChannelClosed):
            await self._queue.send(theirs)
        if self._closed:  # it may have been, while this waited
            raise ConnectionRefusedError(f"{self!r}: nobody listens")
        return conn

    def accept_nowait(self) -> net.Connection:
        if self._closed:
            raise anyio.ClosedResourceError
        return self._first.popleft() if self._first else self._queue.receive_nowait()

    async def wait(self) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        if self._first:
            return
        try:
            self._first.append(await self._queue.receive())
        except EndOfChannel:
            raise anyio.ClosedResourceError from None

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._queue.close()
        for conn in (*self._first, *self._queue.drain()):
            conn.abort()

    def fileno(self) -> int:
        """Raise: it has none."""
        raise ValueError(f"{self!r} is in memory, and has no descriptor")

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {}
