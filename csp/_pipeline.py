"""Pipelines: how they are written down, and how they work.

A `Pipeline` is a description and cannot be changed: each verb returns a new one.  So it
can be kept, passed on, continued in two ways, and run as often as its source allows.

To run it (`_running`), a line is made before each stage and one behind the last: a
channel with little room, so that a slow stage makes those before it wait.  Each stage
(`_stages`, `_many`) has workers.  A worker takes an item out of the line before its
stage, calls the function, and sends what comes of it into the line behind.  Those of
the first stage take from the source itself, save one that is an async iterable, which
is read by a task of its own (`_intake`).

An end travels down by itself.  When the source has no more, the first workers end, and
the last of them closes the line behind them.  The next stage takes what is still in it,
then comes to its end, and so on.  A stop request only ends the source: the rest is as
ever.  An error ends the source too, and then the stages up to the one that failed:
their lines break, so that nobody can send there, and they lay down what they have.  The
stages behind it go on to the end.  Only a cancellation interrupts what runs: when the
time to stop is over, when the block of `open` is left, or when it comes from outside.

Why is nothing lost?  Every item that was taken is, at any moment, in one of three: in a
line, in somebody's hand, or done with.  Taking and sending are whole: a `receive` that
raises has taken nothing, a `send` that raises has sent nothing.  And nobody leaves with
something in hand.  Whoever is interrupted lays it down beside a line: an item, beside
the line that it came from; a result, beside the one that it was for.  When the function
has returned, the stage is done with the item, and what is in hand is the result.  Where
several come of one, the item is in hand until all of them are sent.

When all tasks have ended there are no hands, and what is left is in the lines or beside
them, each item once.  That is what a report calls undelivered (`_report`).  If there is
neither a report nor an error to name it, or `on_undelivered` wants to have it, it goes
into a channel, so that a stop scope accounts for it as for all that is in channels.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from inspect import iscoroutine
from itertools import chain, count
from typing import Any, Generic, Literal, Never, NoReturn, TypeAlias, TypeVar, overload

from ._check import (
    COUNT_OR_INF,
    check_count,
    check_name,
    check_on_undelivered,
    check_seconds,
)
from ._ends import Receives
from ._many import Batch, FlatMap
from ._progress import Progress, check_progress
from ._report import RESULTS, PipelineReport, name_item
from ._running import Options, Running
from ._sources import Source
from ._stages import Each, Filter, Stage, Step

T = TypeVar("T")
R = TypeVar("R")

Many: TypeAlias = Iterable[R] | AsyncIterable[R]
OnError: TypeAlias = Literal["stop", "skip"] | Callable[[T, Exception], object]


class Pipeline(Generic[T]):
    """The description of a pipeline: a source, and the stages after it.

    What the verbs have in common:

    Args:
        fn: A function of one item, async or not.
        workers: How many of its calls run at once.
        ordered: Whether what comes of the items keeps their order; else it comes as
            soon as it is there.
        on_error: What to do if it raises: stop the pipeline; skip the item, which the
            report counts and names; or call this with the item and the error, and then
            skip it.
        buffer: How many results may wait for the next stage; by default as many as
            `pipeline` was told.
        name: For the report and for messages; by default the verb and the function's.
    """

    __slots__ = ("_options", "_source", "_steps")

    def __init__(
        self, source: Source[Any], steps: tuple[Step, ...], options: Options
    ) -> None:
        self._source = source
        self._steps = steps
        self._options = options

    @overload
    def map(
        self,
        fn: Callable[[T], Awaitable[R]],
        *,
        workers: int = ...,
        ordered: bool = ...,
        on_error: OnError[T] = ...,
        buffer: int | float | None = ...,
        name: str | None = ...,
    ) -> Pipeline[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T], R],
        *,
        workers: int = ...,
        ordered: bool = ...,
        on_error: OnError[T] = ...,
        buffer: int | float | None = ...,
        name: str | None = ...,
    ) -> Pipeline[R]: ...
    def map(
        self,
        fn: Callable[[T], Any],
        *,
        workers: int = 1,
        ordered: bool = True,
        on_error: OnError[T] = "stop",
        buffer: int | float | None = None,
        name: str | None = None,
    ) -> Pipeline[Any]:
        """Go on with what a function returns for each item.

        pages = pipeline(urls).map(fetch, workers=8)
        """
        return self._then(Stage, "map", fn, workers, ordered, on_error, buffer, name)

    def filter(
        self,
        fn: Callable[[T], object],
        *,
        workers: int = 1,
        ordered: bool = True,
        on_error: OnError[T] = "stop",
        buffer: int | float | None = None,
        name: str | None = None,
    ) -> Pipeline[T]:
        """Go on with those items for which a function returns something true.

        pages.filter(lambda page: page.status == 200)
        """
        return self._then(
            Filter, "filter", fn, workers, ordered, on_error, buffer, name
        )

    def flat_map(
        self,
        fn: Callable[[T], Many[R] | Awaitable[Many[R]]],
        *,
        workers: int = 1,
        ordered: bool = True,
        on_error: OnError[T] = "stop",
        buffer: int | float | None = None,
        name: str | None = None,
    ) -> Pipeline[R]:
        """Go on with everything that is in what a function returns for each item.

        That may be any iterable, also an async one; it is read as there is room.  If it
        raises half-way, what came before has gone on.

            links = pages.flat_map(lambda page: page.links)
        """
        return self._then(
            FlatMap, "flat_map", fn, workers, ordered, on_error, buffer, name
        )

    def batch(
        self,
        n: int,
        *,
        within: float | None = None,
        buffer: int | float | None = None,
        name: str | None = None,
    ) -> Pipeline[list[T]]:
        """Go on with lists of `n` items; the last one may be shorter.

            rows.batch(100, within=0.5).each(insert)

        Args:
            n: How many items make a list.
            within: A list goes on that many seconds after its first item came, also if
                it is not full.
            buffer: As for the other verbs.
            name: As for the other verbs.
        """
        check_count("n", n, 1)
        if within is not None:
            check_seconds("within", within)
        step = Step(
            Batch,
            self._name(name, f"batch {n}"),
            buffer=self._buffer(buffer),
            size=n,
            within=within,
        )
        return self._with(step)

    def each(
        self,
        fn: Callable[[T], object],
        *,
        workers: int = 1,
        on_error: OnError[T] = "stop",
        name: str | None = None,
    ) -> Pipeline[Never]:
        """End with a function that is called with each item.

        report = await pages.each(store, workers=2).run()
        """
        return self._then(Each, "each", fn, workers, False, on_error, 0, name)

    async def run(self) -> PipelineReport:
        """Run it to its end.

        Raises:
            TypeError: It does not end with `each`.
            Exception: A stage or the source failed; a note tells where, at which item,
                and what could not be finished.  Several errors come in a group.
        """
        if not self._ended:
            raise TypeError(
                "nothing takes what comes out of this pipeline. Write: await "
                "p.each(fn).run(); or receive it: async with p.open() as results: ..."
            )
        running: Running[Never] = Running(
            self._source, self._steps, self._options, opened=False
        )
        async with running:
            pass
        return running.report

    def open(self) -> Running[T]:
        """Run it in a block, and receive there what comes out.

            async with pipeline(urls).map(fetch, workers=8).open() as pages:
                async for page in pages:
                    print(page)

        If a stage fails, the results end early, and the block raises the error at its
        end, as `run` does.  Leaving the block cancels what still runs.  What is on its
        way then goes where `on_undelivered` of the pipeline says; without that it is
        accounted for as what is left in a channel, by the stop scope around or else by
        a ResourceWarning.

        After the block, the `report` of what this returns is there.

        Raises:
            TypeError: It ends with `each`, so nothing comes out.
        """
        if self._ended:
            raise TypeError(
                "nothing comes out of a pipeline that ends with each(...). Write: "
                "await p.run()"
            )
        passing = Step(Filter, "source", lambda _: True, buffer=self._options.buffer)
        steps = self._steps or (passing,)
        return Running(self._source, steps, self._options, opened=True)

    @property
    def _ended(self) -> bool:
        return bool(self._steps) and self._steps[-1].kind is Each

    def _then(  # noqa: PLR0917 - they are all there, and in this order
        self,
        kind: type[Stage],
        verb: str,
        fn: object,
        workers: int,
        ordered: bool,
        on_error: OnError[Any],
        buffer: int | float | None,
        name: str | None,
    ) -> Pipeline[Any]:
        """Return this with one more stage, after a look at what was given for it."""
        _check_function(verb, fn)
        check_count("workers", workers, 1)
        _check_on_error(on_error)
        own_name = getattr(fn, "__name__", None) or type(fn).__name__
        step = Step(
            kind,
            self._name(name, f"{verb} {own_name}"),
            fn,
            workers,
            ordered,
            on_error,
            self._buffer(buffer),
        )
        return self._with(step)

    def _with(self, *steps: Step) -> Pipeline[Any]:
        if self._ended:
            raise TypeError(
                "nothing can follow each(...), as nothing comes out of it. To pass "
                "items on, write map(fn)"
            )
        return Pipeline(self._source, (*self._steps, *steps), self._options)

    def _name(self, name: str | None, default: str) -> str:
        """Return the name of a new stage, numbered if there is one of that name."""
        if name is not None:
            check_name(name)
        wanted = name or default
        used = {step.name for step in self._steps} | {RESULTS}
        others = (f"{wanted} ({n})" for n in count(2))
        return next(name for name in chain([wanted], others) if name not in used)

    def _buffer(self, buffer: int | float | None) -> int | float:
        if buffer is None:
            return self._options.buffer
        check_count("buffer", buffer, 0, kind=COUNT_OR_INF, bounded=False)
        return buffer

    def __iter__(self) -> NoReturn:
        raise TypeError(
            "a pipeline runs in a block. Write: async with p.open() as results: async "
            "for result in results: ...; or end it: await p.each(fn).run()"
        )

    def __aiter__(self) -> NoReturn:
        self.__iter__()

    def __repr__(self) -> str:
        stages = "".join(f" > {step.name}" for step in self._steps)
        return f"<Pipeline of {name_item(self._source)}{stages}>"


def pipeline(
    source: Source[T],
    *,
    buffer: int | float = 16,
    grace: float | None = None,
    on_undelivered: Callable[[Any], None] | None = None,
    progress: Progress = None,
) -> Pipeline[T]:
    """Describe a pipeline: items of a source, and the stages that they pass through.

        async def main() -> None:
            report = await (
                pipeline(range(10))
                .map(lambda n: n * n, workers=4)
                .filter(lambda n: n % 2)
                .batch(2)
                .each(print)
                .run()
            )
            print(report)

        run(main)

    Each stage has tasks of its own, and bounded channels join them: a slow stage makes
    those before it wait.  Functions may be async or not; one that blocks belongs in a
    thread: ``map(partial(anyio.to_thread.run_sync, fn))``.

    Nothing is lost silently.  Of the items that have come out of the source, each comes
    out at the end, is filtered or skipped, or is named as undelivered; `PipelineReport`
    has the figures.  When the program, or the stop scope around, is asked to stop,
    nothing more is taken from the source, and what is on its way goes on to the end.

    Args:
        source: A channel, a `Receiver`, an iterable or an async iterable.  A channel
            remains open; an async generator is closed.
        buffer: How many items may wait between two stages.
        grace: Seconds after a stop request before all that still runs is cut; by
            default, and at most, until two seconds before the stop scope does it.
        on_undelivered: Called at the end with each item that was cut on its way, or
            with what a stage had made of it by then.
        progress: Called with a `PipelineReport` ten times a second, and at the end.
            "rich" shows a bar for each stage if standard error is a terminal, and plain
            lines if not; "lines" shows those anyway.

    Raises:
        TypeError: `source` is nothing that items come out of.
        ModuleNotFoundError: rich is not installed.
    """
    if isinstance(source, (Pipeline, Running)):
        source.__iter__()
    if not isinstance(source, (Receives, AsyncIterable, Iterable)):
        raise TypeError(
            "pipeline takes a channel, a Receiver, an iterable or an async iterable, "
            f"not {source!r}"
        )
    check_count("buffer", buffer, 0, kind=COUNT_OR_INF, bounded=False)
    if grace is not None:
        check_seconds("grace", grace)
    if on_undelivered is not None:
        check_on_undelivered(on_undelivered)
    check_progress(progress)
    return Pipeline(source, (), Options(buffer, grace, on_undelivered, progress))


def _check_function(verb: str, fn: object) -> None:
    if iscoroutine(fn):
        fn.close()
        raise TypeError(
            f"{verb} takes a function of one item, not a coroutine object: write "
            f"{verb}({fn.__name__})"
        )
    if not callable(fn):
        raise TypeError(f"{verb} takes a function of one item, not {fn!r}")


def _check_on_error(on_error: object) -> None:
    if on_error not in ("stop", "skip") and not callable(on_error):
        raise ValueError(
            "on_error must be 'stop', 'skip', or a function of an item and an error, "
            f"not {on_error!r}"
        )
