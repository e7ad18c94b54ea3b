"""A line for each request, in the combined format of Apache's httpd.

    127.0.0.1 - ann [02/Jan/2006:15:04:05 -0700] "GET /a HTTP/1.1" 200 14 "-" "curl/8"

What clients say is escaped as there: a quote or backslash by a backslash, the usual
white space as in C, and every other byte that is not printable ASCII by its hex digits.
A space in the name of a user is escaped too, which httpd does not: else a name could be
made to look like the fields after it.
"""

from __future__ import annotations

import base64
import time
from functools import lru_cache
from typing import TextIO

from csp.net.http._headers import Headers
from csp.net.http._message import Request, Response
from csp.net.http.web._wrapped import Handler, Middleware, check_handler, wrapped

from ._lines import is_on, writer
from ._observed import Outcome, Watch

_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 256))}
_ESCAPES |= {ord(c): f"\\{c}" for c in '"\\'}
_ESCAPES |= {ord(c): f"\\{n}" for c, n in zip("\b\n\r\t\v", "bnrtv", strict=True)}
_NO_ANSWER = 499  # as nginx has it


def apache_logged(out: TextIO | None = None) -> Middleware:
    """Log a line for each request, in the combined format.

        @apache_logged(sys.stdout)
        async def handler(request: Request) -> Response:
            return text("Hello, www!\\n")

    The line is written when the response has been sent, or cut; that of a body which is
    no stream, when the handler has returned it.  The time in it is that at which the
    request came.  The bytes are those of the body that were sent: "-" if there were
    none, as for HEAD.  The status is 499 if nobody was there to be answered.  The user
    is who the client says it is, by Basic authentication, and need not be that.

    Args:
        out: Where the lines go; by default to the logger `csp.net.http.access`, as
            INFO, and nothing is done if that is off.
    """
    write = writer(out, "apache_logged")

    def around(handler: Handler) -> Handler:
        check_handler(handler, "apache_logged(...)")

        async def handle(request: Request) -> Response:
            if not is_on(out):
                return await handler(request)
            when = _clock(int(time.time()))

            def done(outcome: Outcome) -> None:
                write(_line(outcome, when))

            watch = Watch(request, done)
            try:
                return watch.answer(await handler(request))
            except BaseException as error:
                watch.fail(error)
                raise

        return wrapped(handle, handler)

    return around


def _line(outcome: Outcome, when: str) -> str:
    request, response = outcome.request, outcome.response
    status = _NO_ANSWER if response is None else int(response.status)
    asked = f"{request.method} {request.target} HTTP/{request.http_version}"
    return (
        f"{_host(request.client)} - {_user(request.headers)} [{when}] "
        f'"{_escaped(asked)}" {status} {outcome.sent or "-"} '
        f'"{_field(request.headers, "referer")}" '
        f'"{_field(request.headers, "user-agent")}"'
    )


@lru_cache(maxsize=2)
def _clock(second: int) -> str:
    """Return a time as it is here; the months have English names everywhere."""
    at = time.localtime(second)
    sign, offset = "-" if at.tm_gmtoff < 0 else "+", abs(at.tm_gmtoff) // 60
    return (
        f"{at.tm_mday:02}/{_MONTHS[at.tm_mon - 1]}/{at.tm_year}:{at.tm_hour:02}:"
        f"{at.tm_min:02}:{at.tm_sec:02} {sign}{offset // 60:02}{offset % 60:02}"
    )


def _host(client: str) -> str:
    """Return an address without its port."""
    if client.startswith("unix:"):
        return "-"
    host = client.rpartition(":")[0].strip("[]")
    return _escaped(host).replace(" ", "\\x20") or "-"


def _user(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "-"
    try:
        pair = base64.b64decode(token.strip(" "), validate=True)
    except ValueError:
        return "-"
    name, colon, _ = pair.decode("latin-1").partition(":")
    if not colon or not name:
        return "-"
    return _escaped(name).replace(" ", "\\x20")


def _field(headers: Headers, name: str) -> str:
    return _escaped(headers.get(name, "")) or "-"


def _escaped(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.translate(_ESCAPES).encode("ascii", "backslashreplace").decode()
