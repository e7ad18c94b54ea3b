"""Media types, and what a client accepts of them: RFC 9110, sections 8.3 and 12.5.1.

A field that is no media type is None here, and in `Accept` as if it were not there: who
sends nonsense among what it accepts still gets an answer.  The lists that are found in
the wild are a few, each sent again and again, so what comes of them is remembered; but
not of long ones, with which a client could fill the memory.

The repetitions in the patterns are possessive: they give nothing back, so no input can
be tried in many ways.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import attrs

from csp.net.http._headers import Headers

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # noqa: S105 - a word of the grammar
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_PARAM = rf"({_TOKEN})=({_TOKEN}|{_QUOTED})"
_PARAM_AT = re.compile(rf";[ \t]*+(?:{_PARAM})?[ \t]*+", re.DOTALL)
_TYPE_AT = re.compile(rf"({_TOKEN})/({_TOKEN})[ \t]*+")
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+(?:"|\\?$))++', re.DOTALL)
_WEIGHT = re.compile(r"[01]?\.?[0-9]*")
_LONG = 512  # characters of a field that is not remembered


@attrs.frozen
class MediaType:
    """A media type, or a range of them: its parts, in lower case."""

    type: str
    subtype: str
    params: dict[str, str] = attrs.field(factory=dict)
    """Parameters by name; a value is as it was sent, without the quotes."""

    @property
    def essence(self) -> str:
        """It without its parameters."""
        return f"{self.type}/{self.subtype}"

    @property
    def is_json(self) -> bool:
        """Whether a text of this type is JSON."""
        return self.essence == "application/json" or self.subtype.endswith("+json")

    @property
    def is_utf8(self) -> bool:
        """Whether it says of no other charset."""
        return self.params.get("charset", "utf-8").lower() in ("utf-8", "utf8")


def parse_media_type(text: str) -> MediaType | None:
    """Return what a field such as `Content-Type` says, None if it is malformed."""
    return _parse(text) if len(text) > _LONG else _parse_again(text)


def _parse(text: str) -> MediaType | None:
    text = text.strip(" \t")
    found = _TYPE_AT.match(text)
    if found is None:
        return None
    params: dict[str, str] = {}
    at = found.end()
    while at < len(text):
        param = _PARAM_AT.match(text, at)
        if param is None:
            return None
        if param[1] is not None:
            params.setdefault(param[1].lower(), _unquoted(param[2]))
        at = param.end()
    return MediaType(found[1].lower(), found[2].lower(), params)


_parse_again = lru_cache(maxsize=256)(_parse)


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)


# Negotiation


@attrs.frozen
class _Range:
    """One element of `Accept`."""

    media: MediaType
    weight: float

    def specificity(self, offer: MediaType) -> tuple[bool, bool, int] | None:
        """Tell how closely it describes an offer; None if it does not."""
        mine = self.media
        if mine.type not in ("*", offer.type) or mine.subtype not in (
            "*",
            offer.subtype,
        ):
            return None
        if not mine.params.items() <= offer.params.items():
            return None
        return mine.type != "*", mine.subtype != "*", len(mine.params)


def _parse_range(element: str) -> _Range | None:
    stripped = element.strip(" \t")
    if stripped == "*" or stripped.startswith(("*;", "* ")):  # as Java sends it
        stripped = f"*/{stripped}"
    media = _parse(stripped)
    if media is None or (media.type == "*" != media.subtype):
        return None
    weight = _parse_weight(media.params.pop("q", "1"))
    if media.is_utf8:  # which all that we offer is
        media.params.pop("charset", None)
    return None if weight is None else _Range(media, weight)


def _parse_weight(text: str) -> float | None:
    if not text.strip(".") or _WEIGHT.fullmatch(text) is None:
        return None
    return min(float(text), 1.0)


def _choose(header: str, offered: tuple[str, ...]) -> str | None:
    ranges = [r for e in _ELEMENT.findall(header) if (r := _parse_range(e))]
    if not ranges:
        return offered[0] if offered else None
    best, chosen = 0.0, None
    for offer in offered:
        weight = _weigh(offer, ranges)
        if weight > best:
            best, chosen = weight, offer
    return chosen


def _weigh(offer: str, ranges: Sequence[_Range]) -> float:
    """Return the weight of the most specific range that describes an offer."""
    media = _parse(offer)
    if media is None:
        raise ValueError(f"{offer!r} is no media type. Write: 'application/json'")
    media.params.pop("charset", None)
    found = [(s, r.weight) for r in ranges if (s := r.specificity(media)) is not None]
    return max(found)[1] if found else 0.0


_choose_again = lru_cache(maxsize=256)(_choose)


def accepts(accept_header: str | None, offered: Sequence[str]) -> str | None:
    """Return which of some media types a client likes best; None if it takes none.

        offered = ["application/json", "text/plain"]
        assert accepts("text/*, */*;q=0.1", offered) == "text/plain"
        assert accepts("text/html", offered) is None

    Of several that it likes equally it is the first.

    Args:
        accept_header: The value of `Accept`; if there are several fields, joined by
            commas.  None, if there is none, says that all is accepted.
        offered: Media types, those that the server prefers first.

    Raises:
        ValueError: Something offered is no media type.
    """
    if accept_header is None:
        return offered[0] if offered else None
    if len(accept_header) > _LONG:
        return _choose(accept_header, tuple(offered))
    return _choose_again(accept_header, tuple(offered))


def field(headers: Headers, name: bytes) -> str | None:
    """Return all values of a field as one list, None if there is none.

    `name` is in lower case.  As most requests have no name twice it looks for more
    than one value only if some name is there again.
    """
    first = headers._first()
    value = first.get(name)
    if value is None:
        return None
    if len(first) == len(headers.raw):
        return value.decode("latin-1")
    return ", ".join(headers.get_all(name.decode("latin-1")))
