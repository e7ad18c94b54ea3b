"""Handlers that are blocks: what has to begin before they are called, and then end."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any


def entered(handler: Any) -> AbstractAsyncContextManager[Any]:
    """Make a block around the use of a handler; it does nothing for most of them."""
    if hasattr(handler, "__aenter__"):
        return handler  # type: ignore[no-any-return]
    return nullcontext()
