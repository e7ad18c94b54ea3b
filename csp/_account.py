"""What became of work that was to stop: reports, and the error for what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple


class DrainReport(NamedTuple):
    """What became of the work that was under way when a stop was requested."""

    finished: int
    """How much of it was finished."""
    cut: int
    """How much was cancelled."""
    refused: int
    """How much was not begun."""
    cut_names: tuple[str, ...]
    """The names of what was cancelled."""
    seconds: float
    """How long it took."""


class Left(NamedTuple):
    """What was left in one channel."""

    channel: str | None
    """The channel's name, if it has one."""
    items: list[Any]


class Undelivered(Exception):
    """A scope ended with items that nobody received, or tasks that were cut."""

    left: tuple[Left, ...]
    """The items, by channel."""
    cut: tuple[str, ...]
    """The names of the tasks that were cut."""

    def __init__(self, left: tuple[Left, ...], cut: tuple[str, ...] = ()) -> None:
        self.left = left
        self.cut = cut
        times = Counter(cut).items()
        names = [name if n == 1 else f"{name} ({n} times)" for name, n in times]
        held = _enumerate([_describe(*channel) for channel in left])
        super().__init__("; ".join(filter(None, [held, _enumerate(names, "cut ")])))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.left, self.cut)


def _describe(channel: str | None, items: list[Any]) -> str:
    who = f"channel {channel!r}" if channel else "a channel without a name"
    return f"{who} held {len(items)} item{'' if len(items) == 1 else 's'}"


_SHOWN = 10  # how many channels, and how many tasks, a message names


def _enumerate(names: Sequence[str], verb: str = "") -> str:
    shown = [*names[:_SHOWN]]
    if len(names) > _SHOWN:
        shown.append(f"and {len(names) - _SHOWN} more")
    return verb + ", ".join(shown) if names else ""
