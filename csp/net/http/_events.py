"""Server-sent events: a response that goes on as long as something happens.

The format is that of the HTML standard, section 9.2.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing, asynccontextmanager, nullcontext
from typing import Any

import anyio
import anyio.lowlevel
import attrs

from csp._ends import Receives
from csp._errors import ChannelBroken, EndOfChannel, WouldBlock
from csp._flow import merge
from csp._handles import Receiver
from csp._operation import CLOSED, recv
from csp._select import select
from csp._stop import stopping
from csp._timer import after

from ._headers import Headers, HeadersLike
from ._message import Response

_log = logging.getLogger("csp.net.http")


@attrs.frozen
class Event:
    """One event.  A str in its place is an event that has nothing but data."""

    data: str | None = None
    """What the event says, of any number of lines.  None: it is none for the page, only
    what is said by the others below."""
    event: str | None = None
    """What kind it is; the browser's default is "message"."""
    id: str | None = None
    """What the browser says it has seen last, when it connects again."""
    retry: float | None = None
    """Seconds after which the browser is to connect again."""

    def encode(self) -> bytes:
        """Return it as it is sent.

        Raises:
            ValueError: There is a line break where none can be, or a NUL in the id, or
                no time in `retry`.
        """
        lines: list[str] = []
        for name, value in (("event", self.event), ("id", self.id)):
            if value is not None:
                if set(value) & set("\r\n" if name == "event" else "\r\n\0"):
                    raise ValueError(f"{value!r} cannot be the {name} of an event")
                lines.append(f"{name}: {value}")
        if self.retry is not None:
            if not 0 <= self.retry < math.inf:
                raise ValueError(f"retry must be 0 or more seconds, not {self.retry!r}")
            lines.append(f"retry: {self.retry * 1000:.0f}")
        if self.data is not None:
            text = self.data.replace("\r\n", "\n").replace("\r", "\n")
            lines += [f"data: {line}" for line in text.split("\n")]
        return ("\n".join(lines) + "\n\n").encode()


def events(
    source: AsyncIterable[Event | str] | AsyncIterable[Event] | AsyncIterable[str],
    *,
    keep_alive: float = 15.0,
    headers: HeadersLike = None,
) -> Response:
    """Answer with events, as they come out of a channel or an async iterable.

        async def handler(request: Request) -> Response:
            return events(prices.subscribe(10))

    The header goes out at once.  The response ends when the source does, or when the
    server is to stop, after what is in the source's buffer then; a browser connects
    again.  At the end, however it comes, a handle or an async generator that was the
    source is closed.  An event that was on its way when the client went is lost.

    Args:
        source: What happens: a `Receiver`, a `Channel`, or any async iterable.
        keep_alive: Seconds of silence after which a comment is sent, so that nobody in
            between takes the connection for dead; `math.inf` for never.
        headers: More header fields.
    """
    if not isinstance(source, AsyncIterable):
        raise TypeError(f"events takes a channel or an async iterable, not {source!r}")
    if isinstance(keep_alive, bool) or not isinstance(keep_alive, (int, float)):
        raise TypeError(f"keep_alive must be a number of seconds, not {keep_alive!r}")
    if not keep_alive > 0:
        raise ValueError(f"keep_alive must be above 0 seconds, not {keep_alive!r}")
    fields = Headers(headers)
    fields.setdefault("Content-Type", "text/event-stream")
    fields.setdefault("Cache-Control", "no-cache")
    return Response(200, _opened(source, keep_alive), fields)


@asynccontextmanager
async def _opened(
    source: Any, keep_alive: float
) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
    """Receive from the source in a block, and close what there is to close."""
    handle = source if isinstance(source, Receiver) else nullcontext()
    is_channel = isinstance(source, Receives)
    block = nullcontext(source) if is_channel else merge(source, on_undelivered=_lost)
    with handle:
        async with block as rx, aclosing(_encoded(rx, keep_alive)) as pieces:
            yield pieces


def _lost(event: object) -> None:
    _log.debug("an event came too late to be sent: %r", event)


async def _encoded(rx: Any, keep_alive: float) -> AsyncGenerator[bytes, None]:
    """Receive events until they end, or a stop is requested; yield them as bytes."""
    yield b""  # which sends the header
    wait = {"stop": stopping(), "event": recv(rx), "silence": after(keep_alive)}
    while True:
        try:
            which, event = await select(priority=True, **wait)
        except ChannelBroken:  # the task that asks a generator was cancelled
            await anyio.lowlevel.checkpoint()  # as most likely this one is
            raise
        if which == "stop" or event is CLOSED:
            break
        yield b":\n\n" if which == "silence" else _encode(event)
    for _ in range(len(rx)):
        try:
            yield _encode(rx.receive_nowait())
        except (EndOfChannel, WouldBlock):  # others receive from it too
            break


def _encode(event: object) -> bytes:
    if isinstance(event, Event):
        return event.encode()
    if isinstance(event, str):
        return Event(event).encode()
    raise TypeError(f"events sends str and Event, not {event!r}")
