"""The body of a response, piece by piece, whatever it was made of."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any


def opened(body: Any) -> AbstractAsyncContextManager[Any]:
    """Make a block in which a body can be iterated over, and that closes it.

    Raises:
        TypeError: It is no body.
    """
    if isinstance(body, bytes):
        return aclosing(_once(body))
    if hasattr(body, "__aenter__"):
        return body  # type: ignore[no-any-return]
    if hasattr(body, "aclose"):
        return aclosing(body)
    if hasattr(body, "__aiter__"):
        return nullcontext(body)
    raise TypeError(
        f"the body of a response is bytes, str or an async iterable of those, "
        f"not {body!r}"
    )


async def _once(data: bytes) -> Any:
    yield data


def encoded(piece: Any) -> bytes:
    """Return a piece of a body as it is sent.

    Raises:
        TypeError: It is neither bytes nor str.
    """
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, (bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(f"the body of a response consists of bytes or str, not {piece!r}")
