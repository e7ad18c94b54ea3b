"""Starlette's, with msgspec for JSON, as it has nothing for types."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from . import HELLO, ROUTES, Order, bill

_decode = msgspec.json.Decoder(Order).decode


async def hello(request: Request) -> Response:
    return PlainTextResponse(HELLO)


async def items(request: Request) -> Response:
    body = msgspec.json.encode(bill(_decode(await request.body())))
    return Response(body, media_type="application/json")


async def route(request: Request) -> Response:
    return PlainTextResponse(request.path_params["name"])


app = Starlette(
    routes=[
        Route("/", hello),
        Route("/items", items, methods=["POST"]),
        *[Route(f"/route{n}/{{name}}", route) for n in range(ROUTES)],
    ]
)
