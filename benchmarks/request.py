"""What a small request costs, part by part: python -m benchmarks.request.

It is the GET that wrk sends, over a connection that costs nothing, so what is missing
is the kernel and the event loop: `benchmarks.http` has those.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from time import process_time
from timeit import repeat
from typing import Any

import anyio

import csp
from csp.net import Connection, http
from csp.net.http import wire

from ._report import table

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: wrk/4.1.0\r\n"
    b"Accept: */*\r\n\r\n"
)
DATE = b"Mon, 23 Nov 2026 18:28:32 GMT"
TIMES = 20_000
ROUNDS = 7


async def hello(_: http.Request) -> http.Response:
    return http.text("Hello, www!\n")


def parse(request: Callable[[], bytes]) -> Callable[[], Any]:
    parser = wire.Parser()

    def once() -> Any:
        parser.feed(request())
        return parser.next_event()

    return once


def parts() -> dict[str, Callable[[], Any]]:
    """Return what can be measured alone."""
    numbers = count()
    head = parse(lambda: REQUEST)()
    body = http.Request().body
    response = http.text("Hello, www!\n")
    return {
        "read the head, headers as before": parse(lambda: REQUEST),
        "read the head, headers that change": parse(
            lambda: REQUEST[:-2] + b"X: %d\r\n\r\n" % next(numbers)
        ),
        "make the Request": lambda: http.Request(
            head.method, head.path_and_query, head.headers, body, "1.1", "a", "b"
        ),
        "make the Response": lambda: http.text("Hello, www!\n"),
        "make bytes of it": lambda: wire.whole_response(
            200, response.headers, b"Hello, www!\n", date=DATE
        ),
    }


class Endless(Connection):
    """A connection over which the same request comes again and again."""

    read_deadline = write_deadline = 0.0
    bytes_received = bytes_sent = unsent = 0
    peer = local = "127.0.0.1:1"

    def __init__(self, times: int) -> None:
        self._left = times

    async def receive(self, max_bytes: int = 0) -> bytes:
        if not self._left:
            raise anyio.EndOfStream
        self._left -= 1
        return REQUEST

    async def send(self, item: bytes) -> None:
        pass

    def raised(self, error: BaseException) -> bool:
        return False

    async def send_eof(self) -> None:
        pass

    def close(self) -> None:
        pass


async def whole() -> float:
    """Return what a request costs in all, in seconds."""
    costs = []
    for _ in range(ROUNDS):
        before = process_time()
        await http.Server(hello).handle(Endless(TIMES))
        costs.append((process_time() - before) / TIMES)
    return min(costs)


def main() -> None:
    rows = [["", "µs"]]
    for name, part in parts().items():
        cost = min(repeat(part, number=TIMES, repeat=ROUNDS)) / TIMES
        rows.append([name, f"{cost * 1e6:.2f}"])
    rows.append(["all of it, and the session", f"{csp.run(whole) * 1e6:.2f}"])
    print(table(rows))


if __name__ == "__main__":
    main()
