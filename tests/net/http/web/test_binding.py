"""Where the arguments of marshaled functions come from, and which cannot be bound."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest

from csp.net import http
from csp.net.http.testing import record, request
from csp.net.http.web import Context, Header, Param, Reply, marshaled

pytestmark = pytest.mark.anyio


class User(msgspec.Struct):
    name: str


class Admin(User):
    pass


class Point:
    """Something that msgspec does not know."""

    def __init__(self, x):
        self.x = x


class Colour(Enum):
    RED = "red"


async def call(function, *args, **options):
    """Call a marshaled function with a request; returns the status and the value."""
    recorded = await record(marshaled(function), request(*args, **options))
    return recorded.status, recorded.json()


# Signatures


def unannotated(x) -> None: ...
def starred(*names: str) -> None: ...
def starred_by_name(**names: str) -> None: ...
def a_complex(number: complex) -> None: ...
def anything(value: Any) -> None: ...
def an_object(value: object) -> None: ...
def some_bytes(data: bytes) -> None: ...
def a_point(point: Point) -> None: ...
def points(many: list[Point]) -> None: ...
def text_stream(lines: AsyncIterator[str]) -> None: ...
def a_body_header(user: Annotated[User, Header("X")]) -> None: ...
def two_marks(user: Annotated[str, Header("X"), Context]) -> None: ...
def loose_context(user: Annotated[dict[str, int], Context]) -> None: ...
def two_bodies(a: User, b: list[User]) -> None: ...
def body_and_stream(a: User, rest: http.Body) -> None: ...
def unknown_name(a: Nowhere) -> None: ...  # noqa: F821 - that is the point
def returns_point() -> Point: ...
def returns_text_stream() -> AsyncIterator[str]: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (unannotated, ["'x'", "no annotation", "x: str"]),
        (starred, ["'names'", "a parameter for each"]),
        (starred_by_name, ["'names'"]),
        (a_complex, ["'number', annotated complex", "marshaled(decode=...)"]),
        (anything, ["'value', annotated Any", "dict[str, Any]"]),
        (an_object, ["'value', annotated object"]),
        (some_bytes, ["'data', annotated bytes", "http.Body"]),
        (a_point, ["'point', annotated ", "Point", "http.Context", "http.Param"]),
        (points, ["'many', annotated list["]),
        (text_stream, ["'lines', annotated ", "AsyncIterator[bytes]"]),
        (a_body_header, ["'user', annotated ", "header field"]),
        (two_marks, ["'user', annotated ", "several sources"]),
        (loose_context, ["'user', annotated ", "isinstance"]),
        (two_bodies, ["'a' and 'b'", "one class"]),
        (body_and_stream, ["'a' and 'rest'"]),
        (unknown_name, ["Nowhere"]),
        (returns_point, ["Point", "marshaled(encode=...)"]),
        (returns_text_stream, ["stream of str", "content_type"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_cannot_be_bound_is_refused_when_decorated(function, words):
    """By an error with the function, the parameter, its type, and what to write."""
    with pytest.raises(TypeError) as caught:
        marshaled(function)
    text = str(caught.value)
    assert function.__name__ in text
    assert "Write: " in text
    assert [word for word in words if word not in text] == []


def test_what_is_no_function_is_refused():
    """As the original does with `kind was int`."""
    with pytest.raises(TypeError, match="takes a function, not 7"):
        marshaled(7)
    with pytest.raises(TypeError, match="no options codec"):
        marshaled(codec=1)
    with pytest.raises(ValueError, match="not 'csv'"):
        marshaled(content_type="csv")(unannotated)


def test_the_marks_check_what_they_get():
    """A header has a name, a reply a value."""
    with pytest.raises(TypeError, match="a header has a name"):
        Header("")
    with pytest.raises(TypeError, match="return it"):
        Reply(http.text("x"))


async def test_local_classes_can_be_named():
    """Annotations are text, which is looked up where the function is made, too."""

    class Local(msgspec.Struct):
        n: int

    @marshaled
    async def double(local: Local) -> Local:
        return Local(local.n * 2)

    recorded = await record(double, request("POST", json={"n": 2}))
    assert recorded.json() == {"n": 4}


# The route and the query


async def test_a_parameter_is_of_the_route_or_else_of_the_query():
    """Vectors 2 and 3, keep: that of the route wins."""

    async def show(foo: str, bar: str, baz: str) -> list[str]:
        return [foo, bar, baz]

    target = "/bar/foo?baz=quux&foo=quuz"
    found = await call(show, "GET", target, params={"foo": "bar", "bar": "foo"})
    assert found == (200, ["bar", "foo", "quux"])


SCALARS = [
    (int, "-7", -7),
    (str, "a b", "a b"),
    (float, "1.5", 1.5),
    (bool, "true", True),
    (bool, "0", False),
    (Decimal, "1.50", "1.50"),
    (UUID, "c3c0ad1e-9a3c-4c5e-9f06-5d3f0b8f2a11", None),
    (date, "2020-02-29", None),
    (datetime, "2020-02-29T12:00:00Z", None),
    (Colour, "red", None),
    (Literal["a", "b"], "b", None),
    (Literal[1, 2], "2", 2),
    (int | None, "1", 1),
    (int | str, "x", "x"),
    (Annotated[int, msgspec.Meta(ge=1)], "1", 1),
]


@pytest.mark.parametrize(("kind", "text", "value"), SCALARS, ids=str)
async def test_text_becomes_what_the_annotation_says(kind, text, value):
    """In the query, in the route, and in a header field."""

    async def show(x) -> Any:
        return x

    expected = (200, text if value is None else value)
    show.__annotations__["x"] = kind
    assert await call(show, "GET", query={"x": text}) == expected
    assert await call(show, "GET", params={"x": text}) == expected
    show.__annotations__["x"] = Annotated[kind, Header("X-X")]
    assert await call(show, "GET", headers={"X-X": text}) == expected


BAD = [
    *((int, text) for text in ("x", "", " 1", "1_0", "0x1", "\uff11", "9" * 5000)),
    (float, "1e400"),
    (bool, "maybe"),
    (UUID, "7"),
    (date, "2021-02-29"),
    (Colour, "blue"),
    (Colour, "blue" * 1000),
    (Literal["a"], "b"),
    (int | None, ""),
    (Annotated[int, msgspec.Meta(ge=1)], "0"),
    (Annotated[str, msgspec.Meta(pattern="^a+$")], "b"),
]


@pytest.mark.parametrize(("kind", "text"), BAD, ids=lambda v: str(v)[:20])
async def test_bad_text_is_the_clients_fault(kind, text):
    """400 in the query or a header field, 404 in the route; shortly said."""

    async def show(x) -> Any:
        raise AssertionError

    show.__annotations__["x"] = kind
    status, problem = await call(show, "GET", query={"x": text})
    assert (status, "'x'" in problem["detail"]) == (400, True)
    assert len(problem["detail"]) < 300
    assert (await call(show, "GET", params={"x": text}))[0] == 404
    show.__annotations__["x"] = Annotated[kind, Header("X-X")]
    if text.isascii():
        status, problem = await call(show, "GET", headers={"X-X": text})
        assert (status, "X-X" in problem["detail"]) == (400, True)


async def test_what_a_converter_has_made_stays():
    """Be it of the type, or checked by what more the annotation says."""

    async def show(key: Annotated[int, msgspec.Meta(ge=5)], day: date) -> list[Any]:
        return [key, day]

    day = date(2020, 1, 1)
    found = await call(show, "GET", params={"key": 7, "day": day})
    assert found == (200, [7, "2020-01-01"])
    assert (await call(show, "GET", params={"key": 4, "day": day}))[0] == 404


async def test_an_own_type_comes_from_the_route():
    """Marked so, as nothing else could make one."""

    async def show(point: Annotated[Point, Param]) -> int:
        return point.x

    assert await call(show, "GET", params={"point": Point(3)}) == (200, 3)
    with pytest.raises(LookupError, match="'point'"):  # the pattern lacks it
        await call(show, "GET", query={"point": "3"})


async def test_a_class_comes_from_the_route_if_that_has_its_name():
    """As a converter may have looked it up."""

    async def show(user: User) -> str:
        return user.name

    assert await call(show, "POST", params={"user": User("Ann")}) == (200, "Ann")


@pytest.mark.parametrize(
    "kind", [list[int], set[int], tuple[int, ...], list[int] | None]
)
async def test_a_list_takes_all_values(kind):
    """Of a query parameter, or of a header field."""

    async def show(n) -> Any:
        return sorted(n)

    show.__annotations__["n"] = kind
    assert await call(show, "GET", "/?n=2&m=5&n=1") == (200, [1, 2])
    assert (await call(show, "GET", "/?n=2&n=x"))[0] == 400
    assert (await call(show, "GET", "/"))[0] == 400
    show.__annotations__["n"] = Annotated[kind, Header("N")]
    fields = [("N", "2"), ("n", "1")]
    assert await call(show, "GET", headers=fields) == (200, [1, 2])


async def test_one_value_is_the_first():
    """If the query has several."""

    async def show(n: int) -> int:
        return n

    assert await call(show, "GET", "/?n=2&n=1") == (200, 2)


async def test_defaults_make_parameters_optional():
    """In the query, among the header fields, in the context, and as a body."""

    async def show(
        q: str = "q",
        n: list[int] = [4],  # noqa: B006 - it is not changed
        *,
        agent: Annotated[str, Header("User-Agent")] = "none",
        user: Annotated[User, Context] = User("nobody"),  # noqa: B008 - nor this
        body: User | None = None,
        part: Annotated[int, Param] = 0,
    ) -> list[Any]:
        return [q, n, agent, user.name, body, part]

    expected = ["q", [4], "none", "nobody", None, 0]
    assert await call(show, "GET") == (200, expected)
    assert await call(show, "POST", json={"name": "x"}) == (
        200,
        [*expected[:4], {"name": "x"}, 0],
    )


async def test_what_is_missing_is_named():
    """400, in words for the client."""

    async def show(q: int, agent: Annotated[str, Header("User-Agent")]) -> None: ...

    status, problem = await call(show, "GET")
    assert (status, problem["detail"]) == (400, "the query parameter 'q' is missing")
    status, problem = await call(show, "GET", "/?q=1")
    assert (status, problem["detail"]) == (400, "the header User-Agent is missing")


# The rest of the request


async def test_request_and_context_are_passed():
    """The context by its class, of which it may be a subclass."""

    async def show(
        request: http.Request, user: Annotated[User, Context], *, n: int = 1
    ) -> list[Any]:
        return [request.method, user.name, n]

    found = await call(show, "GET", "/?n=2", context=Admin("Ann"))
    assert found == (200, ["GET", "Ann", 2])


@pytest.mark.parametrize("context", [None, "Ann"])
async def test_a_wrong_context_is_the_programs_fault(context):
    """It says what to write; and not what is in the context."""

    async def show(user: Annotated[User, Context]) -> None: ...

    with pytest.raises(TypeError, match="'user' is to be the context") as caught:
        await call(show, "GET", context=context)
    assert "Ann" not in str(caught.value)


# What can be decorated


class Shop:
    def __init__(self, name):
        self.name = name

    @marshaled
    async def show(self, key: int) -> list[Any]:
        """Show it."""
        return [self.name, key]

    async def bound(self, key: int) -> list[Any]:
        return [self.name, key]

    async def __call__(self, key: int) -> list[Any]:
        return [self.name, key]


def plainly(key: int) -> list[Any]:
    return ["x", key]


async def given(name: str, key: int) -> list[Any]:
    return [name, key]


def later(key: int):
    return given("x", key)


@pytest.mark.parametrize(
    "handler",
    [
        Shop("x").show,
        marshaled(Shop("x").bound),
        marshaled(Shop("x")),
        marshaled(plainly),
        marshaled()(plainly),
        marshaled(functools.partial(given, "x")),
        marshaled(later),
        marshaled(lambda: ["x", 7]),
    ],
)
async def test_any_callable_can_be_marshaled(handler):
    """Functions that are async or not, methods, and what has `__call__`."""
    recorded = await record(handler, request("GET", "/?key=7"))
    assert recorded.json() == ["x", 7]


async def test_methods_are_bound_to_their_objects():
    """Each to its own; the class has one that is not bound."""
    one, two = Shop("one"), Shop("two")
    handlers = [one.show, two.show, one.show]
    asked = request("GET", params={"key": 1})
    names = [(await record(handler, asked)).json()[0] for handler in handlers]
    assert names == ["one", "two", "one"]
    assert Shop.show.__doc__ == "Show it."
    assert await Shop.show.__wrapped__(one, 2) == ["one", 2]
