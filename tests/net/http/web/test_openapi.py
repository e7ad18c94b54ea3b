"""The OpenAPI document that is made of routes and types."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Annotated, Any

import attrs
import msgspec
import pytest

from csp.net import http
from csp.net.http.testing import record, request
from csp.net.http.web import (
    Context,
    Header,
    Param,
    Reply,
    marshaled,
    openapi,
    openapi_handler,
)


class User(msgspec.Struct):
    """Somebody."""

    id: int
    name: Annotated[str, msgspec.Meta(min_length=1)]


@attrs.define
class NewUser:
    name: str


class Session:
    pass


class Point:
    pass


@marshaled
async def show(  # noqa: PLR0917 - as much as there can be
    user_id: int,
    session: Annotated[Session, Context],
    request: http.Request,
    verbose: bool = False,
    tag: list[str] = [],  # noqa: B006 - it is not changed
    agent: Annotated[str | None, Header("User-Agent")] = None,
) -> User | None:
    """Show a user,
    or nothing.

    With all
    that is known.
    """


@marshaled(responses={201: User, 409: "the name is taken"}, tags=["users"])
async def create(user: NewUser) -> Reply[User]: ...


@marshaled(summary="Forget a user")
async def delete(user_id: int, soft: bool) -> None:
    """Do not show this."""


@marshaled
async def load(items: AsyncIterator[NewUser]) -> AsyncIterator[User]:
    yield User(1, "x")


@marshaled(content_type="image/png")
async def picture(point: Annotated[Point, Param], data: http.Body) -> bytes:
    return b""


async def plain(request: http.Request) -> http.Response:
    """Answer anything."""
    return http.text("")


class Routes:
    """Something that has routes, as a Router."""

    def __init__(self, *routes):
        self._routes = [self.route(*route) for route in routes]

    @staticmethod
    def route(pattern, handler, name=None, host="", **converters):
        method, _, path = pattern.rpartition(" ")
        return SimpleNamespace(
            method=method or None,
            host=host,
            path=path,
            handler=handler,
            name=name,
            converters=converters,
        )

    def routes(self):
        return iter(self._routes)


def document(*routes, **options):
    return openapi(Routes(*routes), title="Shop", version="1", **options)


def operation(pattern, handler, **options):
    """Return the only operation of a document."""
    router = Routes()
    router._routes = [Routes.route(pattern, handler, **options)]
    made = openapi(router, title="x", version="1")
    ((_, item),) = made["paths"].items()
    ((_, found),) = item.items()
    return found


def test_a_document_has_a_head():
    """And servers only if they are told."""
    made = document()
    assert made["openapi"] == "3.1.0"
    assert made["info"] == {"title": "Shop", "version": "1"}
    assert "servers" not in made
    made = document(servers=["https://x/1.0"])
    assert made["servers"] == [{"url": "https://x/1.0"}]


def test_parameters_are_told_by_where_they_come_from():
    """Path, query or header; not those that clients do not send."""
    parameters = operation("GET /users/{user_id:int}", show)["parameters"]
    assert parameters == [
        {
            "name": "user_id",
            "in": "path",
            "required": True,
            "schema": {"type": "integer"},
        },
        {
            "name": "verbose",
            "in": "query",
            "required": False,
            "schema": {"default": False, "type": "boolean"},
        },
        {
            "name": "tag",
            "in": "query",
            "required": False,
            "schema": {"default": [], "type": "array", "items": {"type": "string"}},
        },
        {
            "name": "User-Agent",
            "in": "header",
            "required": False,
            "schema": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    ]


def test_the_docstring_is_told():
    """Its first paragraph as the summary, unless there is another."""
    found = operation("GET /users/{user_id}", show)
    assert found["operationId"] == "show"
    assert found["summary"] == "Show a user, or nothing."
    assert found["description"] == "With all\nthat is known."
    assert operation("DELETE /{user_id}", delete)["summary"] == "Forget a user"
    assert operation("POST /", create)["tags"] == ["users"]
    assert "summary" not in operation("POST /", create)


def test_bodies_are_told():
    """By references to the schemas of their classes."""
    made = document(("POST /users", create))
    body = made["paths"]["/users"]["post"]["requestBody"]
    reference = {"$ref": "#/components/schemas/NewUser"}
    assert body == {
        "required": True,
        "content": {"application/json": {"schema": reference}},
    }
    schemas = made["components"]["schemas"]
    assert schemas["NewUser"]["required"] == ["name"]
    assert schemas["User"]["properties"]["name"] == {"type": "string", "minLength": 1}


def test_responses_are_told_by_what_is_returned():
    """And every other one is a problem."""
    reference = {"$ref": "#/components/schemas/User"}
    problem = {"$ref": "#/components/responses/Problem"}
    json = {"application/json": {"schema": reference}}
    found = operation("GET /users/{user_id}", show)["responses"]
    assert found == {
        "200": {
            "description": "OK",
            "content": {
                "application/json": {"schema": reference},
            },
        },
        "204": {"description": "No Content"},
        "4XX": problem,
    }
    found = operation("POST /users", create)["responses"]
    assert found["201"] == {"description": "Created", "content": json}
    assert found["409"]["description"] == "the name is taken"
    assert list(found["409"]["content"]) == ["application/problem+json"]
    assert "2XX" not in found
    found = operation("DELETE /{user_id}", delete)["responses"]
    assert list(found) == ["204", "4XX"]
    found = operation("GET /", marshaled(lambda: Reply(1)))["responses"]
    assert list(found) == ["default", "4XX"]

    @marshaled
    async def replied() -> Reply[User]: ...

    found = operation("GET /", replied)["responses"]
    assert found["2XX"]["content"] == json


def test_streams_are_told():
    """As text, of which each line has a schema."""
    found = operation("POST /load", load)
    lines = found["requestBody"]["content"]["application/jsonl"]
    assert lines["x-itemSchema"] == {"$ref": "#/components/schemas/NewUser"}
    lines = found["responses"]["200"]["content"]["application/jsonl"]
    assert lines["x-itemSchema"] == {"$ref": "#/components/schemas/User"}


def test_a_converter_tells_of_its_own():
    """Where msgspec does not know the type; else it is text."""
    schema = {"type": "string", "pattern": "[0-9]+,[0-9]+"}
    point = SimpleNamespace(schema=schema)
    router = Routes()
    router._routes = [Routes.route("PUT /{point:xy}/{x}", picture, point=point)]
    made = openapi(router, title="x", version="1")
    found = made["paths"]["/{point}/{x}"]["put"]
    assert [p["schema"] for p in found["parameters"]] == [schema, {"type": "string"}]
    assert found["requestBody"]["content"] == {"*/*": {}}
    assert found["responses"]["200"]["content"] == {"image/png": {}}


def test_a_plain_handler_has_its_path():
    """And its docstring; all else is open."""
    assert operation("GET /{a}/{rest...}", plain) == {
        "operationId": "plain",
        "summary": "Answer anything.",
        "parameters": [
            {"name": n, "in": "path", "required": True, "schema": {"type": "string"}}
            for n in ("a", "rest")
        ],
        "responses": {"default": {"description": "What it answers."}},
    }


def test_a_function_is_found_beneath_middleware():
    """If that says what it wraps."""

    @functools.wraps(create)
    async def around(request):
        return await create(request)

    assert "requestBody" in operation("POST /", around)


def test_operations_have_names_of_their_own():
    """Of the route, or the function; or else of the path; never twice."""
    made = document(
        ("GET /a", show),
        ("GET /b", show),
        ("GET /c", show, "show_2"),
        ("GET /d/{user_id:int}", functools.partial(plain)),
    )
    names = [item["get"]["operationId"] for item in made["paths"].values()]
    assert names == ["show", "show_2", "show_2_2", "get_d_user_id_int"]


def test_patterns_become_paths():
    """Without converters, dots and `{$}`; methods in one item."""
    made = document(
        ("GET /users/{$}", plain),
        ("GET /users/{user_id:int}", show),
        ("DELETE /users/{id}", delete),
        ("/files/{rest...}", plain),
        ("/upload", create),
        ("BREW /pot", plain),
    )
    paths = {path: [*item] for path, item in made["paths"].items()}
    assert paths == {
        "/users/": ["get"],
        "/users/{user_id}": ["get", "delete"],
        "/files/{rest}": ["get"],
        "/upload": ["post"],
    }


def test_one_shape_has_one_set_of_names():
    """As paths that differ only in them are the same; the first route's."""

    @marshaled
    async def remove(id: int) -> None: ...  # noqa: A002 - as routes have it

    made = document(("GET /users/{user_id}", show), ("DELETE /users/{id}", remove))
    item = made["paths"]["/users/{user_id}"]
    assert item["delete"]["parameters"] == [
        {
            "name": "user_id",
            "in": "path",
            "required": True,
            "schema": {"type": "integer"},
        }
    ]
    made = document(("GET /{a:int}", show), ("GET /{b}", plain))
    assert made["paths"]["/{a}"]["get"]["operationId"] == "show"


def test_hosts_are_told_as_servers():
    """Unless they are many."""
    assert operation("GET /", plain, host="x.org")["servers"] == [{"url": "//x.org"}]
    assert "servers" not in operation("GET /", plain, host="*.x.org")


def test_types_of_one_name_stay_apart():
    """Though both are called User."""
    other = type(
        "User", (msgspec.Struct,), {"__module__": "b", "__annotations__": {"n": int}}
    )

    async def both(user, n: int) -> Any: ...

    both.__annotations__.update({"user": list[other], "return": User})
    made = document(("POST /", marshaled(both)))
    assert len(made["components"]["schemas"]) == 2


def test_a_type_of_a_decoder_is_anything():
    """With its name as the title."""

    async def own(point) -> None: ...

    own.__annotations__["point"] = Point
    found = operation("POST /", marshaled(decode=lambda data, kind: kind())(own))
    schema = found["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"title": "Point"}


FULL = (
    ("GET /users/{user_id:int}", show),
    ("POST /users", create),
    ("DELETE /users/{id:int}", delete),
    ("POST /load", load),
    ("PUT /{point:xy}/{x}", picture),
    ("GET /files/{rest...}", plain, "files", "x.org"),
)


def test_the_document_is_valid():
    """By the meta-schema of OpenAPI 3.1."""
    validator = pytest.importorskip("openapi_spec_validator")
    made = document(*FULL, servers=["/"])
    validator.validate(made, cls=validator.OpenAPIV31SpecValidator)


@pytest.mark.anyio
async def test_the_document_is_served():
    """Made once, without the route of its own."""
    router = Routes(*FULL)
    handler = openapi_handler(router, title="Shop", version="1")
    router._routes.append(Routes.route("GET /openapi.json", handler))
    recorded = await record(handler, request())
    assert recorded.headers["content-type"] == "application/json"
    assert recorded.json() == document(*FULL)
    router._routes.clear()
    assert (await record(handler, request())).body == recorded.body
