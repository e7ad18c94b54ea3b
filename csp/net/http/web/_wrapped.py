"""Handlers around handlers.

A server enters a handler that is an async context manager, and so it has to be seen to
be one through what is around it: `wrapped` sees to that.  What is around it also says
by `__wrapped__` what is inside, for those who look for the routes or the types there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, update_wrapper
from types import TracebackType
from typing import TypeAlias

from csp.net.http._entered import all_entered
from csp.net.http._message import Request, Response

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Middleware: TypeAlias = Callable[[Handler], Handler]


def wrapped(call: Handler, *inner: Handler) -> Handler:
    """Return `call` as a handler around some others, or around one."""
    if len(inner) == 1:
        update_wrapper(call, inner[0], updated=())
    if any(hasattr(handler, "__aenter__") for handler in inner):
        return _Block(call, inner)
    if len(inner) > 1:
        call.entered = partial(all_entered, inner)  # type: ignore[attr-defined]
    return call


class _Block:
    """A handler that is entered because some inside it have to be."""

    def __init__(self, call: Handler, inner: tuple[Handler, ...]) -> None:
        self._call = call
        self._inner = inner
        update_wrapper(self, call)

    def __call__(self, request: Request) -> Awaitable[Response]:
        return self._call(request)

    async def __aenter__(self) -> None:
        self._entered = all_entered(self._inner)
        await self._entered.__aenter__()

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
