"""One connection: requests in, responses out, one after the other.

The session is in one of these states, and what it waits for tells how long it may:

    silent      for the first byte of the first request   header_timeout
    in a head   for the rest of it                        header_timeout, from its start
    idle        for the next request                      idle_timeout; linger in a stop
    in a body   the handler wants more of it              min_rate, after rate_grace
    sending     the client has to take what was sent      min_rate, after rate_grace
    lingering   for the client to close                   linger

While the handler does something else nothing is measured.

Which bytes are answered: a connection is closed only when nothing has begun to come in,
or after a response that said so.  So a stop does not cut what a client has begun.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from csp._errors import Overloaded
from csp._park import current
from csp.net._connection import Connection
from csp.net.http._errors import (
    BadRequest,
    ClientGone,
    ContentTooLarge,
    HTTPError,
    RequestHeaderFieldsTooLarge,
    RequestTimeout,
    ServiceUnavailable,
)
from csp.net.http._headers import Headers
from csp.net.http._message import Request, Response
from csp.net.http._problem import answer_to, problem, sole
from csp.net.http.wire import CLOSED, HTTP_1_1, NEED_DATA, End, Head, Parser, Refused

from ._incoming import Incoming
from ._outgoing import Sending
from ._pace import Pace

if TYPE_CHECKING:
    from ._server import Server

_log = logging.getLogger("csp.net.http")

_IN_BODY = {400: BadRequest, 413: ContentTooLarge, 431: RequestHeaderFieldsTooLarge}
_NO_FIELDS = Headers()
_BUSY = "the server has too much to do"
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError)


class Session:
    """Serves one connection."""

    receive: Callable[[], Awaitable[bytes]]
    """From where data come: the connection, or who reads ahead."""

    def __init__(self, server: Server, conn: Connection) -> None:
        self.server: Server = server
        self.conn: Connection = conn
        self.time: Callable[[], float] = current().time
        self._ends = conn.peer, conn.local, "https" if conn.secure else "http"
        self.parser: Parser = Parser(server.wire_limits)
        self.receive = conn.receive
        self.idle: bool = (
            True  # whether it waits for a request of which nothing has come
        )
        self.owing: bool = (
            False  # whether it has begun to receive what it has to answer
        )
        self.unseen: bool = False  # whether no handler has seen the request
        self.reading: bool = False  # whether a handler waits for more of a body
        self.untold: Incoming | None = None  # the body that a client waits to send
        self.in_line: anyio.CancelScope | None = None  # its wait for a handler
        self._read_pace, self._write_pace = Pace(), Pace()
        self.head: Head | None = None

    async def run(self) -> None:
        """Serve requests until the client or the server closes."""
        limits = self.server.limits
        patience = limits.header_timeout
        with suppress(*_GONE):
            while (head := await self._next_head(patience)) is not None:
                if not await self._exchange(head):
                    return
                patience = limits.idle_timeout

    # Receiving

    async def _next_head(self, patience: float) -> Head | None:
        """Return the next request's head; None if there is none, or none to answer."""
        parser = self.parser
        self.head = None
        self.idle = True
        try:
            while parser.state == "idle" or (event := parser.next_event()) is NEED_DATA:
                if parser.state == "idle":
                    self._wait_idle(patience)
                elif self.idle:
                    self._begin_head()
                parser.feed(await self.receive())
        except anyio.EndOfStream:
            return None
        except TimeoutError:
            if parser.state == "head":
                await self._refuse(408, "the request took too long to arrive")
            return None
        except Refused as refused:
            await self._refuse(refused.status, refused.detail, refused.method)
            return None
        self.idle = False
        if event is CLOSED:
            return None
        assert isinstance(event, Head)
        self.head = event
        return event

    def _wait_idle(self, patience: float) -> None:
        self.idle = True
        now = self.time()
        self.conn.read_deadline = now + patience
        if self.server.stopping:
            self.hurry(now)

    def _begin_head(self) -> None:
        """Let the time run in which the rest of a head has to come."""
        self.idle = False
        self.owing = True
        self.conn.read_deadline = self.time() + self.server.limits.header_timeout

    def hurry(self, now: float) -> None:
        """Wait no longer than the server lingers, if nothing of a request has come."""
        if self.idle:
            conn = self.conn
            linger = now + self.server.limits.linger
            conn.read_deadline = min(conn.read_deadline, linger)

    async def next_in_body(self) -> bytes | End:
        """Return the next piece of the request's body, or its end.

        Raises:
            HTTPError: It is malformed, too large or too slow.
            ClientGone: The rest of it will not come.
        """
        parser = self.parser
        try:
            while (event := parser.next_event()) is NEED_DATA:
                parser.feed(await self._receive_in_body())
        except Refused as refused:
            raise _IN_BODY[refused.status](refused.detail) from None
        except TimeoutError:
            raise RequestTimeout("the body comes too slowly") from None
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            raise ClientGone(
                "the client went before its request was complete"
            ) from None
        assert isinstance(event, (bytes, End))
        return event

    async def _receive_in_body(self) -> bytes:
        receive = self.receive
        self.reading = True
        try:
            return await receive()
        except anyio.EndOfStream:
            if receive is self.receive:
                raise
            return b""  # somebody read ahead, and does not any more
        finally:
            self.reading = False

    async def more_has_come(self) -> bool:
        """Tell whether there is something after this request already."""
        if not len(self.parser):
            self.conn.read_deadline = self.time()
            with suppress(anyio.EndOfStream, anyio.BusyResourceError, *_GONE):
                self.parser.feed(await self.receive())
        return bool(len(self.parser))

    async def give(self, data: bytes) -> None:
        """Send some bytes.

        Raises:
            ClientGone: The client does not take them.
        """
        try:
            await self.conn.send(data)
        except _GONE as error:
            if isinstance(error, TimeoutError):
                self.conn.abort()  # or the kernel would keep what it has
            raise ClientGone("the client does not take what is sent") from error

    def sweep(self, now: float, seconds: float) -> None:
        """End the wait for a client that is too slow, or has gone; see `keep_pace`."""
        conn, limits = self.conn, self.server.limits
        if self.in_line is not None and conn.at_end:
            self.in_line.cancel()
        if self.reading and self._read_pace.is_too_slow(
            limits, seconds, conn.bytes_received
        ):
            conn.read_deadline = now
        if not conn.unsent:
            conn.write_deadline = math.inf
        elif self._write_pace.is_too_slow(limits, seconds, conn.delivered):
            conn.write_deadline = now

    # One request and its response

    async def _exchange(self, head: Head) -> bool:
        """Answer one request; tells whether there may be another."""
        self.owing = True
        self.unseen = False
        body = Incoming(self, head.length == 0, not head.expects_continue)
        if head.length != 0:
            self.conn.read_deadline = math.inf  # the pace counts instead
            self.untold = body if head.expects_continue else None
        request = Request(
            head.method,
            head.path_and_query,
            head.headers,
            body,
            "1.1" if head.version is HTTP_1_1 else "1.0",
            *self._ends,
            host=head.host,
        )
        keep = False
        try:
            response = await self._call(request)
            keep = head.keep_alive and body.allows_another(head.length)
            keep = await self._answer(head, response, keep)
            self._acquit()
        finally:
            if not keep:
                body.give_up()
        if keep and (body.ended or await body.read_past()):
            return True
        await self._linger(unread=not body.ended)
        return False

    def _acquit(self) -> None:
        """Owe nothing any more."""
        self.owing = False
        tally = self.server.tally
        if tally.scope is not None and tally.scope.requested:
            tally.count(self.unseen)

    async def _call(self, request: Request) -> Response:
        """Return what the handler answers, or what is to be answered for it."""
        server = self.server
        if not server.line.enter():
            try:
                await server.line.wait(self)
            except Overloaded:
                self.unseen = True
                busy = ServiceUnavailable(_BUSY, {"Retry-After": "1"})
                return problem(busy, request.headers)
        try:
            response = await server.handler(request)
            if isinstance(response, Response):
                return response
            raise TypeError(
                f"the handler returned {response!r}. Write: return text(...), or "
                f"another Response"
            )
        except BaseException as error:
            if (instead := self._answer_to(error)) is None:
                raise
            return instead
        finally:
            server.line.leave()

    async def _answer(self, head: Head, response: Response, keep: bool) -> bool:
        """Send a response, or if that fails another one; tells whether to go on."""
        sending = Sending(self, head)
        while True:
            try:
                return await sending.send(response, keep)
            except BaseException as error:
                instead = self._answer_to(error, cut=sending.begun)
                if instead is None:
                    raise
                if sending.begun:
                    return False
                response = instead

    def _answer_to(self, error: BaseException, cut: bool = False) -> Response | None:
        """Log an error if need be; returns what is to be answered, None if nothing is.

        Raises:
            ClientGone: It was that.
        """
        cause = sole(error)
        if isinstance(cause, ClientGone):
            raise cause
        if not isinstance(cause, Exception) and not _is_stray(cause):
            return None
        headers = _NO_FIELDS if self.head is None else self.head.headers
        answer, blamed = answer_to(error, headers, cut)
        if blamed:
            what = "the response was cut" if cut else "the handler failed"
            _log.error("%s: %s", str(self), what, exc_info=error)
        return answer

    def __str__(self) -> str:
        if self.head is None:
            return f"a connection from {self.conn.peer}"
        return f"{self.head.method} {self.head.target} from {self.conn.peer}"

    # Endings

    async def _refuse(
        self, status: int, detail: str, method: str | None = None
    ) -> None:
        """Answer what cannot be made a request of."""
        self.owing = self.unseen = True
        head = Head(method or "GET", "", "", HTTP_1_1, _NO_FIELDS, "", 0, False, False)
        await Sending(self, head).send(problem(HTTPError(status, detail)), keep=False)
        self._acquit()
        await self._linger(unread=True)

    async def _linger(self, unread: bool) -> None:
        """Close in stages: or what was sent might be lost with what was not read.

        If there are bytes that nobody has received, closing makes the kernel tell the
        client that the connection broke, which may reach it before the response does.

        With TLS there are no stages; then it waits only if that is to be expected.
        """
        conn = self.conn
        if not conn.secure:
            await conn.send_eof()
        elif not unread:
            return
        conn.read_deadline = self.time() + self.server.limits.linger
        try:
            while self.time() < conn.read_deadline:
                await self.receive()
        except anyio.EndOfStream:
            pass
        except anyio.BusyResourceError:  # what the handler has started still reads
            await anyio.sleep_until(conn.read_deadline)


def _is_stray(error: BaseException) -> bool:
    """Tell whether this is a cancellation that no scope has asked for.

    On asyncio, a function passes on that of a task that it awaits.
    """
    asked_for = anyio.current_effective_deadline() == -math.inf
    return isinstance(error, anyio.get_cancelled_exc_class()) and not asked_for
