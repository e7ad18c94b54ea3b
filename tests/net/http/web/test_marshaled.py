"""Typed JSON in and out: what a client may send, and what it gets."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any, NamedTuple, TypedDict

import attrs
import msgspec
import pytest

from csp.net import http
from csp.net.http.testing import record, request
from csp.net.http.web import Reply, marshaled
from tests.net.http.memory import ask, get, logged, post

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


class Item(msgspec.Struct):
    price: float
    tags: dict[str, int] = {}


class Order(msgspec.Struct):
    items: list[Item]
    by_name: dict[str, Item] = {}


class Dotted(msgspec.Struct, rename={"n": "a.b[0]/c~d"}):
    n: int


class Ambiguous(msgspec.Struct, rename={"x": "a", "y": "a.b"}):
    x: dict[str, Any]
    y: int


@attrs.define
class Attrs:
    n: int = attrs.field(validator=attrs.validators.ge(0))


@dataclasses.dataclass
class Data:
    n: int

    def __post_init__(self):
        if self.n < 0:
            raise ValueError("too few")


class Dict(TypedDict):
    n: int


class Tuple(NamedTuple):
    n: int


def echo(kind, **options):
    """Make a handler that answers with the body, of some type."""

    async def echoed(value) -> Any:
        return value

    echoed.__annotations__["value"] = kind
    return marshaled(**options)(echoed)


async def send(handler, body, method="POST", headers=JSON, **options):
    """Return the status and the value that a handler answers to a body."""
    if isinstance(body, str):
        body = body.encode()
    sent = request(method, body=body, headers=headers, **options)
    recorded = await record(handler, sent)
    return recorded.status, recorded.json() if recorded.body else None


# Bodies


@pytest.mark.parametrize("kind", [Attrs, Data, Dict, dict, dict[str, int]])
async def test_bodies_of_every_kind_of_class(kind):
    """And mappings: keep, `{"foo":"bar"}` in and out."""
    assert await send(echo(kind), '{"n":1}') == (200, {"n": 1})
    assert await send(echo(list[kind]), '[{"n":1}]') == (200, [{"n": 1}])
    assert await send(echo(kind | None), "null") == (204, None)


async def test_bodies_may_be_tuples_with_names():
    """Which JSON has as arrays."""
    assert await send(echo(Tuple), "[1]") == (200, [1])


@pytest.mark.parametrize("kind", [Attrs, Data])
async def test_the_checks_of_a_class_are_heeded(kind):
    """What they raise is the client's fault."""
    assert (await send(echo(kind), '{"n":-1}'))[0] == 400


@pytest.mark.parametrize(
    ("kind", "body", "pointer", "words"),
    [
        (Order, "7", "", "Expected `object`"),
        (Order, "{}", "", "`items`"),
        (Order, '{"items":{}}', "/items", "Expected `array`"),
        (Order, '{"items":[{"price":1},{"price":"x"}]}', "/items/1/price", "`float`"),
        (Order, '{"items":[{"price":1},{}]}', "/items/1", "`price`"),
        (
            Order,
            '{"items":[],"by_name":{"a":{"price":1},"b/~":7}}',
            "/by_name/b~1~0",
            "",
        ),
        (
            Order,
            '{"items":[],"by_name":{"a":{"price":1,"tags":{"x":1,"y":{},"z":""}}}}',
            "/by_name/a/tags/y",
            "Expected `int`",
        ),
        (Order, '{"items":[],"by_name":{"":{"price":""}}}', "/by_name//price", ""),
        (list[Order], '[{"items":[]},{"items":3}]', "/1/items", ""),
        (dict[int, Item], '{"1":{"price":1},"x":{"price":1}}', "/x", "Expected `int`"),
        (dict[str, dict[str, int]], '{"a":{"b":1},"c":{"d":1,"e":""}}', "/c/e", ""),
        (Dotted, '{"a.b[0]/c~d":"x"}', "/a.b[0]~1c~0d", "Expected `int`"),
        (Ambiguous, '{"a":{"b":1},"a.b":"x"}', "/a.b", ""),
        (Dict, '{"n":"é"}', "/n", ""),
    ],
)
async def test_an_error_points_to_where_it_is(kind, body, pointer, words):
    """By a JSON pointer, in the problem document and for people."""
    status, problem = await send(echo(kind), body)
    assert (status, problem["pointer"]) == (400, pointer)
    assert words in problem["detail"]
    assert pointer in problem["detail"]
    assert "$" not in problem["detail"]


async def test_a_large_body_is_not_searched_for_a_key():
    """The pointer leads as far as it can without."""
    names = ",".join(f'"{n}":{n}' for n in range(10_000))
    status, problem = await send(echo(list[dict[str, int]]), f'[{{{names},"x":"x"}}]')
    assert (status, problem["pointer"]) == (400, "/0")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "empty"),  # vector 9, keep the status
        (" \n", "empty"),
        ("}", "malformed"),
        ("{", "truncated"),
        ('{"items":[]', "truncated"),
        ("{}{}", "malformed"),
        ('{"items":[]} x', "trailing"),  # fix: refused
        ('{"items":[],}', "malformed"),
        ("{'items':[]}", "malformed"),
        ('{"items":[NaN]}', "malformed"),
        ("\ufeff{}", "malformed"),
        (b"\xff\xfe{\0}\0", "malformed"),
        (b'"\xff"', ""),
        (b'{"items":[{"price":"\xff"}]}', ""),
        ('{"items":[{"price":' + "9" * 5000 + "}]}", "out of range"),
        ('{"items":[{"price":1e999}]}', "out of range"),
        ("null", "Expected"),  # fix: no zero value
        ('"' + "x" * 100_000 + '"', "Expected"),
        ("[" * 100_000, ""),
        ('{"items":' + "[" * 100_000, ""),
        ('{"a":' * 100_000, "nested"),
    ],
    ids=lambda value: value[:12],
)
async def test_what_is_no_json_is_refused(body, words):
    """Never by a 500, never at length."""
    status, problem = await send(echo(Order), body)
    assert (status, problem["title"]) == (400, "Bad Request")
    assert words in problem["detail"]
    assert len(problem["detail"]) < 300


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 100_000, b'{"a":"\xff"}'])
async def test_hostile_json_of_any_type_is_refused(body):
    """With no type in the way."""
    for handler in (echo(dict), echo(list), echo(dict, strict=True)):
        assert (await send(handler, body))[0] == 400


async def test_a_syntax_error_says_line_and_byte():
    """As well as msgspec knows."""
    status, problem = await send(echo(Order), '{\n  "items": [],\n  oops\n}')
    assert (status, problem["line"]) == (400, 3)
    assert 19 <= problem["byte"] <= 20
    assert f"line 3, byte {problem['byte']}" in problem["detail"]


async def test_more_than_the_fields_is_ignored():
    """Unless the class forbids it: keep."""

    class Strict(msgspec.Struct, forbid_unknown_fields=True):
        n: int

    body = '{"n":1,"m":{"x":[]}}'
    assert await send(echo(Data), body) == (200, {"n": 1})
    status, problem = await send(echo(Strict), body)
    assert (status, "`m`" in problem["detail"]) == (400, True)


async def test_of_keys_that_are_there_twice_the_last_counts():
    """Or they are refused, if that is asked for."""
    body = '{"n":1,"n":2}'
    assert await send(echo(Data), body) == (200, {"n": 2})
    status, problem = await send(echo(Data, strict=True), body)
    assert (status, "'n' is there twice" in problem["detail"]) == (400, True)
    status, problem = await send(echo(Data, strict=True), '{"n":1,"x":{"a":1,"a":1}}')
    assert status == 400
    fine = '{"n":1,"x":{"n":9999999999999999999999e99},"y":[1.5]}'
    assert await send(echo(Data, strict=True), fine) == (200, {"n": 1})


async def test_bodies_that_are_not_asked_for_are_ignored():
    """On a GET as on a POST; but what is asked for is decoded with any method."""
    nothing = marshaled(lambda: [1])
    for method in ("GET", "POST", "DELETE"):
        assert await send(nothing, "}", method) == (200, [1])
        assert await send(echo(Data), '{"n":1}', method) == (200, {"n": 1})


@pytest.mark.parametrize(
    ("headers", "body", "answer"),
    [
        ({}, "", (200, "none")),
        ({"Content-Length": "0"}, "", (200, "none")),
        (JSON, "", (200, "none")),
        (JSON, "null", (200, "none")),
        (JSON, '{"n":1}', (200, "one")),
    ],
)
async def test_a_body_with_a_default_may_be_missing(headers, body, answer):
    """Then there is no Content-Type either."""

    @marshaled
    async def handler(value: Data | None = None) -> str:
        return "none" if value is None else "one"

    assert await send(handler, body, headers=headers) == answer


# Content-Type


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json;charset=utf-8",
        'Application/JSON ; charset="UTF-8"',
        "application/json; version=1",
        "application/vnd.api+json",  # fix
        "application/merge-patch+json",
    ],
)
async def test_json_is_taken_under_all_its_names(content_type):
    """Whatever more they say."""
    headers = {"Content-Type": content_type, "Content-Encoding": "Identity"}
    assert (await send(echo(Data), '{"n":1}', headers=headers))[0] == 200


@pytest.mark.parametrize(
    "content_type",
    [
        None,  # vector 8, keep
        "",
        "text/plain",
        "application/jsonx",  # fix
        "application/json-seq",
        "json",
        "application/json, application/json",
        "application/json; charset=utf-16",
        "application/json; charset",
        "multipart/form-data; boundary=application/json",
    ],
)
@pytest.mark.parametrize(
    ("method", "name"),
    [("POST", "Accept-Post"), ("PATCH", "Accept-Patch"), ("PUT", "Accept")],
)
async def test_anything_else_is_a_415(content_type, method, name):
    """That says what would be taken, before the body has come."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    recorded = await record(echo(Data), request(method, body=b"{}", headers=headers))
    assert recorded.status == 415
    assert recorded.headers[name] == "application/json"


async def test_two_types_are_none():
    """It cannot be told which one is meant."""
    headers = [("Content-Type", "application/json"), ("content-type", "text/plain")]
    assert (await send(echo(Data), '{"n":1}', headers=headers))[0] == 415


@pytest.mark.parametrize("coding", ["gzip", "br, gzip", "identity, gzip"])
async def test_a_compressed_body_is_a_415(coding):
    """It says so in Accept-Encoding, as RFC 9110, section 12.5.3, has it."""
    headers = {**JSON, "Content-Encoding": coding}
    recorded = await record(echo(Data), request("POST", body=b"x", headers=headers))
    assert (recorded.status, recorded.headers["accept-encoding"]) == (415, "identity")


# Accept


@pytest.mark.parametrize(
    "accept",
    ["text/plain", "application/json;q=0", "*/*;q=0", "application/json-patch+json"],
)
async def test_who_accepts_no_json_gets_a_406(accept):
    """Vector 10, and nothing has been done."""

    @marshaled
    async def handler() -> Data:
        raise AssertionError

    recorded = await record(handler, request("POST", headers={"Accept": accept}))
    assert recorded.status == 406
    two = [("Accept", "image/png"), ("Accept", accept)]
    assert (await record(handler, request("POST", headers=two))).status == 406


async def test_406_comes_before_all_else():
    """Before 404, 415 and 400."""

    @marshaled
    async def handler(n: int, m: int, value: Data) -> Data:
        raise AssertionError

    asked = request(
        "POST", headers={"Accept": "text/html"}, body=b"x", params={"n": "x"}
    )
    assert (await record(handler, asked)).status == 406
    asked = request("POST", "/?m=x", body=b"x", params={"n": "x"})
    assert (await record(handler, asked)).status == 404
    asked = request("POST", "/?m=x", body=b"x", params={"n": "1"})
    assert (await record(handler, asked)).status == 400
    asked = request("POST", "/?m=1", body=b"x", params={"n": "1"})
    assert (await record(handler, asked)).status == 415


async def test_who_accepts_no_json_can_have_what_is_none():
    """A 204, and a response that the function has made itself."""
    headers = {"Accept": "text/html"}

    @marshaled
    async def nothing() -> None: ...

    @marshaled
    async def page() -> http.Response:
        return http.html("<p>")

    @marshaled
    async def either() -> Data | http.Response:
        return http.html("<p>")

    assert (await record(nothing, request(headers=headers))).status == 204
    assert (await record(page, request(headers=headers))).body == b"<p>"
    assert (await record(either, request(headers=headers))).body == b"<p>"


async def test_without_an_annotation_406_comes_after_the_call():
    """As it could not be known before what it returns."""
    headers = {"Accept": "text/html"}
    assert (
        await record(marshaled(lambda: [1]), request(headers=headers))
    ).status == 406
    assert (
        await record(marshaled(lambda: None), request(headers=headers))
    ).status == 204


# Results


async def test_a_value_is_json_as_it_is():
    """Nothing is escaped for pages."""
    recorded = await record(marshaled(lambda: {"a": "<&>é"}), request())
    assert recorded.body == '{"a":"<&>é"}'.encode()
    assert [*recorded.headers] == [("Content-Type", "application/json")]


@pytest.mark.parametrize("value", [0, "", [], {}, False])
async def test_what_is_empty_is_a_value(value):
    """Only None is nothing; fix: an empty answer was `null`."""
    assert (await record(marshaled(lambda: value), request())).json() == value


async def test_none_is_no_content():
    """204, and no body; keep."""
    recorded = await record(marshaled(lambda: None), request())
    assert (recorded.status, recorded.body, [*recorded.headers]) == (204, b"", [])


@pytest.mark.parametrize(
    ("reply", "status", "body", "headers"),
    [
        (Reply([1]), 200, b"[1]", {"Content-Type": "application/json"}),
        (
            Reply([1], 201, {"Location": "/1"}),
            201,
            b"[1]",
            {"Location": "/1", "Content-Type": "application/json"},
        ),
        (Reply(None), 204, b"", {}),
        (Reply(None, 201, {"Location": "/1"}), 201, b"", {"Location": "/1"}),
        (
            Reply([1], headers={"content-type": "application/a+json"}),
            200,
            b"[1]",
            {"content-type": "application/a+json"},
        ),
        (
            Reply("a,b\n", headers={"Content-Type": "text/csv"}),
            200,
            b"a,b\n",
            {"Content-Type": "text/csv"},
        ),
    ],
)
async def test_a_reply_says_more(reply, status, body, headers):
    """Its status and header fields; those are not changed."""

    @marshaled
    async def handler() -> Reply[Any]:
        return reply

    for _ in range(2):
        recorded = await record(handler, request())
        assert (recorded.status, recorded.body) == (status, body)
        assert recorded.headers == http.Headers(headers)


async def test_a_content_type_is_negotiated():
    """With what the function says, or its reply."""

    @marshaled(content_type="text/csv")
    async def table() -> str:
        return "a,b\n"

    @marshaled
    async def reply():
        return Reply(b"a,b\n", headers={"Content-Type": "text/csv"})

    for handler in (table, reply):
        recorded = await record(handler, request(headers={"Accept": "text/*"}))
        assert (recorded.status, recorded.body) == (200, b"a,b\n")
        assert recorded.headers["content-type"] == "text/csv"
        refused = await record(handler, request(headers={"Accept": "image/*"}))
        assert refused.status == 406


async def test_a_value_needs_somebody_to_encode_it():
    """Of another type than JSON it is text, or bytes, or `encode` knows it."""
    headers = {"Content-Type": "text/csv"}
    handler = marshaled(lambda: Reply([1], headers=headers))
    with pytest.raises(TypeError, match="cannot be sent as text/csv"):
        await record(handler, request())
    own = marshaled(encode=lambda value: f"<{value}>".encode(), content_type="a/b")
    recorded = await record(own(lambda: [1]), request())
    assert (recorded.body, recorded.headers["content-type"]) == (b"<[1]>", "a/b")


# Decoders of others


class Celsius:
    """A type that msgspec does not know."""

    def __init__(self, degrees):
        if degrees < -273:
            raise ValueError("too cold")
        self.degrees = degrees


async def test_any_decoder_can_be_used():
    """It is called with the body and the type; its ValueError is a 400."""

    def decode(data, kind):
        return kind(float(data))

    @marshaled(decode=decode, encode=lambda c: str(c.degrees).encode())
    async def handler(c: Celsius) -> Celsius:
        return c

    assert await send(handler, "21.5") == (200, 21.5)
    status, problem = await send(handler, "-300")
    assert (status, problem["detail"]) == (400, "the body: too cold")


async def test_pydantic_can_be_used():
    """As one such decoder."""
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):
        n: int

    @marshaled(
        decode=lambda data, kind: pydantic.TypeAdapter(kind).validate_json(data),
        encode=lambda value: value.model_dump_json().encode(),
    )
    async def handler(model: Model) -> Model:
        return model

    assert await send(handler, '{"n":1}') == (200, {"n": 1})
    assert (await send(handler, '{"n":"x"}'))[0] == 400
    assert (await send(handler, '{"n":'))[0] == 400


# In a server


class Secret:
    pass


async def test_what_cannot_be_encoded_is_a_500(caplog):
    """It is encoded before the status goes out; logged once, by the server."""
    with caplog.at_level(logging.ERROR):
        (answer,) = await ask(marshaled(lambda: [Secret()]), get())
    assert answer.status == 500
    assert b"Secret" not in answer.body
    assert len(logged(caplog)) == 1


async def test_an_error_of_the_function_is_its_own(caplog):
    """One with a status is that, another a 500: vectors 11 and 12, keep."""

    @marshaled
    async def handler(n: int) -> int:
        if n:
            raise http.ServiceUnavailable("later", {"Retry-After": "1"})
        raise ValueError("not the client's fault")

    answers = await ask(handler, get("/?n=1"), get("/?n=0"))
    assert [answer.status for answer in answers] == [503, 500]
    assert len(logged(caplog, logging.WARNING)) == 1


async def test_a_body_that_is_too_large_is_a_413():
    """By the server's limit, whatever it has."""
    limits = http.Limits(body_bytes=1_000_000)
    big = b'{"n":1,"m":"' + b"x" * 10_000_000 + b'"}'
    sent = post(big, "Content-Type: application/json", f"Content-Length: {len(big)}")
    (answer,) = await ask(echo(Data), sent, limits=limits)
    assert answer.status == 413
    pieces = [big[i : i + 100_000] for i in range(0, len(big), 100_000)]
    sent = post(pieces, "Content-Type: application/json")
    (answer,) = await ask(echo(Data), sent, limits=limits)
    assert answer.status == 413


async def test_who_waits_to_send_is_refused_at_once():
    """415 and 406 come in place of `100 Continue`."""
    fields = ["Expect: 100-continue", "Content-Length: 5"]
    for more in ("Content-Type: text/plain", "Accept: text/html"):

        @marshaled
        async def handler(value: Data) -> Data:
            raise AssertionError

        (answer,) = await ask(handler, get("/", *fields, more, method="POST"))
        assert answer.status == (415 if "plain" in more else 406)


async def test_head_has_the_header_of_get():
    """And no body, as the server leaves it out."""
    (answer,) = await ask(marshaled(lambda: [1]), get(method="HEAD"), methods=["HEAD"])
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == "3"
