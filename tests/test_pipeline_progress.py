"""What pipelines tell of themselves: reports, and how far they are."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import anyio
import pytest

from csp import PipelineReport, _many, _progress, _stages, pipeline
from tests.semantics.patterns.pipelines import check_law

pytestmark = pytest.mark.anyio


def same(item: Any) -> Any:
    return item


async def tenth(item: Any) -> Any:
    """Take a tenth of a second."""
    await anyio.sleep(0.1)
    return item


class Bad(Exception):
    """An error of a callback."""


# Reports


@pytest.mark.clock
async def test_a_report_tells_how_long_it_took(monkeypatch) -> None:
    """Over all, and how long the functions of each stage have worked."""
    for module in (_stages, _many):
        monkeypatch.setattr(module, "perf_counter", anyio.current_time)
    p = pipeline(range(10)).map(tenth, workers=2, name="map").flat_map(lambda n: [n])
    report = await p.each(tenth, workers=5).run()
    assert report.seconds == pytest.approx(0.6)
    assert [stage.seconds for stage in report.stages] == pytest.approx([1, 0, 1])


async def test_a_report_in_words() -> None:
    """Only what there is to tell."""
    report = await pipeline(range(1234)).each(same).run()
    assert str(report) == "1,234 in, 1,234 out"

    async def wait_for(n: int) -> None:
        if n == 5:
            await anyio.sleep_forever()

    several = pipeline(range(5)).flat_map(lambda n: [n, n])
    report = await several.each(same).run()
    assert str(report) == "5 in, 5 more made of them, 10 out"
    report = await several.batch(5).each(same).run()
    assert str(report) == "5 in, 3 joined to others, 2 out"

    block = pipeline(range(9), on_undelivered=same).filter(lambda n: n != 2)
    opened = block.map([10, 11, 12, 13].__getitem__, on_error="skip").open()
    async with opened as results:
        assert [await results.receive() for _ in range(2)] == [10, 11]
        await anyio.wait_all_tasks_blocked()
    assert str(opened.report) == "9 in, 2 out, 1 filtered, 5 skipped, 1 undelivered"


async def test_a_report_cannot_be_changed() -> None:
    """It is a record."""
    report = await pipeline([1]).each(same).run()
    with pytest.raises(AttributeError):
        report.items_in = 3  # type: ignore[misc]


# Progress


@pytest.mark.clock
async def test_progress_is_told_ten_times_a_second_and_at_the_end() -> None:
    """The figures add up at any time."""
    times: list[float] = []
    reports: list[PipelineReport] = []

    def show(report: PipelineReport) -> None:
        times.append(round(anyio.current_time() - start, 6))
        reports.append(report)

    start = anyio.current_time()
    p = pipeline(range(8), progress=show).map(tenth, workers=2)
    p = p.flat_map(lambda n: [n, n], workers=2).batch(3)
    final = await p.each(lambda _: anyio.sleep(0.07)).run()
    assert times[:-1] == [round(0.1 * (i + 1), 6) for i in range(len(times) - 1)]
    assert (reports[-1], times[-1]) == (final, round(final.seconds, 6))
    check_law(final)
    for before, after in pairwise(reports):
        assert before.items_in <= after.items_in
        assert before.items_out <= after.items_out
    for report in reports:
        assert all(stage.in_flight >= 0 for stage in report.stages)
        assert report.in_flight == sum(stage.in_flight for stage in report.stages)


async def test_progress_of_a_short_pipeline_is_told_once() -> None:
    """At its end."""
    reports: list[PipelineReport] = []
    report = await pipeline(range(8), progress=reports.append).each(same).run()
    assert reports == [report]


@pytest.mark.clock
@pytest.mark.parametrize("at", [0.3, 1.0])
async def test_an_error_in_the_callback_comes_out(at: float) -> None:
    """It stops the pipeline."""
    begin = anyio.current_time()

    def show(report: PipelineReport) -> None:
        if report.seconds >= at - 0.05:
            raise Bad(report.seconds)

    p = pipeline(range(5), progress=show, on_undelivered=same)
    with pytest.raises((Bad, ExceptionGroup)) as caught:
        await p.each(lambda _: anyio.sleep(0.19)).run()
    assert "Bad" in repr(caught.value)
    assert anyio.current_time() - begin == pytest.approx(0.38 if at < 1 else 0.95)


async def test_an_error_in_on_undelivered_comes_out() -> None:
    """When all items have been handed over."""
    undelivered = []

    def take(item: int) -> None:
        undelivered.append(item)
        if item == 2:
            raise Bad

    p = pipeline(range(9), buffer=4, on_undelivered=take).map(same)
    with pytest.raises(Bad):
        async with p.open() as results:
            assert await results.receive() == 0
            await anyio.wait_all_tasks_blocked()
    assert 2 in undelivered[:-1]
    assert sorted(undelivered) == [*range(1, 1 + len(undelivered))]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.clock
@pytest.mark.parametrize("progress", ["lines", "rich"])
async def test_without_a_terminal_there_are_plain_lines(progress, monkeypatch) -> None:
    """One a second, and one at the end."""
    if progress == "rich":
        pytest.importorskip("rich")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    p = pipeline(range(25), progress=progress, buffer=1).map(same)
    await p.each(lambda _: anyio.sleep(0.07)).run()
    lines = sys.stderr.getvalue().splitlines()
    assert lines == [
        "17 in, 14 out, 3 in flight",
        "25 in, 25 out",
    ]


@pytest.mark.skipif(find_spec("rich") is None, reason="needs rich")
async def test_on_a_terminal_there_is_a_bar_for_each_stage(monkeypatch) -> None:
    """And no thread behind it."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    p = pipeline(range(25), progress="rich").map(same, name="one [1]")
    await p.filter(lambda n: n % 2, name="odd").each(same, name="all").run()
    shown = sys.stderr.getvalue()
    assert "one [1]" in shown  # a name is no markup
    assert "25/25" in shown
    assert "12/12" in shown


async def test_a_missing_rich_is_one_sentence(monkeypatch) -> None:
    """When the pipeline is described, not when it runs on a terminal."""
    monkeypatch.setattr(_progress, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'anycsp\[debug\]'$"):
        pipeline([], progress="rich")
