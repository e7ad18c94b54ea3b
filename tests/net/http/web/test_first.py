"""The first that answers."""

from __future__ import annotations

import pytest

from csp.net.http import Forbidden, NotFound, Request, text
from csp.net.http.web import first

pytestmark = pytest.mark.anyio


def never(request):
    raise AssertionError("it was called")


async def nothing(request):
    return None


async def one(request):
    return text("one")


@pytest.mark.parametrize(
    "handlers",
    [(one,), (one, never), (nothing, one, never), (lambda _: None, nothing, one)],
)
async def test_the_first_answer_is_the_answer(handlers):
    """Keep, and fix: nobody after it is called, whatever it has written."""
    assert (await first(*handlers)(Request())).body == "one"


async def test_plain_functions_may_answer():
    """As conditions often do."""
    assert (await first(lambda _: text("x"), never)(Request())).body == "x"


async def test_an_error_ends_the_search():
    """It is an answer too."""

    async def refuse(request):
        raise Forbidden

    with pytest.raises(Forbidden):
        await first(refuse, never)(Request())


async def test_if_nobody_answers_it_is_not_found():
    """Fix: it was an empty 200."""
    with pytest.raises(NotFound):
        await first(nothing)(Request())


async def test_what_is_neither_response_nor_none_is_an_error():
    """And not taken for nothing."""
    with pytest.raises(TypeError, match="returned 'x'"):
        await first(lambda _: "x", never)(Request())


@pytest.mark.parametrize("handlers", [(), (None,), (one, 5)])
def test_what_is_no_handler_is_refused(handlers):
    """At once."""
    with pytest.raises(TypeError, match="first takes"):
        first(*handlers)
