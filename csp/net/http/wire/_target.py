"""Where a request goes: the target of its first line, and Host."""

from __future__ import annotations

import re
from functools import lru_cache

from ._events import Refused

# RFC 3986's reg-name but for the comma, which is how two Hosts look once joined; or an
# IPv6 address, roughly.  A port may be empty.
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+|\[(?=[^]]*:[^]]*:)[0-9A-Fa-f:.]{2,45}\])"
    r"(?::[0-9]{0,5})?"
)
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?]*)(.*)")
_LARGEST_PORT = 65_535
_HOST_LENGTH = 300  # DNS has 253 at most


@lru_cache(256)
def authority(host: bytes) -> str:
    """Return what a Host field says; raises Refused if it is no host and port.

    It remembers, as most requests are for the few hosts that a server has.
    """
    return _checked(host.decode("latin-1"))


def _checked(host: str) -> str:
    if len(host) > _HOST_LENGTH or not _HOST.fullmatch(host):
        shown = host[:_HOST_LENGTH]
        raise Refused(400, f"Host must be one host and perhaps a port, not {shown!r}")
    port = host.rpartition(":")[2]
    if port.isdigit() and ":" in host and int(port) > _LARGEST_PORT:
        raise Refused(400, f"there is no port {port}, as in Host {host!r}")
    return host


def divide(method: str, target: str) -> tuple[str, str]:
    """Divide a target that is no path into authority, which may be "", and the rest."""
    if target == "*" and method == "OPTIONS":
        return "", "*"
    if method == "CONNECT":
        return _checked(target), ""
    absolute = _ABSOLUTE.fullmatch(target)
    if not absolute:
        raise Refused(400, f"{target!r} is no target for {method}", method)
    host, rest = absolute.groups()
    if not rest:
        rest = "*" if method == "OPTIONS" else "/"
    return _checked(host), rest if rest[0] != "?" else "/" + rest
