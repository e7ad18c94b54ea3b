"""Select's choice among ready cases is even.

From Go's runtime/chan_test.go: TestSelectFairness, TestPseudoRandomSend,
TestChanSendInterface.
"""

from __future__ import annotations

from collections import Counter
from math import sqrt

import pytest

from csp import Channel, Group, recv, select, send
from tests.semantics.go.words import Scale, gosched, select_default

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("silent", [2, 7])
async def test_ready_cases_have_even_shares(silent: int, scale: Scale) -> None:
    """Of two ready channels behind quiet ones, each is received from half the time.

    An even choice keeps to the bound but for one run in a million.
    """
    trials = scale(10_000, 1_000_000)
    quiet = [Channel[str]() for _ in range(silent)]
    ready = [Channel[str](trials + 1), Channel[str](trials + 1)]
    for ch, item in zip(ready, ("a", "b"), strict=True):
        await ch.send_many([item] * (trials + 1))
    cases = [recv(ch) for ch in quiet + ready]
    shares = Counter([(await select(*cases)).value for _ in range(trials)])
    assert shares.keys() == {"a", "b"}
    assert abs(shares["a"] / trials - 0.5) <= 4.891676 / (2 * sqrt(trials))
    for ch in ready:
        ch.drain()


@pytest.mark.parametrize("capacity", [0, 100])
async def test_two_sends_to_one_channel_take_turns_at_random(capacity: int) -> None:
    """A select that can send 0 or 1 to the same channel sends both, many times."""
    ch: Channel[int] = Channel(capacity)
    items: list[int] = []

    async def receiver() -> None:
        for _ in range(100):
            await gosched()
            items.append(await ch.receive())

    async with Group() as g:
        g.go(receiver)
        for _ in range(100):
            await select(send(ch, 1), send(ch, 0))
    assert len(items) == 100
    assert 10 < sum(items) < 90


async def test_sends_of_equal_items_are_told_apart() -> None:
    """Two cases may send the same object to one channel, and default is there too."""
    ch: Channel[object] = Channel(1)
    item, other = object(), object()
    await ch.send(item)
    assert select_default(send(ch, item)) is None
    assert select_default(send(ch, item), send(ch, other)) is None
    assert ch.drain() == [item]
    chosen = select_default(send(ch, item), send(ch, item))
    assert chosen is not None
    assert chosen.which in {0, 1}
    assert ch.drain() == [item]
