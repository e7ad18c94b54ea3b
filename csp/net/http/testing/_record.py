"""Calling a handler, and keeping what it answers: Go's `ResponseRecorder`."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import attrs
import msgspec

from csp._group import Group
from csp._stop import stop_scope
from csp.net.http._content import encoded, opened
from csp.net.http._entered import entered
from csp.net.http._headers import Headers
from csp.net.http._message import Request, Response
from csp.net.http._problem import answer_in, problem
from csp.net.http.serve._server import Handler

T = TypeVar("T")


@attrs.frozen
class Recorded:
    """What a handler has answered."""

    status: int
    """The status."""
    headers: Headers
    """The header fields that the handler has set: a server adds more."""
    body: bytes
    """All of the body."""
    trailers: Headers
    """The fields after the body."""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, type: type[T]) -> T: ...
    def json(self, type: Any = Any) -> Any:  # noqa: A002 - msgspec's word
        """Return the body, decoded from JSON and checked against a type.

        Raises:
            msgspec.DecodeError: It is not JSON, or not of that type.
        """
        return msgspec.json.decode(self.body, type=type)


async def record(handler: Handler, request: Request) -> Recorded:
    """Call a handler, without a server, and keep what it answers.

        recorded = await record(handler, request("GET", "/users/1"))
        assert recorded.status == 200
        assert recorded.json() == {"name": "Ann"}

    The handler is treated as by a server: if it is an async context manager it is
    entered; an `HTTPError` that it raises is answered as that says; once it has
    answered a stop is requested, and what it has started with `csp.go` is waited for.

    Raises:
        TypeError: The handler does not return a response, or its body is none.
        Exception: Whatever else it raises, its body too, and what it has started.
    """
    failure = None
    async with entered(handler), stop_scope() as stop:
        async with Group("record"):
            try:
                recorded = await _keep(await _answer(handler, request))
            except Exception as error:
                failure = error
            stop.request()
        if failure is not None:
            raise failure
    return recorded


async def _answer(handler: Handler, request: Request) -> Response:
    try:
        response = await handler(request)
    except Exception as error:
        if (found := answer_in(error)) is None:
            raise
        return problem(found, request.headers)
    if not isinstance(response, Response):
        raise TypeError(
            f"the handler returned {response!r}. Write: return text(...), or another "
            f"Response"
        )
    return response


async def _keep(response: Response) -> Recorded:
    body = response.body
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes):
        async with opened(body) as pieces:
            body = b"".join([encoded(piece) async for piece in pieces])
    trailers = response.trailers if response.trailers is not None else Headers()
    return Recorded(response.status, response.headers, body, trailers)
