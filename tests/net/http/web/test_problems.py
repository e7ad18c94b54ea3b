"""Errors in other forms, and errors of an app's own; vectors 11 to 14."""

from __future__ import annotations

import json
import logging

import pytest

from csp.net.http import (
    ClientGone,
    Conflict,
    Forbidden,
    HTTPError,
    NotFound,
    Request,
    ServiceUnavailable,
    text,
)
from csp.net.http.web import errors_as, mapped
from tests.net.http.memory import ask, get

pytestmark = pytest.mark.anyio


class NoSuchUser(NotFound):
    """A user's own."""


def raising(error, cause=None):
    async def handler(request):
        raise error from cause

    return handler


@pytest.fixture
def errors(caplog):
    return lambda: [r for r in caplog.records if r.levelno >= logging.ERROR]


async def answer(middleware, error, accept=None, cause=None):
    headers = {} if accept is None else {"Accept": accept}
    return await middleware(raising(error, cause))(Request(headers=headers))


TIGERTONIC = [
    (KeyError("secret"), 500, "error", "internal_server_error"),  # 11: keep
    (ServiceUnavailable(), 503, "tigertonic.ServiceUnavailable", "service_unavailable"),
    (NotFound(), 404, "tigertonic.NotFound", "not_found"),
    (HTTPError(404), 404, "tigertonic.NotFound", "not_found"),
    (NoSuchUser(), 404, "test_problems.NoSuchUser", "not_found"),
    (HTTPError(599), 599, "error", "error"),
    (NotFound(members={"error": "foo"}), 404, "tigertonic.NotFound", "foo"),
]


@pytest.mark.parametrize(("error", "status", "by_class", "snake"), TIGERTONIC)
@pytest.mark.parametrize("names", ["class", "snake_case"])
async def test_tigertonic_has_a_description_and_a_name(
    error, status, by_class, snake, names
):
    """12: keep, in both styles; in text without a line end."""
    name = snake if names == "snake_case" else by_class
    response = await answer(errors_as("tigertonic", names=names), error)
    assert response.status == status
    assert response.headers["content-type"] == "application/json"
    assert response.body.endswith(b"}\n")
    description = json.loads(response.body)["description"]
    assert json.loads(response.body) == {"description": description, "error": name}
    assert "secret" not in description
    response = await answer(errors_as("tigertonic", names=names), error, "text/plain")
    assert response.headers["content-type"] == "text/plain"
    assert response.body == f"{name}: {description}".encode()


@pytest.mark.parametrize("form", ["problem", "text", "tigertonic", None])
async def test_a_fault_is_logged_once_and_tells_the_client_nothing(form, errors):
    """Whoever answers it."""
    handler = raising(ValueError("secret"))
    if form is not None:
        handler = errors_as(form)(errors_as(form)(handler))
    (got,) = await ask(handler, get())
    assert got.status == 500
    assert b"secret" not in got.body
    (record,) = errors()
    assert isinstance(record.exc_info[1], ValueError)


@pytest.mark.parametrize(
    ("error", "cause", "status", "logs"),
    [
        (ValueError(), Forbidden(), 403, 0),  # 13: fix
        (ValueError(), ServiceUnavailable(), 503, 1),
        (ServiceUnavailable(), None, 503, 0),
        (NotFound(), Forbidden(), 404, 0),
        (ExceptionGroup("", [ValueError(), NotFound()]), None, 500, 1),
        (ExceptionGroup("", [Conflict(), NotFound()]), None, 500, 1),
        (ExceptionGroup("", [ClientGone(), NotFound()]), None, 404, 0),
        (ValueError(), ExceptionGroup("", [NotFound()]), 404, 0),
        (ValueError(), KeyError(), 500, 1),
    ],
)
@pytest.mark.parametrize("through", [errors_as("problem"), lambda handler: handler])
async def test_an_error_is_found_among_causes(
    error, cause, status, logs, *, through, errors
):
    """If all leads to it; a 5xx that was not raised by itself is logged."""
    (got,) = await ask(through(raising(error, cause)), get())
    assert got.status == status
    assert len(errors()) == logs


async def test_what_happens_while_an_error_is_handled_is_not_that_error(errors):
    """`__context__` is no reason: the KeyError is a fault."""

    async def handler(request):
        try:
            raise NotFound
        except NotFound:
            {}["x"]

    (got,) = await ask(handler, get())
    assert got.status == 500
    assert len(errors()) == 1


async def test_causes_that_go_in_a_circle_come_to_an_end(errors):
    """They are no answer."""
    a, b = ValueError(), KeyError()
    a.__cause__, b.__cause__ = b, a

    async def handler(request):
        raise a

    (got,) = await ask(handler, get())
    assert got.status == 500


async def test_no_error_has_the_status_of_a_success(errors):
    """14: fix: HTTPError(200) is a fault, so 500."""

    async def handler(request):
        raise HTTPError(200)

    (got,) = await ask(handler, get())
    assert got.status == 500


ACCEPTS = [
    (None, "application/problem+json"),
    ("*/*", "application/problem+json"),
    ("application/json", "application/problem+json"),
    ("application/*;q=0.1", "application/problem+json"),
    ("text/html, */*;q=0.8", "application/problem+json"),
    ("text/plain", "text/plain; charset=utf-8"),
    ("text/plain, application/json;q=0.5", "text/plain; charset=utf-8"),
    ("application/json;q=0, application/problem+json;q=0", "text/plain; charset=utf-8"),
    ("image/png", "text/plain; charset=utf-8"),
]


@pytest.mark.parametrize(("accept", "kind"), ACCEPTS)
async def test_the_form_is_what_the_client_accepts(accept, kind):
    """By the server and by errors_as alike."""
    fields = [] if accept is None else [f"Accept: {accept}"]
    for through in (errors_as("problem"), lambda handler: handler):
        (got,) = await ask(through(raising(NotFound("no a"))), get("/", *fields))
        assert got.headers["content-type"] == kind
        assert got.headers["vary"] == "Accept"
        if kind.startswith("text"):
            assert got.body == b"Not Found: no a\n"


async def test_for_head_the_body_is_left_out():
    """But its length is there."""
    (got,) = await ask(raising(NotFound()), get(method="HEAD"), methods=["HEAD"])
    assert got.body == b""
    assert int(got.headers["content-length"]) > 0


async def test_text_does_not_say_it_twice():
    """Without a detail it is the title, whatever the client accepts."""
    response = await answer(errors_as("text"), NotFound(), "application/json")
    assert response.body == b"Not Found\n"


async def test_a_function_makes_the_form():
    """Async or not; of an HTTPError in any case, whose cause is the fault."""

    async def form(error, request):
        assert isinstance(error, HTTPError)
        return text(f"{request.target} {error.status} {error.__cause__!r}")

    assert (await answer(errors_as(form), KeyError())).body == "/ 500 KeyError()"
    plain = errors_as(lambda error, _: text(error.detail))
    assert (await answer(plain, NotFound("x"))).body == "x"
    with pytest.raises(TypeError, match="returned None"):
        await answer(errors_as(lambda *_: None), NotFound())


async def test_a_client_that_has_gone_is_not_answered(errors):
    """It is the server's to know."""
    with pytest.raises(ClientGone):
        await answer(errors_as("text"), ClientGone())
    assert not errors()


@pytest.mark.parametrize("args", [("json",), (None,), ("text", "camel")])
def test_forms_that_there_are_not_are_refused(args):
    """With what there is."""
    with pytest.raises(ValueError, match="tigertonic|snake_case"):
        errors_as(args[0], **({"names": args[1]} if len(args) > 1 else {}))


# Mapped


class OutOfStock(LookupError):
    """A user's own, which is no KeyError."""


TABLE = {
    LookupError: NotFound,
    OutOfStock: lambda error: Conflict(str(error)),
    Exception: ServiceUnavailable,
}


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (KeyError("secret"), 404, "Not Found"),
        (OutOfStock("none left"), 409, "none left"),
        (ExceptionGroup("", [OutOfStock("none left")]), 409, "none left"),
        (OSError("secret"), 503, "Service Unavailable"),
        (Forbidden("x"), 403, "x"),
    ],
)
async def test_errors_of_an_app_become_answers(error, status, detail):
    """The nearest class decides, not the order; what they say stays here."""
    with pytest.raises(HTTPError) as caught:
        await mapped(TABLE)(raising(error))(Request())
    assert (caught.value.status, caught.value.detail) == (status, detail)
    assert caught.value is error or caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ClientGone(), ExceptionGroup("", [ClientGone()])])
async def test_a_departure_is_not_mapped(error):
    """Even if everything is."""
    with pytest.raises(type(error)):
        await mapped(TABLE)(raising(error))(Request())


async def test_what_is_not_in_the_table_passes():
    """As it is."""
    with pytest.raises(OSError, match="x"):
        await mapped({KeyError: NotFound})(raising(OSError("x")))(Request())


async def test_a_function_has_to_make_an_http_error():
    """The original is the cause of the complaint."""
    with pytest.raises(TypeError, match="not None") as caught:
        await mapped({KeyError: lambda _: None})(raising(KeyError()))(Request())
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize(
    "table",
    [[], {5: NotFound}, {BaseException: NotFound}, {KeyError: 404},
     {KeyError: ValueError}, {KeyError: HTTPError}],
)  # fmt: skip
def test_tables_that_make_no_sense_are_refused(table):
    """At once."""
    with pytest.raises(TypeError, match="mapp"):
        mapped(table)
