"""Whatever tasks do at once, some order of their operations explains it.

After Kotlin's ChannelsLincheckTest: eight tasks do three operations each, on one
channel or on two.  They pause between them, and cancel those of others; some begin only
when all that came before are at rest.  Then the history is held against a model.  What
is lost shows, items and wake-ups: in the model nobody waits in vain.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar

import pytest
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    ChannelBroken,
    ChannelClosed,
    EndOfChannel,
    Group,
    Handle,
    WouldBlock,
    recv,
    select,
    select_nowait,
    send,
)
from csp._state import Overflow
from csp.testing import ChannelModel, History, linearizable, select_model
from tests.semantics.cancelling import Cancel, Way, ways_on

T = TypeVar("T")

pytestmark = pytest.mark.anyio

VERBS = {  # and how likely each is
    "send": 6,
    "receive": 6,
    "select": 6,
    "select_nowait": 1,
    "send_nowait": 2,
    "receive_nowait": 2,
    "drain": 1,
    "close": 0.7,
    "break_off": 0.3,
    "cancel": 6,
}

ERRORS = (EndOfChannel, ChannelClosed, ChannelBroken, WouldBlock)

Kinds: TypeAlias = list[tuple[float, Overflow]]

NONE, ONE, TWO, ANY = ((size, "block") for size in (0, 1, 2, math.inf))
OLDEST, OLDEST_OF_2, NEWEST = (1, "drop_oldest"), (2, "drop_oldest"), (1, "drop_newest")


def named(kinds: Kinds, make: Callable[..., T]) -> dict[str, T]:
    """Make a thing of each kind, called a and b."""
    return {name: make(*kind) for name, kind in zip("ab", kinds, strict=False)}


class Model:
    """One channel, `a`, or two, and selects over them."""

    def __init__(self, kinds: Kinds) -> None:
        vars(self).update(named(kinds, ChannelModel))

    def select(self, *cases: tuple[Any, ...], nowait: bool) -> Any:
        found = ((getattr(self, name), *case) for name, *case in cases)
        return select_model(*found, nowait=nowait)


class Life:
    """What tasks do with the real ones."""

    def __init__(self, kinds: Kinds, ways: list[Way], rng: random.Random) -> None:
        self.ways, self.rng = ways, rng
        self.history = History()
        self.channels = named(kinds, lambda n, how: Channel[float](n, overflow=how))
        self.receivers = {name: ch.receiver() for name, ch in self.channels.items()}
        self.strikes: list[Cancel] = []

    async def work(self, items: range) -> None:
        """Do an operation for each of `items`, and let others cancel it."""
        for item in items:
            for _ in range(self.rng.randrange(3)):
                await checkpoint()
            (verb,) = self.rng.choices([*VERBS], [*VERBS.values()])
            name = self.rng.choice([*self.channels])
            way = self.rng.choice(self.ways)
            await way(partial(self.perform, verb, name, item), self.exposed)

    @contextmanager
    def exposed(self, cancel: Cancel) -> Iterator[None]:
        self.strikes.append(cancel)
        try:
            yield
        finally:
            self.strikes.remove(cancel)

    async def perform(self, verb: str, name: str, item: int) -> None:
        """Do what `verb` says."""
        spy = self.history.spy(self.channels[name], name)
        with suppress(*ERRORS):
            match verb:
                case "cancel":
                    if self.strikes:
                        self.rng.choice(self.strikes)()
                case "break_off":
                    with self.history.call(f"{name}.break_off"):
                        self.receivers[name].close()
                case "select" | "select_nowait":
                    await self.select(item, nowait=verb == "select_nowait")
                case "send" | "receive":
                    await getattr(spy, verb)(*[item] * (verb == "send"))
                case _:
                    getattr(spy, verb)(*[item] * (verb == "send_nowait"))

    async def select(self, item: int, *, nowait: bool) -> None:
        """Choose among one to three operations, on any of the channels."""
        names = self.rng.choices([*self.channels], k=self.rng.randint(1, 3))
        cases = [
            self.rng.choice([(name, "receive"), (name, "send", item + i / 10)])
            for i, name in enumerate(names)
        ]
        ops = [
            send(self.channels[name], *sent) if sent else recv(self.channels[name])
            for name, _, *sent in cases
        ]
        with self.history.call("select", *cases, nowait=nowait) as call:
            call.result = select_nowait(*ops) if nowait else await select(*ops)

    async def rest(self) -> None:
        """Wait until nothing more happens: on uvloop anyio's way takes 0.1 seconds."""
        end = -1.0
        while end != (end := self.history.end):
            for _ in range(10):
                await checkpoint()
        self.history.rest()

    async def end(self, workers: list[Handle[None]]) -> None:
        """Cancel whatever still waits, until all tasks have ended."""
        while not all(worker.finished for worker in workers):
            for cancel in [*self.strikes]:
                cancel()
            await checkpoint()
        for name, ch in self.channels.items():
            self.receivers[name].close()
            ch.drain()


@pytest.mark.parametrize(
    "kinds",
    [
        *([kind] for kind in (NONE, ONE, TWO, ANY, OLDEST, OLDEST_OF_2, NEWEST)),
        [NONE, NONE],
        [NONE, ONE],
        [ONE, OLDEST],
    ],
    ids=lambda kinds: " and ".join(f"{size} {overflow}" for size, overflow in kinds),
)
async def test_every_history_has_an_explanation(
    kinds: Kinds, backend: str, scale: Callable[[int, int], int]
) -> None:
    """And afterwards nobody is in a queue."""
    for seed in range(scale(100, 10_000)):
        life = Life(kinds, ways_on(backend), random.Random(seed))
        async with Group() as g:
            workers = []
            for first in range(0, 24, 3):
                workers.append(g.go(life.work, range(first, first + 3)))
                if life.rng.random() < 0.5:
                    await life.rest()
            await life.rest()
            await life.end(workers)
        verdict = linearizable(Model(kinds), life.history)
        assert verdict, f"with seed {seed}, {verdict}"
        for ch in life.channels.values():
            figures = ch.statistics()
            assert (figures.senders_waiting, figures.receivers_waiting) == (0, 0)
