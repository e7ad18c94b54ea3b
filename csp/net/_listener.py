"""Listeners: where connections come in.

Accepting is one step.  The task waits until there is a connection, and takes it with a
system call and nothing after that could be cancelled.  So what was accepted is always
returned, and what was not is still in the kernel's queue.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, cast

import anyio
from anyio.abc import Listener as AbstractListener
from anyio.abc import SocketAttribute, TaskGroup

from csp._park import current

from ._address import TCP, Address, Unix, parse, show
from ._connection import Connection, connection
from ._sockets import explained, identity, open_socket

if TYPE_CHECKING:
    from ._tls import TLS, TLSLike

_log = logging.getLogger("csp.net")

# Out of descriptors or memory: it may have more in a while.
_SHORTAGE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_FIRST_PAUSE = 0.005  # seconds; doubled each time, as in Go
_LAST_PAUSE = 1.0

# accept() tells of what went wrong with the connection it would have returned.
_OF_ONE = {
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "EPERM", "EPROTO", "ENOPROTOOPT", "EOPNOTSUPP", "ETIMEDOUT"),
        *("ENETDOWN", "ENETUNREACH", "ENONET", "EHOSTDOWN", "EHOSTUNREACH"),
    )
    if hasattr(errno, name)
}


class Listener(AbstractListener[Connection]):
    """A socket that listens; made by `listen`.  Close it, or use ``async with``."""

    address: str
    """Where it listens, as `listen` takes it."""
    tls: TLS | None
    """How its connections are encrypted."""
    plain_answer: bytes | None = None
    """What a client is sent that speaks plain HTTP to TLS; by default an alert."""
    unlink: bool
    """Whether closing removes the Unix socket; false if it was inherited."""

    def __init__(self, sock: socket.socket, wanted: Address, tls: TLS | None) -> None:
        self.tls = tls
        self._sock = sock
        self._closed = False
        self._pause = 0.0  # while it is short of something; else 0
        name = sock.getsockname()
        self.address = show(name)
        if isinstance(wanted, TCP) and not wanted.host:
            self.address = str(TCP("", name[1]))
        self.unlink = isinstance(wanted, Unix)
        self._path = wanted.path if isinstance(wanted, Unix) else None
        self._file = identity(self._path)

    def accept_nowait(self) -> Connection:
        """Take a connection out of the kernel's queue.

        Raises:
            WouldBlock: There is none; or there is, but not the descriptor or the memory
                that it takes.
            ClosedResourceError: The listener is closed.
        """
        while True:
            sock, peer = self._accept()
            self._pause = 0.0
            try:
                conn = connection(sock, peer)
                return self.tls.wrap(conn, self.plain_answer) if self.tls else conn
            except BaseException as error:
                sock.close()
                if not isinstance(error, OSError):  # it has been broken off already
                    raise

    def _accept(self) -> tuple[socket.socket, Any]:
        while True:
            try:
                sock, peer = self._sock.accept()
            except BlockingIOError:
                self._pause = 0.0
                raise anyio.WouldBlock from None
            except OSError as error:
                self._judge(error)
            else:
                sock.setblocking(False)
                return sock, peer

    def _judge(self, error: OSError) -> None:
        """Raise what an error means, unless one should just try again."""
        if self._closed:
            raise anyio.ClosedResourceError from None
        if error.errno in _SHORTAGE:
            if not self._pause:
                _log.error("%s: cannot accept now: %s", self.address, error.strerror)
            self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LAST_PAUSE)
            raise anyio.WouldBlock from error
        if error.errno not in _OF_ONE:
            raise error

    @property
    def short(self) -> bool:
        """Whether the last try found that descriptors or memory are short."""
        return self._pause > 0

    async def wait(self) -> None:
        """Wait until there may be a connection.

        If descriptors or memory were short, that is a pause, which doubles each time
        from 5 ms to a second: others must give something back first.

        Raises:
            ClosedResourceError: The listener is closed.
        """
        if self._closed:
            raise anyio.ClosedResourceError
        if self._pause:
            await anyio.sleep(self._pause)
        else:
            await anyio.wait_readable(self._sock)

    async def accept(self) -> Connection:
        """Wait for a connection, and return it.

        With TLS its handshake comes with its first use, or by ``await
        conn.handshake()``: that should not hold up who accepts.

        If this is cancelled, no connection is lost.

        Raises:
            ClosedResourceError: The listener is closed.
        """
        loop = current()
        if loop.budget <= 0:
            await loop.checkpoint()
        loop.budget -= 1
        while True:
            try:
                return self.accept_nowait()
            except anyio.WouldBlock:
                await self.wait()

    async def serve(
        self,
        handler: Callable[[Connection], Any],
        task_group: TaskGroup | None = None,
    ) -> NoReturn:
        """Start a task for each connection, until cancelled, as anyio has it.

        The handler closes the connection.  See `csp.net.serve` for a server that
        limits, contains errors, and stops without losing anything.
        """
        async with anyio.create_task_group() as own:
            while True:
                conn = await self.accept()
                (task_group or own).start_soon(handler, conn)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close it; what is in the kernel's queue is refused.  Twice is fine.

        A Unix socket's file is removed, if it is still the one that was made.
        """
        if self._closed:
            return
        self._closed = True
        anyio.notify_closing(self._sock)
        if self.unlink and self._file == identity(self._path) is not None:
            os.unlink(cast("str", self._path))
        self._sock.close()

    async def aclose(self) -> None:
        """Do as `close`."""
        self.close()

    def fileno(self) -> int:
        """Return its descriptor, for another process; programs do not inherit it."""
        return self._sock.fileno()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {
            SocketAttribute.family: lambda: self._sock.family,
            SocketAttribute.local_address: self._sock.getsockname,
            SocketAttribute.raw_socket: lambda: self._sock,
        }

    def __repr__(self) -> str:
        return f"<Listener {self.address}{' closed' if self._closed else ''}>"


async def listen(
    address: str,
    *,
    tls: TLSLike | None = None,
    backlog: int = 1024,
    reuse_port: bool = False,
) -> Listener:
    """Listen at an address.

        async with await listen("127.0.0.1:0") as listener:
            print("listening on", listener.address)
            async with await listener.accept() as conn:
                await conn.send(b"hello")

    Args:
        address: ``"127.0.0.1:8080"`` or ``"[::1]:0"``, where port 0 is any free one;
            ``":8080"`` on all interfaces; ``"unix:/run/x.sock"``, where a socket that
            nobody listens at any more is replaced; ``"fd:3"`` or ``"systemd:name"`` for
            one that was inherited.
        tls: A `TLS`, an `ssl.SSLContext`, or the paths of a certificate and its key.
        backlog: How many connections the kernel queues; it may have a lower limit.
        reuse_port: Let other processes listen there as well (`SO_REUSEPORT`).  The
            kernel deals the connections out, and when one of them closes, those that
            were dealt to it are reset: to replace a process, pass the descriptor on.

    Raises:
        ValueError: That is no address.
        OSError: One cannot listen there; it says why.
    """
    wanted = parse(address)
    if tls is not None:
        from ._tls import as_tls

        tls = as_tls(tls)
    try:
        sock = await open_socket(wanted, backlog, reuse_port)
    except OSError as error:
        raise explained(error, f"cannot listen on {address}") from error
    return Listener(sock, wanted, tls)
