"""Does a test fail that leaves something behind, and only that one?

The tests in `leaking` are named for what they should come to: those that begin with
"leaks" must fail in their teardown, and all others pass.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.inner import ANYIO, Inner


@pytest.fixture
def inner(pytester, monkeypatch):
    return Inner(pytester, monkeypatch)


def text_of(name):
    return (Path(__file__).parent / "leaking" / f"{name}.py").read_text()


def check(outcomes, words):
    """Hold the outcomes against the tests' names, and the reports against `words`."""
    for name, trouble in outcomes.items():
        if name.startswith("test_leaks"):
            assert trouble.startswith("error: left behind: "), (name, trouble)
        else:
            assert trouble == "", (name, trouble)
    for name, expected in words.items():
        assert name not in outcomes or expected in outcomes[name], outcomes[name]


PLAIN_WORDS = {
    "test_leaks_a_thread": "thread 'worker', in work at test_inner.py:",
    "test_leaks_an_idle_executor": "thread 'ThreadPoolExecutor-0_0'",
    "test_leaks_a_descriptor": "/test_inner.py",
    "test_leaks_a_socket": "a socket bound to ('127.0.0.1', ",
    "test_leaks_items": "channel 'jobs' with 3 items in it, made at test_inner.py:",
    "test_leaks_items_with_their_channel": "channel 'jobs' with 3 items in it",
    "test_leaks_what_is_not_allowed": "left behind: descriptors\n",
    "test_leaks_in_a_class": "@pytest.mark.leaks('descriptors')",
}


def test_threads_descriptors_and_items_are_found(inner):
    """In a project that has no other plugin, with warnings as Python has them."""
    check(inner.outcomes(text_of("plain")), PLAIN_WORDS)


IN_LOOPS_WORDS = {
    "test_leaks_a_task[asyncio]": ", in forever at test_inner.py:",
    "test_leaks_a_system_task[trio]": "task 'test_inner.poll', in poll at ",
    "test_leaks_a_thread_that_it_abandoned[asyncio]": ".work at test_inner.py:",
    "test_leaks_a_thread_that_it_abandoned[trio]": ".work at test_inner.py:",
    "test_leaks_a_timer[asyncio]": "timer for Event.set (locks.py:",
}


def test_tasks_and_timers_are_found(inner):
    """In each loop's own way, and not those that a block or a task will wait for."""
    outcomes = inner.outcomes(text_of("in_loops"), plugins=ANYIO)
    check(outcomes, IN_LOOPS_WORDS)
    gatherer = outcomes["test_leaks_a_task_with_all_it_awaits[asyncio]"]
    assert gatherer.count("\n  task ") == gatherer.count("'gatherer'") == 1


TROUBLES = {
    "test_fails": "failure: ",
    "test_breaks_before": "LookupError",
    "test_breaks_after": "LookupError",
    "test_forgets_items": "was forgotten with 1 items",
    "test_leaves_a_socket_to_the_collector": "ResourceWarning: unclosed <socket",
    "test_leaves_nothing": "",
    "test_leaks_many": "\n  and 79 more\n",
    "test_drops_what_the_others_left": "",
}


def test_a_test_in_trouble_is_not_blamed_for_leaks_too(inner):
    """Nor is one that a warning, taken as an error, has failed already."""
    outcomes = inner.outcomes(text_of("troubled"), "-W", "error")
    assert outcomes.keys() == TROUBLES.keys()
    for name, trouble in outcomes.items():
        assert TROUBLES[name] in trouble
        assert bool(trouble) == bool(TROUBLES[name])
        assert ("left behind" in trouble) == (name == "test_leaks_many")
    assert outcomes["test_leaks_many"].count("1 item in it") == 20
    # A failed test is only told of its leaks: they may be why.
    lines = ["*_ test_fails _*", "*Captured leaks*", "*1 item in it*", "*descriptor*"]
    inner.result.stdout.fnmatch_lines(lines)
