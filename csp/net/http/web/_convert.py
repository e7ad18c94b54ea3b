"""Converters: what {id:int} makes of a segment of a path, and back again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs

_INT = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_UUID = re.compile(r"(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@attrs.frozen
class Converter:
    """What a parameter of a path may be, and what it becomes.

        def parse(text: str) -> int:
            return int(text, 16)

        router = Router(converters={"hex": Converter(parse, "{:x}".format)})
        router.handle("GET /colours/{value:hex}", handler)

    For one that is written back by `str`, a function does: ``{"hex": parse}``.
    """

    parse: Callable[[str], Any]
    """Makes a value of a segment, decoded; raises ValueError if it is none of these.

    Then the pattern does not match, and others may.  It is called before it is known
    whether one does, so it is to be quick and to look at nothing else.
    """
    format: Callable[[Any], str] = str
    """Makes text of a value, when a URL is built."""
    schema: Mapping[str, Any] = attrs.field(factory=lambda: {"type": "string"})
    """What OpenAPI documents say of it."""

    def takes(self, text: str) -> bool:
        """Tell whether that is one of these."""
        try:
            self.parse(text)
        except ValueError:
            return False
        return True


def _int(text: str) -> int:
    if text.isascii() and text.isdigit():  # as almost all of them
        return int(text)
    return int(_checked(_INT, text))


def _float(text: str) -> float:
    return float(_checked(_FLOAT, text))


def _uuid(text: str) -> UUID:
    return UUID(_checked(_UUID, text))


def _checked(form: re.Pattern[str], text: str) -> str:
    """Refuse what Python reads beside that: other digits, " 1_0 ", "nan", "{...}"."""
    if not form.fullmatch(text):
        raise ValueError(f"{text!r} is none")
    return text


def _plain(value: Any) -> str:
    """Write a float without an exponent."""
    return format(Decimal(repr(float(value))), "f")


BUILT_IN: Mapping[str, Converter] = {
    "int": Converter(_int, schema={"type": "integer"}),
    "float": Converter(_float, _plain, {"type": "number"}),
    "uuid": Converter(_uuid, schema={"type": "string", "format": "uuid"}),
}


def converters(
    more: Mapping[str, Converter | Callable[[str], Any]] | None,
) -> Mapping[str, Converter]:
    """Return the built-in ones, and those of a user."""
    if not more:
        return BUILT_IN
    return {**BUILT_IN, **{name: _made(name, given) for name, given in more.items()}}


def _made(name: object, given: Any) -> Converter:
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"the name of a converter is an identifier, not {name!r}")
    if isinstance(given, Converter):
        return given
    if not callable(given):
        raise TypeError(
            f"the converter {name!r} is {given!r}. Write: a function of a str, which "
            f"raises ValueError if that does not match"
        )
    return Converter(given)
