"""The router as a handler: what it answers, and what handlers find in their request.

The cases are those of Go's ServeMux and of Tiger Tonic's TrieServeMux, in words of our
own.  Where we do otherwise than the latter did, the comment says "fix".
"""

from __future__ import annotations

import pytest

from csp.net.http import (
    HTTPError,
    MethodNotAllowed,
    NotFound,
    Request,
    Response,
    Router,
    text,
)

pytestmark = pytest.mark.anyio


async def show(request):
    """Tell what the router has found."""
    params = " ".join(f"{name}={value!r}" for name, value in request.params.items())
    return text(f"{request.pattern} {params}".rstrip())


def router_of(*patterns):
    router = Router()
    for pattern in patterns:
        router.handle(pattern, show)
    return router


async def ask(router, method, target, **options):
    """Return what a router says, or the status and what comes with it."""
    try:
        response = await router(Request(method, target, **options))
    except HTTPError as error:
        return " ".join([str(error.status), *error.headers.values()])
    if response.status == 200:
        return response.body
    headers = [v for k, v in response.headers if k != "Content-Type"]
    return " ".join([str(response.status), *headers])


async def get(router, target):
    return await ask(router, "GET", target)


PRECEDENCE = [
    "/",
    "/{$}",
    "/a",
    "/b/",
    "/b/{$}",
    "/b/c",
    "/b/{x}",
    "/a/{x}/z",
    "/c/{x...}",
    "/n/{x:int}",
    "/n/{x}",
    "/n/7",
]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", "/{$}"),
        ("/a", "/a"),
        ("/x", "/"),
        ("/a/", "/"),
        ("/x/y", "/"),
        ("/b/", "/b/{$}"),
        ("/b", "308 /b/"),
        ("/b/c", "/b/c"),
        ("/b/d", "/b/{x} x='d'"),
        ("/b/c/d", "/b/"),
        ("/a/r/z", "/a/{x}/z x='r'"),
        ("/c/d/e/", "/c/{x...} x='d/e/'"),
        ("/c/", "/c/{x...} x=''"),
        ("/c", "308 /c/"),
        ("/n/5", "/n/{x:int} x=5"),
        ("/n/five", "/n/{x} x='five'"),
        ("/n/7", "/n/7"),
    ],
)
async def test_the_most_specific_pattern_wins(path, found):
    """In whatever order they were registered."""
    assert await get(router_of(*PRECEDENCE), path) == found
    assert await get(router_of(*reversed(PRECEDENCE)), path) == found


async def test_a_literal_does_not_hide_a_wildcard():
    """Vector 5; fix: Tiger Tonic had 404 here, for want of backtracking."""
    router = router_of("GET /lit/x", "GET /{w}/y", "GET /{w}/{v}/z", "GET /lit/{v}/w")
    assert await get(router, "/lit/y") == "GET /{w}/y w='lit'"
    assert await get(router, "/lit/a/z") == "GET /{w}/{v}/z w='lit' v='a'"
    assert await get(router, "/lit/a/w") == "GET /lit/{v}/w v='a'"


async def test_two_names_at_one_place_are_two_routes():
    """Fix: the last name registered hid the first route."""
    router = router_of("GET /t/{a}", "GET /t/{b}/c")
    assert await get(router, "/t/1") == "GET /t/{a} a='1'"
    assert await get(router, "/t/1/c") == "GET /t/{b}/c b='1'"


@pytest.mark.parametrize("path", ["/a", "/a/b", "/a/b/c/d", "/x", "/a/b/c/", "/"])
async def test_a_mere_prefix_of_a_route_is_not_found(path):
    """Vector 6; fix: it was 405 with nothing but OPTIONS."""
    router = router_of("POST /a/b/c")
    assert await ask(router, "POST", path) == "404"
    assert await ask(router, "OPTIONS", path) == "404"


async def test_an_empty_router_finds_nothing():
    """Keep: 404 for the root, too."""
    with pytest.raises(NotFound, match="GET /nope not found"):
        await Router()(Request("GET", "/nope?a=b"))
    assert await get(Router(), "/") == "404"


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/{foo}/{bar}", "foo='bar' bar='foo'"),
        ("/{foo}/foo", "foo='bar'"),
    ],
)
async def test_parameters_are_not_the_query(target, found):
    """Vectors 2 and 3, keep: the client cannot change them."""
    request = Request("GET", "/bar/foo?baz=quux&foo=quuz")
    response = await router_of(target)(request)
    assert response.body == f"{target} {found}"
    assert dict(request.query) == {"baz": "quux", "foo": "quuz"}
    assert request.target == "/bar/foo?baz=quux&foo=quuz"


# Methods


async def test_get_answers_head():
    """Vector 7; fix: it was 405.  The server leaves out the body."""
    router = router_of(
        "GET /a", "GET /b/{x}", "HEAD /c", "GET /c", "/d", "GET /e", "/e"
    )
    assert await ask(router, "HEAD", "/a") == "GET /a"
    assert await ask(router, "HEAD", "/b/1") == "GET /b/{x} x='1'"
    assert await ask(router, "HEAD", "/c") == "HEAD /c"
    assert await ask(router, "HEAD", "/d") == "/d"
    assert await ask(router, "HEAD", "/e") == "GET /e"
    assert await ask(router, "PUT", "/e") == "/e"


async def test_a_method_is_case_sensitive():
    """As the grammar of HTTP has it."""
    assert await ask(router_of("GET /a"), "get", "/a") == "405 GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("patterns", "allow"),
    [
        (["POST /a"], "OPTIONS, POST"),
        (["GET /a"], "GET, HEAD, OPTIONS"),
        (["GET /a", "HEAD /a"], "GET, HEAD, OPTIONS"),
        (["HEAD /a"], "HEAD, OPTIONS"),
        (["POST /{x}", "GET /a", "PATCH /a"], "GET, HEAD, OPTIONS, PATCH, POST"),
        (["POST /a/", "PATCH /{x...}"], "OPTIONS, PATCH, POST"),
        (["DELETE /{x:int}", "POST /a"], "OPTIONS, POST"),
    ],
)
async def test_what_is_allowed(patterns, allow):
    """Vector 1, keep; sorted, without anything twice, and only what would be found."""
    router = router_of(*patterns)
    assert await ask(router, "PUT", "/a") == f"405 {allow}"
    assert await ask(router, "OPTIONS", "/a?b") == f"204 {allow}"


async def test_not_allowed_says_what_is():
    """In words, too."""
    with pytest.raises(MethodNotAllowed, match="only OPTIONS, POST are allowed"):
        await router_of("POST /")(Request("GET", "/"))


async def test_options_of_ones_own():
    """Keep: a pattern for OPTIONS, or for any method, comes first."""
    router = router_of("OPTIONS /a", "GET /a", "/b", "GET /b")
    assert await ask(router, "OPTIONS", "/a") == "OPTIONS /a"
    assert await ask(router, "OPTIONS", "/b") == "/b"


async def test_options_of_the_whole_server():
    """All methods that there are."""
    router = router_of("GET /a", "POST /b/{x}", "/c")
    assert await ask(router, "OPTIONS", "*") == "204 GET, HEAD, OPTIONS, POST"
    assert await ask(Router(), "OPTIONS", "*") == "204 OPTIONS"
    assert await ask(router, "GET", "*") == "404"
    assert await ask(router, "CONNECT", "") == "404"


# Paths


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a%2Fb", "/{x} x='a/b'"),
        ("/a%2fb", "/{x} x='a/b'"),
        ("/%61", "/a"),
        ("/b%2Fc", "/b%2Fc"),
        ("/b/c", "404"),
        ("/%7Bx%7D", "/%7Bx%7D"),
        ("/{x}", "/%7Bx%7D"),
        ("/%C3%A9", "/\u00e9"),
        ("/%E9", "/{x} x='\ufffd'"),
        ("/%C0%AF", "/{x} x='\ufffd\ufffd'"),
        ("/%252F", "/{x} x='%2F'"),
        ("/a+b", "/{x} x='a+b'"),
        ("/%", "/{x} x='%'"),
        ("/%zz", "/{x} x='%zz'"),
        ("/%00", "/{x} x='\\x00'"),
        ("/%20", "/{x} x=' '"),
        ("/%3Fa", "/{x} x='?a'"),
        ("/r/a%2Fb/c%20d", "/r/{rest...} rest='a%2Fb/c d'"),
        ("/r/%2Fetc", "/r/{rest...} rest='%2Fetc'"),
        ("/r/%252e%252e/x", "/r/{rest...} rest='%2e%2e/x'"),
        ("/r/a/", "/r/{rest...} rest='a/'"),
    ],
)
async def test_segments_are_decoded_after_the_path_is_divided(path, found):
    """Fix: %2F stays within its segment, and in the rest it stays as it is."""
    router = router_of("/{x}", "/a", "/b%2Fc", "/%7Bx%7D", "/\u00e9", "/r/{rest...}")
    assert await get(router, path) == found


@pytest.mark.parametrize(
    "path",
    [
        *("//", "/a//b", "//a", "/r//a", "/r/a//", "/./a", "/a/.", "/r/..", "/r/../a"),
        *("/r/%2e%2e/a", "/r/.%2E/a", "/r/..%2fa", "/r/a%2F..%2F..%2Fb", "/r/..%5Ca"),
        *("/r/..\\a", "/..", "/..%2f", "/%2e"),
    ],
)
async def test_what_would_climb_out_of_a_folder_is_not_found(path):
    """Whoever answers everything does not see it."""
    router = router_of("/", "/{x}", "/r/{rest...}")
    router.mount("/m", show)
    assert await get(router, path) == "404"
    assert await get(router, "/m" + path) == "404"


async def test_an_empty_segment_is_no_value():
    """Fix: "/u/" was "/u/{a}" with nothing for a."""
    router = router_of("/u/{a}", "/v/{a}/b")
    assert await get(router, "/u/") == "404"
    assert await get(router, "/v//b") == "404"


@pytest.mark.parametrize(
    ("patterns", "target", "answer"),
    [
        (["/tree/"], "/tree", "308 /tree/"),
        (["/tree/"], "/tree?a=b&c", "308 /tree/?a=b&c"),
        (["/tree/"], "/tree?", "308 /tree/?"),
        (["/tree/{$}"], "/tree", "308 /tree/"),
        (["/tree/{x...}"], "/tree", "308 /tree/"),
        (["/{x}/"], "/a%20b", "308 /a%20b/"),
        (["/{x}/"], "/\\evil.example", "308 /%5Cevil.example/"),
        (["/{x}/"], "/a%0D%0Ab", "308 /a%0D%0Ab/"),
        (["/tree/", "/tree"], "/tree", "/tree"),
        (["/tree/", "/{x}"], "/tree", "/{x} x='tree'"),
        (["/tree/", "/"], "/tree", "308 /tree/"),
        (["/tree/", "/{x...}"], "/tree", "308 /tree/"),
        (["/tree/", "/"], "/tree/a", "/tree/"),
        (["/tree/a"], "/tree", "404"),
        (["/tree"], "/tree/", "404"),
        (["/"], "/tree", "/"),
        (["POST /tree/"], "/tree", "405 OPTIONS, POST"),
    ],
)
async def test_a_path_that_lacks_a_slash_is_redirected(patterns, target, answer):
    """If it would be found with it, and without only by what takes anything."""
    assert await get(router_of(*patterns), target) == answer


async def test_a_redirect_keeps_the_method():
    """It is 308 for a POST, too."""
    assert await ask(router_of("POST /tree/"), "POST", "/tree") == "308 /tree/"


# Being a handler


async def test_decorators_give_the_function_back():
    """So that they can be stacked, and tests can call it."""
    router = Router()

    @router.get("/a", name="a")
    @router.post("/b")
    @router.put("/c", "c")
    @router.patch("/d")
    @router.delete("/e")
    @router.head("/f")
    @router.options("/g")
    @router.route("PURGE /h")
    async def handler(request):
        return text(request.pattern)

    routes = [(route.method, route.path, route.handler) for route in router.routes()]
    methods = ["PURGE", "OPTIONS", "HEAD", "DELETE", "PATCH", "PUT", "POST", "GET"]
    paths = zip(methods, "hgfedcba", strict=True)
    assert routes == [(method, f"/{letter}", handler) for method, letter in paths]
    for method, letter in zip(methods, "hgfedcba", strict=True):
        assert await ask(router, method, f"/{letter}") == f"{method} /{letter}"


async def test_an_error_in_a_handler_comes_out():
    """Routers have nothing to do with it; the pattern is there, for who counts it."""

    async def fail(request):
        raise HTTPError(418)

    router = Router()
    router.handle("GET /{x}", fail)
    request = Request("GET", "/5")
    with pytest.raises(HTTPError, match="418"):
        await router(request)
    assert (request.pattern, request.params) == ("GET /{x}", {"x": "5"})


async def test_a_router_can_be_changed_while_it_serves():
    """What is registered is found from then on."""
    router = router_of("/{x}")
    assert await get(router, "/a") == "/{x} x='a'"
    router.handle("/a", show)
    assert await get(router, "/a") == "/a"
    assert repr(router) == "<Router: 2 routes>"


@pytest.mark.parametrize("target", ["/s", "/s?a=b", "/s/%61", "/s/a"])
async def test_any_method_without_parameters(target):
    """However it is looked up."""
    router = router_of("/s", "/s/a", "POST /s")
    for method in ("GET", "HEAD", "PUT", "PURGE"):
        found = await ask(router, method, target)
        assert found == ("/s/a" if "/s/" in target else "/s")


async def test_a_response_that_is_none_passes():
    """Whether that is an answer is for others to say."""

    async def nothing(request):
        return None

    router = Router()
    router.handle("/", nothing)
    assert await router(Request()) is None
    assert isinstance(await router_of("/a/")(Request("GET", "/a")), Response)
