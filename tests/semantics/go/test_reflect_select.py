"""Selects with every mixture of cases, against a model: TestSelect, TestSelectMaxCases
and TestSelectNop of Go's reflect/all_test.go.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import attrs
import pytest

from csp import (
    CLOSED,
    Channel,
    ChannelClosed,
    Group,
    Handle,
    Operation,
    WouldBlock,
    recv,
    select,
    select_nowait,
    send,
)
from tests.semantics.go.words import Scale, closed, parked, program, select_default

pytestmark = pytest.mark.anyio

MOST_CASES = 65_536  # in Go; here there is no limit


@attrs.frozen(eq=False)
class Case:
    """One case of a select, and all that the model says of it."""

    operation: Operation[Any] | None
    channel: Channel[int] | None = None
    ready: bool = False
    value: object = None
    """What it gives when selected."""
    raises: bool = False
    """Whether it raises when selected, instead."""
    held: tuple[int, int] = (0, 0)
    """How many items the channel has after it is not selected, and after it is."""
    helper: Operation[Any] | None = None
    """What another task does, without which this would not be ready."""
    told: object = None
    """What that task gets from it."""


def ready_send(item: int) -> Case:
    """Send to a channel that has room."""
    ch: Channel[int] = Channel(1)
    return Case(send(ch, item), ch, ready=True, held=(0, 1))


def ready_receive(item: int) -> Case:
    """Receive from a channel that holds an item."""
    ch: Channel[int] = Channel(1)
    ch.send_nowait(item)
    return Case(recv(ch), ch, ready=True, value=item, held=(1, 0))


def lonely_send(item: int) -> Case:
    """Send where nobody receives."""
    ch: Channel[int] = Channel()
    return Case(send(ch, item), ch)


def lonely_receive(_: int) -> Case:
    """Receive where nobody sends."""
    ch: Channel[int] = Channel()
    return Case(recv(ch), ch)


def met_send(item: int) -> Case:
    """Send to a task that waits to receive."""
    ch: Channel[int] = Channel()
    return Case(send(ch, item), ch, ready=True, helper=recv(ch), told=item)


def met_receive(item: int) -> Case:
    """Receive from a task that waits to send."""
    ch: Channel[int] = Channel()
    return Case(recv(ch), ch, ready=True, value=item, helper=send(ch, item))


def closed_send(item: int) -> Case:
    """Send to a closed channel."""
    ch = closed()
    return Case(send(ch, item), ch, ready=True, raises=True)


def closed_receive(_: int) -> Case:
    """Receive from a closed channel."""
    ch = closed()
    return Case(recv(ch), ch, ready=True, value=CLOSED)


KINDS: list[Callable[[int], Case]] = [
    ready_send,
    ready_receive,
    lonely_send,
    lonely_receive,
    met_send,
    met_receive,
    lambda _: Case(None),
    lambda _: Case(None),
    lambda item: Case(send(None, item)),
    lambda _: Case(recv(None)),
    closed_send,
    closed_receive,
]


async def attempt(cases: list[Case], default: bool) -> Case | None:
    """Select among the cases; returns the one selected, or None for the default."""
    operations = [case.operation for case in cases]
    try:
        if default:
            which, value = select_nowait(*operations)
        else:
            which, value = await select(*operations)
    except WouldBlock:
        return None
    except ChannelClosed:
        return next(case for case in cases if case.raises)
    assert isinstance(which, int)
    assert not cases[which].raises
    assert value == cases[which].value
    return cases[which]


async def check(case: Case, helper: Handle[Any] | None, chosen: bool) -> None:
    """Compare what has become of a case's channel, and of its helper."""
    if helper is not None:
        assert helper.finished == chosen
        assert not chosen or await helper == case.told
    if case.channel is not None:
        statistics = case.channel.statistics()
        waiting = statistics.senders_waiting + statistics.receivers_waiting
        assert statistics.length == case.held[chosen]
        assert waiting == (helper is not None and not chosen)
        case.channel.drain()


async def test_a_select_does_what_the_model_says(scale: Scale) -> None:
    """One case that is ready is selected, or the default if there is none.

    Helpers come before the select, or only after it: then it may have to wait.
    """
    random = Random(1)
    for _ in range(scale(1000, 100_000)):
        cases = [make(i) for i, make in enumerate(KINDS) if random.random() < 0.5]
        random.shuffle(cases)
        none_ready = not any(case.ready for case in cases)
        default = none_ready or random.random() < 0.3
        async with program() as g:
            helpers = {
                case: g.go(wait_for, case.helper) for case in cases if case.helper
            }
            if default or random.random() < 0.5:
                await parked()
            chosen = await attempt(cases, default)
            assert none_ready if chosen is None else chosen.ready
            await parked()
            for case in cases:
                await check(case, helpers.get(case), case is chosen)


async def wait_for(operation: Operation[Any]) -> Any:
    """Perform an operation, as a task."""
    return await operation


async def test_most_cases() -> None:
    """As many closed channels as Go allows in a select, and one more."""
    ch = closed()
    for size in (MOST_CASES, MOST_CASES + 1):
        which, value = await select(*[recv(ch)] * size)
        assert value is CLOSED
        assert which in range(size)


async def test_most_cases_that_have_to_wait() -> None:
    """With as many that are not ready, whichever comes first is the one."""
    ch: Channel[int] = Channel()
    late: Channel[int] = Channel()
    cases = [recv(ch) for _ in range(MOST_CASES)]
    cases.insert(-7, recv(late))
    async with Group() as g:
        waiting = g.go(select, *cases)
        await parked()
        assert ch.statistics().receivers_waiting == MOST_CASES
        await late.send(1)
        assert await waiting == (MOST_CASES - 7, 1)
    assert ch.statistics().receivers_waiting == 0


async def test_nothing_but_a_default() -> None:
    """A select without cases takes the default."""
    assert select_default() is None
