"""Whatever a pipeline is made of and however it ends: nothing is lost, nothing doubled.

What goes in comes out, or is filtered or skipped, or is named as undelivered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from anyio.lowlevel import checkpoint
from hypothesis import event, given
from hypothesis import strategies as st

from csp import Channel, Group, Pipeline, Undelivered, pipeline, stop_scope
from tests.semantics.patterns.pipelines import Bad, Books, Plan, flatten

pytestmark = pytest.mark.anyio

N = 24  # items in the source


def plans(*verbs: str, **fields: Any) -> Any:
    """Draw stages of these kinds."""
    drawn = st.fixed_dictionaries({"verb": st.sampled_from(verbs), **fields})
    return drawn.map(lambda fields: Plan(**fields))


working = {
    "workers": st.integers(1, 3),
    "steps": st.integers(-1, 4),
    "fails": st.sampled_from([0, 0, 0, 7, 13]),
    "on_error": st.sampled_from(
        ["stop", "skip", lambda *_: 1, lambda *_: checkpoint()]
    ),
}
buffers = st.none() | st.integers(0, 3)
giving = {**working, "ordered": st.booleans(), "buffer": buffers}
sizes = st.integers(1, 4)
mapping = plans("map", "filter", **giving)
expanding = plans("flat_map", **giving, size=sizes)
batching = plans("batch", buffer=buffers, size=sizes, within=st.sampled_from([None, 0]))
last = plans("each", **working)
stages = st.lists(
    st.one_of(mapping, mapping, expanding, batching), min_size=1, max_size=4
)
times = st.integers(0, 60)  # in steps

ends = st.one_of(
    st.just(("none", 0)),
    st.tuples(st.sampled_from(["stop", "cut", "cancel", "native", "grace"]), times),
)


def source(kind: str) -> Any:
    if kind == "channel":
        ch: Channel[Any] = Channel(N, on_undelivered=lambda _: None)
        for n in range(N):
            ch.send_nowait((n,))
        ch.close()
        return ch
    return trickle() if kind == "async iterable" else [(n,) for n in range(N)]


async def trickle() -> AsyncIterator[tuple[int]]:
    for n in range(N):
        await checkpoint()
        yield (n,)


sources = st.sampled_from(["channel", "async iterable", "iterable"])


@given(sources, stages, last, ends, st.integers(0, 4), st.booleans())
async def test_running_loses_nothing(  # noqa: PLR0917 - as many as are drawn
    kind: str, stages: list[Plan], last: Plan, end: Any, buffer: int, told: bool
) -> None:
    """To its end, or stopped, cut or cancelled at any moment."""
    books, undelivered = Books([*stages, last]), []
    p = pipeline(
        source(kind),
        buffer=buffer,
        grace=0 if end[0] == "grace" else None,
        on_undelivered=undelivered.append,
        progress=books.reports.append,
    )
    if not told:
        p = pipeline(source(kind), buffer=buffer, progress=books.reports.append)
    await conduct(books.extend(p), end, books, undelivered if told else None)


async def conduct(p: Pipeline[Any], end: Any, books: Books, undelivered: Any) -> None:
    how, when = end
    named: list[Any] = []
    failed = False
    try:
        async with stop_scope(1000) as stop, Group() as g:

            async def intervene() -> None:
                for _ in range(when):
                    await checkpoint()
                if how == "native" and isinstance(task, asyncio.Task):
                    task.cancel()
                {"stop": stop.request, "grace": stop.request, "cut": stop.cut}.get(
                    how, runner.cancel
                )()

            async def run() -> None:
                nonlocal failed, task
                with suppress(RuntimeError):
                    task = asyncio.current_task()
                try:
                    await p.run()
                except* Bad:
                    failed = True

            task: Any = None
            runner = g.go(run)
            if how != "none":
                g.go(intervene)
    except* Undelivered as group:
        [error] = group.exceptions
        named = [item for left in error.left for item in left.items]  # type: ignore[attr-defined]
    report = books.check(range(books.reports[-1].items_in))
    left = [*flatten([*map(list, report.undelivered.values())])]
    event(f"{how}: {'some' if left else 'nothing'} undelivered, {failed=}")
    if undelivered is not None:
        assert sorted(flatten(undelivered)) == sorted(left)
        assert not named
    elif named:
        assert sorted(flatten(named)) == sorted(left)
    else:
        assert failed or how == "grace" or not left


@given(sources, stages, st.integers(0, N), st.integers(0, 4), st.booleans())
async def test_leaving_an_open_pipeline_loses_nothing(
    kind: str, stages: list[Plan], n: int, buffer: int, raises: bool
) -> None:
    """After any number of results, with an error or without."""
    books, undelivered = Books(stages), []
    p = pipeline(
        source(kind),
        buffer=buffer,
        on_undelivered=undelivered.append,
        progress=books.reports.append,
    )
    try:
        async with books.extend(p).open() as results:
            async for result in results:
                books.out += flatten(result)
                n -= 1
                if n <= 0:
                    if raises:
                        raise Bad("in the block")
                    break
    except* Bad:
        pass
    report = books.check(range(books.reports[-1].items_in))
    left = [*flatten([*map(list, report.undelivered.values())])]
    assert sorted(flatten(undelivered)) == sorted(left)
