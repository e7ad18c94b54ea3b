"""Virtual hosts: patterns that are only for some (Tiger Tonic's HostServeMux)."""

from __future__ import annotations

import pytest

from csp.net.http import HTTPError, Request, Router, text
from csp.net.http.web._host import candidates, name_of

pytestmark = pytest.mark.anyio


async def show(request):
    return text(request.pattern)


def router_of(*patterns):
    router = Router()
    for pattern in patterns:
        router.handle(pattern, show)
    return router


async def ask(router, host, target="/", method="GET"):
    try:
        response = await router(Request(method, target, headers={"Host": host}))
    except HTTPError as error:
        return " ".join([str(error.status), *error.headers.values()])
    return response.body or str(response.status)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("example.com", "example.com/"),
        ("example.com:80", "example.com/"),
        ("example.com:", "example.com/"),
        ("example.com.", "example.com/"),
        ("EXAMPLE.com:8080", "example.com/"),
        ("a.example.com", "*.example.com/"),
        ("a.b.example.com", "*.b.example.com/"),
        ("a.c.example.com", "*.example.com/"),
        ("b.example.com", "*.example.com/"),
        ("badexample.com", "/"),
        ("[::1]", "[::1]/"),
        ("[::1]:80", "[::1]/"),
        ("[::2]:80", "/"),
        ("127.0.0.1:80", "127.0.0.1/"),
        ("", "/"),
    ],
)
async def test_the_most_specific_host_wins(host, found):
    """Fix: case and the colons of IPv6; and there are wildcards and a default."""
    hosts = [
        "Example.com",
        "*.example.com",
        "*.b.example.com",
        "[::1]",
        "127.0.0.1",
        "",
    ]
    assert await ask(router_of(*[f"{host}/" for host in hosts]), host) == found


async def test_without_a_default_an_unknown_host_is_not_found():
    """Keep: 404, as for an unknown path."""
    assert await ask(router_of("example.com/"), "example.org") == "404"


async def test_the_host_of_the_target_counts():
    """It wins over Host."""
    request = Request("GET", "/", headers={"Host": "other"}, host="example.com:80")
    assert (await router_of("example.com/", "/")(request)).body == "example.com/"


async def test_a_host_beats_none_whatever_the_paths():
    """But what it has no pattern for is looked for in those without."""
    router = router_of("a.com/", "/x/y", "GET b.com/x", "POST /x", "/z")
    assert await ask(router, "a.com", "/x/y") == "a.com/"
    assert await ask(router, "b.com", "/x/y") == "/x/y"
    assert await ask(router, "b.com", "/x") == "GET b.com/x"
    assert await ask(router, "b.com", "/x", "POST") == "POST /x"
    allow = "GET, HEAD, OPTIONS, POST"
    assert await ask(router, "b.com", "/x", "PUT") == f"405 {allow}"
    assert await ask(router, "c.com", "/x", "PUT") == "405 OPTIONS, POST"


async def test_the_same_path_for_two_hosts_is_no_conflict():
    """Nor one that would overlap; for one host it is."""
    router = router_of("a.com/{x}/b", "b.com/a/{y}", "*.com/a/{y}", "/a/{y}")
    with pytest.raises(ValueError, match="neither is more specific"):
        router.handle("A.com/a/{y}", show)


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["a.com/tree/", "/tree"], "/tree"),
        (["a.com/tree/", "/"], "308"),
        (["a.com/tree/"], "308"),
        (["a.com/", "/tree/"], "a.com/"),
        (["*.com/tree/", "a.com/"], "a.com/"),
        (["a.com/", "a.com/tree/", "/tree"], "308"),
        (["a.com/x", "/tree/"], "308"),
    ],
)
async def test_a_slash_is_missed_over_all_hosts(patterns, found):
    """As in Go: a pattern for the very path wins, one that takes anything does not."""
    assert await ask(router_of(*patterns), "a.com", "/tree") == found


async def test_hosts_can_be_mounted():
    """Each its own router, and one for the rest."""
    router = Router()
    router.mount("a.com/", router_of("/x"))
    router.mount("*.a.com/{v}", router_of("GET /x"))
    router.mount("/", router_of("/x", "b.com/x"))
    assert await ask(router, "a.com", "/x") == "a.com/x"
    assert await ask(router, "b.a.com", "/1/x") == "GET *.a.com/{v}/x"
    assert await ask(router, "c.com", "/x") == "/x"
    assert await ask(router, "b.com", "/x") == "b.com/x"
    assert await ask(router, "a.com", "/y") == "404"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("A.b", "a.b"),
        ("a:1", "a"),
        ("a:", "a"),
        ("[::1]", "[::1]"),
        ("[FE80::1]:443", "[fe80::1]"),
        ("::1", "::1"),
        ("a:b", "a:b"),
        ("", ""),
        (":80", ""),
    ],
)
async def test_the_name_of_a_host(host, name):
    """Without its port, and only that."""
    assert name_of(host) == name


async def test_the_hosts_that_are_tried():
    """The longest first."""
    assert [*candidates("a.b.c:1")] == ["a.b.c", "*.b.c", "*.c", ""]
    assert [*candidates("")] == [""]
