"""The body of a request that shows what passes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from csp.net.http._headers import Headers
from csp.net.http._message import Body

See = Callable[[bytes], None]


class TeedBody(Body):
    """The body of a request that shows each piece when it is read."""

    __slots__ = ("_body", "_see")

    def __init__(self, body: Body, see: See) -> None:
        self._body = body
        self._see = see

    @property
    def trailers(self) -> Headers | None:  # type: ignore[override]
        """What came after the body; None until it has ended."""
        return self._body.trailers

    async def receive(self) -> bytes:
        """Return the next piece."""
        data = await self._body.receive()
        self._see(data)
        return data

    def cancelled_if_gone(self) -> AbstractAsyncContextManager[None]:
        """Do as the request's method of that name."""
        return self._body.cancelled_if_gone()
