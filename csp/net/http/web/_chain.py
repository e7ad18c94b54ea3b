"""Middleware in a row."""

from __future__ import annotations

from ._wrapped import Handler, Middleware, check_handler


def chain(*middleware: Middleware) -> Middleware:
    """Make one middleware of several; the first is the outermost.

        usual = chain(logged(), errors_as("tigertonic"))

        @usual
        async def handler(request: Request) -> Response:
            return text("Hello, www!\\n")

    A chain can be in a chain, and one of nothing gives the handler itself.
    """
    for one in middleware:
        if not callable(one):
            raise TypeError(
                f"chain takes functions from a handler to a handler, not {one!r}"
            )

    def around(handler: Handler) -> Handler:
        check_handler(handler, "a chain")
        for one in reversed(middleware):
            handler = one(handler)
            if not callable(handler):
                raise TypeError(
                    f"{one!r} made no handler of one, but {handler!r}. If it takes "
                    "options, write them: logged(), not logged"
                )
        return handler

    return around
