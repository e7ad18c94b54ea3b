"""Connections in memory: a pipe in each direction, and a half of it at each end.

A pipe holds so many bytes and no more, as a kernel does: so who sends to somebody that
does not receive has to wait, and a connection that is closed with something unread in
it is broken for the other side.

A half is an operation, ready if it need not wait.  So a wait is a select between it and
its deadline; and as the waits of channels it works on every event loop, on virtual
time, and where `csp.testing.explore` decides who goes on.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import anyio

from csp import net
from csp._operation import NOT_READY, NotReady, Operation, begin
from csp._park import Waiter, current
from csp._select import select
from csp._timer import at

CAPACITY = 65536  # bytes


class Pipe:
    """Bytes on their way in one direction."""

    def __init__(self, capacity: int) -> None:
        if isinstance(capacity, bool) or not isinstance(capacity, int):
            raise TypeError(f"capacity must be a number of bytes, not {capacity!r}")
        if capacity < 1:
            raise ValueError(f"capacity must be 1 byte or more, not {capacity}")
        self.capacity: int = capacity
        self.data: bytearray = bytearray()
        self.ended: bool = False  # no more will be sent
        self.broken: bool = False  # the other side is not there any more
        self.inlet: Inlet = Inlet(self)
        self.outlet: Outlet = Outlet(self)

    def touch(self) -> None:
        """Let those look again who wait."""
        self.inlet.ring()
        self.outlet.ring()

    def break_off(self) -> None:
        """Let the other side see, once it has received what is here, that it broke."""
        self.broken = self.ended = True


class Half(Operation[None]):
    """One side of a pipe, at which one task at a time may be."""

    __slots__ = ("_deadline", "_pipe", "_waiters", "busy")

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._deadline = math.inf
        self._waiters: dict[Waiter, None] = {}
        self.busy: bool = False

    def is_ready(self) -> bool:
        """Tell whether there is something to be done, if only to raise."""
        raise NotImplementedError

    @property
    def deadline(self) -> float:
        return self._deadline

    @deadline.setter
    def deadline(self, when: float) -> None:
        self._deadline = when
        self.ring()

    def ring(self) -> None:
        """Let who waits look again."""
        for waiter in [*self._waiters]:
            if waiter.claim(self):
                waiter.wake(None)

    async def wait(self) -> None:
        """Wait until it is ready; raises TimeoutError at the deadline."""
        while not self.is_ready():
            await select(ready=self, late=at(self._deadline))
            if not self.is_ready() and self._deadline <= current().time():
                raise TimeoutError

    # As an operation

    def poll(self) -> Literal[NotReady.NOT_READY] | None:
        return None if self.is_ready() else NOT_READY

    def enroll(self, waiter: Waiter) -> None:
        self._waiters[waiter] = None

    def withdraw(self, waiter: Waiter) -> None:
        self._waiters.pop(waiter, None)


class Inlet(Half):
    """Where bytes go in."""

    __slots__ = ()

    def is_ready(self) -> bool:
        pipe = self._pipe
        return len(pipe.data) < pipe.capacity or pipe.ended or pipe.broken


class Outlet(Half):
    """Where they come out."""

    __slots__ = ()

    def is_ready(self) -> bool:
        pipe = self._pipe
        return bool(pipe.data) or pipe.ended or pipe.broken


class Connection(net.Connection):
    """One end of a connection in memory.

    It keeps all that a `csp.net.Connection` promises: deadlines, half-closing, errors,
    and that a send waits while the other side does not receive.
    """

    def __init__(self, incoming: Pipe, outgoing: Pipe, local: str, peer: str) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._in, self._out = incoming.outlet, outgoing.inlet
        self._closed = False
        self._raised: Exception | None = None
        self._left = 0  # what the send that waits has left
        self.local = local
        self.peer = peer
        self.bytes_received: int = 0
        self.bytes_sent: int = 0

    @property
    def read_deadline(self) -> float:
        return self._in.deadline

    @read_deadline.setter
    def read_deadline(self, when: float) -> None:
        self._in.deadline = when

    @property
    def write_deadline(self) -> float:
        return self._out.deadline

    @write_deadline.setter
    def write_deadline(self, when: float) -> None:
        self._out.deadline = when

    @property
    def unsent(self) -> int:
        return self._left

    @property
    def delivered(self) -> int:
        return self.bytes_sent - len(self._outgoing.data)

    @property
    def at_end(self) -> bool:
        pipe = self._incoming
        return not pipe.data and (pipe.ended or pipe.broken)

    @property
    def readable(self) -> bool:
        """Whether a receive need not wait."""
        return self._in.is_ready()

    # Receiving

    async def receive(self, max_bytes: int = CAPACITY) -> bytes:
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be 1 or more, not {max_bytes!r}")
        if self._in.busy:
            raise anyio.BusyResourceError("receiving from")
        self._in.busy = True
        try:
            await begin()
            await self._wait(self._in, "read_deadline")
            return self._take(max_bytes)
        finally:
            self._in.busy = False

    def _take(self, most: int) -> bytes:
        pipe = self._incoming
        self._check(broken=pipe.broken and not pipe.data)
        if not pipe.data:
            raise self._note(anyio.EndOfStream())
        data = bytes(pipe.data[:most])
        del pipe.data[:most]
        self.bytes_received += len(data)
        pipe.touch()
        return data

    # Sending

    async def send(self, item: bytes) -> None:
        if self._out.busy:
            raise anyio.BusyResourceError("sending to")
        rest = memoryview(item).cast("B")
        self._out.busy = True
        try:
            await begin()
            rest = self._put(rest)
            while rest:
                self._left = len(rest)
                await self._wait(self._out, "write_deadline")
                rest = self._put(rest)
        finally:
            self._left = 0
            self._out.busy = False

    def _put(self, data: memoryview) -> memoryview:
        """Put in as much as there is room for; returns the rest."""
        pipe = self._outgoing
        self._check_sending()
        room = pipe.capacity - len(pipe.data)
        pipe.data += data[:room]
        self.bytes_sent += min(room, len(data))
        pipe.touch()
        return data[room:]

    async def send_eof(self) -> None:
        """Say that no more will be sent: the peer receives to the end, and may answer.

        Raises:
            BrokenResourceError: The connection broke.
            ClosedResourceError: It was closed here.
        """
        if self._out.busy:
            raise anyio.BusyResourceError("sending to")
        await begin()
        self._check(broken=self._outgoing.broken)
        self._outgoing.ended = True
        self._outgoing.touch()

    # Errors

    def _check_sending(self) -> None:
        pipe = self._outgoing
        self._check(broken=pipe.broken)
        if pipe.ended:
            raise anyio.ClosedResourceError

    def _check(self, broken: bool) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        if broken:
            raise self._note(anyio.BrokenResourceError("the other side has closed it"))

    async def _wait(self, half: Half, which: str) -> None:
        try:
            await half.wait()
        except TimeoutError:
            late = f"{which} passed, on the connection to {self.peer}"
            raise self._note(TimeoutError(late)) from None

    def _note(self, error: Exception) -> Exception:
        self._raised = error
        return error

    def raised(self, error: BaseException) -> bool:
        return error is self._raised

    # Closing

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._raised = None  # its traceback leads back here
        if self._incoming.data:  # a kernel may lose what was sent then, so this does
            self._incoming.data.clear()
            self._outgoing.data.clear()
            self._outgoing.break_off()
        self._outgoing.ended = True
        self._incoming.break_off()
        self._incoming.touch()
        self._outgoing.touch()

    def abort(self) -> None:
        if not self._closed:
            self._incoming.data.clear()
            self._outgoing.break_off()
        self.close()


class SecureConnection(Connection):
    """One that passes for encrypted; so one cannot close half of it."""

    secure: ClassVar[bool] = True

    async def send_eof(self) -> None:
        """Raise NotImplementedError, as with TLS."""
        raise NotImplementedError("TLS has no end of one direction")


def pipe(
    *,
    capacity: int = CAPACITY,
    local: str = "127.0.0.1:50000",
    peer: str = "127.0.0.1:80",
    secure: bool = False,
) -> tuple[Connection, Connection]:
    """Make both ends of a connection in memory, as Go's `net.Pipe` does.

        client, conn = pipe()
        async with csp.Group() as g, client:
            g.go(echo, conn)
            await client.send(b"hello")
            assert await client.receive() == b"hello"

    Args:
        capacity: How many bytes can be on their way in each direction.
        local: The address of the first end, which is the client's.
        peer: The address of the second, which is the server's.
        secure: Whether to say that it is encrypted.

    Raises:
        ValueError: The capacity is none.
    """
    kind = SecureConnection if secure else Connection
    up, down = Pipe(capacity), Pipe(capacity)
    return kind(down, up, local, peer), kind(up, down, peer, local)
