"""Hosts: which of those that are registered a request is for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache


@lru_cache(1024)
def name_of(host: str) -> str:
    """Return a host as patterns have it: in lower case, and without its port.

    An IPv6 address has colons of its own; the last dot of a full name says nothing.
    """
    name, colon, port = host.rpartition(":")
    if not colon or (port and not port.isdigit()) or (":" in name and name[-1] != "]"):
        name = host
    return name.lower().removesuffix(".")


def candidates(host: str) -> Iterator[str]:
    """Yield the hosts of patterns that match one, the most specific first.

    assert [*candidates("a.b.c")] == ["a.b.c", "*.b.c", "*.c", ""]
    """
    name = name_of(host)
    if name:
        yield name
    dot = name.find(".")
    while dot >= 0:
        yield "*" + name[dot:]
        dot = name.find(".", dot + 1)
    yield ""
