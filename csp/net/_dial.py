"""Calling others."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import anyio

from ._address import TCP, Address, Unix, parse
from ._connection import Connection, SocketConnection, connection
from ._sockets import explained, resolve

if TYPE_CHECKING:
    from ssl import SSLContext


async def dial(
    address: str,
    *,
    tls: bool | SSLContext | None = None,
    server_name: str | None = None,
) -> Connection:
    """Connect to an address.

        async with await dial("127.0.0.1:1234") as conn:
            await conn.send(b"hello")
            print(await conn.receive())

    If a name has several addresses they are tried one after the other.  It takes as
    long as the kernel lets it: put it under `anyio.fail_after`.

    Args:
        address: ``"127.0.0.1:8080"``, ``"example.com:443"``, ``":8080"`` (on this
            machine), ``"unix:/run/x.sock"``.
        tls: Whether to encrypt, and verify the server's certificate as the system does;
            or the context to do so with.
        server_name: What the certificate must be for; by default the host.

    Raises:
        ValueError: That is no address to call.
        OSError: There was no connection; it says why.
        ssl.SSLError: The handshake failed, such as for the certificate.
    """
    wanted = parse(address)
    try:
        conn = await _connect(wanted, address)
    except OSError as error:
        raise explained(error, f"cannot connect to {address}") from error
    if not tls:
        return conn
    from ._tls import secure

    if server_name is None and isinstance(wanted, TCP):
        server_name = wanted.host or "localhost"
    return await secure(conn, tls, server_name)


async def _connect(wanted: Address, address: str) -> SocketConnection:
    if isinstance(wanted, Unix):
        return await _try(socket.AF_UNIX, wanted.path)
    if not isinstance(wanted, TCP) or not wanted.port:
        raise ValueError(f"{address!r} cannot be called: that needs a host and a port")
    *others, last = await resolve(wanted.host or "localhost", wanted.port)
    for family, name in others:
        try:
            return await _try(family, name)
        except OSError:
            continue
    return await _try(*last)


async def _try(family: int, name: Any) -> SocketConnection:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        try:
            sock.connect(name)
        except BlockingIOError:
            await anyio.wait_writable(sock)
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code)) from None
        return connection(sock, name)
    except BaseException:
        sock.close()
        raise
