"""A stop at any moment, whatever the order of the steps of server and clients.

In memory, so that nothing else has a part in it: the listener's queue is the kernel's.
"""

from __future__ import annotations

from importlib.util import find_spec

import anyio
import pytest

import csp
from csp.net import http
from csp.net.http import testing
from csp.testing import explore
from tests.net.http.memory import get, parse, post

BACKENDS = ("asyncio", *(["trio"] if find_spec("trio") else []))

LINGER = 1
BRIEF, LONG = LINGER / 2, LINGER * 2  # pauses, in seconds that take no time

AT_MOST = 10  # seconds for a drain: who is idle has 60 otherwise

# What a client does, and what is to come back.
CLIENTS = {
    "one": ([get("/1")], [b"/1 0"]),
    "silent": ([BRIEF, get("/1")], [b"/1 0"]),
    "halves": ([get("/1")[:9], LONG, get("/1")[9:]], [b"/1 0"]),
    "an upload": ([post(b"abcdef")[:-3], LONG, b"def"], [b"/ 6"]),
    "pipelined": ([get("/1") + get("/2")], [b"/1 0", b"/2 0"]),
    "one and a half": (
        [get("/1") + get("/2")[:5], LONG, get("/2")[5:]],
        [b"/1 0", b"/2 0"],
    ),
    "one, and later another": ([get("/1"), BRIEF, get("/2")], [b"/1 0", b"/2 0"]),
    "work that goes on": ([get("/go")], [b"/go 0"]),
}
TOGETHER = [
    *[(name,) for name in CLIENTS],
    ("one", "one"),
    ("halves", "pipelined"),
    ("an upload", "work that goes on"),
]


class Listener(testing.Listener):
    """A listener that knows who was accepted."""

    def __init__(self):
        super().__init__()
        self.accepted = set()

    def accept_nowait(self):
        conn = super().accept_nowait()
        self.accepted.add(conn.peer)
        return conn


class Program:
    """A server for one request at a time, clients, and a stop."""

    def __init__(self, names, connections):
        self.names = names
        self.limits = http.Limits(requests=1, connections=connections, linger=LINGER)
        self.begun = self.ended = 0

    async def handler(self, request):
        if request.path == "/go":
            csp.go(self.work)
        size = len(await request.read())
        await anyio.lowlevel.checkpoint()
        return http.text(f"{request.path} {size}")

    async def work(self):
        self.begun += 1
        await anyio.lowlevel.checkpoint()
        self.ended += 1

    async def client(self, listener, pieces, bodies):
        try:
            conn = await listener.dial()
        except ConnectionRefusedError:
            return
        in_time = not self.stop.requested
        data = b""
        async with conn:
            try:
                for piece in pieces:
                    if isinstance(piece, bytes):
                        await conn.send(piece)
                    else:
                        await anyio.sleep(piece)
                async for piece in conn:
                    data += piece
            except anyio.BrokenResourceError:
                assert not in_time
                assert conn.local not in listener.accepted
                return
        answers = parse(data)
        assert not any(answer.closing for answer in answers[:-1])
        if answers[-1].closing and BRIEF in pieces[1:]:
            bodies = bodies[: len(answers)]  # it sent more to one that had closed
        assert [answer.body for answer in answers] == bodies

    async def __call__(self):
        listener, reports = Listener(), []

        async def serve(*, task_status):
            report = await http.serve(
                self.handler, listener, limits=self.limits, task_status=task_status
            )
            reports.append(report)

        async with csp.stop_scope() as self.stop, csp.Group() as g:
            await g.start(serve)
            for name in self.names:
                g.go(self.client, listener, *CLIENTS[name])
            await anyio.lowlevel.checkpoint()
            self.stop.request()
        (report,) = reports
        assert (report.cut, report.requests.cut) == (0, 0)
        assert report.seconds < AT_MOST
        assert self.begun == self.ended


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("connections", [1, 10])
@pytest.mark.parametrize("names", TOGETHER, ids=" and ".join)
def test_who_has_connected_is_answered(names, connections, backend, scale):
    """All that it has sent, in every order that was tried."""

    async def program():
        await Program(names, connections)()

    result = explore(program, runs=scale(40, 1500), backend=backend)
    assert result.runs
