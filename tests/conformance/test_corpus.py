"""The corpus, against the parser."""

from __future__ import annotations

import pytest

from tests.conformance.corpus import CASES, compared, read

SHORT = [case for case in CASES if len(case.sent) < 1_000]
WHOLE = [
    case for case in CASES if isinstance(case.then[0], str) and len(case.sent) < 1_000
]


def check(case, pieces):
    reading = read(pieces, eof=case.eof)
    assert compared(reading.requests, case.requests) == case.requests
    assert reading.then in case.then


@pytest.mark.parametrize("case", CASES, ids=str)
def test_at_once(case):
    """All in one read."""
    check(case, [case.sent] if case.sent else [])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_byte_by_byte(case):
    """In as many reads as there are bytes."""
    check(case, [case.sent[i : i + 1] for i in range(len(case.sent))])


@pytest.mark.parametrize("case", SHORT, ids=str)
def test_in_two_reads(case):
    """Divided at each place there is."""
    for at in range(1, len(case.sent)):
        check(case, [case.sent[:at], case.sent[at:]])


@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_each_beginning_waits(case):
    """What may become valid is never refused, and nothing is told of it too early."""
    everything = read([case.sent], eof=case.eof).requests
    for end in range(len(case.sent)):
        reading = read([case.sent[:end]])
        assert reading.then in {"open", "incomplete", "closed"}
        told = reading.requests
        assert len(told) <= len(everything)
        for early, late in zip(told, everything, strict=False):
            assert late["body"].startswith(early["body"])
            ends = ("body", "trailers", "ended") if not early["ended"] else ()
            assert {k: v for k, v in early.items() if k not in ends} == {
                k: v for k, v in late.items() if k not in ends
            }


def test_names_are_unique():
    """So that a name finds its case."""
    names = [case.name for case in CASES]
    assert len(names) == len({*names})


def test_all_rows_are_there():
    """Each row that is about what a parser reads has cases; 27 is in test_limits."""
    rows = {case.row for case in CASES}
    assert rows >= {*range(1, 41), 43, 44} - {27}
