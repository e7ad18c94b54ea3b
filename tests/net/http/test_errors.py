"""Errors that are answers: a class for each status, problem documents, pickling."""

from __future__ import annotations

import copy
import pickle
import sys
from http import HTTPStatus

import pytest

from csp.net.http import _errors
from csp.net.http._errors import HTTPError, NotFound, ServiceUnavailable

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
