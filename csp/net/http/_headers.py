"""Header fields, as they were received or are to be sent.

They stay what they are on the wire, a list of pairs of bytes, and are decoded only when
somebody asks: a handler reads one or two fields of the twenty that a browser sends.

Values are text in Latin-1, so that every byte from the wire has its character, and
comes back as the same byte.  Nothing here strips them: `str.strip` takes 0x85 and 0xA0
for white space, which in HTTP they are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Self, TypeAlias, overload

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]
HeadersLike: TypeAlias = (
    "Headers | Mapping[str, str] | Iterable[tuple[str, str]] | None"
)

# What a repr must not tell, as it ends up in logs.
_SECRETS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie"},
)


class Headers:
    """An ordered collection of header fields.

        headers = Headers({"Content-Type": "text/plain"})
        headers.add("Set-Cookie", "a=1")
        headers.add("Set-Cookie", "b=2")
        assert headers["content-type"] == "text/plain"
        assert headers.get_all("set-cookie") == ["a=1", "b=2"]

    Names are found in upper or lower case, and sent as they were written.  A name may
    be there many times: `headers[name]` and `get` tell the first, as in Go, and
    `get_all` all of them.  So it is no mapping: iteration gives every field, a pair of
    name and value, and `len` counts them.  `name in headers` looks for a name.

    Two are equal if each name has the same values in the same order.

    Values are checked when they are sent, by `csp.net.http.wire`: a line end or another
    control character in them is a ValueError then, and never reaches the client.
    """

    __slots__ = ("_index", "_raw")

    _raw: RawHeaders
    _index: dict[bytes, bytes] | None  # by name in lower case, the first value

    def __init__(self, fields: HeadersLike = None) -> None:
        self._index = None
        if fields is None:
            self._raw = []
        elif isinstance(fields, Headers):
            self._raw = fields._raw.copy()
        elif isinstance(fields, (str, bytes)):
            raise TypeError(
                f"headers are a mapping or pairs of name and value, not {fields!r}"
            )
        else:
            pairs = fields.items() if isinstance(fields, Mapping) else fields
            self._raw = [_encode(name, value) for name, value in pairs]

    @classmethod
    def from_raw(cls, raw: RawHeaders, index: dict[bytes, bytes] | None = None) -> Self:
        """Make them of pairs of bytes, without a copy.

        `index`, if it is at hand, has the first value of each name in lower case.
        """
        self = cls.__new__(cls)
        self._raw = raw
        self._index = index
        return self

    @property
    def raw(self) -> RawHeaders:
        """The fields as bytes, in their order.  To be read only."""
        return self._raw

    # Reading

    def _first(self) -> dict[bytes, bytes]:
        """Return the first value of each name, from now on without a search."""
        if self._index is None:
            fields = reversed(self._raw)
            self._index = {name.lower(): value for name, value in fields}
        return self._index

    def __getitem__(self, name: str) -> str:
        """Return the first value of `name`; raises KeyError if there is none."""
        try:
            return self._first()[_key(name)].decode("latin-1")
        except KeyError:
            raise KeyError(name) from None

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    @overload
    def get(self, name: str, default: None) -> str | None: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of `name`, or `default` if there is none."""
        value = self._first().get(_key(name))
        return default if value is None else value.decode("latin-1")

    def get_all(self, name: str) -> list[str]:
        """Return all values of `name` in their order.

        Those of a field that is a list, as `Accept`, may be joined by ", " to one
        value; those of `Set-Cookie` may not.
        """
        key = _key(name)
        return [v.decode("latin-1") for n, v in self._raw if n.lower() == key]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _key(name) in self._first()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name, value in self._raw:
            yield name.decode("latin-1"), value.decode("latin-1")

    def __len__(self) -> int:
        return len(self._raw)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._by_name() == other._by_name()

    __hash__: ClassVar[None]  # type: ignore[assignment]  # it changes

    def _by_name(self) -> dict[bytes, list[bytes]]:
        values: dict[bytes, list[bytes]] = {}
        for name, value in self._raw:
            values.setdefault(name.lower(), []).append(value)
        return values

    def __repr__(self) -> str:
        shown = [(n, "***" if n.lower() in _SECRETS else v) for n, v in self]
        return f"Headers({shown!r})"

    # Writing

    def add(self, name: str, value: str) -> None:
        """Add a field at the end, whether or not there is one of that name."""
        self._raw.append(_encode(name, value))
        self._index = None

    def set(self, name: str, value: str) -> None:
        """Give `name` this one value, in the place of the first that it has."""
        pair = _encode(name, value)
        key = pair[0].lower()
        places = [i for i, (n, _) in enumerate(self._raw) if n.lower() == key]
        if not places:
            self._raw.append(pair)
        else:
            self._raw[places[0]] = pair
            for place in reversed(places[1:]):
                del self._raw[place]
        self._index = None

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def setdefault(self, name: str, value: str) -> str:
        """Add a field unless there is one of that name; returns the first value."""
        found = self.get(name)
        if found is not None:
            return found
        self.add(name, value)
        return value

    def __delitem__(self, name: str) -> None:
        """Take out all fields called `name`; raises KeyError if there is none."""
        key = _key(name)
        rest = [pair for pair in self._raw if pair[0].lower() != key]
        if len(rest) == len(self._raw):
            raise KeyError(name)
        self._raw = rest
        self._index = None


def _key(name: str) -> bytes:
    # No name has a question mark, so what is not Latin-1 finds nothing.
    return name.lower().encode("latin-1", "replace")


def _encode(name: str, value: str) -> tuple[bytes, bytes]:
    try:
        return name.encode("latin-1"), value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(
            f"header {name!r} cannot be sent with the value {value!r}: only "
            f"characters of Latin-1 can. Encode others, as urllib.parse.quote does"
        ) from None
    except AttributeError:
        raise TypeError(
            f"a header is two strings, not {name!r} and {value!r}. Write: "
            f"str(value), or Headers.from_raw for pairs of bytes"
        ) from None
