"""Bugs that Go had once: issues 8336, 8347 and 16870 of its test/fixedbugs.

(9110, about memory, is in test_scaling.py, and 2075 in test_select_programs.py.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest

from csp import CLOSED, Channel, Closed, EndOfChannel, recv, select, send
from tests.semantics.go.words import select_default

pytestmark = pytest.mark.anyio


async def test_an_error_in_one_case_keeps_the_next_from_being_evaluated() -> None:
    """Where the channel of the first raises, that of the second is not asked for."""
    evaluated: list[str] = []

    def fail() -> NoReturn:
        evaluated.append("first")
        raise LookupError

    def ready() -> Channel[int]:
        evaluated.append("second")
        ch: Channel[int] = Channel(1)
        return ch

    with pytest.raises(LookupError):
        await select(recv(fail()), send(ready(), 1))
    assert evaluated == ["first"]


async def test_a_wrong_case_keeps_all_others_from_happening() -> None:
    """What is no operation is refused before any other case is tried."""
    ch: Channel[int] = Channel(1)
    wrong: Any = ch
    for cases in ([send(ch, 1), wrong], [wrong, send(ch, 1)]):
        with pytest.raises(TypeError):
            await select(*cases)
        with pytest.raises(TypeError):
            select_default(*cases)
    assert len(ch) == 0


async def test_the_end_is_seen_only_after_the_last_item() -> None:
    """Twelve receives that do not wait, from a channel of ten items that is closed."""
    ch: Channel[int] = Channel(10)
    for i in range(10):
        await ch.send(i)
    ch.close()
    received = [select_default(recv(ch)) for _ in range(12)]
    assert received == [(0, i) for i in range(10)] + [(0, CLOSED)] * 2


async def plain(ch: Channel[int]) -> tuple[int, bool]:
    """Receive without a select."""
    try:
        return await ch.receive(), True
    except EndOfChannel:
        return 0, False


async def one_case(ch: Channel[int]) -> tuple[int, bool]:
    """Receive in a select of one case."""
    return ok((await select(recv(ch))).value)


async def or_default(ch: Channel[int]) -> tuple[int, bool]:
    """Receive in a select with a default."""
    selected = select_default(recv(ch))
    assert selected, "took default"
    return ok(selected.value)


async def two_cases(ch: Channel[int]) -> tuple[int, bool]:
    """Receive in a select with another case, which is not ready."""
    return ok((await select(recv(Channel[int]()), recv(ch))).value)


def ok(value: int | Closed) -> tuple[int, bool]:
    """Turn what a select received into the two values that Go has."""
    match value:
        case Closed():
            return 0, False
        case item:
            return item, True


@pytest.mark.parametrize("receive", [plain, one_case, or_default, two_cases])
async def test_an_item_is_told_from_the_end(
    receive: Callable[[Channel[int]], Awaitable[tuple[int, bool]]],
) -> None:
    """Also when the item is what Go would give at the end, a zero."""
    ch: Channel[int] = Channel(2)
    await ch.send(42)
    await ch.send(0)
    ch.close()
    assert [await receive(ch) for _ in range(4)] == [
        (42, True),
        (0, True),
        (0, False),
        (0, False),
    ]
