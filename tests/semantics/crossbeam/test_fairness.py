"""Among what is ready a select has no favourites, unless it is asked to.

After the fairness and unfairness tests of crossbeam-channel's select.rs.  The bounds
are theirs: for a fair choice, all are many standard deviations away.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from anyio import current_time
from anyio import wait_all_tasks_blocked as parked

from csp import (
    Channel,
    Group,
    Operation,
    after,
    at,
    recv,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio

Scale = Callable[[int, int], int]


async def full(count: int) -> Channel[int]:
    """Make a channel with that many items in it."""
    ch: Channel[int] = Channel(math.inf)
    await ch.send_many(range(count))
    return ch


async def hits(cases: list[Operation[Any]], count: int) -> Counter[int | str]:
    """Tell how often each case is chosen."""
    return Counter([(await select(*cases)).which for _ in range(count)])


async def test_two_full_channels(scale: Scale) -> None:
    """Each is chosen at least a quarter of the time."""
    count = scale(1_000, 10_000)
    chs = [await full(count) for _ in range(2)]
    won = await hits([recv(ch) for ch in chs], count)
    assert min(won[i] for i in range(2)) >= count / 4
    for ch in chs:
        ch.drain()


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("quiet", range(1, 5))
async def test_cases_that_are_not_ready_do_not_shift_the_balance(
    quiet: int, waits: bool, scale: Scale
) -> None:
    """A draw that goes round from a random start would favour whoever follows them."""
    count = scale(1_000, 10_000)
    chs = [await full(count) for _ in range(2)]
    cases = [recv(chs[0]), *[recv(Channel[int]())] * quiet, recv(chs[1])]
    won: Counter[int | str] = Counter()
    for _ in range(count):
        chosen = await select(*cases) if waits else select_nowait(*cases)
        won[chosen.which] += 1
    assert min(won[0], won[quiet + 1]) >= count / 4
    for ch in chs:
        ch.drain()


async def test_two_channels_with_room(scale: Scale) -> None:
    """Each is sent to at least a quarter of the time."""
    count = scale(1_000, 10_000)
    chs: list[Channel[int]] = [Channel(math.inf) for _ in range(2)]
    won = await hits([send(ch, 1) for ch in chs], count)
    for i, ch in enumerate(chs):
        assert len(ch.drain()) == won[i] >= count / 4


async def test_one_channel_five_times(scale: Scale) -> None:
    """Each mention is chosen at least half as often as it should be."""
    count = scale(1_000, 10_000)
    ch = await full(count)
    for cases in ([recv(ch) for _ in range(5)], [send(ch, 1) for _ in range(5)]):
        won = await hits(cases, count)
        assert min(won[i] for i in range(5)) >= count / 10
    ch.drain()


async def test_timers_that_are_due_are_cases_like_any_other(scale: Scale) -> None:
    """Two full channels and two timers: each at least half as often as it should be."""
    count = scale(1_000, 10_000)
    chs = [await full(count) for _ in range(2)]
    cases = [*map(recv, chs), after(0), at(current_time() - 1)]
    won = await hits(cases, count)
    assert min(won[i] for i in range(4)) >= count / 8
    for ch in chs:
        ch.drain()


async def test_every_flavor_gets_its_share(scale: Scale) -> None:
    """Channels without a buffer, with room for one, and for any number."""
    count = scale(3_000, 10_000)
    chs: list[Channel[int]] = [Channel(capacity) for capacity in (math.inf, 1, 0)]

    async def produce() -> None:
        for i in range(count):
            await select(*(send(None if len(ch) else ch, i) for ch in chs))

    async with Group() as g:
        g.go(produce)
        won = await hits([recv(ch) for ch in chs], count)
    assert min(won[i] for i in range(3)) >= count / 150


async def select_waiting(*cases: Operation[Any]) -> int | str:
    """Choose by a select that could have waited."""
    return (await select(*cases, priority=True)).which


async def select_timed(*cases: Operation[Any]) -> int | str:
    """Choose by a select whose time has run out already."""
    return (await select(*cases, after(0), priority=True)).which


async def select_now(*cases: Operation[Any]) -> int | str:
    """Choose by a select that does not wait."""
    return select_nowait(*cases, priority=True).which


@pytest.mark.parametrize("choose", [select_waiting, select_timed, select_now])
async def test_priority_empties_the_first_before_the_next(
    choose: Callable[..., Any],
) -> None:
    """Three full channels are served one after the other."""
    chs = [await full(10) for _ in range(3)]
    order = [await choose(*map(recv, chs)) for _ in range(30)]
    assert order == [0] * 10 + [1] * 10 + [2] * 10


async def test_priority_holds_among_those_that_wait() -> None:
    """While both senders wait, the first in the list is served."""
    first, second = Channel[int](), Channel[int]()
    async with Group() as g:
        g.go(first.send_many, range(10))
        g.go(second.send_many, range(10))
        order = []
        for _ in range(20):
            await parked()
            order.append(await select(recv(first), recv(second), priority=True))
    assert order == [(which, i) for which in range(2) for i in range(10)]
