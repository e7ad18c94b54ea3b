"""n workers over one source: `each` for what they do, `map` for what they return.

One source, n receivers: the workers draw from it themselves.  For `map` they are also
the m senders of one channel, out of which the results come.  If the results are to be
in order, what goes into that channel is not the result but its slot, at the moment at
which the item is drawn, and whoever receives a slot that is still empty waits for it to
be filled.

A worker draws the next item once its slot is in that channel, and filled.  So no more
than `workers` slots wait to come into it, and the workers run ahead of whoever receives
by `workers` and the channel's capacity, in order or not.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, NoReturn, Self, TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from ._channel import Channel
from ._check import check_count, check_on_undelivered
from ._errors import EndOfChannel
from ._executors import brief
from ._group import Group, PrivateGroup
from ._park import current
from ._sources import Slot, Source, draw_from

T = TypeVar("T")
R = TypeVar("R")


async def each(
    fn: Callable[[T], Awaitable[Any]], source: Source[T], *, workers: int
) -> None:
    """Call `fn` with every item of a source, in several tasks, until it ends.

        async def main() -> None:
            async def show(n: int) -> None:
                print(n)

            await each(show, range(3), workers=2)

        csp.run(main)

    If `fn` raises, nothing more is drawn from the source, what has been drawn is
    finished, and then the error is raised, with a note that names the item; errors of
    several workers in a group.  What is left in a channel stays there.

    Args:
        fn: An async function of one item.
        source: A channel, a `Receiver`, an iterable or an async iterable.  An async
            generator is advanced by one task and then by another, so it must not yield
            inside a cancel scope or a task group.
        workers: How many calls run at once.
    """
    check_count("workers", workers, 1)
    _check_function("each", fn)
    draw = draw_from(source, "each")
    errors: list[Any] = []

    def stop(error: BaseException) -> None:
        errors.append(error)
        draw.stop()

    async def work() -> None:
        await checkpoint_if_cancelled()
        while not errors:
            try:
                item = await draw.take()
            except EndOfChannel:
                break
            except BaseException as error:  # the source's own
                if _is_fatal(error):
                    raise
                stop(_failure(error))
                break
            try:
                await fn(item)
            except BaseException as error:
                if _is_fatal(error):
                    raise
                stop(_explain(error, "each", fn, item))

    try:
        async with Group("each") as g:
            for _ in range(workers):
                g.go(work, name="each")
    finally:
        await draw.aclose()
    _raise_all(errors, "several calls of each failed")


class map(Generic[T, R]):  # noqa: A001 - Python's own, in several tasks
    """The results of `fn` for every item of a source, computed in several tasks.

        async def double(n: int) -> int:
            await anyio.sleep(0.1)
            return 2 * n

        async def main() -> None:
            async with map(double, range(3), workers=3) as results:
                async for n in results:
                    print(n)

        csp.run(main)

    If `fn` raises, the error comes out of the iteration, with a note that names the
    item; when results are in order, in its place among them.  So does an error of the
    source.  One may go on iterating after it.  Leaving the block cancels what is still
    computed; what is left in a channel stays there.

    Args:
        fn: An async function of one item.
        source: A channel, a `Receiver`, an iterable or an async iterable.  An async
            generator is advanced by one task and then by another, so it must not yield
            inside a cancel scope or a task group; and to close it when the block is
            left early is up to who made it, with `contextlib.aclosing`.
        workers: How many calls run at once.
        ordered: Whether results come in the order of their items, or as they are ready.
        buffer: How many results may wait to be received, before the next call begins.
        on_undelivered: Called, when the block ends, with each item that was drawn from
            the source and whose result was not received.
    """

    def __init__(
        self,
        fn: Callable[[T], Awaitable[R]],
        source: Source[T],
        *,
        workers: int,
        ordered: bool = True,
        buffer: int | float = 64,
        on_undelivered: Callable[[T], None] | None = None,
    ) -> None:
        check_count("workers", workers, 1)
        check_count("buffer", buffer, 0, bounded=False)
        _check_function("map", fn)
        if on_undelivered is not None:
            check_on_undelivered(on_undelivered)
        self._fn = fn
        self._workers = workers
        self._ordered = ordered
        self._draw = draw_from(source, "map")
        self._slots: Channel[Slot[T]] = Channel(buffer, name="results of map")
        self._on_undelivered = on_undelivered
        self._drawn: dict[Slot[T], None] = {}  # and not received, if that is asked for
        self._group: PrivateGroup | None = None

    def __aiter__(self) -> NoReturn:
        raise TypeError(
            "map is a block: write async with map(...) as results: async for result in "
            "results: ..."
        )

    async def __aenter__(self) -> AsyncIterator[R]:
        if self._group is not None:
            raise RuntimeError("a map can be entered only once: make another")
        self._group = PrivateGroup("map")
        self._slots._state.bind(current())
        await self._group.__aenter__()
        self._left = self._workers
        for _ in range(self._workers):
            self._group.go(self._attend, name="map")
        return _Results(self._slots, self._drawn)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._group is not None
        self._draw.stop()
        self._group.cancel()
        try:
            return await self._group.__aexit__(exc_type, exc, traceback)
        finally:
            self._slots.drain()
            try:
                await self._draw.aclose()
            finally:
                self._hand_back()

    async def _attend(self) -> None:
        """Work until the source ends, and see to it that the results do then."""
        try:
            await self._work()
        except EndOfChannel:
            pass
        except BaseException as error:  # the source's own
            if _is_fatal(error):
                raise
            self._end_with(_failure(error))
        finally:
            self._left -= 1
            if not self._left:
                self._slots.close()

    async def _work(self) -> NoReturn:
        fn, draw, slots, ordered = self._fn, self._draw, self._slots, self._ordered
        account = self._on_undelivered is not None
        while True:
            if ordered:
                slot = await draw.take_slot(slots)
            else:
                slot = Slot(await draw.take())
            if account:
                self._drawn[slot] = None
            try:
                slot.value = await fn(slot.item)
            except BaseException as error:
                slot.error = _explain(error, "map", fn, slot.item)
                if _is_fatal(error):
                    slot.fill()
                    raise
            slot.fill()
            if not ordered:
                slot.line_up(slots)
            if slot.op is None:
                await slot.wait()

    def _end_with(self, error: BaseException) -> None:
        """Let the source end with an error."""
        self._draw.stop()
        slot: Slot[T] = Slot(None)
        slot.error, slot.done = error, True
        slot.line_up(self._slots)

    def _hand_back(self) -> None:
        """Report the items whose results nobody has received."""
        errors: list[Exception] = []
        for slot in self._drawn:
            assert self._on_undelivered is not None
            try:
                self._on_undelivered(slot.item)
            except Exception as error:
                errors.append(error)
        _raise_all(errors, "on_undelivered of map failed")


class _Results(Generic[T, R]):
    """The iteration over the results of a `map`."""

    def __init__(self, slots: Channel[Slot[T]], drawn: dict[Slot[T], None]) -> None:
        self._slots = slots
        self._drawn = drawn
        self._put_back: deque[Slot[T]] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        if self._put_back:
            slot = self._put_back.popleft()
        else:
            try:
                slot = await self._slots.receive()
            except EndOfChannel:
                raise StopAsyncIteration from None
        if not slot.done:
            try:
                await slot.wait()
            except BaseException:
                self._put_back.append(slot)
                raise
        if self._drawn:
            self._drawn.pop(slot, None)
        if slot.error is not None:
            raise slot.error
        return slot.value  # type: ignore[no-any-return]


def _is_fatal(error: BaseException) -> bool:
    """Tell whether an error is to end the task of a worker.

    All are but exceptions, and a cancellation that no scope has asked for: on asyncio,
    a function passes on that of what it awaits.
    """
    if isinstance(error, Exception):
        return False
    cancelled = anyio.get_cancelled_exc_class()
    asked_for = anyio.current_effective_deadline() == -math.inf
    return asked_for or not isinstance(error, cancelled)


def _failure(error: BaseException) -> BaseException:
    """Return what to raise elsewhere for an error that means something else there."""
    if isinstance(error, anyio.get_cancelled_exc_class()):
        return anyio.TaskCancelled("it was cancelled")
    if isinstance(error, StopAsyncIteration):
        failure = RuntimeError(f"it raised {error!r}")
        failure.__cause__ = error
        return failure
    return error


def _explain(error: BaseException, verb: str, fn: object, item: object) -> Any:
    """Note with an error at which item it happened; tell of a function not async."""
    trace = error.__traceback__
    at_await = trace is not None and trace.tb_next is None and "can't be" in str(error)
    if isinstance(error, TypeError) and at_await:
        error = TypeError(
            f"{verb} needs an async function, and {fn!r} is none: {error}. For what "
            "blocks, use Pool(fn, run_in='thread', ...), and give its call"
        )
    error = _failure(error)
    with suppress(Exception):  # there are frozen ones
        error.add_note(f"in {verb}, at the item {brief(item)}")
    return error


def _raise_all(errors: list[Exception], message: str) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup(message, errors)


def _check_function(verb: str, fn: object) -> None:
    if not callable(fn):
        raise TypeError(f"{verb} needs an async function, not {fn!r}")
