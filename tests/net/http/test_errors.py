"""Errors that are answers: a class for each status, problem documents, pickling."""

from __future__ import annotations

import copy
import pickle
import sys
from http import HTTPStatus

import pytest

from csp.net.http import _errors
from csp.net.http._errors import HTTPError, NotFound, ServiceUnavailable
from csp.net.http._headers import Headers

CLASSES = {
    kind("")._status: kind
    for kind in vars(_errors).values()
    if isinstance(kind, type)
    and issubclass(kind, HTTPError)
    and hasattr(kind, "_status")
}
ERRORS = [status for status in HTTPStatus if status >= 400]


class Quota(HTTPError):
    """An error of a user's own, which takes what it likes."""

    def __init__(self, used, *, allowed):
        super().__init__(429, f"{used} of {allowed}", {"Retry-After": "60"})
        self.used = used


class NoSuchUser(NotFound):
    """A user's own, with the status of its base."""


# What IANA has registered from 400 on, and 418, which it keeps unused.
REGISTERED = [*range(400, 419), *range(421, 427), 428, 429, 431, 451]
REGISTERED += [*range(500, 509), 510, 511]


def test_there_is_a_class_for_each_status_that_is_registered():
    """And for no other: RFC 9110, section 15, and the registry."""
    assert sorted(CLASSES) == REGISTERED


@pytest.mark.parametrize("status", ERRORS)
def test_every_status_that_the_standard_library_names_has_a_class(status):
    """A handler can raise any of them by its name."""
    error = CLASSES[status.value]()
    assert error.status == status
    assert CLASSES[status.value].__doc__.startswith(f"{status.value}: ")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="older phrases differ")
@pytest.mark.parametrize("status", [s for s in ERRORS if s != 418])
def test_the_class_is_named_as_the_phrase(status):
    """The title is the phrase of RFC 9110, on every Python."""
    assert CLASSES[status.value]().problem()["title"] == status.phrase


@pytest.mark.parametrize(
    ("error", "title", "snake"),
    [
        (_errors.URITooLong(), "URI Too Long", "uri_too_long"),
        (_errors.NotImplemented(), "Not Implemented", "not_implemented"),
        (
            _errors.HTTPVersionNotSupported(),
            "HTTP Version Not Supported",
            "http_version_not_supported",
        ),
        (HTTPError(413), "Content Too Large", "content_too_large"),
        (HTTPError(599), "Error", "error"),
    ],
)
def test_a_problem_document_names_the_status(error, title, snake):
    """Title, status, detail and error, and by default the detail is the title."""
    assert error.problem() == {
        "title": title,
        "status": error.status,
        "detail": title,
        "error": snake,
    }


def test_the_detail_is_what_is_wrong():
    """It is in the document and in the traceback."""
    error = NotFound("there is no user 5", {"X-Name": "x"})
    assert error.problem()["detail"] == "there is no user 5"
    assert error.headers == {"X-Name": "x"}
    assert str(error) == "404 there is no user 5"


def test_an_empty_detail_stays_empty():
    """Only who says nothing gets the phrase."""
    assert NotFound("").detail == ""


@pytest.mark.parametrize("status", [399, 600, 0, -404, 200])
def test_a_status_that_is_no_error_is_refused(status):
    """The message has the value."""
    with pytest.raises(ValueError, match=f"not {status}"):
        HTTPError(status)


@pytest.mark.parametrize(
    "args",
    [("not found",), (True,), (404.0,), (404, 5), (404, "x", [("A", "b")])],
)
def test_arguments_of_wrong_types_are_refused(args):
    """And not first when the response is made."""
    with pytest.raises(TypeError, match="not "):
        HTTPError(*args)


@pytest.mark.parametrize(
    "error",
    [
        HTTPError(404, members={"a": 1}),
        HTTPError(404, headers=Headers({"A": "b"})),
        HTTPError(404),
        HTTPError(status=418, detail="short and stout", headers={"A": "b"}),
        NotFound(detail="x"),
        ServiceUnavailable("later", {"Retry-After": "5"}),
        Quota(5, allowed=3),
        NoSuchUser("5"),
    ],
)
@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_errors_survive_pickling(error, copied):
    """From a worker process they come out as they were, notes included."""
    error.add_note("a note")
    again = copied(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.args == error.args


def test_a_subclass_of_a_named_class_keeps_its_status_and_phrase():
    """A user's class does not become the phrase of the status."""
    assert NoSuchUser("5").problem()["title"] == "Not Found"
    assert NotFound().problem()["title"] == "Not Found"


@pytest.mark.parametrize("kind", [NotFound, lambda **more: HTTPError(404, **more)])
def test_members_are_added_to_the_document(kind):
    """Those of RFC 9457 that are optional, and others; a name of its own too."""
    members = {"type": "https://x/y", "pointer": "/a/0", "error": "no_a"}
    problem = kind(members=members).problem()
    assert problem == {
        "title": "Not Found",
        "status": 404,
        "detail": "Not Found",
        **members,
    }


@pytest.mark.parametrize("members", [[], "x", {5: "x"}, {"status": 5}, {"detail": ""}])
def test_members_that_are_none_are_refused(members):
    """What the arguments say is not said again."""
    with pytest.raises((TypeError, ValueError), match="member"):
        HTTPError(404, members=members)


def test_headers_may_have_a_name_twice():
    """As a client may be asked who it is in several ways."""
    headers = Headers([("WWW-Authenticate", "Basic"), ("WWW-Authenticate", "Bearer")])
    error = HTTPError(401, headers=headers)
    assert error.headers.get_all("www-authenticate") == ["Basic", "Bearer"]
