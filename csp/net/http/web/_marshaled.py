"""Functions with types as handlers: the idea, and the name, are Tiger Tonic's.

All that can be known from the signature is found out when a function is decorated.  At
a request there are left: to look at `Accept`, to get the arguments, to call, to encode.
In that order, so that a client that cannot be answered has changed nothing; and what is
answered is encoded before its status is sent, so that it cannot fail after that.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeAlias, overload

import msgspec

from csp.net.http._accept import accepts, field, parse_media_type
from csp.net.http._content import opened
from csp.net.http._errors import NotAcceptable
from csp.net.http._headers import Headers
from csp.net.http._message import Request, Response

from ._binding import Decoder, Plan, plan_of
from ._lines import LINES, encoded_lines
from ._reply import Reply
from ._results import JSON, Returns, read_returns
from ._signature import Signature, locals_of_caller, read_signature

Encoder: TypeAlias = Callable[[Any], bytes]

_encode = msgspec.json.Encoder().encode
_JSON_FIELD = (b"Content-Type", JSON.encode())


class Marshaled:
    """A handler made of a function by `marshaled`; that is its `__wrapped__`."""

    __wrapped__: Callable[..., Any]
    signature: Signature
    returns: Returns
    content_type: str | None
    summary: str | None
    tags: Sequence[str]
    responses: Mapping[int, Any]

    def __init__(
        self,
        function: Callable[..., Any],
        names: Mapping[str, Any],
        *,
        decode: Decoder | None,
        encode: Encoder | None,
        strict: bool,
        content_type: str | None,
        summary: str | None,
        tags: Sequence[str],
        responses: Mapping[int, Any] | None,
    ) -> None:
        functools.update_wrapper(self, function)
        signature = read_signature(function, names, decode is not None)
        self.signature = signature
        self.returns = read_returns(
            signature.returns, signature.name, content_type, encode is not None
        )
        self.content_type = content_type
        self.summary, self.tags, self.responses = summary, tags, responses or {}
        self._function = function
        self._encode: Encoder = _encode if encode is None else encode
        self._is_custom = encode is not None
        self._plan: Plan = plan_of(signature, decode, strict)
        self._offered = self.returns.offered(content_type)

    def __get__(self, instance: object, owner: type | None = None) -> Self:
        """Bind it to an object, if it was made of a method in the body of a class."""
        if instance is None or not self.signature.is_method:
            return self
        bound = copy.copy(self)
        bound._function = self._function.__get__(instance, owner)
        return bound

    async def __call__(self, request: Request) -> Response:
        """Answer a request with what the function returns."""
        chosen = None
        if self._offered:
            chosen = _choose(request, self._offered)
        plan = self._plan
        arguments = [get(request) for get in plan.getters]
        if plan.body_at >= 0:
            arguments[plan.body_at] = await plan.body(request)
        if plan.keywords:
            result = self._call_by_name(arguments)
        else:
            result = self._function(*arguments)
        if hasattr(result, "__await__"):
            result = await result
        if isinstance(result, Response):
            return result
        if result is None:
            return Response(204)
        if self.content_type is not None or _is_more(result.__class__):
            return await self._respond(request, result, chosen)
        data = self._encode(result)
        if chosen is None:
            _choose(request, (JSON,))
        return Response(200, data, Headers.from_raw([_JSON_FIELD]))

    def _call_by_name(self, arguments: list[Any]) -> Any:
        names = self._plan.keywords
        first = len(arguments) - len(names)
        by_name = dict(zip(names, arguments[first:], strict=True))
        return self._function(*arguments[:first], **by_name)

    async def _respond(
        self, request: Request, result: Any, chosen: str | None
    ) -> Response:
        """Answer with a Reply, a stream, or a value of another type than JSON."""
        reply = result if isinstance(result, Reply) else Reply(result)
        value, headers = reply.value, Headers(reply.headers)
        if value is None:
            return Response(reply.status, b"", headers)
        is_stream = _is_more(value.__class__)
        try:
            content_type = headers.get("content-type", self.content_type)
            offered: Sequence[str] = LINES if is_stream else (JSON,)
            if content_type is not None:
                offered = (content_type,)
            if chosen is None or chosen not in offered:
                chosen = _choose(request, offered)
            headers.setdefault("Content-Type", chosen)
            content = self._content(value, is_stream, chosen)
            return Response(reply.status, content, headers)
        except BaseException:
            if is_stream:
                async with opened(value):
                    pass  # so that it is closed
            raise

    def _content(self, value: Any, is_stream: bool, content_type: str) -> Any:
        """Return a value as the body of a response."""
        media = parse_media_type(content_type)
        is_lines = media is not None and media.essence in LINES
        if is_stream:
            return encoded_lines(value, self._encode) if is_lines else value
        is_json = media is not None and media.is_json
        if isinstance(value, (bytes, str)) and not is_json:
            return value
        if not is_json and not self._is_custom:
            raise TypeError(
                f"{self.signature.name} returned {value!r}, which cannot be sent as "
                f"{content_type}. Write: marshaled(encode=...), or return bytes"
            )
        return self._encode(value)


@functools.lru_cache(maxsize=1024)
def _is_more(type_: type) -> bool:
    """Tell whether what is of a type is a reply or a stream, and no value."""
    return type_ is Reply or hasattr(type_, "__aiter__") or hasattr(type_, "__aenter__")


def _choose(request: Request, offered: Sequence[str]) -> str:
    """Return which of some types the client accepts.

    Raises:
        NotAcceptable: It accepts none of them.
    """
    accept = field(request.headers, b"accept")
    chosen = offered[0] if accept is None else accepts(accept, offered)
    if chosen is None:
        raise NotAcceptable(f"Accept allows no {' or '.join(offered)}")
    return chosen


@overload
def marshaled(function: Callable[..., Any], /) -> Marshaled: ...
@overload
def marshaled(
    *,
    decode: Decoder | None = None,
    encode: Encoder | None = None,
    strict: bool = False,
    content_type: str | None = None,
    summary: str | None = None,
    tags: Sequence[str] = (),
    responses: Mapping[int, Any] | None = None,
) -> Callable[[Callable[..., Any]], Marshaled]: ...
def marshaled(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a handler of a function: its arguments are of the request, as it says.

        @marshaled
        async def buy(shop: str, order: Order, *, gift: bool = False) -> Receipt:
            return await shops[shop].buy(order, gift)

    A parameter annotated with a class that has fields is the body, decoded from JSON:
    a msgspec.Struct, an attrs class, a dataclass, a TypedDict, or dict and list of
    those.  What can be text, such as int, UUID, an Enum or datetime, comes from the
    route if that has a parameter of its name, else from the query; a list takes all
    values of one.  `Request` is the request itself, `Body` or AsyncIterator[bytes] the
    body as it comes, AsyncIterator of another type its lines as JSON.  `Annotated` with
    `Header`, `Context` or `Param` names the rest.  A default makes it optional.

    A returned value is sent as JSON, None is a 204, `Reply` says more, and a `Response`
    is passed on.  What comes out of an async iterable or a channel is sent as lines of
    JSON.  It works as well for functions that are not async, but must not block.

    A client gets 400 for what cannot be decoded, with a JSON pointer to where; 404 for
    a bad parameter of the route; 406 if it accepts no JSON; 415 if it sends none.

    Args:
        function: A function, a method, or another callable.
        decode: What decodes bodies instead of msgspec: called with bytes and the type,
            it returns the value or raises ValueError.
        encode: What encodes values instead: called with the value, it returns bytes.
        strict: Whether to refuse JSON objects that have a key twice, of which otherwise
            the last counts.
        content_type: What is returned, if not JSON.  Bytes and text are sent as they
            are, and so are the pieces of a stream.
        summary: In the OpenAPI document, instead of the docstring's first line.
        tags: In the OpenAPI document, where this belongs.
        responses: In the OpenAPI document, more responses by their statuses: a type, or
            a text that says what it means.

    Raises:
        TypeError: There is a parameter that cannot be bound; it says which, and what
            to write instead.
    """
    names = locals_of_caller(1)
    settings = {**_OPTIONS, **options}
    if unknown := options.keys() - _OPTIONS.keys():
        raise TypeError(f"marshaled has no options {', '.join(sorted(unknown))}")
    if function is None:
        return lambda function: _make(function, names, settings)
    return _make(function, names, settings)


_OPTIONS: dict[str, Any] = {
    "decode": None,
    "encode": None,
    "strict": False,
    "content_type": None,
    "summary": None,
    "tags": (),
    "responses": None,
}


def _make(
    function: Any, names: Mapping[str, Any], options: Mapping[str, Any]
) -> Marshaled:
    content_type = options["content_type"]
    if not callable(function):
        raise TypeError(f"marshaled takes a function, not {function!r}")
    if content_type is not None and parse_media_type(content_type) is None:
        raise ValueError(
            f'content_type must be such as "text/csv", not {content_type!r}'
        )
    return Marshaled(function, names, **options)
