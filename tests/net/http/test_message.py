"""Requests made by hand, what they decode, and what a response takes for a body."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from http import HTTPStatus

import anyio
import msgspec
import pytest

from csp import Channel, merge
from csp.net.http._errors import BadRequest, ContentTooLarge
from csp.net.http._headers import Headers
from csp.net.http._message import Body, Query, Request, Response

pytestmark = pytest.mark.anyio


class Pieces(Body):
    """A body that comes in pieces, one at a turn of the loop."""

    __slots__ = ("asked", "rest")

    def __init__(self, *pieces):
        self.rest = [*pieces]
        self.asked = 0

    async def receive(self):
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        if self.rest:
            return self.rest.pop(0)
        raise anyio.EndOfStream


def path(target):
    return Request("GET", target).path


# Requests


async def test_a_request_is_made_of_a_method_and_a_target():
    """All else has a default, so that tests of handlers are short."""
    request = Request("POST", "/a?b=c")
    assert (request.method, request.path, request.query["b"]) == ("POST", "/a", "c")
    assert (request.host, request.http_version, request.scheme) == ("", "1.1", "http")
    assert (dict(request.params), request.pattern, request.context) == ({}, None, None)
    assert len(request.headers) == 0
    assert await request.read() == b""


async def test_a_request_made_by_hand_has_headers_and_a_body():
    """Both in the form in which they are written most easily."""
    request = Request("GET", "/", headers={"X": "y", "Host": "here"}, body=b"abc")
    assert request.headers["x"] == "y"
    assert request.host == "here"
    assert [data async for data in request.body] == [b"abc"]
    assert request.body.trailers == Headers()


async def test_params_of_one_request_are_not_those_of_another():
    """A router sets them; nobody can change the empty ones, which all share."""
    with pytest.raises(TypeError):
        Request().params["id"] = "5"
    request = Request()
    request.params = {"id": "5"}
    assert Request().params == {}


async def test_the_host_of_the_target_wins():
    """RFC 9112 3.2.2: with a whole URL for a target, Host does not count."""
    assert Request(headers={"Host": "a"}, host="b").host == "b"


@pytest.mark.parametrize(
    ("args", "error", "match"),
    [
        ((b"GET", "/"), TypeError, "a method and a target, which are str"),
        (("GET", b"/"), TypeError, "a method and a target, which are str"),
        (("GET", None), TypeError, "a method and a target, which are str"),
        (("GET", "a"), ValueError, "begins with a slash"),
        (("GET", ""), ValueError, "begins with a slash"),
        (("GET", "/", None, "text"), TypeError, "bytes, not 'text'"),
        (("GET", "/", None, None), TypeError, "bytes, not None"),
        (("GET", "/", "X: y"), TypeError, "headers are"),
    ],
)
async def test_a_request_of_wrong_parts_is_refused(args, error, match):
    """At once, with what was given."""
    with pytest.raises(error, match=match):
        Request(*args)


@pytest.mark.parametrize("target", ["*", "//", "/a:b", "/?", "/%"])
async def test_targets_that_the_wire_lets_in_can_be_made_by_hand(target):
    """OPTIONS has a star."""
    assert Request("OPTIONS", target).target == target


@pytest.mark.parametrize(
    ("target", "decoded"),
    [
        ("/a%20b?c=d", "/a b"),
        ("/a+b", "/a+b"),
        ("/%C3%A9", "/\u00e9"),
        ("/a%2Fb", "/a/b"),
        ("/a%2fb%00", "/a/b\0"),
        ("/%252e", "/%2e"),
        ("/a?b?c", "/a"),
        ("/%", "/%"),
        ("/%zz%4", "/%zz%4"),
        ("/%FF", "/\ufffd"),
        ("/%C0%AE%C0%AE", "/\ufffd\ufffd\ufffd\ufffd"),
        ("/%ED%A0%80", "/\ufffd\ufffd\ufffd"),
        ("*", "*"),
    ],
)
async def test_the_path_is_decoded_once(target, decoded):
    """And what is no UTF-8, overlong forms above all, is no letter, dot or slash."""
    assert path(target) == decoded


# Queries


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("a=b", [("a", "b")]),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("=b", [("", "b")]),
        ("a=b=c", [("a", "b=c")]),
        ("&&a=1&&b=2&", [("a", "1"), ("b", "2")]),
        ("a=1&a=2", [("a", "1"), ("a", "2")]),
        ("a+b=c+d", [("a b", "c d")]),
        ("a%2Bb=%26%3D", [("a+b", "&=")]),
        ("a;b=c", [("a;b", "c")]),
        ("a=%zz%", [("a", "%zz%")]),
        ("a=%FF", [("a", "\ufffd")]),
        ("a=%00", [("a", "\0")]),
        ("q=a?b", [("q", "a?b")]),
    ],
)
async def test_a_query_is_pairs_of_names_and_values(text, pairs):
    """Blank ones too; nothing is dropped and nothing is an error."""
    query = Query(text)
    names = list(dict.fromkeys(name for name, _ in pairs))
    assert list(query) == names
    assert len(query) == len(names)
    got = {name: query.get_all(name) for name in names}
    assert got == {name: [v for n, v in pairs if n == name] for name in names}
    assert {name: query[name] for name in names} == dict(reversed(pairs))


async def test_a_query_is_a_mapping():
    """With `get`, `in` and a KeyError that names what is missing."""
    query = Request("GET", "/?a=1&a=2").query
    assert "a" in query
    assert query.get("b", "c") == "c"
    assert query.get_all("b") == []
    with pytest.raises(KeyError, match="b"):
        query["b"]
    assert repr(query) == "Query([('a', '1'), ('a', '2')])"


async def test_as_many_parameters_as_a_target_can_have_are_read():
    """The limit is that of the target's length."""
    assert len(Query("&".join(f"{n:x}" for n in range(5000)))) == 5000


# Reading


async def test_a_body_that_was_read_can_be_had_again():
    """A handler around the other may have read it."""
    request = Request("POST", "/", body=Pieces(b"ab", b"c"))
    assert await request.read() == b"abc"
    assert await request.read() == b"abc"
    assert await request.read(3) == b"abc"


async def test_a_limit_ends_the_reading():
    """After the first piece that goes beyond it, and for the next call as well."""
    body = Pieces(b"ab", b"cd", b"ef")
    request = Request("POST", "/", body=body)
    for _ in range(2):
        with pytest.raises(ContentTooLarge, match="more than 3 bytes"):
            await request.read(3)
    assert body.asked == 2
    assert await request.read(6) == b"abcdef"
    with pytest.raises(ContentTooLarge):
        await request.read(5)


async def test_a_body_of_exactly_the_limit_is_read():
    """More than it is too much."""
    assert await Request("POST", "/", body=b"abc").read(3) == b"abc"
    assert await Request("POST", "/").read(0) == b""
    with pytest.raises(ContentTooLarge):
        await Request("POST", "/", body=b"a").read(0)


async def test_who_is_cancelled_while_reading_can_go_on():
    """What had come by then is still there."""
    request = Request("POST", "/", body=Pieces(b"ab", b"cd", b"ef"))
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(request.read)
            while not request._pieces:
                await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert await request.read() == b"abcdef"


class User(msgspec.Struct):
    name: str


@dataclasses.dataclass
class Point:
    x: int


async def test_json_is_decoded_to_a_type():
    """Or to what it looks like."""
    assert await Request(body=b'{"a": [1]}').json() == {"a": [1]}
    assert await Request(body=b'{"name": "x"}').json(User) == User("x")
    assert await Request(body=b'{"x": 5}').json(Point) == Point(5)
    assert await Request(body=b"[1]").json(list[int]) == [1]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "the body: "),
        (b"{", "the body: "),
        (b'{"name": 5}', r"the body: Expected `str`, got `int` - at `\$\.name`"),
        (b"{}", "missing required field `name`"),
        (b'{"name": "\xff"}', "the body: "),
        (b'{"name": "x", "y": ' + b"[" * 100_000 + b"}", "the body: "),
    ],
)
async def test_what_is_no_such_json_is_a_bad_request(data, match):
    """The detail says where it is wrong."""
    with pytest.raises(BadRequest, match=match):
        await Request("POST", "/", body=data).json(User)


async def test_a_request_without_a_connection_is_never_gone():
    """The block is as none."""
    async with Request().cancelled_if_gone():
        await anyio.lowlevel.checkpoint()


# Responses


async def pieces():
    yield b"a"


async def coroutine():
    """Not a body."""


class Iterable:
    def __aiter__(self):
        return pieces()


async def test_a_response_takes_anything_that_gives_pieces():
    """Channels, receivers, iterables and blocks."""
    ch = Channel()
    with ch.receiver() as rx:
        for body in (b"", "", "text", ch, rx, pieces(), Iterable(), merge(ch)):
            assert Response(body=body).body is body


@pytest.mark.parametrize(
    ("make", "instead"),
    [
        (list, "json"),
        (tuple, "json"),
        (dict, "json"),
        (lambda: None, ""),
        (lambda: 5, ""),
        (lambda: bytearray(b"x"), r"bytes\(...\)"),
        (lambda: memoryview(b"x"), r"bytes\(...\)"),
        (lambda: (x for x in ()), "make it an async one"),
        (coroutine, "await it"),
        (lambda: pieces, "call it"),
        (object, ""),
    ],
)
async def test_what_is_no_body_is_refused_with_advice(make, instead):
    """When the response is made, where the traceback shows who did it."""
    with pytest.raises(TypeError, match=f"the body of a response is .*{instead}"):
        Response(body=make())


@pytest.mark.parametrize("status", [100, 101, 199, 99, 0, -200, 1000])
async def test_a_status_that_cannot_be_sent_is_refused(status):
    """1xx are the server's own business."""
    with pytest.raises(ValueError, match=f"200 to 999, not {status}"):
        Response(status)


@pytest.mark.parametrize("status", ["200", 200.0, True, None])
async def test_a_status_is_a_whole_number(status):
    """The message has what was given."""
    with pytest.raises(TypeError, match="status must be a whole number"):
        Response(status)


async def test_a_status_of_the_standard_library_is_one():
    """`HTTPStatus` is an int."""
    assert Response(HTTPStatus.CREATED).status == 201


async def test_headers_and_trailers_are_made_of_what_is_given():
    """And every response has its own."""
    response = Response(headers={"A": "b"}, trailers=[("C", "d")])
    assert (response.headers["a"], response.trailers["c"]) == ("b", "d")
    response.headers.add("X", "y")
    assert "x" not in Response(headers={"A": "b"}).headers
    assert Response().headers is not Response().headers
    assert Response().trailers is None


async def test_slots_catch_misspellings():
    """A response has no other attributes, nor has a request."""
    with pytest.raises(AttributeError):
        Response().header = {}
    with pytest.raises(AttributeError):
        Request().param = {}


async def test_reprs_show_what_was_asked_and_not_the_secrets():
    """They end up in logs."""
    shown = repr(Request("GET", "/a", {"Authorization": "secret"}))
    assert "'/a'" in shown
    assert "secret" not in shown


# Extras


@pytest.mark.parametrize("package", ["msgspec", "httptools"])
def test_without_the_extra_one_sentence_names_it(package):
    """It is missing where somebody installed the core alone."""
    program = f"import sys; sys.modules[{package!r}] = None; import csp.net.http"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert f"csp.net.http needs {package}. " in done.stderr.splitlines()[-1]
    assert "pip install 'anycsp[http]'" in done.stderr
