"""How items come into a pipeline: drawn by its first workers, or brought by a task.

From a channel or an iterable the workers of the first stage draw for themselves: an
item is taken only when there is somebody to work on it.

An async iterable is read by a task of its own, from beginning to end and in one cancel
scope.  So a generator may yield inside a cancel scope or a task group; and a wait for
the next item can be given up, which would end a generator, only when no more is wanted.

Either is told to stop, and then brings no more; what has been taken goes its way.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from inspect import isasyncgen
from typing import Any

import anyio

from ._ends import Receives
from ._errors import EndOfChannel
from ._handles import Sender
from ._sources import draw_from
from ._stages import as_failure
from ._state import END, NOTHING, Mark


def is_read_by_a_task(source: object) -> bool:
    """Tell which of the two it is."""
    return isinstance(source, AsyncIterable) and not isinstance(source, Receives)


class Drawn:
    """A source that workers draw from.  An error in it has been told when it ends."""

    def __init__(self, source: Any, fail: Callable[[Exception], None]) -> None:
        self.taken = 0
        self._draw = draw_from(source, "pipeline")
        self._fail = fail

    def stop(self) -> None:
        """Let nothing more be taken."""
        self._draw.stop()

    async def take(self) -> Any:
        """Take the next item; raises EndOfChannel if there is none."""
        try:
            item = await self._draw.take()
        except EndOfChannel:
            self.stop()  # also if an iterator could go on
            raise
        except BaseException as error:
            self._fail(as_failure(error))
            raise EndOfChannel from None
        self.taken += 1
        return item


class Read:
    """A source that a task reads and sends into the first line."""

    def __init__(self, source: Any, fail: Callable[[Exception], None]) -> None:
        self.taken = 0
        self.unsent: list[Any] = []
        self._source = source
        self._fail = fail
        self._stopped = self._waiting = False
        self._scope = anyio.CancelScope()

    def stop(self) -> None:
        """Let nothing more be taken."""
        self._stopped = True
        if self._waiting:
            self._scope.cancel()

    async def run(self, out: Sender[Any]) -> None:
        """Read to the end, or until it is stopped."""
        try:
            items = aiter(self._source)
        except Exception as error:
            self._fail(error)
            return
        item: Any = NOTHING
        try:
            with self._scope:
                try:
                    while (item := await self._next(items)) is not END:
                        await out.send(item)
                        item = NOTHING
                finally:
                    await self._close(items)
            if type(item) is not Mark:
                await out.send(item)
                item = NOTHING
        finally:
            if type(item) is not Mark:
                self.unsent.append(item)

    async def _next(self, items: AsyncIterator[Any]) -> Any:
        if self._stopped:
            return END
        try:
            self._waiting = True
            try:
                item = await anext(items, END)
            finally:
                self._waiting = False
        except BaseException as error:
            self._fail(as_failure(error))
            return END
        self.taken += item is not END
        return item

    async def _close(self, items: Any) -> None:
        """Close a generator, and what was made here; not a stream of somebody else."""
        ours = items is not self._source
        if isasyncgen(items) or (ours and hasattr(items, "aclose")):
            try:
                await items.aclose()
            except Exception as error:
                self._fail(error)
