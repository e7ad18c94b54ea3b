"""What is registered with a router: patterns and handlers, mounts and names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from csp.net.http._entered import all_entered

from ._convert import Converter
from ._convert import converters as all_converters
from ._pattern import Pattern, parse
from ._routes import Handler, Registered, Route, caller, params_of, path_of
from ._table import Table

H = TypeVar("H", bound=Handler)


class Registry:
    """A router, but for the answering."""

    def __init__(
        self,
        *,
        converters: Mapping[str, Converter | Callable[[str], Any]] | None = None,
    ) -> None:
        self._converters = all_converters(converters)
        default = Table()
        self._tables = {"": default}  # by host
        self._only: tuple[Table] | None = (default,)  # unless a pattern has a host
        self._exact = default.exact
        self._registered: list[Registered] = []
        self._names: dict[str, Registered] = {}

    # Registering

    def handle(
        self, pattern: str, handler: Handler, *, name: str | None = None
    ) -> None:
        """Let a handler answer the requests that a pattern matches.

        Args:
            pattern: Such as "GET /users/{id}", "/static/" or "GET example.com/{$}".
            handler: An async function of a request, or another handler.
            name: What `url` calls it.

        Raises:
            ValueError: It is no pattern, or conflicts with another: both match some
                request, and neither is more specific.  Or the name is taken.
        """
        self._add(parse(pattern, self._converters), handler, name)

    def route(self, pattern: str, name: str | None = None) -> Callable[[H], H]:
        """Do as `handle`, as a decorator.

        @router.route("/users/{id}")
        async def user(request: Request) -> Response: ...
        """

        def decorate(handler: H) -> H:
            self._add(parsed, handler, name, where)
            return handler

        parsed = parse(pattern, self._converters)
        where = caller()
        return decorate

    def get(self, path: str, name: str | None = None) -> Callable[[H], H]:
        """Do as `route` for GET, and HEAD with it; the path may begin with a host."""
        return self.route(_with_method("GET", path), name)

    def post(self, path: str, name: str | None = None) -> Callable[[H], H]:
        """Do as `route` for POST."""
        return self.route(_with_method("POST", path), name)

    def put(self, path: str, name: str | None = None) -> Callable[[H], H]:
        """Do as `route` for PUT."""
        return self.route(_with_method("PUT", path), name)

    def patch(self, path: str, name: str | None = None) -> Callable[[H], H]:
        """Do as `route` for PATCH."""
        return self.route(_with_method("PATCH", path), name)

    def delete(self, path: str, name: str | None = None) -> Callable[[H], H]:
        """Do as `route` for DELETE."""
        return self.route(_with_method("DELETE", path), name)

    def head(self, path: str, name: str | None = None) -> Callable[[H], H]:
        """Do as `route` for HEAD alone."""
        return self.route(_with_method("HEAD", path), name)

    def options(self, path: str, name: str | None = None) -> Callable[[H], H]:
        """Do as `route` for OPTIONS, which is answered by itself otherwise."""
        return self.route(_with_method("OPTIONS", path), name)

    def mount(self, prefix: str, handler: Handler) -> None:
        """Let a handler answer all that is beneath a prefix, of any method.

            router.mount("/1.0", api)
            router.mount("example.com/", site)

        It is the pattern with a slash at its end, "/1.0/": more specific ones win, and
        "/1.0" is redirected there.  A router that is mounted looks only at what is left
        of the path, `request.subpath`, and its 404 and 405 are its own.  Parameters in
        the prefix are in `request.params` beside its own.  The target stays as it is.

        Raises:
            ValueError: As `handle`.
        """
        pattern = parse(_beneath(prefix), self._converters)
        if pattern.method or not pattern.path.endswith("/"):
            raise ValueError(
                f"the prefix {prefix!r} is not of literals and {{name}}s alone. Write: "
                f"handle, for a pattern with a method, {{$}} or {{name...}}"
            )
        if _router_in(handler) is not None and self in _routers_in(handler):
            raise ValueError(f"under {prefix!r} this router would contain itself")
        self._add(pattern, handler, is_mount=True)

    def _add(
        self,
        pattern: Pattern,
        handler: Handler,
        name: str | None = None,
        where: str | None = None,
        is_mount: bool = False,
    ) -> None:
        text = str(pattern)
        if not callable(handler):
            raise TypeError(
                f"the handler for {text!r} is an async function of a request, not "
                f"{handler!r}"
            )
        where = where or caller()
        route = Registered(
            pattern, text, handler, name, where, is_mount, params_of(pattern)
        )
        if name is not None and (other := self._names.get(name)) is not None:
            raise ValueError(
                f"two routes have the name {name!r}: {text!r} ({where}) and "
                f"{other.text!r} ({other.where})"
            )
        self._tables.setdefault(pattern.host, Table()).add(route)
        if len(self._tables) > 1:
            self._only = None
        self._registered.append(route)
        if name is not None:
            self._names[name] = route

    def entered(self) -> AbstractAsyncContextManager[None]:
        """Enter all handlers that are async context managers, each once.

        A server does so with the router that it is given.
        """
        return all_entered(route.handler for _, route in self._all())

    # Telling

    def routes(self) -> Iterator[Route]:
        """Yield all routes, in the order in which they were registered.

        Those of routers that are mounted are among them, with their prefixes; a mount
        of another handler is a route itself, of a path with a slash at its end.
        """
        for prefixes, route in self._all():
            yield route.under(prefixes)

    def url(self, name: str, /, **params: Any) -> str:
        """Return the path of the route that has a name.

            router.handle("GET /users/{id:int}", user, name="user")
            assert router.url("user", id=5) == "/users/5"

        Names in routers that are mounted are found too, if this one has it not itself:
        then the parameters of the prefix are needed as well.

        Raises:
            LookupError: No route has it, or several in mounted routers.
            TypeError: A parameter is missing, or there is none of that name.
            ValueError: No request for that path would come to the route.
        """
        patterns = self._patterns_of(name)
        try:
            return path_of(patterns, params)
        except (TypeError, ValueError) as error:
            raise type(error)(f"the URL of {name!r}: {error}") from None

    def _patterns_of(self, name: str) -> tuple[Pattern, ...]:
        """Return the pattern of a route, after those of the mounts that lead to it."""
        if (own := self._names.get(name)) is not None:
            return (own.pattern,)
        found = [(p, route) for p, route in self._all() if route.name == name]
        if not found:
            raise LookupError(f"no route has the name {name!r}")
        if len(found) > 1:
            paths = " and ".join([str(route.under(p)) for p, route in found])
            raise LookupError(f"several routes have the name {name!r}: {paths}")
        prefixes, route = found[0]
        return *prefixes, route.pattern

    def _all(
        self, prefixes: tuple[Pattern, ...] = ()
    ) -> Iterator[tuple[tuple[Pattern, ...], Registered]]:
        """Yield all routes after the prefixes that they have been mounted under."""
        for route in self._registered:
            inner = _router_in(route.handler) if route.is_mount else None
            if inner is None:
                yield prefixes, route
            else:
                yield from inner._all((*prefixes, route.pattern))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._registered)} routes>"


def _with_method(method: str, path: str) -> str:
    if " " in path:
        verb = method.lower()
        path = path.rpartition(" ")[2]
        raise ValueError(
            f"{verb} takes a path without a method. Write: router.{verb}({path!r})"
        )
    return f"{method} {path}"


def _beneath(prefix: str) -> str:
    """Return the pattern for all beneath a prefix."""
    if not isinstance(prefix, str):
        raise TypeError(f'a prefix is a str, such as "/1.0", not {prefix!r}')
    if prefix and "/" not in prefix:
        raise ValueError(
            f'the prefix {prefix!r} has no slash. Write: "/{prefix}", or "{prefix}/" '
            f"for a host"
        )
    return prefix if prefix.endswith("/") else prefix + "/"


def _router_in(handler: Any) -> Registry | None:
    """Return the router that a handler is, or that `functools.wraps` was used on."""
    while not isinstance(handler, Registry) and hasattr(handler, "__wrapped__"):
        handler = handler.__wrapped__
    return handler if isinstance(handler, Registry) else None


def _routers_in(handler: Handler) -> Iterator[Registry]:
    """Yield a router, and all that are mounted in it."""
    router = _router_in(handler)
    if router is not None:
        yield router
        for route in router._registered:
            if route.is_mount:
                yield from _routers_in(route.handler)
