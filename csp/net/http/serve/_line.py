"""The line in front of the handler: so many requests in it at once, so many waiting.

A request takes its place when its handler is called, in the connection's own task: a
connection that is idle, or still sends a head, has none.

Who waits may go away meanwhile.  To read ahead would tell, but it takes a task, and
takes from the client what makes it wait.  So the sweep over all sessions looks now and
then whether the end is next in the kernel, and the line does when a place is free.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio

from csp._errors import Overloaded
from csp._limiter import Limiter
from csp.net.http._limits import Limits

if TYPE_CHECKING:
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

    async def wait(self, session: Session) -> None:
        """Wait for a place, and take it.

        Raises:
            Overloaded: Too many wait, or the client has gone.
        """
        taken = False
        try:
            with anyio.CancelScope() as session.in_line:
                await self._take(1)
                taken = True
        finally:
            session.in_line = None
        if taken and session.conn.at_end:
            self.leave()
            taken = False
        if not taken:
            # Perhaps it has only said that it sends no more: then it gets an answer.
            raise Overloaded("the client has closed the connection")

    def leave(self) -> None:
        """Give the place to the next."""
        self._give_back(1)
