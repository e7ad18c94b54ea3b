"""Pipelines made of plain data, whose items tell where they come from.

An item is a tuple: its number in the source, and for each `flat_map` that it has passed
its number among the results.  A batch is a list.  How long a function takes, whether it
fails and how much it makes follows from the item, so it can be told afterwards what
must have become of everything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

from anyio.lowlevel import checkpoint

from csp import Pipeline, PipelineReport, StageReport

Item: TypeAlias = tuple[int, ...]


class Bad(Exception):
    """What a function raises at an item."""


class Plan(NamedTuple):
    """One stage."""

    verb: str
    workers: int = 1
    ordered: bool = True
    buffer: int | None = None
    size: int = 1  # of a batch; of a flat_map, the most results
    steps: int = 0  # the most that a function takes; below 0 it is no async one
    fails: int = 0  # at one of so many items; 0 for none
    on_error: Any = "stop"
    within: float | None = None


def flatten(thing: Any) -> Iterator[Item]:
    """Return the items in a batch, or in several, or the item."""
    if isinstance(thing, list):
        for part in thing:
            yield from flatten(part)
    else:
        yield thing


class Books:
    """What has become of each item, as the functions of the stages have seen it."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self.plans = [*plans]
        self.out: list[Item] = []
        self.filtered: list[Item] = []
        self.empty: list[Item] = []  # those of which a flat_map has made nothing
        self.reports: list[PipelineReport] = []

    def extend(self, p: Pipeline[Any]) -> Pipeline[Any]:
        """Add the stages to a pipeline."""
        for i, plan in enumerate(self.plans):
            options: dict[str, Any] = {"buffer": plan.buffer}
            if plan.verb == "batch":
                p = p.batch(plan.size, within=plan.within, **options)
                continue
            options |= {"workers": plan.workers, "on_error": plan.on_error}
            if plan.verb == "each":
                del options["buffer"]
            else:
                options["ordered"] = plan.ordered
            p = getattr(p, plan.verb)(self.function(plan, i), **options)
        return p

    def function(self, plan: Plan, stage: int) -> Callable[[Any], Any]:
        """Make the function of a stage."""
        make = getattr(self, plan.verb)

        def begin(item: Any) -> int:
            weight = sum(map(sum, flatten(item))) + stage
            if plan.fails and weight % plan.fails == 0:
                raise Bad(item)
            return weight

        def plain(item: Any) -> Any:
            begin(item)
            return make(plan, item)

        async def slow(item: Any) -> Any:
            for _ in range(sum(map(sum, flatten(item))) * 7 % (plan.steps + 1)):
                await checkpoint()
            begin(item)
            return make(plan, item)

        return plain if plan.steps < 0 else slow

    def map(self, plan: Plan, item: Any) -> Any:
        return item

    def filter(self, plan: Plan, item: Any) -> bool:
        items = [*flatten(item)]
        if items[0][0] % 4 == 1:
            self.filtered += items
            return False
        return True

    def each(self, plan: Plan, item: Any) -> None:
        self.out += flatten(item)

    def flat_map(self, plan: Plan, item: Any) -> Any:
        results = []
        for one in flatten(item):
            n = many(plan, one)
            results += [(*one, i) for i in range(n)]
            self.empty += [one] * (not n)
        return [results, iter(results), trickle(results)][len(results) % 3]

    def check(self, items_in: Iterable[int]) -> PipelineReport:
        """See that every item that was taken is accounted for, and once."""
        report = self.reports[-1]
        check_law(report)
        assert report.items_in == len([*items_in])
        undelivered = [one for items in report.undelivered.values() for one in items]
        skipped = [*map(skipped_in, report.stages, repeat(report))]
        left = [*flatten([undelivered, skipped])]
        seen = [*self.out, *self.filtered, *left]
        assert len({*seen}) == len(seen), "twice"
        assert {item[0] for item in seen} <= {*items_in}
        for n in items_in:
            assert self.covers((n,), {*seen}), n
        return report

    def covers(self, item: Item, seen: set[Item]) -> bool:
        """Tell whether `item` was seen, or all that was made of it."""
        flat_maps = [plan for plan in self.plans if plan.verb == "flat_map"]
        if item in seen:
            return True
        if len(item) > len(flat_maps):
            return False
        made = range(many(flat_maps[len(item) - 1], item))
        return all(self.covers((*item, i), seen) for i in made)


def skipped_in(stage: StageReport, report: PipelineReport) -> list[Any]:
    """Return the items that failed, but those that were cut while they did."""
    cut = report.undelivered.get(stage.name, ())
    items = [item for item, _ in stage.failures if not any(item is one for one in cut)]
    assert len(items) == stage.skipped
    return items


def many(plan: Plan, item: Item) -> int:
    """Return how much a flat_map makes of an item."""
    return sum(item) % (plan.size + 1)


async def trickle(results: Iterable[Any]) -> AsyncIterator[Any]:
    for result in results:
        await checkpoint()
        yield result


def check_law(report: PipelineReport) -> None:
    """See that the figures add up, for each stage and over all."""
    assert report.in_flight == 0, report
    given = report.items_in
    for stage in report.stages:
        assert stage.in_flight == 0, stage
        assert stage.items_in == given
        assert stage.undelivered == len(report.undelivered.get(stage.name, ()))
        assert stage.errors >= stage.skipped
        given = stage.items_out
    assert report.items_out == given - len(report.undelivered.get("results", ()))
    if not any(stage.extra for stage in report.stages):
        gone = report.items_out + report.filtered + report.skipped
        assert report.items_in == gone + sum(map(len, report.undelivered.values()))
