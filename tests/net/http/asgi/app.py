"""Apps of our handlers, for the servers of others to run, and for ours.

As a program it is that: python -m tests.net.http.asgi.app NAME DESCRIPTOR.
"""

from __future__ import annotations

import sys

import anyio

import csp
from csp.net import http
from csp.net.http.asgi import from_asgi, limit, to_asgi


def say(what):
    sys.stderr.write(f"{what}\n")


class App:
    """A handler that is entered and left."""

    async def __aenter__(self):
        say("entered")

    async def __aexit__(self, *exc_info):
        say("left")

    async def __call__(self, request):
        match request.path:
            case "/echo":
                return http.Response(body=request.body)
            case "/stream":
                return http.Response(body=numbers())
            case "/fail":
                raise ValueError("told")
            case "/task":
                csp.go(task)
                return http.text("started")
            case "/hello":
                return http.text(f"hello {request.query.get('name')}")
        raise http.NotFound("nothing here")


async def numbers():
    for n in range(1000):
        yield f"{n}\n"


async def task():
    await csp.stopping()
    say("task ended")


app = limit(to_asgi(App()), concurrency=100)


class Gate:
    """A handler that waits until it is let through, or for a moment."""

    async def __aenter__(self):
        self.open = anyio.Event()
        say("entered")

    async def __aexit__(self, *exc_info):
        say("left")

    async def __call__(self, request):
        say(f"began {request.path}")
        if request.path == "/wait":
            await self.open.wait()
        else:
            await anyio.sleep(0.3)
        say("answered")
        return http.text("ok")


gate = Gate()
narrow = limit(to_asgi(gate), concurrency=2, queue=2, retry_after=3)


async def gated(scope, receive, send):
    """Let what opens the gate pass beside the limit."""
    if scope.get("path") == "/open":
        gate.open.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"opened"})
    else:
        await narrow(scope, receive, send)


if __name__ == "__main__":
    name, descriptor = sys.argv[1:]
    csp.run(http.serve, from_asgi(globals()[name]), f"fd:{descriptor}")
