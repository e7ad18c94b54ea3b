"""JSON lines: values that come, or go, one by one, each on a line of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Generic, Self, TypeVar

import anyio

from csp.net.http._content import opened
from csp.net.http._errors import BadRequest
from csp.net.http._message import Body

from ._undecodable import Decode, Undecodable, undecodable

T = TypeVar("T")

LINES = ("application/jsonl", "application/x-ndjson")
"""What they are called; the first is how we call them if nobody minds."""


class Lines(Generic[T]):
    """A body as values, each of which is decoded as it is asked for."""

    __slots__ = ("_body", "_decode", "_ended", "_number", "_rest", "_searched")

    # No async generator: one that is not finished would have to be closed.
    def __init__(self, body: Body, decode: Decode) -> None:
        self._body = body
        self._decode = decode
        self._rest = bytearray()
        self._searched = 0  # bytes of the rest that have no line end
        self._number = 0
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Return the next value.

        Raises:
            BadRequest: Its line is not JSON, or not of the type; its detail says which.
            HTTPError, ClientGone: As the body's `receive`.
        """
        while True:
            line = await self._next_line()
            self._number += 1
            if not line.isspace():
                return self._decoded(line)

    async def _next_line(self) -> bytes:
        rest = self._rest
        while (end := rest.find(b"\n", self._searched)) < 0 and not self._ended:
            self._searched = len(rest)
            try:
                rest += await self._body.receive()
            except anyio.EndOfStream:
                self._ended = True
        size = end + 1 if end >= 0 else len(rest)
        if not size:
            raise StopAsyncIteration
        line = bytes(rest[:size])
        del rest[:size]
        self._searched = 0
        return line

    def _decoded(self, line: bytes) -> T:
        try:
            return self._decode(line)  # type: ignore[no-any-return]
        except (ValueError, RecursionError) as error:
            raise self._refusal(error, line) from None

    def _refusal(self, error: Exception, line: bytes) -> BadRequest:
        why = undecodable(error, line, self._decode)
        members = {**getattr(why, "members", {}), "line": self._number}
        what = why.detail.removeprefix("the body: ")
        return Undecodable(f"line {self._number}: {what}", **members)


@asynccontextmanager
async def encoded_lines(
    source: Any, encode: Callable[[Any], bytes]
) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
    """Make a block in which values are encoded, and that closes what they come from."""
    async with opened(source) as values, aclosing(_lines(values, encode)) as lines:
        yield lines


async def _lines(
    values: Any, encode: Callable[[Any], bytes]
) -> AsyncGenerator[bytes, None]:
    async for value in values:
        if isinstance(value, (bytes, str)):
            raise TypeError(
                f"{value!r} is no value for a line of JSON. Write: "
                f"marshaled(content_type=...), which sends text and bytes as they are"
            )
        yield encode(value) + b"\n"
