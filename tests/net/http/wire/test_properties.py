"""What holds for any request and response, found by Hypothesis."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csp.net.http._headers import Headers
from csp.net.http.wire import HTTP_1_1, Limits, Outgoing, whole_response
from tests.conformance.corpus import CASES, read

TOKEN = "!#$%&'*+-.^_`|~0123456789abcXYZ"
TEXT = "".join(chr(c) for c in (9, *range(32, 127), *range(128, 256)))
FRAMING = {"host", "content-length", "transfer-encoding", "connection", "expect"}
OWN = {"date", *FRAMING}  # what a response's own headers mean something by
FORBIDDEN = frozenset({"CONNECT", "TRACE"})

tokens = st.text(TOKEN, min_size=1, max_size=10)
values = st.text(TEXT, max_size=20).map(lambda value: value.strip(" \t"))
names = tokens.filter(lambda name: name.lower() not in OWN)
fields = st.lists(st.tuples(names, values), max_size=5)
spaces = st.text(" \t", max_size=2)
targets = st.text([chr(c) for c in range(33, 127) if c != ord("#")], max_size=20)
bodies = st.binary(max_size=60)


@st.composite
def chunks(draw, body):
    """Encode a body, which may be divided in any way."""
    sent = b""
    while body:
        size = draw(st.integers(1, len(body)))
        line = "0" * draw(st.integers(0, 3)) + f"{size:{draw(st.sampled_from('xX'))}}"
        line += draw(st.sampled_from(["", ";a", ";a=b", ';a="b\\"c;"']))
        sent += line.encode() + b"\r\n" + body[:size] + b"\r\n"
        body = body[size:]
    return sent + b"0\r\n"


@st.composite
def requests(draw):
    """Make a valid request, as bytes and as what is to be told of it."""
    method = draw(tokens.filter(lambda method: method not in FORBIDDEN))
    target = "/" + draw(targets)
    told, body, trailers = draw(fields), draw(bodies), []
    head, sent = [("Host", "a"), *told], b""
    if draw(st.booleans()):
        head.append(("Transfer-Encoding", "chunked"))
        trailers = draw(st.lists(st.tuples(st.just("x-a"), values), max_size=2))
        sent = draw(chunks(body)) + encoded(draw, trailers)
    elif body or draw(st.booleans()):
        head.append(("Content-Length", f"{len(body)}"))
        sent = body
    line = f"{method} {target} HTTP/1.1\r\n".encode()
    return line + encoded(draw, head) + sent, {
        "method": method,
        "target": target,
        "fields": [[*pair] for pair in head],
        "body": body.decode("latin-1"),
        "trailers": [[*pair] for pair in trailers],
    }


def encoded(draw, pairs):
    """Return lines, with the white space that is permitted."""
    text = "".join(f"{n}:{draw(spaces)}{v}{draw(st.just(' '))}\r\n" for n, v in pairs)
    return f"{text}\r\n".encode("latin-1")


@st.composite
def divided(draw, data):
    """Divide data into some pieces."""
    places = sorted(draw(st.sets(st.integers(0, len(data)), max_size=6)))
    return [
        data[begin:end]
        for begin, end in zip([0, *places], [*places, len(data)], strict=True)
    ]


@given(st.data())
def test_valid_requests_are_told_as_they_were_meant(data):
    """However many come at once, and however they are divided."""
    made = data.draw(st.lists(requests(), min_size=1, max_size=3))
    sent = b"".join(request for request, _ in made)
    reading = read(data.draw(divided(sent)))
    assert reading.then == "open"
    for told, (_, meant) in zip(reading.requests, made, strict=True):
        assert {key: told[key] for key in meant} == meant
        assert told["ended"]


MUTATIONS = st.tuples(
    st.sampled_from(["insert", "replace", "delete", "repeat", "swap"]),
    st.integers(0, 2000),
    st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b",", b";", b"0", b"\0"])
    | st.binary(min_size=1, max_size=3),
)


def mutated(data, kind, at, piece):
    at %= len(data) + 1
    match kind:
        case "insert":
            return data[:at] + piece + data[at:]
        case "replace":
            return data[:at] + piece + data[at + len(piece) :]
        case "delete":
            return data[:at] + data[at + len(piece) :]
        case "repeat":
            return data[:at] + data[at : at + 20] * 2 + data[at + 20 :]
    return data[at:] + data[:at]


@given(
    st.sampled_from(CASES),
    st.lists(MUTATIONS, min_size=1, max_size=4),
    st.integers(1, 50),
)
def test_anything_is_told_or_refused(case, mutations, size):
    """No other error, and the same in one read and in many."""
    sent = case.sent
    for mutation in mutations:
        sent = mutated(sent, *mutation)
    limits = Limits(body_bytes=1_000)
    at_once = read([sent], limits=limits)
    pieces = [sent[i : i + size] for i in range(0, len(sent), size)]
    in_pieces = read(pieces, limits=limits)
    assert at_once.requests == in_pieces.requests
    assert isinstance(at_once.then, int) == isinstance(in_pieces.then, int)


@given(st.data(), st.lists(bodies, max_size=5))
def test_what_a_response_sends_in_chunks_a_parser_reads(data, pieces):
    """The two know the same grammar."""
    out = Outgoing(200, Headers())
    sent = b"".join(out.data(piece) for piece in pieces) + out.end()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    [request] = read(data.draw(divided(head + sent))).requests
    assert request["body"].encode("latin-1") == b"".join(pieces)


@pytest.mark.skipif(not find_spec("h11"), reason="h11 is not installed")
@given(
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from([200, 204, 304, 404, 599]),
    fields,
    st.lists(bodies, max_size=3),
    st.booleans(),
)
def test_a_client_reads_what_was_sent(method, status, pairs, pieces, whole):
    """h11's client, to which the responses are those that were meant."""
    import h11

    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers={"Host": "a"}.items()))
    client.send(h11.EndOfMessage())
    body = b"".join(pieces)
    if whole:
        sent, _ = whole_response(status, Headers(pairs), body, method=method)
    else:
        out = Outgoing(status, Headers(pairs), method=method, version=HTTP_1_1)
        sent = b"".join([out.head, *map(out.data, pieces), out.end()])
    client.receive_data(sent)
    response, got = client.next_event(), b""
    assert response.status_code == status
    told = [(n.decode(), v.decode("latin-1")) for n, v in response.headers]
    assert told[: len(pairs)] == [(name.lower(), value) for name, value in pairs]
    while isinstance(event := client.next_event(), h11.Data):
        got += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert got == (b"" if method == "HEAD" or status in {204, 304} else body)
    assert client.trailing_data[0] == b""


@given(st.lists(st.tuples(tokens, st.text(f"{TEXT}\r\n", max_size=8)), max_size=4))
def test_heads_have_the_lines_that_they_say(pairs):
    """Whatever a handler puts into its headers."""
    try:
        sent, _ = whole_response(200, Headers(pairs), b"")
    except ValueError:
        return
    named = [name.lower() for name, _ in pairs]
    framing = sum(name in OWN - {"date", "host", "expect"} for name in named)
    assert sent.count(b"\r\n") == sent.count(b"\n") == sent.count(b"\r")
    assert sent.count(b"\r\n") == 3 + len(pairs) - framing
