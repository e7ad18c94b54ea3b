"""The access log: a line for each request, when it has its answer.

    127.0.0.1:5000 - "GET /path HTTP/1.1" 200

Who asks decides what is in the line, so what might look like another line, or like the
end of the request, is escaped.  What the server answers by itself no handler has seen,
and so it is not here: a request that is none, and one for which there was no place.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from csp.net.http import ClientGone, Request, Response
from csp.net.http._problem import answer_in, sole

_log = logging.getLogger("csp.net.http.access")

_OUR_FAULT = 500


def with_access_log(handler: Any) -> Any:
    """Return a handler that logs what this one answers; this one, if none listens."""
    return Logged(handler) if _log.isEnabledFor(logging.INFO) else handler


class Logged:
    """A handler around one, which logs what that answers."""

    def __init__(self, handler: Callable[[Request], Awaitable[Any]]) -> None:
        self._handler = handler
        self.__wrapped__ = handler  # by which a server finds a block to enter

    async def __call__(self, request: Request) -> Any:
        try:
            response = await self._handler(request)
        except Exception as error:
            if (status := _status_of(error)) is not None:
                _tell(request, status)
            raise
        is_one = isinstance(response, Response)  # else the server answers for it
        _tell(request, response.status if is_one else _OUR_FAULT)
        return response


def _status_of(error: BaseException) -> int | None:
    """Return with what an error is answered; None if nobody is there any more."""
    if isinstance(sole(error), ClientGone):
        return None
    found = answer_in(error)
    return _OUR_FAULT if found is None else found.status


def _tell(request: Request, status: int) -> None:
    _log.info(
        '%s - "%s %s HTTP/%s" %d',
        request.client,
        escaped(request.method),
        escaped(request.target),
        request.http_version,
        status,
    )


def escaped(text: str) -> str:
    """Return a text in which nothing ends a line, or a quotation."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.encode("unicode_escape").decode().replace('"', r"\x22")
