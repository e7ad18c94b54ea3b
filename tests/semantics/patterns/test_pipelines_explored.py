"""Small pipelines hold under any schedule, and if one of their waits is cancelled.

What was taken from the source is out, filtered, failed or undelivered, each item once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import product
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from csp import Channel, Group, Pipeline, pipeline, stop_scope
from csp.testing import explore
from tests.semantics.patterns.exploring import BACKENDS
from tests.semantics.patterns.pipelines import Bad, Books, Item, Plan, flatten

PLANS = {
    "one worker each": [Plan("map", steps=1), Plan("each")],
    "in order": [Plan("map", 2, steps=2), Plan("map", 2, steps=1), Plan("each", 2)],
    "in any order": [Plan("map", 2, False, steps=2), Plan("filter"), Plan("each")],
    "several of one": [
        Plan("flat_map", 2, size=2, steps=1),
        Plan("map", 2),
        Plan("each"),
    ],
    "one of several": [Plan("map", 2), Plan("batch", size=2, within=1), Plan("each")],
    "failing": [Plan("map", 2, steps=1), Plan("map", 2, fails=3), Plan("each")],
    "failing late": [Plan("flat_map", 2, size=2), Plan("each", 2, steps=1, fails=4)],
    "skipping": [
        Plan("filter", 2, steps=1, fails=2, on_error=lambda *_: checkpoint()),
        Plan("each"),
    ],
}


class Program:
    """A pipeline over five items, and what became of them."""

    def __init__(self, plans: list[Plan]) -> None:
        self.books = Books(plans)
        self.taken: list[Item] = []
        self.undelivered: list[Any] = []

    def source(self) -> Iterator[Item]:
        for n in range(5):
            self.taken.append((n,))
            yield (n,)

    def pipeline(self, source: Any = None, **options: Any) -> Pipeline[Any]:
        p = pipeline(
            self.source() if source is None else source,
            buffer=1,
            on_undelivered=self.undelivered.append,
            **options,
        )
        return self.books.extend(p)

    def check(self) -> None:
        seen = [*self.books.out, *self.books.filtered, *flatten(self.undelivered)]
        assert len({*seen}) == len(seen), "twice"
        assert {item[0] for item in seen} <= {item[0] for item in self.taken}
        if all(plan.on_error == "stop" for plan in self.books.plans):
            for item in self.taken:
                assert self.books.covers(item, {*seen}), item


async def run(plans: list[Plan]) -> None:
    """To its end."""
    program = Program(plans)
    try:
        await program.pipeline().run()
    except* (Bad, anyio.TaskCancelled):
        pass
    program.check()


async def be_stopped(plans: list[Plan]) -> None:
    """Asked to stop, while somebody is still sending to it."""
    program, ch = Program(plans), Channel[Item](1)

    async def produce() -> None:
        with sender:
            for item in program.source():
                await sender.send(item)

    sender = ch.sender()
    async with stop_scope(100) as stop:
        async with Group() as g:
            producer = g.go(produce)

            async def work() -> None:
                try:
                    await program.pipeline(ch).run()
                except* (Bad, anyio.TaskCancelled):
                    pass
                finally:
                    producer.cancel()

            g.go(work)
            g.go(checkpoint)
            await checkpoint()
            stop.request()
        program.taken = program.taken[: ch.statistics().received]
        ch.drain()
    program.check()


async def be_cut(plans: list[Plan]) -> None:
    """Asked to stop, and given no time."""
    program = Program(plans)
    async with stop_scope(100) as stop, Group() as g:

        async def work() -> None:
            try:
                await program.pipeline(grace=0).run()
            except* (Bad, anyio.TaskCancelled):
                pass

        g.go(work)
        g.go(checkpoint)
        await checkpoint()
        stop.request()
    program.check()


async def be_cancelled(plans: list[Plan]) -> None:
    """Cancelled from outside."""
    program = Program(plans)
    try:
        with anyio.CancelScope() as scope:
            async with Group() as g:
                g.go(program.pipeline().run)
                await checkpoint()
                await checkpoint()
                scope.cancel()
    except* (Bad, anyio.TaskCancelled):
        pass
    program.check()


async def be_left(plans: list[Plan]) -> None:
    """Opened, and left early."""
    program = Program(plans[:-1])
    try:
        async with program.pipeline().open() as results:
            async for result in results:
                program.books.out += flatten(result)
                if len(program.books.out) > 1:
                    break
    except* (Bad, anyio.TaskCancelled):
        pass
    program.check()


WAYS: list[Callable[[list[Plan]], Awaitable[None]]] = [
    run,
    be_stopped,
    be_cut,
    be_cancelled,
    be_left,
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("plans", PLANS.values(), ids=PLANS)
def test_holds_under_any_schedule(plans, way, backend, scale) -> None:
    """In order and at random, with a cancellation or without."""

    async def program() -> None:
        await way(plans)

    for cancel, exhaustive in product([False, True], [False, True]):
        explore(
            program,
            runs=scale(4, 200),
            cancel=cancel,
            exhaustive=exhaustive,
            backend=backend,
        )
