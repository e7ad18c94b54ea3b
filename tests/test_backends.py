"""Does each test really run on the loop that it names, and with which clock?"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from pathlib import Path

import anyio
import pytest
from anyio import from_thread
from anyio.abc import SocketAttribute
from anyio.lowlevel import current_token
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clock import VirtualClockLoop

ROOT = Path(__file__).parent.parent


def loop_in_use():
    """Name the running loop by what it is, not by what was asked for."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        from trio.lowlevel import in_trio_task

        return "trio" if in_trio_task() else "none"
    if type(loop).__module__.startswith("uvloop"):
        return "asyncio+uvloop"
    assert type(loop) is VirtualClockLoop
    return "asyncio" if loop.get_task_factory() is None else "asyncio+eager"


@pytest.mark.anyio
async def test_each_backend_is_the_loop_it_names(backend):
    assert loop_in_use() == backend


@pytest.mark.anyio
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.booleans())
async def test_hypothesis_keeps_to_the_backend(backend, example):
    assert (loop_in_use(), type(example)) == (backend, bool)


@pytest.mark.trio
async def test_a_trio_test_runs_on_trio():
    assert loop_in_use() == "trio"


@pytest.mark.anyio
async def test_only_eager_tasks_start_before_they_are_waited_for(backend):
    order = []

    async def child():
        order.append("child")

    async with anyio.create_task_group() as tasks:
        if backend == "trio":
            tasks.start_soon(child)
        else:
            # anyio's own start_soon puts eager tasks off until its next checkpoint
            task = asyncio.create_task(child())
        order.append("parent")
    if backend != "trio":
        await task
    first = "child" if backend == "asyncio+eager" else "parent"
    assert order[0] == first


@pytest.mark.anyio
@pytest.mark.clock
async def test_an_hour_passes_at_once():
    real, virtual = time.monotonic(), anyio.current_time()
    await anyio.sleep(3600)
    assert anyio.current_time() - virtual == pytest.approx(3600)
    assert time.monotonic() - real < 1


@pytest.mark.anyio
@pytest.mark.clock
async def test_timers_fire_in_order_and_no_later_than_due():
    woken = []

    async def sleeper(seconds):
        await anyio.sleep(seconds)
        woken.append((seconds, anyio.current_time() - start))

    start = anyio.current_time()
    with anyio.fail_after(86400 * 7):  # more than asyncio waits for in one go
        async with anyio.create_task_group() as tasks:
            for seconds in (86400 * 3, 0.25, 40):
                tasks.start_soon(sleeper, seconds)
    assert [due for due, _ in woken] == [0.25, 40, 86400 * 3]
    assert [at for _, at in woken] == pytest.approx([due for due, _ in woken])


@pytest.mark.anyio
@pytest.mark.clock
async def test_every_test_starts_its_clock_anew():
    assert anyio.current_time() < 1


@pytest.mark.anyio
async def test_threads_wake_the_loop():
    woken = anyio.Event()
    token = current_token()

    def wake():
        time.sleep(0.05)
        from_thread.run_sync(woken.set, token=token)

    thread = threading.Thread(target=wake)
    thread.start()
    await woken.wait()
    thread.join()


@pytest.mark.anyio
async def test_sockets_work_under_a_timeout():
    async def echo(stream):
        async with stream:
            await stream.send(await stream.receive())

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, echo)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            with anyio.fail_after(3600):
                await stream.send(b"ping")
                assert await stream.receive() == b"ping"
        tasks.cancel_scope.cancel()


@pytest.fixture
def run_pytest(pytester, monkeypatch):
    """Return a function that runs a file's text under this project's own settings."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(text):
        tests = pytester.mkdir("tests")
        shutil.copy(ROOT / "pyproject.toml", pytester.path)
        for name in ("__init__.py", "clock.py", "conftest.py"):
            shutil.copy(ROOT / "tests" / name, tests)
        (tests / "test_it.py").write_text(text)
        return pytester.runpytest_subprocess()

    return run


def test_an_unmarked_async_test_fails(run_pytest):
    result = run_pytest("async def test_it(): pass")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])


def test_two_marks_are_refused(run_pytest):
    result = run_pytest(
        "import pytest\n"
        "@pytest.mark.anyio\n"
        "@pytest.mark.trio\n"
        "async def test_it(): pass\n"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_it* is marked both anyio and trio"])


def test_stress_tests_wait_to_be_asked_for(run_pytest):
    result = run_pytest("import pytest\n@pytest.mark.stress\ndef test_it(): pass\n")
    result.assert_outcomes(skipped=1)
