"""Clients that are too slow, at sending a body or at taking a response.

A sweep over all connections looks, every so often, at who waits for its client; and at
those who wait for a handler, whose client may have gone.  Only that time counts in
which the server waits for the client: a handler may take as long as it likes.  Within
each `rate_grace` seconds of waiting, `min_rate` times as many bytes have to go through.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import anyio

from csp.net.http._limits import Limits

if TYPE_CHECKING:
    from ._session import Session

_SWEEPS = 5  # in each grace
_PERIODS = 0.05, 1.0  # seconds from one to the next, at least and at most


class Pace:
    """How one connection goes in one direction."""

    __slots__ = ("_base", "_waited")

    def __init__(self) -> None:
        self._waited = 0.0
        self._base = 0

    def is_too_slow(self, limits: Limits, seconds: float, total: int) -> bool:
        """Tell whether too little has gone through, after some more seconds of waiting.

        Args:
            limits: What is too little.
            seconds: How much longer it has waited.
            total: All bytes that have ever gone through.
        """
        if not self._waited:
            self._base = total
        self._waited += seconds
        if self._waited < limits.rate_grace:
            return False
        too_slow = total - self._base < limits.min_rate * self._waited
        self._waited = 0.0
        return too_slow


async def keep_pace(sessions: Collection[Session], limits: Limits) -> None:
    """End the waits of those who are too slow, for ever."""
    least, most = _PERIODS
    period = min(max(limits.rate_grace / _SWEEPS, least), most)
    last = anyio.current_time()
    while True:
        await anyio.sleep(period)
        now = anyio.current_time()
        for session in [*sessions]:
            session.sweep(now, now - last)
        last = now
