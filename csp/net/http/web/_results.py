"""What a function says that it returns: read once, when it is decorated.

It is known before the call, and so whether the client accepts it, unless the function
says nothing, or that it may return a `Response`, which can be anything.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Coroutine,
)
from contextlib import AbstractAsyncContextManager
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import attrs

from csp._channel import Channel
from csp._handles import Receiver
from csp.net.http._message import Response

from ._kinds import kind_of, split_annotated
from ._lines import LINES
from ._reply import Reply
from ._signature import REQUIRED

JSON = "application/json"
_STREAMS = (AsyncGenerator, AsyncIterable, AsyncIterator, Channel, Receiver)
_AROUND: Any = {Awaitable: 0, Coroutine: 2, AbstractAsyncContextManager: 0}
_PIECES = (bytes, str)


@attrs.frozen
class Returns:
    """What a function returns."""

    type: Any = REQUIRED
    """That of a value, or of the items of a stream; None if there is none."""
    stream: bool = False
    """Whether it is one that comes bit by bit."""
    empty: bool = False
    """Whether it may be None."""
    reply: bool = False
    """Whether it is in a `Reply`, so that its status is not known."""
    anything: bool = False
    """Whether it may be a `Response`, or is not told."""

    @property
    def is_pieces(self) -> bool:
        """Whether it is a stream of bytes or text, which is sent as it is."""
        return self.stream and self.type in _PIECES

    def offered(self, content_type: str | None) -> tuple[str, ...]:
        """Return the media types that it can be sent as, none if that is not known."""
        if self.anything or self.type is None:
            return ()
        if content_type is not None:
            return (content_type,)
        if self.is_pieces:
            return ()
        return LINES if self.stream else (JSON,)


_SIMPLE = (
    (REQUIRED, Returns(anything=True)),
    (Any, Returns(anything=True)),
    (object, Returns(anything=True)),
    (Reply, Returns(anything=True)),
    (Response, Returns(None, anything=True)),
    (None, Returns(None, empty=True)),
    (NoneType, Returns(None, empty=True)),
)


def read_returns(
    annotation: Any, name: str, content_type: str | None, custom: bool
) -> Returns:
    """Return what an annotation says that a function returns.

    Args:
        annotation: That of what it returns.
        name: The function's, for errors.
        content_type: What it is to be sent as.
        custom: Whether an encoder was given that may know more types than msgspec.

    Raises:
        TypeError: It cannot be sent.
    """
    returns = _read(annotation)
    bare = split_annotated(returns.type)[0]
    if returns.is_pieces and content_type is None and not returns.reply:
        raise TypeError(
            f"{name} returns a stream of {bare.__name__}, but not of what kind. Write: "
            f'marshaled(content_type="text/csv")'
        )
    if isinstance(bare, type) and get_origin(bare) is None and not custom:
        if bare is REQUIRED or bare in _PIECES or kind_of(returns.type) != "unknown":
            return returns
        raise TypeError(
            f"{name} returns {bare.__name__}, which msgspec cannot encode. Write: "
            f"a class with fields, or marshaled(encode=...)"
        )
    return returns


def _read(annotation: Any) -> Returns:
    bare = split_annotated(annotation)[0]
    for one, returns in _SIMPLE:
        if bare is one:
            return returns
    origin, args = get_origin(bare), get_args(bare)
    if origin in _AROUND:
        return _read(args[_AROUND[origin]])
    if origin is Reply:
        return attrs.evolve(_read(args[0]), reply=True)
    if bare in _STREAMS or origin in _STREAMS:
        return Returns(args[0] if args else REQUIRED, stream=True)
    if origin in (Union, UnionType):
        return _read_union(args)
    return Returns(annotation)


def _read_union(args: tuple[Any, ...]) -> Returns:
    """Read what may be one thing or another, of which several may be values."""
    parts = [_read(arg) for arg in args]
    values = [part for part in parts if part.type not in (None, REQUIRED)]
    types = tuple(part.type for part in values)
    mixed = {part.stream for part in values} == {True, False}
    return Returns(
        Union[types] if types else None,  # noqa: UP007 - of a tuple
        stream=any(part.stream for part in values),
        empty=any(part.empty for part in parts),
        reply=any(part.reply for part in parts),
        anything=mixed or any(part.anything for part in parts),
    )
