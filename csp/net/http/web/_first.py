"""Trying one handler after another; and a check in front of a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from csp.net.http._errors import HTTPError, NotFound
from csp.net.http._headers import Headers, HeadersLike
from csp.net.http._message import Request, Response
from csp.net.http._problem import answer_in

from ._wrapped import Handler, Middleware, check_handler, no_response, wrapped

Attempt: TypeAlias = Callable[[Request], Awaitable[Response | None] | Response | None]
Check: TypeAlias = "Callable[[Request], Awaitable[HeadersLike] | HeadersLike]"


def first(*handlers: Attempt) -> Handler:
    """Make a handler of several: the first that returns a response, not None, answers.

        async def cached(request: Request) -> Response | None:
            return text(CACHE[request.path]) if request.path in CACHE else None

        handler = first(cached, compute)

    Those after it are not called; nor are they after an error, which ends the search.
    They may be async functions or plain ones.

    Raises:
        NotFound: None of them has answered; to the client, that is.
    """
    if not handlers:
        raise TypeError("first takes at least one handler")
    for handler in handlers:
        check_handler(handler, "first")

    async def handle(request: Request) -> Response:
        for handler in handlers:
            answer: Any = handler(request)
            if hasattr(answer, "__await__"):
                answer = await answer
            if isinstance(answer, Response):
                return answer
            if answer is not None:
                raise no_response(answer)
        raise NotFound

    around: Any = wrapped
    return around(handle, *handlers)  # type: ignore[no-any-return]


def conditional(check: Check) -> Middleware:
    """Ask `check` before a handler: it lets the request pass, or raises an error.

        def logged_in(request: Request) -> dict[str, str]:
            if "authorization" not in request.headers:
                raise Unauthorized("log in first", {"WWW-Authenticate": "Basic"})
            return {"Cache-Control": "private"}

        @conditional(logged_in)
        async def handler(request: Request) -> Response:
            return text("Hello, you!\\n")

    Args:
        check: A function of the request, async or not.  It returns headers to be added
            to the answer, also to that of an `HTTPError` of the handler; or None.
    """
    check_handler(check, "conditional")

    def around(handler: Handler) -> Handler:
        check_handler(handler, "conditional(...)")

        async def handle(request: Request) -> Response:
            more: Any = check(request)
            if hasattr(more, "__await__"):
                more = await more
            if more is None:
                return await handler(request)
            fields = _fields(more)
            try:
                response = await handler(request)
            except Exception as error:
                if (found := answer_in(error)) is not None:
                    _add_to_error(found, fields)
                raise
            if isinstance(response, Response):
                _add(response.headers, fields)
            return response

        return wrapped(handle, handler)

    return around


def _fields(more: Any) -> Headers:
    if isinstance(more, (Response, bool, int)):
        raise TypeError(
            f"a check returns headers to add or None, or raises, not {more!r}. To "
            f"refuse, write: raise Forbidden(...)"
        )
    return Headers(more)


def _add(headers: Headers, fields: Headers) -> None:
    for name, value in fields:
        headers.add(name, value)


def _add_to_error(error: HTTPError, fields: Headers) -> None:
    headers = Headers(error.headers)
    _add(headers, fields)
    error.headers = headers
