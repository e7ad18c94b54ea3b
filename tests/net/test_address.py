"""The notation of addresses."""

from __future__ import annotations

import os
import re

import pytest

from csp.net._address import (
    TCP,
    Descriptor,
    Systemd,
    Unix,
    parse,
    show,
    systemd_descriptor,
)

GOOD = {
    "127.0.0.1:8080": TCP("127.0.0.1", 8080),
    "localhost:1": TCP("localhost", 1),
    "example.com:65535": TCP("example.com", 65535),
    ":8080": TCP("", 8080),
    ":0": TCP("", 0),
    "[::1]:0": TCP("::1", 0),
    "[fe80::1%eth0]:80": TCP("fe80::1%eth0", 80),
    "[::ffff:10.0.0.1]:80": TCP("::ffff:10.0.0.1", 80),
    "unix:/run/x.sock": Unix("/run/x.sock"),
    "unix:x:1": Unix("x:1"),
    "fd:3": Descriptor(3),
    "systemd:web": Systemd("web"),
}

BAD = [
    "",
    ":",
    "8080",
    "localhost",
    "localhost:",
    "localhost:http",
    "localhost:-1",
    "localhost:65536",
    "localhost:99999999999999999999",
    "localhost:８０",  # noqa: RUF001 - digits, but not ours
    "localhost: 80",
    " localhost:80",
    "local host:80",
    "::1:80",
    "::1",
    "[::1]",
    "[::1]80",
    "[localhost]:80",
    "[]:80",
    "http://localhost:80",
    "user@host:80",
    "unix:",
    "unix:a\0b",
    "unix:/" + "x" * 107,
    "fd:",
    "fd:-1",
    "fd:x",
    "systemd:",
    "systemd:a:b",
]


@pytest.mark.parametrize("text", GOOD)
def test_an_address_is_read_and_printed_alike(text):
    """What an address says is what it was written as."""
    assert parse(text) == GOOD[text]
    assert str(parse(text)) == text


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused_by_name(text):
    """The error shows what was given."""
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse(text)


@pytest.mark.parametrize("value", [None, 8080, b":8080", ("127.0.0.1", 80)])
def test_an_address_is_a_string(value):
    """Other types are a TypeError that shows how to write one."""
    with pytest.raises(TypeError, match="127.0.0.1:8080"):
        parse(value)


def test_an_ipv6_address_without_brackets_is_shown_with_them():
    """The error says what was meant."""
    with pytest.raises(ValueError, match=r"write '\[::1\]:80'"):
        parse("::1:80")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("::1", 80, 0, 0), "[::1]:80"),
        (("::ffff:10.0.0.1", 80, 0, 0), "10.0.0.1:80"),
        ("/run/x", "unix:/run/x"),
        ("", "unix:"),
        (b"", "unix:"),
    ],
)
def test_what_the_kernel_says_is_printed_as_an_address(name, text):
    """An IPv4 peer of a socket for both is an IPv4 address."""
    assert show(name) == text


def passed(count, names, pid=None):
    return {
        "LISTEN_PID": str(os.getpid() if pid is None else pid),
        "LISTEN_FDS": str(count),
        "LISTEN_FDNAMES": names,
    }


def test_systemd_sockets_are_found_by_name():
    """The first descriptor is 3."""
    environ = passed(3, "web:admin:web2")
    assert [systemd_descriptor(n, environ) for n in ("web", "admin", "web2")] == [
        3,
        4,
        5,
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        passed(1, "other"),
        passed(1, "other:web"),  # more names than sockets
        passed(2, "web:web"),
        passed(0, "web"),
        passed("x", "web"),
        passed(1, "web", pid=1),
    ],
)
def test_a_socket_that_systemd_did_not_pass_is_refused(environ):
    """Not passed, passed twice, or passed to another process."""
    with pytest.raises(ValueError, match="systemd:web"):
        systemd_descriptor("web", environ)
