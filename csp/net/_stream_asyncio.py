"""Connections on asyncio's event loops, uvloop's among them.

They use the loop's readers and writers, not its transports: a transport reads ahead,
and keeps what it could not write.

The reader stays in place from one wait to the next, since to add one takes as long as
to receive.  While it is there nothing had come when the loop last looked, so a receive
need not look either, but goes to sleep; unless the one before took all it could, and
there may be more.  Bytes that come while nobody waits for them stay in the kernel: the
reader is removed then, as it would be called again and again.

The callbacks do the receiving and sending themselves, for the task that sleeps, so that
the loop does not find the socket ready a second time before the task has run.  They
claim its waiter first: a task that was cancelled is given nothing, and one that was
given something returns it although it is cancelled.
"""

from __future__ import annotations

import math
import os
import socket
from asyncio import BaseEventLoop
from typing import Any

import anyio

from csp._park_asyncio import AsyncioLoop, AsyncioWaiter

from ._connection import SocketConnection
from ._deadlines import CallAt


class AsyncioConnection(SocketConnection):
    """A connection on an asyncio event loop."""

    _loop: AsyncioLoop

    def __init__(self, sock: socket.socket, peer: Any) -> None:
        super().__init__(sock, peer)
        self._fd = sock.fileno()
        self._watched = False  # whether the reader is in place
        self._receiver: AsyncioWaiter | None = None
        self._sender: AsyncioWaiter | None = None
        self._wanted = 0  # by the receiver
        # libuv stops polling after an error, of which it tells as of data.
        self._calls_once = not isinstance(self._loop.loop, BaseEventLoop)

    # Deadlines

    def _clock(self) -> CallAt:
        return self._loop.loop.call_at

    def look(self, now: float) -> float:
        again = math.inf
        if self._receiver is not None:
            if self._read_deadline > now:
                again = self._read_deadline
            elif self._receiver.claim(self):
                self._receive_for(self._receiver, late=True)
        if self._sender is not None:
            if self._write_deadline > now:
                again = min(again, self._write_deadline)
            elif self._sender.claim(self):
                self._sender.fail(self._late("write_deadline"))
        return again

    # Receiving

    async def _wait_for_data(self, max_bytes: int) -> bytes:
        waiter = self._receiver = AsyncioWaiter(self._loop)
        self._receiving = self._dry = True
        self._wanted = max_bytes
        try:
            if not self._watched:
                self._loop.loop.add_reader(self._fd, self._on_readable)
                self._watched = True
            if self._read_deadline < math.inf:
                self._look_by(self._read_deadline)
            data: bytes | None = await waiter.sleep()
        except BaseException as error:
            data = waiter.rescue(error)
        finally:
            self._receiving = False
            self._receiver = None
        if data is None:  # nothing was there after all
            return await self._wait_for_data(max_bytes)
        return data

    def _on_readable(self) -> None:
        waiter = self._receiver
        if waiter is None or not waiter.claim(self):
            self._unwatch()
        else:
            self._receive_for(waiter)

    def _receive_for(self, waiter: AsyncioWaiter, late: bool = False) -> None:
        """Receive for a task that was claimed, perhaps for the last time."""
        try:
            data = self._sock.recv(self._wanted)
        except BlockingIOError:
            if late:
                waiter.fail(self._late("read_deadline"))
            else:
                waiter.wake(None)
        except OSError as error:
            self._dry = False
            waiter.fail(self._broken(error))
        else:
            self._dry = 0 < len(data) < self._wanted
            if self._dry and self._calls_once:
                self._note_error()
            waiter.wake(data)

    def _note_error(self) -> None:
        """See whether more than data has come: uvloop would not call for it again."""
        if code := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._error = OSError(code, os.strerror(code))
            self._dry = False

    def _unwatch(self) -> None:
        self._dry = False
        if self._watched:
            self._watched = False
            self._loop.loop.remove_reader(self._fd)

    # Sending

    async def _wait_until_sent(self) -> None:
        waiter = self._sender = AsyncioWaiter(self._loop)
        try:
            self._loop.loop.add_writer(self._fd, self._on_writable)
            if self._write_deadline < math.inf:
                self._look_by(self._write_deadline)
            await waiter.sleep()
        except BaseException as error:
            waiter.rescue(error)
        finally:
            self._sender = None
            if not self._closed:
                self._loop.loop.remove_writer(self._fd)

    def _on_writable(self) -> None:
        waiter = self._sender
        if waiter is None or not waiter.waits() or self._rest is None:
            return
        try:
            sent = self._sock.send(self._rest)
        except BlockingIOError:
            return
        except OSError as error:
            if waiter.claim(self):
                waiter.fail(self._broken(error))
            return
        self.bytes_sent += sent
        self._rest = self._rest[sent:]
        if not self._rest:
            waiter.match(self, None)

    # Closing

    def _forget(self) -> None:
        loop = self._loop.loop
        if loop.is_closed():
            return
        self._drop_check()
        self._unwatch()
        loop.remove_writer(self._fd)
        for waiter in (self._receiver, self._sender):
            if waiter is not None and waiter.claim(self):
                waiter.fail(anyio.ClosedResourceError())


KIND = AsyncioConnection
