"""Whatever a few tasks do at once, some order of their operations explains it.

After Kotlin's ChannelsLincheckTest: three tasks do three operations each on one
channel, with pauses between them, and the history is held against a plain model.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Channel,
    ChannelClosed,
    EndOfChannel,
    Group,
    WouldBlock,
    recv,
    select,
    select_nowait,
    send,
)

from .lincheck import Call, Model, explained

pytestmark = pytest.mark.anyio

VERBS = {  # and how likely each is
    "send": 4,
    "select send": 2,
    "nowait send": 2,
    "nowait select send": 1,
    "receive": 4,
    "select receive": 2,
    "nowait receive": 2,
    "nowait select receive": 1,
    "close": 1,
    "drain": 1,
}


async def perform(ch: Channel[int], verb: str, item: int) -> Any:  # noqa: PLR0911
    """Do what `verb` says; returns what came of it."""
    match verb:
        case "send":
            return await ch.send(item)
        case "select send":
            return (await select(send(ch, item))).value
        case "nowait send":
            return ch.send_nowait(item)
        case "nowait select send":
            return select_nowait(send(ch, item)).value
        case "receive":
            return await ch.receive()
        case "select receive":
            return (await select(recv(ch))).value
        case "nowait receive":
            return ch.receive_nowait()
        case "nowait select receive":
            return select_nowait(recv(ch)).value
        case "drain":
            return ch.drain()
    return ch.close()


async def work(
    ch: Channel[int], calls: list[Call], pauses: list[int], clock: count[int]
) -> None:
    """Do one task's calls, and note when each began and ended, and its result."""
    for call, pause in zip(calls, pauses, strict=True):
        for _ in range(pause):
            await checkpoint()
        call.begin = next(clock)
        try:
            call.result = await perform(ch, call.verb, call.item)
        except (ChannelClosed, EndOfChannel):
            call.result = CLOSED
        except WouldBlock:
            call.result = WouldBlock
        call.end = next(clock)


async def history(ch: Channel[int], rng: random.Random) -> list[list[Call]]:
    """Run three tasks until they have ended, or wait for ever."""
    verbs = rng.choices(list(VERBS), list(VERBS.values()), k=9)
    calls = [Call(verb, item) for item, verb in enumerate(verbs)]
    tasks = [calls[:3], calls[3:6], calls[6:]]
    clock = count()
    async with Group() as g:
        for mine in tasks:
            g.go(work, ch, mine, rng.choices(range(3), k=3), clock)
        for _ in range(40):  # more than they can need
            await checkpoint()
        g.cancel()
    return [[call for call in mine if call.begin < math.inf] for mine in tasks]


@pytest.mark.parametrize("capacity", [0, 1, 2, "conflated"])
async def test_every_history_has_an_explanation(
    capacity: int | str, scale: Callable[[int, int], int]
) -> None:
    """And afterwards nobody waits, and the ledger balances."""
    conflated = capacity == "conflated"
    size = 1 if isinstance(capacity, str) else capacity
    for seed in range(scale(100, 10_000)):
        ch: Channel[int] = Channel(
            size, overflow="drop_oldest" if conflated else "block"
        )
        tasks = await history(ch, random.Random(seed))
        assert explained(Model(size, conflated), tasks), (seed, tasks)
        figures = ch.statistics()
        assert (figures.senders_waiting, figures.receivers_waiting) == (0, 0)
        left = figures.received + figures.undelivered + figures.length
        assert figures.sent == left
        ch.drain()
