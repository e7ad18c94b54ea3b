"""Does time jump to the next timer, and only when there is nothing else to do?"""

from __future__ import annotations

import asyncio
import math
import socket
import subprocess
import sys
import threading
import time
from importlib.util import find_spec

import anyio
import pytest
from anyio import from_thread, to_thread
from anyio.lowlevel import current_token

import csp
from csp.testing._clock import VirtualClockLoop, virtual_clock

needs_trio = pytest.mark.skipif(find_spec("trio") is None, reason="trio is missing")


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=needs_trio)])
def run(request):
    """Return a function that runs an async function in virtual time."""

    def run(fn):
        backend, options = virtual_clock(request.param)
        return anyio.run(fn, backend=backend, backend_options=options)

    return run


def test_hours_pass_at_once(run):
    """The clock starts at 0 in each run, and shows what was slept."""

    async def main():
        assert anyio.current_time() == 0
        await anyio.sleep(3600)
        return anyio.current_time()

    start = time.monotonic()
    assert [run(main), run(main)] == pytest.approx([3600, 3600])
    assert time.monotonic() - start < 10


def test_timers_ring_in_order_at_their_times(run):
    """Also those that are further off than asyncio waits for in one go."""
    rung = []

    async def ring(seconds):
        await csp.after(seconds)
        rung.append((seconds, anyio.current_time()))

    async def main():
        async with csp.Group() as group:
            for seconds in (86400 * 400, 0.25, 40, 0):
                group.go(ring, seconds)

    run(main)
    assert [due for due, _ in rung] == [0, 0.25, 40, 86400 * 400]
    assert [at for _, at in rung] == pytest.approx([due for due, _ in rung])


def test_a_timeout_is_exact(run):
    """And does not wait for a timer behind it."""

    async def main():
        with anyio.move_on_after(5) as scope:
            await anyio.sleep(9)
        return scope.cancelled_caught, anyio.current_time()

    assert run(main) == (True, pytest.approx(5))


def test_input_that_is_ready_goes_before_the_jump(run):
    """So what a program sends to itself is in time."""

    async def main():
        ours, theirs = socket.socketpair()
        async with await anyio.abc.SocketStream.from_socket(ours) as stream:
            with theirs, anyio.fail_after(1):
                theirs.send(b"ping")
                assert await stream.receive() == b"ping"
        return anyio.current_time()

    assert run(main) == 0


def test_what_a_thread_has_asked_for_goes_before_the_jump(run):
    """As long as it has asked by then."""

    async def main():
        woken = anyio.Event()
        loop = current_token().native_token
        wake = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
        thread = threading.Thread(target=wake, args=[woken.set])
        thread.start()
        thread.join()
        with anyio.fail_after(1):
            await woken.wait()
        return anyio.current_time()

    assert run(main) == 0


def test_a_timeout_around_work_in_a_thread_expires_at_once(run):
    """The clock does not wait for what goes on outside the loop."""
    release = threading.Event()

    async def main():
        with anyio.move_on_after(3600) as scope:
            await to_thread.run_sync(release.wait, abandon_on_cancel=True)
        return scope.cancelled_caught, anyio.current_time()

    start = time.monotonic()
    try:
        assert run(main) == (True, pytest.approx(3600))
    finally:
        release.set()
    assert time.monotonic() - start < 60


def test_a_timeout_around_another_process_expires_at_once(run):
    """The same, through a pipe."""

    async def main():
        with anyio.move_on_after(3600) as scope:
            await anyio.run_process(
                [sys.executable, "-c", "input()"], stdin=subprocess.PIPE
            )
        return scope.cancelled_caught

    assert run(main)


@pytest.mark.parametrize("forever", [False, True])
def test_without_a_timer_it_waits_for_what_is_outside(run, forever):
    """A sleep for ever is no timer."""

    async def main():
        token = current_token()
        async with anyio.create_task_group() as tasks:
            if forever:
                tasks.start_soon(anyio.sleep_forever)
            await to_thread.run_sync(time.sleep, 0.05)
            await to_thread.run_sync(
                lambda: from_thread.run_sync(tasks.cancel_scope.cancel, token=token)
            )
        return anyio.current_time()

    assert run(main) == 0


def test_the_executor_is_joined_however_long_it_takes():
    """Its timeout would be virtual, too."""
    finished = threading.Event()

    def work():
        time.sleep(0.2)
        finished.set()

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(None, work)
        future.cancel()

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(main())
    assert finished.is_set()


def test_a_timer_that_is_never_due_can_be_cancelled():
    """Though the loop has not taken it on."""

    async def main():
        loop = asyncio.get_running_loop()
        timer = loop.call_at(math.inf, print)
        timer.cancel()
        assert timer.cancelled()

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(main())


def test_run_takes_the_options():
    """They are what `anyio.run` takes, and so `csp.run`."""
    _, options = virtual_clock("asyncio")
    assert csp.run(csp.after, 3600, backend_options=options) == 3600


@pytest.mark.parametrize(
    ("backend", "words"),
    [("uvloop", "uvloop keeps its own time"), ("curio", "not 'curio'")],
)
def test_other_backends_are_refused(backend, words):
    """uvloop has its clock in C."""
    with pytest.raises(ValueError, match=words):
        virtual_clock(backend)


def test_trio_has_to_be_installed(monkeypatch):
    """The error says how."""
    monkeypatch.setattr("csp.testing._clock.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'anycsp\[trio\]'"):
        virtual_clock("trio")
