"""Patterns: "[METHOD ][HOST]/PATH", as in Go since 1.22, and with types.

A path is divided at its slashes, and a pattern too.  Each of its segments is one of

    users           a literal, that segment and no other; %2F and %7B can be written so
    {name}          a wildcard: any segment that is not empty
    {name:int}      the same, but only for what the converter takes
    {name...}       at the end: the rest, of one segment or more, also an empty one
    nothing         at the end, after a slash: the same without a name
    {$}             at the end, after a slash: nothing

So "/users/" is all that begins so, and "/users/{$}" only "/users/".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import unquote

import attrs

from ._convert import Converter
from ._path import has_dots

_PATTERN = re.compile(
    r"(?:(?P<method>[^/ \t]*)[ \t]+)?(?P<host>[^/ \t]*)(?P<path>/\S*)"
)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HOST = re.compile(
    r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]*:[0-9a-f:.]*\]"
)
_NO_ENCODING = re.compile(r"%(?![0-9A-Fa-f]{2})")
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)


@attrs.frozen
class Wild:
    """A wildcard."""

    name: str
    """"" for the one at the end that has none."""
    rest: bool = False
    """Whether it takes all that is left."""
    kind: str = ""
    """The name of its converter."""
    converter: Converter | None = None


Segment: TypeAlias = str | Wild  # {$} is the literal ""


@attrs.frozen
class Pattern:
    """What a route is registered for."""

    method: str
    """"" for any."""
    host: str
    """In lower case; "" for any."""
    path: str
    """As it was written."""
    segments: tuple[Segment, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path}".lstrip(" ")

    @property
    def open(self) -> bool:
        """Whether it ends with a wildcard for the rest."""
        return is_rest(self.segments[-1])

    @property
    def fixed(self) -> tuple[Segment, ...]:
        """The segments before the rest."""
        return self.segments[:-1] if self.open else self.segments

    @property
    def wilds(self) -> list[tuple[int, Wild]]:
        """The wildcards that have names, and where they are."""
        found = enumerate(self.segments)
        return [(i, s) for i, s in found if isinstance(s, Wild) and s.name]


def is_rest(segment: Segment) -> bool:
    return isinstance(segment, Wild) and segment.rest


def parse(text: str, converters: Mapping[str, Converter]) -> Pattern:
    """Read a pattern.

    Raises:
        ValueError: It is none; says why, and what to write instead.
    """
    if not isinstance(text, str):
        raise TypeError(
            f'a pattern is a str, such as "GET /users/{{id}}", not {text!r}'
        )
    try:
        return _parse(text, converters)
    except ValueError as error:
        raise ValueError(f"the pattern {text!r}: {error}") from None


def _parse(text: str, converters: Mapping[str, Converter]) -> Pattern:
    divided = _PATTERN.fullmatch(text)
    if divided is None:
        raise ValueError(_no_pattern(text))
    method, host, path = divided["method"], divided["host"].lower(), divided["path"]
    wrong = _wrong_method(method) or _wrong_host(host) or _wrong_path(path)
    if wrong:
        raise ValueError(wrong)
    return Pattern(method or "", host, path, _segments(path, converters))


def _no_pattern(text: str) -> str:
    if "/" not in text:
        return f'it has no path. Write: "/{text}"'
    return 'it is not "[METHOD ][HOST]/PATH". A space in the path is written %20'


def _wrong_method(method: str | None) -> str | None:
    if method is None:
        return None
    if not _TOKEN.fullmatch(method):
        return f"{method!r} is no method"
    if method.upper() in _METHODS and method not in _METHODS:
        return f'methods are case-sensitive. Write: "{method.upper()} ..."'
    return None


def _wrong_host(host: str) -> str | None:
    if not host or _HOST.fullmatch(host):
        return None
    if "{" in host:
        return "a host has no parameters. Write: *.example.com, and see request.host"
    if not host.isascii():
        return "a host is ASCII. Write it as DNS has it: xn--..."
    if re.search(r":[0-9]*\Z", host) and not host.startswith("["):
        return "ports are ignored, so a host has none. Write it without"
    if "*" in host:
        return "a * in a host is its first label. Write: *.example.com"
    return f"{host!r} is no host"


def _wrong_path(path: str) -> str | None:
    if "//" in path:
        return "it has an empty segment, and paths with one are not found"
    if has_dots(path):
        return "it has a segment . or .., and paths with one are not found"
    if "?" in path or "#" in path:
        return "it has more than a path: ? is written %3F there, and # %23"
    if _NO_ENCODING.search(path):
        return "a % that encodes nothing is written %25"
    return None


def _segments(path: str, converters: Mapping[str, Converter]) -> tuple[Segment, ...]:
    texts = path[1:].split("/")
    last = len(texts) - 1
    found: list[Segment] = []
    names: set[str] = set()
    for i, text in enumerate(texts):
        segment = _segment(text, i == last, converters)
        if isinstance(segment, Wild) and segment.name:
            if segment.name in names:
                raise ValueError(f"it has {{{segment.name}}} twice")
            names.add(segment.name)
        found.append(segment)
    return tuple(found)


def _segment(text: str, last: bool, converters: Mapping[str, Converter]) -> Segment:
    if not text:
        return Wild("", rest=True)
    if "{" not in text and "}" not in text:
        return unquote(text)
    if text == "{$}":
        if not last:
            raise ValueError("{$} is not at its end")
        return ""
    inner = text[1:-1]
    if text[0] + text[-1] != "{}" or "{" in inner or "}" in inner:
        raise ValueError(
            f"{text!r} is not one whole parameter. Write: {{name}} between slashes, or "
            f"%7B and %7D for braces"
        )
    return _wild(inner, last, converters)


def _wild(text: str, last: bool, converters: Mapping[str, Converter]) -> Wild:
    name, colon, kind = text.partition(":")
    rest = text.endswith("...")
    if rest:
        name = text.removesuffix("...").partition(":")[0]
    if not name.isidentifier():
        raise ValueError(f"the parameter {{{text}}} is not called by an identifier")
    if rest and colon:
        raise ValueError(f"the rest has no converter. Write: {{{name}...}}")
    if rest and not last:
        raise ValueError(f"{{{text}}} is not at its end")
    if not colon:
        return Wild(name, rest)
    if kind == "path" and kind not in converters:
        raise ValueError(f"there is no converter 'path'. Write: {{{name}...}}")
    if kind not in converters:
        raise ValueError(
            f"there is no converter {kind!r}, only {', '.join(sorted(converters))}. "
            f"Write: Router(converters={{{kind!r}: function}})"
        )
    return Wild(name, False, kind, converters[kind])
