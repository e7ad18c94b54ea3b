"""Limits: what is just within passes, and what is just beyond is refused."""

from __future__ import annotations

import math

import pytest

from csp.net.http.wire import Limits
from tests.conformance.corpus import read

HOST = "Host: a\r\n"
METHOD = "M" * 64  # the longest
FIELD = "A:\r\n"
CHUNKED = f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"
SMALL = Limits(target_bytes=20, header_bytes=40, header_count=3, body_bytes=10)


def target(size):
    return f"{METHOD} /{'a' * (size - 1)} HTTP/1.1\r\n{HOST}\r\n"


def lines(size):
    return f"GET / HTTP/1.1\r\n{HOST}A: {'b' * (size - len(HOST) - 5)}\r\n\r\n"


def count(size):
    return f"GET / HTTP/1.1\r\n{HOST}{FIELD * (size - 1)}\r\n"


def body(size):
    return f"POST / HTTP/1.1\r\n{HOST}Content-Length: {size}\r\n\r\n{'a' * size}"


def chunks(size):
    return CHUNKED + "1\r\na\r\n" * size + "0\r\n\r\n"


def trailer_lines(size):
    return f"{CHUNKED}0\r\nA: {'b' * (size - 5)}\r\n\r\n"


def trailer_count(size):
    return f"{CHUNKED}0\r\n{FIELD * size}\r\n"


def extension(size):
    line = f"1;{'a' * (size - 4)}\r\n"
    return f"{CHUNKED}{line}a\r\n0\r\n\r\n"


def pieces(sent):
    yield [sent]
    yield [sent[i : i + 1] for i in range(len(sent))]


@pytest.mark.parametrize(
    ("make", "size", "status", "limits"),
    [
        (target, 20, 414, SMALL),
        (lines, 40, 431, SMALL),
        (count, 3, 431, SMALL),
        (body, 10, 413, SMALL),
        (chunks, 10, 413, SMALL),
        (trailer_lines, 60, 431, Limits(header_bytes=60)),
        (trailer_count, 3, 431, Limits(header_count=3)),
        (target, 8_192, 414, Limits()),
        (lines, 65_536, 431, Limits()),
        (extension, 4_096, 400, Limits()),
    ],
)
def test_limits(make, size, status, limits):
    """In one read and byte by byte."""
    for sent in pieces(make(size).encode()):
        reading = read(sent, limits=limits)
        assert (len(reading.requests), reading.then) == (1, "open")
    for sent in pieces(make(size + 1).encode()):
        assert read(sent, limits=limits).then == status


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 9_000, 414),
        (b"G" * 9_000, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 66_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 11_000, 431),
        (CHUNKED.encode() + b"1;" + b"a" * 5_000, 400),
        (CHUNKED.encode() + b"0\r\nA: " + b"b" * 66_000, 431),
    ],
)
def test_what_has_no_end_is_refused_before_it(sent, status):
    """There is no need to wait for the rest of a line that is too long."""
    assert read([sent]).then == status


def test_a_large_body_is_refused_before_it_comes():
    """By its Content-Length, so that nobody waits for it."""
    sent = f"POST / HTTP/1.1\r\n{HOST}Content-Length: 11\r\n\r\n".encode()
    reading = read([sent], limits=SMALL)
    assert (reading.requests, reading.then) == ([], 413)


def test_a_large_chunk_is_refused_before_it_comes():
    """By its size, after the data before it."""
    sent = CHUNKED.encode() + b"5\r\nhello\r\n6\r\n"
    reading = read([sent], limits=SMALL)
    assert (reading.requests[0]["body"], reading.then) == ("hello", 413)


def test_a_body_may_have_no_limit():
    """As for a proxy."""
    sent = f"POST / HTTP/1.1\r\n{HOST}Content-Length: {2**62}\r\n\r\n".encode()
    reading = read([sent], limits=Limits(body_bytes=math.inf))
    assert reading.requests[0]["length"] == 2**62


def test_small_chunks_are_free():
    """A body of single bytes is odd, and no attack."""
    sent = CHUNKED.encode() + b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"
    assert read([sent]).then == "open"


def test_extensions_are_not():
    """They add up over the chunks."""
    chunk = b"1;" + b"a" * 1_000 + b"\r\na\r\n"
    assert read([CHUNKED.encode() + chunk * 16]).then == "incomplete"
    assert read([CHUNKED.encode() + chunk * 17]).then == 400


def test_data_is_no_credit_for_extensions():
    """A large chunk before them does not pay for those after it."""
    chunk = b"1;" + b"a" * 1_000 + b"\r\na\r\n"
    data = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    assert read([CHUNKED.encode() + data + chunk * 17]).then == 400


def test_extensions_that_come_with_data_are():
    """As framing that is no larger than what it frames."""
    chunk = b"400;" + b"a" * 1_000 + b"\r\n" + b"a" * 1024 + b"\r\n"
    assert read([CHUNKED.encode() + chunk * 100 + b"0\r\n\r\n"]).then == "open"
