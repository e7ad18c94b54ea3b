"""What signatures of marshaled functions say beside types."""

from __future__ import annotations

from typing import Generic, TypeVar, final

import attrs

from csp.net.http._headers import HeadersLike
from csp.net.http._message import Response

T = TypeVar("T")


@final
@attrs.frozen(init=False)
class Reply(Generic[T]):
    """A value to answer with, and what else the response shall say.

        @marshaled
        async def create(user: NewUser) -> Reply[User]:
            made = await store(user)
            return Reply(made, 201, {"Location": f"/users/{made.id}"})

    Args:
        value: What is sent, as if the function had returned it; None: no body.
        status: The status; by default 200, or 204 if there is no value.
        headers: More header fields.  A `Content-Type` says what the value is sent as.
    """

    value: T
    status: int
    headers: HeadersLike

    def __init__(
        self, value: T, status: int | None = None, headers: HeadersLike = None
    ) -> None:
        if isinstance(value, (Response, Reply)):
            raise TypeError(f"a Reply has a value, not {value!r}. Write: return it")
        if status is None:
            status = 204 if value is None else 200
        self.__attrs_init__(value, status, headers)


@final
@attrs.frozen
class Header:
    """In an annotation, the header field that a parameter is: all of it, as a list.

    @marshaled
    async def show(agent: Annotated[str, Header("User-Agent")]) -> Client: ...
    """

    name: str

    def __attrs_post_init__(self) -> None:
        if not self.name:
            raise TypeError(
                f'a header has a name, not {self.name!r}. Write: Header("User-Agent")'
            )


@final
class Context:
    """In an annotation, says that a parameter is the request's context.

    @marshaled
    async def show(user: Annotated[User, Context]) -> Profile: ...
    """


@final
class Param:
    """In an annotation, says that a parameter comes from the route, and only from it.

    It is needed for what a converter of the router makes, if that is of a type that
    could not come as text or as JSON.

        @marshaled
        async def show(point: Annotated[Point, Param]) -> Place: ...
    """
