"""Infinite power series as tasks, after "Squinting at Power Series" by Doug McIlroy.

A series is a pair of channels: who wants its next coefficient asks on one, and gets it
on the other.  So nothing is computed before somebody wants it.  Each series has a task
behind it, started with `go`, which never ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from fractions import Fraction
from functools import wraps
from itertools import count
from typing import Any, ParamSpec, TypeAlias

from csp import Channel, Operation, go, recv, select, send

P = ParamSpec("P")
Terms: TypeAlias = AsyncGenerator[Fraction, None]


class Series:
    """A power series: its coefficients on demand, constant term first."""

    def __init__(self) -> None:
        self.demand: Channel[None] = Channel()
        self.supply: Channel[Fraction] = Channel()

    async def get(self) -> Fraction:
        """Ask for the next term and wait for it."""
        await self.demand.send(None)
        return await self.supply.receive()

    async def serve(self, terms: Terms) -> None:
        """Give the next of `terms` each time that one is asked for."""
        async with aclosing(terms):
            while True:
                await self.demand.receive()
                await self.supply.send(await anext(terms))


def series(generate: Callable[P, Terms]) -> Callable[P, Series]:
    """Make a function that starts a series from an asynchronous generator of terms."""

    @wraps(generate)
    def start(*args: P.args, **kwargs: P.kwargs) -> Series:
        made = Series()
        go(made.serve, generate(*args, **kwargs))
        return made

    return start


async def get_both(u: Series, v: Series) -> tuple[Fraction, Fraction]:
    """Get a term of each, in whatever order they ask to be asked and answer."""
    both = u, v
    todo: list[Operation[Any] | None] = [send(each.demand, None) for each in both]
    todo += [None, None]
    terms = [Fraction(), Fraction()]
    for _ in range(4):
        which, value = await select(*todo)
        assert isinstance(which, int)
        todo[which] = None
        if which < 2:
            todo[which + 2] = recv(both[which].supply)
        else:
            terms[which - 2] = value
    return terms[0], terms[1]


async def give_both(
    source: Series, ahead: Series, behind: Series, turn: Channel[None]
) -> None:
    """Give the next term of `source` to two series, which may be far apart.

    A further task gives them the term after it.  `turn` says that the one behind has
    come up to this term; then either may ask for it first.
    """
    waited, _ = await select(recv(ahead.demand), recv(turn))
    if waited == 1:
        which, _ = await select(recv(ahead.demand), recv(behind.demand))
        if which == 1:
            ahead, behind = behind, ahead
    await source.demand.send(None)
    next_turn: Channel[None] = Channel()
    go(give_both, source, ahead, behind, next_turn)
    term = await source.supply.receive()
    await ahead.supply.send(term)
    if waited == 0:
        await turn.receive()
    await behind.demand.receive()
    await behind.supply.send(term)
    await next_turn.send(None)


def split(
    u: Series, into: tuple[Series, Series] | None = None
) -> tuple[Series, Series]:
    """Make two series equal to `u`, of which each is read at its own pace."""
    pair = into or (Series(), Series())
    turn: Channel[None] = Channel()
    go(give_both, u, *pair, turn)
    go(turn.send, None)
    return pair


@series
async def constant(c: int) -> Terms:
    """c + c x + c x^2 + ..."""
    while True:
        yield Fraction(c)


@series
async def add(u: Series, v: Series) -> Terms:
    """u + v."""
    while True:
        a, b = await get_both(u, v)
        yield a + b


@series
async def times(c: Fraction, u: Series) -> Terms:
    """The number c times u."""
    while True:
        yield c * await u.get()


def sub(u: Series, v: Series) -> Series:
    """u - v."""
    return add(u, times(Fraction(-1), v))


@series
async def mul(u: Series, v: Series) -> Terms:
    """The product: with u = a + xU and v = b + xV, that is ab + x(aV + bU) + x^2 UV."""
    a, b = await get_both(u, v)
    yield a * b
    left, right = split(u), split(v)
    mixed = add(times(a, right[0]), times(b, left[0]))
    yield await mixed.get()
    rest = add(mixed, mul(left[1], right[1]))
    while True:
        yield await rest.get()


@series
async def diff(u: Series) -> Terms:
    """The derivative."""
    await u.get()
    for n in count(1):
        yield n * await u.get()


@series
async def integ(c: Fraction, u: Series) -> Terms:
    """The integral whose constant term is c."""
    yield c
    for n in count(1):
        yield await u.get() / n


def exp(u: Series) -> Series:
    """e^u, its constant term left out: the integral of e^u u', so it reads itself."""
    result = Series(), Series()
    split(integ(Fraction(1), mul(result[0], diff(u))), into=result)
    return result[1]


@series
async def substitute(u: Series, c: Fraction, n: int) -> Terms:
    """u(c x^n)."""
    power = Fraction(1)
    while True:
        yield power * await u.get()
        power *= c
        for _ in range(n - 1):
            yield Fraction(0)
