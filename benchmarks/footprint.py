"""The memory of a channel, the time of an import: python -m benchmarks.footprint."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio

from ._command import main
from ._harness import ANY_LOOP, Case, Contender, Goal, Measure, Suite, on
from ._peers import OURS, Peer, consume, installed, loops, peers, produce

BACKENDS = ("asyncio", "trio")
CHANNELS = 100
ITEMS = 300
ROOT = Path(__file__).parent.parent


async def use(peer: Peer, channel: Any) -> None:
    """Let a receiver wait for items, and then a sender for room."""
    pipe = peer.pipe(channel)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(produce, pipe.send, ITEMS)
        await consume(pipe.receive, ITEMS)
        tasks.start_soon(consume, pipe.receive, ITEMS)
        await produce(pipe.send, ITEMS)


async def size_of(peer: Peer, capacity: int, used: bool, count: int) -> float:
    """Return how many bytes `count` channels hold on to."""
    channels: list[Any] = [None] * count
    gc.collect()
    tracemalloc.start()
    try:
        for i in range(count):
            channels[i] = peer.make(capacity)
            if used:
                await use(peer, channels[i])
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for channel in channels:
        await peer.dispose(channel)
    return size


def memory(title: str, capacity: int, used: bool, goal: Goal) -> Case:
    found = [
        Contender(peer.name, loop, on(loop, partial(size_of, peer, capacity, used)))
        for peer in peers()
        for loop in loops(BACKENDS)
        if loop in peer.loops
    ]
    return Case(
        title, found, [goal], per="channel", unit="bytes", size=CHANNELS, rounds=1
    )


def python(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(  # noqa: S603
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def importing(module: str) -> Measure:
    """Measure by how much an import lengthens a run of Python."""

    def run_for(program: str) -> float:
        started = perf_counter()
        python(program)
        return perf_counter() - started

    def measure(size: int) -> float:
        return sum(run_for(f"import {module}") - run_for("") for _ in range(size))

    return measure


def imports() -> Case:
    modules = ["csp", "anyio", "asyncio", "trio", "aiochan", "janus"]
    found = [
        Contender(module, ANY_LOOP, importing(module))
        for module in modules
        if installed(module)
    ]
    return Case("Import, beyond a bare interpreter", found, per="import", size=1)


def loaded() -> str:
    """Tell which of the costly modules an import of ours brings along."""
    modules = python("import sys, csp; print(*sys.modules)").split()
    costly = [module for module in ("asyncio", "ssl", "trio") if module in modules]
    return (
        f"`import csp` loads {len(modules)} modules; of asyncio, ssl and trio, "
        f"{' and '.join(costly) or 'none'}."
    )


def suite() -> Suite:
    used = Goal(OURS.name, None, 2048, 1024)
    return Suite(
        "footprint",
        [
            memory("Memory, new", 100, False, Goal(OURS.name, None, 600, 300)),
            memory("Memory, used, capacity 10", 10, True, used),
            memory("Memory, used, capacity 100", 100, True, used),
            imports(),
        ],
        loaded(),
    )


if __name__ == "__main__":
    main(suite)
