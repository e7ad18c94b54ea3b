"""Flags in the environment, and what counts if they are on the command line too."""

from __future__ import annotations

import pytest

pytest.importorskip("httptools")

from csp.net._cli._flags import parse
from csp.net._cli._unable import Unable
from csp.net._cli._where import addresses
from csp.net.http import Limits


def options(*args, **environ):
    return parse(["program:app", *args], Limits, environ)


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("CSP_PORT", "9000", "port", 9000),
        ("CSP_LOOP", "trio", "backend", "trio"),
        ("CSP_LOG_LEVEL", "ERROR", "log_level", "error"),
        ("CSP_RELOAD", "true", "reload", True),
        ("CSP_RELOAD", "0", "reload", False),
        ("CSP_ACCESS_LOG", "False", "access_log", False),
        ("CSP_NO_ACCESS_LOG", "1", "access_log", False),
        ("CSP_NO_ACCESS_LOG", "0", "access_log", True),
        ("CSP_RELOAD_DIR", "a b", "reload_dir", ["a", "b"]),
        ("CSP_TIMEOUT_GRACEFUL_SHUTDOWN", "1.5", "grace", 1.5),
        ("CSP_PORT", "", "port", None),
    ],
)
def test_a_variable_is_as_its_flag(variable, text, name, value):
    """By any name of the flag; an empty one is as none."""
    assert getattr(options(**{variable: text}), name) == value


def test_limits_are_flags_too():
    """inf included."""
    limits = options(CSP_BODY_BYTES="inf", CSP_IDLE_TIMEOUT="3").limits
    assert (limits.body_bytes, limits.idle_timeout) == (float("inf"), 3.0)


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("CSP_PORT", "x", "CSP_PORT is 'x', which is no int"),
        ("CSP_GRACE", "soon", "CSP_GRACE is 'soon', which is no float"),
        ("CSP_QUEUE", "many", "CSP_QUEUE is 'many', which is no number"),
        ("CSP_BACKEND", "curio", "CSP_BACKEND is 'curio'. It may be one of asyncio, "),
        ("CSP_RELOAD", "maybe", "CSP_RELOAD is 'maybe'. It may be one of true, "),
    ],
)
def test_a_bad_value_names_its_variable(variable, text, words):
    """And says what it may be."""
    with pytest.raises(Unable, match=words):
        options(**{variable: text})


def test_what_is_no_flag_is_left_alone():
    """Others use the prefix too; and what a parent tells its child is no setting."""
    left = options(CSP_REPORT_URI="/x", CSP_HELP="1", CSP_INHERIT="3")
    assert left.inherit is None


def test_the_command_line_wins():
    """Over the same flag, by whatever name; in a list nothing is added."""
    given = options(
        *("--loop", "trio", "--access-log", "--reload-dir", "c"),
        CSP_BACKEND="uvloop",
        CSP_ACCESS_LOG="0",
        CSP_RELOAD_DIR="a b",
    )
    assert given.backend == "trio"
    assert given.access_log
    assert given.reload_dir == ["c"]


@pytest.mark.parametrize(
    ("args", "environ", "where"),
    [
        ([], {}, ["127.0.0.1:8000"]),
        ([], {"CSP_PORT": "1", "CSP_HOST": "::1"}, ["[::1]:1"]),
        ([], {"CSP_BIND": "a:1 b:2"}, ["a:1", "b:2"]),
        (["--port", "2"], {"CSP_PORT": "1", "CSP_HOST": "::1"}, ["[::1]:2"]),
        (["--port", "2"], {"CSP_UDS": "x", "CSP_BIND": "a:1"}, ["127.0.0.1:2"]),
        ([":3"], {"CSP_PORT": "1", "CSP_BIND": "a:1"}, [":3"]),
        (["--uds", "x"], {"CSP_PORT": "1", "CSP_FD": "4"}, ["unix:x"]),
    ],
)
def test_where_to_listen_is_one_thing(args, environ, where):
    """An address replaces those of the environment; a host and a port go together."""
    assert addresses(options(*args, **environ)) == where


def test_limits_of_the_environment_do_not_soften_a_flag():
    """--limit-concurrency stands for two of them."""
    limits = options("--limit-concurrency", "1", CSP_QUEUE="9", CSP_REQUESTS="9").limits
    assert (limits.requests, limits.queue) == (1, 0)
