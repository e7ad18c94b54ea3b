"""Handlers that are blocks: what has to begin before they are called, and then end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from typing import Any


def entered(handler: Any) -> AbstractAsyncContextManager[Any]:
    """Make a block around the use of a handler; it does nothing for most of them.

    A handler that is made of others, and no block itself, has a method of this name.
    Of one around another, made with `functools.wraps`, the inner one is entered.
    """
    if hasattr(handler, "__aenter__"):
        return handler  # type: ignore[no-any-return]
    if hasattr(handler, "entered"):
        return handler.entered()  # type: ignore[no-any-return]
    if hasattr(handler, "__wrapped__"):
        return entered(handler.__wrapped__)
    return nullcontext()


@asynccontextmanager
async def all_entered(handlers: Iterable[Any]) -> AsyncIterator[None]:
    """Make a block around the use of several, each of which is entered once."""
    async with AsyncExitStack() as blocks:
        for handler in {id(handler): handler for handler in handlers}.values():
            await blocks.enter_async_context(entered(handler))
        yield
