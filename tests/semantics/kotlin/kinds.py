"""The kinds of channel that Kotlin's tests go through."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from csp import Channel

KINDS: dict[str, dict[str, Any]] = {
    "rendezvous": {"capacity": 0},
    "one": {"capacity": 1},
    "ten": {"capacity": 10},
    "unlimited": {"capacity": math.inf},
    "conflated": {"capacity": 1, "overflow": "drop_oldest"},
}

each_kind = pytest.mark.parametrize("kind", KINDS)
each_lossless_kind = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind != "conflated"]
)


def make(
    kind: str, on_undelivered: Callable[[Any], None] | None = None
) -> Channel[Any]:
    """Make a channel of that kind."""
    return Channel(**KINDS[kind], on_undelivered=on_undelivered)
