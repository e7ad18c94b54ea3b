"""The router: from a request's method, host and path to the handler that answers it.

What a request costs here it costs every request, so the usual ways are short: a path
that is a pattern is found in a dict by the target as it was sent, without a look at
anything else; only for others it is divided, decoded and searched for in a tree.  And a
router is no coroutine of its own: it returns that of the handler it has found.

What is matched is the target's path after `request.mount`, and the host if any pattern
has one.  Hosts are tried one after another, the most specific first, and then those
patterns that have none.  So a host beats none, whatever their paths.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import attrs

from csp.net.http._errors import MethodNotAllowed, NotFound
from csp.net.http._makers import redirect
from csp.net.http._message import Request, Response

from ._host import candidates
from ._path import Divided, is_clean
from ._registry import Registry
from ._routes import Registered
from ._table import Table
from ._tree import ENDS, LACKS_SLASH

_NONE: dict[str, Registered] = {}


@attrs.frozen
class _Outer:
    """What the routers have found that this one is mounted in."""

    host: str
    path: str
    params: Mapping[str, Any]


class Router(Registry):
    """A handler that hands each request to the handler for its method and path.

        router = Router()

        @router.get("/users/{id:int}")
        async def user(request: Request) -> Response:
            return text(f"user {request.params['id']}")

        router.handle("GET /files/{path...}", files)
        router.mount("/1.0", api)

    Patterns are "[METHOD ][HOST]/PATH", as in Go.  A path with a slash at its end
    stands for all that begins so: "/" for everything, and "/{$}" for the root alone.
    Of those that match the most specific is chosen, in whatever order they came.

    The handler finds the parameters in `request.params` and the pattern in
    `request.pattern`.  Without a pattern for the path it is NotFound, with one only for
    other methods MethodNotAllowed.  GET patterns answer HEAD too, and OPTIONS is
    answered with what is allowed.  A path that only lacks a slash is redirected.

    Args:
        converters: More than "int", "float" and "uuid", by name: functions of a str, or
            instances of `Converter`.
    """

    def __call__(self, request: Request) -> Awaitable[Response]:
        """Answer a request.

        Raises:
            NotFound: There is no pattern for the path.
            MethodNotAllowed: There is none for the method; `Allow` has the others.
        """
        if self._only and request._outer is None and not request.mount:
            route = self._exact.get(request.method, _NONE).get(request.target)
            if route is not None:
                request.pattern = route.text
                return route.handler(request)
        return self._search(request)

    def _search(self, request: Request) -> Awaitable[Response]:
        """Answer what is not found at once."""
        method, path = request.method, request.target
        if "?" in path or request.mount:
            path = request.subpath
        if not is_clean(path):
            return _answered(self._instead(request, path, ()))
        tables = self._only or self._tables_for(request)
        lacks_slash = False
        for table in tables:
            route = table.exact.get(method, _NONE).get(path)
            if route is not None:
                return _passed_on(request, route, None)
            route, how, divided = table.tree.find(method, path)
            lacks_slash = lacks_slash or how == LACKS_SLASH
            if route is not None:
                if lacks_slash and how != ENDS:
                    break
                return _passed_on(request, route, divided)
        if lacks_slash:
            return _answered(_with_slash(request))
        return _answered(self._instead(request, path, tables))

    def _tables_for(self, request: Request) -> Sequence[Table]:
        hosts = candidates(request.host)
        return [self._tables[host] for host in hosts if host in self._tables]

    def _instead(
        self, request: Request, path: str, tables: Sequence[Table]
    ) -> Response:
        """Answer what no pattern matches.

        Raises:
            NotFound, MethodNotAllowed: It is that.
        """
        asked = request.method
        if request.target == "*" and asked == "OPTIONS":
            every = {route.pattern.method for route in self._registered}
            return Response(204, headers={"Allow": _allow(every)})
        methods: set[str] = set()
        for table in tables:
            table.tree.find("", path, methods)
        if not methods:
            whole = request.target.partition("?")[0]
            raise NotFound(f"{asked} {whole} not found")
        allow = _allow(methods)
        if asked == "OPTIONS":
            return Response(204, headers={"Allow": allow})
        raise MethodNotAllowed(f"only {allow} are allowed", {"Allow": allow})


def _passed_on(
    request: Request, route: Registered, path: Divided | None
) -> Awaitable[Response]:
    """Call the handler of a route; without `path` it has no parameters."""
    outer = request._outer
    if path is not None and route.params:
        segments = path.segments
        request.params = {
            name: path.value(at, kind) if kind else segments[at]
            for name, at, kind in route.params
        }
        if outer is not None:
            request.params = {**outer.params, **request.params}
    request.pattern = route.text
    if outer is not None:
        pattern = route.pattern
        full = (
            f"{pattern.method} {pattern.host or outer.host}{outer.path}{pattern.path}"
        )
        request.pattern = full.lstrip(" ")
    if route.is_mount:
        assert path is not None
        return _mounted(request, route, path.before(len(route.pattern.fixed)))
    return route.handler(request)


async def _mounted(request: Request, route: Registered, taken: str) -> Response:
    """Call a handler that is mounted, with so much of the path taken off."""
    before = request.mount, request._outer
    outer = request._outer or _Outer("", "", {})
    request.mount += taken
    request._outer = _Outer(
        route.pattern.host or outer.host,
        outer.path + route.pattern.path[:-1],
        request.params,
    )
    try:
        return await route.handler(request)
    finally:
        # Somebody might ask another router after this one.
        request.mount, request._outer = before


async def _answered(response: Response) -> Response:
    return response


def _with_slash(request: Request) -> Response:
    """Redirect to the path with a slash at its end; never to another host."""
    path, mark, query = request.target.partition("?")
    return redirect(f"/{path.lstrip('/')}/{mark}{query}", 308)


def _allow(methods: set[str]) -> str:
    allowed = methods - {""} | {"OPTIONS"}
    if "GET" in allowed:
        allowed.add("HEAD")
    return ", ".join(sorted(allowed))
