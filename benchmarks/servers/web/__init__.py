"""The same app in several frameworks, on our server.

GET / says hello, POST /items takes and gives JSON, and of 1,000 routes with a parameter
each, GET /route500/x is one in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass

HELLO = "Hello, www!\n"
ROUTES = 1_000


@dataclass
class Line:
    """What is ordered."""

    name: str
    price: float
    count: int


@dataclass
class Order:
    """What a client sends."""

    customer: str
    lines: list[Line]


@dataclass
class Bill:
    """What it gets."""

    customer: str
    total: float
    lines: list[Line]


def bill(order: Order) -> Bill:
    """Do what little work there is."""
    total = sum(line.price * line.count for line in order.lines)
    return Bill(order.customer, total, order.lines)
