"""Pools under fire: callers are cancelled in every way there is, and pools come and go.

Callers have jobs done by the pool of the moment, which now and then closes, by itself
or by an error, while they call, and another takes its place.  Jobs take no time or
some, fail, cancel themselves, or do not let themselves be cancelled.  In the end the
books must balance: each job was done once at the most, and what came of it came to its
caller, or was reported, or the job was cancelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any, NamedTuple

import anyio
import pytest
from anyio.lowlevel import checkpoint

from csp import ChannelClosed, Overloaded, Pool, done
from tests.semantics.cancelling import Cancel, Way, ways_on

pytestmark = pytest.mark.anyio

CALLERS = 12

KINDS = ["quick", "slow", "slow", "slower", "failing", "stubborn", "suicidal"]


class Item(NamedTuple):
    """A job, told from all others."""

    caller: int
    number: int
    kind: str


class Storm:
    """The pool of the moment, and all that stands in the books."""

    def __init__(self, seed: int, ways: list[Way]) -> None:
        self.random = Random(seed)
        self.ways = ways
        self.over = False
        self.pool: Pool[Item, Item] | None = None
        self.cancels: dict[int, Cancel] = {}
        self.running = 0
        self.limit = 0
        self.jobs: list[Any] = []  # that were submitted to this pool
        self.begun: list[Item] = []
        self.returned: list[Item] = []
        self.raised: list[Item] = []
        self.delivered: list[Item] = []
        self.undelivered: list[Item] = []
        self.errors: list[Item] = []
        self.ends = Counter[str]()
        self.admitted = self.finished = self.failed = self.cancelled = 0

    # Jobs

    async def work(self, item: Item) -> Item:
        self.running += 1
        assert self.running <= self.limit, "too many at once"
        self.begun.append(item)
        try:
            if item.kind == "suicidal":
                raise anyio.get_cancelled_exc_class()
            for _ in range({"quick": 0, "slower": 6}.get(item.kind, 2)):
                await checkpoint()
            if item.kind == "failing":
                raise LookupError(item)
        except LookupError:
            self.raised.append(item)
            raise
        except BaseException:
            if item.kind != "stubborn":
                raise
        finally:
            self.running -= 1
        self.returned.append(item)
        return item

    # Callers

    async def live(self, me: int) -> None:
        """Have one job done after the other, being cancelled in any way."""

        @contextmanager
        def expose(cancel: Cancel) -> Iterator[None]:
            self.cancels[me] = cancel
            try:
                yield
            finally:
                del self.cancels[me]

        number = 0
        while not self.over:
            if self.pool is None:
                await checkpoint()
                continue
            item = Item(me, number, self.random.choice(self.kinds))
            number += 1

            async def move(item: Item = item, pool: Any = self.pool) -> None:
                verb = self.random.choice([self.call, self.call, self.submit])
                await verb(pool, item)

            await self.random.choice(self.ways)(move, expose)

    @property
    def kinds(self) -> list[str]:
        return KINDS if len(self.ways) > 2 else KINDS[:-1]  # trio knows no suicide

    async def call(self, pool: Pool[Item, Item], item: Item) -> None:
        with self.booked(item):
            self.delivered.append(await pool.call(item))

    async def submit(self, pool: Pool[Item, Item], item: Item) -> None:
        """Wait for the job, or cancel it; its result is looked at in the end."""
        with self.booked(item):
            job = await pool.submit(item)
            self.jobs.append(job)
            if self.random.random() < 0.3:
                await checkpoint()
                job.cancel()
            await done(job)

    @contextmanager
    def booked(self, item: Item) -> Iterator[None]:
        """Count how a caller ended."""
        try:
            yield
        except LookupError:
            self.errors.append(item)
            self.ends["failed"] += 1
        except anyio.TaskCancelled:
            self.ends["cut"] += 1
        except Overloaded:
            self.ends["rejected"] += 1
        except ChannelClosed:
            self.ends["closed"] += 1
        except BaseException as error:
            self.ends["cancelled"] += 1
            if isinstance(error.__cause__, LookupError):
                self.errors.append(item)
            raise
        else:
            self.ends["returned"] += 1

    async def settle_handles(self) -> None:
        for job in self.jobs:
            try:
                self.delivered.append(await job)
            except LookupError:
                self.errors.append(job.item)
            except anyio.TaskCancelled:
                pass

    # The storm

    async def rage(self, jobs: int) -> None:
        """Let all that go on until so many jobs were begun."""
        async with anyio.create_task_group() as tasks:
            for me in range(CALLERS):
                tasks.start_soon(self.live, me)
            while len(self.begun) < jobs:
                await self.run_a_pool()
            self.over = True
            while self.cancels:
                for cancel in [*self.cancels.values()]:
                    cancel()
                await checkpoint()

    async def run_a_pool(self) -> None:
        self.jobs = []
        self.limit = self.random.randint(1, 4)
        pool = Pool(
            self.work,
            workers=self.limit,
            queue=self.random.choice([0, 1, 5]),
            on_full=self.random.choice(["wait", "wait", "reject"]),
            on_undelivered=self.undelivered.append,
        )
        with suppress(ZeroDivisionError):
            async with pool:
                self.pool = pool
                for _ in range(self.random.randint(50, 300)):
                    await self.strike(pool)
                if self.random.random() < 0.3:
                    raise ZeroDivisionError
        self.pool = None
        assert self.running == 0
        self.close_books(pool)
        for _ in range(10):  # for those who have not taken their results yet
            await checkpoint()
        await self.settle_handles()

    async def strike(self, pool: Pool[Item, Item]) -> None:
        """Let the loop turn, and cancel what one caller does."""
        await checkpoint()
        now = pool.statistics()
        assert 0 <= now.running <= now.workers
        assert now.queued >= 0
        if self.cancels and self.random.random() < 0.3:
            self.random.choice([*self.cancels.values()])()

    def close_books(self, pool: Pool[Item, Item]) -> None:
        now = pool.statistics()
        assert (now.running, now.queued, now.waiting) == (0, 0, 0)
        self.finished += now.finished
        self.failed += now.failed
        self.cancelled += now.cancelled

    def settle(self) -> None:
        assert len(self.begun) == len(set(self.begun)), "done twice"
        assert self.finished == len(self.returned)
        assert self.failed == len(self.raised)
        assert Counter(self.delivered + self.undelivered) == Counter(self.returned)
        assert Counter(self.errors) == Counter(self.raised)
        for end in ("returned", "failed", "closed", "cancelled"):
            assert self.ends[end], f"nobody was {end}: too little of a storm"


@pytest.mark.parametrize("seed", range(3))
async def test_the_books_balance_after_a_storm(
    seed: int, scale: Callable[[int, int], int], backend: str
) -> None:
    """No job is lost, done twice, or done with nobody told."""
    storm = Storm(seed, ways_on(backend))
    await storm.rage(scale(1_000, 50_000))
    storm.settle()
