"""All benchmarks, one after another: python -m benchmarks."""

from . import channels, echo, footprint, patterns, select, tasks
from ._command import main

main(
    channels.suite,
    select.suite,
    tasks.suite,
    patterns.suite,
    echo.suite,
    footprint.suite,
)
