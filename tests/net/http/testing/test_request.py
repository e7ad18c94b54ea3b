"""Requests made by hand: are they as the server makes them?"""

from __future__ import annotations

import anyio
import pytest

from csp.net.http.testing import request

pytestmark = pytest.mark.anyio


async def test_by_default_it_is_the_simplest():
    """A GET of the root."""
    made = request()
    assert (made.method, made.target, made.path) == ("GET", "/", "/")
    assert (made.http_version, made.scheme, made.host) == ("1.1", "http", "test")
    assert made.client == "127.0.0.1:50000"
    assert await made.read() == b""
    assert "content-length" not in made.headers


async def test_what_is_given_is_there():
    """All that a server or a router would have found."""
    made = request(
        "PUT",
        "/users/1",
        headers={"Host": "example.org", "X": "y"},
        params={"id": 1},
        pattern="PUT /users/{id}",
        context="context",
        client="10.0.0.1:5",
        server="10.0.0.2:443",
        scheme="https",
        http_version="1.0",
    )
    assert made.host == "example.org"
    assert made.headers["x"] == "y"
    assert made.params["id"] == 1
    assert made.pattern == "PUT /users/{id}"
    assert made.context == "context"
    assert (made.client, made.server) == ("10.0.0.1:5", "10.0.0.2:443")
    assert (made.scheme, made.http_version) == ("https", "1.0")


@pytest.mark.parametrize(
    ("target", "expected"), [("/a", "/a?q=x+y&n=1&n=2"), ("/a?b", "/a?b&q=x+y&n=1&n=2")]
)
async def test_a_query_is_added(target, expected):
    """Encoded; a list is several of a name."""
    made = request("GET", target, query={"q": "x y", "n": [1, 2]})
    assert made.target == expected
    assert made.query.get_all("n") == ["1", "2"]


@pytest.mark.parametrize(
    ("body", "content", "content_type"),
    [
        ({"body": b"\xff"}, b"\xff", None),
        ({"body": "ü"}, "ü".encode(), None),
        ({"json": {"a": [1, None]}}, b'{"a":[1,null]}', "application/json"),
        ({"json": None}, b"null", "application/json"),
        (
            {"form": {"a": "b c", "d": ["1", "2"]}},
            b"a=b+c&d=1&d=2",
            "application/x-www-form-urlencoded",
        ),
    ],
)
async def test_a_body_is_described(body, content, content_type):
    """By its length and its type."""
    made = request("POST", "/", **body)
    assert made.headers["content-length"] == str(len(content))
    assert made.headers.get("content-type") == content_type
    assert await made.read() == content


async def test_a_type_that_is_given_stays():
    """Though it is JSON."""
    made = request("POST", json=1, headers={"Content-Type": "application/x+json"})
    assert made.headers.get_all("content-type") == ["application/x+json"]


async def test_a_body_may_come_in_pieces():
    """As it does from a network; then its end is known when it comes."""

    async def pieces():
        for piece in (b"one", b"", b"two"):
            await anyio.lowlevel.checkpoint()
            yield piece

    made = request("POST", body=pieces())
    assert made.headers["transfer-encoding"] == "chunked"
    assert made.body.trailers is None
    assert [piece async for piece in made.body] == [b"one", b"two"]
    assert len(made.body.trailers) == 0


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"body": b"x", "json": 1}, TypeError),
        ({"json": 1, "form": {}}, TypeError),
        ({"body": 5}, TypeError),
        ({"target": "no slash"}, ValueError),
        ({"method": None}, TypeError),
    ],
)
async def test_what_is_no_request_is_refused(bad, error):
    """With what is wrong with it."""
    with pytest.raises(error):
        request(**bad)
