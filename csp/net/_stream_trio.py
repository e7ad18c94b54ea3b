"""Connections on trio: the socket first, and only then trio's poll.

Only the deadline of a cancel scope wakes a trio task at a time, and to open one around
each wait takes as long as to receive.  So there is one scope for all, in a task of the
system that sleeps until a deadline comes; whose it is, is then woken as when its socket
is closed, and looks what the matter is.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from socket import socket
from typing import TypeAlias

import anyio
import trio
from trio.lowlevel import (
    notify_closing,
    spawn_system_task,
    wait_readable,
    wait_writable,
)

from csp._park import BUDGET

from ._connection import SocketConnection
from ._deadlines import CallAt

_Wait: TypeAlias = Callable[[socket], Awaitable[None]]


class Alarm:
    """What rings at a time: trio's `loop.call_at`, for one call at once."""

    def __init__(self) -> None:
        self._when = math.inf
        self._ring: Callable[[], None] = lambda: None
        self._scope = trio.CancelScope()
        spawn_system_task(self._sleep)

    def call_at(self, when: float, ring: Callable[[], None]) -> Alarm:
        """Ring then, and not when it was told before."""
        self._ring = ring
        self._when = self._scope.deadline = when
        return self

    def cancel(self) -> None:
        """Do not ring."""
        self._when = self._scope.deadline = math.inf

    async def _sleep(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._when) as self._scope:
                await trio.sleep_forever()
            if self._when <= trio.current_time():
                self._when = math.inf
                self._ring()


class TrioConnection(SocketConnection):
    """A connection on trio."""

    def _clock(self) -> CallAt:
        return Alarm().call_at

    def look(self, now: float) -> float:
        waiting = [
            deadline
            for waits, deadline in (
                (self._receiving, self._read_deadline),
                (self._sending, self._write_deadline),
            )
            if waits
        ]
        if min(waiting, default=math.inf) <= now:
            notify_closing(self._sock)
        return min(
            (deadline for deadline in waiting if deadline > now), default=math.inf
        )

    async def _wait_for_data(self, max_bytes: int) -> bytes:
        self._receiving = True
        try:
            while True:
                if self._read_deadline < math.inf:
                    self._look_by(self._read_deadline)
                await self._wait(wait_readable)
                try:
                    return self._sock.recv(max_bytes)
                except BlockingIOError:
                    self._check_time("read_deadline", self._read_deadline)
                except OSError as error:
                    self._fail(error)
        finally:
            self._receiving = False

    async def _wait_until_sent(self) -> None:
        while self._rest:
            if self._write_deadline < math.inf:
                self._look_by(self._write_deadline)
            await self._wait(wait_writable)
            try:
                sent = self._sock.send(self._rest)
            except BlockingIOError:
                self._check_time("write_deadline", self._write_deadline)
                continue
            except OSError as error:
                self._fail(error)
            self.bytes_sent += sent
            self._rest = self._rest[sent:]

    def _check_time(self, which: str, deadline: float) -> None:
        if deadline <= trio.current_time():
            raise self._late(which)

    async def _wait(self, wait: _Wait) -> None:
        self._loop.budget = BUDGET
        try:
            await wait(self._sock)
        except trio.ClosedResourceError:  # closed, or woken for a new deadline
            if self._closed:
                raise anyio.ClosedResourceError from None

    def _forget(self) -> None:
        self._drop_check()
        notify_closing(self._sock)


KIND = TrioConnection
