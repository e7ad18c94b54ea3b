"""The line in front of the handler: so many requests in it at once, so many waiting.

A request takes its place when its handler is called, in the connection's own task: a
connection that is idle, or still sends a head, has none.

Who waits may go away meanwhile, and this is noticed if all of its request has come.
To read a body ahead would take from the client what makes it wait, so then it is not.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from csp._errors import Overloaded
from csp._limiter import Limiter
from csp.net.http._errors import ClientGone
from csp.net.http._limits import Limits

from ._watch import Watch

if TYPE_CHECKING:
    from ._incoming import Incoming
    from ._session import Session


class Line(Limiter):
    """Gives each request its place in the handler, in the order of their coming."""

    __slots__ = ()

    def __init__(self, limits: Limits) -> None:
        super().__init__(
            min(limits.requests, sys.maxsize),
            queue=limits.queue,
            on_full="reject",
            name="requests",
        )

    def enter(self) -> bool:
        """Take a place if there is one and nobody waits; tells whether it did."""
        if self._line or self._in_use >= self._n:
            return False
        self._in_use += 1
        return True

    async def wait(self, session: Session, body: Incoming) -> None:
        """Wait for a place, and take it.

        Raises:
            Overloaded: Too many wait, or the client has gone.
        """
        if not body.ended:
            return await self._take(1)
        taken = False
        try:
            async with Watch(session):
                await self._take(1)
                taken = True
        except ClientGone:
            # Perhaps it has only said that it sends no more: then it gets an answer.
            if not taken:
                raise Overloaded("the client has closed the connection") from None
        except BaseException:
            if taken:
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to the next."""
        self._give_back(1)
