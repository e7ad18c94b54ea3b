"""What tests in a loop may leave behind, and what they may rightly find there."""

from __future__ import annotations

import asyncio
import functools
import threading
from importlib.util import find_spec

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings, strategies

import csp
from csp.testing import _leaks

_leaks.MOMENT = 0.25
kept = []
release = threading.Event()
pytestmark = pytest.mark.anyio

ALL = [name for name in ("asyncio", "trio", "uvloop") if find_spec(name)]
on_asyncio = pytest.mark.parametrize("loop", ["asyncio"])
on_trio = pytest.mark.parametrize("loop", [name for name in ALL if name == "trio"])
not_on_trio = pytest.mark.parametrize("loop", [x for x in ALL if x != "trio"])


@pytest.fixture(params=ALL)
def loop(request):
    return request.param


@pytest.fixture
def anyio_backend(loop, virtual_clock):
    if loop == "uvloop":
        return "asyncio", {"use_uvloop": True}
    return virtual_clock(loop)


@pytest.fixture(scope="module", autouse=True)
def free_the_threads():
    yield
    release.set()


async def forever():
    await asyncio.get_running_loop().create_future()


async def poll():
    while True:  # noqa: ASYNC110 - as a server may
        await anyio.sleep(1)


async def poll_impatiently():
    while True:
        with anyio.move_on_after(9):
            await csp.select(csp.after(1))


async def test_is_the_first_in_its_loop():
    pass


@not_on_trio
async def test_leaks_a_task():
    kept.append(asyncio.create_task(forever()))
    await anyio.lowlevel.checkpoint()


@not_on_trio
async def test_leaks_a_task_that_has_a_callback():
    kept.append(task := asyncio.create_task(forever()))
    task.add_done_callback(kept.remove)


@not_on_trio
async def test_leaks_a_task_with_all_it_awaits():
    async def gather():
        await asyncio.gather(forever(), forever())

    kept.append(asyncio.create_task(gather(), name="gatherer"))
    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()


@not_on_trio
async def test_awaits_its_tasks():
    task = asyncio.create_task(forever())
    task.cancel()
    await asyncio.wait([task])
    async with asyncio.TaskGroup() as group:
        group.create_task(anyio.lowlevel.checkpoint())
    async with csp.Group() as group:
        group.go(anyio.sleep, 0)


@not_on_trio
@settings(max_examples=3, database=None)
@given(strategies.integers())
async def test_leaks_in_each_example(loop, example):
    kept.append(asyncio.create_task(forever()))


@on_trio
async def test_leaks_a_system_task():
    from trio.lowlevel import spawn_system_task

    spawn_system_task(poll)


@pytest.fixture
async def anyios_group():
    async with anyio.create_task_group() as group:
        group.start_soon(poll)
        group.start_soon(poll_impatiently)
        yield group
        group.cancel_scope.cancel()


async def test_starts_a_task_in_a_fixtures_group(anyios_group):
    async def ready(task_status):
        task_status.started()
        await poll()

    anyios_group.start_soon(poll)
    await anyios_group.start(ready)
    await anyio.sleep(0.01)


@on_asyncio
async def test_has_a_fixture_whose_tasks_sleep(anyios_group):
    await anyio.sleep(3.5)


@on_asyncio
async def test_has_a_task_that_may_have_a_timer(anyios_group):
    async def ring():
        asyncio.get_running_loop().call_later(5, int)
        await forever()

    anyios_group.start_soon(ring)
    await anyio.lowlevel.checkpoint()


async def wait_in_every_way():
    await asyncio.gather(
        forever(),
        asyncio.shield(asyncio.create_task(forever())),
        asyncio.wait([asyncio.create_task(forever())]),
        asyncio.wait_for(forever(), 9),
    )


@not_on_trio
async def test_has_a_group_whose_task_awaits_others(anyios_group):
    anyios_group.start_soon(wait_in_every_way)
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    assert len(asyncio.all_tasks()) > 7


@pytest.fixture
async def asyncios_group():
    async with asyncio.TaskGroup() as group:
        yield group


@on_asyncio
async def test_starts_a_task_in_a_fixtures_task_group(asyncios_group):
    asyncios_group.create_task(anyio.sleep(5))


async def test_forgets_a_generator_that_takes_long_to_close():
    async def numbers():
        try:
            yield 1
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(9)

    generator = numbers()
    await anext(generator)
    del generator
    await anyio.sleep(0.1)


@on_asyncio
async def test_leaks_a_timer():
    asyncio.get_running_loop().call_later(5, asyncio.Event().set)


@on_asyncio
async def test_cancels_its_timer():
    asyncio.get_running_loop().call_later(5, int).cancel()
    with anyio.fail_after(9):
        await csp.select(csp.after(1), csp.after(2))


async def test_uses_threads_that_are_kept(loop):
    await anyio.to_thread.run_sync(int)
    if loop != "trio":
        await asyncio.to_thread(int)


class TestInALoopThatGoesOn:
    @pytest.fixture(scope="class")
    def anyio_backend(self):
        return "asyncio"

    @pytest.fixture(scope="class", autouse=True)
    async def keep(self):
        yield  # noqa: PT022 - so that the loop goes on until then

    @on_asyncio
    @pytest.mark.parametrize("time", [1, 2])
    async def test_uses_threads_that_the_loop_keeps(self, loop, time):
        await anyio.to_thread.run_sync(int)
        await asyncio.to_thread(int)


async def test_leaks_a_thread_that_it_abandoned():
    started = threading.Event()

    def work():
        started.set()
        release.wait()

    run = functools.partial(anyio.to_thread.run_sync, abandon_on_cancel=True)
    async with anyio.create_task_group() as group:
        group.start_soon(run, work)
        while not started.is_set():
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()


@pytest.mark.leaks("all")
@not_on_trio
async def test_is_allowed_to():
    kept.append(asyncio.create_task(forever()))
