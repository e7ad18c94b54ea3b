"""Errors in other forms; and errors of an app that become answers.

The server answers what is raised by itself, after RFC 9457.  These do so before it, for
the handlers inside them.  What a client sees of an error that is no HTTPError is that
there was one: not what it says, which may be anything.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from csp.net.http._errors import ClientGone, HTTPError, phrase
from csp.net.http._message import Request, Response
from csp.net.http._problem import (
    answer_in,
    answer_to,
    formed,
    likes_json,
    problem,
    sole,
    text_of,
)

from ._wrapped import Handler, Middleware, check_handler, no_response, wrapped

_log = logging.getLogger("csp.net.http")

Names: TypeAlias = Literal["snake_case", "class"]
Form: TypeAlias = Callable[[HTTPError, Request], Response | Awaitable[Response]]


def errors_as(
    form: Literal["problem", "text", "tigertonic"] | Form,
    *,
    names: Names = "snake_case",
) -> Middleware:
    """Answer errors in a form of your choice.

        @errors_as("tigertonic")
        async def handler(request: Request) -> Response:
            raise NotFound("no user 5")

    is answered with ``{"description": "no user 5", "error": "not_found"}``.

    An error that is no `HTTPError`, nor leads to one, is answered as a 500, and logged
    with its traceback by the logger `csp.net.http`, as the server does.

    Args:
        form: "problem", as the server does it, in JSON or text as the client likes;
            "text", always; "tigertonic", as Tiger Tonic does it, in JSON or text as the
            client likes; or a function of the error and the request, async or not, that
            makes the response.  It is given an `HTTPError` in any case.
        names: What Tiger Tonic's form calls an error: "snake_case" is its status in
            words, as not_found; "class" is as tigertonic.NotFound, and for one of your
            own classes its module and name.
    """
    if names not in ("snake_case", "class"):
        raise ValueError(f'names must be "snake_case" or "class", not {names!r}')
    make = _form(form, names)

    def around(handler: Handler) -> Handler:
        check_handler(handler, "errors_as(...)")

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as error:
                if isinstance(sole(error), ClientGone):
                    raise
                found = _judged(error, request)
                answer: Any = make(found, request)
                if hasattr(answer, "__await__"):
                    answer = await answer
            if not isinstance(answer, Response):
                raise no_response(answer)
            return answer

        return wrapped(handle, handler)

    return around


def _judged(error: Exception, request: Request) -> HTTPError:
    """Return what an error is for the client, and log what has to be."""
    found = answer_in(error)
    if answer_to(error, request.headers)[1]:
        what = f"{request.method} {request.target} from {request.client}"
        _log.error("%s: the handler failed", what, exc_info=error)
    if found is None:
        found = HTTPError(500)
        found.__cause__ = error
    return found


def _form(form: Any, names: Names) -> Form:
    """Return the function that makes responses in a form."""
    if callable(form):
        return form  # type: ignore[no-any-return]
    if form == "problem":
        return lambda error, request: problem(error, request.headers)
    if form == "text":
        return lambda error, _: text_of(error)
    if form == "tigertonic":
        return lambda error, request: _tigertonic(error, request, names)
    raise ValueError(
        f'errors are "problem", "text", "tigertonic" or what a function makes of them, '
        f"not {form!r}"
    )


def _tigertonic(error: HTTPError, request: Request, names: Names) -> Response:
    document = error.problem()
    name = document["error"] if names == "snake_case" else _class_name(error)
    if "accept" in request.headers and not likes_json(request.headers):
        return formed(error, "text/plain", f"{name}: {error.detail}".encode())
    body = msgspec.json.encode({"description": error.detail, "error": name})
    return formed(error, "application/json", body + b"\n")


def _class_name(error: HTTPError) -> str:
    kind = type(error)
    if not kind.__module__.startswith("csp.net.http"):
        return f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"
    words = phrase(error.status)
    plain = error.__cause__ is not None and kind is HTTPError  # made by _judged
    if plain or words == "Error":
        return "error"
    return f"tigertonic.{words.replace(' ', '')}"


# Errors of an app

Meaning: TypeAlias = type[HTTPError] | Callable[[Any], HTTPError]


def mapped(meanings: Mapping[type[Exception], Meaning]) -> Middleware:
    """Say which of an app's own errors are which answers.

        usual = mapped({
            KeyError: NotFound,
            OutOfStock: lambda error: Conflict(f"there are {error.left} left"),
        })

    An error is looked up by its class and then by those that it is derived from, the
    nearest first.  It stays the cause of the `HTTPError` that is raised instead.  What
    is in the table as a class is raised without a detail: what the error says stays
    here, unless a function passes it on.  `HTTPError` and `ClientGone` pass as they
    are, also those derived from something in the table.
    """
    if not isinstance(meanings, Mapping):
        raise TypeError(f"mapped takes a mapping of classes, not {meanings!r}")
    table = dict(meanings)
    for kind, meaning in table.items():
        _check_meaning(kind, meaning)

    def around(handler: Handler) -> Handler:
        check_handler(handler, "mapped(...)")

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as error:
                meant = _meaning(sole(error), table)
                if meant is None:
                    raise
                raise meant from error

        return wrapped(handle, handler)

    return around


def _check_meaning(kind: Any, meaning: Any) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        raise TypeError(f"what is mapped are classes of exceptions, not {kind!r}")
    a_class = isinstance(meaning, type)
    fitting = not a_class or (issubclass(meaning, HTTPError) and meaning != HTTPError)
    if not callable(meaning) or not fitting:
        raise TypeError(
            f"{kind.__name__} must be mapped to a class such as NotFound, or to a "
            f"function that makes an HTTPError of the error, not to {meaning!r}"
        )


def _meaning(
    error: BaseException, table: Mapping[type[Exception], Meaning]
) -> HTTPError | None:
    if isinstance(error, (HTTPError, ClientGone)):
        return None
    found: Any = next((table[k] for k in type(error).__mro__ if k in table), None)
    if found is None:
        return None
    made = found() if isinstance(found, type) else found(error)
    if not isinstance(made, HTTPError):
        raise TypeError(
            f"{type(error).__name__} must be mapped to an HTTPError, not {made!r}"
        ) from error
    return made
