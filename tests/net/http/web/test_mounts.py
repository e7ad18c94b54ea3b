"""Mounts: handlers for all beneath a prefix, which Tiger Tonic calls namespaces."""

from __future__ import annotations

from functools import wraps

import pytest

from csp.net.http import HTTPError, Request, Router, text
from csp.net.http.testing import record

pytestmark = pytest.mark.anyio


async def show(request):
    """Tell what the routers have found, and what they have left."""
    params = "".join(f" {name}={value!r}" for name, value in request.params.items())
    return text(f"{request.pattern}{params} | {request.mount} | {request.subpath}")


def router_of(*patterns):
    router = Router()
    for pattern in patterns:
        router.handle(pattern, show)
    return router


async def ask(router, method, target, **options):
    try:
        response = await router(Request(method, target, **options))
    except HTTPError as error:
        return " ".join([str(error), *error.headers.values()])
    if response.status == 200:
        return response.body
    return f"{response.status} {response.headers.get('location', '')}"


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/1.0/a", "/1.0/ | /1.0 | /a"),
        ("/1.0/a/b?c", "/1.0/ | /1.0 | /a/b"),
        ("/1.0/", "/1.0/ | /1.0 | /"),
        ("/1%2e0/a%2Fb", "/1.0/ | /1%2e0 | /a%2Fb"),
        ("/1.0", "308 /1.0/"),
        ("/1.0?a", "308 /1.0/?a"),
        ("/1.00", "404 GET /1.00 not found"),
        ("/1.0/own", "/1.0/own |  | /1.0/own"),
        ("/v2/x", "/v2/ | /v2 | /x"),
    ],
)
async def test_a_handler_gets_all_beneath_its_prefix(target, answer):
    """It sees what is left, as it was sent; the target stays what it was."""
    router = router_of("/1.0/own")
    router.mount("/1.0", show)
    router.mount("/v2/", show)
    assert await ask(router, "GET", target) == answer


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PURGE"])
async def test_a_mount_is_for_all_methods(method):
    """OPTIONS, too, is its own to answer."""
    router = Router()
    router.mount("/m", show)
    assert await ask(router, method, "/m/x") == "/m/ | /m | /x"


async def test_routers_are_mounted_in_routers():
    """Their patterns and parameters add up; the inner one looks at what is left."""
    outer, middle, inner = (
        Router(),
        Router(),
        router_of("GET /{id:int}/x", "/{$}", "/s"),
    )
    middle.mount("/b/{b}", inner)
    outer.mount("/{a:int}", middle)
    found = await ask(outer, "GET", "/1/b/%41/5/x?q")
    assert found == "GET /{a:int}/b/{b}/{id:int}/x a=1 b='A' id=5 | /1/b/%41 | /5/x"
    assert await ask(outer, "GET", "/1/b/2/") == (
        "/{a:int}/b/{b}/{$} a=1 b='2' | /1/b/2 | /"
    )
    assert await ask(outer, "PUT", "/1/b/2/s") == (
        "/{a:int}/b/{b}/s a=1 b='2' | /1/b/2 | /s"
    )
    assert await ask(inner, "GET", "/5/x") == "GET /{id:int}/x id=5 |  | /5/x"


async def test_a_mounted_routers_404_and_405_are_its_own():
    """Fix: they show the whole path, not what is left.  Nothing else is tried."""
    inner = router_of("POST /a", "/tree/")
    router = router_of("/")
    router.mount("/m", inner)
    request = Request("GET", "/m/x")
    with pytest.raises(HTTPError, match="404 GET /m/x not found"):
        await router(request)
    assert request.pattern == "/m/"
    assert await ask(router, "GET", "/m/a") == (
        "405 only OPTIONS, POST are allowed OPTIONS, POST"
    )
    assert await ask(router, "OPTIONS", "/m/a") == "204 "
    assert await ask(router, "GET", "/m/tree?x") == "308 /m/tree/?x"


async def test_the_longest_prefix_wins():
    """Keep: "" and "/foo" together; and any more specific pattern wins over both."""
    router = router_of("/foo/bar/{x}")
    router.mount("", show)
    router.mount("/foo", router_of("/bar"))
    assert await ask(router, "GET", "/x") == "/ |  | /x"
    assert await ask(router, "GET", "/foo/bar") == "/foo/bar | /foo | /bar"
    assert (
        await ask(router, "GET", "/foo/bar/1") == "/foo/bar/{x} x='1' |  | /foo/bar/1"
    )


async def test_what_a_mount_takes_is_given_back():
    """So that another handler can be asked if this one has no answer."""
    first, second = Router(), router_of("/m/{x}")
    first.mount("/{y}", Router())
    request = Request("GET", "/m/5")
    with pytest.raises(HTTPError, match="404"):
        await first(request)
    assert (request.mount, request.subpath) == ("", "/m/5")
    assert (await second(request)).body == "/m/{x} x='5' |  | /m/5"


async def test_a_mount_that_somebody_else_has_set_counts():
    """As for a router behind a server that has taken off a part of the path."""
    request = Request("GET", "/app/a?b")
    request.mount = "/app"
    assert (await router_of("/a")(request)).body == "/a | /app | /a"


async def test_the_inner_parameter_of_two_with_one_name_counts():
    """It is the one that the inner router knows of."""
    router = Router()
    router.mount("/{x}", router_of("/{x}"))
    assert await ask(router, "GET", "/1/2") == "/{x}/{x} x='2' | /1 | /2"


@pytest.mark.parametrize(
    ("prefix", "match"),
    [
        ("1.0", 'has no slash. Write: "/1.0", or "1.0/" for a host'),
        ("GET /a", "Write: handle"),
        ("/a/{$}", "not at its end"),
        ("/{a...}", "not at its end"),
        ("/a//", "empty segment"),
    ],
)
async def test_a_prefix_is_literals_and_parameters(prefix, match):
    """Said when it is mounted."""
    with pytest.raises(ValueError, match=match):
        Router().mount(prefix, show)


async def test_a_prefix_is_a_str():
    """Anything else is a TypeError."""
    with pytest.raises(TypeError, match="a prefix is a str"):
        Router().mount(None, show)


async def test_a_mount_conflicts_as_a_pattern_does():
    """Of all that begins so."""
    router = router_of("/a/{x...}", "GET /b/")
    with pytest.raises(ValueError, match="the same requests"):
        router.mount("/a", show)
    router.mount("/b", show)
    with pytest.raises(ValueError, match="'/' has more paths, but only of one method"):
        router.handle("GET /", show)


async def test_a_router_is_not_mounted_in_itself():
    """Nor somewhere beneath itself, which would have no end."""
    outer, inner = Router(), Router()
    outer.mount("/a", inner)
    for router in (outer, inner):
        with pytest.raises(ValueError, match="would contain itself"):
            router.mount("/x", router)
    with pytest.raises(ValueError, match="would contain itself"):
        inner.mount("/x", outer)


async def test_routes_of_mounted_routers_are_told_of():
    """With all prefixes, the converters in them, and where each was registered."""

    def wrapped(handler):
        @wraps(handler)
        async def around(request):
            return await handler(request)

        return around

    inner, outer = router_of("GET /{id:int}", "x.example/{$}"), router_of("POST /a")
    outer.mount("*.example/{v:uuid}", wrapped(inner))
    outer.mount("/files", show)
    found = [(str(route), [*route.converters]) for route in outer.routes()]
    assert found == [
        ("POST /a", []),
        ("GET *.example/{v:uuid}/{id:int}", ["v", "id"]),
        ("x.example/{v:uuid}/{$}", ["v"]),
        ("/files/", []),
    ]
    first = next(outer.routes())
    assert (first.method, first.host, first.name) == ("POST", None, None)
    assert first.handler is show
    assert first.where.startswith(f"{__file__}:")


async def test_a_router_can_be_recorded():
    """It is a handler like any other."""
    router = Router()
    router.mount("/1.0", router_of("GET /{x}"))
    answer = await record(router, Request("GET", "/1.0/a%20b"))
    assert answer.text == "GET /1.0/{x} x='a b' | /1.0 | /a%20b"
