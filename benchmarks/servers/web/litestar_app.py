"""Litestar's."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, MediaType, get, post

from . import HELLO, ROUTES, Bill, Order, bill


@get("/", media_type=MediaType.TEXT)
async def hello() -> str:
    return HELLO


@post("/items", status_code=200)
async def items(data: Order) -> Bill:
    return bill(data)


def route(n: int) -> Any:
    @get(f"/route{n}/{{name:str}}", media_type=MediaType.TEXT)
    async def handler(name: str) -> str:
        return name

    return handler


app = Litestar([hello, items, *map(route, range(ROUTES))], openapi_config=None)
