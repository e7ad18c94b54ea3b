"""A check in front of a handler: Tiger Tonic's `If`."""

from __future__ import annotations

import pytest

from csp.net.http import Headers, NotFound, Request, Unauthorized, text
from csp.net.http.web import conditional
from tests.net.http.memory import ask, get

pytestmark = pytest.mark.anyio


async def hello(request):
    return text("hello", headers={"Vary": "A"})


async def a_check(request):
    return {"X-A": "1"}


@pytest.mark.parametrize(
    ("check", "fields"),
    [
        (lambda _: None, []),
        (lambda _: {}, []),
        (lambda _: {"X-A": "1"}, [("X-A", "1")]),
        (a_check, [("X-A", "1")]),
        (
            lambda _: [("Vary", "B"), ("Vary", "C")],  # fix: the last one only
            [("Vary", "B"), ("Vary", "C")],
        ),
        (lambda _: Headers({"X-A": "1"}), [("X-A", "1")]),
    ],
)
async def test_headers_of_a_check_are_added(check, fields):
    """All values of each."""
    response = await conditional(check)(hello)(Request())
    assert list(response.headers)[2:] == fields
    assert response.body == "hello"


async def test_a_check_that_refuses_is_answered_with_its_headers():
    """Keep: the handler is not called."""

    def refuse(request):
        raise Unauthorized("who?", {"WWW-Authenticate": 'Basic realm="x"'})

    async def never(request):
        raise AssertionError

    (answer,) = await ask(conditional(refuse)(never), get())
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="x"'


async def test_the_headers_are_on_the_errors_of_the_handler_too():
    """Keep: also those that come out in a group, and all values."""

    async def missing(request):
        raise ExceptionGroup("", [NotFound(headers={"X-B": "2"})])

    handler = conditional(lambda _: [("X-A", "1"), ("X-A", "2")])(missing)
    (answer,) = await ask(handler, get())
    assert answer.status == 404
    assert answer.headers.get_all("x-a") == ["1", "2"]
    assert answer.headers["x-b"] == "2"


@pytest.mark.parametrize("wrong", [True, False, 5, text("no")])
async def test_a_check_that_returns_something_else_is_an_error(wrong):
    """False is not "no", and the message says what is."""
    with pytest.raises(TypeError, match="raise Forbidden"):
        await conditional(lambda _: wrong)(hello)(Request())
