"""Signals as items: who gets them, and what becomes of the handlers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from signal import SIGHUP, SIGUSR1, SIGUSR2, Signals, raise_signal
from typing import Any

import anyio
import anyio.to_thread
import pytest

from csp import (
    Channel,
    ChannelClosed,
    Group,
    Receiver,
    WouldBlock,
    recv,
    select,
    signals,
    stop_scope,
)
from csp._park import current
from csp._signals import obeying

pytestmark = pytest.mark.anyio

USED = (SIGHUP, SIGUSR1, SIGUSR2)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[Signals]]:
    """The signals that the handlers from before get; and afterwards all is as before.

    By default these signals would end the process.
    """
    got: list[Signals] = []

    def note(signum: int, _: object) -> None:
        got.append(Signals(signum))

    before = {signum: signal.signal(signum, note) for signum in USED}
    yield got
    now = {signum: signal.signal(signum, before[signum]) for signum in USED}
    assert set(now.values()) == {note}


async def turn() -> None:
    """Let all happen that a signal sets off."""
    await anyio.wait_all_tasks_blocked()
    await anyio.wait_all_tasks_blocked()


async def pending(receiver: Receiver[Signals]) -> list[Signals]:
    """Take all signals that have come."""
    await turn()
    return receiver.drain()


async def test_a_signal_is_an_item() -> None:
    """A member of signal.Signals, in the order in which they came."""
    async with signals(SIGUSR1, SIGUSR2) as rx:
        for signum in (SIGUSR1, SIGUSR2, SIGUSR1):
            raise_signal(signum)
        assert await rx.receive() is SIGUSR1
        assert await rx.receive() is SIGUSR2
        assert (await select(got=recv(rx))) == ("got", SIGUSR1)
        with pytest.raises(WouldBlock):
            rx.receive_nowait()
        assert rx.name == "signals(SIGUSR1, SIGUSR2)"


async def test_a_signal_wakes_a_loop_that_sleeps() -> None:
    """Though the system tells another thread of it, which is left to its choice."""
    received = threading.Event()

    def kill() -> None:
        time.sleep(0.02)  # so that the loop sleeps, whatever it had to do before
        signal.pthread_kill(threading.get_ident(), SIGUSR1)
        received.wait(20)

    async with signals(SIGUSR1) as rx:
        async with signals(SIGUSR2):
            pass
        thread = threading.Thread(target=kill)
        thread.start()
        assert await rx.receive() is SIGUSR1
        assert not received.is_set()
        received.set()
    thread.join()


async def test_nothing_of_the_loop_is_left_changed() -> None:
    """Such as what wakes it; nor is a file left open, which would warn."""
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before, warn_on_full_buffer=False)
    loop = getattr(current(), "loop", None)
    watched = getattr(loop, "_selector", None)  # asyncio's
    files = watched and len(watched.get_map())
    async with signals(SIGUSR1), signals(SIGUSR2):
        pass
    assert files == (watched and len(watched.get_map()))
    assert signal.set_wakeup_fd(before, warn_on_full_buffer=False) == before


async def test_a_signal_is_heard_between_the_steps_of_tasks() -> None:
    """Not in the middle of one."""
    async with signals(SIGUSR1) as rx:
        raise_signal(SIGUSR1)
        assert len(rx) == 0
        assert await pending(rx) == [SIGUSR1]


async def test_the_handler_from_before_does_not_hear_it(handlers: Any) -> None:
    """Until the block has ended."""
    raise_signal(SIGUSR1)
    async with signals(SIGUSR1):
        raise_signal(SIGUSR1)
        raise_signal(SIGUSR2)
        await turn()
    assert handlers == [SIGUSR1, SIGUSR2]
    raise_signal(SIGUSR1)
    assert handlers == [SIGUSR1, SIGUSR2, SIGUSR1]


async def test_every_receiver_gets_each_signal() -> None:
    """Nested ones, for the signals that each has asked for."""
    async with (
        signals(SIGUSR1) as one,
        signals(SIGUSR1, SIGUSR2) as both,
        signals(SIGUSR2, SIGUSR2) as twice,
    ):
        raise_signal(SIGUSR1)
        raise_signal(SIGUSR2)
        assert await pending(one) == [SIGUSR1]
        assert await pending(both) == [SIGUSR1, SIGUSR2]
        assert await pending(twice) == [SIGUSR2]


async def test_blocks_may_overlap_without_nesting(handlers: Any) -> None:
    """The handler is put back when the last has left, whichever that is."""
    got: dict[str, list[Signals]] = {}

    async def listen(name: str, quit_: anyio.Event) -> None:
        async with signals(SIGUSR1) as rx:
            await quit_.wait()
            got[name] = await pending(rx)

    first, second = anyio.Event(), anyio.Event()
    async with Group() as g:
        g.go(listen, "first", first)
        await turn()
        raise_signal(SIGUSR1)
        g.go(listen, "second", second)
        await turn()
        raise_signal(SIGUSR1)
        first.set()
        await turn()
        await turn()
        raise_signal(SIGUSR1)
        await turn()
        second.set()
    assert got == {"first": [SIGUSR1] * 2, "second": [SIGUSR1] * 2}
    assert handlers == []
    raise_signal(SIGUSR1)
    assert handlers == [SIGUSR1]


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL])
async def test_what_was_no_function_is_put_back_too(before: Any) -> None:
    """Ignored is ignored again."""
    ours = signal.signal(SIGUSR1, before)
    try:
        async with signals(SIGUSR1) as rx:
            raise_signal(SIGUSR1)
            assert await pending(rx) == [SIGUSR1]
        assert signal.getsignal(SIGUSR1) == before
    finally:
        signal.signal(SIGUSR1, ours)


async def test_an_error_or_a_cancellation_puts_the_handlers_back() -> None:
    """As the fixture sees; and the receiver ends."""
    with pytest.raises(OSError, match="broken"):
        async with signals(SIGUSR1) as rx:
            raise OSError("broken")
    with pytest.raises(ChannelClosed):
        await rx.receive()
    with anyio.move_on_after(0):
        async with signals(SIGUSR1, SIGUSR2) as rx:
            await rx.receive()


async def test_64_signals_may_wait_and_then_the_oldest_is_dropped() -> None:
    """None before."""
    async with signals(SIGUSR1, SIGUSR2) as rx:
        raise_signal(SIGUSR2)
        for _ in range(63):
            raise_signal(SIGUSR1)
        await turn()
        assert len(rx) == 64
        raise_signal(SIGUSR1)
        assert await pending(rx) == [SIGUSR1] * 64


@pytest.mark.parametrize("delivered", [True, False])
async def test_leaving_with_signals_that_wait_is_silent(delivered: bool) -> None:
    """In a stop scope, too: nobody is to be told of them."""
    async with stop_scope(), signals(SIGUSR1):
        raise_signal(SIGUSR1)
        if delivered:
            await turn()
    await turn()


async def test_a_receiver_that_is_closed_early_hears_no_more() -> None:
    """The others do."""
    async with signals(SIGUSR1) as early, signals(SIGUSR1) as other:
        raise_signal(SIGUSR1)
        early.close()
        raise_signal(SIGUSR1)
        assert await pending(other) == [SIGUSR1] * 2


async def test_a_receiver_can_be_shared() -> None:
    """It is one like any other: each signal goes to one of its clones."""
    got: Channel[Signals] = Channel(4)

    async def work(rx: Receiver[Signals]) -> None:
        with rx:
            async for signum in rx:
                await got.send(signum)

    async with Group() as g, signals(SIGUSR1) as rx:
        for _ in range(3):
            g.go(work, rx.clone())
        raise_signal(SIGUSR1)
        await turn()
        assert got.drain() == [SIGUSR1]


@pytest.mark.parametrize(
    "wrong", [0, -1, 10_000, "SIGHUP", None, True, 1.0, [SIGHUP], signal.SIG_DFL]
)
async def test_what_is_no_signal_is_refused(wrong: Any) -> None:
    """With what it was; and the others in the call are left alone."""
    with pytest.raises(ValueError, match="is not the number of a signal: write sig"):
        async with signals(SIGUSR1, wrong):
            pass


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
async def test_what_cannot_be_handled_is_refused(name: str) -> None:
    """By name."""
    with pytest.raises(ValueError, match=f"no program can handle {name}"):
        async with signals(SIGUSR1, getattr(signal, name)):
            pass


async def test_no_signal_at_all_is_refused() -> None:
    """The error shows one."""
    with pytest.raises(TypeError, match="at least one, such as signal.SIGHUP"):
        async with signals():
            pass


async def test_only_the_main_thread_can_handle_signals() -> None:
    """The error says what a loop in another one can do."""

    async def listen() -> None:
        with pytest.raises(RuntimeError, match=r"main thread only. .*from_thread.run"):
            async with signals(SIGUSR1):
                pass

    await anyio.to_thread.run_sync(anyio.run, listen)


async def test_a_stop_signal_that_comes_too_late_does_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What it was to stop has ended before the loop has turned."""
    caplog.set_level("DEBUG", "csp")
    async with stop_scope() as stop:
        with obeying(stop, (SIGUSR1,)):
            raise_signal(SIGUSR1)
        await turn()
        assert not stop.requested
        assert not stop._waiters
    assert not caplog.records


def runners() -> Iterator[Any]:
    """Return what starts a loop, of those that are installed."""
    import asyncio

    yield pytest.param(asyncio.run, id="asyncio.run")
    yield pytest.param(lambda coro: anyio.run(lambda: coro), id="anyio.run")
    if find_spec("trio"):
        import trio

        yield pytest.param(lambda coro: trio.run(lambda: coro), id="trio.run")
    if find_spec("uvloop"):
        import uvloop

        yield pytest.param(uvloop.run, id="uvloop.run")


@pytest.mark.parametrize("run", [*runners()])
def test_any_loop_will_do(run: Callable[..., Any]) -> None:
    """Nothing needs `csp.run`."""

    async def main() -> list[Signals]:
        async with signals(SIGUSR1, SIGHUP) as rx:
            os.kill(os.getpid(), SIGUSR1)
            first = await rx.receive()
            os.kill(os.getpid(), SIGHUP)
            return [first, await rx.receive()]

    assert run(main()) == [SIGUSR1, SIGHUP]
