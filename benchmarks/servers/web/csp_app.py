"""Ours."""

from __future__ import annotations

from csp.net import http

from . import HELLO, ROUTES, Bill, Order, bill

app = http.Router()


@app.get("/")
async def hello(request: http.Request) -> http.Response:
    return http.text(HELLO)


@app.post("/items")
@http.marshaled
async def items(order: Order) -> Bill:
    return bill(order)


async def route(request: http.Request) -> http.Response:
    return http.text(request.params["name"])


for n in range(ROUTES):
    app.handle(f"GET /route{n}/{{name}}", route)
