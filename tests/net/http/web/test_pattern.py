"""Patterns: what can be written, what is refused, and which two cannot stand together.

The cases are those of Go's tests of its patterns, in words of our own, and ours.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from csp.net.http import Converter, Router
from csp.net.http.web._convert import BUILT_IN
from csp.net.http.web._pattern import Wild, parse
from csp.net.http.web._relation import Relation, relation

REST = Wild("", rest=True)


def read(text):
    return parse(text, BUILT_IN)


async def handler(request):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("text", "method", "host", "segments"),
    [
        ("/", "", "", (REST,)),
        ("/a", "", "", ("a",)),
        ("/a/", "", "", ("a", REST)),
        ("/a/{$}", "", "", ("a", "")),
        ("/{$}", "", "", ("",)),
        ("/{x}", "", "", (Wild("x"),)),
        ("/a/{x}/b", "", "", ("a", Wild("x"), "b")),
        ("/{rest...}", "", "", (Wild("rest", rest=True),)),
        ("GET /a", "GET", "", ("a",)),
        ("GET \t /a", "GET", "", ("a",)),
        ("M-SEARCH /a", "M-SEARCH", "", ("a",)),
        ("example.com/a", "", "example.com", ("a",)),
        ("GET Example.COM/", "GET", "example.com", (REST,)),
        ("*.example.com/", "", "*.example.com", (REST,)),
        ("[::1]/a", "", "[::1]", ("a",)),
        ("/%61%2Fb", "", "", ("a/b",)),
        ("/%7Bx%7D", "", "", ("{x}",)),
        ("/caf\u00e9", "", "", ("caf\u00e9",)),
        ("/a:b", "", "", ("a:b",)),
    ],
)
def test_a_pattern_is_a_method_a_host_and_segments(text, method, host, segments):
    """The first two may be left out."""
    pattern = read(text)
    assert (pattern.method, pattern.host, pattern.segments) == (method, host, segments)


@pytest.mark.parametrize("kind", ["int", "float", "uuid"])
def test_a_parameter_may_have_a_converter(kind):
    """By its name."""
    (wild,) = read(f"/{{x:{kind}}}").segments
    assert (wild.name, wild.kind, wild.converter) == ("x", kind, BUILT_IN[kind])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "it has no path"),
        ("users", 'it has no path. Write: "/users"'),
        ("GET", "it has no path"),
        ("/a b", "it is not"),
        ("GET /a b", "written %20"),
        ("GE(T /a", r"'GE\(T' is no method"),
        ("get /a", 'case-sensitive. Write: "GET ..."'),
        ("example.com:80/", "ports are ignored"),
        ("[::1]:80/", "is no host"),
        ("{x}.com/", "a host has no parameters"),
        ("a.*.com/", r"Write: \*.example.com"),
        ("caf\u00e9.fr/", "xn--"),
        ("/a//b", "an empty segment"),
        ("//", "an empty segment"),
        ("/a/../b", r"a segment \. or \.\."),
        ("/./a", r"a segment \. or \.\."),
        ("/a/%2e%2E", r"a segment \. or \.\."),
        ("/a?b", "more than a path"),
        ("/a#b", "more than a path"),
        ("/100%", "written %25"),
        ("/{", "not one whole parameter"),
        ("/{x", "not one whole parameter"),
        ("/x}", "not one whole parameter"),
        ("/a{x}", "not one whole parameter"),
        ("/{x}.json", "not one whole parameter"),
        ("/{x}{y}", "not one whole parameter"),
        ("/{}", "not called by an identifier"),
        ("/{1x}", "not called by an identifier"),
        ("/{a-b}", "not called by an identifier"),
        ("/{...}", "not called by an identifier"),
        ("/{x}/{x}", "it has {x} twice"),
        ("/{x}/{x...}", "it has {x} twice"),
        ("/{x...}/a", "{x...} is not at its end"),
        ("/{x...}/", "{x...} is not at its end"),
        ("/{$}/a", "{\\$} is not at its end"),
        ("/{x:hex}", "no converter 'hex', only float, int, uuid. Write: Router"),
        ("/{x:path}", "Write: {x...}"),
        ("/{x:int...}", "the rest has no converter. Write: {x...}"),
        ("/{x:}", "no converter ''"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(text, match):
    """And with the pattern, and what to write instead if that can be told."""
    with pytest.raises(ValueError, match=match) as caught:
        read(text)
    assert repr(text) in str(caught.value)


def test_a_pattern_is_a_str():
    """Anything else is a TypeError."""
    with pytest.raises(TypeError, match="a pattern is a str"):
        Router().handle(b"/", handler)


SAME, WITHIN, AROUND, OVERLAP, APART = Relation


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("/a", "/a", SAME),
        ("/a", "/b", APART),
        ("/a", "/a/", APART),
        ("/a", "/a/b", APART),
        ("/a/b", "/a", APART),
        ("/a", "/{x}", WITHIN),
        ("/{x}", "/{y}", SAME),
        ("/{x}", "/a/{y}", APART),
        ("/a/{x}", "/{y}/b", OVERLAP),
        ("/a/{x}/c", "/{y}/b/d", APART),
        ("/{x}/{y}", "/a/{z}", AROUND),
        ("/", "/a", AROUND),
        ("/", "/{$}", AROUND),
        ("/", "/{x...}", SAME),
        ("/a/", "/a/{x...}", SAME),
        ("/a/", "/a/{x}", AROUND),
        ("/a/", "/a/{x}/b", AROUND),
        ("/a/", "/a/{$}", AROUND),
        ("/a/", "/a/b/", AROUND),
        ("/a/", "/{x}/b", OVERLAP),
        ("/a/", "/{x}/", WITHIN),
        ("/a/", "/b/c", APART),
        ("/a/{$}", "/a/{x}", APART),
        ("/a/{$}", "/a/b", APART),
        ("/a/{$}", "/{x}/{$}", WITHIN),
        ("/{x}/{$}", "/a/{y...}", OVERLAP),
        ("/{x}/{$}", "/{y}/", WITHIN),
        ("/{x}/b/{y...}", "/a/{z...}", OVERLAP),
        ("GET /a", "/a", WITHIN),
        ("GET /a", "POST /a", APART),
        ("HEAD /a", "GET /a", WITHIN),
        ("HEAD /a", "/a", WITHIN),
        ("GET /", "/a", OVERLAP),
        ("GET /{x}", "HEAD /a", AROUND),
        ("HEAD /{x}", "GET /a", OVERLAP),
        ("GET /{x}", "/a/b", APART),
        ("/{x:int}", "/{y}", WITHIN),
        ("/{x:int}", "/{y:int}", SAME),
        ("/{x:int}", "/{y:uuid}", OVERLAP),
        ("/{x:int}", "/5", AROUND),
        ("/{x:int}", "/five", APART),
        ("/{x:int}/b", "/{y:uuid}/c", APART),
        ("/{x:int}/b", "/a/{y}", APART),
        ("/{x:int}/b", "/5/{y}", OVERLAP),
        ("/{x:int}", "/", WITHIN),
        ("/{x:int}/{$}", "/{y:int}/{z}", APART),
    ],
)
def test_how_two_patterns_lie_to_each_other(a, b, expected):
    """From both sides, and to themselves."""
    other = {WITHIN: AROUND, AROUND: WITHIN}.get(expected, expected)
    assert relation(read(a), read(b)) is expected
    assert relation(read(b), read(a)) is other
    assert relation(read(a), read(a)) is SAME


@pytest.mark.parametrize(
    ("patterns", "match"),
    [
        (["/a/{x}", "/a/{y}"], "match the same requests. Remove one"),
        (["GET /a", "GET /a"], "match the same requests. Remove one"),
        (["/a/{x}", "/{y}/b"], "both match any /a/b, and neither .* Write: '/a/b'"),
        (["POST /a/{x}", "/{y}/b"], "both match POST /a/b"),
        (["/b/{x...}", "GET /{y}/c"], "both match GET /b/c"),
        (["/{x:int}/a", "/{y:uuid}/a"], "might be both .* one converter that takes"),
        (["GET /", "/static/"], r"'GET /{\$}' if only that path .* 'GET /static/'"),
        (["GET /{x}", "/a"], "more paths, but only of one method. Write: both"),
    ],
)
def test_a_conflict_is_refused_and_explained(patterns, match):
    """In any order; with both places in the program, and what to write instead."""
    for order in permutations(patterns):
        router = Router()
        router.handle(order[0], handler)
        with pytest.raises(ValueError, match=match) as caught:
            router.handle(order[1], handler)
        for pattern in patterns:
            assert repr(pattern) in str(caught.value)
        assert str(caught.value).count(f"{__file__}:") == 2


def test_a_route_that_was_refused_is_not_there():
    """The router goes on with what it had."""
    router = Router()
    router.handle("/a/{x}", handler)
    with pytest.raises(ValueError, match="neither is more specific"):
        router.handle("/{x}/b", handler)
    assert [route.path for route in router.routes()] == ["/a/{x}"]


def test_a_conflict_names_the_line_of_the_decorator():
    """Not that of the function, nor one of the router's own."""
    router = Router()
    decorate = router.get("/a")  # line A
    decorate(handler)
    (route,) = router.routes()
    with open(__file__, encoding="utf-8") as source:
        line = next(n for n, text in enumerate(source, 1) if "# line A" in text)
    assert route.where == f"{__file__}:{line}"


@pytest.mark.parametrize("handler", [None, "handler", 5])
def test_a_handler_has_to_be_callable(handler):
    """Said when it is registered."""
    with pytest.raises(TypeError, match="is an async function of a request"):
        Router().handle("/", handler)


def test_a_method_has_no_place_in_a_decorator_for_one():
    """Which might register POST for GET."""
    with pytest.raises(ValueError, match=r"Write: router.get\('/a'\)"):
        Router().get("POST /a")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "5", 5),
        ("int", "-5", -5),
        ("int", "007", 7),
        ("int", "+5", None),
        ("int", "1_0", None),
        ("int", " 5", None),
        ("int", "\u0665", None),
        ("int", "5\n", None),
        ("int", "9" * 5000, None),
        ("float", "1.5", 1.5),
        ("float", "-2", -2.0),
        ("float", "nan", None),
        ("float", "1e5", None),
        ("float", "1.", None),
        ("uuid", "{12345678-1234-5678-1234-567812345678}", None),
        ("uuid", "12345678123456781234567812345678", None),
    ],
)
def test_converters_take_one_form(kind, text, value):
    """Less than Python's own: a URL is no place for surprises."""
    converter = BUILT_IN[kind]
    assert converter.takes(text) is (value is not None)
    if value is not None:
        assert converter.parse(text) == value


@pytest.mark.parametrize(
    ("given", "error"),
    [({"hex": 16}, TypeError), ({"a-b": int}, ValueError), ({5: int}, ValueError)],
)
def test_a_converter_is_a_function_with_a_name(given, error):
    """Or a Converter."""
    with pytest.raises(error, match="converter"):
        Router(converters=given)


def test_a_converter_of_ones_own():
    """Made of a function, or whole, in which case it is written back as it says."""
    hexadecimal = Converter(lambda text: int(text, 16), "{:x}".format)
    router = Router(converters={"hex": hexadecimal, "upper": str.upper})
    router.handle("/{a:hex}/{b:upper}", handler, name="x")
    assert router.url("x", a=255, b="c") == "/ff/c"
    (route,) = router.routes()
    assert route.converters["a"] is hexadecimal
    assert route.converters["b"].schema == {"type": "string"}
