"""Requests and responses, as handlers see them.

A body is what may be large, or slow, or both.  So that of a request is read from the
connection only as the handler asks for it: who does not read makes the client wait.
That of a response may be an async iterable, of which the next piece is asked for when
the last one has been taken by the client's side.

Both are made for every request, so they look closely only at what comes from users:
their constructors are written out, and what few handlers ask for is made when asked.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncIterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Self, TypeAlias, TypeVar, overload
from urllib.parse import parse_qsl, unquote

import anyio
import attrs
import msgspec

from ._errors import BadRequest, ContentTooLarge
from ._headers import Headers, HeadersLike

T = TypeVar("T")

_NO_PARAMS: Mapping[str, Any] = MappingProxyType({})


class Body:
    """The body of a request: bytes that come in pieces, which can be iterated over.

        async def handler(request: Request) -> Response:
            size = 0
            async for data in request.body:
                size += len(data)
            return text(f"{size} bytes")

    It can be read once.  A piece is what has come at once, of any size but never empty.
    """

    __slots__ = ()

    trailers: Headers | None = None
    """What came after the body; None until it has ended."""

    async def receive(self) -> bytes:
        """Return the next piece.

        Raises:
            anyio.EndOfStream: There is no more.
            HTTPError: The body is malformed, too large, or comes too slowly.
            ClientGone: The rest of it will not come.
        """
        raise NotImplementedError

    def cancelled_if_gone(self) -> AbstractAsyncContextManager[None]:
        """Do as the request's method of that name."""
        return _Unwatched()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


class _Given(Body):
    """A body that is there already: of a request that was made by hand."""

    __slots__ = ("_rest", "trailers")

    def __init__(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"the body of a request is bytes, not {data!r}")
        self._rest = data
        self.trailers = None

    async def receive(self) -> bytes:
        data, self._rest = self._rest, b""
        if data:
            return data
        self.trailers = Headers()
        raise anyio.EndOfStream


class _Unwatched(AbstractAsyncContextManager[None]):
    """The block of a request that has no connection."""

    async def __aexit__(self, *exc_info: object) -> None:
        return None


class Query(Mapping[str, str]):
    """The parameters after the question mark: the first of each name, or all of it.

        query = Query("tag=a&tag=b&exact")
        assert query["tag"] == "a" and query.get_all("tag") == ["a", "b"]
        assert query["exact"] == ""

    A plus sign is a space.  What is no percent-encoding stays as it is, and what it
    encodes is taken for UTF-8, with U+FFFD for what is none.
    """

    __slots__ = ("_first", "_pairs")

    def __init__(self, text: str) -> None:
        self._pairs = parse_qsl(text, keep_blank_values=True)
        self._first: dict[str, str] = {}
        for name, value in self._pairs:
            self._first.setdefault(name, value)

    def __getitem__(self, name: str) -> str:
        return self._first[name]

    def get_all(self, name: str) -> list[str]:
        """Return all values of a parameter, in their order."""
        return [value for key, value in self._pairs if key == name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def __repr__(self) -> str:
        return f"Query({self._pairs!r})"


@attrs.define(eq=False, init=False)
class Request:
    """What a client asks for.

        async def handler(request: Request) -> Response:
            name = request.query.get("name", "www")
            return text(f"Hello, {name}!")

    Make one by hand to call a handler in a test: ``Request("GET", "/a?b=c")``.
    """

    method: str
    """As it was sent: methods are case-sensitive."""
    target: str
    """The path and what comes after it, as it was sent; or "*"."""
    headers: Headers
    """The header fields."""
    body: Body
    """What comes after them; made of bytes, if the request is made by hand."""
    http_version: str
    """"1.0" or "1.1"."""
    client: str
    """The address of the other end."""
    server: str
    """The address of this end."""
    scheme: str
    """"http" or "https"."""
    params: Mapping[str, Any]
    """What a router has found in the path."""
    pattern: str | None
    """The pattern of the router that was chosen."""
    mount: str
    """What routers that this is mounted in have taken of the path, as it was sent."""
    context: Any
    """Whatever handlers around this one have to say to it."""
    _host: str = attrs.field(repr=False)
    _outer: Any = attrs.field(repr=False)  # what those routers have found: theirs alone
    _query: Query | None = attrs.field(repr=False)
    _pieces: list[bytes] | None = attrs.field(repr=False)
    _whole: bytes | None = attrs.field(repr=False)

    def __init__(  # noqa: PLR0917 - the server calls it, and keywords cost
        self,
        method: str = "GET",
        target: str = "/",
        headers: HeadersLike = None,
        body: Body | bytes = b"",
        http_version: str = "1.1",
        client: str = "",
        server: str = "",
        scheme: str = "http",
        host: str = "",
    ) -> None:
        """Make one.  `host` is for a target that named one: else `Host` does."""
        if not isinstance(body, Body):  # made by hand
            _check_line(method, target)
            body = _Given(body)
        self.method = method
        self.target = target
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body
        self.http_version = http_version
        self.client = client
        self.server = server
        self.scheme = scheme
        self.params = _NO_PARAMS
        self.pattern = None
        self.mount = ""
        self.context = None
        self._host = host
        self._outer = None
        self._query = None
        self._pieces = None
        self._whole = None

    @property
    def path(self) -> str:
        """The path, decoded: ``/a b`` of the target ``/a%20b?c``.

        For people to read, or to be compared with.  Here %2F is a slash like any other
        and %00 a NUL, and what is no UTF-8, overlong forms too, is U+FFFD.  To look
        something up by its segments, divide `target` at its slashes before decoding, as
        routers do.
        """
        path = self.target.partition("?")[0]
        return unquote(path) if "%" in path else path

    @property
    def subpath(self) -> str:
        """What is left of the path after `mount`, as it was sent: not decoded.

        For a handler that is mounted and has to look further, as a router does.
        """
        return self.target.partition("?")[0][len(self.mount) :]

    @property
    def query(self) -> Query:
        """The parameters after the question mark."""
        if self._query is None:
            self._query = Query(self.target.partition("?")[2])
        return self._query

    @property
    def host(self) -> str:
        """What the client calls this server: a name, and maybe a port."""
        return self._host or self.headers.get("host", "")

    async def read(self, limit: int | None = None) -> bytes:
        """Return the whole body.  Once it has been read it can be had again.

        Nothing is lost if it raises, cancellation included: the next call goes on.

        Args:
            limit: The most bytes to read; the server's own limit holds in any case.

        Raises:
            ContentTooLarge: There is more.
            HTTPError, ClientGone: As of the body's `receive`.
        """
        if self._pieces is None:
            self._pieces = []
        size = sum(map(len, self._pieces))
        most = math.inf if limit is None else limit
        while size <= most:
            if self._whole is not None:
                return self._whole
            try:
                self._pieces.append(await self.body.receive())
                size += len(self._pieces[-1])
            except anyio.EndOfStream:
                self._whole = b"".join(self._pieces)
                self._pieces = [self._whole]
        raise ContentTooLarge(f"the body has more than {limit} bytes")

    @overload
    async def json(self) -> Any: ...
    @overload
    async def json(self, type: type[T]) -> T: ...
    @overload
    async def json(self, type: Any) -> Any: ...
    async def json(self, type: Any = Any) -> Any:  # noqa: A002 - msgspec's word
        """Return the body, decoded from JSON and checked against a type.

        Args:
            type: What it has to be: a msgspec.Struct, an attrs class, a dataclass, a
                TypedDict, or anything else that msgspec knows.

        Raises:
            BadRequest: It is not JSON, or not of that type; its detail says where.
            HTTPError, ClientGone: As `read`.
        """
        data = await self.read()
        try:
            return msgspec.json.decode(data, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"the body: {error}") from None

    def cancelled_if_gone(self) -> AbstractAsyncContextManager[None]:
        """Make a block that is cancelled if the client closes the connection.

            async def handler(request: Request) -> Response:
                async with request.cancelled_if_gone():
                    return text(await long_work())

        Without it a handler goes on, and learns of that when it reads or sends.

        Raises:
            ClientGone: The client has gone; from the block.
        """
        return self.body.cancelled_if_gone()


def _check_line(method: object, target: object) -> None:
    if not isinstance(method, str) or not isinstance(target, str):
        raise TypeError(
            f"a request has a method and a target, which are str, not {method!r} and "
            f'{target!r}. Write: Request("GET", "/path?name=value")'
        )
    if method != "CONNECT" and target != "*" and not target.startswith("/"):
        raise ValueError(f'a target begins with a slash, or is "*", not {target!r}')


Stream: TypeAlias = AsyncIterable[bytes | str] | AsyncIterable[bytes]
Content: TypeAlias = bytes | str | Stream | AbstractAsyncContextManager[Stream]


@attrs.define(eq=False, init=False)
class Response:
    """What a handler answers.

        async def numbers() -> AsyncIterator[bytes]:
            for n in range(10):
                yield f"{n}\\n".encode()

        async def handler(request: Request) -> Response:
            return Response(body=numbers(), headers={"Content-Type": "text/plain"})

    What is made of a body that is an iterable: its pieces are sent as they come; it is
    closed in every case, if it can be; what it raises cuts the response, which the
    client can see.  An empty piece sends the header fields, if they are still here.

    `Headers` that are given are taken as they are, not copied: what a handler around
    this one adds is added to them, so make new ones for each response.

    Raises:
        TypeError: The body, or another argument, is none of what is said below.
        ValueError: The status is not 200 to 999.
    """

    status: int
    """200 to 999: what comes before is not for handlers to send."""
    body: Content
    """What is sent.

    Bytes, or str, which is sent as UTF-8.  Or a channel, a receiver or any other async
    iterable of those.  Or an async context manager that gives one, such as `csp.merge`
    and `csp.map`; it is entered and left around the sending.
    """
    headers: Headers
    """Header fields.  `Date` and those that frame the body are added."""
    trailers: Headers | None
    """Fields to be sent after the body, if it is sent in chunks."""

    def __init__(
        self,
        status: int = 200,
        body: Content = b"",
        headers: HeadersLike = None,
        trailers: HeadersLike = None,
    ) -> None:
        if type(status) is not int or not _LEAST <= status <= _MOST:
            _refuse_status(status)
        if not isinstance(body, (bytes, str)):
            _check_stream(body)
        self.status = status
        self.body = body
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.trailers = None if trailers is None else Headers(trailers)


_LEAST, _MOST = 200, 999


def _refuse_status(status: object) -> None:
    """Raise, unless it is a number after all, such as a member of `HTTPStatus`."""
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"status must be a whole number, not {status!r}")
    if not _LEAST <= status <= _MOST:
        raise ValueError(f"the status of a response is 200 to 999, not {status}")


_INSTEAD = {
    "coroutine": "await it",
    "function": "call it",
    "generator": "make it an async one",
    "dict": "return json(...)",
    "list": "return json(...), or join its pieces",
    "tuple": "return json(...), or join its pieces",
    "bytearray": "bytes(...)",
    "memoryview": "bytes(...)",
}


def _check_stream(body: object) -> None:
    """Raise unless something can be sent that is neither bytes nor str."""
    if hasattr(body, "__aiter__") or hasattr(body, "__aenter__"):
        return
    if inspect.iscoroutine(body):
        body.close()  # else there would be a second complaint
    instead = _INSTEAD.get(type(body).__name__)
    raise TypeError(
        "the body of a response is bytes, str or an async iterable of them, not "
        f"{body!r}" + (f". Write: {instead}" if instead else "")
    )
