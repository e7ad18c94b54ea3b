"""Ctrl-C in the middle of an operation.

A program that uses every verb runs again and again, and is interrupted each time
before another of the lines that the library runs for it.  However that ends, each
operation has happened and returned, or has not happened.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

import csp
from csp import Channel, Group, WouldBlock, after, recv, select, select_nowait, send

LIBRARY = Path(csp.__file__).parent
STARTING = {
    str(LIBRARY / name) for name in ("_group.py", "_run.py", "_signals.py", "_stop.py")
}
OPERATIONS = {str(path) for path in LIBRARY.glob("_*.py")} - STARTING
LOOPS = [name for name in ("asyncio", "trio", "uvloop") if find_spec(name) is not None]


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    """Handle SIGINT, though a shell may ignore it for what it runs in background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Program:
    """Sends and receives by every verb, and books what has returned."""

    def __init__(self) -> None:
        self.ch: Channel[int] = Channel(2)
        self.sent: list[int] = []
        self.got: list[int] = []

    async def run(self, forever: bool) -> None:
        producer = csp.go(self.send)
        await self.receive()
        await producer
        await end(forever)

    async def send(self) -> None:
        ch, sent = self.ch, self.sent
        for number in range(4):
            await ch.send(number)
            sent.append(number)
        await send(ch, 4)
        sent.append(4)
        await select(send(ch, 5), recv(None), after(3600))
        sent.append(5)
        pending = deque([6, 7, 8, 9])
        try:
            await ch.send_many(pending)
        finally:
            sent += range(6, 10 - len(pending))
        await ch.wait_empty()
        ch.send_nowait(10)
        sent.append(10)
        select_nowait(send(ch, 11))
        sent.append(11)
        ch.close()

    async def receive(self) -> None:
        ch, got = self.ch, self.got
        await after(0)
        got.append(await ch.receive())
        got.append(await recv(ch))
        got.append((await select(recv(ch), after(3600)))[1])
        got += await ch.receive_many(2)
        await after(0)
        with suppress(WouldBlock):
            got.append(ch.receive_nowait())
        got += ch.drain()
        async for number in ch:
            got.append(number)

    def check(self) -> None:
        """Compare what was booked with what the channel holds and has counted."""
        stats = self.ch.statistics()
        assert (stats.sent, stats.received) == (len(self.sent), len(self.got))
        assert (stats.senders_waiting, stats.receivers_waiting) == (0, 0)
        assert self.got + self.ch.drain() == self.sent == [*range(len(self.sent))]


async def end(by_interrupt: bool) -> None:
    """Return, or make sure that there is an interrupt and wait for it."""
    if by_interrupt:
        await checkpoint()
        press_ctrl_c()
        await anyio.sleep_forever()


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


@contextmanager
def interruption(
    before_line: int,
    act: Callable[[], Any] = press_ctrl_c,
    files: set[str] = OPERATIONS,
) -> Iterator[Callable[[], int]]:
    """Act before that one of the lines of these files that the block runs.

    Gives a function that tells how many lines have been run.
    """
    lines = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in files:
            return None
        if event == "line" and frame.f_code.co_name != "__del__":
            lines += 1
            if lines == before_line:
                act()
        return trace

    outer = sys.gettrace()
    gc.disable()  # what others left behind is not ours to count
    sys.settrace(trace)
    try:
        yield lambda: lines
    finally:
        sys.settrace(outer)
        gc.enable()


# A task may be interrupted as it begins.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("loop", LOOPS)
def test_ctrl_c_cuts_no_operation_in_two(loop: str) -> None:
    """Under `csp.run`; on trio, as of trio's own protection, wherever it runs.

    Here no signal asks the program to stop, so that Ctrl-C is KeyboardInterrupt.
    """
    program = Program()
    with interruption(0) as lines:
        csp.run(program.run, False, backend=loop, stop_signals=())
    program.check()
    assert program.got == [*range(12)]

    for line in range(1, lines()):
        program = Program()
        with interruption(line), pytest.raises(BaseException) as caught:  # noqa: PT011
            csp.run(program.run, True, backend=loop, stop_signals=())
        assert contains_interrupt(caught.value), line
        program.check()
    del caught
    gc.collect()  # what is never awaited, while that is not an error


@pytest.mark.skipif("trio" not in LOOPS, reason="trio is not installed")
def test_ctrl_c_leaves_no_group_half_open() -> None:
    """A nursery that was entered has to be left."""
    import trio

    async def open_group(forever: bool) -> None:
        async with Group():
            await end(forever)

    files = {str(LIBRARY / "_group.py"), str(LIBRARY / "_park_trio.py")}
    with interruption(0, files=files) as lines:
        trio.run(open_group, False)
    for line in range(1, lines()):
        with (
            interruption(line, files=files),
            pytest.raises(BaseException) as caught,  # noqa: PT011
        ):
            trio.run(open_group, True)
        assert contains_interrupt(caught.value), line


def contains_interrupt(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(contains_interrupt(part) for part in error.exceptions)
    return isinstance(error, KeyboardInterrupt)


async def fill(ch: Channel[int]) -> None:
    if not len(ch):
        await ch.send(0)
    await ch.send(1)


async def fill_and_wait(ch: Channel[int]) -> None:
    if not len(ch):
        await ch.send(0)
    await ch.wait_empty()


async def choose(ch: Channel[int]) -> None:
    await select(recv(ch), after(3600), recv(None))


Act = Callable[[Channel[int]], Any]

# What two do at a channel of capacity 1, what wakes the first, and if the other too.
WAKES: dict[str, tuple[Act, Act, bool]] = {
    "send": (lambda ch: ch.receive(), lambda ch: ch.send_nowait(1), False),
    "send to select": (choose, lambda ch: ch.send_nowait(1), False),
    "receive": (fill, lambda ch: ch.receive_nowait(), False),
    "drain": (fill, lambda ch: ch.drain(), True),
    "close": (choose, lambda ch: ch.close(), True),
    "empty": (fill_and_wait, lambda ch: ch.drain(), True),
}


@pytest.mark.parametrize(("wait", "wake", "both"), WAKES.values(), ids=WAKES)
@pytest.mark.anyio
async def test_a_handler_may_cancel_who_is_being_woken(
    wait: Act, wake: Act, both: bool, backend: str
) -> None:
    """Whichever line it strikes, the one who wakes others does all that it began."""
    if backend == "trio":
        pytest.skip("a handler cannot cancel there")
    for line in count(1):
        ch: Channel[int] = Channel(1)
        tasks = [asyncio.ensure_future(wait(ch)) for _ in range(2)]
        await turns()
        with interruption(line, tasks[0].cancel) as lines:
            wake(ch)
        await turns()
        assert tasks[0].done() or lines() < line
        assert tasks[1].done() or not both
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        stats = ch.statistics()
        assert (stats.senders_waiting, stats.receivers_waiting) == (0, 0), line
        ch.drain()
        if lines() < line:
            break


async def turns() -> None:
    """Let whoever can run do so."""
    for _ in range(5):
        await checkpoint()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.anyio
async def test_what_ends_the_program_is_not_swallowed(
    error: type[BaseException], backend: str
) -> None:
    """Though it strikes a task that was met and has not run yet."""
    if backend == "trio":
        pytest.skip("nothing comes between on trio")
    ch: Channel[int] = Channel()
    receiving = ch.receive()
    receiving.send(None)
    ch.send_nowait(1)
    with pytest.raises(error):
        receiving.throw(error)
