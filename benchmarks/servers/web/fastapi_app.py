"""FastAPI's."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from . import HELLO, ROUTES, Bill, Order, bill

app = FastAPI()


@app.get("/", response_class=PlainTextResponse)
async def hello() -> str:
    return HELLO


@app.post("/items")
async def items(order: Order) -> Bill:
    return bill(order)


async def route(name: str) -> str:
    return name


for n in range(ROUTES):
    app.get(f"/route{n}/{{name}}", response_class=PlainTextResponse)(route)
