"""Handlers around handlers.

A server enters a handler that is an async context manager, and so it has to be seen to
be one through what is around it: `wrapped` sees to that.  What is around it also says
by `__wrapped__` what is inside, for those who look for the routes or the types there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import update_wrapper
from types import TracebackType
from typing import Any, TypeAlias

from csp.net.http._message import Request, Response

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Middleware: TypeAlias = Callable[[Handler], Handler]


def wrapped(call: Handler, *inner: Handler) -> Handler:
    """Return `call` as a handler around some others, or around one."""
    if len(inner) == 1:
        update_wrapper(call, inner[0], updated=())
    blocks = [handler for handler in inner if hasattr(handler, "__aenter__")]
    return _Block(call, blocks) if blocks else call


class _Block:
    """A handler that is entered because some inside it have to be."""

    def __init__(self, call: Handler, blocks: list[Any]) -> None:
        self._call = call
        self._blocks = blocks
        update_wrapper(self, call)

    def __call__(self, request: Request) -> Awaitable[Response]:
        return self._call(request)

    async def __aenter__(self) -> None:
        async with AsyncExitStack() as stack:
            for block in self._blocks:
                await stack.enter_async_context(block)
            self._entered = stack.pop_all()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._entered.__aexit__(kind, error, trace)


def check_handler(handler: object, where: str) -> None:
    """Raise TypeError unless something can be called."""
    if not callable(handler):
        raise TypeError(
            f"{where} takes an async function of a request, not {handler!r}"
        )


def no_response(value: object) -> TypeError:
    """Return the error of a handler that returns something else than a response."""
    return TypeError(
        f"the handler returned {value!r}. Write: return text(...), or another Response"
    )
