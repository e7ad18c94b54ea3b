"""What handlers have to say to those inside them: `request.context`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from csp.net.http._content import opened
from csp.net.http._message import Request, Response

from ._wrapped import Handler, Middleware, check_handler, wrapped


def with_context(factory: Callable[..., Any]) -> Middleware:
    """Give each request a context of its own, in `request.context`.

        @attrs.define
        class Visit:
            user: str | None = None

        @with_context(Visit)
        async def handler(request: Request) -> Response:
            request.context.user = "ann"
            ...

    Handlers outside see their own context again, once this one has answered.

    If what is made is an async context manager, such as a transaction, it is entered,
    and what it gives is the context.  It is left when the response is complete: after a
    body that is a stream has been sent.  So a cancel scope or task group can be open in
    it only if nothing outside closes one in the meantime, as a timeout does.

    Args:
        factory: A class, or a function, async or not, that makes the context.  If it
            needs an argument, that is the request.
    """
    make = _maker(factory)

    def around(handler: Handler) -> Handler:
        check_handler(handler, "with_context(...)")

        async def handle(request: Request) -> Response:
            made: Any = make(request)
            if hasattr(made, "__await__"):
                made = await made
            if not hasattr(made, "__aenter__"):
                return await _call(handler, request, made, AsyncExitStack())
            async with AsyncExitStack() as stack:
                context = await stack.enter_async_context(made)
                return await _call(handler, request, context, stack)

        return wrapped(handle, handler)

    return around


def _maker(factory: Callable[..., Any]) -> Callable[[Request], Any]:
    if not callable(factory):
        raise TypeError(
            f"with_context takes a class or a function that makes a context, not "
            f"{factory!r}"
        )
    try:
        params = inspect.signature(factory).parameters.values()
    except ValueError:  # of some that are written in C, such as dict
        params = ()  # type: ignore[assignment]
    needed = [p for p in params if p.default is p.empty and p.kind not in _VARIADIC]
    if not needed:
        return lambda _: factory()
    if len(needed) > 1 or needed[0].kind is inspect.Parameter.KEYWORD_ONLY:
        names = ", ".join(p.name for p in needed)
        raise TypeError(
            f"what makes a context takes nothing, or the request, but {factory!r} "
            f"needs {names}. Write: lambda request: ..."
        )
    return factory


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


async def _call(
    handler: Handler, request: Request, context: Any, stack: AsyncExitStack
) -> Response:
    """Call a handler in a context; a body that is a stream takes it and the stack."""
    outer = request.context
    request.context = context
    try:
        response: Any = await handler(request)
    finally:
        request.context = outer
    if isinstance(response, Response) and not isinstance(response.body, (bytes, str)):
        response = copy.copy(response)
        response.body = _within(response.body, request, context, stack.pop_all())
    return response  # type: ignore[no-any-return]


@asynccontextmanager
async def _within(
    body: Any, request: Request, context: Any, stack: AsyncExitStack
) -> AsyncGenerator[Any, None]:
    """Make the body of a response that is sent in a context, and then leaves it."""
    outer = request.context
    request.context = context
    try:
        async with stack, opened(body) as pieces:
            yield pieces
    finally:
        request.context = outer
