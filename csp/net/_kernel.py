"""What the kernel knows of a socket's connection, and is to do with it."""

from __future__ import annotations

import socket
import struct
import sys

_NOT_AT_ALL = struct.pack("ii", 1, 0)  # wait for what was sent, but for no time

if sys.platform == "win32":

    def queued(sock: socket.socket) -> int:
        """Return 0, as there is no way to ask."""
        return 0

else:
    from fcntl import ioctl
    from termios import TIOCOUTQ

    def queued(sock: socket.socket) -> int:
        """Return how much of what was sent the peer's side has not taken yet."""
        try:
            return int(struct.unpack("i", ioctl(sock, TIOCOUTQ, bytes(4)))[0])
        except (OSError, ValueError):  # of a closed one, or it is elsewhere
            return 0


def break_off(sock: socket.socket) -> None:
    """Have the socket's close reset the connection, and forget what was sent."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOT_AT_ALL)
