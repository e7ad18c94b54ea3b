"""An app of our handlers, for the servers of others to run."""

from __future__ import annotations

import sys

import csp
from csp.net import http
from csp.net.http.asgi import limit, to_asgi


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
