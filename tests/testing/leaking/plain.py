"""What any test may leave behind: threads, descriptors, items in channels."""

from __future__ import annotations

import _thread
import asyncio
import gc
import os
import socket
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

import csp
from csp.testing import _leaks

_leaks.MOMENT = 0.25
kept = []
release = threading.Event()


@pytest.fixture(scope="module", autouse=True)
def free_the_threads():
    yield
    release.set()


def work():
    release.wait()


def start(target):
    thread = threading.Thread(target=target, name="worker")
    thread.start()
    return thread


def test_leaks_a_thread():
    start(work)


def test_leaks_an_idle_executor():
    executor = ThreadPoolExecutor()
    executor.submit(int).result()
    kept.append(executor)


def test_joins_a_thread():
    start(int).join()


def test_has_a_thread_that_is_about_to_end():
    start(lambda: release.wait(0.02))


def test_has_a_thread_that_threading_has_not_started():
    done = threading.Event()
    _thread.start_new_thread(lambda: threading.current_thread() and done.set(), ())
    done.wait()


def test_leaks_a_descriptor():
    kept.append(os.open(__file__, os.O_RDONLY))


def test_leaks_a_socket():
    kept.append(sock := socket.socket())
    sock.bind(("127.0.0.1", 0))


def test_leaks_the_number_of_what_it_closed():
    kept.pop().close()
    kept.append(os.open(os.devnull, os.O_RDONLY))


def test_closes_its_descriptors():
    with open(__file__), socket.socket():
        pass


def test_leaves_a_file_to_the_collector():
    with pytest.warns(ResourceWarning):
        cycle = [open(__file__)]  # noqa: SIM115 - as the test is about
        cycle.append(cycle)
        del cycle
        gc.collect()


def test_uses_what_multiprocessing_keeps():
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()


def channel(**options):
    ch = csp.Channel[int](9, **options)
    for i in range(3):
        ch.send_nowait(i)
    return ch


def test_leaks_items():
    kept.append(channel(name="jobs"))


def test_leaks_items_with_their_channel():
    channel(name="jobs")


def test_leaks_items_to_the_collector():
    kept.append(cycle := [channel()])
    cycle.append(cycle)
    kept.pop()


def test_leaks_items_of_a_broken_channel():
    kept.append(ch := channel())
    ch.receiver().close()


def test_drains_its_channel():
    kept.append(ch := channel())
    ch.drain()


def test_is_told_of_what_is_undelivered():
    kept.append(channel(on_undelivered=int))


def test_drops_a_deep_nest_of_channels():
    nest = None
    for _ in range(10_000):
        inner, nest = nest, csp.Channel(1, on_undelivered=type)
        nest.send_nowait(inner)
    del inner, nest


def test_expects_the_warning():
    with pytest.warns(ResourceWarning, match="forgotten"):
        channel()


@pytest.fixture
def careless():
    kept.append(os.open(__file__, os.O_RDONLY))


@pytest.fixture
def careful():
    ch = channel()
    with open(__file__):
        yield
    ch.drain()


@pytest.fixture(scope="class")
def wider():
    start(work)
    kept.append(os.open(__file__, os.O_RDONLY))
    kept.append(channel())


def test_leaks_what_its_fixture_opened(careless):
    pass


def test_has_a_fixture_that_closes(careful):
    pass


def test_has_a_fixture_of_a_wider_scope(wider):
    pass


def test_leaves_a_task_to_a_loop_that_ends():
    async def main():
        kept.append(asyncio.create_task(asyncio.sleep(9)))

    asyncio.run(main())


@pytest.mark.leaks("channels", "descriptors")
def test_is_allowed_to():
    kept.append(os.open(__file__, os.O_RDONLY))
    kept.append(channel())


@pytest.mark.leaks("channels")
def test_leaks_what_is_not_allowed():
    kept.append(os.open(__file__, os.O_RDONLY))
    kept.append(channel())


class TestWithAPortal:
    @pytest.fixture(scope="class")
    def portal(self):
        with start_blocking_portal() as portal:
            yield portal

    @pytest.mark.parametrize("time", [1, 2])
    def test_uses_a_thread_that_the_portals_loop_keeps(self, portal, time):
        portal.call(anyio.to_thread.run_sync, int)


class TestInAClass:
    def test_leaks_in_a_class(self):
        kept.append(os.open(__file__, os.O_RDONLY))


class TestOfUnittest(unittest.TestCase):
    def test_leaks_in_unittest(self):
        kept.append(os.open(__file__, os.O_RDONLY))

    def test_drains_in_unittest(self):
        channel().drain()
