"""Showing how far a pipeline is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import Any, Literal, TypeAlias

from ._report import PipelineReport

Show: TypeAlias = Callable[[PipelineReport], object]
Progress: TypeAlias = Show | Literal["rich", "lines"] | None

_SECONDS = 1.0  # between two lines


class Lines:
    """Shows progress in plain lines on standard error, one a second."""

    def __init__(self) -> None:
        self._shown = 0.0

    def __call__(self, report: PipelineReport) -> None:
        if report.seconds >= self._shown + _SECONDS:
            self._shown = report.seconds
            sys.stderr.write(f"{report}\n")

    def close(self, report: PipelineReport) -> None:
        """Show how it ended."""
        sys.stderr.write(f"{report}\n")


class Bars:
    """Shows progress by a bar for each stage on the terminal at standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            console=Console(stderr=True),
            auto_refresh=False,  # which would take a thread
        )
        self._tasks: list[Any] = []
        self._bars.start()

    def __call__(self, report: PipelineReport) -> None:
        for stage in report.stages[len(self._tasks) :]:
            self._tasks.append(self._bars.add_task(stage.name))
        for task, stage in zip(self._tasks, report.stages, strict=True):
            total = max(1, stage.items_in)
            done = stage.items_in - stage.in_flight
            self._bars.update(task, total=total, completed=done)
        self._bars.refresh()

    def close(self, report: PipelineReport) -> None:
        """Leave the bars as they are now."""
        self(report)
        self._bars.stop()


def begin_to_show(progress: Progress) -> tuple[Show, Show]:
    """Return what shows a report, now and then, and what shows the last."""
    if progress is None:
        return _show_nothing, _show_nothing
    if callable(progress):
        return progress, progress
    shown = Bars() if progress == "rich" and sys.stderr.isatty() else Lines()
    return shown, shown.close


def _show_nothing(report: PipelineReport) -> None:
    pass


def check_progress(progress: object) -> None:
    """Raise unless progress can be shown in this way."""
    if progress is None or progress == "lines":
        return
    if progress == "rich":
        if find_spec("rich") is None:
            raise ModuleNotFoundError(
                "progress='rich' needs rich: pip install 'anycsp[debug]'"
            )
    elif not callable(progress) or iscoroutinefunction(progress):
        raise TypeError(
            "progress must be 'rich', 'lines' or a function, not async, of a "
            f"PipelineReport, not {progress!r}"
        )
