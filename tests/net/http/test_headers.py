"""Header fields as a collection."""

from __future__ import annotations

import pytest

from csp.net.http._headers import Headers

PAIRS = [("Host", "a"), ("Accept", "x"), ("accept", "y")]


@pytest.mark.parametrize(
    ("given", "pairs"),
    [
        (None, []),
        ({}, []),
        ({"A": "b"}, [("A", "b")]),
        (PAIRS, PAIRS),
        (iter(PAIRS), PAIRS),
        (Headers(PAIRS), PAIRS),
    ],
)
def test_made_of(given, pairs):
    """Nothing, a mapping, pairs, or others."""
    headers = Headers(given)
    assert [*headers] == pairs
    assert len(headers) == len(pairs)


def test_copies_share_nothing():
    """A change to one is none to the other."""
    first = Headers(PAIRS)
    second = Headers(first)
    second.add("B", "c")
    assert [*first] == PAIRS


@pytest.mark.parametrize("name", ["accept", "Accept", "ACCEPT"])
def test_names_are_found_in_any_letters(name):
    """And what is told is the first value, or all."""
    headers = Headers(PAIRS)
    assert headers[name] == "x"
    assert headers.get(name) == "x"
    assert headers.get_all(name) == ["x", "y"]
    assert name in headers


@pytest.mark.parametrize("name", ["b", "", "Acc", "ŝ"])
def test_names_that_are_not_there(name):
    """They are told as by a mapping."""
    headers = Headers(PAIRS)
    assert name not in headers
    assert headers.get(name) is None
    assert headers.get(name, "z") == "z"
    assert headers.get_all(name) == []
    with pytest.raises(KeyError, match=repr(name)):
        headers[name]
    with pytest.raises(KeyError, match=repr(name)):
        del headers[name]


def test_what_is_no_name_is_not_there():
    """As in a mapping."""
    assert 1 not in Headers(PAIRS)


def test_set_replaces_all_in_the_place_of_the_first():
    """So that the order of the others stays."""
    headers = Headers([*PAIRS, ("Z", "z")])
    headers["ACCEPT"] = "w"
    assert [*headers] == [("Host", "a"), ("ACCEPT", "w"), ("Z", "z")]
    headers.set("B", "c")
    assert [*headers][-1] == ("B", "c")


def test_add_keeps_what_is_there():
    """And a lookup before it does not hide it."""
    headers = Headers()
    assert headers.get("a") is None
    headers.add("A", "b")
    headers.add("a", "c")
    assert headers.get_all("a") == ["b", "c"]
    assert headers["a"] == "b"


def test_setdefault_tells_what_is_there_after_it():
    """The first value, or the given one."""
    headers = Headers(PAIRS)
    assert headers.setdefault("accept", "z") == "x"
    assert headers.setdefault("B", "z") == "z"
    assert headers["b"] == "z"
    assert len(headers) == len(PAIRS) + 1


def test_deleting_takes_out_all():
    """Of that name, and no others."""
    headers = Headers(PAIRS)
    del headers["aCCEPT"]
    assert [*headers] == [("Host", "a")]
    assert "accept" not in headers


def test_equal_are_those_that_mean_the_same():
    """Letters of names and the order of different names mean nothing."""
    assert Headers(PAIRS) == Headers([("ACCEPT", "x"), ("HOST", "a"), ("accept", "y")])
    assert Headers(PAIRS) != Headers([PAIRS[0], PAIRS[2], PAIRS[1]])
    assert Headers(PAIRS) != Headers(PAIRS[:2])
    assert Headers(PAIRS) != PAIRS


def test_they_change_and_so_have_no_hash():
    """As lists."""
    with pytest.raises(TypeError):
        hash(Headers())


def test_every_byte_has_its_character():
    """And nothing is stripped."""
    value = bytes(range(256))
    headers = Headers.from_raw([(b"A", b"\x85\xa0b\xa0\x85"), (b"B", value)])
    assert headers["a"] == "\x85\xa0b\xa0\x85"
    assert Headers([*headers]).raw == headers.raw


def test_received_ones_are_not_copied():
    """Nor decoded before somebody asks."""
    raw = [(b"A", b"b")]
    assert Headers.from_raw(raw).raw is raw


def test_repr_hides_secrets_only():
    """As it ends up in logs."""
    secret = ["Authorization", "Proxy-Authorization", "COOKIE", "set-cookie"]
    headers = Headers([("A", "shown"), *((name, "hidden") for name in secret)])
    assert "('A', 'shown')" in repr(headers)
    assert "hidden" not in repr(headers)
    assert all(f"('{name}', '***')" in repr(headers) for name in secret)


@pytest.mark.parametrize("pair", [("A", 1), ("A", b"b"), (b"A", "b"), ("A", None)])
def test_other_types_are_refused(pair):
    """With what to write."""
    with pytest.raises(TypeError, match="two strings"):
        Headers([pair])


@pytest.mark.parametrize("given", ["A: b", b"A: b"])
def test_text_is_no_headers(given):
    """Though it can be iterated over."""
    with pytest.raises(TypeError, match="mapping or pairs"):
        Headers(given)


@pytest.mark.parametrize("pair", [("A", "ŝ"), ("ŝ", "a")])
def test_what_is_not_latin_1_is_refused(pair):
    """With the header's name and value."""
    with pytest.raises(ValueError, match=f"header '{pair[0]}'.*'{pair[1]}'"):
        Headers([pair])
