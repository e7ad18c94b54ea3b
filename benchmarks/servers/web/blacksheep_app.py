"""BlackSheep's, with msgspec for what is within what."""

from __future__ import annotations

import msgspec
from blacksheep import Application, FromJSON, Response, json, text

from . import HELLO, ROUTES, Order, bill

app = Application()


async def hello() -> Response:
    return text(HELLO)


async def items(order: FromJSON[dict]) -> Response:  # type: ignore[type-arg]
    return json(bill(msgspec.convert(order.value, Order)))


async def route(name: str) -> Response:
    return text(name)


app.router.add_get("/", hello)
app.router.add_post("/items", items)
for n in range(ROUTES):
    app.router.add_get(f"/route{n}/:name", route)
