"""The Range field: what the parts are, and when it is ignored."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csp.net.http._ranges import MOST, Part, parse_ranges

SIZE = 10
DATA = bytes(range(SIZE))


def sent(field, size=SIZE):
    """What a client would get: slices as (first, last), or the answer otherwise."""
    parts = parse_ranges(field, size)
    if parts is None:
        return "all of it"
    return [(start, start + length - 1) for start, length in parts] or "416"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-4", [(0, 4)]),
        ("bytes=5-", [(5, 9)]),
        ("bytes=9-9", [(9, 9)]),
        ("bytes=-3", [(7, 9)]),
        ("bytes=-10", [(0, 9)]),
        ("bytes=-11", [(0, 9)]),
        ("bytes=0-99", [(0, 9)]),
        ("BYTES=0-0", [(0, 0)]),
        ("bytes=007-0008", [(7, 8)]),
        ("bytes=0-0,9-9", [(0, 0), (9, 9)]),
        ("bytes=9-9,0-0", [(9, 9), (0, 0)]),
        ("bytes= 0-0 ,\t-1", [(0, 0), (9, 9)]),
        ("bytes=,0-0,,", [(0, 0)]),
        ("bytes=0-0,99-", [(0, 0)]),
        ("bytes=0-4,2-6", [(0, 4), (2, 6)]),
        ("bytes=0-18446744073709551615", [(0, 9)]),
        ("bytes=-18446744073709551615", [(0, 9)]),
    ],
)
def test_the_parts_asked_for_are_sent(field, expected):
    """In the order in which they were asked for, cut to what there is."""
    assert sent(field) == expected


@pytest.mark.parametrize(
    "field",
    [
        "bytes=10-",
        "bytes=10-20",
        "bytes=-0",
        "bytes=10-,-0",
        "bytes=9223372036854775807-",
    ],
)
def test_parts_beyond_the_end_cannot_be_satisfied(field):
    """None of the ranges has a byte in it."""
    assert sent(field) == "416"


@pytest.mark.parametrize(
    "field",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=-1-",
        "bytes=5-4",
        "bytes=a-b",
        "bytes=0-4,x",
        "bytes=10-,5-4",
        "bytes=0x0-1",
        "bytes=+1-2",
        "bytes=1_0-",
        "bytes=0 - 4",
        "bytes=0-4;1-2",
        "bytes =0-4",
        " bytes=0-4",
        "bytes=0-4\n",
        "bytes=\u00b2-\u00b3",
        "bytes=\u0660-\u0661",
        "bytes=\xa00-1",
        "bits=0-4",
        "none",
        "bytes=bytes=0-1",
        "bytes=0-" + "9" * 21,
        "bytes=" + "9" * 60_000 + "-",
        "bytes=0-9,0-0",
        "bytes=-9,0-5",
        "bytes=" + ",".join(["0-0"] * 11),
        "bytes=" + ",".join(["0-0"] * (MOST + 1)),
    ],
)
def test_what_is_malformed_or_too_much_is_ignored(field):
    """As a server may always do; the client gets all of it."""
    assert sent(field) == "all of it"


def test_there_are_at_most_a_hundred():
    """Each costs a seek, and a head of its own."""
    spec = "0-0,"
    assert len(parse_ranges("bytes=" + spec * MOST, 1000)) == MOST
    assert parse_ranges("bytes=" + spec * (MOST + 1), 1000) is None


@pytest.mark.parametrize("field", ["bytes=0-", "bytes=-1", "bytes=0-0", "bytes=5-"])
def test_an_empty_file_has_no_parts(field):
    """Content-Range cannot name one, so it is sent whole, as Go does."""
    assert sent(field, 0) == "all of it"


ranges = st.one_of(
    st.builds("{}-{}".format, st.integers(0, 40), st.integers(0, 40)),
    st.builds("{}-".format, st.integers(0, 40)),
    st.builds("-{}".format, st.integers(0, 40)),
)


def by_the_book(spec, data):
    """One range, read off section 14.1.2; None if it is malformed."""
    first, last = spec.split("-")
    if not first:
        return data[max(len(data) - int(last), 0) :]
    if last and int(last) < int(first):
        return None
    return data[int(first) : int(last) + 1 if last else None]


@given(st.lists(ranges, min_size=1, max_size=4), st.integers(1, 32))
def test_parts_are_what_the_rfc_says(specs, size):
    """Byte for byte, for all forms of ranges and all small files."""
    data = bytes(range(size))
    slices = [by_the_book(spec, data) for spec in specs]
    parts = parse_ranges("bytes=" + ", ".join(specs), size)
    if None in slices or sum(map(len, slices)) > size:
        assert parts is None
    else:
        got = [data[start : start + length] for start, length in parts]
        assert got == [piece for piece in slices if piece]


@given(st.from_regex(re.compile(r"(?i)bytes=[-0-9, \tx]{0,60}"), fullmatch=True))
def test_no_field_is_too_strange(field):
    """Whatever it says, the parts are within the file, and not more than it."""
    parts = parse_ranges(field, SIZE) or []
    assert sum(length for _, length in parts) <= SIZE
    for start, length in parts:
        assert 0 <= start < start + length <= SIZE


def test_a_part_is_named_in_content_range():
    """The last byte is counted in."""
    assert Part(5, 5).field(10) == "bytes 5-9/10"
