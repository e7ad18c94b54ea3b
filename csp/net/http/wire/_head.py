"""From the bytes of a head to a Head.

llhttp, under httptools, reads header lines fast and strictly.  It is less good with the
rest: it knows a fixed set of methods and versions, leaves Host to others, takes
`identity, chunked` for a body's coding, changes its mind about framing when it sees
Upgrade, and goes on to whatever it takes for the next request.  It also has no limits.

So it is given the one thing that it does well.  The caller finds the empty line that
ends the head, and hands over exactly the bytes up to there.  The first line is read
here, and llhttp gets one in its place that never differs.  Each head has a parser of
its own, which costs next to nothing, and never sees a body, another request, or an end
of data: what it makes of `Connection: close` or of Upgrade has no consequences.  Then
all that says where a request ends is decided from its fields, here, once.

Why nothing can be smuggled; that is, why there are no two readings of where a request
ends.

* The end of the head.  llhttp refuses CR without LF, LF without CR, and lines that
  begin with white space.  So lines end at CRLF and nowhere else, and the first empty
  one is where the caller found it.  To be sure, the fields that come out are counted:
  they are as many as there were lines.
* The end of the body.  Fields of the same name are joined with commas first, as in RFC
  9110 5.3.  Then Content-Length is digits and nothing else, and Transfer-Encoding is
  `chunked` and nothing else, and not both: whatever somebody may read into a second
  value, a list, or an odd spelling, here it is refused and the connection closed.
* The end of values.  llhttp leaves white space there.  It is taken off before anybody
  compares; that is space and tab only.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

import httptools

from csp.net.http._headers import Headers, RawHeaders

from ._events import HTTP_1_0, HTTP_1_1, Head, Limits, Refused, Version
from ._grammar import TOKEN
from ._target import authority, divide

_ANY_LINE = b"GET / HTTP/1.1\r\n"  # what llhttp reads in place of the first line

METHOD_BYTES: Final = 64  # a longer method is nobody's
_METHODS = {
    name.encode(): name
    for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "QUERY")
}
_VERSION = re.compile(rb"HTTP/([0-9])\.[0-9]")
_LARGEST_LENGTH = 2**63 - 1


def read_head(head: bytes, limits: Limits) -> Head:
    """Read all from the first line's first byte up to the empty line's end."""
    line, _, lines = head.partition(b"\r\n")
    method, target, version = read_first_line(line, limits)
    if len(lines) - 2 > limits.header_bytes:
        raise too_many(limits)
    read = _recall if len(lines) <= _SHORT else _understand
    said = read(lines, version)
    if len(said.raw) > limits.header_count:
        raise too_many(limits)
    length, host = said.length, said.host
    if length and length > limits.body_bytes:
        raise too_large(limits)
    path_and_query = target
    if target[0] != "/" or method == "CONNECT":
        named, path_and_query = divide(method, target)
        host = named or host  # RFC 9112 3.2.2
    return Head(
        method,
        target,
        path_and_query,
        version,
        Headers.from_raw(said.raw.copy(), said.by_name),
        host,
        length,
        said.keep_alive,
        said.expects_continue,
    )


class _Said(NamedTuple):
    """What the lines after the first one say, whatever the limits."""

    raw: RawHeaders
    by_name: dict[bytes, bytes] | None
    host: str
    length: int | None
    keep_alive: bool
    expects_continue: bool


def _understand(lines: bytes, version: Version) -> _Said:
    raw = read_fields(lines)
    fields = {name.lower(): value for name, value in raw}
    index: dict[bytes, bytes] | None = fields
    if len(fields) != len(raw):
        index, fields = None, _joined(raw)
    host = _host(fields.get(b"host"), version)
    length: int | None = 0
    if (coding := fields.get(b"transfer-encoding")) is not None:
        _check_coding(coding, version, fields)
        length = None
    elif (size := fields.get(b"content-length")) is not None:
        length = _length(size)
    keep_alive = version is HTTP_1_1
    if (options := fields.get(b"connection")) is not None:
        keep_alive = _keep_alive(options, keep_alive)
    expects = False
    if (expectation := fields.get(b"expect")) is not None and version is HTTP_1_1:
        expects = _expects_continue(expectation) and length != 0
    return _Said(raw, index, host, length, keep_alive, expects)


# Clients repeat themselves: from one request on a connection to the next little changes
# but the first line.
_SHORT = 1024
_recall = lru_cache(256)(_understand)


# The first line


def read_first_line(line: bytes, limits: Limits) -> tuple[str, str, Version]:
    """Return method, target and version of a request's first line, without its CRLF."""
    try:
        name, rest, protocol = line.split(b" ")
        target = rest.decode("ascii")
    except ValueError:
        raise _malformed(line) from None
    method = _METHODS.get(name) or _rare_method(name, line)
    if method in limits.unsupported_methods:
        raise Refused(501, f"{method} is not implemented", method)
    version = HTTP_1_1 if protocol == b"HTTP/1.1" else _rare_version(protocol, line)
    if len(target) > limits.target_bytes:
        raise too_long(limits, method)
    if not target or not target.isprintable() or "#" in target:
        raise _malformed(line)
    return method, target, version


def too_long(limits: Limits, method: str | None = None) -> Refused:
    limit = limits.target_bytes
    return Refused(414, f"the target is longer than {limit} bytes", method)


def _rare_method(name: bytes, line: bytes) -> str:
    if not TOKEN.fullmatch(name):
        raise _malformed(line)
    method = name.decode("ascii")
    if len(method) > METHOD_BYTES:
        raise Refused(501, "no method so long is implemented", method)
    return method


def _rare_version(protocol: bytes, line: bytes) -> Version:
    if protocol == b"HTTP/1.0":
        return HTTP_1_0
    match = _VERSION.fullmatch(protocol)
    if not match:
        raise _malformed(line)
    if match[1] != b"1":
        raise Refused(505, f"{protocol.decode()} is not spoken here, but HTTP/1.1 is")
    return HTTP_1_1


def _malformed(line: bytes) -> Refused:
    shown = line if len(line) <= 80 else line[:80] + b"..."  # noqa: PLR2004
    return Refused(400, f"{shown.decode('latin-1')!r} is no HTTP/1.1 request line")


# The fields


class _Fields(list[tuple[bytes, bytes]]):
    """What httptools calls with each field."""

    __slots__ = ()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.append((name, value))


def read_fields(lines: bytes) -> RawHeaders:
    """Read header or trailer lines, with the empty line at their end."""
    count = lines.count(b"\r\n") - 1
    raw: RawHeaders = _Fields()
    try:
        httptools.HttpRequestParser(raw).feed_data(_ANY_LINE + lines)
    except httptools.HttpParserUpgrade:
        pass  # the request is served as if it had not asked
    except httptools.HttpParserError as error:
        raise Refused(400, f"malformed header fields: {error}") from None
    if len(raw) != count:
        raise Refused(400, "malformed header fields")
    if b" \r\n" in lines or b"\t" in lines:
        raw = [(name, value.rstrip(b" \t")) for name, value in raw]
    return raw


def too_many(limits: Limits) -> Refused:
    return Refused(
        431,
        f"there are more than {limits.header_count} header fields, "
        f"or {limits.header_bytes} bytes of them",
    )


def _joined(raw: RawHeaders) -> dict[bytes, bytes]:
    """Return the fields by name, those that are repeated as the list that they are."""
    fields: dict[bytes, bytes] = {}
    for name, value in raw:
        key = name.lower()
        fields[key] = fields[key] + b", " + value if key in fields else value
    return fields


# What they mean


def _host(field: bytes | None, version: Version) -> str:
    if field is not None:
        return authority(field)
    if version is HTTP_1_1:
        raise Refused(400, "a request in HTTP/1.1 needs a Host field")
    return ""


def _check_coding(coding: bytes, version: Version, fields: dict[bytes, bytes]) -> None:
    if version is HTTP_1_0:
        raise Refused(400, "there is no Transfer-Encoding in HTTP/1.0")
    if b"content-length" in fields:
        raise Refused(400, "both Content-Length and Transfer-Encoding")
    if coding.lower() != b"chunked":
        text = coding[:80].decode("latin-1")
        raise Refused(501, f"Transfer-Encoding can be chunked only, not {text!r}")


def _length(size: bytes) -> int:
    if not size.isdigit() or len(size) > 19 or int(size) > _LARGEST_LENGTH:  # noqa: PLR2004
        text = size[:80].decode("latin-1")
        raise Refused(400, f"Content-Length must be one decimal number, not {text!r}")
    return int(size)


def too_large(limits: Limits) -> Refused:
    return Refused(413, f"the body is larger than {limits.body_bytes} bytes")


@lru_cache(16)
def _keep_alive(options: bytes, default: bool) -> bool:
    given = {option.strip(b" \t") for option in options.lower().split(b",")}
    return b"close" not in given and (default or b"keep-alive" in given)


def _expects_continue(expectation: bytes) -> bool:
    if expectation.lower() != b"100-continue":
        text = expectation[:80].decode("latin-1")
        raise Refused(417, f"only 100-continue can be expected, not {text!r}")
    return True
