"""Joining, sharing out and slowing down what comes from channels and iterables.

All three are a `Flow`, whose file tells how that works, with a block around it.  What
is in hand when the block is left, if anything is, goes where what is left in a channel
goes: to `on_undelivered`, into the report of the stop scope, or a ResourceWarning.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar, cast

import anyio
from anyio.abc import TaskGroup

from ._channel import Channel
from ._check import check_count, check_on_undelivered
from ._ends import Receives
from ._errors import WouldBlock
from ._handles import Receiver
from ._park import uninterrupted
from ._state import END, NOTHING
from ._taps import Flow, Task
from ._timer import at

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

Source: TypeAlias = Receives[T] | AsyncIterable[T] | Iterable[T]


class Block(Generic[R_co]):
    """What `merge`, `split` and `throttle` return: a block to receive in."""

    __slots__ = ("_count", "_flow", "_group", "_make", "_receivers", "_verb")

    _flow: Flow
    _group: TaskGroup | None
    _receivers: list[Receiver[Any]]

    def __init__(
        self, verb: str, make: Callable[[], Flow], count: int | None = None
    ) -> None:
        self._verb = verb
        self._make: Callable[[], Flow] | None = make
        self._count = count  # None for a receiver that is no list of one

    @uninterrupted
    async def __aenter__(self) -> R_co:
        if self._make is None:
            raise RuntimeError(f"{self._verb}(...) can be entered only once")
        flow, self._make = self._make(), None
        self._flow, self._group = flow, None
        if tasks := flow.tasks():
            self._group = anyio.create_task_group()
            await self._group.__aenter__()
            for task in tasks:
                self._group.start_soon(_run, task, name=str(flow))
        self._receivers = [Receiver(flow) for _ in range(self._count or 1)]
        result = self._receivers[0] if self._count is None else [*self._receivers]
        return cast("R_co", result)

    @uninterrupted
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tasks = self._flow.tasks()
        self._flow.leave()
        try:
            if self._group is not None:
                for task in tasks:
                    task.scope.cancel()
                await self._group.__aexit__(None, None, None)
        finally:
            for rx in self._receivers:
                rx.close()
        self._flow.end()

    def __aiter__(self) -> NoReturn:
        raise TypeError(
            f"{self._verb}(...) is a block. Write: async with {self._verb}(...) as "
            f"{'rx' if self._count is None else 'receivers'}: ..., and iterate in it"
        )


async def _run(task: Task) -> None:
    with suppress(anyio.get_cancelled_exc_class()):  # or the block would end with it
        await task.run()


def merge(
    *sources: Source[T], on_undelivered: Callable[[T], None] | None = None
) -> Block[Receiver[T]]:
    """Receive what comes from several sources, as from one channel.

        async def main() -> None:
            ch: Channel[str] = Channel(2)
            await ch.send_many(["a", "b"])
            ch.close()
            async with merge(ch, ["x", "y"]) as rx:
                async for item in rx:
                    print(item)

        run(main)

    It ends when all sources have ended.  Among those that have something the choice is
    uniformly random; the order within each is kept.  An error in a source comes out of
    a receive, or else of the block, and ends that source.

    Nothing is taken from a source before somebody receives it, so when the block ends
    early, the rest is still in the sources.  The exception is an async iterable: it may
    have been asked for an item that nobody received.  Async generators are closed.

    Args:
        sources: Channels, receivers, async iterables and iterables.
        on_undelivered: Called with each item that came out of an async iterable and was
            not received before the block ended.

    Raises:
        TypeError: A source is none of these.
    """
    _check_sources("merge", sources, on_undelivered)
    return Block("merge", lambda: Flow("merge", sources, on_undelivered))


def split(
    source: Source[T], n: int, *, on_undelivered: Callable[[T], None] | None = None
) -> Block[list[Receiver[T]]]:
    """Share out what comes from a source among `n` receivers.

        async def work(rx: Receiver[int]) -> None:
            with rx:
                async for item in rx:
                    print(item)

        async def main() -> None:
            async with split(range(6), 3) as receivers, Group() as g:
                for rx in receivers:
                    g.go(work, rx)

        run(main)

    Each item goes to one of them: to who waits first.  One that closes is not waited
    for, and the source remains open when all do.  For the rest it is as `merge`.

    Raises:
        TypeError: The source is no channel and no iterable; `n` is no whole number.
        ValueError: `n` is less than 1.
    """
    _check_sources("split", [source], on_undelivered)
    check_count("n", n, 1)
    return Block("split", lambda: Flow("split", [source], on_undelivered), n)


def throttle(
    source: Source[T],
    rate: float,
    burst: int = 1,
    *,
    on_undelivered: Callable[[T], None] | None = None,
) -> Block[Receiver[T]]:
    """Receive from a source, but at most `rate` items a second.

        async def main() -> None:
            async with throttle("abc", rate=10) as rx:
                async for letter in rx:
                    print(letter)

        run(main)

    As a token bucket: in any span of t seconds at most ``burst + rate * t`` items come
    out, or one more if the loop has been late for one.  Who keeps waiting gets an item
    every ``1 / rate`` seconds, on a grid that does not drift; who comes late starts a
    new grid.  For the rest it is as `merge`, except that while a receive waits for its
    time, an item may be taken from an iterable ahead.

    Args:
        source: A channel, receiver, async iterable or iterable.
        rate: Items a second, above 0.
        burst: How many may come at once after a pause, and at first.
        on_undelivered: As for `merge`.

    Raises:
        TypeError: The source is no channel and no iterable; `rate` is no number or
            `burst` no whole number.
        ValueError: `rate` is not above 0 and finite, or `burst` is less than 1.
    """
    _check_sources("throttle", [source], on_undelivered)
    _check_rate(rate)
    check_count("burst", burst, 1)
    return Block("throttle", lambda: _Throttle(source, rate, burst, on_undelivered))


class _Throttle(Flow):
    """A flow that gives no more than a bucket of tokens allows.

    `_used` tokens were taken since `_base`, each worth ``1 / rate`` seconds, and when
    those are over the bucket is full: no sum that could drift.  Who waits for its time
    pays for exactly that time, however late the loop wakes the task that sees to it.

    Here a receiver may wait while there is something in the source.
    """

    __slots__ = ("_asked", "_base", "_burst", "_rate", "_used", "scope")

    def __init__(
        self, source: Any, rate: float, burst: int, on_undelivered: Any
    ) -> None:
        super().__init__("throttle", [source], on_undelivered)
        self._rate = rate
        self._burst = burst
        self._base = self.loop.time()
        self._used = 0
        self._asked: Channel[None] = Channel()
        self.scope = anyio.CancelScope()

    def _due(self) -> float:
        """Return when the next item may be taken."""
        return self._base + (self._used - self._burst + 1) / self._rate

    def _spend(self, when: float) -> None:
        if when > self._base + self._used / self._rate:
            self._base, self._used = when, 0
        self._used += 1

    def take(self) -> Any:
        now = self.loop.time()
        if self.receivers or now < self._due():
            self._ask()
            return self._look()
        item = super().take()
        if item is not NOTHING and item is not END:
            self._spend(now)
        return item

    def _look(self) -> Any:
        """Learn of the end or an error, though it is too early for an item."""
        if self.errors or self.lost:
            raise self.error()
        self.open += self.empty
        self.empty.clear()
        if self.open and not self.open[0].may_have_more():
            self.ask_last()
        if self.sources or self.buffer:
            return NOTHING
        self.tell()  # others may be waiting for their time
        return END

    def hand(self, item: Any) -> bool:
        now = self.loop.time()
        if now < self._due() or not super().hand(item):
            return False
        self._spend(now)
        if self.receivers:
            self._ask()
        return True

    def _ask(self) -> None:
        """See to it that those who wait for their time are served."""
        with suppress(WouldBlock):  # that is being done
            self._asked.send_nowait(None)

    def tasks(self) -> list[Task]:
        return [*super().tasks(), self]

    async def run(self) -> None:
        try:
            with self.scope:
                while True:
                    await self._serve_all()
                    await self._asked.receive()
        finally:
            self.fail(f"the task that times {self} was cancelled")

    async def _serve_all(self) -> None:
        """Give items to those who wait for their time, as long as there are any."""
        while self.receivers:
            when = max(self._due(), self.loop.time())
            await at(when)
            if not self._serve(when):
                return

    @uninterrupted
    def _serve(self, when: float) -> bool:
        """Give the first who waits an item, if it is time; False if there is none."""
        if when < self._due():
            return True
        try:
            item = self.find()
        except Exception as error:
            self.keep(error)
            item = END
        if item is NOTHING:
            self.wanted()
            return False
        if item is END:
            self.tell()
        elif super().hand(item):
            self._spend(when)
        else:
            self._append(item)  # in hand: whom it was for has been cancelled
        return True


def _check_sources(verb: str, sources: Iterable[object], on_undelivered: Any) -> None:
    """Raise unless these can be the sources of a flow."""
    if on_undelivered is not None:
        check_on_undelivered(on_undelivered)
    for source in sources:
        if isinstance(source, Block):
            source.__aiter__()
        if not isinstance(source, (Receives, AsyncIterable, Iterable)):
            raise TypeError(
                f"{verb} takes channels, receivers, async iterables and iterables, not "
                f"{source!r}"
            )


def _check_rate(rate: object) -> None:
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise TypeError(f"rate must be a number of items a second, not {rate!r}")
    if not 0 < rate < math.inf:
        raise ValueError(f"rate must be above 0 and finite, not {rate!r}")
