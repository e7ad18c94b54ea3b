"""Connections on trio: the socket first, and only then trio's poll."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from socket import socket
from typing import TypeAlias

import anyio
import trio
from trio.lowlevel import notify_closing, wait_readable, wait_writable

from csp._park import BUDGET

from ._connection import SocketConnection

_Wait: TypeAlias = Callable[[socket], Awaitable[None]]


class TrioConnection(SocketConnection):
    """A connection on trio.

    Only the deadline of a cancel scope wakes a trio task at a time.  There is one
    around a wait if there is a deadline then; if it gets one while it waits, it is
    woken to open a scope.
    """

    _read_scope: trio.CancelScope | None = None  # around who waits to receive
    _write_scope: trio.CancelScope | None = None

    @property
    def read_deadline(self) -> float:
        return self._read_deadline

    @read_deadline.setter
    def read_deadline(self, when: float) -> None:
        self._read_deadline = when
        if self._read_scope is not None:
            self._read_scope.deadline = when
        elif self._receiving and when < math.inf:
            notify_closing(self._sock)

    @property
    def write_deadline(self) -> float:
        return self._write_deadline

    @write_deadline.setter
    def write_deadline(self, when: float) -> None:
        self._write_deadline = when
        if self._write_scope is not None:
            self._write_scope.deadline = when
        elif self._sending and when < math.inf:
            notify_closing(self._sock)

    async def _wait_for_data(self, max_bytes: int) -> bytes:
        self._receiving = True
        try:
            while True:
                late = await self._wait_to_read()
                try:
                    return self._sock.recv(max_bytes)
                except BlockingIOError:
                    if late:
                        raise self._late("read_deadline") from None
                except OSError as error:
                    self._fail(error)
        finally:
            self._receiving = False

    async def _wait_to_read(self) -> bool:
        """Wait until there is something, or tell that the deadline has passed."""
        if self._read_deadline == math.inf:
            await self._wait(wait_readable)
            return False
        try:
            with trio.CancelScope(deadline=self._read_deadline) as self._read_scope:
                await self._wait(wait_readable)
        finally:
            scope, self._read_scope = self._read_scope, None
        return scope.cancelled_caught

    async def _wait_until_sent(self) -> None:
        while self._rest:
            if self._write_deadline == math.inf:
                await self._wait(wait_writable)
            else:
                await self._wait_to_write()
            try:
                sent = self._sock.send(self._rest)
            except BlockingIOError:
                continue
            except OSError as error:
                self._fail(error)
            self.bytes_sent += sent
            self._rest = self._rest[sent:]

    async def _wait_to_write(self) -> None:
        try:
            with trio.CancelScope(deadline=self._write_deadline) as self._write_scope:
                await self._wait(wait_writable)
        finally:
            scope, self._write_scope = self._write_scope, None
        assert scope is not None
        if scope.cancelled_caught:
            raise self._late("write_deadline")

    async def _wait(self, wait: _Wait) -> None:
        self._loop.budget = BUDGET
        try:
            await wait(self._sock)
        except trio.ClosedResourceError:  # closed, or woken for a new deadline
            if self._closed:
                raise anyio.ClosedResourceError from None

    def _forget(self) -> None:
        notify_closing(self._sock)


KIND = TrioConnection
