"""An asyncio loop in which sleeping takes no time, and its eager twin."""

from __future__ import annotations

import asyncio

from csp.testing._clock import VirtualClockLoop


def eager_loop():
    """Return such a loop whose tasks run up to their first await when created."""
    loop = VirtualClockLoop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop
