"""The programs here hold under any schedule, also if any one wait is cancelled.

They share TOTAL schedules evenly: each is run as often as any other, on every loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from csp import Channel, recv, select
from csp.testing import explore
from tests.semantics.explored import (  # noqa: F401 - they register their programs
    channels,
    closing,
    emptying,
    selects,
    tasks,
)
from tests.semantics.explored.book import PROGRAMS, Program

TOTAL = 2_000, 100_000  # by default, and under --stress

BACKENDS = ("asyncio", *(["trio"] if find_spec("trio") else []))

SEARCHES: list[dict[str, Any]] = [
    {"exhaustive": True, "preemptions": math.inf},
    {"exhaustive": True, "preemptions": math.inf, "cancel": True},
    {},
    {"cancel": True},
]

each_backend = pytest.mark.parametrize("backend", BACKENDS)


@each_backend
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_holds_under_any_schedule(
    program: Program, backend: str, scale: Callable[[int, int], int]
) -> None:
    """In order and at random, with a cancellation and without.

    A search that has come to its end leaves the rest of its runs to the next.
    """
    share = math.ceil(scale(*TOTAL) / (len(PROGRAMS) * len(BACKENDS)))
    runs = 0
    for i, search in enumerate(SEARCHES):
        part = math.ceil((share - runs) / (len(SEARCHES) - i))
        runs += explore(program, runs=part, backend=backend, **search).runs
    assert runs >= share


@each_backend
def test_a_select_may_choose_any(backend: str) -> None:
    """Whichever of the operations can happen does, under some schedule."""

    async def choose() -> int | str:
        ready: list[Channel[int]] = [Channel(1), Channel(1), Channel(1)]
        for ch in ready:
            ch.send_nowait(0)
        which, _ = await select(*map(recv, ready))
        for ch in ready:
            ch.drain()
        return which

    exploration = explore(choose, runs=100, backend=backend, exhaustive=True)
    assert exploration.complete
    assert exploration.outcomes.keys() == {"0", "1", "2"}
