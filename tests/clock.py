"""An asyncio loop in which sleeping takes no time."""

from __future__ import annotations

import asyncio
import math
import selectors


class JumpingSelector(selectors.DefaultSelector):
    """Jumps the clock where asyncio would wait for I/O until its next timer.

    I/O that is ready, another thread's call_soon_threadsafe too, goes before the jump;
    and with no timer to jump to it waits for I/O as usual.  So a timeout around real
    work in a thread expires at once, as it does under trio's MockClock.
    """

    now = 0.0

    def select(self, timeout=None):
        """Wait for I/O if no timer is set, else jump to it if there is none ready."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """The loop of that selector; starts at 0.0, as trio's MockClock does."""

    def __init__(self):
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self):
        """Seconds slept since the loop was made."""
        return self._jumping.now

    def call_at(self, when, callback, *args, context=None):
        """Leave a timer that is never due, as of sleep_forever, out of the account."""
        if when == math.inf:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    async def shutdown_default_executor(self, timeout=None):
        """Join the executor's threads, for however long: the timeout is virtual."""
        await super().shutdown_default_executor()


def eager_loop():
    """Return such a loop whose tasks run up to their first await when created."""
    loop = VirtualClockLoop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop
