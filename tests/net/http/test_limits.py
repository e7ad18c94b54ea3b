"""What a server puts up with: the defaults, and values that make no sense."""

from __future__ import annotations

import math

import attrs
import pytest

from csp.net.http._limits import Limits

COUNTS = [
    "connections",
    "requests",
    "queue",
    "target_bytes",
    "header_bytes",
    "header_count",
    "body_bytes",
]
TIMES = [field.name for field in attrs.fields(Limits) if field.name not in COUNTS]


def test_the_defaults_are_as_documented():
    """Programs rely on them."""
    assert attrs.asdict(Limits()) == {
        "connections": 10_000,
        "requests": 1_000,
        "queue": 1_000,
        "target_bytes": 8_192,
        "header_bytes": 65_536,
        "header_count": 100,
        "body_bytes": 16 * 1024 * 1024,
        "handshake_timeout": 10.0,
        "header_timeout": 10.0,
        "idle_timeout": 60.0,
        "min_rate": 240,
        "rate_grace": 5.0,
        "linger": 1.0,
        "lame_duck": 0.0,
    }


@pytest.mark.parametrize("name", COUNTS + TIMES)
def test_no_limit_is_infinity(name):
    """Every limit can be taken away."""
    assert getattr(Limits(**{name: math.inf}), name) == math.inf


@pytest.mark.parametrize("name", COUNTS + TIMES)
@pytest.mark.parametrize("value", ["5", None, True, b"1"])
def test_what_is_no_number_is_refused(name, value):
    """The message names the limit and has the value."""
    with pytest.raises(TypeError, match=f"{name} must be .* number, not {value!r}"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_is_whole(name):
    """Half a connection is a mistake."""
    with pytest.raises(TypeError, match=f"{name} must be a whole number, not 1.5"):
        Limits(**{name: 1.5})


@pytest.mark.parametrize("name", COUNTS + TIMES)
@pytest.mark.parametrize("value", [-1, -math.inf])
def test_less_than_nothing_is_refused(name, value):
    """Whether it counts or measures."""
    with pytest.raises((ValueError, TypeError), match=f"{name} must be"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", TIMES)
def test_nan_is_refused(name):
    """It would compare as neither too long nor not."""
    with pytest.raises(ValueError, match=f"{name} must be 0 or more, not nan"):
        Limits(**{name: math.nan})


@pytest.mark.parametrize(
    "name", [n for n in COUNTS if n not in {"queue", "body_bytes"}]
)
def test_a_server_without_any_is_refused(name):
    """It could serve nobody; but no queue and no bodies are fine."""
    with pytest.raises(ValueError, match=f"{name} must be 1 or more, not 0"):
        Limits(**{name: 0})
    assert Limits(queue=0, body_bytes=0).queue == 0


def test_limits_are_frozen_and_named():
    """They are shared by all connections, and too many to tell apart by position."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Limits().queue = 5
    with pytest.raises(TypeError):
        Limits(5)
