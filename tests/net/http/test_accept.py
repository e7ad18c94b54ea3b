"""Media types, and negotiation by RFC 9110, section 12.5.1."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csp.net.http import Headers
from csp.net.http._accept import accepts, field, parse_media_type

JSON, TEXT, HTML, PNG = "application/json", "text/plain", "text/html", "image/png"


@pytest.mark.parametrize(
    ("text", "essence", "params"),
    [
        ("text/plain", TEXT, {}),
        (" Text/PLAIN ", TEXT, {}),
        ("text/plain;charset=UTF-8", TEXT, {"charset": "UTF-8"}),
        ("text/plain ; Charset = x", None, None),
        ("text/plain \t; a=1;; B=2 ;", TEXT, {"a": "1", "b": "2"}),
        ('text/plain; a="b;c,\\"d\\\\"', TEXT, {"a": 'b;c,"d\\'}),
        ('text/plain; a=""', TEXT, {"a": ""}),
        ("text/plain; a=1; a=2", TEXT, {"a": "1"}),
        ("application/vnd.a+json", "application/vnd.a+json", {}),
        ("", None, None),
        ("text", None, None),
        ("text/", None, None),
        ("/plain", None, None),
        ("te xt/plain", None, None),
        ("text/plain a", None, None),
        ("text/plain; a", None, None),
        ("text/plain; a=", None, None),
        ('text/plain; a="b', None, None),
        ("text/plain, text/html", None, None),
        ("t\xe9xt/plain", None, None),
    ],
)
def test_a_media_type_is_parsed(text, essence, params):
    """Or found to be none."""
    media = parse_media_type(text)
    assert (media and media.essence) == essence
    assert (media and media.params) == params


@pytest.mark.parametrize(
    ("text", "is_json"),
    [
        (JSON, True),
        ("application/problem+json", True),
        ("image/x+JSON", True),
        ("application/jsonx", False),
        ("application/json-patch", False),
        ("text/json", False),
    ],
)
def test_json_is_told_from_its_neighbours(text, is_json):
    """By the whole subtype or its suffix; fix: not by how it begins."""
    assert parse_media_type(text).is_json is is_json


@pytest.mark.parametrize(
    ("accept", "offered", "chosen"),
    [
        (None, [JSON, TEXT], JSON),
        ("", [JSON], JSON),
        ("*/*", [JSON, TEXT], JSON),
        ("text/*", [JSON, TEXT], TEXT),
        ("text/html", [JSON, TEXT], None),
        ("TEXT/Plain", [TEXT], TEXT),
        ("application/json;q=0.2, text/plain;q=0.3", [JSON, TEXT], TEXT),
        ("application/json;q=0.3, text/plain;q=0.3", [JSON, TEXT], JSON),
        ("application/json;q=0", [JSON], None),  # fix
        ("application/json;q=0.000, */*", [JSON, TEXT], TEXT),
        ("*/*;q=0", [JSON], None),
        ("*/*;q=0, application/json", [JSON], JSON),
        ("text/*;q=0.3, text/html;q=0.7, */*;q=0.5", [TEXT, HTML, PNG], HTML),
        ("text/*;q=0.3, text/html;q=0.7, */*;q=0.5", [TEXT, PNG], PNG),
        ("text/plain;format=flowed, text/plain;q=0", [TEXT], None),
        ("text/plain;a=b;q=0, text/plain", ["text/plain; a=b"], None),
        ("text/plain;a=b", ["text/plain;a=b"], "text/plain;a=b"),
        ("application/json; charset=utf-8", [JSON], JSON),
        ("application/json; charset=latin-1", [JSON], None),
        ("text/plain", ["text/plain; charset=utf-8"], "text/plain; charset=utf-8"),
        ("text/plain; q=0.3, */*", ["image/jpeg"], "image/jpeg"),  # keep
        ("image/*; q=0.5, text/*", [TEXT], TEXT),  # keep
        ("image/*; q=0.5, text/*", [JSON], None),  # keep
        ("application/json-patch+json", [JSON], None),  # fix
        ("application/vnd.api+json", [JSON], None),
        ("*", [JSON], JSON),
        ("text/html, image/gif, *; q=.2, */*; q=.2", [JSON], JSON),
        ("*/json", [JSON], JSON),  # is none, so it is as if nothing had been said
        ("*/json, text/html", [JSON], None),
        ("garbage", [JSON], JSON),
        ("garbage, text/html", [JSON], None),
        ("application/json;q=high, text/html", [JSON], None),
        ("application/json;q=9", [JSON], JSON),
        ("application/json;q=.", [JSON, TEXT], JSON),
        ('a/b;x="application/json", text/html', [JSON], None),
        ('a/b;x=",application/json,"', [JSON], None),
        (",, application/json ,", [JSON], JSON),
        ("application/json;q=0.5;q=0", [JSON], JSON),
        ("text/html", [], None),
        (None, [], None),
    ],
)
def test_what_the_client_likes_best_is_chosen(accept, offered, chosen):
    """By the most specific range for each, and among equals as offered."""
    assert accepts(accept, offered) == chosen


def test_what_is_no_media_type_cannot_be_offered():
    """That is a mistake of the program, not of the client."""
    with pytest.raises(ValueError, match="'json' is no media type"):
        accepts("text/html", ["json"])


tokens = st.sampled_from(["text", "image", "application", "json", "plain", "a", "b"])
weights = st.sampled_from(["", ";q=0", ";q=0.5", "; Q=1", ";q=1.000"])
ranges = st.tuples(
    st.one_of(
        st.just(("*", "*")), st.tuples(tokens, st.just("*")), st.tuples(tokens, tokens)
    ),
    weights,
)


def naive(accept, offer):
    """Return the weight of an offer, by the words of the RFC."""
    kind, _, subtype = offer.partition("/")
    for wanted in ((kind, subtype), (kind, "*"), ("*", "*")):
        found = [w for pair, w in accept if pair == wanted]
        if found:
            return max(float(w.lower().partition("q=")[2] or 1) for w in found)
    return 0


@given(st.lists(ranges, min_size=1), st.lists(st.tuples(tokens, tokens), min_size=1))
def test_it_chooses_as_the_definition_says(accept, offered):
    """Whatever is offered and accepted."""
    offered = ["/".join(pair) for pair in offered]
    header = " ,".join("/".join(pair) + weight for pair, weight in accept)
    best = max(naive(accept, offer) for offer in offered)
    expected = next((o for o in offered if naive(accept, o) == best), None)
    assert accepts(header, offered) == (expected if best else None)


@given(st.text(alphabet='ab/;,="\\ \tq0.*+-é'))
def test_nothing_that_comes_is_an_error(text):
    """Be it sense or not."""
    accepts(text, [JSON])
    media = parse_media_type(text)
    assert media is None or media.essence == media.essence.lower()


@pytest.mark.parametrize(
    "piece", [";", " ;", '"', '\\"', ',"', "a/b;", "*/*,", 'a/b;c="\\', "a", "; \t"]
)
def test_long_fields_take_no_more_than_their_length(piece):
    """Whatever they repeat: 64 KiB of it are gone through in a moment."""
    text = "text/plain" + piece * (65_536 // len(piece))
    before = time.perf_counter()
    accepts(text, [JSON])
    accepts('"' + text + "\\", [JSON])
    parse_media_type(text)
    assert time.perf_counter() - before < 3


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ([], None),
        ([("Accept", "a")], "a"),
        ([("accept", "a"), ("ACCEPT", "b")], "a, b"),
        ([("x", "1"), ("x", "2"), ("Accept", "a")], "a"),
    ],
)
def test_fields_that_are_there_again_are_one_list(fields, value):
    """As RFC 9110, section 5.3, has it."""
    assert field(Headers(fields), b"accept") == value
