"""Encrypted connections.

The sans-IO half is the standard library's `SSLObject`, which reads and writes two
buffers in memory.  What this adds is to carry them to and from a connection:

* Who sends waits until the kernel has what he wrote.  Who receives may have to send as
  well, such as an answer to a change of keys; if somebody is sending already, that one
  takes it along.
* A send that is cancelled, or late, leaves whole records behind, or the rest of one,
  which the next send begins with.  So the stream is never garbled.
* When a handshake fails, the peer is told why, with an alert.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar

import anyio
from anyio.streams.tls import TLSAttribute

from csp._park import current

from ._connection import RECEIVE, Connection, SocketConnection

_CHUNK = 65536  # bytes encrypted at a time
_LINGER = 1.0  # seconds for a client to read that it should speak TLS


class TLSConnection(Connection):
    """An encrypted connection.

    Besides anyio's attributes of sockets it has those of `TLSAttribute`.  The counters
    count what goes over the wire, encrypted.
    """

    secure: ClassVar[bool] = True

    transport: SocketConnection
    """What carries it."""

    def __init__(
        self,
        transport: SocketConnection,
        begin: Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject],
        plain_answer: bytes | None = None,
    ) -> None:
        self.transport = transport
        self._loop = current()
        self._begin = begin
        self._plain_answer = plain_answer
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None  # once the handshake has begun
        self._ready = False  # whether that is done
        self._error: Exception | None = None  # with which it failed
        self._raised: Exception | None = None  # what was raised last for such a reason
        self._rest = b""  # of a record that was sent in part
        self._shaking = anyio.Lock(fast_acquire=True)
        self._flushing = anyio.Lock(fast_acquire=True)
        self._receiving = self._sending = False

    async def handshake(self) -> None:
        """Agree with the peer how to encrypt, if that was not done yet.

        The first receive or send does this as well.

        Raises:
            ssl.SSLError: They could not; the peer has been told.
            EndOfStream, BrokenResourceError, ClosedResourceError, TimeoutError: As for
                `receive` and `send`.
        """
        if self._ready:
            return
        async with self._shaking:
            if self._error is not None:
                raise self._broken(self._error) from self._error
            if self._tls is None:
                self._tls = self._begin(self._in, self._out)
            try:
                await self._do(self._tls.do_handshake)
                await self._flush()
            except ssl.SSLError as error:
                self._error = error
                await self._refuse(error)
                raise
            self._ready = True

    async def _refuse(self, error: ssl.SSLError) -> None:
        """Tell the peer what is wrong, as well as that can be done."""
        plain = error.reason == "HTTP_REQUEST" and self._plain_answer is not None
        told = self._plain_answer if plain else self._out.read()
        with suppress(OSError, anyio.BrokenResourceError, anyio.EndOfStream):
            await self.transport.send(told or b"")
            if plain:  # to close with something unread would take the answer back
                await self.transport.send_eof()
                with anyio.move_on_after(_LINGER):
                    while self.transport.bytes_received < RECEIVE:
                        await self.transport.receive()

    async def _begun(self) -> ssl.SSLObject:
        """Return what encrypts, after a handshake if need be."""
        if not self._ready:
            try:
                await self.handshake()
            except ssl.SSLError as error:
                raise self._broken(error) from error
        if self.transport._closed:
            raise anyio.ClosedResourceError
        assert self._tls is not None
        return self._tls

    async def _do(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call what needs to receive more, until it does not.

        It returns at once then: what it has taken must not be lost to a cancellation.
        """
        while True:
            try:
                return fn(*args)
            except ssl.SSLWantReadError:
                if self._out.pending and not self._flushing.locked():
                    await self._flush()
                try:
                    self._in.write(await self.transport.receive())
                except anyio.EndOfStream:
                    self._in.write_eof()

    async def receive(self, max_bytes: int = RECEIVE) -> bytes:
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be 1 or more, not {max_bytes!r}")
        if self._receiving:
            raise anyio.BusyResourceError("receiving from")
        self._receiving = True
        try:
            if self._loop.budget <= 0:
                await self._loop.checkpoint()
            self._loop.budget -= 1
            tls = await self._begun()
            data: bytes = await self._do(tls.read, max_bytes)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        except ssl.SSLError as error:
            raise self._broken(error) from error
        finally:
            self._receiving = False
        if not data:
            self._raised = anyio.EndOfStream()
            raise self._raised
        return data

    async def send(self, item: bytes) -> None:
        if self._sending:
            raise anyio.BusyResourceError("sending to")
        self._sending = True
        try:
            tls = await self._begun()
            await self._flush()
            data = memoryview(item).cast("B")
            while data:
                written = tls.write(data[:_CHUNK])
                data = data[written:]
                await self._flush()
        except ssl.SSLError as error:
            raise self._broken(error) from error
        finally:
            self._sending = False

    def _broken(self, error: Exception) -> anyio.BrokenResourceError:
        self._raised = anyio.BrokenResourceError(f"TLS: {error}")
        return self._raised

    def raised(self, error: BaseException) -> bool:
        return error is self._raised or self.transport.raised(error)

    async def _flush(self) -> None:
        """Send what has been encrypted."""
        async with self._flushing:
            while data := self._rest or self._out.read():
                before = self.transport.bytes_sent
                self._rest = data
                try:
                    await self.transport.send(data)
                finally:
                    self._rest = data[self.transport.bytes_sent - before :]

    async def send_eof(self) -> None:
        """Raise NotImplementedError, as anyio's TLS streams do."""
        raise NotImplementedError("a connection with TLS can only be closed as a whole")

    def close(self) -> None:
        if self._tls is not None and self._ready and not self.transport._closed:
            self._say_goodbye(self._tls)
        self._raised = self._error = None  # their tracebacks lead back here
        self.transport.close()

    def abort(self) -> None:
        """Close without marking the end, which would say that it is one."""
        self.transport.abort()
        self.close()

    @property
    def delivered(self) -> int:
        return self.transport.delivered

    @property
    def at_end(self) -> bool:
        return self.transport.at_end

    def _say_goodbye(self, tls: ssl.SSLObject) -> None:
        """Mark the end for the peer, if that can be done at once."""
        sock = self.transport._raw_socket
        with suppress(OSError):
            tls.unwrap()  # raises, as the peer has not answered
        with suppress(OSError):
            if not self._rest:
                sock.send(self._out.read())
        with suppress(OSError):
            if not tls.server_side:  # tickets, unread, would make the end a reset
                sock.recv(RECEIVE)

    @property
    def read_deadline(self) -> float:
        return self.transport.read_deadline

    @read_deadline.setter
    def read_deadline(self, when: float) -> None:
        self.transport.read_deadline = when

    @property
    def write_deadline(self) -> float:
        return self.transport.write_deadline

    @write_deadline.setter
    def write_deadline(self, when: float) -> None:
        self.transport.write_deadline = when

    @property
    def bytes_received(self) -> int:  # type: ignore[override]
        return self.transport.bytes_received

    @property
    def bytes_sent(self) -> int:  # type: ignore[override]
        return self.transport.bytes_sent

    @property
    def unsent(self) -> int:
        return self.transport.unsent

    @property
    def peer(self) -> str:  # type: ignore[override]
        return self.transport.peer

    @property
    def local(self) -> str:  # type: ignore[override]
        return self.transport.local

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        attributes = {**self.transport.extra_attributes}
        tls = self._tls
        if tls is not None and self._ready:
            attributes |= {
                TLSAttribute.alpn_protocol: tls.selected_alpn_protocol,
                TLSAttribute.cipher: tls.cipher,
                TLSAttribute.peer_certificate: lambda: tls.getpeercert(False),
                TLSAttribute.peer_certificate_binary: lambda: tls.getpeercert(True),
                TLSAttribute.server_side: lambda: tls.server_side,
                TLSAttribute.shared_ciphers: tls.shared_ciphers,
                TLSAttribute.ssl_object: lambda: tls,
                TLSAttribute.standard_compatible: lambda: False,
                TLSAttribute.tls_version: tls.version,
            }
        return attributes
