"""A limiter, with all who use it cancelled in every way: the units must balance.

And a model of it, which has units, a line, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from csp import Channel, Group, Handle, Limiter, Overloaded
from tests.semantics.cancelling import Cancel, ways_on

pytestmark = pytest.mark.anyio

UNITS = 5
ACTORS = 12


@pytest.mark.parametrize("seed", range(3))
async def test_no_unit_is_lost_or_doubled(
    seed: int, backend: str, scale: Callable[[int, int], int]
) -> None:
    """Cancelled while they wait, when they are let in, and inside."""
    random, ways = Random(seed), ways_on(backend)
    limiter = Limiter(UNITS)
    cancels: dict[int, Cancel] = {}
    used = entered = 0
    goal = scale(1_500, 50_000)

    async def use() -> None:
        nonlocal used, entered
        units = random.choice([1, 1, 1, 2, 3, UNITS])
        async with limiter.weight(units):
            used += units
            entered += 1
            try:
                assert used <= UNITS
                for _ in range(random.randrange(3)):
                    await checkpoint()
            finally:
                used -= units

    async def act(actor: int) -> None:
        @contextmanager
        def expose(cancel: Cancel) -> Iterator[None]:
            cancels[actor] = cancel
            try:
                yield
            finally:
                del cancels[actor]

        while entered < goal:
            await random.choice(ways)(use, expose)

    async with anyio.create_task_group() as tasks:
        for actor in range(ACTORS):
            tasks.start_soon(act, actor)
        while entered < goal:
            await checkpoint()
            if cancels and random.random() < 0.5:
                cancels[random.choice([*cancels])]()
    assert used == 0
    assert limiter.statistics()[:3] == (UNITS, 0, 0)
    async with limiter.weight(UNITS):
        pass


class Model:
    """A limiter, as simple as it can be."""

    def __init__(self, n: int, room: int) -> None:
        self.free = n
        self.room = room
        self.line: list[tuple[int, int]] = []
        self.inside: dict[int, int] = {}
        self.rejected: list[int] = []

    def come(self, who: int, units: int) -> None:
        if (self.line or units > self.free) and len(self.line) >= self.room:
            self.rejected.append(who)
            return
        self.line.append((who, units))
        self.serve()

    def go(self, who: int) -> None:
        self.free += self.inside.pop(who, 0)
        self.line = [entry for entry in self.line if entry[0] != who]
        self.serve()

    def serve(self) -> None:
        while self.line and self.line[0][1] <= self.free:
            who, units = self.line.pop(0)
            self.free -= units
            self.inside[who] = units


@given(
    n=st.integers(1, 4),
    room=st.integers(0, 4),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=20),
)
async def test_it_does_as_its_model(
    n: int, room: int, steps: list[tuple[bool, int]]
) -> None:
    """Whoever comes and goes, the same are inside, in line and rejected."""
    limiter, model = Limiter(n, queue=room, on_full="reject"), Model(n, room)
    inside: dict[int, int] = {}
    rejected: list[int] = []
    tasks: dict[int, Handle[None]] = {}

    async def use(who: int, units: int) -> None:
        try:
            async with limiter.weight(units):
                inside[who] = units
                try:
                    await Channel[None]().receive()
                finally:
                    del inside[who]
        except Overloaded:
            rejected.append(who)

    async with Group() as g:
        for who, (comes, number) in enumerate(steps):
            if comes or not tasks:
                units = number % n + 1
                model.come(who, units)
                tasks[who] = g.go(use, who, units)
            else:
                leaver = [*tasks][number % len(tasks)]
                model.go(leaver)
                tasks.pop(leaver).cancel()
            await parked()
            assert (inside, rejected) == (model.inside, model.rejected)
            figures = limiter.statistics()
            assert (figures.n - figures.in_use, figures.waiting) == (
                model.free,
                len(model.line),
            )
        g.cancel()
    assert limiter.statistics().in_use == 0
