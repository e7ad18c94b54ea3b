"""Handlers that are blocks: what has to begin before they are called, and then end."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
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
