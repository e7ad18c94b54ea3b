"""Where lines of a log go, and what may be in them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TextIO, TypeAlias

Write: TypeAlias = Callable[[str], None]

LOGGER = logging.getLogger("csp.net.http.access")

_CONTROLS = {*range(32), *range(127, 160)} - {ord("\t")}
_ESCAPES = {code: f"\\x{code:02x}" for code in _CONTROLS}
_ESCAPES |= {code: f"\\u{code:04x}" for code in (0x2028, 0x2029)}


def writer(out: TextIO | None, where: str) -> Write:
    """Return a function that writes a line: to a stream, or to the logger.

    A line that cannot be written makes no request fail: that is as in `logging`.
    """
    if out is None:
        return _to_logger
    if not hasattr(out, "write"):
        raise TypeError(
            f"{where} writes to a text stream, not to {out!r}. Write: "
            f"{where}()(handler)"
        )
    stream = logging.StreamHandler(out)

    def write(line: str) -> None:
        stream.handle(logging.makeLogRecord({"msg": line}))

    return write


def _to_logger(line: str) -> None:
    LOGGER.info("%s", line)


def is_on(out: TextIO | None) -> bool:
    """Tell whether anybody reads the lines."""
    return out is not None or LOGGER.isEnabledFor(logging.INFO)


def one_line(text: str) -> str:
    """Return text with its control characters escaped, so that it is one line."""
    return text if text.isprintable() else text.translate(_ESCAPES)
