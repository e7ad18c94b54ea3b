"""A server that keeps a ledger: what became of every request, one line for each step.

    python -m tests.net.http.drain.server '{"ledger": "path", "backend": "trio"}'

It prints its addresses, and when it has been stopped its report.  The exit code is 4 if
something was cut.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

import anyio
import anyio.lowlevel

import csp
from csp.net import http
from csp.net.http.serve import _server
from csp.net.http.serve._session import Session

APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Ledger:
    """An append-only file, of which nothing is lost with the process."""

    def __init__(self, path):
        self._fd = os.open(path, APPEND, 0o600)

    def __call__(self, event, *facts):
        line = json.dumps([time.monotonic(), event, *facts]) + "\n"
        os.write(self._fd, line.encode())


class NotedSession(Session):
    """A session that notes what it does."""

    ledger: Ledger

    def __init__(self, server, conn):
        super().__init__(server, conn)
        self.ledger("accepted", conn.peer)

    async def _exchange(self, head):
        self.id = head.headers.get("id", "")
        self.ledger("head", self.id)
        return await super()._exchange(head)

    async def _answer(self, head, response, keep):
        self.ledger("answer", self.id, self.server.stopping)
        return await super()._answer(head, response, keep)

    def _acquit(self):
        super()._acquit()
        self.ledger("flushed", getattr(self, "id", ""))


class NotedServer(http.Server):
    """A server that notes when it hears of the stop."""

    ledger: Ledger

    async def _hear(self):
        await csp.stopping()
        self.ledger("stop")
        await super()._hear()


async def pieces(count, ledger, name):
    """A stream that heeds nothing."""
    try:
        for _ in range(count):
            yield bytes(1000)
            await anyio.lowlevel.checkpoint()
    finally:
        ledger("closed", name)


async def ticks():
    """A stream that ends when it is told of the stop."""
    while True:
        yield b"tick"
        match await csp.select(tick=csp.after(0.05), stop=csp.stopping()):
            case "stop", _:
                yield b"bye"
                return


def handler(ledger):
    async def handle(request):
        name = request.headers.get("id", "")
        what, _, value = request.path[1:].partition("/")
        ledger("start", name)
        if what == "sleep":
            await anyio.sleep(float(value))
        elif what == "block":
            time.sleep(float(value))  # noqa: ASYNC251 - the loop is to stand still
        elif what == "later":
            csp.go(after, ledger, name)
        body = await request.read()
        response = http.text(f"{name} {len(body)}")
        if what == "large":
            response = http.Response(body=bytes(int(value)))
        elif what == "stream":
            response = http.Response(body=pieces(int(value), ledger, name))
        elif what == "ticks":
            response = http.Response(body=ticks())
        ledger("end", name)
        return response

    return handle


async def after(ledger, name):
    await anyio.sleep(0.3)
    ledger("after", name)


async def main(options):
    ledger = NotedServer.ledger = NotedSession.ledger = Ledger(options["ledger"])
    server = NotedServer(
        handler(ledger),
        limits=http.Limits(**options.get("limits", {})),
        grace=options.get("grace"),
    )
    if files := options.get("descriptors"):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    async with csp.Group() as g:
        handle = g.go(serve, server, options)
    return await handle


async def serve(server, options):
    class Started:
        def started(self, addresses):
            print(*addresses, flush=True)  # noqa: T201 - its output

    tls = options.get("tls")
    where = [await csp.net.listen("127.0.0.1:0", backlog=1024)]
    if tls:
        where.append(await csp.net.listen("127.0.0.1:0", tls=tuple(tls)))
    return await server.serve(*where, task_status=Started())


if __name__ == "__main__":
    _server.Session = NotedSession
    chosen = json.loads(sys.argv[1])
    report = csp.run(main, chosen, backend=chosen["backend"])
    print(json.dumps([report, report.requests]))  # noqa: T201
    sys.exit(4 if report.cut else 0)
