"""The program: its options, its signals and its exit codes.

Exit codes: 0, it is done, or a signal ended the reading and nothing was lost; 1, the
reading failed half-way; 2, it could not start.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterable
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import anyio

import csp

from .flow import analyse
from .progress import Progress
from .report import ledger, report

PROGRAM = "python -m examples.pipeline"
TEXT = Path(__file__).with_name("alice.txt")


def main() -> int:
    """Run the program; returns its exit code."""
    options = parse_options()
    piped = options.file == "-"
    source = 0 if piped else options.file
    try:
        file = open(source, "rb", buffering=0, closefd=not piped)  # noqa: SIM115
    except OSError as error:
        return refuse(f"cannot read {options.file}: {error.strerror}")
    try:
        with file:
            return csp.run(program, file.fileno(), options, backend=options.backend)
    except ModuleNotFoundError as error:  # the event loop is not installed
        return refuse(str(error))


def refuse(reason: str) -> int:
    """Say why the program cannot run; returns its exit code."""
    print(f"{PROGRAM}: {reason}", file=sys.stderr)
    return 2


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Report on the words and sentences of a text."
    )
    parser.add_argument(
        "file",
        nargs="?",
        default=str(TEXT),
        help="a file, or - for standard input; by default, a novel",
    )
    parser.add_argument("--workers", type=int, default=4, metavar="N")
    parser.add_argument(
        "--backend", choices=["asyncio", "uvloop", "trio"], default="asyncio"
    )
    options = parser.parse_args()
    if options.workers < 1:
        parser.error("--workers must be 1 or more")
    return options


async def program(fd: int, options: argparse.Namespace) -> int:
    """Analyse the text, watch for signals meanwhile, and print the report."""
    name = "standard input" if options.file == "-" else Path(options.file).name
    stop: csp.Channel[None] = csp.Channel(name="stop")
    progress = Progress()
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        progress.say(f"{name}: {options.workers} workers on {options.backend}")
        async with csp.Group() as g:
            watcher = g.go(watch, signals, stop, progress)
            reading, total = await analyse(fd, stop, options.workers, progress)
            watcher.cancel()
        progress.clear()
        for line in report(name, total):
            print(line)
        print()
        if stop.closed:
            print("Stopped before the end.", end=" ")
        print(ledger(reading.lines, total.lines), flush=True)
    if reading.error is not None:
        print(f"{PROGRAM}: cannot read on: {reading.error}", file=sys.stderr)
    return 1 if reading.error or reading.lines != total.lines else 0


async def watch(
    signals: AsyncIterable[Signals], stop: csp.Channel[None], progress: Progress
) -> None:
    """Close `stop` at a signal, which tells everybody who selects on it."""
    async for signum in signals:
        progress.say(f"{signum.name}: reads no more, and counts what it has read")
        stop.close()


if __name__ == "__main__":
    sys.exit(main())
