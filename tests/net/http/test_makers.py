"""text, html, json and redirect."""

from __future__ import annotations

import pytest

from csp.net.http._headers import Headers
from csp.net.http._makers import html, json, redirect, text

TYPED = [
    (text, "text/plain; charset=utf-8"),
    (html, "text/html; charset=utf-8"),
    (json, "application/json"),
]


@pytest.mark.parametrize(("make", "content_type"), TYPED)
def test_a_maker_says_what_it_makes(make, content_type):
    """Status 200, one header field."""
    response = make("x")
    assert response.status == 200
    assert [*response.headers] == [("Content-Type", content_type)]


@pytest.mark.parametrize(("make", "content_type"), TYPED)
def test_headers_are_added_to_the_type(make, content_type):
    """And those that were given stay as they are."""
    given = Headers({"X": "y"})
    response = make("x", 201, given)
    assert response.status == 201
    assert response.headers == Headers({"X": "y", "Content-Type": content_type})
    assert [*given] == [("X", "y")]


@pytest.mark.parametrize("make", [text, html, json])
def test_a_type_that_is_given_wins(make):
    """In whatever case it is written."""
    response = make("x", headers={"content-type": "a/b"})
    assert [*response.headers] == [("content-type", "a/b")]


@pytest.mark.parametrize("make", [text, html, json])
def test_what_is_added_to_one_response_is_not_in_the_next(make):
    """Nothing is shared, however cheap they are."""
    make("x").headers.add("X", "y")
    assert "x" not in make("x").headers


@pytest.mark.parametrize("make", [text, html])
@pytest.mark.parametrize("body", [None, 5, ["a"]])
def test_what_is_no_text_is_refused(make, body):
    """At once."""
    with pytest.raises(TypeError, match="the body of a response is"):
        make(body)


def test_json_is_compact():
    """And in UTF-8."""
    assert json({"a": [1, None, "\u00e9"]}).body == '{"a":[1,null,"\u00e9"]}'.encode()


def test_what_is_no_json_is_refused():
    """By msgspec's own words."""
    with pytest.raises(TypeError):
        json(object())


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        ("/elsewhere", "/elsewhere"),
        ("https://a.example:8080/b?c=d&e=%20#f", None),
        ("../up", None),
        ("/a b", "/a%20b"),
        ("/\u00e9", "/%C3%A9"),
        ("/a\r\nX: y", "/a%0D%0AX:%20y"),
        ("/\\evil.example", "/%5Cevil.example"),
        ('/"<>', "/%22%3C%3E"),
        ("http://[::1]/", None),
    ],
)
def test_a_redirect_names_the_place(location, sent):
    """What may not be in a URL is quoted, and what is quoted is left."""
    response = redirect(location)
    assert response.status == 307
    assert response.body == b""
    assert response.headers["location"] == (sent or location)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_has_a_status_of_one(status):
    """There are five."""
    assert redirect("/", status, {"X": "y"}).status == status
    assert redirect("/", status, {"X": "y"}).headers["x"] == "y"


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 404, None])
def test_any_other_status_is_refused(status):
    """Including those of 3xx that send nobody anywhere."""
    with pytest.raises(ValueError, match=f"308, not {status}"):
        redirect("/", status)


@pytest.mark.parametrize("location", [None, b"/", 5])
def test_a_location_is_a_str(location):
    """The message has what was given."""
    with pytest.raises(TypeError, match="location must be a str"):
        redirect(location)
