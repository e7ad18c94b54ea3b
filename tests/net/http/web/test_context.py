"""What each request has for itself."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress

import anyio
import attrs
import pytest

from csp.net.http import Request, Response, text
from csp.net.http.testing import record
from csp.net.http.web import chain, with_context

pytestmark = pytest.mark.anyio


@attrs.define
class Visit:
    user: str = ""


async def a_visit(request):
    return Visit(request.target)


@pytest.mark.parametrize(
    ("factory", "user"),
    [(Visit, ""), (lambda request: Visit(request.target), "/a"), (a_visit, "/a")],
)
async def test_a_context_is_made_for_each_request(factory, user):
    """By a class or a function, of the request or of nothing."""

    @with_context(factory)
    async def handler(request):
        assert isinstance(request.context, Visit)
        return text(request.context.user)

    request = Request("GET", "/a")
    assert (await handler(request)).body == user
    assert request.context is None


async def test_requests_at_the_same_time_have_their_own():
    """Keep."""
    both = anyio.Event()
    seen = []

    @with_context(Visit)
    async def handler(request):
        request.context.user = request.target
        seen.append(request.context)
        if len(seen) == 2:
            both.set()
        await both.wait()
        assert request.context.user == request.target
        return text("")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(handler, Request("GET", "/a"))
        tasks.start_soon(handler, Request("GET", "/b"))
    assert seen[0] is not seen[1]


@pytest.mark.parametrize("fails", [False, True])
async def test_an_inner_one_replaces_and_the_outer_comes_back(fails):
    """Also after an error."""

    @with_context(dict)
    async def inner(request):
        assert request.context == {}
        if fails:
            raise KeyError
        return text("")

    @with_context(Visit)
    async def outer(request):
        before = request.context
        with suppress(KeyError):
            await inner(request)
        assert request.context is before
        return text("")

    await outer(Request())


def blocks(log, name):
    @asynccontextmanager
    async def make(request):
        log.append(f"{name} entered")
        try:
            yield name
        finally:
            log.append(f"{name} left")

    return make


async def test_a_context_that_is_a_block_is_left_after_the_answer():
    """Bytes: when the handler returns; a stream: when it has been sent."""
    log = []

    async def stream(request):
        for _ in range(2):
            log.append(request.context)
            yield b"x"

    async def handler(request):
        streams = request.target == "/stream"
        return Response(body=stream(request) if streams else b"")

    usual = chain(with_context(blocks(log, "a")), with_context(blocks(log, "b")))
    await record(usual(handler), Request())
    assert log == ["a entered", "b entered", "b left", "a left"]
    log.clear()
    request = Request("GET", "/stream")
    assert (await record(usual(handler), request)).body == b"xx"
    assert log == ["a entered", "b entered", "b", "b", "b left", "a left"]
    assert request.context is None


async def test_a_block_sees_the_error_of_the_handler():
    """As a transaction has to."""
    seen = []

    @asynccontextmanager
    async def block():
        try:
            yield
        except KeyError as error:
            seen.append(error)
            raise

    @with_context(block)
    async def handler(request):
        raise KeyError

    with pytest.raises(KeyError):
        await handler(Request())
    assert len(seen) == 1


@pytest.mark.parametrize("wrong", [5, None, lambda a, b: None, lambda *, a: None])
def test_what_makes_no_context_is_refused(wrong):
    """At once."""
    with pytest.raises(TypeError, match="context"):
        with_context(wrong)
