"""What a function asks for, read from its signature once, when it is decorated.

Where the value of a parameter comes from is told by its annotation, in this order:

    Request                                 the request
    Annotated[T, Header("X-Name")]          the header field
    Annotated[T, Context]                   the context of the request
    Annotated[T, Param]                     the route
    Body, AsyncIterator[bytes]              the body, as it comes
    AsyncIterator[T]                        the body, as lines of JSON
    what needs JSON, see `_kinds`           the route if it has that name, or the body
    what can be text, or several of those   the route if it has that name, or the query

Which names the route has is seen at each request, in `request.params`: a handler does
not know where it is mounted, and a mount may have parameters of its own.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, get_args, get_origin
from typing import get_type_hints as _get_type_hints

import attrs

from csp.net.http._message import Body, Request

from ._kinds import kind_of, split_annotated
from ._reply import Context, Header, Param

Source: TypeAlias = Literal[
    "request", "header", "context", "param", "pieces", "lines", "body", "query"
]

REQUIRED: Any = inspect.Parameter.empty
"""In place of a default, if there is none."""

_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_BINARY = (bytes, bytearray, memoryview)
_ANYTHING = (Any, object)
_ONE_BODY = ("pieces", "lines", "body")


@attrs.frozen
class Parameter:
    """A parameter of a function, and where its value comes from."""

    name: str
    source: Source
    type: Any
    """What it is, with what msgspec reads in an annotation, but without our marks."""
    default: Any = REQUIRED
    many: bool = False
    """Whether it takes all values of a header field or a query parameter."""
    field: str = ""
    """The name of the header field."""
    keyword: bool = False
    """Whether it can be given by name only."""


@attrs.frozen
class Signature:
    """What a function asks for, and what it says it returns."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: Any
    """Its annotation; `REQUIRED` if there is none."""
    is_method: bool
    """Whether it is one that has not been bound: then `self` is left out above."""


def read_signature(
    function: Callable[..., Any], names: Mapping[str, Any], custom: bool
) -> Signature:
    """Return what a function asks for.

    Args:
        function: Any callable that has a signature.
        names: More names that its annotations may use: locals, where it is defined.
        custom: Whether a decoder was given that may know more types than msgspec.

    Raises:
        TypeError: There is a parameter that cannot be bound; it says which, and what
            to write instead.
    """
    name = _name_of(function)
    try:
        parameters = list(inspect.signature(function).parameters.values())
        hints = _hints(function, names)
    except (NameError, TypeError, ValueError) as error:
        raise TypeError(
            f"marshaled cannot read the signature of {name}: {error}. Write: "
            f"annotations whose names can be found in its module"
        ) from error
    is_method = bool(parameters) and _is_self(function, parameters[0])
    read = [
        _Reader(name, p, hints.get(p.name, REQUIRED), custom).read()
        for p in parameters[is_method:]
    ]
    bodies = [p.name for p in read if p.source in _ONE_BODY]
    if len(bodies) > 1:
        raise TypeError(
            f"{name}: {' and '.join(map(repr, bodies))} are all to be the body. Write: "
            f"one class that has them as its fields"
        )
    return Signature(name, tuple(read), hints.get("return", REQUIRED), is_method)


def _name_of(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}".removeprefix("__main__.")


def _hints(function: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    while isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function):
        function = type(function).__call__
    try:
        return _get_type_hints(function, include_extras=True)
    except NameError:
        return _get_type_hints(function, localns=dict(names), include_extras=True)


def _is_self(function: Any, first: inspect.Parameter) -> bool:
    """Tell whether a function is in the body of a class, waiting to be bound."""
    return (
        inspect.isfunction(function)
        and first.name == "self"
        and first.annotation is REQUIRED
        and "." in function.__qualname__.rpartition("<locals>.")[2]
    )


@attrs.frozen
class _Reader:
    """Reads one parameter."""

    function: str
    parameter: inspect.Parameter
    annotation: Any
    custom: bool

    def read(self) -> Parameter:
        parameter = self.parameter
        if parameter.kind in _STARRED:
            self._refuse("takes any number of values", "a parameter for each")
        if self.annotation is REQUIRED:
            self._refuse(
                "has no annotation",
                f"{parameter.name}: str for a part of the route or query, a class with "
                f"fields for a JSON body, or http.Request",
            )
        bare, extras = split_annotated(self.annotation)
        read = self._marked(bare, extras) or self._stream(bare) or self._typed(bare)
        return attrs.evolve(
            read,
            default=parameter.default,
            keyword=parameter.kind is inspect.Parameter.KEYWORD_ONLY,
        )

    def _marked(self, bare: Any, extras: tuple[Any, ...]) -> Parameter | None:
        """Read what `Annotated` tells; None if it has no mark of ours."""
        name = self.parameter.name
        marks = [mark for mark in extras if _is_mark(mark)]
        if not marks:
            return None
        if len(marks) > 1:
            self._refuse("has several sources", "one of them")
        rest = tuple(extra for extra in extras if extra not in marks)
        type_ = Annotated[(bare, *rest)] if rest else bare
        if isinstance(marks[0], Header):
            return self._header(marks[0].name, type_)
        if marks[0] is Param or isinstance(marks[0], Param):
            return Parameter(name, "param", type_)
        if not _can_be_checked(bare):
            self._refuse("cannot be checked", "a class that isinstance knows")
        return Parameter(name, "context", bare)

    def _header(self, field: str, type_: Any) -> Parameter:
        kind = kind_of(type_)
        if kind not in ("scalar", "list"):
            self._refuse("cannot be made of a header field", "str, or another scalar")
        name = self.parameter.name
        return Parameter(name, "header", type_, many=kind == "list", field=field)

    def _stream(self, bare: Any) -> Parameter | None:
        """Read what stands for the request, or its body as it comes."""
        name = self.parameter.name
        if bare is Request:
            return Parameter(name, "request", bare)
        if bare is Body:
            return Parameter(name, "pieces", bytes)
        if get_origin(bare) not in (AsyncIterator, AsyncIterable):
            return None
        (item,) = get_args(bare)
        if item is bytes:
            return Parameter(name, "pieces", bytes)
        if item is str:
            self._refuse("is no stream of values", "AsyncIterator[bytes] for the body")
        self._check_known(item)
        return Parameter(name, "lines", item)

    def _typed(self, bare: Any) -> Parameter:
        """Read a type that says by itself where its value comes from."""
        name = self.parameter.name
        if bare in _ANYTHING:
            self._refuse(
                "might be anything", "dict[str, Any] for any JSON object, or str"
            )
        if bare in _BINARY:
            self._refuse("is no text", "http.Body for the body as it is, or str")
        self._check_known(bare)
        kind = kind_of(self.annotation)
        if kind in ("scalar", "list"):
            return Parameter(name, "query", self.annotation, many=kind == "list")
        return Parameter(name, "body", self.annotation)

    def _check_known(self, bare: Any) -> None:
        if kind_of(bare) == "unknown" and not self.custom:
            self._refuse(
                "is no type that msgspec can decode",
                "Annotated[..., http.Context] if the context is meant, Annotated[..., "
                "http.Param] if a converter of the router makes it, or "
                "marshaled(decode=...)",
            )

    def _refuse(self, what: str, instead: str) -> NoReturn:
        shown = f"the parameter {self.parameter.name!r}"
        if self.annotation is not REQUIRED:
            shown += f", annotated {inspect.formatannotation(self.annotation)},"
        raise TypeError(f"{self.function}: {shown} {what}. Write: {instead}")


def _is_mark(mark: Any) -> bool:
    return mark in (Context, Param) or isinstance(mark, (Header, Context, Param))


def _can_be_checked(bare: Any) -> bool:
    try:
        isinstance(None, bare)
    except TypeError:
        return False
    return True


def locals_of_caller(depth: int) -> Mapping[str, Any]:
    """Return the local names of who called, so that annotations may use them."""
    return sys._getframe(depth + 1).f_locals
