"""What is registered: as a router keeps it, and as it tells others of it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

import attrs

from csp.net.http._message import Request, Response

from ._convert import Converter
from ._path import REST, is_clean
from ._pattern import Pattern, Segment, Wild

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_HERE = __name__.rpartition(".")[0]
_SAFE = "!$&'()*+,;=:@"  # what a segment has as it is


@attrs.frozen
class Route:
    """A pattern and the handler for it, as `Router.routes` tells of them."""

    method: str | None
    """None for any."""
    host: str | None
    """In lower case; None for any."""
    path: str
    """As it was written, such as "/users/{id:int}", with those of mounts before it."""
    handler: Handler
    name: str | None
    converters: Mapping[str, Converter]
    """Those of the parameters that have one."""
    where: str
    """Where in the program it was registered: "file:line"."""

    def __str__(self) -> str:
        return f"{self.method or ''} {self.host or ''}{self.path}".lstrip(" ")


@attrs.frozen(eq=False)
class Registered:
    """The same, for the router itself."""

    pattern: Pattern
    text: str
    handler: Handler
    name: str | None
    where: str
    is_mount: bool
    params: tuple[tuple[str, int, str], ...]
    """Names, where they are in the path, and what kind of values: "" for a segment."""

    def under(self, prefixes: tuple[Pattern, ...]) -> Route:
        """Return it as it is told of, mounted in routers under some prefixes."""
        patterns = *prefixes, self.pattern
        wilds = [wild for pattern in patterns for _, wild in pattern.wilds]
        return Route(
            self.pattern.method or None,
            host(patterns) or None,
            "".join([p.path[:-1] for p in prefixes]) + self.pattern.path,
            self.handler,
            self.name,
            {w.name: w.converter for w in wilds if w.converter is not None},
            self.where,
        )


def host(patterns: tuple[Pattern, ...]) -> str:
    """Return the innermost of some hosts: the others have to match as well."""
    return next((p.host for p in reversed(patterns) if p.host), "")


def caller() -> str:
    """Return the place in the program from which a method of a router was called."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(_HERE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def params_of(pattern: Pattern) -> tuple[tuple[str, int, str], ...]:
    """Return the parameters of a pattern, as `Registered` has them."""
    return tuple(
        (wild.name, at, REST if wild.rest else wild.kind) for at, wild in pattern.wilds
    )


def path_of(patterns: tuple[Pattern, ...], params: Mapping[str, Any]) -> str:
    """Return the path that patterns match, one mounted in the other, with parameters.

    Raises:
        TypeError: One is missing, or one too many.
        ValueError: With one of them it would not match.
    """
    segments = [s for p in patterns[:-1] for s in p.fixed] + [*patterns[-1].segments]
    names = {s.name for s in segments if isinstance(s, Wild) and s.name}
    if missing := names - params.keys():
        raise TypeError(f"it needs {', '.join(sorted(missing))}")
    if unknown := params.keys() - names:
        raise TypeError(f"it has no {', '.join(sorted(unknown))}")
    path = "".join([f"/{_written(segment, params)}" for segment in segments])
    if not is_clean(path):
        raise ValueError(
            f"{path!r} has a segment that is empty, . or .., and is not found"
        )
    return path


def _written(segment: Segment, params: Mapping[str, Any]) -> str:
    if isinstance(segment, str):
        return quote(segment, _SAFE)
    if not segment.name:
        return ""
    value = params[segment.name]
    if segment.rest:
        return quote(str(value), _SAFE + "/")
    if segment.converter is None:
        text = str(value)
    else:
        text = segment.converter.format(value)
        if not segment.converter.takes(text):
            raise ValueError(f"{segment.name} is {segment.kind}, not {value!r}")
    if not text:
        raise ValueError(f"{segment.name} is empty, and a segment is not")
    return quote(text, _SAFE)
