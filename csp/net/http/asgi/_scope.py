"""Requests as scopes, and scopes as requests."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from csp.net.http._headers import Headers
from csp.net.http._message import Body, Request

from ._types import RawFields, Scope

_VERSION = "3.0"
_SPEC_VERSION = "2.5"
_SAFE = "/:@!$&'()*+,;=~"  # what a path has as it is

# Lifespan has a version of its own.
LIFESPAN = {"version": _VERSION, "spec_version": "2.0"}


def http_scope(request: Request, root_path: str, state: Any) -> Scope:
    """Return the scope of a request."""
    raw_path, _, query = request.target.partition("?")
    path = unquote(raw_path) if "%" in raw_path else raw_path
    scope: Scope = {
        "type": "http",
        "asgi": {"version": _VERSION, "spec_version": _SPEC_VERSION},
        "http_version": request.http_version,
        "method": request.method.upper(),
        "scheme": request.scheme,
        "path": root_path + path,
        "raw_path": (root_path + raw_path).encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "root_path": root_path + unquote(request.mount),
        "headers": _lower_case(request),
        "client": _endpoint(request.client, caller=True),
        "server": _endpoint(request.server),
        "extensions": {"http.response.trailers": {}, "http.response.pathsend": {}},
    }
    if state is not None:
        scope["state"] = state.copy()
    return scope


def _lower_case(request: Request) -> RawFields:
    pairs = [(name.lower(), value) for name, value in request.headers.raw]
    host = (b"host", request.host.encode("latin-1"))
    if host in pairs or not host[1]:
        return pairs
    # The target has named another, and then Host does not count: RFC 9112, 3.2.2.
    return [host, *(pair for pair in pairs if pair[0] != b"host")]


@lru_cache(4096)
def _endpoint(address: str, caller: bool = False) -> tuple[str, int | None] | None:
    """Return an address as ASGI has it: a pair, or None if it is not known."""
    if address.startswith("unix:"):
        return None if caller else (address.removeprefix("unix:"), None)
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdigit() else None


def request_of(scope: Scope, body: Body) -> Request:
    """Return the request that a scope tells of."""
    raw = scope.get("raw_path")
    target = raw.decode("latin-1") if raw else quote(scope["path"], safe=_SAFE)
    if query := scope.get("query_string"):
        target = f"{target.partition('?')[0]}?{query.decode('latin-1')}"
    request = Request(
        scope["method"],
        target,
        Headers.from_raw([(bytes(n), bytes(v)) for n, v in scope["headers"]]),
        body,
        scope["http_version"],
        _address(scope.get("client")),
        _address(scope.get("server")),
        scope.get("scheme", "http"),
    )
    mount = quote(scope.get("root_path", ""), safe=_SAFE)
    if mount and target.startswith(f"{mount}/"):
        request.mount = mount
    return request


def _address(pair: Any) -> str:
    """Return an address as we write it; "" if it is not known."""
    if not pair:
        return ""
    host, port = pair
    if port is None:
        return f"unix:{host}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
