"""The search: against the definition, and how long it takes at worst."""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csp.net.http import MethodNotAllowed, NotFound, Request, Response, Router
from csp.net.http.web._path import Divided, is_clean

# The world, in which each of these kinds has something to itself, and both share "2".
CONVERTERS = {"one": "1|2", "two": "2|3"}
TEXTS = ["a", "1", "2", "3", "z"]
METHODS = ["GET", "HEAD", "POST", "PUT"]
PATHS = ["/"] + [
    f"/{'/'.join(texts)}{end}"
    for size in (1, 2, 3)
    for texts in product(TEXTS, repeat=size)
    for end in ("", "/")
]
SEGMENTS = ["a", "2", "{}", "{:one}", "{:two}"]
PATTERNS = [
    f"{method}/{''.join(f'{text}/' for text in fixed)}{end}"
    for method in ("", "GET ", "HEAD ", "POST ")
    for size in (0, 1, 2)
    for fixed in product(SEGMENTS, repeat=size)
    for end in ("", "{$}", "{...}", *SEGMENTS)
]
FORMS = {
    "{}": "[^/]+",
    "{:one}": f"(?:{CONVERTERS['one']})",
    "{:two}": f"(?:{CONVERTERS['two']})",
    "{$}": "",
    "{...}": ".*",
    "": ".*",
}


def one_of(texts):
    def parse(text):
        if not re.fullmatch(texts, text):
            raise ValueError(text)
        return text

    return parse


def named(pattern):
    """Give each parameter a name."""
    method, slash, path = pattern.partition("/")
    texts = [
        text if text == "{$}" else text.replace("{", f"{{p{i}")
        for i, text in enumerate(path.split("/"))
    ]
    return method + slash + "/".join(texts)


@cache
def matched(pattern):
    """Return all requests of the world that a pattern matches, by the definition."""
    method, _, path = pattern.partition("/")
    method = method.strip()
    form = re.compile("/" + "/".join(FORMS.get(t, t) for t in path.split("/")))
    methods = METHODS if not method else [method]
    methods = ["GET", "HEAD"] if method == "GET" else methods
    return frozenset(product(methods, filter(form.fullmatch, PATHS)))


def conflict(a, b):
    """Whether they share a request, and neither is more specific."""
    return bool(a & b) and not (a < b or b < a)


def most_specific(patterns, request):
    those = [p for p in patterns if request in matched(p)]
    return next(
        (p for p in those if all(matched(p) <= matched(q) for q in those)), None
    )


def is_exact(pattern, path):
    """Whether a pattern has as many segments as the path."""
    if pattern is None:
        return False
    is_open = pattern.endswith(("/", "{...}"))
    return not is_open or (path[-1] == "/" and pattern.count("/") == path.count("/"))


def expected(patterns, request):
    """Return the pattern, or the status, that the definition says."""
    method, path = request
    found = most_specific(patterns, request)
    slashed = path + "/"
    better = most_specific(patterns, (method, slashed)) if path[-1] != "/" else None
    if is_exact(better, slashed) and not is_exact(found, path):
        return 308
    if found is not None:
        return found
    others = [(m, p) for m in METHODS for p in (path, slashed)]
    return 405 if any(most_specific(patterns, other) for other in others) else 404


async def nothing(request):
    return Response(200)


def answer(router, request):
    """Return the pattern that a router has found, or the status instead."""
    request = Request(*request)

    async def call():
        try:
            return await router(request)
        except (NotFound, MethodNotAllowed) as error:
            return Response(error.status)

    coroutine = call()
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    status = ended.value.value.status
    return request.pattern if status == 200 else status


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(PATTERNS), max_size=10),
    st.lists(st.sampled_from([*product(METHODS, PATHS)]), min_size=20, max_size=20),
)
def test_the_router_does_what_the_definition_says(patterns, requests):
    """Which patterns conflict, and which of the others is chosen for a request."""
    converters = {name: one_of(texts) for name, texts in CONVERTERS.items()}
    router = Router(converters=converters)
    kept = []
    for pattern in patterns:
        refused = any(conflict(matched(pattern), matched(other)) for other in kept)
        if refused:
            with pytest.raises(ValueError, match="match"):
                router.handle(named(pattern), nothing)
        else:
            router.handle(named(pattern), nothing)
            kept.append(pattern)
    for request in requests:
        wanted = expected(kept, request)
        wanted = named(wanted) if isinstance(wanted, str) else wanted
        assert answer(router, request) == wanted, (request, kept)


class Counting(dict):
    """The literals of a node, which are asked once in each visit."""

    visits = 0

    def get(self, *args):
        Counting.visits += 1
        return super().get(*args)

    def __contains__(self, key):
        Counting.visits += 1
        return super().__contains__(key)


def count_visits(router, path):
    """Return how many nodes a search looks at, and how many there are."""
    nodes = [router._tables[""].tree.root]
    for node in nodes:
        nodes += [*node.literals.values(), *[n for _, n in node.typed.values()]]
        nodes += [node.wild] if node.wild else []
        node.literals = Counting(node.literals)
    Counting.visits = 0
    assert answer(router, ("GET", path)) == 404
    return Counting.visits / 2, len(nodes)  # the second search is for the methods


def test_a_search_comes_to_each_node_at_most_once():
    """Where all ways are open up to the last segment, and then none is."""
    router = Router()
    for number, texts in enumerate(product(["a", "{}"], repeat=8)):
        pattern = "".join(f"/{text}" for text in texts) + f"/end{number}"
        router.handle("GET " + named(pattern), nothing)
    visits, nodes = count_visits(router, "/a" * 8 + "/nowhere")
    assert 2**8 <= visits <= nodes


@pytest.mark.parametrize("rest", ["a/" * 4096, "b" * 8192, "%61/" * 2048])
def test_the_length_of_a_path_makes_no_search_longer(rest):
    """It ends where the tree does."""
    router = Router()
    for number, texts in enumerate(product(["a", "{}"], repeat=3)):
        pattern = "".join(f"/{text}" for text in texts) + f"/{number}"
        router.handle(named(pattern), nothing)
    visits, nodes = count_visits(router, "/a/a/a/" + rest)
    assert visits <= nodes < 30


def test_a_path_is_divided_no_further_than_the_tree_is_deep():
    """However many slashes it has."""
    divided = Divided("/a" * 4096, 3)
    assert len(divided.segments) == 4
    assert divided.value(2, "...") == "/".join("a" * 4094)


def test_a_converter_is_asked_once_about_a_segment():
    """Also if many routes have it there, and if it says no."""
    asked = []

    def parse(text):
        asked.append(text)
        raise ValueError

    router = Router(converters={"no": parse})
    for number in range(10):
        router.handle(f"GET /{{a}}/{{b:no}}/{number}", nothing)
        router.handle(f"GET /x/{{b:no}}/x{number}", nothing)
    asked.clear()
    assert answer(router, ("GET", "/x/text/5")) == 404
    assert asked == ["text"] * 2  # the second search is for the methods


@pytest.mark.parametrize(
    "path",
    [
        "/" * 8192,
        "/%" * 4096,
        "/" + "%" * 8191,
        "/" + "%2e" * 2730,
        "/" + "." * 8191,
        "/." * 4096,
        "/%2f." * 1600,
        "/a" * 4096,
        "/" + "%41" * 2730,
        "/%ff" * 2048,
        "/" + "\\" * 8191,
    ],
    ids=lambda path: path[:8],
)
def test_hostile_paths_are_found_out_quickly(path):
    """In time that grows with their length; a millisecond or two, not seconds."""
    router = Router()
    for pattern in [
        "/{a}/{b}/{c}",
        "/a/{b}/{c}/d",
        "/{a}/{b}/{c}/{d}/{e...}",
        "/x/{$}",
    ]:
        router.handle(pattern, nothing)
    started = perf_counter()
    answer(router, ("GET", path))
    assert perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/", True),
        ("/a/", True),
        ("/.a/b./...", True),
        ("/a..b", True),
        ("/%2ea", True),
        ("/a%2Fb", True),
        ("/a%2F..b", True),
        ("", False),
        ("*", False),
        ("a", False),
        ("//", False),
        ("/a//", False),
        ("//evil.example", False),
        ("/.", False),
        ("/..", False),
        ("/../a", False),
        ("/a/./b", False),
        ("/%2e%2E/a", False),
        ("/.%2e", False),
        ("/a%2f..%2Fb", False),
        ("/a/..%2fb", False),
        ("/a%5c..", False),
        ("/a\\..\\b", False),
        ("/a%2F.", False),
    ],
)
def test_which_paths_are_clean(path, clean):
    """No dots, however they are written, and nothing empty but at the end."""
    assert is_clean(path) is clean


def test_registering_many_routes_compares_each_with_few():
    """The search for conflicts looks at those that share a word at the best place."""
    router = Router()
    forms = [
        "GET /r{n}",
        "/r{n}/{{x}}",
        "/{{y}}/s{n}/",
        "/r{n}/a/{{$}}",
        "/api/x/{{x}}/t{n}",
    ]
    for n in range(500):
        for form in forms:
            router.handle(form.format(n=n), nothing)
    overlaps = router._tables[""]._overlaps
    near = [len([*overlaps.near(route.pattern)]) for route in router._registered]
    assert max(near) <= 501  # "/r5/a/{$}" has to be compared with each "/{y}/s6/"
    assert sorted(near)[len(near) // 2] < 5
