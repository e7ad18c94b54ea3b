"""Saying what is wrong with a body, and where: by a JSON pointer, after RFC 6901.

msgspec tells where as it has seen it, such as ``$.items[3].price``.  That is ambiguous,
as names are not quoted, and says ``[...]`` for what is in a mapping, whose keys come
from the client.  So the body is decoded again, without a type, and the path is walked
through that.  The key in a mapping is found by decoding with fewer and fewer of them:
the first that is wrong is the last of the fewest with which the error stays the same.
All this happens only for a body that is refused, and the search only for a small one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from csp.net.http._errors import BadRequest

Decode = Callable[[bytes], Any]

_AT = re.compile(r" - at (?P<key>`key` in )?`\$(?P<path>.*)`\Z", re.DOTALL)
_BYTE = re.compile(r" \(byte ([0-9]+)\)\Z")
_INDEX = re.compile(r"\[([0-9]+)\]")
_IN_MAPPING = "[...]"
_SMALL = 65_536  # bytes of a body in which a key is searched for
_LONG = 200  # characters of an error that repeats what the client has sent


class Undecodable(BadRequest):
    """A body, or a line of it, that is not JSON, or not of the type it should be."""

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail, members=members)


def undecodable(error: Exception, data: bytes, decode: Decode) -> BadRequest:
    """Return what to answer for an error of decoding.

    Args:
        error: A ValueError or RecursionError, of msgspec or another decoder.
        data: What was to be decoded.
        decode: What has raised it.
    """
    if isinstance(error, RecursionError):
        return BadRequest("the body: it is nested too deeply")
    if isinstance(error, UnicodeError):
        return BadRequest("the body: it is not UTF-8")
    if isinstance(error, msgspec.ValidationError):
        return _mistyped(error, data, decode)
    text = shortened(str(error))
    if isinstance(error, msgspec.DecodeError) and (byte := _BYTE.search(text)):
        at = int(byte[1])
        line = data.count(b"\n", 0, at) + 1
        what = f"{text[: byte.start()]} (line {line}, byte {at})"
        return Undecodable(f"the body: {what}", line=line, byte=at)
    return BadRequest(f"the body: {text}")


def shortened(text: str) -> str:
    """Return a text, without its middle if it is long."""
    half = _LONG // 2
    return text if len(text) <= _LONG else f"{text[:half]}...{text[-half:]}"


def without_path(error: Exception) -> str:
    """Return what an error of msgspec says, but not where."""
    return shortened(_AT.sub("", str(error)))


def _mistyped(error: Exception, data: bytes, decode: Decode) -> BadRequest:
    try:
        document = msgspec.json.decode(data)
    except msgspec.ValidationError:  # a number that nothing can hold
        return BadRequest(f"the body: {without_path(error)}")
    except (ValueError, RecursionError) as worse:  # which had not been reached
        return undecodable(worse, data, decode)
    place = _place(error)
    path = "".join(_walk(document, place, len(data), decode)) if place else ""
    where = f", at {shortened(path)}" if path else ""
    return Undecodable(f"the body: {without_path(error)}{where}", pointer=path)


def _place(error: Exception) -> str:
    """Return the path that an error tells, that to a key as that to its value."""
    found = _AT.search(str(error))
    if found is None:
        return ""
    return found["path"] + (_IN_MAPPING if found["key"] else "")


def _walk(document: Any, place: str, size: int, decode: Decode) -> list[str]:
    """Return the tokens of the pointer to a place, as far as they can be found."""
    found: list[str] = []
    value, rest = document, place
    key: Any
    while rest:
        if rest.startswith(_IN_MAPPING):
            if not isinstance(value, dict) or not value or size > _SMALL:
                break
            key, taken = _first_wrong(value, document, place, decode), _IN_MAPPING
        elif (index := _INDEX.match(rest)) and isinstance(value, list):
            key, taken = int(index[1]), index[0]
        else:
            names = value if isinstance(value, dict) else {}
            key = max((k for k in names if _begins(rest, k)), key=len, default=None)
            taken = f".{key}"
        try:
            value = value[key]
        except LookupError:
            break
        found.append("/" + str(key).replace("~", "~0").replace("/", "~1"))
        rest = rest[len(taken) :]
    return found


def _begins(path: str, key: str) -> bool:
    rest = path.removeprefix(f".{key}")
    return rest != path and (not rest or rest[0] in ".[")


def _first_wrong(
    mapping: dict[str, Any], document: Any, place: str, decode: Decode
) -> str:
    """Return the first key of a mapping in a document of which an error tells."""
    entries = list(mapping.items())
    right, wrong = 0, len(entries)
    while wrong - right > 1:
        middle = (right + wrong) // 2
        mapping.clear()
        mapping.update(entries[:middle])
        if _place_of_error(document, decode) == place:
            wrong = middle
        else:
            right = middle
    mapping.clear()
    mapping.update(entries)
    return entries[wrong - 1][0]


def _place_of_error(document: Any, decode: Decode) -> str | None:
    try:
        decode(msgspec.json.encode(document))
    except msgspec.ValidationError as error:
        return _place(error)
    except Exception:
        return None
    return None


# Keys that are there twice


def check_keys(data: bytes) -> None:
    """Look at JSON again, for an object that has a key twice.

    Raises:
        ValueError: There is one, or it is not UTF-8.
        RecursionError: It is nested too deeply.
    """
    _keys.decode(data.decode())


def _once(pairs: list[tuple[str, Any]]) -> None:
    keys = set()
    for key, _ in pairs:
        if key in keys:
            raise ValueError(f"the key {key!r} is there twice")
        keys.add(key)


def _ignore(_: str) -> None:
    return None


_keys = json.JSONDecoder(
    object_pairs_hook=_once, parse_int=_ignore, parse_float=_ignore
)
