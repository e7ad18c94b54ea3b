"""Ten thousand tasks that wait at a channel are no burden to one that comes and goes.

After Kotlin's stress tests of select, and Go's issue 9110.  Work is counted, not
timed: the lines that csp executes, and how often one waiter is compared with another.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    Group,
    Operation,
    Receiver,
    Selected,
    Waiter,
    recv,
    select,
    send,
)
from csp._park import current

pytestmark = pytest.mark.anyio


def counting(waiter_class: type[Waiter], work: Counter[str]) -> type[Waiter]:
    """Make a class of waiters that count how often they are compared and hashed."""

    class CountingWaiter(waiter_class):  # type: ignore[misc, valid-type]
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            work["compare"] += 1
            return self is other

        def __hash__(self) -> int:
            work["hash"] += 1
            return id(self)

    return CountingWaiter


@contextmanager
def counted(work: Counter[str]) -> Iterator[None]:
    """Count the lines of csp that are executed in this block."""

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if not frame.f_globals.get("__name__", "").startswith("csp."):
            return None
        work[event] += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


async def first_of(*cases: Operation[Any]) -> Selected:
    """Select in a fixed order, so that the work is the same each time."""
    return await select(*cases, priority=True)


async def select_and_win(g: Group, quiet: Receiver[int], busy: Channel[int]) -> None:
    """Wait for two channels in a select, until the other one has an item."""
    chosen = g.go(first_of, recv(quiet), recv(busy))
    await turns(3)
    assert not chosen.finished
    busy.send_nowait(1)
    assert await chosen == (1, 1)


async def select_and_send(g: Group, quiet: Receiver[int], busy: Channel[int]) -> None:
    """Wait for two channels in a select, until the other one has a receiver."""
    chosen = g.go(first_of, recv(quiet), send(busy, 1))
    await turns(3)
    assert busy.receive_nowait() == 1
    assert await chosen == (1, None)


async def select_and_cancel(g: Group, quiet: Receiver[int], busy: Channel[int]) -> None:
    """Wait for two channels in a select, until it is cancelled."""
    chosen = g.go(first_of, recv(quiet), recv(busy))
    await turns(3)
    chosen.cancel()
    await turns(3)
    assert chosen.finished


async def receive_and_cancel(
    g: Group, quiet: Receiver[int], busy: Channel[int]
) -> None:
    """Wait for the one channel alone, until it is cancelled."""
    received = g.go(quiet.receive)
    await turns(3)
    received.cancel()
    await turns(3)
    assert received.finished


async def close_an_idle_handle(
    g: Group, quiet: Receiver[int], busy: Channel[int]
) -> None:
    """Close a handle through which nobody waits."""
    quiet.clone().close()


async def turns(count: int) -> None:
    """Let others run, so many times."""
    for _ in range(count):
        await checkpoint()


VISITS = [
    select_and_win,
    select_and_send,
    select_and_cancel,
    receive_and_cancel,
    close_an_idle_handle,
]


async def bills(crowd: int, monkeypatch: pytest.MonkeyPatch) -> list[Counter[str]]:
    """Return how much work each visit is when so many others wait."""
    quiet, busy = Channel[int](), Channel[int]()
    work: Counter[str] = Counter()
    bills = []
    loop = type(current())
    with monkeypatch.context() as patch, quiet.receiver() as rx:
        patch.setattr(loop, "waiter_class", counting(loop.waiter_class, work))
        async with Group() as g:
            for _ in range(crowd):
                g.go(quiet.receive)
            await turns(3)
            for visit in VISITS:
                work.clear()
                with counted(work):
                    await visit(g, rx, busy)
                bills.append(work.copy())
                assert quiet.statistics().receivers_waiting == crowd
            g.cancel()
    return bills


async def test_a_visitor_does_not_notice_the_crowd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The work is the same to the line, with one there and with ten thousand."""
    assert await bills(10_000, monkeypatch) == await bills(1, monkeypatch)
