"""Tests that fail anyway, and leave something behind as well."""

from __future__ import annotations

import gc
import os
import socket

import pytest

import csp

kept = []


def channel():
    ch = csp.Channel(1)
    ch.send_nowait(0)
    return ch


def test_fails():
    kept.append(os.open(__file__, os.O_RDONLY))
    kept.append(channel())
    assert not kept


@pytest.fixture
def broken_setup():
    kept.append(os.open(__file__, os.O_RDONLY))
    raise LookupError("broken")


@pytest.fixture
def broken_teardown():
    yield
    kept.append(os.open(__file__, os.O_RDONLY))
    raise LookupError("broken")


def test_breaks_before(broken_setup):
    pass


def test_breaks_after(broken_teardown):
    pass


def test_skips():
    kept.append(os.open(__file__, os.O_RDONLY))
    pytest.skip("with a leak")


def test_forgets_items():
    channel()


def test_leaves_a_socket_to_the_collector():
    cycle = [socket.socket()]
    cycle.append(cycle)


def test_leaves_nothing():
    pass


def test_leaks_many():
    kept.extend([channel() for _ in range(99)])


def test_drops_what_the_others_left():
    kept.clear()
    gc.collect()
