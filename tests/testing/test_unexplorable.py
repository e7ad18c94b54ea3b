"""Programs that cannot be explored: a clear word, and a process left clean."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

import csp
from csp import Group
from csp.testing import Deadlock, Endless, FailedSchedule, Outside, explore

from .programs import Program, on_every_loop


def _descriptors() -> set[str]:
    return set(os.listdir("/dev/fd"))


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Nothing is left behind, and the next program runs as if this had not been."""
    before = _descriptors(), threading.enumerate(), random.getstate()
    start, new_random = threading.Thread.start, csp._park.new_random
    yield
    assert (_descriptors(), threading.enumerate(), random.getstate()) == before
    assert threading.Thread.start is start
    assert csp._park.new_random is new_random

    async def program() -> None:
        await checkpoint()

    assert explore(program, runs=1).runs == 1


# Never ending


async def spin() -> None:
    """Wait in a loop for something that never comes."""
    while True:
        await checkpoint()


async def spin_shielded() -> None:
    """Do so where no cancellation comes."""
    while True:
        with anyio.CancelScope(shield=True):
            await checkpoint()


async def spin_on_the_clock() -> None:
    """Do so with pauses."""
    async for _ in _ticks():
        pass


async def _ticks() -> AsyncIterator[float]:
    tick = csp.ticker(1)
    while True:
        yield await tick


async def spin_defiantly() -> None:
    """Do so whatever happens."""
    while True:
        try:
            await checkpoint()
        except anyio.get_cancelled_exc_class():
            pass


ENDLESS = [spin, spin_shielded, spin_on_the_clock, spin_defiantly]


@on_every_loop
@pytest.mark.parametrize("program", ENDLESS)
def test_a_program_that_never_ends_is_ended(program: Program, backend: str) -> None:
    """After as many steps as it was allowed."""
    with pytest.raises(FailedSchedule, match="not over after 200 steps") as caught:
        explore(program, runs=3, steps=200, backend=backend)
    assert isinstance(caught.value.__cause__, Endless)
    assert "moments left out" in str(caught.value)


@on_every_loop
def test_a_task_that_never_ends_is_ended_with_its_program(backend: str) -> None:
    """The program only waits for it."""

    async def program() -> None:
        async with Group() as g:
            g.go(spin_shielded)

    with pytest.raises(FailedSchedule, match="not over after 200 steps"):
        explore(program, runs=3, steps=200, backend=backend)


async def wait_shielded() -> None:
    """Wait for ever where no cancellation comes."""
    with anyio.CancelScope(shield=True):
        await anyio.sleep_forever()


async def wait_defiantly() -> None:
    """Wait for ever whatever happens."""
    while True:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            pass


@on_every_loop
@pytest.mark.parametrize("program", [wait_shielded, wait_defiantly])
def test_a_deadlock_that_cannot_be_cancelled_is_ended(
    program: Program, backend: str
) -> None:
    """Its tasks are abandoned if all else fails."""
    with pytest.raises(FailedSchedule) as caught:
        explore(program, runs=3, steps=200, backend=backend)
    assert isinstance(caught.value.__cause__, Deadlock)


def test_a_task_left_behind_that_never_ends_is_ended() -> None:
    """asyncio cancels what is left when the program has ended, and waits for it."""

    async def program() -> None:
        task = asyncio.create_task(spin_shielded())
        await asyncio.sleep(0)
        assert not task.done()

    explore(program, runs=3, steps=200)


# Outside of control


async def use_thread() -> None:
    """Start a thread by hand."""
    threading.Thread(target=int).start()


async def wait_for_socket() -> None:
    """Wait for bytes that nobody sends."""
    a, b = socket.socketpair()
    with a, b:
        a.setblocking(False)
        await anyio.wait_readable(a)


async def listen() -> None:
    """Listen on a port."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        await listener.serve(anyio.sleep_forever)


async def read_file() -> None:
    """Read a file, which anyio does in a thread."""
    async with await anyio.open_file(os.devnull) as file:
        await file.read()


OUTSIDE = [
    use_thread,
    partial(anyio.to_thread.run_sync, int),
    wait_for_socket,
    partial(anyio.connect_tcp, "127.0.0.1", 1),
    listen,
    partial(anyio.run_process, ["true"]),
    read_file,
]


@on_every_loop
@pytest.mark.parametrize("program", OUTSIDE)
def test_threads_and_real_io_are_refused(program: Program, backend: str) -> None:
    """In a sentence that says what, and what to do."""
    with pytest.raises(Outside, match="outside of what explore controls.* a fake in"):
        explore(program, runs=3, backend=backend)


@on_every_loop
def test_they_are_refused_even_if_the_program_hides_that(backend: str) -> None:
    """What it does then is not what it would do."""

    async def program() -> None:
        with suppress(RuntimeError):
            await anyio.to_thread.run_sync(int)

    with pytest.raises(Outside, match="a thread"):
        explore(program, runs=3, backend=backend)


def test_executors_and_signals_are_refused_on_asyncio() -> None:
    """As are the loop's own ways to do I/O."""

    async def use_executor() -> None:
        await asyncio.get_running_loop().run_in_executor(None, int)

    async def use_signals() -> None:
        with anyio.open_signal_receiver(2) as signals:
            async for _ in signals:
                pass

    for program in (use_executor, use_signals):
        with pytest.raises(Outside):
            explore(program, runs=1)


@on_every_loop
def test_other_threads_go_on_as_they_like(backend: str) -> None:
    """They may start threads, and run trio, while something is explored."""
    ended = threading.Event()

    def work() -> None:
        inner = threading.Thread(
            target=anyio.run, args=(checkpoint,), kwargs={"backend": backend}
        )
        inner.start()
        inner.join()
        ended.set()

    worker = threading.Thread(target=work)

    async def program() -> None:
        if not worker.ident:
            start(worker)
        while not ended.wait(0.01):
            await checkpoint()

    start = threading.Thread.start
    explore(program, runs=1, backend=backend)
    worker.join()


# Nested, and no programs at all


@on_every_loop
def test_an_exploration_cannot_be_nested(backend: str) -> None:
    """The error is the program's, and says where to call it."""

    async def program() -> None:
        explore(spin, runs=1)

    with pytest.raises(FailedSchedule, match="cannot be called inside one") as caught:
        explore(program, runs=1, backend=backend)
    assert isinstance(caught.value.__cause__, RuntimeError)


@on_every_loop
def test_an_assertion_in_a_task_comes_out(backend: str) -> None:
    """Out of all the groups around it."""

    async def check() -> None:
        raise AssertionError("two is not one")

    async def program() -> None:
        async with Group() as g:
            g.go(check)
            g.go(anyio.sleep_forever)

    with pytest.raises(FailedSchedule, match="^AssertionError: two is not one"):
        explore(program, runs=1, backend=backend)


@on_every_loop
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_process_is_let_through(
    backend: str, error: type[BaseException]
) -> None:
    """It is no failure of the program."""

    async def program() -> None:
        raise error

    with pytest.raises(error):
        explore(program, runs=1, backend=backend)


def _returns_three() -> int:
    return 3


BAD: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (3, {}, TypeError, "an async function and its arguments, not 3"),
    (_returns_three, {}, TypeError, "_returns_three.* returned 3"),
    (spin, {"runs": 0}, ValueError, "runs must be 1 or more, not 0"),
    (spin, {"runs": True}, TypeError, "runs must be a whole number, not True"),
    (spin, {"runs": 1.5}, TypeError, "runs must be a whole number, not 1.5"),
    (spin, {"steps": 0}, ValueError, "steps must be 1 or more, not 0"),
    (spin, {"seed": "seven"}, ValueError, "such as '7/3:1-12:2', not 'seven'"),
    (spin, {"seed": "7/3:1-"}, ValueError, "not '7/3:1-'"),
    (spin, {"seed": 1.5}, TypeError, "not 1.5"),
    (spin, {"backend": "uvloop"}, ValueError, "not 'uvloop'"),
    (spin, {"preemptions": -1}, ValueError, "preemptions must be 0 or more, not -1"),
    (spin, {"preemptions": "2"}, TypeError, "whole number or math.inf, not '2'"),
]


@pytest.mark.parametrize(("program", "options", "error", "words"), BAD)
def test_bad_arguments_are_named(
    program: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """With the value, and what to write instead."""
    with pytest.raises(error, match=words):
        explore(program, **{"runs": 1, "steps": 100} | options)


def test_a_coroutine_object_is_no_program() -> None:
    """The error shows how to write it, and the coroutine gives no warning."""
    with pytest.raises(TypeError, match=r"not a coroutine object. Write explore\(spin"):
        explore(spin(), runs=1)
