"""Rows of numbers through sends, receives and selects: Go's test/ken/chan.go.

Each channel carries 76 numbers in a row, from a base of its own.  A select has None in
place of a channel that has carried all of them.  Tasks yield at random in between.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import TypeAlias

import attrs
import pytest

from csp import Channel, Group, recv, select, send
from tests.semantics.go.words import CAPACITIES, gosched

pytestmark = pytest.mark.anyio

LENGTH = 76

Task: TypeAlias = Callable[[], Awaitable[None]]


@attrs.define(eq=False)
class Row:
    """A channel and the number that it begins with."""

    ch: Channel[int]
    base: int


Rows: TypeAlias = Sequence[Row]


class Traffic:
    """The tasks of one run, and how much they have sent and received."""

    def __init__(self) -> None:
        self.sent = self.received = 0
        self.random = Random(1)

    async def loiter(self, most: int) -> None:
        """Let others run, once or more."""
        for _ in range(self.random.randint(1, most)):
            await gosched()

    async def send(self, row: Row) -> None:
        """Send a row of numbers."""
        for i in range(LENGTH):
            await self.loiter(10)
            await row.ch.send(row.base + i)
            self.sent += 1

    async def receive(self, row: Row) -> None:
        """Receive a row of numbers, in order."""
        for i in range(LENGTH):
            await self.loiter(10)
            assert await row.ch.receive() == row.base + i
            self.received += 1

    async def select(self, outgoing: Rows, incoming: Rows) -> None:
        """Send some rows, and receive others, by one select in a loop."""
        rows = [*outgoing, *incoming]
        done = [0] * len(rows)
        while min(done) < LENGTH:
            await self.loiter(5)
            sends = [send(row.ch, row.base + done[i]) for i, row in enumerate(outgoing)]
            cases = [*sends, *(recv(row.ch) for row in incoming)]
            live = [
                case if n < LENGTH else None
                for case, n in zip(cases, done, strict=True)
            ]
            which, item = await select(*live)
            assert isinstance(which, int)
            if which < len(outgoing):
                self.sent += 1
            else:
                assert item == rows[which].base + done[which]
                self.received += 1
            done[which] += 1

    def sends(self, rows: Rows) -> list[Task]:
        """Make a task for each row that sends it."""
        return [partial(self.send, row) for row in rows]

    def receives(self, rows: Rows) -> list[Task]:
        """Make a task for each row that receives it."""
        return [partial(self.receive, row) for row in rows]

    def selects(self, outgoing: Rows, incoming: Rows) -> list[Task]:
        """Make one task that sends some rows and receives others."""
        return [partial(self.select, outgoing, incoming)]


# How many channels there are, and the tasks at their ends.
SHAPES: dict[str, tuple[int, Callable[[Traffic, Rows], list[Task]]]] = {
    "sends to receives": (4, lambda t, c: t.sends(c) + t.receives(c)),
    "sends to a select": (4, lambda t, c: t.sends(c) + t.selects([], c)),
    "a select to receives": (4, lambda t, c: t.selects(c, []) + t.receives(c)),
    "a select to a select": (4, lambda t, c: t.selects(c, []) + t.selects([], c)),
    "two selects that face each other": (
        8,
        lambda t, c: t.selects(c[:4], c[4:]) + t.selects(c[4:], c[:4]),
    ),
    "sends through two selects to receives": (
        12,
        lambda t, c: (
            t.sends(c[:4])
            + t.selects(c[4:8], c[:4])
            + t.selects(c[8:], c[4:8])
            + t.receives(c[8:])
        ),
    ),
}


@pytest.mark.parametrize("capacity", CAPACITIES)
@pytest.mark.parametrize(("count", "shape"), SHAPES.values(), ids=SHAPES)
async def test_rows_arrive_whole_and_in_order(
    capacity: int, count: int, shape: Callable[[Traffic, Rows], list[Task]]
) -> None:
    """Each channel's numbers come out of it in a row, and none is left or doubled."""
    traffic = Traffic()
    rows = [Row(Channel(capacity), 100 * i) for i in range(1, count + 1)]
    async with Group() as g:
        for task in shape(traffic, rows):
            g.go(task)
    assert traffic.sent == traffic.received == count * LENGTH
    assert not any(len(row.ch) for row in rows)
