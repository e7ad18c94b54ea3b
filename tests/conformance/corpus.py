"""What clients send, and what a strict server makes of it: a corpus, as data.

The TOML files beside this one hold the cases.  Each has

    name      unique in its file
    row       what it is about, as a number:
              1-8 lengths, 9-18 fields, 19-21 Host, 22-26 request lines, 27-29 limits,
              30-33 versions and spaces, 34-37 chunks, 38 Expect, 39 Upgrade,
              40 bodies of any method, 43 pipelining, 44 closing
    sent      all that the client sends, in Latin-1: each character is a byte
    eof       whether the client then closes its side
    requests  those that are read, in their order
    then      what comes after: "open", the next request may; "closed", none can;
              "incomplete", the rest of one has to; a status, with which what comes is
              refused; a list, with any of them

A request tells what is not usual.  Else it is GET / HTTP/1.1, of host a, without a body
or trailers, and keeps the connection.  `fields` and `length` are compared if given;
`ended = false` is a request whose body does not come to its end.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import attrs

from csp.net.http.wire import CLOSED, NEED_DATA, End, Head, Limits, Parser, Refused

USUAL = {
    "method": "GET",
    "target": "/",
    "version": "1.1",
    "host": "a",
    "body": "",
    "trailers": [],
    "keep_alive": True,
    "expects_continue": False,
    "ended": True,
}


@attrs.frozen
class Case:
    name: str
    sent: bytes
    requests: list
    then: tuple
    row: int | None
    eof: bool

    def __str__(self):
        return self.name


def _case(
    file, *, name, sent, requests=(), then="open", row=None, eof=False, note=None
):
    return Case(
        f"{file}: {name}",
        sent.encode("latin-1"),
        [{**USUAL, "path": r.get("target", "/"), **r} for r in requests],
        tuple(then) if isinstance(then, list) else (then,),
        row,
        eof,
    )


CASES = [
    _case(path.stem, **case)
    for path in sorted(Path(__file__).parent.glob("*.toml"))
    for case in tomllib.loads(path.read_text("utf-8")).get("case", ())
]


@attrs.define
class Reading:
    """What a parser has told so far."""

    requests: list = attrs.field(factory=list)
    then: object = "open"


def read(pieces, *, eof=False, limits=None):
    """Feed pieces to a parser of its own, asking for all events after each."""
    parser = Parser(limits or Limits())
    reading = Reading()
    for piece in pieces:
        parser.feed(piece)
        _take(parser, reading)
    if eof:
        parser.feed_eof()
        _take(parser, reading)
    return reading


def _take(parser, reading):
    while True:
        try:
            event = parser.next_event()
        except Refused as refused:
            reading.then = refused.status
            return
        if event is NEED_DATA:
            idle = parser.state == "idle"
            reading.then = "open" if idle else "incomplete"
            return
        if event is CLOSED:
            reading.then = "closed"
            return
        _add(event, reading.requests)


def _add(event, requests):
    if isinstance(event, Head):
        requests.append(_told(event))
    elif isinstance(event, End):
        requests[-1]["trailers"] = [[*pair] for pair in event.trailers]
        requests[-1]["ended"] = True
    else:
        assert event, "a piece of a body has something in it"
        requests[-1]["body"] += event.decode("latin-1")


def _told(head):
    return {
        "method": head.method,
        "target": head.target,
        "path": head.path_and_query,
        "version": ".".join(map(str, head.version)),
        "host": head.host,
        "fields": [[*pair] for pair in head.headers],
        "length": "unknown" if head.length is None else head.length,
        "keep_alive": head.keep_alive,
        "expects_continue": head.expects_continue,
        "body": "",
        "trailers": [],
        "ended": head.length == 0,
    }


def compared(requests, expected):
    """Leave out of requests what is not said of those expected."""
    return [
        {key: request[key] for key in keys}
        for request, keys in zip(requests, expected, strict=False)
    ] + requests[len(expected) :]
