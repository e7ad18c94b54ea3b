"""The corpus, against other parsers: each disagreement is known, and has a reason."""

from __future__ import annotations

import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conformance.corpus import CASES, read
from tests.conformance.peers import readers

PEERS = Path(__file__).parent / "peers"


def listed(peer):
    """Return the reasons by case."""
    table = tomllib.loads((PEERS / f"{peer}.toml").read_text("utf-8"))
    return {
        case: difference["reason"]
        for difference in table["difference"]
        for case in difference["cases"]
    }


def check(peer, theirs):
    assert len(theirs) == len(CASES)
    found = {}
    for case, told in zip(CASES, theirs, strict=True):
        reading = read([case.sent] if case.sent else [], eof=case.eof)
        if (mine := readers.ours(reading, case.eof)) != told:
            found[case.name] = (mine, told)
    known = listed(peer)
    assert {name: found[name] for name in found.keys() - known.keys()} == {}
    assert known.keys() - found.keys() == set(), "they agree now: take these out"


@pytest.mark.skipif(not find_spec("h11"), reason="h11 is not installed")
def test_h11():
    """Which is pure Python, and more lenient."""
    check("h11", readers.h11(CASES))


def test_llhttp():
    """Which is beneath our own, and shows what had to be added."""
    check("llhttp", readers.llhttp(CASES))


@pytest.mark.skipif(not readers.find_go(), reason="Go is not installed")
@pytest.mark.stress
def test_go(tmp_path):
    """What net/http reads requests with; the first build takes a minute."""
    check("go", readers.go(CASES, tmp_path))
