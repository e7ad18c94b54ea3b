"""Errors as responses: problem documents, after RFC 9457."""

from __future__ import annotations

import msgspec

from ._errors import ClientGone, HTTPError
from ._message import Response


def problem(error: HTTPError) -> Response:
    """Return an error as a response."""
    headers = {"Content-Type": "application/problem+json", **error.headers}
    return Response(error.status, msgspec.json.encode(error.problem()), headers)


def sole(error: BaseException) -> BaseException:
    """Return the one error that is in a group, or one of several departures."""
    if isinstance(error, BaseExceptionGroup):
        others = error.split(ClientGone)[1]
        if others is None or len(error.exceptions) == 1:
            return sole(error.exceptions[0])
    return error
