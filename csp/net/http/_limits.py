"""How much, how long and how many: what a server puts up with."""

from __future__ import annotations

from typing import Any

import attrs

from csp._check import check_count


def _count(least: int) -> Any:
    def check(_: Any, field: attrs.Attribute[Any], value: object) -> None:
        check_count(field.name, value, least, bounded=False)

    return check


def _seconds(_: Any, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{field.name} must be a number, not {value!r}")
    if not value >= 0:
        raise ValueError(f"{field.name} must be 0 or more, not {value!r}")


@attrs.frozen(kw_only=True)
class Limits:
    """The limits of an HTTP server; `math.inf` is none.

        await serve(handler, ":8080", limits=Limits(body_bytes=10**9, idle_timeout=5))

    Times are in seconds and sizes in bytes.
    """

    connections: int = attrs.field(default=10_000, validator=_count(1))
    """Connections at once.  More wait in the kernel's queue."""
    requests: int = attrs.field(default=1_000, validator=_count(1))
    """Requests in a handler at once."""
    queue: int = attrs.field(default=1_000, validator=_count(0))
    """Requests that may wait for that; one more is answered 503, with `Retry-After`."""
    target_bytes: int = attrs.field(default=8_192, validator=_count(1))
    """Of a request's target; else 414."""
    header_bytes: int = attrs.field(default=65_536, validator=_count(1))
    """Of all header fields together; else 431."""
    header_count: int = attrs.field(default=100, validator=_count(1))
    """Header fields; else 431."""
    body_bytes: int | float = attrs.field(default=16 * 2**20, validator=_count(0))
    """Of a request's body; else 413."""
    handshake_timeout: float = attrs.field(default=10.0, validator=_seconds)
    """For TLS to be agreed upon."""
    header_timeout: float = attrs.field(default=10.0, validator=_seconds)
    """From the first byte of a request, or from the beginning of a connection, until
    its header is complete; else 408."""
    idle_timeout: float = attrs.field(default=60.0, validator=_seconds)
    """Between requests."""
    min_rate: float = attrs.field(default=240.0, validator=_seconds)
    """Bytes a second, in either direction, while the server waits for the client."""
    rate_grace: float = attrs.field(default=5.0, validator=_seconds)
    """Over how many seconds that is measured."""
    linger: float = attrs.field(default=1.0, validator=_seconds)
    """How long to wait for the client to close first: after the last response, and when
    idle while the server stops."""
    lame_duck: float = attrs.field(default=0.0, validator=_seconds)
    """Seconds from a stop request on in which `readiness` says no, and that is all.  Of
    the time until the cut it leaves 2 seconds to drain in, or half if that is less."""
