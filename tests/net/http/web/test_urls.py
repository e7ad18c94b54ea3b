"""URLs of routes by name: what is built is found again."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csp.net.http import HTTPError, Request, Router
from csp.net.http.web._path import is_clean


async def handler(request):
    return None


def router_of(**patterns):
    router = Router()
    for name, pattern in patterns.items():
        router.handle(pattern, handler, name=name)
    return router


@pytest.mark.parametrize(
    ("pattern", "params", "url"),
    [
        ("/", {}, "/"),
        ("/{$}", {}, "/"),
        ("/a/{$}", {}, "/a/"),
        ("/a/", {}, "/a/"),
        ("GET example.com/a", {}, "/a"),
        ("/a%2Fb/%7B", {}, "/a%2Fb/%7B"),
        ("/{x}", {"x": "a b/c?d#e%\u00e9"}, "/a%20b%2Fc%3Fd%23e%25%C3%A9"),
        ("/{x}", {"x": 5}, "/5"),
        ("/{x}/y/{z}", {"x": "a:b@c", "z": "$&+,;="}, "/a:b@c/y/$&+,;="),
        ("/{x:int}", {"x": -5}, "/-5"),
        ("/{x:float}", {"x": 1e-7}, "/0.0000001"),
        ("/{x:float}", {"x": 1e20}, "/100000000000000000000"),
        ("/{x:uuid}", {"x": UUID(int=1)}, "/00000000-0000-0000-0000-000000000001"),
        ("/f/{x...}", {"x": "a b/c"}, "/f/a%20b/c"),
        ("/f/{x...}", {"x": ""}, "/f/"),
        ("/{self}/{name}", {"self": 1, "name": 2}, "/1/2"),
    ],
)
def test_a_url_is_built_of_parameters(pattern, params, url):
    """Encoded as they have to be, and not more."""
    assert router_of(it=pattern).url("it", **params) == url


@pytest.mark.parametrize(
    ("pattern", "params", "error", "match"),
    [
        ("/{x}", {}, TypeError, "the URL of 'it': it needs x"),
        ("/{x}", {"x": 1, "y": 2}, TypeError, "it has no y"),
        ("/{x}", {"x": ""}, ValueError, "x is empty"),
        ("/{x}", {"x": ".."}, ValueError, "is not found"),
        ("/{x}", {"x": "a/../b"}, ValueError, "is not found"),
        ("/{x...}", {"x": "/a"}, ValueError, "is not found"),
        ("/{x...}", {"x": "a/./b"}, ValueError, "is not found"),
        ("/{x:int}", {"x": "five"}, ValueError, "x is int, not 'five'"),
        ("/{x:int}", {"x": True}, ValueError, "x is int, not True"),
        ("/{x:int}", {"x": 1.5}, ValueError, "x is int, not 1.5"),
        ("/{x:float}", {"x": float("nan")}, ValueError, "x is float"),
        ("/{x:uuid}", {"x": "5"}, ValueError, "x is uuid, not '5'"),
    ],
)
def test_what_would_not_be_found_again_is_refused(pattern, params, error, match):
    """With the name of the route and of the parameter."""
    with pytest.raises(error, match=match):
        router_of(it=pattern).url("it", **params)


def ask(router, path):
    request = Request("GET", path)
    with pytest.raises(StopIteration):
        router(request).send(None)
    return request


@given(st.text(min_size=1), st.text(), st.integers(), st.uuids())
def test_what_is_built_is_found_again(text, rest, number, uuid):
    """With the same values; only a rest with an encoded slash keeps that as it is."""
    pattern = "/{text}/{number:int}/{uuid:uuid}/{rest...}"
    router = router_of(it=pattern)
    params = {"text": text, "rest": rest, "number": number, "uuid": uuid}
    try:
        url = router.url("it", **params)
    except (ValueError, UnicodeEncodeError):
        return
    assert is_clean(url)
    request = ask(router, url)
    assert (request.pattern, request.params) == (pattern, params)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_found_again(number):
    """To the last bit, without an exponent."""
    router = router_of(it="/{x:float}")
    assert ask(router, router.url("it", x=number)).params == {"x": number}


def test_names_in_mounted_routers_are_found():
    """With the parameters of the prefixes."""
    inner, outer = router_of(user="/users/{id}", own="/b"), router_of(own="/a")
    outer.mount("/{v:int}", inner)
    assert outer.url("user", v=1, id=5) == "/1/users/5"
    assert inner.url("user", id=5) == "/users/5"
    assert outer.url("own") == "/a"


def test_a_name_that_several_have_is_no_name():
    """Within a router it is refused at once; in mounted ones, when it is asked for."""
    inner, outer = router_of(user="/u"), Router()
    with pytest.raises(ValueError, match=r"two routes have the name 'user': '/v' \("):
        inner.handle("/v", handler, name="user")
    assert len([*inner.routes()]) == 1
    outer.mount("/1", inner)
    outer.mount("/2", inner)
    with pytest.raises(LookupError, match="'user': /1/u and /2/u"):
        outer.url("user")
    with pytest.raises(LookupError, match="no route has the name 'nobody'"):
        outer.url("nobody")


def test_a_name_of_a_route_that_was_refused_is_free():
    """It can be used again."""
    router = router_of(a="/a")
    with pytest.raises(ValueError, match="the same requests"):
        router.handle("/a", handler, name="b")
    router.handle("/b", handler, name="b")
    assert router.url("b") == "/b"


def test_paths_that_are_not_clean_are_not_found():
    """As those that `url` refuses to build."""
    with pytest.raises(HTTPError, match="404"):
        ask(router_of(it="/{x}"), "/%2e%2e")
