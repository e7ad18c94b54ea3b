"""The parser's promises beyond the corpus: order, states, and what it keeps."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import suppress

import pytest

from csp.net.http._headers import Headers
from csp.net.http.wire import (
    CLOSED,
    NEED_DATA,
    End,
    Head,
    Limits,
    Parser,
    Refused,
    _body,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD = b"GET / HTTP/1.1\r\n\r\n"


def fed(*pieces, limits=None):
    parser = Parser(limits)
    for piece in pieces:
        parser.feed(piece)
    return parser


def test_a_request_without_a_body_is_one_event():
    """Nothing comes after its Head but the next."""
    parser = fed(GET + GET)
    assert isinstance(parser.next_event(), Head)
    assert isinstance(parser.next_event(), Head)
    assert parser.next_event() is NEED_DATA


def test_a_body_ends():
    """With an End, which has the trailers."""
    parser = fed(POST + b"hello" + CHUNKED + b"1\r\na\r\n0\r\nA: b\r\n\r\n")
    assert parser.next_event().length == 5
    assert [parser.next_event(), parser.next_event()] == [b"hello", End(Headers())]
    assert parser.next_event().length is None
    assert [parser.next_event(), parser.next_event()] == [
        b"a",
        End(Headers({"A": "b"})),
    ]


def test_trailers_after_a_size_line_in_pieces():
    """What was seen of the line is not taken for something seen of the trailers."""
    parser = fed(CHUNKED + b"0;" + b"a" * 50)
    parser.next_event()
    assert parser.next_event() is NEED_DATA
    parser.feed(b"\r\nA: b\r\n\r\n")
    assert parser.next_event() == End(Headers({"A": "b"}))


def test_a_piece_that_is_all_of_a_read_is_not_copied():
    """It is the very bytes that were fed."""
    parser = fed(POST)
    parser.next_event()
    data = b"hel"
    parser.feed(data)
    assert parser.next_event() is data


@pytest.mark.parametrize(
    ("sent", "events", "state"),
    [
        (b"", 0, "idle"),
        (b"\r\n", 1, "idle"),
        (b"G", 0, "head"),
        (b"G", 1, "head"),
        (GET[:-1], 1, "head"),
        (GET, 0, "head"),
        (GET, 1, "idle"),
        (GET + b"G", 1, "head"),
        (GET + GET, 1, "head"),
        (POST, 1, "body"),
        (POST + b"hello", 2, "body"),
        (POST + b"hello", 3, "idle"),
        (POST + b"hello" + b"G", 3, "head"),
        (CHUNKED, 1, "body"),
        (CHUNKED + b"0\r\n", 2, "body"),
        (CHUNKED + b"0\r\n\r\n", 2, "idle"),
        (CLOSING, 1, "closed"),
        (CLOSING + GET, 1, "closed"),
    ],
)
def test_states(sent, events, state):
    """They tell where in a request the parsed data ends."""
    parser = fed(sent)
    for _ in range(events):
        parser.next_event()
    assert parser.state == state


def test_a_refusal_stays():
    """Whatever comes after it, and there is nothing kept of that."""
    parser = fed(BAD + GET)
    for _ in range(3):
        with pytest.raises(Refused, match="400: .*Host"):
            parser.next_event()
        parser.feed(GET)
    assert parser.state == "closed"
    assert len(parser) == 0


def test_what_came_before_a_refusal_comes_first():
    """Requests, and pieces of a body."""
    parser = fed(GET + CHUNKED + b"5\r\nhello\r\nx")
    assert isinstance(parser.next_event(), Head)
    assert isinstance(parser.next_event(), Head)
    assert parser.next_event() == b"hello"
    assert parser.next_event() is NEED_DATA
    parser.feed(b"\r\n")
    with pytest.raises(Refused):
        parser.next_event()


@pytest.mark.parametrize(
    ("sent", "method"),
    [
        (b"HEAD / HTTP/1.1\r\n\r\n", "HEAD"),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", "HEAD"),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "TRACE"),
        (CHUNKED + b"x\r\n", "POST"),
    ],
)
def test_a_refusal_knows_the_method(sent, method):
    """For the answer to HEAD has no body."""
    parser = fed(sent)
    with pytest.raises(Refused) as caught:
        while True:
            parser.next_event()
    assert caught.value.method == method


def test_nothing_is_parsed_before_it_is_asked_for():
    """So the second request, a bad one, does no harm before the first is answered."""
    parser = fed(GET + BAD)
    assert isinstance(parser.next_event(), Head)
    assert parser.state == "head"
    assert len(parser) == len(BAD)


def test_an_end_between_requests_closes():
    """And nothing can be fed any more."""
    parser = fed(GET)
    parser.feed_eof()
    assert isinstance(parser.next_event(), Head)
    assert parser.next_event() is CLOSED
    parser.feed(GET)
    assert parser.next_event() is CLOSED


def test_unsupported_methods_are_a_choice():
    """A proxy takes CONNECT, and then the target is host and port."""
    limits = Limits(unsupported_methods=frozenset())
    parser = fed(b"CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n", limits=limits)
    head = parser.next_event()
    assert (head.method, head.target, head.host) == ("CONNECT", "b:443", "b:443")
    parser = fed(b"CONNECT /b HTTP/1.1\r\nHost: a\r\n\r\n", limits=limits)
    with pytest.raises(Refused, match="400"):
        parser.next_event()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\rx",
        b"GET / HTTP/2.0\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n",
        b"GET / HTTP/1.1\r\nHost: a\rx",
        b"\x16\x03\x01",
        b"G\x00",
        CHUNKED + b"5\rx",
        CHUNKED + b"5 \r\n",
        CHUNKED + b"1\r\nax",
        CHUNKED + b"0\r\nA: b\n",
        CHUNKED + b"0\r\nA: b\rx",
    ],
)
def test_what_cannot_become_right_is_refused_at_once(sent):
    """So a client that waits for an answer gets one."""
    parser = fed(sent)
    with pytest.raises(Refused):
        while parser.next_event() is not NEED_DATA:
            pass


@pytest.mark.parametrize("method", ["DELETE", "FOO"])
def test_any_method_may_be_unsupported(method):
    """A common one too."""
    limits = Limits(unsupported_methods=frozenset({method}))
    parser = fed(method.encode() + GET[3:], limits=limits)
    with pytest.raises(Refused, match=f"501: {method}"):
        parser.next_event()


def test_headers_find_the_first_of_many():
    """Whether or not a name is repeated."""
    sent = b"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\na: 2\r\n\r\n"
    headers = fed(sent).next_event().headers
    assert headers["A"] == "1"
    assert headers.get_all("A") == ["1", "2"]


class Naive:
    """An llhttp that splits at line ends and colons, and has no objections."""

    def __init__(self, protocol):
        self.protocol = protocol

    def feed_data(self, data):
        for line in data.split(b"\r\n")[1:-2]:
            name, _, value = line.partition(b":")
            self.protocol.on_header(name, value.strip())


class Blind(Naive):
    """One that misses a line."""

    def feed_data(self, data):
        _, _, rest = data.partition(b"\r\n")
        super().feed_data(rest)


class Seeing(Naive):
    """One that sees a line which is not there."""

    def feed_data(self, data):
        super().feed_data(data)
        self.protocol.on_header(b"A", b"b")


@pytest.mark.parametrize("parser", [Blind, Seeing])
def test_a_line_is_a_field(monkeypatch, parser):
    """Or somebody else may find other fields in the same head."""
    monkeypatch.setattr("httptools.HttpRequestParser", parser)
    with pytest.raises(Refused, match="400: malformed header fields"):
        fed(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n").next_event()


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nContent-Length: 5",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: +5",
        b"Content-Length: 1_0",
        b"Content-Length:",
        b"Content-Length: 9223372036854775808",
        b"Content-Length: 00000000000000000005",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding:",
    ],
)
def test_framing_is_not_left_to_llhttp(monkeypatch, lines):
    """What decides where a request ends is checked here, whoever split the lines."""
    monkeypatch.setattr("httptools.HttpRequestParser", Naive)
    assert isinstance(fed(GET).next_event(), Head)
    with pytest.raises(Refused):
        fed(GET[:-2] + lines + b"\r\n\r\n").next_event()


def test_a_parser_is_no_cycle():
    """It goes with its connection, without the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        before = len([o for o in gc.get_objects() if isinstance(o, Parser)])
        fed(GET).next_event()
        parser = fed(BAD)
        with suppress(Refused):
            parser.next_event()
        del parser
        after = len([o for o in gc.get_objects() if isinstance(o, Parser)])
    finally:
        gc.enable()
    assert after == before


@pytest.mark.parametrize(
    "endless",
    [b"x", b"\r\n", b" ", b"GET / HTTP/1.1\r\nHost: a\r\nA: ", b"\0", b"a: b\r\n"],
)
@pytest.mark.parametrize(
    "beginning",
    [
        *(b"", b"GET ", b"GET /", GET[:-2], GET[:-2] + b"A: "),
        *(CHUNKED, CHUNKED + b"5;a=", CHUNKED + b"0\r\nA: "),
    ],
)
def test_memory_is_bounded(beginning, endless):
    """Whatever goes on for ever is refused, or passed on, and not kept."""
    parser = Parser()
    piece = (endless * 4096)[:4096]
    parser.feed(beginning)
    tracemalloc.start()
    try:
        for _ in range(100):
            try:
                while parser.next_event() is not NEED_DATA:
                    pass
            except Refused:
                break
            assert len(parser) < 80_000
            parser.feed(piece)
        assert tracemalloc.get_traced_memory()[1] < 400_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("beginning", [b"", GET[:-2] + b"A: ", CHUNKED + b"0\r\nA: "])
def test_work_is_bounded(monkeypatch, beginning):
    """A head or trailers that come byte by byte are not searched again and again."""
    searched = []

    class Counting:
        def __init__(self, pattern):
            self.pattern = pattern

        def search(self, data, at=0):
            searched.append(len(data) - at)
            return self.pattern.search(data, at)

    monkeypatch.setattr(_body, "_STRAY", Counting(_body._STRAY))
    parser = fed(beginning)
    for _ in range(5_000):
        while parser.next_event() is not NEED_DATA:
            pass
        parser.feed(b"x")
    assert 4_999 <= len(searched) <= 5_000  # nothing is searched if there is none
    assert sum(searched) < 5_000 * 5 + len(beginning)
