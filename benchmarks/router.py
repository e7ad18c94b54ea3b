"""How long it takes to find a handler among many: python -m benchmarks.router.

The apps have 10, 1,000 and 100,000 routes, half of them with a parameter, and are asked
for one after another; if there is a parameter, for 10,000 paths in turn, as Litestar
and BlackSheep remember what they have found for the last few.  Each router does what it
does between the request and the call of the handler; what makes the request, and the
handler, is nobody's.  So ours sets what the handler will find in its request, as
Starlette's does in its scope, and both call it; the others' return it.  The others sit
out 100,000: two of them try one route after another.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from time import perf_counter
from typing import Any, TypeAlias

from csp.net.http import Request, Router

from ._command import main
from ._harness import ANY_LOOP, Case, Contender, Goal, Measure, Suite
from ._peers import installed

SIZES = [10, 1_000, 100_000]
FEW = 1_000

IDS = 10_000

# Tells the path to ask for next.
Paths: TypeAlias = Callable[[], str]
# Makes an app with so many pairs of routes, and what finds the next route in it.
Maker: TypeAlias = Callable[[int, Paths], Callable[[], object]]


def patterns(pairs: int) -> list[str]:
    return [f"/api/r{n}{end}" for n in range(pairs) for end in ("", "/{id}")]


async def nothing(*_: object) -> None:
    """Stand for all handlers."""


def ours(pairs: int, paths: Paths) -> Callable[[], object]:
    router = Router()
    for pattern in patterns(pairs):
        router.handle(f"GET {pattern}", nothing)  # type: ignore[arg-type]
    request = Request("GET")

    def find() -> None:
        request.target = paths()
        drive(router(request))

    return find


def starlette(pairs: int, paths: Paths) -> Callable[[], object]:
    from starlette.routing import Route
    from starlette.routing import Router as Starlette

    class Endpoint:  # an app, not a function that would be wrapped
        async def __call__(self, *_: object) -> None: ...

    endpoint = Endpoint()
    app = Starlette([Route(p, endpoint, methods=["GET"]) for p in patterns(pairs)])

    def find() -> None:
        scope = {"type": "http", "method": "GET", "path": paths(), "root_path": ""}
        drive(app(scope, nothing, nothing))  # type: ignore[arg-type]

    return find


def litestar(pairs: int, paths: Paths) -> Callable[[], object]:
    from litestar import Litestar, get

    async def resource() -> None: ...
    async def item(id: str) -> None: ...  # noqa: A002 - the name of the parameter

    handlers = [
        get(p.replace("{id}", "{id:str}"))(item if "{" in p else resource)
        for p in patterns(pairs)
    ]
    router: Any = Litestar(handlers, openapi_config=None).asgi_router
    return lambda: router.handle_routing(path=paths(), method="GET")


def blacksheep(pairs: int, paths: Paths) -> Callable[[], object]:
    from blacksheep.server.routing import Router as BlackSheep

    router = BlackSheep()
    for pattern in patterns(pairs):
        router.add_get(pattern, nothing)
    router.apply_routes()
    return lambda: router.get_match_by_method_and_path("GET", paths())


PEERS: dict[str, Maker] = {
    "starlette": starlette,
    "litestar": litestar,
    "blacksheep": blacksheep,
}


def drive(coroutine: Any) -> None:
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return


def measure(maker: Maker, pairs: int, end: str) -> Measure:
    size = IDS if end else min(pairs, IDS)
    names = [f"/api/r{n * 7919 % pairs}{end.format(id=n)}" for n in range(size)]
    find = maker(pairs, cycle(names).__next__)

    def measured(size: int) -> float:
        started = perf_counter()
        for _ in range(size):
            find()
        return perf_counter() - started

    return measured


def case(size: int, kind: str, end: str) -> Case:
    pairs = size // 2
    makers: dict[str, Maker] = {"ours": ours}
    if size <= FEW:
        makers |= {name: maker for name, maker in PEERS.items() if installed(name)}
    contenders = [
        Contender(name, ANY_LOOP, measure(maker, pairs, end))
        for name, maker in makers.items()
    ]
    goals = [Goal("starlette", "ours", 1.5, 3.0, [ANY_LOOP])]
    return Case(f"{size:,} routes, {kind}", contenders, goals, per="request")


def suite() -> Suite:
    return Suite(
        "router",
        [
            case(size, kind, end)
            for size in SIZES
            for kind, end in [
                ("without a parameter", ""),
                ("with a parameter", "/{id}"),
            ]
        ],
    )


if __name__ == "__main__":
    main(suite)
