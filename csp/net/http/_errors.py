"""Errors that are answers.

A handler that cannot answer raises one of these, and the server makes a response of it:
``application/problem+json`` after RFC 9457.  Each status from 400 on that has a name
has a class, and the class's name in words is the phrase: those of the standard library
differ from one Python to the next.
"""

from __future__ import annotations

import copyreg
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import anyio

from ._headers import Headers

_PHRASES: dict[int, str] = {}
_WORD_STARTS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LEAST, _MOST = 400, 599
_OWN = frozenset({"status", "detail"})


class HTTPError(Exception):
    """An error with the status that the client is to see.

        async def handler(request: Request) -> Response:
            raise HTTPError(402, "the free trial has ended")

    Args:
        status: 400 to 599.
        detail: What is wrong, for the client to read; by default the status's phrase.
        headers: More headers of the response; `Headers` can have a name twice.
        members: More members of the problem document, whatever JSON can hold: `type`,
            `instance`, or of your own, as the `pointer` to what is wrong in a body.
    """

    status: int
    detail: str
    headers: Mapping[str, str] | Headers
    members: Mapping[str, Any]

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        headers: Mapping[str, str] | Headers | None = None,
        *,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(status, bool) or not isinstance(status, int):
            raise TypeError(f"status must be a whole number, not {status!r}")
        if not _LEAST <= status <= _MOST:
            raise ValueError(f"the status of an error is 400 to 599, not {status}")
        if detail is not None and not isinstance(detail, str):
            raise TypeError(f"detail must be a str, not {detail!r}")
        if headers is not None and not isinstance(headers, (Mapping, Headers)):
            raise TypeError(f"the headers of an error are a mapping, not {headers!r}")
        self.status = status
        self.detail = phrase(status) if detail is None else detail
        self.headers = {} if headers is None else headers
        self.members = {} if members is None else _checked(members)

    def problem(self) -> dict[str, Any]:
        """Return it as a problem document: title, status, detail, error, members."""
        title = phrase(self.status)
        return {
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "error": title.lower().replace(" ", "_"),
            **self.members,
        }

    def __str__(self) -> str:
        return f"{self.status} {self.detail}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by a call: __init__ of a subclass may take whatever it likes.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


def _checked(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return members, if they do not say again, or otherwise, what the error says."""
    if not isinstance(members, Mapping):
        raise TypeError(f"the members of an error are a mapping, not {members!r}")
    for name in members:
        if not isinstance(name, str):
            raise TypeError(f"the name of a member must be a str, not {name!r}")
        if name in _OWN:
            raise ValueError(f"{name!r} is an argument of the error, not a member")
    return members


def phrase(status: int) -> str:
    """Return the words for a status of an error, such as "Not Found"."""
    return _PHRASES.get(status, "Error")


class _Named(HTTPError):
    """The base of the classes with a status of their own."""

    _status: ClassVar[int]

    def __init_subclass__(cls, status: int | None = None) -> None:
        if status is not None:  # else it is a user's, and means what its base does
            cls._status = status
            _PHRASES[status] = _WORD_STARTS.sub(" ", cls.__name__)

    def __init__(
        self,
        detail: str | None = None,
        headers: Mapping[str, str] | Headers | None = None,
        *,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(self._status, detail, headers, members=members)


class BadRequest(_Named, status=400):
    """400: the request makes no sense."""


class Unauthorized(_Named, status=401):
    """401: the client has to say who it is; `WWW-Authenticate` says how."""


class PaymentRequired(_Named, status=402):
    """402: not before it is paid for."""


class Forbidden(_Named, status=403):
    """403: this client may not do that."""


class NotFound(_Named, status=404):
    """404: there is nothing here."""


class MethodNotAllowed(_Named, status=405):
    """405: not with this method; `Allow` among the headers says with which."""


class NotAcceptable(_Named, status=406):
    """406: there is no form of this that the client accepts."""


class ProxyAuthenticationRequired(_Named, status=407):
    """407: the client has to tell the proxy who it is."""


class RequestTimeout(_Named, status=408):
    """408: the client took too long to send the request."""


class Conflict(_Named, status=409):
    """409: not in the state in which it is."""


class Gone(_Named, status=410):
    """410: there was something here once."""


class LengthRequired(_Named, status=411):
    """411: not without a Content-Length."""


class PreconditionFailed(_Named, status=412):
    """412: it is not, or no longer, as the client supposes."""


class ContentTooLarge(_Named, status=413):
    """413: the body is larger than allowed."""


class URITooLong(_Named, status=414):
    """414: the target is longer than allowed."""


class UnsupportedMediaType(_Named, status=415):
    """415: not with a body of this type."""


class RangeNotSatisfiable(_Named, status=416):
    """416: there is nothing in that range."""


class ExpectationFailed(_Named, status=417):
    """417: the client expects what the server does not do."""


class ImATeapot(_Named, status=418):
    """418: coffee is made elsewhere."""


class MisdirectedRequest(_Named, status=421):
    """421: this server does not answer for that host."""


class UnprocessableContent(_Named, status=422):
    """422: it can be read, and cannot be done."""


class Locked(_Named, status=423):
    """423: somebody else has it locked."""


class FailedDependency(_Named, status=424):
    """424: not after something before it has failed."""


class TooEarly(_Named, status=425):
    """425: not in early data, which might be a replay."""


class UpgradeRequired(_Named, status=426):
    """426: not with this protocol."""


class PreconditionRequired(_Named, status=428):
    """428: only if the client says in which state it is to be."""


class TooManyRequests(_Named, status=429):
    """429: this client asks too often."""


class RequestHeaderFieldsTooLarge(_Named, status=431):
    """431: the headers are larger, or more, than allowed."""


class UnavailableForLegalReasons(_Named, status=451):
    """451: somebody has forbidden it."""


class InternalServerError(_Named, status=500):
    """500: it is the server's fault."""


class NotImplemented(_Named, status=501):  # noqa: A001 - http.NotImplemented, as its kin
    """501: the server does not do that at all."""


class BadGateway(_Named, status=502):
    """502: another server behind this one gave no sensible answer."""


class ServiceUnavailable(_Named, status=503):
    """503: not now; `Retry-After` among the headers may say when."""


class GatewayTimeout(_Named, status=504):
    """504: another server behind this one took too long."""


class HTTPVersionNotSupported(_Named, status=505):
    """505: not in this version of HTTP."""


class VariantAlsoNegotiates(_Named, status=506):
    """506: the server's choice of variants leads in a circle."""


class InsufficientStorage(_Named, status=507):
    """507: there is no room to keep it."""


class LoopDetected(_Named, status=508):
    """508: it contains itself."""


class NotExtended(_Named, status=510):
    """510: not without an extension that the request lacks."""


class NetworkAuthenticationRequired(_Named, status=511):
    """511: the client has to log in to its network first."""


class ClientGone(anyio.BrokenResourceError):
    """The client has closed the connection, or its end of it is broken."""
