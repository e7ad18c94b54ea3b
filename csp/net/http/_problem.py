"""Errors as responses: problem documents, after RFC 9457.

Which error is answered: handlers run tasks, whose errors come out in groups, and raise
errors of their own `from` others.  So an HTTPError is looked for in what was raised: it
is the answer if all that has failed leads to it, and to no other.

It is looked for in `__cause__`, which somebody has written: "that is why".  It is not
looked for in `__context__`, which says merely that this happened while that was being
dealt with.  A handler that catches a NotFound and then has a KeyError of its own is
broken, and to answer 404 would hide it.  For the same reason a group is no answer if
something else has failed in it.
"""

from __future__ import annotations

import msgspec

from ._accept import accepts, field
from ._errors import ClientGone, HTTPError
from ._headers import Headers
from ._message import Response

_OUR_FAULT = 500
_TEXT = "text/plain"
_FORMS = ("application/problem+json", "application/json", _TEXT)


def problem(error: HTTPError, asked: Headers | None = None) -> Response:
    """Return an error as a response, in the form that the request's headers accept.

    It is text if they do not allow JSON, or like text better.
    """
    if asked is not None and "accept" in asked and not likes_json(asked):
        return text_of(error)
    body = msgspec.json.encode(error.problem())
    return formed(error, "application/problem+json", body)


def likes_json(asked: Headers) -> bool:
    """Tell whether a client that sends such headers is to be answered in JSON."""
    return accepts(field(asked, b"accept"), _FORMS) not in (None, _TEXT)


def text_of(error: HTTPError) -> Response:
    """Return an error as a line of text: its title and its detail."""
    document = error.problem()
    title, detail = document["title"], document["detail"]
    line = title if title == detail else f"{title}: {detail}"
    return formed(error, "text/plain; charset=utf-8", f"{line}\n".encode())


def formed(error: HTTPError, content_type: str, body: bytes) -> Response:
    """Return a response with the status and the headers of an error."""
    headers = Headers(error.headers)
    headers.setdefault("Content-Type", content_type)
    headers.add("Vary", "Accept")  # or caches would give one form to everybody
    return Response(error.status, body, headers)


def answer_to(
    error: BaseException, asked: Headers | None = None, cut: bool = False
) -> tuple[Response, bool]:
    """Return what an error is answered with, and whether it has to be logged.

    It has to be, unless it is what the client did, or what somebody has raised to say
    just that: an HTTPError by itself, of any status.

    Args:
        error: What was raised.
        asked: The headers of the request.
        cut: It came too late to be answered.
    """
    found = answer_in(error)
    if found is not None:
        meant = found.status < _OUR_FAULT or (found is error and not cut)
        try:
            return problem(found, asked), not meant
        except Exception:  # noqa: S110 - of headers or members that cannot be sent
            pass
    return problem(HTTPError(_OUR_FAULT), asked), True


def answer_in(error: BaseException) -> HTTPError | None:
    """Return the one HTTPError to which all leads that has failed, if there is one."""
    found: list[HTTPError] = []
    seen: set[int] = set()
    rest: list[BaseException] = [error]
    while rest:
        one = rest.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, HTTPError):
            found.append(one)
        elif isinstance(one, BaseExceptionGroup):
            rest += one.exceptions
        elif one.__cause__ is not None:
            rest.append(one.__cause__)
        elif not isinstance(one, ClientGone):
            return None
    return found[0] if len(found) == 1 else None


def sole(error: BaseException) -> BaseException:
    """Return the one error that is in a group, or one of several departures."""
    if isinstance(error, BaseExceptionGroup):
        others = error.split(ClientGone)[1]
        if others is None or len(error.exceptions) == 1:
            return sole(error.exceptions[0])
    return error
