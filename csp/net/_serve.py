"""Serving: a task for each connection, and a stop that loses none.

A connection needs a slot, and the slot is taken before the connection: so while all
are in use, whoever comes waits in the kernel's queue.  The slots are a channel.

All tasks are in one group, those of connections and those that handlers start with
`csp.go`.  An error of one is logged and ends only that one.

The stop.  Accepting is cancelled, which cannot lose a connection; then what the kernel
has queued by now is accepted as well, and the listeners close.  The group ends when its
tasks have, or is cut in time for the report.

What is more than a task for each connection, as HTTP is, builds on `Serving`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, TypeVarTuple

import anyio
import attrs
from anyio.abc import TaskStatus

from csp._account import DrainReport
from csp._channel import Channel
from csp._group import Group, PrivateGroup, _name_of, call
from csp._park import current
from csp._stop import innermost, stopping, time_to_cut
from csp._tasks import Handle, beside_cancellation

from ._connection import Connection
from ._listener import Listener, listen

if TYPE_CHECKING:
    from ._tls import TLSLike

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = logging.getLogger("csp.net")

_MARGIN = 2.0  # seconds that a lame duck leaves, of those until the cut

Handler: TypeAlias = Callable[[Connection], Awaitable[object]]


def _positive(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{field.name} must be a number, not {value!r}")
    if not value > 0:
        raise ValueError(f"{field.name} must be above 0, not {value!r}")


@attrs.frozen(kw_only=True)
class Limits:
    """What a server puts up with."""

    connections: int = attrs.field(default=10_000, validator=_positive)
    """How many connections it has at once; others wait in the kernel's queue."""
    handshake_timeout: float = attrs.field(default=10.0, validator=_positive)
    """Seconds for a TLS handshake."""


async def serve(
    handler: Handler,
    *listeners: Listener | str,
    tls: TLSLike | None = None,
    limits: Limits = Limits(),
    grace: float | None = None,
    task_status: TaskStatus[tuple[str, ...]] = anyio.TASK_STATUS_IGNORED,
) -> DrainReport:
    """Run ``handler(conn)`` for each connection, each in a task of its own.

        async def echo(conn: Connection) -> None:
            async for data in conn:
                await conn.send(data)

        async def main() -> None:
            await serve(echo, "127.0.0.1:1234")

        csp.run(main)

    A connection is closed when its handler has ended.  What a handler raises is logged
    and ends nothing else.  What it starts with `csp.go` may go on after it.

    It serves until its stop scope is asked to stop.  Then it accepts what has come by
    then, closes the listeners, and waits for the handlers, which can wait for
    `csp.stopping` to hear of it.

    Args:
        handler: An async function of a `Connection`.
        listeners: Where: listeners, or addresses as for `listen`.  They are closed.
        tls: For the addresses among them, as for `listen`.
        limits: See `Limits`.
        grace: Seconds after a stop request before connections are cut; by default until
            two seconds before the stop scope does it.
        task_status: Makes ``await group.start(serve, ...)`` return when it listens,
            with the addresses as a tuple.

    Returns:
        What became of the connections, and other tasks, that were there at the stop.

    Raises:
        ValueError: There is no address, or one is none.
        OSError: One cannot listen there.
    """
    return await Serving(handler, limits, grace).run(listeners, tls, task_status)


class _Crew(Group):
    """A group in which no task ends another, and which counts them at a stop."""

    __slots__ = ("_stop", "cut_names", "draining", "finished")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._stop = innermost()
        self.draining = False
        self.finished = 0  # tasks that ended by themselves since the stop
        self.cut_names: list[str] = []

    def go(
        self,
        fn: Callable[[*Ts], Awaitable[T]],
        *args: *Ts,
        name: str | None = None,
        doing: Callable[[], str | None] | None = None,
    ) -> Handle[T]:
        """Start a task; if it is cut, `doing` tells what that has cut, if anything."""
        self._check()
        handle: Handle[T] = Handle(name or _name_of(fn), self._loop)
        task = handle._run(self, self._keeper, call(fn, args, "go"))
        task = self._contain(task, handle.name, doing)
        handle._cancel = self._start(task, handle.name)
        return handle

    async def _contain(
        self,
        task: Awaitable[None],
        name: str,
        doing: Callable[[], str | None] | None,
    ) -> None:
        try:
            await task
        except BaseException as error:
            failure = beside_cancellation(error)
            cut: str | None = None
            if failure is None and self.cancel_scope.cancel_called:
                cut = name if doing is None else doing()
            if cut is None:
                self._count()
            else:
                self.cut_names.append(cut)
            if not isinstance(failure, Exception):
                raise
            _log.error("%s failed", name, exc_info=failure)
        else:
            self._count()

    def _count(self) -> None:
        # A handler may hear of the request before the server does.
        if self.draining or (self._stop is not None and self._stop.requested):
            self.finished += 1


class _OwnCrew(PrivateGroup, _Crew):
    """That of a server, which is nobody's to start tasks in but its handlers'."""

    __slots__ = ()


class Serving:
    """One call of `serve`.

    Args:
        handler: As for `serve`; so are `limits` and `grace`.
        lame_duck: Seconds after a stop request in which it goes on as before.
        linger: Seconds after that for a client to begin a TLS handshake.
        doing: Tells what is cut if the task of a connection is cancelled, or None if
            that cuts nothing; by default the connection.
    """

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        grace: float | None,
        *,
        lame_duck: float = 0.0,
        linger: float = math.inf,
        doing: Callable[[Connection], str | None] | None = None,
    ) -> None:
        if not callable(handler):
            text = f"serve takes an async function of a connection: {handler!r}"
            raise TypeError(text)
        self._handler = handler
        self._limits = limits
        self._grace = grace
        self._lame_duck = lame_duck
        self._linger = linger
        self._shaking: set[Connection] = set()
        self._doing = doing or _name
        self._listeners: list[Listener] = []
        self._slots: Channel[None] = Channel(limits.connections, name="connections")
        self._crew = _OwnCrew("server")
        self._began: float | None = None  # to stop

    async def run(
        self,
        where: Sequence[Listener | str],
        tls: TLSLike | None,
        task_status: TaskStatus[tuple[str, ...]],
        prepare: Callable[[Listener], object] = lambda _: None,
    ) -> DrainReport:
        """Listen, and serve until stopped.  `prepare` sees each listener first."""
        if not where:
            raise ValueError("serve needs an address, such as '127.0.0.1:8080'")
        try:
            for at in where:
                listener = await listen(at, tls=tls) if isinstance(at, str) else at
                self._listeners.append(listener)
                prepare(listener)
            task_status.started(tuple(one.address for one in self._listeners))
            return await self._serve()
        finally:
            for at in [*self._listeners, *where]:
                if isinstance(at, Listener):
                    at.close()

    async def _serve(self) -> DrainReport:
        loop = current()
        try:
            async with self._crew as crew:
                await self._accept_until_stopped()
                crew.draining = True
                for conn in self._shaking:
                    self._hurry(conn)
                await self._accept_queued()
        finally:
            self._slots.drain()
        return DrainReport(
            finished=crew.finished,
            cut=len(crew.cut_names),
            refused=0,
            cut_names=tuple(crew.cut_names),
            seconds=0.0 if self._began is None else loop.time() - self._began,
        )

    # Accepting

    async def _accept_until_stopped(self) -> None:
        async with anyio.create_task_group() as both:
            both.start_soon(self._cancel_when_stopping, both.cancel_scope)
            async with anyio.create_task_group() as acceptors:
                for listener in self._listeners:
                    acceptors.start_soon(self._accept_from, listener)
            self._begin()  # unless it was stopped, all of them were closed
            both.cancel_scope.cancel()

    async def _cancel_when_stopping(self, scope: anyio.CancelScope) -> None:
        await stopping()
        self._begin()
        await quack(self._lame_duck, self._crew.cancel_scope.deadline)
        scope.cancel()

    def _begin(self) -> None:
        """Let the time run until the cut."""
        if self._began is None:
            self._began = anyio.current_time()
            self._crew.cancel_scope.deadline = time_to_cut(self._grace)

    async def _accept_from(self, listener: Listener) -> None:
        with suppress(anyio.ClosedResourceError):
            while True:
                await self._slots.send(None)
                if not self._accept_one(listener):
                    await listener.wait()

    async def _accept_queued(self) -> None:
        """Accept what came before the stop, or as it did; and then no more."""
        for listener in self._listeners:
            with suppress(anyio.ClosedResourceError):
                await self._slots.send(None)
                while self._accept_one(listener) or listener.short:
                    if listener.short:
                        await listener.wait()
                    await self._slots.send(None)
            listener.close()

    def _accept_one(self, listener: Listener) -> bool:
        """Accept a connection, if there is one, for a slot that has been taken."""
        try:
            conn = listener.accept_nowait()
        except BaseException as error:
            self._slots.receive_nowait()
            if not isinstance(error, anyio.WouldBlock):
                raise
            return False
        self._crew.go(
            self._run, conn, name=_name(conn), doing=lambda: self._doing(conn)
        )
        return True

    # A connection

    async def _run(self, conn: Connection) -> None:
        try:
            if not conn.secure or await self._shake_hands(conn):
                await call(self._handler, (conn,), "serve")
        except Exception as error:
            if not _is_of(conn, error):
                raise
            _log.info("connection from %s: %s", conn.peer, error)
        finally:
            conn.close()
            self._slots.receive_nowait()

    async def _shake_hands(self, conn: Connection) -> bool:
        self._shaking.add(conn)
        if self._crew.draining:
            self._hurry(conn)
        try:
            with anyio.fail_after(self._limits.handshake_timeout):
                await _handshake(conn)
        except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
            _log.info(
                "connection from %s: no TLS handshake: %s",
                conn.peer,
                str(error) or type(error).__name__,
            )
            return False
        finally:
            self._shaking.discard(conn)
            conn.read_deadline = math.inf
        return True

    def _hurry(self, conn: Connection) -> None:
        """Wait no longer than the server lingers, if nothing has come."""
        if not conn.bytes_received:
            conn.read_deadline = anyio.current_time() + self._linger


async def _handshake(conn: Connection) -> None:
    while True:
        try:
            return await conn.handshake()
        except TimeoutError:
            if not conn.bytes_received:
                raise
            conn.read_deadline = math.inf  # it has begun


async def quack(lame_duck: float, cut: float) -> None:
    """Let so many seconds pass after a stop request, but leave some until the cut."""
    left = cut - anyio.current_time()
    seconds = min(lame_duck, left - min(_MARGIN, left / 2))
    if seconds > 0:
        await anyio.sleep(seconds)


def _name(conn: Connection) -> str:
    return f"connection from {conn.peer}"


def _is_of(conn: Connection, error: BaseException) -> bool:
    """Tell whether an error only says that the connection ended, or was late."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of(conn, inner) for inner in error.exceptions)
    return conn.raised(error)
