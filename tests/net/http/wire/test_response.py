"""Responses: how they are framed, and what is never sent."""

from __future__ import annotations

import pytest

from csp.net.http._headers import Headers
from csp.net.http.wire import (
    HTTP_1_0,
    HTTP_1_1,
    Outgoing,
    WrongLength,
    chunk,
    http_date,
    informational,
    last_chunk,
    whole_response,
)

CHUNKED = "Transfer-Encoding: chunked"
CLOSE = "Connection: close"
KEEP = "Connection: keep-alive"


def lines(head):
    """Return the lines of a head, without the empty one."""
    assert head.endswith(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n")[:-2]


def test_a_whole_response():
    """In one call."""
    headers = Headers({"Content-Type": "text/plain"})
    date = http_date(784_111_777)
    assert whole_response(200, headers, b"hello", date=date) == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Length: 5\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"\r\n"
        b"hello",
        True,
    )


@pytest.mark.parametrize(
    ("method", "version", "status", "length", "own", "expected"),
    [
        ("GET", HTTP_1_1, 200, 5, {}, ["Content-Length: 5"]),
        ("GET", HTTP_1_1, 200, 0, {}, ["Content-Length: 0"]),
        ("GET", HTTP_1_1, 404, None, {}, [CHUNKED]),
        ("GET", HTTP_1_1, 200, None, {"content-length": "5"}, ["Content-Length: 5"]),
        ("GET", HTTP_1_1, 200, 5, {"content-length": "5"}, ["Content-Length: 5"]),
        ("GET", HTTP_1_1, 200, None, {"Transfer-Encoding": "gzip"}, [CHUNKED]),
        ("GET", HTTP_1_1, 200, 5, {"transfer-encoding": "x"}, ["Content-Length: 5"]),
        ("GET", HTTP_1_0, 200, 5, {}, ["Content-Length: 5", KEEP]),
        ("GET", HTTP_1_0, 200, None, {}, [CLOSE]),
        ("GET", HTTP_1_0, 200, None, {"Content-Length": "5"}, [
            "Content-Length: 5",
            KEEP,
        ]),
        ("HEAD", HTTP_1_1, 200, 5, {}, ["Content-Length: 5"]),
        ("HEAD", HTTP_1_1, 200, None, {}, []),
        ("HEAD", HTTP_1_1, 200, 0, {}, []),
        ("HEAD", HTTP_1_1, 200, 0, {"Content-Length": "5"}, ["Content-Length: 5"]),
        ("HEAD", HTTP_1_1, 200, 3, {"Content-Length": "5"}, ["Content-Length: 5"]),
        ("HEAD", HTTP_1_0, 200, None, {}, [KEEP]),
        ("HEAD", HTTP_1_1, 204, None, {"Content-Length": "5"}, []),
        ("GET", HTTP_1_1, 204, 0, {}, []),
        ("GET", HTTP_1_1, 204, None, {}, []),
        ("GET", HTTP_1_1, 204, 5, {"Content-Length": "5"}, []),
        ("GET", HTTP_1_1, 204, 0, {"Transfer-Encoding": "chunked"}, []),
        ("GET", HTTP_1_1, 304, 0, {}, []),
        ("GET", HTTP_1_1, 304, 0, {"Content-Length": "5"}, ["Content-Length: 5"]),
        ("HEAD", HTTP_1_1, 304, 0, {}, []),
        ("GET", HTTP_1_1, 205, 0, {}, ["Content-Length: 0"]),
        ("GET", HTTP_1_1, 200, 0, {"Connection": "close"}, [
            "Content-Length: 0",
            CLOSE,
        ]),
        ("GET", HTTP_1_1, 200, 0, {"Connection": "x, Close, y"}, [
            "Connection: x, y",
            "Content-Length: 0",
            CLOSE,
        ]),
        ("GET", HTTP_1_1, 200, 0, {"Connection": "keep-alive"}, ["Content-Length: 0"]),
        ("GET", HTTP_1_0, 200, 0, {"Connection": "close"}, [
            "Content-Length: 0",
            CLOSE,
        ]),
    ],
)  # fmt: skip
def test_framing(method, version, status, length, own, expected):  # noqa: PLR0917
    """The table at the head of _response.py, and what handlers may say of it."""
    out = Outgoing(status, Headers(own), method=method, version=version, length=length)
    assert lines(out.head)[1:] == expected
    assert out.keep_alive == (CLOSE not in expected)


@pytest.mark.parametrize(
    ("method", "version", "status", "length", "sent"),
    [
        ("GET", HTTP_1_1, 200, 10, b"helloworld"),
        ("GET", HTTP_1_1, 200, None, b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"),
        ("GET", HTTP_1_0, 200, None, b"helloworld"),
        ("HEAD", HTTP_1_1, 200, 10, b""),
        ("HEAD", HTTP_1_1, 200, None, b""),
        ("GET", HTTP_1_1, 204, None, b""),
        ("GET", HTTP_1_1, 304, 10, b""),
    ],
)
def test_bodies(method, version, status, length, sent):
    """Each piece as it goes over the wire; an empty piece is nothing."""
    out = Outgoing(status, Headers(), method=method, version=version, length=length)
    pieces = [out.data(b"hello"), out.data(b""), out.data(b"world"), out.end()]
    assert b"".join(pieces) == sent
    assert out.has_content == bool(sent)


def test_a_head_answer_has_no_body():
    """Though the handler made one."""
    data, _ = whole_response(200, Headers(), b"hello", method="HEAD")
    assert lines(data) == ["HTTP/1.1 200 OK", "Content-Length: 5"]


@pytest.mark.parametrize("status", [200, 404, 204, 304])
def test_the_server_may_close(status):
    """And says so."""
    data, kept = whole_response(status, Headers(), b"", keep_alive=False)
    assert CLOSE in lines(data)
    assert not kept


def test_an_own_date_is_sent_as_it_is():
    """And once."""
    data, _ = whole_response(200, Headers({"DATE": "x"}), b"", date=b"y")
    assert lines(data)[1:] == ["DATE: x", "Content-Length: 0"]


def test_own_headers_keep_their_order_and_letters():
    """Repeated ones too, in all of Latin-1."""
    pairs = [("Set-Cookie", "a"), ("X-b", "\xe4\t\xa0"), ("set-cookie", "c"), ("E", "")]
    data, _ = whole_response(200, Headers(pairs), b"")
    assert lines(data)[1:5] == [f"{name}: {value}" for name, value in pairs]


def test_own_length_beside_another():
    """It has to be that of the body."""
    headers = Headers({"Content-Length": "6"})
    with pytest.raises(WrongLength, match="is 6, but the body has 5"):
        whole_response(200, headers, b"hello")
    with pytest.raises(WrongLength):
        Outgoing(200, headers, length=5)


def test_a_body_that_is_too_long():
    """It is an error before it is sent."""
    out = Outgoing(200, Headers({"Content-Length": "6"}))
    assert out.data(b"hello") == b"hello"
    with pytest.raises(WrongLength, match="4 bytes longer"):
        out.data(b"world")


def test_a_body_that_is_too_short():
    """It is an error at the end."""
    out = Outgoing(200, Headers(), length=6)
    out.data(b"hello")
    with pytest.raises(WrongLength, match="1 bytes shorter"):
        out.end()


@pytest.mark.parametrize("length", ["", "-1", "+1", "1_0", "x", "1, 1", "0x1"])
def test_own_lengths_are_numbers(length):
    """Or nobody knows what they mean."""
    with pytest.raises(ValueError, match="Content-Length must be a number"):
        Outgoing(200, Headers({"Content-Length": length}))


def test_own_lengths_are_one():
    """As a client would have to choose."""
    headers = Headers([("Content-Length", "1"), ("content-length", "2")])
    with pytest.raises(ValueError, match="both 1 and 2"):
        Outgoing(200, headers)


@pytest.mark.parametrize(
    ("status", "line"),
    [(200, "HTTP/1.1 200 OK"), (599, "HTTP/1.1 599 "), (999, "HTTP/1.1 999 ")],
)
def test_statuses(status, line):
    """With their phrase, if they have one."""
    assert lines(Outgoing(status, Headers(), length=0).head)[0] == line


@pytest.mark.parametrize("status", [0, 99, 1000, -200, "200", 200.0, True, None])
def test_no_statuses(status):
    """What is no number of three digits is an error."""
    with pytest.raises(ValueError, match="three digits"):
        whole_response(status, Headers(), b"")


@pytest.mark.parametrize("status", [100, 101, 103, 199])
def test_an_informational_status_is_no_response(status):
    """The client would wait for another."""
    with pytest.raises(ValueError, match="informational"):
        whole_response(status, Headers(), b"")
    with pytest.raises(ValueError, match="informational"):
        Outgoing(status, Headers())


CONTROLS = [chr(c) for c in (*range(9), *range(10, 32), 127)]
SENDERS = {
    "whole": lambda headers: whole_response(200, headers, b""),
    "outgoing": lambda headers: Outgoing(200, headers),
    "informational": lambda headers: informational(103, headers),
    "trailers": last_chunk,
}


@pytest.mark.parametrize("send", SENDERS.values(), ids=SENDERS)
@pytest.mark.parametrize("value", [*CONTROLS, "a\r\nB: c", "\r\n\r\n", "a\n"])
def test_no_response_is_split(send, value):
    """A control character in a value never reaches the client."""
    with pytest.raises(ValueError, match=r"'X-A' with .* cannot be sent"):
        send(Headers({"X-A": f"b{value}c"}))


@pytest.mark.parametrize("send", SENDERS.values(), ids=SENDERS)
@pytest.mark.parametrize("name", ["", " ", "A B", "A:", "A\r\nB", "Ä", "A\0", "(A)"])
def test_names_are_tokens(send, name):
    """Others never reach the client."""
    with pytest.raises(ValueError, match="cannot be sent: a name has"):
        send(Headers([(name, "b")]))
    with pytest.raises(ValueError, match="cannot be sent: a name has"):
        send(Headers([(name, "b")]))  # a name that was refused is not remembered


@pytest.mark.parametrize("name", ["Connection", "Date", "Trailer"])
def test_particular_names_split_nothing_either(name):
    """They go another way, to the same end."""
    with pytest.raises(ValueError, match="cannot be sent"):
        whole_response(200, Headers({name: "a\r\nB: c"}), b"")


def test_a_date_splits_nothing():
    """Though the server gives it."""
    with pytest.raises(ValueError, match="Date"):
        whole_response(200, Headers(), b"", date=b"a\r\nB: c")


def test_informational_responses():
    """They have no framing, and so no length."""
    assert informational(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    headers = Headers({"Link": "</a>", "Content-Length": "5", "Transfer-Encoding": "x"})
    assert informational(103, headers) == (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    )


@pytest.mark.parametrize("status", [101, 200, 99, 0])
def test_other_statuses_are_not_informational(status):
    """101 is the end of HTTP, and not an interim."""
    with pytest.raises(ValueError, match=f"not {status}"):
        informational(status)


def test_chunks():
    """Sizes are hexadecimal, and no piece is the last chunk by accident."""
    assert chunk(b"a" * 26) == b"1a\r\n" + b"a" * 26 + b"\r\n"
    assert chunk(b"") == b""
    assert last_chunk() == last_chunk(Headers()) == b"0\r\n\r\n"


def test_trailers():
    """After a body in chunks; after others there is no place for them."""
    trailers = Headers([("A", "b"), ("A", "c")])
    assert Outgoing(200, Headers()).end(trailers) == b"0\r\nA: b\r\nA: c\r\n\r\n"
    assert Outgoing(200, Headers(), length=0).end(trailers) == b""


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Host"])
def test_no_trailers(name):
    """What has to come before the body."""
    with pytest.raises(ValueError, match=f"{name}.* cannot be a trailer"):
        last_chunk(Headers({name: "1"}))


@pytest.mark.parametrize(
    ("seconds", "date"),
    [
        (0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_400.9, b"Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_798_761_599, b"Thu, 31 Dec 2026 23:59:59 GMT"),
    ],
)
def test_dates(seconds, date):
    """In English, whatever the locale."""
    assert http_date(seconds) == date
