"""Making the sockets that listen: bound anew, or inherited."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ._address import TCP, Address, Descriptor, Systemd, Unix, systemd_descriptor

_NO_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


async def open_socket(wanted: Address, backlog: int, reuse_port: bool) -> socket.socket:
    """Return a socket that listens there, and does not block.

    Raises:
        OSError: One cannot listen there.
    """
    sock = await _OPEN[type(wanted)](wanted, reuse_port)
    try:
        sock.setblocking(False)
        if not isinstance(wanted, (Descriptor, Systemd)):
            sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def explained(error: OSError, what: str) -> OSError:
    """Return the same kind of error, which says what could not be done."""
    return OSError(error.errno, f"{what}: {error.strerror or error}")


async def _open_tcp(wanted: TCP, reuse_port: bool) -> socket.socket:
    if not wanted.host:
        return _bind_all(wanted.port, reuse_port)
    found = await resolve(wanted.host, wanted.port)
    # Of a name's addresses, Go takes the first that is IPv4.
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    return _bind(*found[0], reuse_port)


async def resolve(host: str, port: int) -> list[tuple[int, Any]]:
    """Return the families and addresses of a host, best first."""
    how: Any = {"type": socket.SOCK_STREAM}
    found: Any
    try:  # a number needs no thread, nor anybody else
        found = socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST, **how)
    except socket.gaierror:
        found = await anyio.getaddrinfo(host, port, **how)
    return [(family, name) for family, *_, name in found]


def _bind_all(port: int, reuse_port: bool) -> socket.socket:
    """Bind to all interfaces: one socket for IPv6 and IPv4, where there is IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return _bind(socket.AF_INET6, ("::", port), reuse_port)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
    return _bind(socket.AF_INET, ("0.0.0.0", port), reuse_port)  # noqa: S104


def _bind(family: int, name: Any, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it lets two listen at once
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            only = name[0] != "::"
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        sock.bind(name)
    except BaseException:
        sock.close()
        raise
    return sock


async def _open_unix(wanted: Unix, _: bool) -> socket.socket:
    _clear(wanted.path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(wanted.path)
    except BaseException:
        sock.close()
        raise
    return sock


def _clear(path: str) -> None:
    """Remove a Unix socket that is left from a process which has ended."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EADDRINUSE, "there is a file, and it is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:  # its queue is full
            pass
    raise OSError(errno.EADDRINUSE, "another process listens there")


def identity(path: str | None) -> tuple[int, int] | None:
    """Return what tells a file from others that had its name; None if it is gone."""
    if path is None:
        return None
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


async def _open_descriptor(wanted: Descriptor, _: bool) -> socket.socket:
    return _adopt(wanted.fd)


async def _open_systemd(wanted: Systemd, _: bool) -> socket.socket:
    return _adopt(systemd_descriptor(wanted.name))


def _adopt(fd: int) -> socket.socket:
    sock = socket.socket(fileno=fd)
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()  # it is not ours to close
        raise OSError(errno.EINVAL, "it is a socket, but does not listen")
    sock.set_inheritable(False)
    return sock


_OPEN: dict[type[Address], Callable[[Any, bool], Awaitable[socket.socket]]] = {
    TCP: _open_tcp,
    Unix: _open_unix,
    Descriptor: _open_descriptor,
    Systemd: _open_systemd,
}
