"""The transcript of each request: Tiger Tonic's `Logged`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import TextIO

from csp.net.http._content import encoded
from csp.net.http._headers import Headers
from csp.net.http._message import Request, Response
from csp.net.http.web._wrapped import Handler, Middleware, check_handler, wrapped

from ._lines import Write, is_on, one_line, writer
from ._observed import Outcome, Watch
from ._redaction import CREDENTIALS, Redaction, is_readable
from ._request_id import request_id
from ._tee import TeedBody

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def logged(
    out: TextIO | None = None,
    *,
    redact: Callable[[str], str] | None = None,
    secrets: Collection[str] = CREDENTIALS,
    body_bytes: int = 65_536,
    make_id: Callable[[Request], str] | None = None,
) -> Middleware:
    """Log all that is said in a request and its response, as it passes.

        @logged(sys.stdout, redact=lambda line: line.replace("hunter2", "***"))
        async def handler(request: Request) -> Response:
            return json({"foo": await request.json()})

    Each line begins with the request's id, and with ">" for what the client says or
    "<" for what it is told: the headers that the handler sets, not those that the
    server adds.  Control characters are escaped, so no client can forge a line.

    Args:
        out: Where the lines go; by default to the logger `csp.net.http.access`, as
            INFO, and nothing is done if that is off.
        redact: Takes each line, and returns it without what is not to be seen.  What
            is secret in a body may come in two pieces, and so be on two lines.
        secrets: Headers whose values are not to be seen.
        body_bytes: The most that is shown of each body.  One that is neither text nor
            JSON, or is compressed, is not shown at all.
        make_id: Makes the id of a request; by default it is of 16 letters and digits.
    """
    write = writer(out, "logged")
    redaction = Redaction(secrets)

    def around(handler: Handler) -> Handler:
        check_handler(handler, "logged(...)")

        async def handle(request: Request) -> Response:
            if not is_on(out):
                return await handler(request)
            name = request_id() if make_id is None else one_line(make_id(request))
            talk = _Transcript(name, write, redact, redaction, body_bytes)
            talk.request(request)
            watch = Watch(request, talk.end, talk.piece)
            body = request.body
            request.body = TeedBody(body, talk.body(">", "request", request.headers))
            try:
                response = watch.answer(await handler(request))
            except BaseException as error:
                watch.fail(error)
                raise
            if response is None:  # somebody else is asked then
                request.body = body
            return response

        return wrapped(handle, handler)

    return around


class _Transcript:
    """Writes what is said in one request."""

    def __init__(
        self,
        name: str,
        write: Write,
        redact: Callable[[str], str] | None,
        redaction: Redaction,
        body_bytes: int,
    ) -> None:
        self._name = name
        self._write = write
        self._redact = redact
        self._redaction = redaction
        self._body_bytes = body_bytes
        self._see: Callable[[bytes], None] | None = None  # once it is being answered

    def _line(self, way: str, text: str = "") -> None:
        line = f"{self._name} {way} {text}" if text else f"{self._name} {way}"
        self._write(line if self._redact is None else self._redact(line))

    def _head(self, way: str, first: str, headers: Headers) -> None:
        self._line(way, one_line(first))
        for field in self._redaction.fields(headers):
            self._line(way, field)
        self._line(way)

    def body(self, way: str, whose: str, headers: Headers) -> Callable[[bytes], None]:
        """Return a function that writes the pieces of a body, as far as is wanted."""
        rest = self._body_bytes
        what = None if is_readable(headers) else f"** {whose} body redacted **"

        def see(data: bytes) -> None:
            nonlocal rest, what
            if not data or rest < 0:
                return
            if what is None:
                self._lines(way, data[:rest])
                rest -= len(data)
                if rest >= 0:
                    return
                what = f"** the rest of the {whose} body is left out **"
            self._line(way, what)
            rest = -1

        return see

    def _lines(self, way: str, data: bytes) -> None:
        text = data.decode(errors="backslashreplace")
        if text:
            for line in text.removesuffix("\n").split("\n"):
                self._line(way, one_line(line.removesuffix("\r")))

    # What is written of a request, in this order

    def request(self, request: Request) -> None:
        """Write its head."""
        first = f"{request.method} {request.target} HTTP/{request.http_version}"
        self._head(">", first, request.headers)

    def piece(self, response: Response, data: bytes) -> None:
        """Write what is sent, and the head before it."""
        if self._see is None:
            reason = _PHRASES.get(response.status, "")
            first = f"HTTP/1.1 {response.status:d} {reason}".rstrip()
            self._head("<", first, response.headers)
            self._see = self.body("<", "response", response.headers)
        self._see(data)

    def end(self, outcome: Outcome) -> None:
        """Write what has not been written, or why that is not to come."""
        response = outcome.response
        if response is None:
            self._line("<", "** no answer **")
        elif self._see is None:
            shown = response.body if outcome.sent else b""
            self.piece(response, shown if isinstance(shown, bytes) else encoded(shown))
        elif outcome.error is not None:
            self._line("<", "** the response was cut **")
