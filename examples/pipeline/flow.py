"""The pipeline: read, cut, count in several workers, add up.

Each stage is a task, and a bounded channel joins it to the next: a stage that is slow
makes those before it wait, so however large a file is, little of it is in memory.

Each stage closes its handles to the channels when it ends, and the last sender that
closes ends a channel.  So an end travels down the line by itself, behind everything
that is still in it: that is all there is to stopping without a loss.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import anyio

import csp

from .cut import Block, Cutter
from .tally import Tally, count

if TYPE_CHECKING:
    from .progress import Progress

CHUNK = 65_536
"""Bytes read at once, and the most in a line: what is longer counts as several."""


class Reading(NamedTuple):
    """How reading ended."""

    lines: int
    error: OSError | None


async def analyse(
    fd: int, stop: csp.Channel[None], workers: int, progress: Progress
) -> tuple[Reading, Tally]:
    """Read a text from `fd` until it ends or `stop` closes.

    Returns how the reading ended, and what was counted.
    """
    lines: csp.Channel[list[str]] = csp.Channel(1, name="lines")
    blocks: csp.Channel[Block] = csp.Channel(workers, name="blocks")
    tallies: csp.Channel[Tally] = csp.Channel(workers, name="tallies")
    async with csp.Group() as g:
        reader = g.go(read, fd, stop, lines.sender())
        g.go(cut, lines.receiver(), blocks.sender())
        for _ in range(workers):
            g.go(work, blocks.receiver(), tallies.sender())
        total = await add_up(tallies.receiver(), progress)
    return await reader, total


async def read(
    fd: int, stop: csp.Channel[None], lines: csp.Sender[list[str]]
) -> Reading:
    """Send the lines of `fd`, a batch at a time."""
    total, rest, error = 0, b"", None
    with lines:
        try:
            while chunk := await next_chunk(fd, stop):
                *batch, rest = (rest + chunk).split(b"\n")
                if len(rest) > CHUNK:
                    batch, rest = [*batch, rest], b""
                total += len(batch)
                await lines.send([line.decode(errors="replace") for line in batch])
        except OSError as failure:  # an end like others: what came before it counts
            error = failure
        if rest:
            total += 1
            await lines.send([rest.decode(errors="replace")])
    return Reading(total, error)


async def next_chunk(fd: int, stop: csp.Channel[None]) -> bytes:
    """Wait for input and read it; returns nothing at its end or if `stop` closes.

    Whatever can be awaited can be a choice of a select: start it with `go`, choose
    among `done` and others, and cancel it if another was chosen.
    """
    readable = csp.go(wait_readable, fd)
    match await csp.select(stop=csp.recv(stop), go=csp.done(readable), priority=True):
        case "stop", _:
            readable.cancel()
            return b""
    return await anyio.to_thread.run_sync(os.read, fd, CHUNK)


async def wait_readable(fd: int) -> None:
    """Wait until reading from `fd` makes nobody wait."""
    with suppress(PermissionError):  # a file on a disk: it never does
        await anyio.wait_readable(fd)


async def cut(lines: csp.Receiver[list[str]], blocks: csp.Sender[Block]) -> None:
    """Cut the text into blocks."""
    cutter = Cutter()
    with lines, blocks:
        async for batch in lines:
            await blocks.send_many(cutter.feed(batch))
        await blocks.send_many(cutter.finish())


async def work(blocks: csp.Receiver[Block], tallies: csp.Sender[Tally]) -> None:
    """Count blocks, each in a thread, so that everything else goes on meanwhile."""
    with blocks, tallies:
        async for block in blocks:
            await tallies.send(await anyio.to_thread.run_sync(count, block))


async def add_up(tallies: csp.Receiver[Tally], progress: Progress) -> Tally:
    """Add up what was counted, and tell how far it is."""
    total = Tally()
    tick = csp.ticker(progress.period)
    with tallies:
        while True:
            match await csp.select(tally=csp.recv(tallies), tick=tick):
                case "tally", csp.Closed():
                    return total
                case "tally", tally:
                    total.add(tally)
                case "tick", _:
                    progress.show(f"{total.lines:,} lines counted")
