"""Sends and receives in every phrasing: Go's test/chan/select5.go.

As there, the programs are generated as text.  Each has one operation that can happen,
by itself or in a select among others that cannot, and every operand is wrapped in a
call that is given its number in the order of evaluation, and raises when out of turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, combinations, count, product
from textwrap import indent
from types import SimpleNamespace
from typing import Any

import pytest

import csp

pytestmark = pytest.mark.anyio

# In these texts # stands for the next number in the order of evaluation.
RECV = "csp.recv(at(c, #))"
SEND = "csp.send(at(c, #), at(n, #))"
NEVER_READY = (
    "csp.send(at(dummy, #), at(1, #))",
    "csp.recv(at(dummy, #))",
    "csp.send(at(None, #), at(1, #))",
    "csp.recv(at(None, #))",
)
SELECTS = (
    "await csp.select({})",
    "await csp.select({}, priority=True)",
    "csp.select_nowait({})",
)
TARGETS = (  # where a received item goes, which Python evaluates last
    "x = {}",
    "(x := {})",
    "[x] = [{}]",
    "at(box, 100).item = {}; x = box.item",
    "table[at(13, 100)] = {}; x = table[13]",
)


def subsets(things: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Go through all subsets, each in order."""
    return chain.from_iterable(
        combinations(things, size) for size in range(len(things) + 1)
    )


def selects(real: str) -> Iterator[str]:
    """Phrase the operation `real` as a select, with others before or behind it."""
    for form, others in product(SELECTS, subsets(NEVER_READY)):
        for place in {0, len(others)}:
            cases = [*others[:place], real, *others[place:]]
            yield f"chosen({place}, {form.format(', '.join(cases))})"


def receives() -> Iterator[str]:
    """Phrase the reception of what is in `c` into `x`."""
    plain = ["await at(c, #).receive()", "at(c, #).receive_nowait()", f"await {RECV}"]
    for target, operation in product(TARGETS, [*plain, *selects(RECV)]):
        yield target.format(operation)


def sends() -> Iterator[str]:
    """Phrase the sending of `n` to `c`."""
    yield from ("await at(c, #).send(at(n, #))", "at(c, #).send_nowait(at(n, #))")
    yield f"await {SEND}"
    yield from selects(SEND)


def defaults() -> Iterator[str]:
    """Phrase a select that takes its default, so its target is not evaluated."""
    for cases in subsets((*NEVER_READY, *NEVER_READY[1::2])):
        select = f"csp.select_nowait({', '.join(cases)})"
        yield f"try: never().item = {select}.value\nexcept csp.WouldBlock: pass"


def never() -> object:
    """Be the target of a case that is not chosen."""
    raise AssertionError("a target was evaluated")


def chosen(place: int, selected: csp.Selected) -> object:
    """Return the value of what was selected, which is the one that can happen."""
    assert selected.which == place
    return selected.value


async def run(text: str, c: csp.Channel[int], n: int) -> object:
    """Run a program, on the channel `c` and the item `n`; returns its `x`."""
    last = 0

    def at(operand: Any, order: int) -> Any:
        nonlocal last
        assert order > last, f"{order} is evaluated after {last}"
        last = order
        return operand

    dummy: csp.Channel[int] = csp.Channel()
    box, table = SimpleNamespace(), dict[int, object]()
    names: dict[str, Any] = {"csp": csp, "never": never, "chosen": chosen, "at": at}
    names |= {"c": c, "n": n, "dummy": dummy, "box": box, "table": table}
    numbers = count(1)
    body = indent(re.sub("#", lambda _: str(next(numbers)), text), "    ")
    exec(f"async def main():\n    x = None\n{body}\n    return x", names)
    x = await names["main"]()
    statistics = dummy.statistics()
    assert statistics.sent == statistics.senders_waiting == 0
    assert statistics.receivers_waiting == 0
    return x


async def test_all_phrases_of_a_receive() -> None:
    """Each receives the item, evaluating what it names from left to right."""
    c: csp.Channel[int] = csp.Channel(1)
    for n, text in enumerate(receives()):
        await c.send(n)
        assert await run(text, c, n) == n, text
        assert len(c) == 0


async def test_all_phrases_of_a_send() -> None:
    """Each sends the item, evaluating what it names from left to right."""
    c: csp.Channel[int] = csp.Channel(1)
    for n, text in enumerate(sends()):
        assert await run(text, c, n) is None
        assert c.drain() == [n], text


async def test_all_phrases_of_a_default() -> None:
    """Each takes the default, and does not touch where an item would have gone."""
    c: csp.Channel[int] = csp.Channel(1)
    for text in defaults():
        assert await run(text, c, 0) is None
