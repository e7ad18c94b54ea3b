"""What the kernel knows of a connection, and is to do with it."""

from __future__ import annotations

import socket
import struct
import sys

from anyio.abc import SocketAttribute

from csp.net._connection import Connection


def delivered(conn: Connection) -> int:
    """Return how many bytes the client's side has taken.

    A kernel takes megabytes from us at once, and then no more until a good part of them
    is gone, so what it has taken tells little of a client.  What it still has tells
    more, where it can be asked.
    """
    sock = _socket(conn)
    return conn.bytes_sent - (0 if sock is None else _queued(sock))


if sys.platform == "win32":

    def _queued(sock: socket.socket) -> int:
        return 0  # there is no way to ask

else:
    from fcntl import ioctl
    from termios import TIOCOUTQ

    def _queued(sock: socket.socket) -> int:
        try:
            return int(struct.unpack("i", ioctl(sock, TIOCOUTQ, bytes(4)))[0])
        except OSError:  # so it is elsewhere
            return 0


def abort(conn: Connection) -> None:
    """Close a connection so that the client sees that it was broken off."""
    if (sock := _socket(conn)) is not None:
        reset = struct.pack("ii", 1, 0)  # wait for it to be sent, but not at all
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    conn.close()


def _socket(conn: Connection) -> socket.socket | None:
    sock = conn.extra(SocketAttribute.raw_socket, None)  # noqa: S610
    return sock if sock is not None and sock.fileno() >= 0 else None
