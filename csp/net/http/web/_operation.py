"""One operation of an OpenAPI document: what a handler takes, and what it answers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from http.client import responses as _phrases
from typing import Any

import msgspec

from csp.net.http._errors import phrase

from ._lines import LINES
from ._marshaled import Marshaled
from ._results import JSON, Returns
from ._schemas import Schema, Schemas
from ._signature import REQUIRED, Parameter

_ERROR = 400
_IN = {"query": "query", "header": "header"}
_PROBLEM = {"$ref": "#/components/responses/Problem"}
_PROBLEM_TYPE = "application/problem+json"


class Names:
    """Names that are given out only once."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unique(self, name: str) -> str:
        """Return a name, with a number if it was used before."""
        found, number = name, 1
        while found in self._used:
            number += 1
            found = f"{name}_{number}"
        self._used.add(found)
        return found


def operation_of(
    route: Any,
    method: str,
    handler: Marshaled | None,
    renamed: Mapping[str, str],
    schemas: Schemas,
) -> Schema:
    """Return the operation of a route.

    Args:
        route: The route.
        method: Its method.
        handler: The function in its handler, if there is one.
        renamed: For each parameter in the path the name that the document has for it.
        schemas: Where schemas come from.
    """
    function = route.handler if handler is None else handler.__wrapped__
    name = route.name or getattr(function, "__name__", None)
    operation: Schema = {"operationId": name or _made_up(method, route.path)}
    operation.update(_told(function))
    if handler is not None and handler.summary is not None:
        operation["summary"] = handler.summary
    if handler is not None and handler.tags:
        operation["tags"] = list(handler.tags)
    if parameters := _parameters(route, handler, renamed, schemas):
        operation["parameters"] = parameters
    if handler is None:
        operation["responses"] = {"default": {"description": "What it answers."}}
    else:
        if body := _body(handler, renamed, schemas):
            operation["requestBody"] = body
        operation["responses"] = _responses(handler, schemas)
    if route.host and "*" not in route.host:
        operation["servers"] = [{"url": f"//{route.host}"}]
    return operation


def _made_up(method: str, path: str) -> str:
    return "_".join([method, *re.findall(r"\w+", path)])


def _told(function: Any) -> dict[str, str]:
    """Return what a docstring says."""
    text = inspect.getdoc(function) if inspect.isroutine(function) else None
    summary, _, description = (text or "").partition("\n\n")
    told = {"summary": " ".join(summary.split()), "description": description.strip()}
    return {key: value for key, value in told.items() if value}


# What it takes


def _parameters(
    route: Any,
    handler: Marshaled | None,
    renamed: Mapping[str, str],
    schemas: Schemas,
) -> list[Schema]:
    asked = {p.name: p for p in handler.signature.parameters} if handler else {}
    found = []
    for name, shown in renamed.items():
        if name in asked and _is_told(asked[name].type):
            schema = schemas.of(asked[name].type)
        else:
            schema = _converted(route, name)
        found.append({"name": shown, "in": "path", "required": True, "schema": schema})
    for name, parameter in asked.items():
        if name not in renamed and parameter.source in _IN:
            found.append(_parameter(parameter, schemas))
    return found


def _is_told(type_: Any) -> bool:
    """Tell whether msgspec knows a type, and not only the router's converter does."""
    try:
        msgspec.json.schema(type_)
    except (TypeError, NotImplementedError):
        return False
    return True


def _converted(route: Any, name: str) -> Schema:
    """Return the schema that a converter of the router tells."""
    converter = (getattr(route, "converters", None) or {}).get(name)
    return dict(getattr(converter, "schema", None) or {"type": "string"})


def _parameter(parameter: Parameter, schemas: Schemas) -> Schema:
    return {
        "name": parameter.field or parameter.name,
        "in": _IN[parameter.source],
        "required": parameter.default is REQUIRED,
        "schema": schemas.of(parameter.type, **_default(parameter.default)),
    }


def _default(value: Any) -> Schema:
    """Return a default as the schema has it, if JSON can say it."""
    if value is REQUIRED or value is None:
        return {}
    try:
        return {"default": msgspec.to_builtins(value)}
    except TypeError:
        return {}


def _body(
    handler: Marshaled, renamed: Mapping[str, str], schemas: Schemas
) -> Schema | None:
    for parameter in handler.signature.parameters:
        if parameter.name in renamed:
            continue
        if parameter.source == "body":
            content = {JSON: {"schema": schemas.of(parameter.type)}}
        elif parameter.source == "lines":
            content = _lines(parameter.type, schemas)
        elif parameter.source == "pieces":
            content = {"*/*": {}}
        else:
            continue
        return {"required": parameter.default is REQUIRED, "content": content}
    return None


def _lines(type_: Any, schemas: Schemas) -> Schema:
    """Return the content that is lines of JSON: 3.1 has no schema for the items."""
    item = {} if type_ is REQUIRED else {"x-itemSchema": schemas.of(type_)}
    return {LINES[0]: {"schema": {"type": "string"}, **item}}


# What it answers


def _responses(handler: Marshaled, schemas: Schemas) -> Schema:
    returns = handler.returns
    told = {
        str(status): _response(status, what, schemas)
        for status, what in handler.responses.items()
    }
    found: Schema = {}
    if returns.anything or (returns.type is REQUIRED and not returns.stream):
        found["default"] = {"description": "What it answers."}
    if returns.reply:
        if not any(status.startswith("2") for status in told):
            found["2XX"] = _good("Success", handler, schemas)
    else:
        if returns.type not in (None, REQUIRED) or returns.stream:
            found["200"] = _good(_phrases[200], handler, schemas)
        if returns.empty:
            found["204"] = {"description": _phrases[204]}
    return {**found, **told, "4XX": _PROBLEM}


def _good(description: str, handler: Marshaled, schemas: Schemas) -> Schema:
    content = _content(handler.returns, handler.content_type, schemas)
    return {"description": description} | ({"content": content} if content else {})


def _content(returns: Returns, content_type: str | None, schemas: Schemas) -> Schema:
    if content_type is not None or returns.is_pieces:
        return {content_type or "*/*": {}}
    if returns.stream:
        return _lines(returns.type, schemas)
    if returns.type in (None, REQUIRED):
        return {}
    return {JSON: {"schema": schemas.of(returns.type)}}


def _response(status: int, what: Any, schemas: Schemas) -> Schema:
    """Return a response of which the user has told: by a type, or in words."""
    usual = phrase(status) if status >= _ERROR else _phrases.get(status, "Success")
    if isinstance(what, str):
        told: Schema = {"description": what}
    else:
        told = {"description": usual}
    if what is not None and not isinstance(what, str):
        told["content"] = {JSON: {"schema": schemas.of(what)}}
    elif status >= _ERROR:
        path = f"{_PROBLEM['$ref']}/content/{_PROBLEM_TYPE.replace('/', '~1')}/schema"
        told["content"] = {_PROBLEM_TYPE: {"schema": {"$ref": path}}}
    return told
