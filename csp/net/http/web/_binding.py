"""From a signature to the arguments of a call.

For each parameter a getter is made once, a function from the request to the value, so
that a request pays for what its handler asks for and for nothing else.  That of a body
which is decoded comes last, and is the only one that waits: so all that can be wrong
with the rest of the request is found before its body is looked at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, get_origin

import attrs
import msgspec

from csp.net.http._accept import field
from csp.net.http._errors import BadRequest, NotFound
from csp.net.http._message import Request

from ._content_type import check_json, check_lines, has_body
from ._lines import Lines
from ._signature import REQUIRED, Parameter, Signature
from ._undecodable import Decode, check_keys, undecodable, without_path

Getter: TypeAlias = Callable[[Request], Any]
Decoder: TypeAlias = Callable[[bytes, Any], Any]
"""What can stand in msgspec's place: it gets the body and the type."""


@attrs.frozen
class Plan:
    """How to call a function with what is in a request."""

    getters: tuple[Getter, ...]
    """One for each argument."""
    keywords: tuple[str, ...]
    """The names of the last ones, which are passed by name."""
    body_at: int
    """Which argument is the body, decoded; -1 if there is none."""
    body: Callable[[Request], Awaitable[Any]]
    """The getter that waits for it."""


def plan_of(signature: Signature, decode: Decoder | None, strict: bool) -> Plan:
    """Return how to call a function that has such a signature.

    Args:
        signature: What it asks for.
        decode: What decodes bodies; by default msgspec.
        strict: Whether to refuse JSON objects that have a key twice.
    """
    # Those by name come last in any signature.
    parameters = signature.parameters
    getters = []
    body_at = -1
    body: Callable[[Request], Awaitable[Any]] = _no_body
    for at, parameter in enumerate(parameters):
        getters.append(_GETTERS[parameter.source](parameter))
        if parameter.source in _DECODED:
            decoder = _decoder_of(parameter.type, decode, strict)
            body_at, body = at, _DECODED[parameter.source](parameter, decoder)
    keywords = tuple(p.name for p in parameters if p.keyword)
    return Plan(tuple(getters), keywords, body_at, body)


# Of text


def _request(_: Parameter) -> Getter:
    return lambda request: request


def _pieces(_: Parameter) -> Getter:
    return lambda request: request.body


def _later(_: Parameter) -> Getter:
    return lambda request: None


def _param(parameter: Parameter) -> Getter:
    """Make a getter of what comes from the route."""
    name, type_, default = parameter.name, parameter.type, parameter.default
    plain = _plain(type_)

    def get(request: Request) -> Any:
        try:
            value = request.params[name]
        except KeyError:
            if default is not REQUIRED:
                return default
            raise LookupError(
                f"the route has no parameter {name!r}, but {request.params!r}. "
                f"Write: {{{name}}} in its pattern"
            ) from None
        if type(value) is plain:
            return value
        return _from_route(name, value, type_, plain)

    return get


def _plain(type_: Any) -> type | None:
    """Return a type of which nothing but its instances is asked, None for others."""
    return type_ if isinstance(type_, type) and get_origin(type_) is None else None


def _from_route(name: str, value: Any, type_: Any, plain: Any) -> Any:
    try:
        return msgspec.convert(value, type_, strict=False)
    except ValueError as error:
        if plain is not None and isinstance(value, plain):
            return value
        raise NotFound(f"{name}: {without_path(error)}") from None


def _query(parameter: Parameter) -> Getter:
    """Make a getter of what comes from the route if that has it, else the query."""
    name, type_, many = parameter.name, parameter.type, parameter.many
    plain = _plain(type_)
    missing = _missing(parameter, f"the query parameter {name!r}")

    def get(request: Request) -> Any:
        params = request.params
        if name in params:
            value = params[name]
            if type(value) is plain:
                return value
            return _from_route(name, value, type_, plain)
        query = request.query
        if name not in query:
            return missing()
        given = query.get_all(name) if many else query[name]
        if type(given) is plain and not many:
            return given
        return _converted(given, type_, f"the query parameter {name!r}")

    return get


def _header(parameter: Parameter) -> Getter:
    key, type_ = parameter.field.lower().encode("latin-1"), parameter.type
    what = f"the header {parameter.field}"
    missing = _missing(parameter, what)

    def get(request: Request) -> Any:
        if parameter.many:
            given: Any = request.headers.get_all(parameter.field)
        else:
            given = field(request.headers, key)
        if not given and given != "":
            return missing()
        return given if type_ is str else _converted(given, type_, what)

    return get


def _missing(parameter: Parameter, what: str) -> Callable[[], Any]:
    """Return what to do if there is no value."""
    default = parameter.default

    def missing() -> Any:
        if default is REQUIRED:
            raise BadRequest(f"{what} is missing")
        return default

    return missing


def _converted(given: Any, type_: Any, what: str) -> Any:
    try:
        return msgspec.convert(given, type_, strict=False)
    except ValueError as error:
        raise BadRequest(f"{what}: {without_path(error)}") from None


def _context(parameter: Parameter) -> Getter:
    name, type_, default = parameter.name, parameter.type, parameter.default

    def get(request: Request) -> Any:
        context = request.context
        if isinstance(context, type_):
            return context
        if context is None and default is not REQUIRED:
            return default
        raise TypeError(
            f"{name!r} is to be the context, of type {type_!r}, but that is of type "
            f"{type(context)!r}. Write: middleware that sets request.context"
        )

    return get


_GETTERS: dict[str, Callable[[Parameter], Getter]] = {
    "request": _request,
    "header": _header,
    "context": _context,
    "param": _param,
    "pieces": _pieces,
    "lines": _later,
    "body": _later,
    "query": _query,
}


# Of a body


def _decoder_of(type_: Any, decode: Decoder | None, strict: bool) -> Decode:
    first: Decode
    if decode is None:
        first = msgspec.json.Decoder(type_).decode
    else:
        given = decode
        first = lambda data: given(data, type_)  # noqa: E731
    if not strict:
        return first

    def both(data: bytes) -> Any:
        value = first(data)
        check_keys(data)
        return value

    return both


def _lines(_: Parameter, decode: Decode) -> Callable[[Request], Awaitable[Any]]:
    async def get(request: Request) -> Any:
        check_lines(request)
        return Lines[Any](request.body, decode)

    return get


async def _no_body(_: Request) -> Any:
    """Return nothing: in place of the getter of a function that asks for no body."""


def _body(parameter: Parameter, decode: Decode) -> Callable[[Request], Awaitable[Any]]:
    name, type_, default = parameter.name, parameter.type, parameter.default
    plain = _plain(type_)

    async def get(request: Request) -> Any:
        if name in request.params:
            return _from_route(name, request.params[name], type_, plain)
        if default is not REQUIRED and not has_body(request):
            return default
        check_json(request)
        data = await request.read()
        try:
            return decode(data)
        except (ValueError, RecursionError) as error:
            if data.strip():
                raise undecodable(error, data, decode) from None
        if default is not REQUIRED:
            return default
        raise BadRequest("the body is empty")

    return get


_DECODED = {"body": _body, "lines": _lines}
