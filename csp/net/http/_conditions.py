"""Whether a request is to be answered in full: RFC 9110, section 13.

The fields are looked at in the order that section 13.2.2 says.  Times are in whole
seconds, as the fields know no others; a date that is malformed is as none.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_tz

from ._errors import PreconditionFailed
from ._headers import Headers

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_SAFE = ("GET", "HEAD")


def check(headers: Headers, method: str, etag: str, modified: int) -> bool:
    """Tell whether to send the thing itself; False if the client has it: 304.

    Args:
        headers: Those of the request.
        method: Its method.
        etag: Of what there is, quoted, and marked if it is weak.
        modified: When that was changed, in seconds since 1970.

    Raises:
        PreconditionFailed: It is not what the client supposes.
    """
    if "if-match" in headers:
        if not _names(headers, "if-match", etag, weak=False):
            raise PreconditionFailed("If-Match does not name what there is")
    elif modified > _date(headers.get("if-unmodified-since"), math.inf):
        raise PreconditionFailed("it has been changed since If-Unmodified-Since")
    if "if-none-match" in headers:
        if not _names(headers, "if-none-match", etag, weak=True):
            return True
        if method not in _SAFE:
            raise PreconditionFailed("If-None-Match names what there is")
        return False
    since = _date(headers.get("if-modified-since"), -math.inf)
    return method not in _SAFE or modified > since


def still_valid(headers: Headers, etag: str, modified: int) -> bool:
    """Tell whether a range is of what the client has the rest of: `If-Range`."""
    field = headers.get("if-range")
    if field is None:
        return True
    if field.startswith(('"', "W/")):
        return field == etag and not etag.startswith("W/")
    return _date(field, math.nan) == modified


def _names(headers: Headers, name: str, etag: str, *, weak: bool) -> bool:
    """Tell whether a list of tags, or "*", names `etag`."""
    field = ", ".join(headers.get_all(name))
    if field.strip(" \t") == "*":
        return True
    tags = _ETAG.findall(field)
    if not weak:
        return etag in tags and not etag.startswith("W/")
    return etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]


def _date(field: str | None, default: float) -> float:
    """Return a date in seconds since 1970, or `default` if it is none."""
    parsed = parsedate_tz(field or "")
    if parsed is None or parsed[9]:  # GMT, or no zone at all in the form of asctime
        return default
    try:
        return datetime(*parsed[:6], tzinfo=UTC).timestamp()
    except ValueError:
        return default
