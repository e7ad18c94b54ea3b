"""The client of `echo`, in a process of its own so that it is not measured.

It reads lines of a port, a number of connections and a number of messages; sends that
many over these connections, each when the one before has come back; and says so.
"""

from __future__ import annotations

import socket
import sys
from selectors import EVENT_READ, DefaultSelector

MESSAGE = bytes(100)


def ping(port: int, connections: int, messages: int) -> None:
    """Send messages back and forth."""
    socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    with DefaultSelector() as selector:
        for sock in socks:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(sock, EVENT_READ, sock)
            _exchange(sock)  # so that all of them have been accepted
        for sock in socks:
            sock.sendall(MESSAGE)
        sent, received = len(socks), 0
        while received < sent:
            for key, _ in selector.select():
                key.data.recv(len(MESSAGE), socket.MSG_WAITALL)
                received += 1
                if sent < messages:
                    key.data.sendall(MESSAGE)
                    sent += 1
    for sock in socks:
        sock.close()


def _exchange(sock: socket.socket) -> None:
    sock.sendall(MESSAGE)
    sock.recv(len(MESSAGE), socket.MSG_WAITALL)


if __name__ == "__main__":
    for line in sys.stdin:
        ping(*map(int, line.split()))
        print("done", flush=True)
