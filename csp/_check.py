"""What arguments have in common, and what to say of those that are no good."""

from __future__ import annotations

import math

COUNT_OR_INF = "a whole number or math.inf"


def check_count(
    name: str,
    value: object,
    least: int,
    *,
    kind: str = "a whole number",
    bounded: bool = True,
) -> None:
    """Raise unless this is a whole number, `least` or more; or inf, if not bounded."""
    if isinstance(value, bool) or not (
        isinstance(value, int) or (value == math.inf and not bounded)
    ):
        raise TypeError(f"{name} must be {kind}, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be {least} or more, not {value!r}")


def check_seconds(name: str, value: object, kind: str = "a number of seconds") -> None:
    """Raise unless this is a time that may pass."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be {kind}, not {value!r}")
    if not value >= 0:
        raise ValueError(f"{name} must be 0 seconds or more, not {value!r}")


def check_name(name: object) -> None:
    """Raise unless this can be what messages call something."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, not {name!r}")


def check_on_undelivered(callback: object, of: str = "item") -> None:
    """Raise unless this can be called with what nobody receives."""
    if not callable(callback):
        raise TypeError(
            f"on_undelivered must be a function of one {of}, not {callback!r}"
        )
