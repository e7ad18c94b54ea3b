"""HTTP: an async function from requests to responses, and a server around it.

    import csp
    from csp.net import http

    async def hello(request: http.Request) -> http.Response:
        return http.text("Hello, www!\\n")

    csp.run(http.serve, hello, "127.0.0.1:8080")

It needs the extra `http`.
"""

try:
    import httptools as _httptools  # noqa: F401
    import msgspec as _msgspec  # noqa: F401
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        f"csp.net.http needs {_error.name}. Write: pip install 'anycsp[http]'",
        name=_error.name,
    ) from None

from ._accept import accepts as accepts
from ._errors import BadGateway as BadGateway
from ._errors import BadRequest as BadRequest
from ._errors import ClientGone as ClientGone
from ._errors import Conflict as Conflict
from ._errors import ContentTooLarge as ContentTooLarge
from ._errors import ExpectationFailed as ExpectationFailed
from ._errors import FailedDependency as FailedDependency
from ._errors import Forbidden as Forbidden
from ._errors import GatewayTimeout as GatewayTimeout
from ._errors import Gone as Gone
from ._errors import HTTPError as HTTPError
from ._errors import HTTPVersionNotSupported as HTTPVersionNotSupported
from ._errors import ImATeapot as ImATeapot
from ._errors import InsufficientStorage as InsufficientStorage
from ._errors import InternalServerError as InternalServerError
from ._errors import LengthRequired as LengthRequired
from ._errors import Locked as Locked
from ._errors import LoopDetected as LoopDetected
from ._errors import MethodNotAllowed as MethodNotAllowed
from ._errors import MisdirectedRequest as MisdirectedRequest
from ._errors import NetworkAuthenticationRequired as NetworkAuthenticationRequired
from ._errors import NotAcceptable as NotAcceptable
from ._errors import NotExtended as NotExtended
from ._errors import NotFound as NotFound
from ._errors import NotImplemented as NotImplemented  # noqa: A004 - 501
from ._errors import PaymentRequired as PaymentRequired
from ._errors import PreconditionFailed as PreconditionFailed
from ._errors import PreconditionRequired as PreconditionRequired
from ._errors import ProxyAuthenticationRequired as ProxyAuthenticationRequired
from ._errors import RangeNotSatisfiable as RangeNotSatisfiable
from ._errors import RequestHeaderFieldsTooLarge as RequestHeaderFieldsTooLarge
from ._errors import RequestTimeout as RequestTimeout
from ._errors import ServiceUnavailable as ServiceUnavailable
from ._errors import TooEarly as TooEarly
from ._errors import TooManyRequests as TooManyRequests
from ._errors import Unauthorized as Unauthorized
from ._errors import UnavailableForLegalReasons as UnavailableForLegalReasons
from ._errors import UnprocessableContent as UnprocessableContent
from ._errors import UnsupportedMediaType as UnsupportedMediaType
from ._errors import UpgradeRequired as UpgradeRequired
from ._errors import URITooLong as URITooLong
from ._errors import VariantAlsoNegotiates as VariantAlsoNegotiates
from ._events import Event as Event
from ._events import events as events
from ._files import file as file
from ._headers import Headers as Headers
from ._limits import Limits as Limits
from ._makers import html as html
from ._makers import json as json
from ._makers import redirect as redirect
from ._makers import text as text
from ._message import Body as Body
from ._message import Query as Query
from ._message import Request as Request
from ._message import Response as Response
from ._readiness import readiness as readiness
from .serve import DrainReport as DrainReport
from .serve import Server as Server
from .serve import serve as serve
from .web import Context as Context
from .web import Converter as Converter
from .web import Handler as Handler
from .web import Header as Header
from .web import Marshaled as Marshaled
from .web import Middleware as Middleware
from .web import Param as Param
from .web import Reply as Reply
from .web import Route as Route
from .web import Router as Router
from .web import apache_logged as apache_logged
from .web import chain as chain
from .web import conditional as conditional
from .web import errors_as as errors_as
from .web import first as first
from .web import logged as logged
from .web import mapped as mapped
from .web import marshaled as marshaled
from .web import openapi as openapi
from .web import openapi_handler as openapi_handler
from .web import with_context as with_context

# Without NotImplemented, which would hide Python's own.
__all__ = [
    "BadGateway",
    "BadRequest",
    "Body",
    "ClientGone",
    "Conflict",
    "ContentTooLarge",
    "Context",
    "Converter",
    "DrainReport",
    "Event",
    "ExpectationFailed",
    "FailedDependency",
    "Forbidden",
    "GatewayTimeout",
    "Gone",
    "HTTPError",
    "HTTPVersionNotSupported",
    "Handler",
    "Header",
    "Headers",
    "ImATeapot",
    "InsufficientStorage",
    "InternalServerError",
    "LengthRequired",
    "Limits",
    "Locked",
    "LoopDetected",
    "Marshaled",
    "MethodNotAllowed",
    "Middleware",
    "MisdirectedRequest",
    "NetworkAuthenticationRequired",
    "NotAcceptable",
    "NotExtended",
    "NotFound",
    "Param",
    "PaymentRequired",
    "PreconditionFailed",
    "PreconditionRequired",
    "ProxyAuthenticationRequired",
    "Query",
    "RangeNotSatisfiable",
    "Reply",
    "Request",
    "RequestHeaderFieldsTooLarge",
    "RequestTimeout",
    "Response",
    "Route",
    "Router",
    "Server",
    "ServiceUnavailable",
    "TooEarly",
    "TooManyRequests",
    "URITooLong",
    "Unauthorized",
    "UnavailableForLegalReasons",
    "UnprocessableContent",
    "UnsupportedMediaType",
    "UpgradeRequired",
    "VariantAlsoNegotiates",
    "accepts",
    "apache_logged",
    "chain",
    "conditional",
    "errors_as",
    "events",
    "file",
    "first",
    "html",
    "json",
    "logged",
    "mapped",
    "marshaled",
    "openapi",
    "openapi_handler",
    "readiness",
    "redirect",
    "serve",
    "text",
    "with_context",
]

for _name, _value in list(globals().items()):
    if not _name.startswith("_") and getattr(_value, "__module__", "").startswith(
        f"{__name__}."
    ):
        _value.__module__ = __name__
del _name, _value
