"""The stages of a pipeline: workers between two lines.

Workers take items out of the line before their stage, and send what comes of them into
the line behind it.  Several workers finish in any order.  If what comes of the items is
to keep theirs, a worker does not send it into the line but puts it into a place, which
has joined a queue when the item was taken.  One more task, the mover, empties the
places one after the other into the line.

A stage that is stopped takes nothing more.  What its workers have in hand they finish.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from time import perf_counter
from types import CoroutineType
from typing import Any, NamedTuple, TypeAlias

import anyio

from ._channel import Channel
from ._handles import Sender
from ._report import LISTED, Failure, StageReport, name_item
from ._sources import Slot
from ._state import NOTHING

# What a task of a stage does, and what it is given to send into.
Job: TypeAlias = tuple[Callable[[Any], Awaitable[None]], Sender[Any]]


class Step(NamedTuple):
    """What the description of a pipeline says about a stage."""

    kind: type[Stage]
    name: str
    fn: Any = None
    workers: int = 1
    ordered: bool = False
    on_error: Any = "stop"
    buffer: int | float = 0
    """How many results may wait behind it."""
    size: int = 1
    """How many items make a batch."""
    within: float | None = None
    """How many seconds a batch may take to fill."""


class Line:
    """What leads to a stage, or out of the last: a channel, and what lies beside it."""

    def __init__(self, name: str, capacity: int | float) -> None:
        self.name = name
        self.channel: Channel[Any] = Channel(capacity, name=name)
        self.receiver = self.channel.receiver()
        self.unfinished: list[Any] = []  # taken out, and laid down before it was done
        self.unsent: list[Any] = []  # made, and laid down before it was in
        self.left: tuple[Any, ...] = ()

    def settle(self) -> None:
        """Put together all that is left, when nobody sends or receives any more."""
        self.receiver.close()
        self.left = (*self.unfinished, *self.channel.drain(), *self.unsent)


class Place(Slot[Any]):
    """Where a result is put: like a channel to which one item is sent."""

    def __init__(self) -> None:
        super().__init__(None)
        self.value = NOTHING

    async def send(self, result: Any) -> None:
        """Put the result there."""
        self.value = result

    def close(self) -> None:
        """Say that nothing more comes."""
        self.fill()

    def drain(self) -> list[Any]:
        """Return what is there."""
        return [] if self.value is NOTHING else [self.value]

    def break_off(self) -> None:
        """Do nothing, as nobody waits for room."""


class Stage:
    """A stage of which comes what its function returns: `map`."""

    def __init__(
        self,
        step: Step,
        before: Line,
        behind: Line,
        fail: Callable[[Stage, Exception], None],
    ) -> None:
        self.name = step.name
        self.before = before
        self.behind = behind
        self.take: Callable[[], Awaitable[Any]] = before.receiver.receive
        self.made = self.filtered = self.skipped = self.errors = 0
        self.failures: list[Failure] = []
        self.seconds = 0.0
        self._step = step
        self._fn = step.fn
        self._stop_at = fail
        self._taking = False  # one of those who work in order is
        self._bell: Channel[None] = Channel(1)  # rung when it is not
        self._places: Channel[Any] = Channel(max(step.workers, step.buffer))
        self._given_up: list[Any] = []  # places, from the one the mover is at

    @property
    def extra(self) -> int:
        """How many more results there are than items that are done with."""
        return 0

    def jobs(self) -> list[Job]:
        """Return what the tasks of this stage have to do."""
        line, n = self.behind.channel, self._step.workers
        if n == 1 or not self._step.ordered:
            return [(self._work, line.sender()) for _ in range(n)]
        workers = [(self._work_in_order, self._places.sender()) for _ in range(n)]
        return [(self._move, line.sender()), *workers]

    def stop(self) -> None:
        """Take nothing more."""
        self.before.receiver.close()

    def settle(self) -> None:
        """Lay down what is in places, when nobody works any more."""
        self._bell.drain()
        for place in self._given_up:
            self.behind.unsent += place.drain()

    # What workers do

    async def _work(self, out: Sender[Any]) -> None:
        take, process = self.take, self._process
        while True:
            await process(await take(), out)

    async def _work_in_order(self, places: Sender[Any]) -> None:
        while True:
            item, place = await self._take_place(places)
            try:
                await self._process(item, place)
            finally:
                place.close()

    async def _take_place(self, places: Sender[Any]) -> tuple[Any, Any]:
        """Take an item, and a place for what comes of it, both at one's turn."""
        while self._taking:
            await self._bell.receive()
        self._taking = True
        try:
            item, place = await self.take(), self._make_place()
            try:
                await places.send(place)
            except BaseException:
                self.before.unfinished.append(item)
                raise
        finally:
            self._taking = False
            self._bell._state.offer(None)
        return item, place

    def _make_place(self) -> Any:
        return Place()

    async def _process(self, item: Any, out: Any) -> None:
        """Do with an item what there is to do, and send what comes of it."""
        result: Any = NOTHING
        try:
            began = perf_counter()
            try:
                value = self._fn(item)
                if type(value) is CoroutineType or hasattr(value, "__await__"):
                    value = await value
                result = self._result(item, value)
            except BaseException as error:
                await self._fail(item, as_failure(error))
            finally:
                self.seconds += perf_counter() - began
        except BaseException:
            self.before.unfinished.append(item)
            raise
        if result is not NOTHING:
            self.made += 1
            try:
                await out.send(result)
            except BaseException:
                self.behind.unsent.append(result)
                raise

    def _result(self, item: Any, value: Any) -> Any:
        """Return what comes of an item, or NOTHING, if the function made `value`."""
        return value

    async def _fail(self, item: Any, error: Exception) -> None:
        """Do with an item that failed as the description says."""
        self.errors += 1
        if len(self.failures) < LISTED:
            self.failures.append(Failure(item, error))
        on_error = self._step.on_error
        try:
            if callable(on_error):
                answer = on_error(item, error)
                if hasattr(answer, "__await__"):
                    await answer
        except Exception as another:
            error = another
        else:
            if on_error != "stop":
                self.skipped += 1
                return
        self.before.unfinished.append(item)
        error.add_note(f"in {self.name}, at the item {name_item(item)}")
        self._stop_at(self, error)

    # What the mover does

    async def _move(self, out: Sender[Any]) -> None:
        """Send on what is in the places, as long as it is wanted."""
        with self._places.receiver() as places:
            try:
                async for place in places:
                    self._given_up = [place]
                    await self._empty(place, out)
            finally:
                self._given_up += places.drain()
                for place in self._given_up:
                    place.break_off()

    async def _empty(self, place: Any, out: Sender[Any]) -> None:
        """Send on what is in one place."""
        if not place.done:
            await place.wait()
        if place.value is not NOTHING:
            await out.send(place.value)
            place.value = NOTHING

    def report(self, items_in: int, undelivered: int) -> StageReport:
        """Report on the stage as it is now."""
        return StageReport(
            name=self.name,
            items_in=items_in,
            items_out=self.made,
            extra=self.extra,
            filtered=self.filtered,
            skipped=self.skipped,
            undelivered=undelivered,
            errors=self.errors,
            failures=tuple(self.failures),
            seconds=self.seconds,
        )


def as_failure(error: BaseException) -> Exception:
    """Return the error that a function has failed with; raises one that ends its task.

    So do all but exceptions, and a cancellation that no scope has asked for: on asyncio
    a function passes on that of what it awaits.
    """
    if isinstance(error, Exception):
        return error
    asked_for = anyio.current_effective_deadline() == -math.inf
    if asked_for or not isinstance(error, anyio.get_cancelled_exc_class()):
        raise error
    return anyio.TaskCancelled("it was cancelled")


class Filter(Stage):
    """A stage of which comes the item itself, if the function says so."""

    def _result(self, item: Any, value: Any) -> Any:
        if value:
            return item
        self.filtered += 1
        return NOTHING


class Each(Stage):
    """A stage of which nothing comes: an item that is done with is out."""

    def _result(self, item: Any, value: Any) -> Any:
        self.made += 1
        return NOTHING
