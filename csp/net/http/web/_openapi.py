"""An OpenAPI 3.1 document, made of a router's routes and of the types of its handlers.

What the types do not tell is not in it.  A handler that was not made by `marshaled`,
or whose wrappers have no `__wrapped__` that leads to one, has but its path.

In a document paths that differ only in the names of their parameters are the same.  So
each operation takes the names of the first route of its shape, and of several routes
for one method and shape, as with two hosts or two converters, only the first is told.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from csp.net.http._headers import Headers
from csp.net.http._message import Request, Response

from ._marshaled import Marshaled
from ._operation import Names, operation_of
from ._schemas import Schemas

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PLACEHOLDER = re.compile(r"\{([^}:.]+)[^}]*\}")
_PROBLEM = {
    "description": "The request cannot be answered; see RFC 9457.",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "error": {"type": "string"},
                    "pointer": {"type": "string", "format": "json-pointer"},
                    "line": {"type": "integer"},
                    "byte": {"type": "integer"},
                },
                "required": ["title", "status"],
            }
        }
    },
}


class HasRoutes(Protocol):
    """Anything that can tell its routes, as a Router can."""

    def routes(self) -> Iterable[Any]:
        """Return objects with method, host, path, handler, name and converters."""
        ...


def openapi(
    router: HasRoutes,
    *,
    title: str,
    version: str,
    servers: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document of what a router serves.

        document = openapi(router, title="Shop", version="1.0")
        Path("openapi.json").write_bytes(msgspec.json.encode(document))

    The name of an operation is that of its route or function, its summary the first
    line of the docstring.

    Args:
        router: What has the routes.
        title: What it is called.
        version: Its version.
        servers: The URLs where it is, if the document is not read from there.
    """
    schemas = Schemas()
    paths = _paths(router, schemas)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "responses": {"Problem": _PROBLEM},
        },
    }
    if servers is not None:
        document["servers"] = [{"url": url} for url in servers]
    return document


def _paths(router: HasRoutes, schemas: Schemas) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    shapes: dict[str, str] = {}  # without names, to the first with that shape
    names = Names()
    for route in router.routes():
        if isinstance(route.handler, _Document):
            continue
        template = _template(route.path)
        handler = marshaled_in(route.handler)
        method = _method(route.method, handler)
        path = shapes.setdefault(_PLACEHOLDER.sub("{}", template), template)
        if method not in _METHODS or method in paths.get(path, ()):
            continue
        renamed = dict(zip(_names(template), _names(path), strict=True))
        operation = operation_of(route, method, handler, renamed, schemas)
        operation["operationId"] = names.unique(operation["operationId"])
        paths.setdefault(path, {})[method] = operation
    return paths


def _template(pattern: str) -> str:
    """Return the path of a route as a document has it: `/files/{rest}`."""
    return _PLACEHOLDER.sub(r"{\1}", pattern.replace("{$}", ""))


def _names(template: str) -> Iterator[str]:
    return (found[1] for found in _PLACEHOLDER.finditer(template))


def _method(method: str | None, handler: Marshaled | None) -> str:
    """Return the method to tell of: one, also if a route takes them all."""
    if method is not None:
        return method.lower()
    asks = handler.signature.parameters if handler is not None else ()
    takes_body = {p.source for p in asks} & {"body", "lines", "pieces"}
    return "post" if takes_body else "get"


def marshaled_in(handler: Any) -> Marshaled | None:
    """Return the marshaled function that is in a handler, beneath its middleware."""
    while not isinstance(handler, Marshaled):
        handler = getattr(handler, "__wrapped__", None)
        if handler is None:
            return None
    return handler


def openapi_handler(
    router: HasRoutes,
    *,
    title: str,
    version: str,
    servers: Sequence[str] | None = None,
) -> Callable[[Request], Awaitable[Response]]:
    """Make a handler that answers with the document of a router.

        router.handle(
            "GET /openapi.json", openapi_handler(router, title="Shop", version="1.0")
        )

    The document is made at the first request, and has the routes that there are then,
    save that of the document.  The arguments are those of `openapi`.
    """
    return _Document(router, {"title": title, "version": version, "servers": servers})


class _Document:
    """Answers with a document."""

    def __init__(self, router: HasRoutes, options: Mapping[str, Any]) -> None:
        self._router = router
        self._options = options
        self._data = b""

    async def __call__(self, request: Request) -> Response:
        if not self._data:
            document = openapi(self._router, **self._options)
            self._data = msgspec.json.encode(document)
        fields = Headers.from_raw([(b"Content-Type", b"application/json")])
        return Response(200, self._data, fields)
