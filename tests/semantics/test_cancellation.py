"""Cancelled means that it did not happen.

Whatever cancels an operation, and in whichever order that falls with the other side's
act: either the operation returns and has happened, or it raises and has not.  Once the
other side has met it, it returns, and a native cancellation that comes too late is owed
to the task: it comes at the next wait, once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from inspect import iscoroutine
from typing import Any, NamedTuple

import anyio
import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import (
    CLOSED,
    Channel,
    Group,
    Handle,
    Operation,
    WouldBlock,
    after,
    done,
    recv,
    select,
    send,
)
from tests.semantics.cancelling import Cancel, Way, ways_on

pytestmark = pytest.mark.anyio

Begin = Callable[[Channel[str], Channel[str]], Awaitable[Any]]
Meet = Callable[[Channel[str]], bool]


def give(ch: Channel[str]) -> bool:
    """Meet one who waits to receive; returns whether there was one."""
    try:
        ch.send_nowait("x")
    except WouldBlock:
        return False
    return True


def take(ch: Channel[str]) -> bool:
    """Meet one who waits to send; returns whether there was one."""
    try:
        return ch.receive_nowait() == "x"
    except WouldBlock:
        return False


async def perform(op: Operation[Any]) -> Any:
    return await op


class Wait(NamedTuple):
    """How one side waits on a channel, beside a quiet one, and the other meets it."""

    begin: Begin
    meet: Meet


WAITS: dict[str, Wait] = {
    "send": Wait(lambda ch, _: ch.send("x"), take),
    "receive": Wait(lambda ch, _: ch.receive(), give),
    "send_many": Wait(lambda ch, _: ch.send_many(["x"]), take),
    "receive_many": Wait(lambda ch, _: ch.receive_many(3), give),
    "async for": Wait(lambda ch, _: ch.__anext__(), give),
    "send operation": Wait(lambda ch, _: perform(send(ch, "x")), take),
    "recv operation": Wait(lambda ch, _: perform(recv(ch)), give),
    "select of 2": Wait(lambda ch, quiet: select(recv(ch), recv(quiet)), give),
    "select of 3": Wait(
        lambda ch, quiet: select(recv(quiet), send(ch, "x"), send(quiet, "y")), take
    ),
    "select of 4": Wait(
        lambda ch, _: select(recv(ch), after(3600), send(ch, "x"), recv(ch)), give
    ),
}

# What happens turn by turn; "cancel meet" and "meet cancel" fall in the same turn.
MET_FIRST = ["meet" + " turn" * turns + " cancel" for turns in range(6)]
CANCELLED_FIRST = ["cancel" + " turn" * turns + " meet" for turns in range(6)]


class Scene:
    """One wait, made in one way, and what others do meanwhile."""

    def __init__(self) -> None:
        self.ch: Channel[str] = Channel()
        self.quiet: Channel[str] = Channel()
        self.cancel: Cancel | None = None
        self.returned = self.met = False

    async def play(self, wait: Wait, way: Way, script: str) -> None:
        async def move() -> None:
            await wait.begin(self.ch, self.quiet)
            self.returned = True

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(way, move, self.expose)
            while not waiting(self.ch):
                await checkpoint()
            for step in script.split():
                await self.act(step, wait.meet)

    async def act(self, step: str, meet: Meet) -> None:
        if step == "turn":
            await checkpoint()
        elif step == "meet":
            self.met = meet(self.ch)
        elif self.cancel is not None:
            self.cancel()

    @contextmanager
    def expose(self, cancel: Cancel) -> Iterator[None]:
        self.cancel = cancel
        try:
            yield
        finally:
            self.cancel = None


def waiting(ch: Channel[Any]) -> int:
    """Count who waits at the channel."""
    stats = ch.statistics()
    return stats.senders_waiting + stats.receivers_waiting


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("script", [*MET_FIRST, *CANCELLED_FIRST])
async def test_an_operation_returns_if_and_only_if_it_happened(
    wait: Wait, script: str, backend: str
) -> None:
    """And then nobody is left in a queue to swallow what is meant for another."""
    for way in ways_on(backend):
        scene = Scene()
        await scene.play(wait, way, script)
        assert scene.returned == scene.met, way
        assert scene.met or script not in MET_FIRST, way
        assert waiting(scene.ch) + waiting(scene.quiet) == 0, way
        assert scene.ch.statistics().sent == scene.met


async def by_anyio(wait: Awaitable[Any]) -> bool:
    with anyio.move_on_after(1):
        await wait
        return True
    return False


async def by_trio(wait: Awaitable[Any]) -> bool:
    import trio

    with trio.move_on_after(1):
        await wait
        return True
    return False


async def by_timeout(wait: Awaitable[Any]) -> bool:
    try:
        async with asyncio.timeout(1):
            await wait
            return True
    except TimeoutError:
        return False


async def by_wait_for(wait: Awaitable[Any]) -> bool:
    try:
        await asyncio.wait_for(wait, 1)
    except TimeoutError:
        return False
    return True


LIMITS = {"trio": [by_anyio, by_trio]}
ASYNCIO_LIMITS = [by_anyio, by_timeout, by_wait_for]


@pytest.mark.clock
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("first", ["deadline", "item"])
async def test_a_deadline_in_the_turn_of_the_item(
    wait: Wait, turns: int, first: str, backend: str
) -> None:
    """An operation whose time is up has returned, or it has not happened."""
    for limit in LIMITS.get(backend, ASYNCIO_LIMITS):
        ch: Channel[str] = Channel()
        quiet: Channel[str] = Channel()
        async with Group() as g:
            if first == "deadline":
                returned = g.go(limit, wait.begin(ch, quiet))
            met = g.go(meet_at_one, wait.meet, ch, turns)
            if first == "item":
                returned = g.go(limit, wait.begin(ch, quiet))
        assert await returned == await met, limit
        assert waiting(ch) + waiting(quiet) == 0


async def meet_at_one(meet: Meet, ch: Channel[str], turns: int) -> bool:
    await anyio.sleep_until(1)
    for _ in range(turns):
        await checkpoint()
    return meet(ch)


@pytest.mark.parametrize("takes", range(5))
async def test_a_cancelled_batch_leaves_what_was_not_sent(
    takes: int, backend: str
) -> None:
    """What is left in the deque and what was received make up the whole."""
    for way in ways_on(backend):
        scene = Scene()
        pending = deque("xxxxx")
        wait = Wait(partial(send_all, pending), take)
        await scene.play(wait, way, "meet turn " * takes + "cancel")
        assert scene.ch.statistics().received + len(pending) == 5, way
        assert scene.returned == (not pending), way
        assert waiting(scene.ch) == 0


def send_all(
    items: deque[str], ch: Channel[str], quiet: Channel[str]
) -> Awaitable[None]:
    return ch.send_many(items)


async def test_a_cancelled_wait_for_emptiness_changes_nothing(backend: str) -> None:
    """Others still wait for it, and the channel goes on as before."""
    for way in ways_on(backend):
        scene = Scene()
        scene.ch = Channel(2)
        await scene.ch.send_many(["x", "y"])
        async with Group() as g:
            other = g.go(scene.ch.wait_empty)
            blocked = g.go(scene.ch.send, "z")
            wait = Wait(lambda ch, _: ch.wait_empty(), take)
            await scene.play(wait, way, "turn cancel turn meet")
            assert not scene.returned
            assert scene.met
            assert not other.finished
            assert scene.ch.drain() == ["y", "z"]
        assert blocked.finished
        await scene.ch.wait_empty()


async def test_the_end_of_a_task_is_met_like_an_item(backend: str) -> None:
    """Who waits for a task that has ended learns it, though cancelled in that turn."""
    for way in ways_on(backend):
        scene = Scene()
        async with Group() as g:
            worker = g.go(scene.quiet.receive)
            g.go(cancel_at_the_end, worker, scene)  # woken before the one it cancels
            wait = Wait(partial(wait_for_end, worker), give)
            g.go(scene.play, wait, way, "")
            await parked()
            await scene.quiet.send("x")
        assert scene.returned, way
        assert waiting(scene.ch) == 0, way


def wait_for_end(
    worker: Handle[str], ch: Channel[str], quiet: Channel[str]
) -> Awaitable[Any]:
    return select(recv(ch), done(worker))


async def cancel_at_the_end(worker: Handle[str], scene: Scene) -> None:
    await worker
    if scene.cancel is not None:
        scene.cancel()


async def test_a_cancelled_waiter_swallows_no_wake_up(backend: str) -> None:
    """What comes in the turn of its cancellation goes to the next in the queue."""
    for way in ways_on(backend):
        scene = Scene()
        second: list[Any] = []
        async with Group() as g:
            wait = Wait(partial(receive_before_another, g, second), give)
            await scene.play(wait, way, "turn turn turn cancel meet")
            scene.ch.close()
        assert scene.met, way
        assert second == [CLOSED if scene.returned else "x"], way


async def receive_before_another(
    g: Group, second: list[Any], ch: Channel[str], quiet: Channel[str]
) -> str:
    async def receive_second() -> None:
        second.append(await recv(ch))

    g.go(receive_second)
    return await ch.receive()


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
async def test_a_closed_coroutine_leaves_its_queues(wait: Wait) -> None:
    """A task that is destroyed while it waits is like a cancelled one."""
    ch: Channel[str] = Channel()
    quiet: Channel[str] = Channel()
    coro = wait.begin(ch, quiet)
    assert iscoroutine(coro)
    coro.send(None)
    assert waiting(ch)
    coro.close()
    assert waiting(ch) + waiting(quiet) == 0
    assert not wait.meet(ch)
