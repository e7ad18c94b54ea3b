"""An ASGI app, for servers of such."""

from __future__ import annotations

from typing import Any

from . import HELLO, LARGE, PIECE, PIECES


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["method"] == "GET" and scope["path"] == "/stream":
        await start(send, [])
        for _ in range(PIECES):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await send({"type": "http.response.body"})
    else:
        body = {"/": HELLO, "/large": LARGE}[scope["path"]]
        if scope["method"] == "POST":
            body = str(await size(receive)).encode()
        await start(send, [(b"content-length", str(len(body)).encode())])
        await send({"type": "http.response.body", "body": body})


async def lifespan(receive: Any, send: Any) -> None:
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


async def start(send: Any, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *headers]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def size(receive: Any) -> int:
    total, more = 0, True
    while more:
        message = await receive()
        total += len(message.get("body", b""))
        more = message.get("more_body", False)
    return total
