"""For apps that use threads: a clock that jumps does not wait for those."""

from __future__ import annotations

import pytest


@pytest.fixture
def in_real_time(backend):
    """The event loops in real time; to be called `anyio_backend` in a test's file."""
    name, _, kind = backend.partition("+")
    if kind == "eager":
        pytest.skip("this one has no real time")
    return name, {"use_uvloop": kind == "uvloop"} if name == "asyncio" else {}
