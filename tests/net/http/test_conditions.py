"""Conditions of a request, as a table, and the order in which they count."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csp.net.http._conditions import check, still_valid
from csp.net.http._errors import PreconditionFailed
from csp.net.http._headers import Headers

NOW = 784_111_777
SAME = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"
ETAG = '"abc"'


def answer(fields, method="GET", etag=ETAG):
    try:
        return 200 if check(Headers(fields), method, etag, NOW) else 304
    except PreconditionFailed:
        return 412


M, N, U, S = "If-Match", "If-None-Match", "If-Unmodified-Since", "If-Modified-Since"


@pytest.mark.parametrize(
    ("fields", "get", "put"),
    [
        ({}, 200, 200),
        ({M: "*"}, 200, 200),
        ({M: ETAG}, 200, 200),
        ({M: f'"x", {ETAG}'}, 200, 200),
        ({M: f'"x",{ETAG},"y"'}, 200, 200),
        ({M: f'"a,b" , {ETAG}'}, 200, 200),
        ({M: '"x"'}, 412, 412),
        ({M: ""}, 412, 412),
        ({M: "abc"}, 412, 412),
        ({M: f"W/{ETAG}"}, 412, 412),
        ({U: SAME}, 200, 200),
        ({U: AFTER}, 200, 200),
        ({U: BEFORE}, 412, 412),
        ({U: "yesterday"}, 200, 200),
        ({N: "*"}, 304, 412),
        ({N: ETAG}, 304, 412),
        ({N: f"W/{ETAG}"}, 304, 412),
        ({N: f'"x", W/"y", {ETAG}'}, 304, 412),
        ({N: '"x"'}, 200, 200),
        ({N: "abc"}, 200, 200),
        ({N: ""}, 200, 200),
        ({S: SAME}, 304, 200),
        ({S: AFTER}, 304, 200),
        ({S: BEFORE}, 200, 200),
        ({S: "yesterday"}, 200, 200),
        # Their order: If-Match before If-Unmodified-Since, and so on
        ({M: ETAG, U: BEFORE}, 200, 200),
        ({M: '"x"', U: AFTER}, 412, 412),
        ({N: '"x"', S: SAME}, 200, 200),
        ({N: ETAG, S: BEFORE}, 304, 412),
        ({M: ETAG, N: ETAG}, 304, 412),
        ({M: '"x"', N: ETAG}, 412, 412),
        ({U: AFTER, S: SAME}, 304, 200),
        ({U: BEFORE, S: SAME}, 412, 412),
        # Lists in several fields are one
        ([(M, '"x"'), (M, ETAG)], 200, 200),
        ([(N, '"x"'), (N, ETAG)], 304, 412),
    ],
)
def test_conditions_decide_in_the_order_of_the_rfc(fields, get, put):
    """Section 13.2.2: 412 before 304, and a 304 for GET and HEAD alone."""
    assert answer(fields) == get
    assert answer(fields, "HEAD") == get
    assert answer(fields, "PUT") == put


def test_a_weak_tag_never_matches_strongly():
    """If-Match compares byte for byte, which a weak tag says nothing of."""
    assert answer({M: 'W/"abc"'}, etag='W/"abc"') == 412
    assert answer({N: '"abc"'}, etag='W/"abc"') == 304


@pytest.mark.parametrize(
    ("date", "answered"),
    [
        (SAME, 304),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 304),
        ("Sun Nov  6 08:49:37 1994", 304),
        ("Sun, 06 Nov 1994 08:49:37 +0000", 304),
        ("Sun, 06 Nov 1994 10:49:37 +0200", 200),
        ("Sun, 36 Nov 1994 08:49:37 GMT", 200),
        ("Sun, 06 Nov 1994 25:49:37 GMT", 200),
        ("Sun, 06 Nov 99999 08:49:37 GMT", 200),
        ("784111777", 200),
        ("", 200),
    ],
)
def test_the_three_forms_of_dates_are_read(date, answered, monkeypatch):
    """Wherever the server is, and nothing else is taken for a date."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert answer({S: date}) == answered
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text(max_size=40))
def test_no_date_is_too_strange(text):
    """It is as none."""
    assert still_valid(Headers([("If-Range", "x")]), ETAG, NOW) is False
    field = Headers.from_raw([(b"If-Modified-Since", text.encode())])
    assert check(field, "GET", ETAG, 2**40)


@pytest.mark.parametrize(
    ("field", "etag", "valid"),
    [
        (ETAG, ETAG, True),
        ('"x"', ETAG, False),
        (f"W/{ETAG}", ETAG, False),
        ('W/"abc"', 'W/"abc"', False),
        (SAME, ETAG, True),
        (BEFORE, ETAG, False),
        (AFTER, ETAG, False),
        ("*", ETAG, False),
        ("abc", ETAG, False),
        ("", ETAG, False),
    ],
)
def test_a_range_is_sent_only_of_what_the_client_has(field, etag, valid):
    """If-Range compares strongly, and a date exactly."""
    assert still_valid(Headers({"If-Range": field}), etag, NOW) is valid


def test_without_if_range_a_range_is_sent():
    """The client says nothing of what it has."""
    assert still_valid(Headers(), ETAG, NOW)
