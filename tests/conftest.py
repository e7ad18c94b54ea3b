"""The event loops that tests run on, and how large tests make their loops.

A file of tests for every loop says `pytestmark = pytest.mark.anyio`; a test of
something that only trio has says `@pytest.mark.trio`, and then runs under pytest-trio.
The automatic modes of both plugins stay off: with them a test runs twice, or on trio
when it names asyncio.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib.util import find_spec

import hypothesis
import pytest

from tests.clock import VirtualClockLoop, eager_loop

HAS_TRIO = find_spec("trio") is not None
HAS_PYTEST_TRIO = find_spec("pytest_trio") is not None
STRESS_TIMEOUT = 600  # seconds a test

pytest_plugins = ["pytester", *(["pytest_trio.plugin"] if HAS_PYTEST_TRIO else [])]


def on_trio():
    from trio.testing import MockClock

    return "trio", {"clock": MockClock(autojump_threshold=0)}


# What anyio's plugin takes as `anyio_backend`, made anew for each test.
BACKENDS = {}
if HAS_TRIO:
    BACKENDS["trio"] = on_trio
BACKENDS["asyncio"] = lambda: ("asyncio", {"loop_factory": VirtualClockLoop})
if find_spec("uvloop") is not None:
    BACKENDS["asyncio+uvloop"] = lambda: ("asyncio", {"use_uvloop": True})
if sys.version_info >= (3, 12):
    BACKENDS["asyncio+eager"] = lambda: ("asyncio", {"loop_factory": eager_loop})


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The loop's name; a fixture of its own for tests that differ by loop."""
    if request.param == "asyncio+uvloop" and request.node.get_closest_marker("clock"):
        pytest.skip("uvloop has no virtual clock")
    return request.param


@pytest.fixture
def anyio_backend(backend):
    return BACKENDS[backend]()


@pytest.fixture(scope="session")
def scale(pytestconfig):
    """`scale(small, large)`: how often to do something, large under --stress."""
    return lambda small, large: large if pytestconfig.getoption("stress") else small


def pytest_addoption(parser):
    parser.addoption(
        "--stress",
        action="store_true",
        help="run stress tests too, and the loops of all tests at full length",
    )


def pytest_configure(config):
    if not HAS_PYTEST_TRIO:
        config.addinivalue_line("markers", "trio: needs pytest-trio, so is skipped")
    hypothesis.settings.register_profile(
        "csp",
        max_examples=1000 if config.getoption("stress") else 50,
        deadline=None,
        derandomize=False,  # by default it is True under CI
        print_blob=True,
        **({"database": None} if os.environ.get("CI") == "true" else {}),
    )
    hypothesis.settings.load_profile("csp")


def pytest_collection_modifyitems(config, items):
    stress = config.getoption("stress")
    for item in items:
        markers = {marker.name for marker in item.iter_markers()}
        if {"anyio", "trio"} <= markers:
            raise pytest.UsageError(f"{item.nodeid} is marked both anyio and trio")
        if "trio" in markers and not HAS_PYTEST_TRIO:
            item.add_marker(pytest.mark.skip("pytest-trio is not installed"))
        if "stress" in markers and not stress:
            item.add_marker(pytest.mark.skip("a stress test: run it with --stress"))
        if stress and "timeout" not in markers:
            item.add_marker(pytest.mark.timeout(STRESS_TIMEOUT))


def pytest_runtest_logstart(nodeid):
    """Name the test in the stacks that are printed when it hangs."""
    threading.main_thread().name = nodeid


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Unbind a Hypothesis test from its loop: anyio 4.15 keeps it on its first one."""
    handle = getattr(getattr(item, "obj", None), "hypothesis", None)
    inner_test = handle and handle.inner_test
    try:
        return (yield)
    finally:
        if handle:
            handle.inner_test = inner_test
