"""Knowing what became of a request, once that is certain.

A handler returns a response; somebody else sends it.  So one around it sees the end of
the exchange only if the body is a stream: then it puts itself around the body, counts
what is asked for, and hears when the body is closed.  A body of bytes cannot be watched
on its way: it counts as sent when the handler returns it.

What a handler raises is answered outside.  What is told of it here is what the server
answers, if nothing in between, such as `errors_as`, answers otherwise.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import attrs

from csp.net.http._content import encoded, opened
from csp.net.http._errors import ClientGone
from csp.net.http._message import Request, Response
from csp.net.http._problem import answer_to, sole
from csp.net.http.web._wrapped import Handler, no_response, wrapped

_WITHOUT_CONTENT = (204, 304)


@attrs.frozen
class Outcome:
    """What became of a request."""

    request: Request
    response: Response | None
    """What it was answered with; None if it was not: nobody was there any more, or the
    handler was cancelled."""
    sent: int
    """Bytes of the body that were sent, or for bytes that were given to be sent: before
    they are framed, and none for HEAD."""
    seconds: float
    """From the call of the handler to the end of the response."""
    error: BaseException | None
    """What has ended the handler, or cut the response."""


Done = Callable[[Outcome], None]
See = Callable[[Response, bytes], None]


def observed(handler: Handler, done: Done) -> Handler:
    """Make a handler that does as another, and calls `done` at the end of each request.

    A handler that returns None, for another to answer, has not answered: so `done` is
    not called.
    """

    async def handle(request: Request) -> Response:
        watch = Watch(request, done)
        try:
            return watch.answer(await handler(request))
        except BaseException as error:
            watch.fail(error)
            raise

    return wrapped(handle, handler)


class Watch:
    """Watches one exchange, and tells of its end, once.

    If it is given `see`, that is called with each piece of a stream before it is sent.
    """

    __slots__ = ("_began", "_done", "request", "see")

    def __init__(self, request: Request, done: Done, see: See | None = None) -> None:
        self.request = request
        self.see = see
        self._done: Done | None = done
        self._began = perf_counter()

    def answer(self, response: Any) -> Response:
        """Return a response that tells of its end; or this is its end."""
        if not isinstance(response, Response):
            if response is None:
                return response  # type: ignore[return-value]
            raise no_response(response)
        body = response.body
        if isinstance(body, (bytes, str)):
            self.end(response, self._length(response, body))
            return response
        watched = copy.copy(response)
        watched.body = Watched(body, response, self)
        return watched

    def _length(self, response: Response, body: bytes | str) -> int:
        if self.request.method == "HEAD" or response.status in _WITHOUT_CONTENT:
            return 0
        return len(encoded(body))

    def fail(self, error: BaseException) -> None:
        """Tell that it has ended with an error before anything was sent."""
        if not isinstance(error, Exception) or isinstance(sole(error), ClientGone):
            self.end(None, 0, error)
            return
        response, _ = answer_to(error, self.request.headers)
        assert isinstance(response.body, bytes)
        self.end(response, self._length(response, response.body), error)

    def end(
        self, response: Response | None, sent: int, error: BaseException | None = None
    ) -> None:
        """Tell that it has ended."""
        if self._done is not None:
            done, self._done = self._done, None
            seconds = perf_counter() - self._began
            done(Outcome(self.request, response, sent, seconds, error))


class Watched(AbstractAsyncContextManager["Watched"]):
    """The body of a response that tells of its end."""

    def __init__(self, body: Any, response: Response, watch: Watch) -> None:
        self._block = opened(body)
        self._response = response
        self._watch = watch
        self._sent = 0
        self._size = 0  # of the piece that is on its way
        self._begun = False

    async def __aenter__(self) -> Self:
        try:
            self._pieces: AsyncIterator[Any] = aiter(await self._block.__aenter__())
        except BaseException as error:
            self._watch.fail(error)
            raise
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._sent += self._size  # who asks for more has sent it
        self._size = 0
        piece = encoded(await anext(self._pieces))
        self._begun = True
        self._size = len(piece)
        if self._watch.see is not None:
            self._watch.see(self._response, piece)
        return piece

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            return await self._block.__aexit__(kind, error, trace)
        except BaseException as another:
            error = another
            raise
        finally:
            if error is None or self._begun:
                self._watch.end(self._response, self._sent, error)
            else:
                self._watch.fail(error)
