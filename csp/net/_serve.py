"""Serving: a task for each connection, and a stop that loses none.

A connection needs a slot, and the slot is taken before the connection: so while all
are in use, whoever comes waits in the kernel's queue.  The slots are a channel.

All tasks are in one group, those of connections and those that handlers start with
`csp.go`.  An error of one is logged and ends only that one.

The stop.  Accepting is cancelled, which cannot lose a connection; then what the kernel
has queued by now is accepted as well, and the listeners close.  The group ends when its
tasks have, or is cut in time for the report.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, TypeVarTuple

import anyio
import attrs
from anyio.abc import TaskStatus

from csp._account import DrainReport
from csp._channel import Channel
from csp._group import Group, _name_of, call
from csp._park import current
from csp._stop import innermost, stopping
from csp._tasks import Handle, current_group

from ._connection import Connection
from ._listener import Listener, listen

if TYPE_CHECKING:
    from ._tls import TLSLike

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = logging.getLogger("csp.net")

_MARGIN = 2.0  # seconds before the cut of the scope around, to report in

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
    if not listeners:
        raise ValueError("serve needs an address, such as '127.0.0.1:8080'")
    if not callable(handler):
        raise TypeError(f"serve takes an async function of a connection: {handler!r}")
    opened: list[Listener] = []
    try:
        for where in listeners:
            if isinstance(where, str):
                where = await listen(where, tls=tls)  # noqa: PLW2901
            opened.append(where)
        server = _Server(handler, opened, limits, grace)
        task_status.started(tuple(listener.address for listener in opened))
        return await server.run()
    finally:
        for where in [*opened, *listeners]:
            if isinstance(where, Listener):
                where.close()


class _Crew(Group):
    """The group of a server, in which no task ends another."""

    __slots__ = ("_stop", "cut_names", "draining", "finished")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._stop = innermost()
        self.draining = False
        self.finished = 0  # tasks that ended by themselves since the stop
        self.cut_names: list[str] = []

    def go(
        self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts, name: str | None = None
    ) -> Handle[T]:
        self._check()
        handle: Handle[T] = Handle(name or _name_of(fn), self._loop)
        task = handle._run(self, self._keeper, call(fn, args, "go"))
        handle._cancel = self._start(self._contain(task, handle.name), handle.name)
        return handle

    async def _contain(self, task: Awaitable[None], name: str) -> None:
        try:
            await task
        except BaseException as error:
            failure = _beside_cancellation(error)
            if failure is None and self.cancel_scope.cancel_called:
                self.cut_names.append(name)
            else:
                self._count()
            if not isinstance(failure, Exception):
                raise
            _log.error("%s failed", name, exc_info=failure)
        else:
            self._count()

    def _count(self) -> None:
        # A handler may hear of the request before the server does.
        if self.draining or (self._stop is not None and self._stop.requested):
            self.finished += 1


def _beside_cancellation(error: BaseException) -> BaseException | None:
    """Return what `error` tells beside that a task was cancelled."""
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return error.split(cancelled)[1]
    return None if isinstance(error, cancelled) else error


class _Server:
    """One call of `serve`."""

    def __init__(
        self,
        handler: Handler,
        listeners: list[Listener],
        limits: Limits,
        grace: float | None,
    ) -> None:
        self._handler = handler
        self._listeners = listeners
        self._limits = limits
        self._grace = grace
        self._slots: Channel[None] = Channel(limits.connections, name="connections")
        self._crew = _Crew("server")

    async def run(self) -> DrainReport:
        loop = current()
        outer = current_group.get()
        try:
            async with self._crew as crew:
                current_group.set(outer)  # what this task starts is its own
                await self._accept_until_stopped()
                began = loop.time()
                crew.draining = True
                crew.cancel_scope.deadline = self._deadline(began)
                await self._accept_queued()
        finally:
            current_group.set(outer)
            self._slots.drain()
        return DrainReport(
            finished=crew.finished,
            cut=len(crew.cut_names),
            refused=0,
            cut_names=tuple(crew.cut_names),
            seconds=loop.time() - began,
        )

    def _deadline(self, now: float) -> float:
        """Return when to cut, the stop being requested now."""
        if self._grace is not None:
            return now + self._grace
        return max(now, anyio.current_effective_deadline() - _MARGIN)

    # Accepting

    async def _accept_until_stopped(self) -> None:
        async with anyio.create_task_group() as both:
            both.start_soon(_cancel_when_stopping, both.cancel_scope)
            async with anyio.create_task_group() as acceptors:
                for listener in self._listeners:
                    acceptors.start_soon(self._accept_from, listener)
            both.cancel_scope.cancel()  # all of them were closed

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
        self._crew.go(self._run, conn, name=f"connection from {conn.peer}")
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
        try:
            with anyio.fail_after(self._limits.handshake_timeout):
                await conn.handshake()
        except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
            _log.info(
                "connection from %s: no TLS handshake: %s",
                conn.peer,
                str(error) or type(error).__name__,
            )
            return False
        return True


async def _cancel_when_stopping(scope: anyio.CancelScope) -> None:
    await stopping()
    scope.cancel()


def _is_of(conn: Connection, error: BaseException) -> bool:
    """Tell whether an error only says that the connection ended, or was late."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of(conn, inner) for inner in error.exceptions)
    return conn.raised(error)
