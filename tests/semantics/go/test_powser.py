"""Power series by channels: Go's test/chan/powser1.go and powser2.go.

Ten terms of each series; Go compares none of those of Add and Sub.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest

from tests.semantics.go.power_series import (
    Series,
    add,
    constant,
    diff,
    exp,
    integ,
    mul,
    split,
    sub,
    substitute,
    times,
)
from tests.semantics.go.words import program

pytestmark = pytest.mark.anyio

ZERO, MINUS_ONE = Fraction(0), Fraction(-1)


def ones() -> Series:
    """1 + x + x^2 + ..."""
    return constant(1)


def twos() -> Series:
    """2 + 2x + 2x^2 + ..."""
    return constant(2)


SERIES: dict[str, tuple[Callable[[], Series], str]] = {
    "ones": (ones, "1 1 1 1 1 1 1 1 1 1"),
    "ones + ones": (lambda: add(ones(), ones()), "2 2 2 2 2 2 2 2 2 2"),
    "ones + twos": (lambda: add(ones(), twos()), "3 3 3 3 3 3 3 3 3 3"),
    "ones - twos": (lambda: sub(ones(), twos()), "-1 -1 -1 -1 -1 -1 -1 -1 -1 -1"),
    "-1 twos": (lambda: times(MINUS_ONE, twos()), "-2 -2 -2 -2 -2 -2 -2 -2 -2 -2"),
    "ones'": (lambda: diff(ones()), "1 2 3 4 5 6 7 8 9 10"),
    "integral of ones": (
        lambda: integ(ZERO, ones()),
        "0 1 1/2 1/3 1/4 1/5 1/6 1/7 1/8 1/9",
    ),
    "ones * ones": (lambda: mul(ones(), ones()), "1 2 3 4 5 6 7 8 9 10"),
    "exp(ones)": (
        lambda: exp(ones()),
        "1 1 3/2 13/6 73/24 167/40 4051/720 37633/5040 43817/4480 4596553/362880",
    ),
    "ones(-x^2)": (lambda: substitute(ones(), MINUS_ONE, 2), "1 0 -1 0 1 0 -1 0 1 0"),
    "arctan": (
        lambda: integ(ZERO, substitute(ones(), MINUS_ONE, 2)),
        "0 1 0 -1/3 0 1/5 0 -1/7 0 1/9",
    ),
}


@pytest.mark.parametrize(("make", "terms"), SERIES.values(), ids=SERIES)
async def test_terms(make: Callable[[], Series], terms: str) -> None:
    """The first ten coefficients are right."""
    async with program():
        computed = make()
        assert [await computed.get() for _ in range(10)] == [
            Fraction(term) for term in terms.split()
        ]


@pytest.mark.parametrize("ahead", [0, 1])
async def test_the_halves_of_a_split_are_read_at_any_pace(ahead: int) -> None:
    """One may be far ahead of the other, and then the other of the one."""
    async with program():
        pair = split(diff(ones()))
        for half, terms in [(0, (1, 9)), (1, (1, 20)), (0, (9, 20))]:
            got = [await pair[half ^ ahead].get() for _ in range(*terms)]
            assert got == [*range(*terms)]
