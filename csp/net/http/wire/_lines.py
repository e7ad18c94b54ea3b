"""Fields that are sent.

Nobody splits a response.  Once lines have been joined, their control characters must be
one CRLF for each of them, and that is looked at in one pass over all: then no name and
no value has a CR, LF, NUL or any other, wherever it came from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from ._grammar import TOKEN

_ALL_BUT_CONTROLS = bytes({*range(256)} - {*range(32), 127} | {9})

# What is particular about a name.
_PLAIN, _LENGTH, _CODING, _CONNECTION, _DATE = range(5)
_KINDS: Final = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"date": _DATE,
}
# The same for names as they were written; one that has been sent is not checked again.
_sent: dict[bytes, int] = {}
_SENT_NAMES = 1_000  # for how many
_SENT_NAME_LENGTH = 100  # and up to which length


Field: TypeAlias = tuple[bytes, bytes]


class Said(NamedTuple):
    """What a handler's own fields say of framing and connection."""

    length: int | None = None
    closing: bool = False
    date: bool = False


_NOTHING = Said()


def add_lines(lines: list[bytes], fields: Iterable[Field]) -> Said:
    """Add all fields but those that frame; returns what those say."""
    particular = []
    for pair in fields:
        name = pair[0]
        kind = _sent.get(name)
        if kind is None:
            kind = _learn(*pair)
        if kind:
            particular.append((kind, pair))
        else:
            lines.append(b"%b: %b\r\n" % pair)
    return _sort_out(lines, particular) if particular else _NOTHING


def _sort_out(lines: list[bytes], fields: Iterable[tuple[int, Field]]) -> Said:
    length, closing, date = _NOTHING
    for kind, (name, value) in fields:
        if kind == _LENGTH:
            length = _length(value, length)
        elif kind == _DATE:
            date = True
            lines.append(b"%b: %b\r\n" % (name, value))
        elif kind == _CONNECTION:
            options = [option.strip(b" \t") for option in value.split(b",")]
            known = {option.lower() for option in options}
            closing = closing or b"close" in known
            if known - {b"close", b"keep-alive", b""}:
                lines.append(b"%b: %b\r\n" % (name, _rest(options)))
    return Said(length, closing, date)


def _rest(options: list[bytes]) -> bytes:
    ours = (b"close", b"keep-alive", b"")
    return b", ".join(option for option in options if option.lower() not in ours)


def _learn(name: bytes, value: bytes) -> int:
    if not TOKEN.fullmatch(name):
        raise ValueError(
            f"{shown(name, value)} cannot be sent: a name has letters, digits and "
            f"!#$%&'*+-.^_`|~ only"
        )
    kind = _KINDS.get(name.lower(), _PLAIN)
    if len(_sent) < _SENT_NAMES and len(name) < _SENT_NAME_LENGTH:
        _sent[name] = kind
    return kind


def _length(value: bytes, before: int | None) -> int:
    if not value.isdigit():
        text = value.decode("latin-1")
        raise ValueError(f"Content-Length must be a number, not {text!r}")
    length = int(value)
    if before is not None and before != length:
        raise ValueError(f"Content-Length cannot be both {before} and {length}")
    return length


def join(lines: list[bytes], fields: Iterable[Field]) -> bytes:
    """Join lines, if that is all they are; else the fields are to blame."""
    joined = b"".join(lines)
    if joined.translate(None, _ALL_BUT_CONTROLS) != b"\r\n" * len(lines):
        [bad, *_] = [f for f in fields if f[1].translate(None, _ALL_BUT_CONTROLS)]
        raise ValueError(
            f"{shown(*bad)} cannot be sent: it has a line end or another control "
            f"character"
        )
    return joined


def shown(name: bytes, value: bytes) -> str:
    return f"header {name.decode('latin-1')!r} with {value.decode('latin-1')!r}"
