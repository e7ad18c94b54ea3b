"""A client in memory: httpx's, and a server of its own at the other end.

What httpx sends goes through httpcore, which writes it down and reads the answer as it
does with sockets; only where httpcore would open a connection, it dials our listener.
So a test goes through all of the server: the parser, its limits, and the drain.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self

import anyio
import httpcore
import httpx

from csp.net.http._limits import Limits
from csp.net.http.serve._server import Handler

from ._listener import Listener
from ._memory import Connection
from ._serving import serving

_HTTPS = 443


class Client(httpx.AsyncClient):
    """An `httpx.AsyncClient` for a handler, and a server around that, in memory.

        async with Client(app) as client:
            response = await client.get("/users/1")
            assert response.json() == {"name": "Ann"}

    The server is http.serve itself, over connections in memory, and runs as long as
    the block does.  At its end it drains: what handlers have begun is finished, or
    named by the error.

    Args:
        handler: What is to be tested; entered, if it is an async context manager.
        limits: Those of the server.
        grace: Seconds for handlers to finish at the end of the block.
        base_url: Where paths lead; of the scheme https, the server takes the
            connection for encrypted.
        timeout: As for httpx, but by default there is none.
        options: As for httpx.

    Raises:
        Undelivered: At the end of the block, a handler still ran, and was cut.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits | None = None,
        grace: float = 5.0,
        base_url: str = "http://test",
        timeout: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            transport=Transport(handler, limits=limits, grace=grace),
            base_url=base_url,
            timeout=timeout,
            **options,
        )


class Transport(httpx.AsyncBaseTransport):
    """What a `Client` sends its requests through, for an `httpx.AsyncClient` of yours.

    client = httpx.AsyncClient(transport=Transport(app), base_url="http://test")
    """

    def __init__(
        self, handler: Handler, *, limits: Limits | None = None, grace: float = 5.0
    ) -> None:
        if not callable(handler):
            raise TypeError(f"a client needs a handler to call, not {handler!r}")
        self._handler = handler
        self._limits = limits
        self._grace = grace
        self._block: AbstractAsyncContextManager[None] | None = None

    async def __aenter__(self) -> Self:
        if self._block is not None:
            raise RuntimeError("this client has been used: make a new one")
        self._block = self._serve()
        await self._block.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        assert self._block is not None
        await self._block.__aexit__(exc_type, exc, traceback)

    @asynccontextmanager
    async def _serve(self) -> AsyncIterator[None]:
        """Serve while the block runs."""
        listener = Listener()
        async with (
            serving(self._handler, listener, limits=self._limits, grace=self._grace),
            httpcore.AsyncConnectionPool(
                max_connections=None, network_backend=_Backend(listener)
            ) as self._pool,
        ):
            yield

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the answer as it begins."""
        if self._block is None:
            raise RuntimeError(
                "this client has no server running. Write: async with Client(app) as "
                "client: ..."
            )
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        with _as_httpx():
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Stream(response),
            extensions=response.extensions,
        )


class _Stream(httpx.AsyncByteStream):
    """The body of an answer."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for piece in self._response.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Raise httpcore's errors as those of httpx, which have the same names."""
    try:
        yield
    except Exception as error:
        kind = getattr(httpx, type(error).__name__, None)
        if kind is None or not type(error).__module__.startswith("httpcore"):
            raise
        raise kind(str(error)) from error


# What httpcore has for sockets


class _Backend(httpcore.AsyncNetworkBackend):
    """Dials the listener, whatever the host."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with anyio.fail_after(timeout):
                return _NetworkStream(await self._listener.dial(secure=port == _HTTPS))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class _NetworkStream(httpcore.AsyncNetworkStream):
    """A connection, with the names and errors of httpcore."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> bytes:
        self._conn.read_deadline = _deadline(timeout)
        try:
            return await self._conn.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> None:
        self._conn.write_deadline = _deadline(timeout)
        try:
            await self._conn.send(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._conn.close()

    async def start_tls(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Return the same: nobody listens in memory."""
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._conn.readable if info == "is_readable" else None


def _deadline(timeout: float | None) -> float:
    return math.inf if timeout is None else anyio.current_time() + timeout
