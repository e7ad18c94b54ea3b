"""Where n workers draw their items from: a channel, an iterable or an async iterable.

Each worker draws for itself, so no item is ever in the hands of a task that only passes
it on, where a cancellation would lose it.  `stop` ends the drawing and nothing else:
who has drawn an item keeps it, and who waits for one draws none.

Where the order matters, an item gets a slot as it is drawn, and the slot a place in a
channel.  If there is no room, the slot itself stands in the queue of senders there.  So
nothing comes between, and its worker need not wait for room before it works.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar

import anyio

from ._channel import Channel
from ._ends import Receives
from ._errors import ChannelClosed, EndOfChannel, WouldBlock
from ._handles import Tap
from ._operation import begin
from ._park import Loop, Waiter, current, uninterrupted
from ._queue import join
from ._state import UNBOUND, shut

T = TypeVar("T")

Source: TypeAlias = Receives[T] | Iterable[T] | AsyncIterable[T]


class Slot(Generic[T]):
    """An item, its place in the order of the source, and what becomes of it."""

    __slots__ = ("done", "error", "item", "op", "value", "waiter")

    item: T
    value: Any
    error: BaseException | None
    waiter: Waiter | None
    """That of the worker until the slot is in the channel, then that of who took it."""

    def __init__(self, item: Any) -> None:
        self.item = item
        self.done = False
        self.op: object = None  # see Waiter; None until the slot is in the channel
        self.error = self.waiter = None

    @uninterrupted
    def line_up(self, order: Channel[Slot[T]]) -> None:
        """Take the next place in a channel, or in the queue before it."""
        state = order._state
        if state.offer(self):
            self.op = order
        else:
            state.senders = join(state.senders, self, (self, self, order, self))  # type: ignore[arg-type]

    def match(self, op: object, value: object) -> bool:
        """Come into the channel."""
        self.op = op
        if self.waiter is not None:
            self.wake()
        return True

    def fill(self) -> None:
        """Say that the item is done with."""
        self.done = True
        if self.waiter is not None:
            self.wake()

    def wake(self) -> None:
        """Wake who waits for this slot."""
        if self.waiter is not None and self.waiter.claim(self):
            self.waiter.wake(None)

    @uninterrupted
    async def wait(self) -> None:
        """Wait for the slot: as its worker for room, or else until it is filled."""
        loop = current()
        waiter = self.waiter = loop.waiter_class(loop)
        try:
            await waiter.sleep()
        except BaseException as error:
            waiter.rescue(error)


class Draw(Generic[T]):
    """How workers draw items from a source.  `EndOfChannel` says that it has ended."""

    def __init__(self) -> None:
        self.stopped = False

    def stop(self) -> None:
        """Let nobody draw any more."""
        self.stopped = True

    async def take(self) -> T:
        """Draw the next item."""
        raise NotImplementedError

    async def take_slot(self, order: Channel[Slot[T]]) -> Slot[T]:
        """Draw the next item into a slot, which lines up before anybody else draws."""
        slot: Slot[T] = Slot(await self.take())
        slot.line_up(order)
        return slot

    async def aclose(self) -> None:
        """Close the iterator, if it was made here and can be closed."""


class _FromIterable(Draw[T]):
    def __init__(self, source: Iterable[T]) -> None:
        super().__init__()
        self._iterator = iter(source)
        self._loop: Loop = UNBOUND

    async def take(self) -> T:
        loop = self._loop
        if loop.budget <= 0:
            loop = self._loop = current()
            if loop.budget <= 0:
                await loop.checkpoint()
        loop.budget -= 1
        if not self.stopped:
            try:
                for item in self._iterator:
                    return item
            except EndOfChannel as error:
                raise _stray(error) from error
        raise EndOfChannel


class _InTurns(Draw[T]):
    """Draws for which one may have to wait, and so must wait for one's turn first."""

    def __init__(self) -> None:
        super().__init__()
        self._turn: Channel[None] = Channel(1)  # an item in it: somebody's turn

    async def _draw(self) -> T:
        raise NotImplementedError

    async def take(self) -> T:
        await self._turn.send(None)
        try:
            return await self._draw()
        finally:
            self._turn.receive_nowait()

    async def take_slot(self, order: Channel[Slot[T]]) -> Slot[T]:
        await self._turn.send(None)
        try:
            slot: Slot[T] = Slot(await self._draw())
            slot.line_up(order)
            return slot
        finally:
            self._turn.receive_nowait()


class _FromAsyncIterable(_InTurns[T]):
    def __init__(self, source: AsyncIterable[T]) -> None:
        super().__init__()
        self._iterator = aiter(source)
        self._ours = self._iterator is not source
        self._scope: anyio.CancelScope | None = None

    def stop(self) -> None:
        super().stop()
        if self._scope is not None:
            self._scope.cancel()

    async def _draw(self) -> T:
        if not self.stopped:
            try:
                with anyio.CancelScope() as self._scope:
                    return await anext(self._iterator)
            except StopAsyncIteration:
                pass
            except EndOfChannel as error:
                raise _stray(error) from error
            finally:
                self._scope = None
        self.stopped = True
        raise EndOfChannel

    async def aclose(self) -> None:
        if self._ours and hasattr(self._iterator, "aclose"):
            await self._iterator.aclose()


class _FromChannel(_InTurns[T]):
    def __init__(self, source: Receives[T]) -> None:
        super().__init__()
        self._source = source
        self._tap: Tap[T] = Tap(source._state)

    def stop(self) -> None:
        super().stop()
        self._tap.close()

    def _check(self) -> None:
        """Raise if the handle that was given as the source has been closed."""
        if self.stopped:
            raise EndOfChannel
        state = self._source._state
        if state.real is not state:
            raise shut(state.real)

    async def _draw(self) -> T:
        self._check()
        try:
            return await self._tap.receive()
        except ChannelClosed:
            if self.stopped:
                raise EndOfChannel from None
            raise

    async def take(self) -> T:
        # Without turns: those who wait are served in the order in which they came.
        return await self._draw()

    async def take_slot(self, order: Channel[Slot[T]]) -> Slot[T]:
        await begin()
        self._check()
        if not len(self._turn):  # nobody waits: what is there can be had at once
            try:
                slot: Slot[T] = Slot(self._tap.receive_nowait())
            except (WouldBlock, EndOfChannel, ChannelClosed):
                pass
            else:
                slot.line_up(order)
                return slot
        return await super().take_slot(order)


def _stray(error: EndOfChannel) -> RuntimeError:
    """Return what to raise for an end that is not the source's own."""
    return RuntimeError(f"the source raised {error!r}")


def draw_from(source: Source[T], user: str) -> Draw[T]:
    """Return how to draw from `source`; raises TypeError if that cannot be done."""
    if isinstance(source, Receives):
        return _FromChannel(source)
    if isinstance(source, AsyncIterable):
        return _FromAsyncIterable(source)
    if isinstance(source, Iterable):
        return _FromIterable(source)
    raise TypeError(
        f"{user} takes a channel, a Receiver, an iterable or an async iterable, not "
        f"{source!r}"
    )
