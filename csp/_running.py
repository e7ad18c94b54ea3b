"""A pipeline while it runs: what starts it, stops it, and closes its books.

If a task of a stage is cancelled, and not from here, its stage and those before it are
stopped as by an error; unless its group takes that for a reason to cancel them all.

Beside the stages there are one or two assistants: one waits for a stop request, one
shows progress.  They are cancelled when the last task of the stages has ended.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

import anyio

from ._channel import Channel
from ._errors import ChannelBroken, ChannelClosed, EndOfChannel
from ._group import PrivateGroup
from ._handles import Receiver, Sender
from ._intake import Drawn, Read, is_read_by_a_task
from ._park import current, uninterrupted
from ._progress import Progress, begin_to_show
from ._report import RESULTS, PipelineReport, name_items
from ._sources import Source
from ._stages import Job, Line, Stage, Step
from ._stop import stopping, time_to_cut
from ._tasks import Handle
from ._timer import at, ticker

T = TypeVar("T")

_PERIOD = 0.1  # seconds between two reports of progress


class Options(NamedTuple):
    """What the description of a pipeline says about all of it."""

    buffer: int | float
    grace: float | None
    on_undelivered: Callable[[Any], None] | None
    progress: Progress


class Running(Generic[T]):
    """The block in which a pipeline runs."""

    report: PipelineReport
    """What has become of everything; there once the block has ended."""

    def __init__(
        self, source: Source[Any], steps: Sequence[Step], options: Options, opened: bool
    ) -> None:
        self._source = source
        self._steps = steps
        self._options = options
        self._opened = opened  # the block receives what comes out
        self._group = PrivateGroup("pipeline")
        self._intake: Drawn | Read  # how items come in
        self._staff = 1  # tasks of stages that run, and whoever starts them
        self._tasks: list[Handle[None]] = []
        self._assistants: list[Handle[None]] = []
        self._errors: list[Exception] = []
        self._lost: list[str] = []  # stages of which a task was cancelled by others
        self._used = self._stopped = self._cut = self._settled = False

    @uninterrupted
    async def __aenter__(self) -> Receiver[T]:
        if self._used:
            raise RuntimeError("this block has been used: open the pipeline again")
        self._used = True
        self._loop = current()
        self._began = self._loop.time()
        intake = Read if is_read_by_a_task(self._source) else Drawn
        self._intake = intake(self._source, self._fail_source)
        self._show, self._show_last = begin_to_show(self._options.progress)
        names = [*(step.name for step in self._steps), RESULTS]
        rooms = [self._options.buffer, *(step.buffer for step in self._steps)]
        self._lines = [*map(Line, names, rooms)]
        joined = zip(self._steps, self._lines, self._lines[1:], strict=False)
        self._stages = [
            step.kind(step, before, behind, self._fail)
            for step, before, behind in joined
        ]
        await self._start()
        return self._lines[-1].receiver

    async def _start(self) -> None:
        await self._group.__aenter__()
        first = self._stages[0]
        if isinstance(self._intake, Drawn):
            first.take = self._intake.take
        else:
            first.before.unsent = self._intake.unsent
            self._go(first, (self._intake.run, first.before.channel.sender()))
        for stage in self._stages:
            for job in stage.jobs():
                self._go(stage, job)
        self._assist(self._watch)
        if self._options.progress is not None:
            self._assist(self._show_progress)
        self._leave()

    def __iter__(self) -> NoReturn:
        raise TypeError(
            "open() is a block. Write: async with p.open() as results: async for "
            "result in results: ..."
        )

    def __aiter__(self) -> NoReturn:
        self.__iter__()

    # The tasks of the stages

    def _go(self, stage: Stage, job: Job) -> None:
        self._staff += 1
        task = self._group.go(self._attend, stage, *job, name=stage.name)
        self._tasks.append(task)

    def _stop(self, stage: Stage) -> None:
        """Take in nothing more, up to and including a stage."""
        self._intake.stop()
        for one in self._stages[: self._stages.index(stage) + 1]:
            one.stop()

    def _fail(self, stage: Stage, error: Exception) -> None:
        self._errors.append(error)
        self._stop(stage)

    async def _attend(
        self, stage: Stage, work: Callable[[Any], Awaitable[None]], out: Sender[Any]
    ) -> None:
        try:
            with out:
                await work(out)
        except (EndOfChannel, ChannelClosed):
            pass  # there is nothing to take any more
        except ChannelBroken:
            self._stop(stage)  # nobody wants what comes of it
        except BaseException:
            self._lose(stage)
            raise
        finally:
            self._leave()

    def _leave(self) -> None:
        self._staff -= 1
        if not self._staff:
            for assistant in self._assistants:
                assistant.cancel()

    def _lose(self, stage: Stage) -> None:
        """Do without a task that was cancelled, or worse, and not from here."""
        if not self._cut:
            self._lost.append(stage.name)
            self._stop(stage)

    def _fail_source(self, error: Exception) -> None:
        error.add_note("in the source of the pipeline")
        self._errors.append(error)
        self._intake.stop()

    # What goes on beside the stages

    def _assist(self, fn: Callable[[], Awaitable[None]]) -> None:
        self._assistants.append(self._group.go(self._attend_to, fn, name="pipeline"))

    async def _attend_to(self, fn: Callable[[], Awaitable[None]]) -> None:
        try:
            await fn()
        except Exception as error:
            self._fail(self._stages[-1], error)

    async def _watch(self) -> None:
        """On a stop request, end the source, and cut the rest in time."""
        await stopping()
        self._stopped = True
        self._intake.stop()
        await at(time_to_cut(self._options.grace))
        self._cut_all()

    def _cut_all(self) -> None:
        self._cut = True
        for task in self._tasks:
            task.cancel()

    async def _show_progress(self) -> None:
        tick = ticker(_PERIOD)
        while True:
            await tick
            self._show(self._make_report())

    # The end

    @uninterrupted
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        failure = await self._end(exc_type, exc, traceback)
        if self._lost and failure is None and not self._errors:
            text = f"a task of {self._lost[0]} was cancelled"
            self._errors.append(anyio.TaskCancelled(text))
        for stage in self._stages:
            stage.settle()
        for line in self._lines:
            line.settle()
        self._settled = True
        report = self.report = self._make_report()
        named = bool(self._errors) or (failure is None and not self._opened)
        if self._options.on_undelivered is not None or not named:
            for name, items in report.undelivered.items():
                self._try(self._lay_aside, name, items)
        self._try(self._show_last, report)
        if self._errors:
            self._raise(failure)
        if failure is not None and failure is not exc:
            raise failure
        return failure is None

    async def _end(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> BaseException | None:
        """Wait for all tasks; returns the error with which the block ends, if any."""
        if self._opened:
            self._cut_all()
        try:
            swallowed = await self._group.__aexit__(exc_type, exc, traceback)
        except BaseException as error:
            return error
        return None if swallowed else exc

    def _try(self, fn: Callable[..., object], *args: Any) -> None:
        try:
            fn(*args)
        except Exception as error:
            self._errors.append(error)

    def _lay_aside(self, name: str, items: tuple[Any, ...]) -> None:
        """Leave items in a channel, for those who account for what is left in one."""
        callback = self._options.on_undelivered
        ch: Channel[Any] = Channel(math.inf, name=name, on_undelivered=callback)
        for item in items:
            ch.send_nowait(item)
        if callback is not None:
            ch._state.clear()

    def _raise(self, failure: BaseException | None) -> NoReturn:
        """Raise what has failed in the pipeline, together with what else has."""
        errors: list[BaseException] = [*self._errors]
        if not (
            failure is None or isinstance(failure, anyio.get_cancelled_exc_class())
        ):
            errors.insert(0, failure)
        error = errors[0]
        if len(errors) > 1:
            error = BaseExceptionGroup("a pipeline failed", errors)
        for name, items in self.report.undelivered.items():
            error.add_note(f"left at {name}: {name_items(items)}")
        raise error from error.__cause__

    def _make_report(self) -> PipelineReport:
        """Report on how it is now."""
        stages, results = self._stages, self._lines[-1]
        given = [self._intake.taken, *(stage.made for stage in stages)]
        left = [line.left for line in self._lines]
        waiting = len(left[-1]) if self._settled else len(results.channel)
        return PipelineReport(
            items_in=given[0],
            items_out=given[-1] - waiting,
            stages=tuple(
                stage.report(items_in, len(items))
                for stage, items_in, items in zip(stages, given, left, strict=False)
            ),
            undelivered={
                line.name: items
                for line, items in zip(self._lines, left, strict=True)
                if items
            },
            stopped=self._stopped,
            seconds=self._loop.time() - self._began,
        )
