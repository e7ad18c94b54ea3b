"""What servers do when they are told to stop under load: python -m benchmarks.drain.

Each server gets 64 clients that keep their connection and pause for 0 to 5 ms between
two requests, and 8 that have sent half of a request's head.  Then it gets a SIGTERM.
The halves follow 0.3 s later.

A request is lost if nothing told the client that the connection was closing when it
was sent, and no complete response came.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import suppress
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from time import monotonic

import attrs

from ._harness import spread
from ._peers import installed
from ._report import fill, span, table
from .http import SERVERS, Server, running

CLIENTS, HALVES = 64, 8
PAUSE = 0.005  # seconds at most
BEFORE, AFTER = 0.5, 0.3  # the stop; seconds
PATIENCE = 15.0  # seconds for all to end
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@attrs.frozen
class Outcome:
    """What one stop did."""

    seconds: float
    """From the signal to the end of the process."""
    answered: int
    """Requests that were answered after the signal."""
    lost: int
    """Those of clients that keep their connections."""
    halves: int
    """Those whose other half came after the signal, and that were answered."""


class Client:
    """One connection, and what is under way on it."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.data = b""
        self.asked = self.closing = False
        self.answered = self.lost = 0

    def send(self, data: bytes) -> bool:
        """Send, unless the server is seen to close; tells whether it could."""
        with suppress(BlockingIOError):
            if not self.sock.recv(1, socket.MSG_PEEK):
                return False
        self.asked = True
        self.sock.sendall(data)
        return True

    def receive(self) -> bool:
        """Take what has come; tells whether a response is complete."""
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.lost += self.asked
            self.closing = True
            return False
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return False
        self.closing = b"connection: close" in head.lower()
        self.answered += 1
        self.asked, self.data = False, b""
        return True


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])


def stop(port: int, process: int, seed: int) -> Outcome:
    """Load a server, stop it, and see what becomes of the requests."""
    random = Random(seed)  # noqa: S311 - for pauses
    clients = [Client(port) for _ in range(CLIENTS)]
    halves = [Client(port) for _ in range(HALVES)]
    for half in halves:
        half.send(REQUEST[:20])
    load = Load(random, clients)
    load.run(monotonic() + BEFORE + random.uniform(0, 0.1))
    before = sum(client.answered for client in clients)
    began = monotonic()
    os.kill(process, signal.SIGTERM)
    ended = _end_of(process)
    load.run(began + AFTER)
    for half in halves:
        with suppress(OSError):
            half.send(REQUEST[20:])
        load.add(half)
    for _ in ended:
        load.run(monotonic() + 0.005)
        if monotonic() > began + PATIENCE:
            break
    seconds = monotonic() - began
    load.run(monotonic() + 0.05)
    for client in [*clients, *halves]:
        client.sock.close()
    return Outcome(
        seconds,
        sum(client.answered for client in clients) - before,
        sum(client.lost for client in clients),
        sum(half.answered for half in halves),
    )


class Load:
    """Clients that ask, wait for the answer, and pause."""

    def __init__(self, random: Random, clients: list[Client]) -> None:
        self._random = random
        self._selector = selectors.DefaultSelector()
        self._due: list[tuple[float, int, Client]] = []
        for client in clients:
            self.add(client)
            self._pause(client)

    def add(self, client: Client) -> None:
        self._selector.register(client.sock, selectors.EVENT_READ, client)

    def _pause(self, client: Client) -> None:
        due = monotonic() + self._random.uniform(0, PAUSE)
        heappush(self._due, (due, id(client), client))

    def run(self, until: float) -> None:
        while (now := monotonic()) < until:
            while self._due and self._due[0][0] <= now:
                self._ask(heappop(self._due)[2])
            due = min([until, *[first[0] for first in self._due[:1]]])
            for key, _ in self._selector.select(max(0.0, due - monotonic())):
                self._receive(key.data)

    def _ask(self, client: Client) -> None:
        if client.closing:
            return
        try:
            client.closing = not client.send(REQUEST)
        except OSError:
            client.lost += 1
            client.closing = True

    def _receive(self, client: Client) -> None:
        if client.receive() and not client.closing:
            self._pause(client)
        elif client.closing:
            self._selector.unregister(client.sock)


def _end_of(process: int) -> Iterator[None]:
    """Yield until a child process has ended."""
    while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        yield


def compare(rounds: int) -> dict[str, list[Outcome]]:
    """Stop all servers in each round."""
    found = [s for s in SERVERS if all(installed(p) for p in s.packages)]
    outcomes: dict[str, list[Outcome]] = {server.name: [] for server in found}
    *_, core, _ = sorted(os.sched_getaffinity(0)) * 2
    for seed in range(rounds):
        for server in found:
            outcomes[server.name].append(_stop(server, core, seed))
            print(server.name, outcomes[server.name][-1], file=sys.stderr)
    return outcomes


def _stop(server: Server, core: int, seed: int) -> Outcome:
    with running(server, core) as (port, process):
        return stop(port, process, seed)


def text(outcomes: dict[str, list[Outcome]]) -> str:
    """Write them as a table."""
    rows = [["", "seconds", "answered after it", "lost", "halves answered"]]
    for name, each in outcomes.items():
        rows.append(
            [
                name,
                span(spread([one.seconds for one in each]), None),
                f"{sum(one.answered for one in each):,}",
                f"{sum(one.lost for one in each):,}",
                f"{sum(one.halves for one in each)} of {HALVES * len(each)}",
            ]
        )
    return f"### A stop under load\n\n{table(rows)}"


def main() -> None:
    """Run what the command line says."""
    parser = ArgumentParser(description="Stop our HTTP server and others under load.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", type=Path, help="renew the table in this page")
    args = parser.parse_args()
    shown = text(compare(args.rounds))
    print(shown)
    if args.markdown is not None:
        page = fill(args.markdown.read_text(), "drain", shown)
        args.markdown.write_text(page)


if __name__ == "__main__":
    main()
