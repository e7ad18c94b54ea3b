"""Middleware in a row."""

from __future__ import annotations

import pytest

from csp.net.http import Request, text
from csp.net.http.web import chain, conditional, first, logged, with_context

pytestmark = pytest.mark.anyio


def said(name, heard):
    def around(handler):
        async def handle(request):
            heard.append(name)
            return await handler(request)

        return handle

    return around


async def hello(request):
    return text("hello")


async def test_the_leftmost_is_the_outermost():
    """And a chain is a middleware, so it can be in a chain."""
    heard = []
    a, b, c = (said(name, heard) for name in "abc")
    await chain(a, chain(b), chain(chain(), c))(hello)(Request())
    assert heard == ["a", "b", "c"]


def test_a_chain_of_nothing_is_the_handler_itself():
    """It costs nothing."""
    assert chain()(hello) is hello


@pytest.mark.parametrize("wrong", [None, "logged", 5])
def test_what_is_no_middleware_is_refused(wrong):
    """At once."""
    with pytest.raises(TypeError, match="chain takes functions"):
        chain(wrong)


def test_middleware_whose_options_are_forgotten_is_refused():
    """`logged` for `logged()`."""
    with pytest.raises(TypeError, match=r"Write: logged\(\)"):
        chain(logged)(hello)


class Block:
    """A handler that has to be entered."""

    def __init__(self):
        self.log = []

    async def __call__(self, request):
        self.log.append("called")
        return text("")

    async def __aenter__(self):
        self.log.append("entered")

    async def __aexit__(self, *_):
        self.log.append("left")


async def test_a_handler_that_is_a_block_is_one_through_all_that_is_around_it():
    """Or a server would not enter it."""
    block = Block()
    usual = chain(logged(), with_context(dict), conditional(lambda _: None))
    handler = first(lambda _: None, usual(block))
    async with handler:
        await handler(Request())
    assert block.log == ["entered", "called", "left"]
    assert not hasattr(usual(hello), "__aenter__")


def test_what_is_inside_can_be_found():
    """By `__wrapped__`, and the name is kept."""
    handler = logged()(hello)
    assert handler.__wrapped__ is hello
    assert handler.__name__ == "hello"
