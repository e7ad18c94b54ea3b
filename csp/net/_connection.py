"""Connections: byte streams over sockets, which are anyio's as well.

There is no buffer in the program.  What was not received is in the kernel, whose
window then closes: so a handler that does not read takes no memory, and a peer that
does not read makes `send` wait.  It also makes cancelling easy, as there is nothing to
lose but what an operation holds at that moment.

An operation tries the socket at once.  Only if that would block does the task sleep,
and this is all that differs between event loops: `_stream_asyncio`, `_stream_trio`.

Deadlines are Go's: a time, set whenever one likes, also while somebody waits.  They
are looked at only where an operation must wait, so what is there can be received, and
what fits can be sent, whatever the time.
"""

from __future__ import annotations

import socket
from abc import abstractmethod
from errno import EPIPE
from importlib import import_module
from typing import Any, ClassVar, NoReturn

import anyio
from anyio.abc import ByteStream, SocketStream

from csp._park import Loop, current

from ._address import show
from ._deadlines import Deadlined
from ._kernel import break_off, queued

RECEIVE = 65536  # bytes at most, unless the caller says


class Connection(ByteStream):
    """A connection, plain or with TLS: Go's `net.Conn`, and a byte stream of anyio.

    One task may receive while another sends; two of a kind are refused with
    `anyio.BusyResourceError`.

    A receive or send that need not wait is a checkpoint once in 64 operations, as for
    channels.

        async def echo(conn: Connection) -> None:
            async for data in conn:
                await conn.send(data)
    """

    read_deadline: float
    """When a receive that waits gives up with `TimeoutError`, on the loop's clock.

    `math.inf`, the default, is never.  The connection can be used on after that.
    """
    write_deadline: float
    """The same for a send.  What it had sent by then is sent: see `bytes_sent`."""
    bytes_received: int
    """How much has been received from the peer."""
    bytes_sent: int
    """How much the kernel has taken to send."""
    peer: str
    """The address of the other side, as `listen` and `dial` take it."""
    local: str
    """The address of this side."""
    secure: ClassVar[bool] = False
    """Whether it is encrypted."""

    @property
    @abstractmethod
    def unsent(self) -> int:
        """How many bytes a send that waits now has still to give to the kernel."""

    @abstractmethod
    async def receive(self, max_bytes: int = RECEIVE) -> bytes:
        """Return some bytes, at least one; waits until there are any.

        If it is cancelled, it has taken none.

        Raises:
            EndOfStream: The peer sends no more.
            BrokenResourceError: The connection broke.
            ClosedResourceError: It was closed here.
            TimeoutError: `read_deadline` passed.
        """

    @abstractmethod
    async def send(self, item: bytes) -> None:
        """Give all of some bytes to the kernel; waits until it has room for them.

        If it ends with an error or is cancelled, some of them may have been sent.

        Raises:
            BrokenResourceError: The connection broke, or the peer receives no more.
            ClosedResourceError: It was closed here, or `send_eof` was called.
            TimeoutError: `write_deadline` passed.
        """

    async def handshake(self) -> None:
        """Begin to encrypt, if that is to be done and was not yet; with TLS only."""

    @abstractmethod
    def raised(self, error: BaseException) -> bool:
        """Tell whether this error is the last that the connection raised.

        It ended or broke, or was late, and who did not expect that need not make much
        of it.
        """

    @abstractmethod
    def close(self) -> None:
        """Close at once; who waits gets `ClosedResourceError`.  Twice is fine.

        What was sent is still delivered, unless there is something from the peer that
        was not received: then the peer's kernel is told that the connection broke.
        """

    async def aclose(self) -> None:
        """Do as `close`."""
        self.close()

    def abort(self) -> None:
        """Close so that the peer sees that the connection was broken off.

        What was sent and has not been delivered is lost, if there is a way to do so.
        """
        self.close()

    @property
    def delivered(self) -> int:
        """How many bytes the peer's side has taken, as far as one can tell.

        A kernel takes megabytes from us at once, and then no more until a good part of
        them is gone, so `bytes_sent` tells little of a peer.
        """
        return self.bytes_sent

    @property
    def at_end(self) -> bool:
        """Whether a receive would come to the end at once, or that it broke.

        False if that is not known: behind bytes that were not received, for one.
        """
        return False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} from {self.local} to {self.peer}>"


class SocketConnection(Deadlined, Connection, SocketStream):
    """A connection that is a socket; each event loop has its own kind."""

    def __init__(self, sock: socket.socket, peer: Any) -> None:
        self._loop = current()
        self._sock = sock
        self._peer = peer  # as the kernel has it
        self._local = sock.getsockname()  # which a closed one cannot say any more
        self._closed = self._sent_eof = False
        self._dry = False  # whether there was nothing to receive a moment ago
        self._receiving = self._sending = False  # whether a task waits in there
        self._error: OSError | None = None  # what broke it
        self._raised: Exception | None = None  # for that, its end, or a deadline
        self._rest: memoryview | None = None  # what the send that waits has left
        self.bytes_received: int = 0
        self.bytes_sent: int = 0

    @property
    def peer(self) -> str:  # type: ignore[override]
        return show(self._peer)

    @property
    def local(self) -> str:  # type: ignore[override]
        return show(self._local)

    @property
    def unsent(self) -> int:
        return len(self._rest) if self._rest is not None else 0

    @property
    def _raw_socket(self) -> socket.socket:
        return self._sock

    async def receive(self, max_bytes: int = RECEIVE) -> bytes:
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be 1 or more, not {max_bytes!r}")
        if self._receiving:
            raise anyio.BusyResourceError("receiving from")
        loop = self._loop
        if loop.budget <= 0:
            await self._pass("_receiving")
        loop.budget -= 1
        if self._dry:
            data = await self._wait_for_data(max_bytes)
        else:
            try:
                data = self._sock.recv(max_bytes)
            except BlockingIOError:
                data = await self._wait_for_data(max_bytes)
            except OSError as error:
                self._fail(error)
        if not data:
            self._end()
        self.bytes_received += len(data)
        return data

    async def send(self, item: bytes) -> None:
        if self._sending:
            raise anyio.BusyResourceError("sending to")
        loop = self._loop
        if loop.budget <= 0:
            await self._pass("_sending")
        loop.budget -= 1
        try:
            sent = self._sock.send(item)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._fail(error)
        self.bytes_sent += sent
        if sent < (len(item) if type(item) is bytes else memoryview(item).nbytes):
            await self._send_rest(memoryview(item).cast("B")[sent:])

    async def _send_rest(self, rest: memoryview) -> None:
        self._rest = rest
        self._sending = True
        try:
            await self._wait_until_sent()
        finally:
            self._sending = False
            self._rest = None

    async def _pass(self, busy: str) -> None:
        """Yield before an operation, the budget being spent."""
        setattr(self, busy, True)
        try:
            await self._loop.checkpoint()
        finally:
            setattr(self, busy, False)

    async def send_eof(self) -> None:
        """Say that no more will be sent: the peer receives to the end, and may answer.

        Raises:
            BrokenResourceError: The connection broke.
            ClosedResourceError: It was closed here.
        """
        if self._sending:
            raise anyio.BusyResourceError("sending to")
        await self._pass("_sending")
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._fail(error)
        self._sent_eof = True

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._dry = False
        self._raised = None  # its traceback leads back here
        self._forget()
        self._sock.close()

    def abort(self) -> None:
        if not self._closed:
            break_off(self._sock)
        self.close()

    @property
    def delivered(self) -> int:
        return self.bytes_sent - queued(self._sock)

    @property
    def at_end(self) -> bool:
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError as error:
            self._error = error  # the kernel tells of it once
            return True

    def _end(self) -> NoReturn:
        """Raise what it means that there is nothing to receive."""
        if self._error is not None:  # the kernel tells of it once
            raise self._broken(self._error)
        self._raised = anyio.EndOfStream()
        raise self._raised

    def _fail(self, error: OSError) -> NoReturn:
        """Raise what an error of the socket means."""
        if self._closed or (self._sent_eof and error.errno == EPIPE):
            raise anyio.ClosedResourceError from None
        raise self._broken(error)

    def _broken(self, error: OSError) -> anyio.BrokenResourceError:
        self._error = error
        self._raised = broken = anyio.BrokenResourceError(str(error))
        broken.__cause__ = error
        return broken

    def _late(self, which: str) -> TimeoutError:
        """Return the error of a deadline that has passed."""
        late = TimeoutError(f"{which} passed, on the connection to {self.peer}")
        self._raised = late
        return late

    def raised(self, error: BaseException) -> bool:
        return error is self._raised

    # What an event loop adds

    async def _wait_for_data(self, max_bytes: int) -> bytes:
        """Return what comes next; nothing, at the end."""
        raise NotImplementedError

    async def _wait_until_sent(self) -> None:
        """Send `_rest`, as the kernel takes it."""
        raise NotImplementedError

    def _forget(self) -> None:
        """Wake who waits with `ClosedResourceError`; the socket is about to close."""
        raise NotImplementedError


_kinds: dict[type[Loop], type[SocketConnection]] = {}


def connection(sock: socket.socket, peer: Any) -> SocketConnection:
    """Make a connection of a socket that does not block; it is closed with it.

    `peer` is the address of the other side, as the kernel has it.
    """
    loop = type(current())
    if loop not in _kinds:
        name = loop.__module__.rpartition("_park_")[2]
        _kinds[loop] = import_module(f"._stream_{name}", __package__).KIND
    if sock.family != getattr(socket, "AF_UNIX", None):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _kinds[loop](sock, peer)
