"""Select's arguments and results; what it promises is in tests/semantics."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from csp import Channel, Group, Selected, WouldBlock, recv, run, select, select_nowait
from csp import send as sending

pytestmark = pytest.mark.anyio


async def test_which_is_a_position_or_a_name() -> None:
    """Positional ones are counted first; None keeps its place."""
    ch: Channel[int] = Channel(1)
    for ops, named, which in [
        ((recv(ch),), {}, 0),
        ((None, recv(None), recv(ch)), {}, 2),
        ((), {"job": recv(ch)}, "job"),
        ((None,), {"x": None, "y": recv(ch)}, "y"),
    ]:
        await ch.send(5)
        chosen = await select(*ops, **named)
        assert isinstance(chosen, Selected)
        assert chosen == (which, 5)
        await ch.send(6)
        assert select_nowait(*ops, **named) == (which, 6)
        async with Group() as g:
            waiting = g.go(lambda ops=ops, named=named: select(*ops, **named))
            await anyio.wait_all_tasks_blocked()
            ch.send_nowait(7)
            assert await waiting == (which, 7)


async def test_nothing_to_choose_from_waits_for_ever() -> None:
    """Until it is cancelled; and nowait has nothing to wait for."""
    for cases in ((), (None,), (recv(None), sending(None, 1))):
        with pytest.raises(WouldBlock):
            select_nowait(*cases)
        async with Group() as g:
            forever = g.go(lambda cases=cases: select(*cases))
            await anyio.wait_all_tasks_blocked()
            assert not forever.finished
            forever.cancel()


@pytest.mark.parametrize("choose", [select, select_nowait])
@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda ch: ch, r"\(argument 1\): write recv\(ch\)"),
        (lambda ch: ch.receive, r"\(argument 1\)$"),
        (lambda ch: 5, r"not 5 \(argument 1\)"),
    ],
)
async def test_what_is_no_operation_is_refused(
    choose: Any, wrong: Any, hint: str
) -> None:
    """Whatever else is ready, and before anything happens."""
    ch: Channel[int] = Channel(1)
    await ch.send(1)
    with pytest.raises(TypeError, match=hint):
        if (coro := choose(recv(ch), wrong(ch), priority=True)) is not None:
            await coro
    with pytest.raises(TypeError, match=r"\(argument 'job'\)"):
        if (coro := choose(job=wrong(ch))) is not None:
            await coro
    assert ch.drain() == [1]


@pytest.mark.parametrize("choose", [select, select_nowait])
async def test_priority_is_a_yes_or_no(choose: Any) -> None:
    """Not an operation that somebody wanted to call so."""
    ch: Channel[int] = Channel(1)
    with pytest.raises(TypeError, match="priority must be True or False, not recv"):
        if (coro := choose(priority=recv(ch))) is not None:
            await coro


def test_the_choice_can_be_repeated_by_a_seed(backend: str) -> None:
    """For tests that fail once in a while."""

    async def choices() -> list[int | str]:
        ch: Channel[int] = Channel(200)
        await ch.send_many(range(200))
        made = [(await select(*[recv(ch)] * n)).which for n in (2, 3, 6) * 20]
        ch.drain()
        return made

    loop = {"asyncio+uvloop": "uvloop", "trio": "trio"}.get(backend, "asyncio")
    first, again, other = (run(choices, backend=loop, seed=s) for s in (1, 1, 2))
    assert first == again != other
