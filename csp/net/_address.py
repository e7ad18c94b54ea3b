"""Addresses: where to listen, and where to call.

One notation for all of them, and the same one in what is printed::

    127.0.0.1:8080    TCP; port 0 is any free one
    [::1]:8080        TCP over IPv6
    localhost:8080    TCP, by name
    :8080             TCP on all interfaces, IPv4 and IPv6; to call: on this machine
    unix:/run/x.sock  a Unix socket
    fd:3              a descriptor that this process was started with
    systemd:web       the same, by the name that systemd gave it (FileDescriptorName=)
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

FORMS = (
    "'127.0.0.1:8080', '[::1]:8080', ':8080', 'unix:/run/x.sock', 'fd:3' or "
    "'systemd:name'"
)

_MAX_PORT = 65535
_FIRST_FD = 3  # systemd's: after stdin, stdout and stderr
_MAX_PATH = 107  # bytes, as Linux has it; others allow a few less

_NAME = re.compile(r"[^\s:/\[\]@?#%]+")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[^\s\]]+)?")


class TCP(NamedTuple):
    """A host and a port; no host means all interfaces."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Unix(NamedTuple):
    """The path of a Unix socket; empty for a caller, which has none."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class Descriptor(NamedTuple):
    """A descriptor that was inherited."""

    fd: int

    def __str__(self) -> str:
        return f"fd:{self.fd}"


class Systemd(NamedTuple):
    """The name of a descriptor that was inherited."""

    name: str

    def __str__(self) -> str:
        return f"systemd:{self.name}"


Address: TypeAlias = TCP | Unix | Descriptor | Systemd


def parse(text: str) -> Address:
    """Return what an address says.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(text, str):
        raise TypeError(f"an address is a string such as {FORMS}, not {text!r}")
    scheme, colon, rest = text.partition(":")
    special = _SCHEMES.get(scheme) if colon else None
    return special(rest, text) if special else _tcp(text)


def _unix(path: str, text: str) -> Unix:
    if not path or "\0" in path:
        raise ValueError(f"{text!r} has no path. Write it as 'unix:/run/x.sock'")
    if len(os.fsencode(path)) > _MAX_PATH:
        raise ValueError(
            f"{text!r} is too long: the path of a Unix socket has at most "
            f"{_MAX_PATH} bytes"
        )
    return Unix(path)


def _descriptor(number: str, text: str) -> Descriptor:
    if not _is_number(number):
        raise ValueError(f"{text!r} has no descriptor's number. Write it as 'fd:3'")
    return Descriptor(int(number))


def _systemd(name: str, text: str) -> Systemd:
    if not name or ":" in name:
        raise ValueError(f"{text!r} names no socket. Write it as 'systemd:web'")
    return Systemd(name)


_SCHEMES: dict[str, Any] = {"unix": _unix, "fd": _descriptor, "systemd": _systemd}


def _tcp(text: str) -> TCP:
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text!r} is no address: it may be {FORMS}")
    if not _is_number(port) or int(port) > _MAX_PORT:
        raise ValueError(f"{text!r} has no port: that is a number up to {_MAX_PORT}")
    if host.startswith("[") and host.endswith("]") and _IPV6.fullmatch(host[1:-1]):
        return TCP(host[1:-1], int(port))
    if _IPV6.fullmatch(host):
        raise ValueError(f"{text!r} is ambiguous: write '[{host}]:{port}'")
    if host and not _NAME.fullmatch(host):
        raise ValueError(f"{text!r} is no address: it may be {FORMS}")
    return TCP(host, int(port))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(_MAX_PORT))


def show(name: Any) -> str:
    """Format what a socket says its address is, or its peer's.

    An IPv4 address that came to a socket for both is shown as what it is.
    """
    if isinstance(name, tuple):
        return str(TCP(name[0].removeprefix("::ffff:"), name[1]))
    return str(Unix(os.fsdecode(name or b"")))


def systemd_descriptor(name: str, environ: Mapping[str, str] = os.environ) -> int:
    """Return the descriptor that systemd, or who works like it, passed by that name.

    Raises:
        ValueError: There is none, or there are several.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        raise ValueError(
            f"'systemd:{name}' is not there: this process was started without sockets "
            "(LISTEN_PID is not its number)"
        )
    count = environ.get("LISTEN_FDS", "")
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    passed = names[: int(count)] if _is_number(count) else []
    if passed.count(name) != 1:
        raise ValueError(
            f"'systemd:{name}' names {passed.count(name)} of the sockets that were "
            f"passed, which are {passed}; it should name one"
        )
    return _FIRST_FD + passed.index(name)
