"""What a pipeline has done, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

RESULTS = "results"  # the name of what `open` gives
LISTED = 100  # failures of a stage that are kept for the report
_SHOWN = 10  # items that a note names
_WIDTH = 80  # the most letters of an item in a note


class Failure(NamedTuple):
    """An item at which the function of a stage has raised."""

    item: Any
    error: Exception


class StageReport(NamedTuple):
    """What one stage of a pipeline has done.

    ``items_in + extra == items_out + filtered + skipped + undelivered + in_flight``,
    always, and once the pipeline has ended nothing is in flight.
    """

    name: str
    """The verb and the function, or the name it was given."""
    items_in: int
    """Items given to the stage: what came out of the one before it."""
    items_out: int
    """Items that came out of it; of an `each`, those that it has done."""
    extra: int
    """How many more came out than went in, where one item makes several.

    Where several make one, that is in a batch, it is less than 0.
    """
    filtered: int
    """Items that a filter did not let through."""
    skipped: int
    """Items that failed, and were passed over."""
    undelivered: int
    """Items that the stage has not finished, nor will."""
    errors: int
    """How often its function raised."""
    failures: tuple[Failure, ...]
    """The first 100 of those."""
    seconds: float
    """How long its function has worked, all its workers together."""

    @property
    def in_flight(self) -> int:
        """Items that are in the stage or wait for it; 0 when all has ended."""
        gone = self.items_out + self.filtered + self.skipped + self.undelivered
        return self.items_in + self.extra - gone


class PipelineReport(NamedTuple):
    """What a pipeline has done, and what became of every item.

    ``items_in + extra == items_out + filtered + skipped + undelivered + in_flight``,
    where the undelivered are counted.  Once it has ended nothing is in flight.
    """

    items_in: int
    """Items taken from the source."""
    items_out: int
    """Items that came out at its end, and of `open` were received."""
    stages: tuple[StageReport, ...]
    """What each stage has done."""
    undelivered: Mapping[str, tuple[Any, ...]]
    """What was on the way when it was cut, by the name of the stage that it was in.

    Also the item at which it stopped.  What `open` gave and nobody received is under
    "results".
    """
    stopped: bool
    """Whether it was asked to stop."""
    seconds: float
    """How long it took."""

    @property
    def extra(self) -> int:
        """How many items were made of others, less those that were put together."""
        return sum(stage.extra for stage in self.stages)

    @property
    def filtered(self) -> int:
        """Items that a filter did not let through."""
        return sum(stage.filtered for stage in self.stages)

    @property
    def skipped(self) -> int:
        """Items that failed, and were passed over."""
        return sum(stage.skipped for stage in self.stages)

    @property
    def errors(self) -> int:
        """How often the function of a stage raised."""
        return sum(stage.errors for stage in self.stages)

    @property
    def in_flight(self) -> int:
        """Items that are on the way; 0 when it has ended."""
        left = sum(len(items) for items in self.undelivered.values())
        gone = self.items_out + self.filtered + self.skipped + left
        return self.items_in + self.extra - gone

    def __str__(self) -> str:
        """Return it in words."""
        figures = {
            "filtered": self.filtered,
            "skipped": self.skipped,
            "undelivered": sum(map(len, self.undelivered.values())),
            "in flight": self.in_flight,
        }
        parts = [f"{self.items_in:,} in"]
        if self.extra:
            fate = "more made of them" if self.extra > 0 else "joined to others"
            parts.append(f"{abs(self.extra):,} {fate}")
        parts.append(f"{self.items_out:,} out")
        parts += [f"{count:,} {what}" for what, count in figures.items() if count]
        return ", ".join(parts)


def name_items(items: tuple[Any, ...]) -> str:
    """Write down some items, not all and not in full if they are many or long."""
    names = [name_item(item) for item in items[:_SHOWN]]
    if len(items) > _SHOWN:
        names.append(f"and {len(items) - _SHOWN} more")
    return ", ".join(names)


def name_item(item: object) -> str:
    """Write down an item, not in full if that is long."""
    text = repr(item)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
