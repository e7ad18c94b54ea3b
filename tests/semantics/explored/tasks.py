"""Groups, handles and timers: all that begins ends, and is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    Group,
    Handle,
    Operation,
    WouldBlock,
    after,
    at,
    done,
    go,
    recv,
    select,
    send,
    ticker,
)
from tests.semantics.explored.book import Book, program, untouched
from tests.semantics.explored.ways import pause


@program
async def the_end_of_a_task() -> None:
    """All who wait for a task learn of its end, however it ends and they wait."""

    async def work() -> str:
        await pause()
        return "done"

    async def wait(task: Handle[str]) -> None:
        assert await done(task) is task
        assert task.finished

    async def select_end(task: Handle[str]) -> None:
        assert (await select(recv(None), done(task))).which == 1
        assert task.finished

    async def result(task: Handle[str]) -> None:
        with suppress(anyio.TaskCancelled):
            assert await task == "done"
        assert task.finished

    async def cancel(task: Handle[str]) -> None:
        await checkpoint()
        task.cancel()

    async with Group() as g:
        task = g.go(work)
        for way in (wait, select_end, result, cancel):
            g.go(way, task)
    assert task.finished


@program
async def cancelled_for_good() -> None:
    """One who is met and cancelled has done it, and ends at his next wait."""
    book, ch, again = Book(), Channel[str](), Channel[str]()

    async def receive() -> None:
        await book.receive(ch)
        await again.receive()

    async def receive_selected() -> None:
        book.received.append((await select(recv(ch), recv(again))).value)
        await anyio.sleep_forever()

    async def send_plainly() -> None:
        await book.send(ch, "a")
        await anyio.sleep_forever()

    async def send_selected() -> None:
        await select(send(ch, "a"), recv(again))
        book.sent.append("a")
        await recv(again)

    def give(_: object) -> None:
        ch.send_nowait("a")
        book.sent.append("a")

    def take(_: object) -> None:
        book.received.append(ch.receive_nowait())

    for work in (receive, receive_selected):
        await strike(work, give, cancel)
        await strike(work, cancel, give)
    for work in (send_plainly, send_selected):
        await strike(work, take, cancel)
        await strike(work, cancel, take)
    book.balance(ch)
    untouched(again)


def cancel(task: Any) -> None:
    task.cancel()


async def strike(
    work: Callable[[], Coroutine[Any, Any, None]], *acts: Callable[[Any], None]
) -> None:
    """Act upon a task that has begun, and see it end: a native one, where there are."""
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        native = asyncio.ensure_future(work())
        await pause()
        for act in acts:
            with suppress(WouldBlock):
                act(native)
        await asyncio.wait([native])
        return
    async with Group() as g:
        task = g.go(work)
        await pause()
        for act in acts:
            with suppress(WouldBlock):
                act(task)


@program
async def an_error_ends_a_group() -> None:
    """The others are cancelled, whatever they wait for, and nothing is lost."""
    book, ch, quiet = Book(), Channel[str](1), Channel[str]()

    async def fail() -> None:
        try:
            await pause()
        finally:
            raise ZeroDivisionError

    try:
        async with Group() as g:
            g.go(fail)
            g.go(book.produce, ch.sender(), ["a1", "a2", "a3", "a4"])
            g.go(book.consume, ch.receiver())
            await select(recv(quiet), send(quiet, "b"))
    except* ZeroDivisionError:
        pass
    book.balance(ch)
    untouched(quiet)


@program
async def tasks_of_tasks() -> None:
    """What a task starts belongs to the block of its own group, and is waited for."""
    begun, ended = [], []

    async def grow(depth: int) -> None:
        begun.append(depth)
        try:
            if depth:
                go(grow, depth - 1)
                go(grow, depth - 1)
            await checkpoint()
        finally:
            ended.append(depth)

    async with Group() as g:
        go(grow, 1)
        async with Group():
            g.go(grow, 2)
    assert len(begun) == len(ended) > 0


@program
async def ticks() -> None:
    """Each tick is had by one of those who wait, and one who is late has one late."""
    tick, times = ticker(1), []

    async def watch() -> None:
        for _ in range(2):
            begin = anyio.current_time()
            which, time = await select(tick, after(1.5))
            assert time == anyio.current_time() <= begin + 1.5
            if which == 0:
                times.append(time)

    start = anyio.current_time()
    async with Group() as g:
        g.go(watch)
        g.go(watch)
    assert times == [start + i + 1 for i in range(len(times))]
    await anyio.sleep(2.5)
    assert await tick == start + len(times) + 1  # the first that nobody waited for
    assert anyio.current_time() < await tick <= anyio.current_time() + 1


@program
async def deadlines() -> None:
    """The earliest of several timers wakes a select, at its time."""
    start = anyio.current_time()

    async def wait(due: float, *timers: Operation[float]) -> None:
        await select(*timers)
        assert anyio.current_time() == start + due

    async with Group() as g:
        g.go(wait, 0, after(1), at(start))
        g.go(wait, 1, after(2), after(1))
        g.go(wait, 2, at(start + 2), after(3))
        g.go(wait, 2, after(2), at(start + 3))
