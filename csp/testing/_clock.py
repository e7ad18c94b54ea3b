"""Virtual time: where every task waits, the clock jumps to the next timer.

trio has a clock that does so.  On asyncio the selector does it: that is where a loop
goes to wait, and is told for how long.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import Context
from importlib.util import find_spec
from selectors import DefaultSelector, SelectorKey
from time import get_clock_info
from typing import Any, TypeVarTuple

Ts = TypeVarTuple("Ts")

# A timer is due when the clock and this are beyond it.
RESOLUTION = get_clock_info("monotonic").resolution


class JumpingSelector(DefaultSelector):
    """Jumps the clock where asyncio would wait for I/O until its next timer.

    I/O that is ready, another thread's call_soon_threadsafe too, goes before the jump;
    and with no timer to jump to it waits for I/O as usual.  So a timeout around real
    work in a thread expires at once, as it does under trio's MockClock.
    """

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait for I/O if no timer is set, else jump to it if there is none ready."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.now += timeout
            if self.now == self.now + RESOLUTION:  # half a year on
                self.now = math.nextafter(self.now, math.inf)
        return ready


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """The loop of that selector; starts at 0.0, as trio's MockClock does."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds slept since the loop was made."""
        return self._jumping.now

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Leave a timer that is never due, as of sleep_forever, out of the account."""
        if when == math.inf:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncio's own
    ) -> None:
        """Join the executor's threads, for however long: the timeout is virtual."""
        await super().shutdown_default_executor()


def virtual_clock(backend: str) -> tuple[str, dict[str, Any]]:
    """Return how to run on `backend` without waiting for time to pass.

    Whenever every task waits, the clock jumps to the next timer: an hour's sleep takes
    no time, and timeouts come in order, with the clock of `anyio.current_time()`.

    It is what the fixture `anyio_backend` of anyio's pytest plugin may return.
    csp.testing's own plugin gives this function as a fixture, for just that:

        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request, virtual_clock):
            return virtual_clock(request.param)

    and `anyio.run` takes it too:

        backend, options = virtual_clock("asyncio")
        anyio.run(anyio.sleep, 3600, backend=backend, backend_options=options)

    Tests for pytest-trio ask that plugin for its fixture `autojump_clock` instead.

    What goes on outside the loop takes real time, and the clock does not wait for it:
    a timeout around work in a thread or another process expires at once.

    Args:
        backend: "asyncio" or "trio".  uvloop keeps its own time.

    Raises:
        ValueError: There is no virtual clock for that backend.
        ModuleNotFoundError: trio is not installed.
    """
    if backend == "asyncio":
        return backend, {"loop_factory": VirtualClockLoop}
    if backend != "trio":
        reason = ": uvloop keeps its own time" if backend == "uvloop" else ""
        raise ValueError(
            f"virtual_clock takes 'asyncio' or 'trio', not {backend!r}{reason}"
        )
    if find_spec("trio") is None:
        raise ModuleNotFoundError(
            "backend 'trio' is not installed: pip install 'anycsp[trio]'"
        )
    from trio.testing import MockClock

    return backend, {"clock": MockClock(autojump_threshold=0)}
