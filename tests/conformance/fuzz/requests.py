"""Requests that no person would think of, made by atheris, which pytest does not run.

    python -m tests.conformance.fuzz.requests [FOLDER] [-max_total_time=SECONDS]

Whatever is sent, the parser tells requests or refuses them.  It tells the same in one
read and in many, holds no more than its limits, and what it takes for a body llhttp
takes for one too.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["csp.net.http"]):
    from csp.net.http.wire import Limits
from tests.conformance.corpus import CASES, read
from tests.conformance.peers.readers import _llhttp

LIMITS = Limits(target_bytes=100, header_bytes=1_000, header_count=20, body_bytes=5_000)
WHOLE = ("open", "closed")


def check(data):
    if not data:
        return
    step, data = data[0] % 17 + 1, data[1:]
    at_once = read([data] if data else [], limits=LIMITS)
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    in_pieces = read(pieces, limits=LIMITS)
    if at_once.requests != in_pieces.requests:
        raise AssertionError((at_once.requests, in_pieces.requests))
    same_kind = isinstance(at_once.then, int) == isinstance(in_pieces.then, int)
    if not same_kind or (not isinstance(at_once.then, int) and at_once != in_pieces):
        raise AssertionError((at_once.then, in_pieces.then))
    _compare_with_llhttp(data, at_once)


def _compare_with_llhttp(data, reading):
    theirs, then = _llhttp(data)
    if reading.then not in WHOLE or then not in WHOLE:
        return  # one of the two is stricter, or reads something else after it
    for mine, other in zip(reading.requests, theirs, strict=False):
        told = mine["method"], mine["target"], mine["body"].encode("latin-1")
        if told != other:
            raise AssertionError((told, other))


def main():
    atheris.Setup(sys.argv, check)
    for case in CASES:  # so that it begins with what is known to matter
        check(b"\x05" + case.sent)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
