"""What is where: the routes of the server, to be read from top to bottom."""

from __future__ import annotations

from csp.net import http

from . import streams
from .lines import Lines
from .stuff import Store


async def hello(request: http.Request) -> http.Response:
    """Greet whoever comes, as the talk's first program does."""
    return http.text("Hello, www!\n")


async def secret(request: http.Request) -> http.Response:
    """Tell it to those who may know."""
    return http.text("the answer is 42\n")


def may_know(request: http.Request) -> None:
    """Refuse all who do not say the word: it is asked before the handler."""
    if request.headers.get("authorization") != "Bearer please":
        raise http.Unauthorized("say please", {"WWW-Authenticate": "Bearer"})


def make_app(lines: Lines) -> http.Router:
    """Return the router of all of it, which is a handler."""
    app = http.Router()
    app.handle("GET /{$}", hello)
    app.handle("GET /ready", http.readiness)
    app.handle("GET /secret", http.conditional(may_know)(secret))

    # A namespace: what is in it knows nothing of "/1.0".
    api = Store().router()
    api.handle(
        "GET /openapi.json", http.openapi_handler(app, title="Stuff", version="1")
    )
    app.mount("/1.0", api)

    app.handle("POST /lines", lines.take)
    app.handle("GET /lines", lines.tell)
    app.handle("GET /count", streams.count)
    app.handle("GET /slow", streams.slow)
    app.handle("POST /upload", streams.upload)
    app.handle("PUT /upload", streams.upload)

    # A virtual host: another site at the same address.
    app.handle("GET admin.localhost/{$}", http.readiness)
    return app
