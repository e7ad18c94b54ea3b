"""Stages that make several results of one item, or one of several.

What goes in and what comes out differ in number then; `extra` says by how many.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Awaitable, Callable
from inspect import isasyncgen
from time import perf_counter
from types import AsyncGeneratorType
from typing import Any

import anyio

from ._channel import Channel
from ._errors import EndOfChannel
from ._handles import Sender
from ._stages import Stage, as_failure
from ._state import END


class Several(Channel[Any]):
    """A place for several results."""

    __slots__ = ()

    def break_off(self) -> None:
        """Tell who puts them there that nobody wants them."""
        self.receiver().close()


class FlatMap(Stage):
    """A stage of which comes everything that is in what its function returns."""

    _finished = 0

    @property
    def extra(self) -> int:
        return self.made - self._finished

    def _make_place(self) -> Several:
        return Several(max(1, self._step.buffer))

    async def _process(self, item: Any, out: Any) -> None:
        """Send what is in what the function returns, and be done with the item.

        If the stage is stopped, that ends half-way, since it might have no end.
        """
        values: Any = None
        draw: Callable[[], Awaitable[Any]] | None = None
        try:
            while not self.before.receiver.closed:
                began = perf_counter()
                try:
                    if draw is None:
                        values = self._fn(item)
                        if hasattr(values, "__await__"):
                            values = await values
                        draw = _draw_from(values)
                    result = await draw()
                except BaseException as error:
                    await self._fail(item, as_failure(error))
                    return
                finally:
                    self.seconds += perf_counter() - began
                if result is END:
                    self._finished += 1
                    return
                await out.send(result)
                self.made += 1
            self.before.unfinished.append(item)
        except BaseException:
            # What was not sent is not left anywhere: the item is, and can make it anew.
            self.before.unfinished.append(item)
            raise
        finally:
            if isasyncgen(values):
                await self._close(values)

    async def _close(self, values: AsyncGeneratorType[Any, Any]) -> None:
        try:
            await values.aclose()
        except Exception as error:
            error.add_note(f"in {self.name}, closing what the function returned")
            self._stop_at(self, error)

    async def _empty(self, place: Any, out: Sender[Any]) -> None:
        async for result in place:
            try:
                await out.send(result)
            except BaseException:
                self.behind.unsent.append(result)
                raise


def _draw_from(values: Any) -> Callable[[], Awaitable[Any]]:
    """Return what gives the next of some values each time, and END after the last."""
    if isinstance(values, AsyncIterable):
        source = aiter(values)
        return lambda: anext(source, END)
    iterator = iter(values)

    async def draw() -> Any:
        return next(iterator, END)

    return draw


class Batch(Stage):
    """A stage of which come lists of items."""

    _finished = 0

    @property
    def extra(self) -> int:
        return self.made - self._finished

    async def _work(self, out: Sender[Any]) -> None:
        items: list[Any] = []
        batch: list[Any] = []
        try:
            more = True
            while more:
                more = await self._collect(items)
                if items:
                    self.made += 1
                    self._finished += len(items)
                    batch, items = items, []
                    await out.send(batch)
                    batch = []
        finally:
            self.before.unfinished += items
            if batch:
                self.behind.unsent.append(batch)

    async def _collect(self, items: list[Any]) -> bool:
        """Take the items of a batch; returns whether there may be more after them."""
        within = self._step.within
        try:
            items.append(await self.take())
            deadline = math.inf if within is None else anyio.current_time() + within
            with anyio.CancelScope(deadline=deadline):
                while len(items) < self._step.size:
                    items.append(await self.take())
        except EndOfChannel:
            return False
        return True
