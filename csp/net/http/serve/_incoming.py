"""The body of a request that is being received."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import anyio

from csp.net.http._errors import ClientGone, HTTPError
from csp.net.http._headers import Headers
from csp.net.http._message import Body
from csp.net.http.wire import informational

from ._watch import Watch

if TYPE_CHECKING:
    from ._session import Session

_CONTINUE = informational(100)
_MOST = 256 * 1024  # bytes that are read past, as Go does


class Incoming(Body):
    """A body that is read from the connection when the handler asks for it.

    Nothing reads ahead: a handler that does not ask leaves it in the kernel, whose
    window closes, and so the client waits.
    """

    __slots__ = ("_session", "_state", "_untold", "trailers")

    _state: str  # "open", "ended", "spoiled", or "past" as it was given up
    _untold: anyio.Lock | None  # held by who tells the client that it may send

    def __init__(self, session: Session, ended: bool, told: bool) -> None:
        self._session = session
        self._state = "ended" if ended else "open"
        self._untold = None if told else anyio.Lock()
        self.trailers = Headers() if ended else None

    async def receive(self) -> bytes:
        if self._state != "open":
            raise self._no_more()
        if self._untold is not None:
            await self.tell(_CONTINUE)
        try:
            event = await self._session.next_in_body()
        except (HTTPError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            if self._state == "past":
                raise self._no_more() from None
            self._state = "spoiled"
            raise
        if isinstance(event, bytes):
            return event
        self._state = "ended"
        self.trailers = event.trailers
        raise anyio.EndOfStream

    def _no_more(self) -> Exception:
        if self._state == "ended":
            return anyio.EndOfStream()
        return anyio.ClosedResourceError(
            "the rest of the body was given up when the request was answered"
            if self._state == "past"
            else "the rest of the body has not come"
        )

    async def tell(self, what: bytes = b"") -> None:
        """Tell a client that waits for it to send the body; but only once.

        Nothing means that a response is going to tell: there is no 100 after that.
        """
        if (lock := self._untold) is None:
            return
        async with lock:
            if what and self._untold is lock:
                await self._session.give(what)
            self._untold = None

    @property
    def ended(self) -> bool:
        """Whether all of it has been read."""
        return self._state == "ended"

    def allows_another(self, length: int | None) -> bool:
        """Tell whether another request can follow on the connection.

        What the handler has left has to be read first; a lot of that, or what the
        client has not been told to send, is not worth it.
        """
        if self._state == "open":
            return self._untold is None and (length is None or length <= _MOST)
        return self.ended

    async def read_past(self) -> bool:
        """Read what the handler has left; tells whether that was all."""
        size = 0
        while self._state == "open" and size <= _MOST:
            try:
                size += len(await self.receive())
            except (anyio.EndOfStream, anyio.BusyResourceError, HTTPError, ClientGone):
                break
        self.give_up()
        return self.ended

    def give_up(self) -> None:
        """Let nobody read any more."""
        if not self.ended:
            self._state = "past"

    def cancelled_if_gone(self) -> AbstractAsyncContextManager[None]:
        return Watch(self._session)
