"""The program: its options, what it prints, and its exit codes.

Exit codes: 0, it has counted all, or all that it had read when it was stopped; 1, it
has failed; 2, it could not start; 4, it was stopped twice, and some is not counted;
128 + signal, as the shell shows it, if that came before the counting, or after it.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import csp

from .flow import Text, run
from .journal import Journal

BACKENDS = ["asyncio", "uvloop", "trio"]
NOVEL = Path(__file__).with_name("alice.txt")


def main() -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.pipeline")
    parser.add_argument("file", type=Path, nargs="?", default=NOVEL)
    parser.add_argument("--output", type=Path, help="where to write how often each is")
    parser.add_argument("--backend", choices=BACKENDS, default="asyncio")
    options = parser.parse_args()
    let_signals_end_it()
    if options.output and options.output.is_dir():
        parser.error(f"the output cannot be a directory: {options.output}")
    undone: list[Any] = []
    try:
        options.file.open().close()
        journal = Journal(options.file, options.output)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with closing(journal):
        text = Text(options.file, journal)
        try:
            csp.run(program, text, undone, backend=options.backend)
        except ModuleNotFoundError as error:  # the event loop is not installed
            parser.error(str(error))
        except csp.Undelivered:  # a second signal has cut it
            pass
    return 4 if undone else 0


def let_signals_end_it() -> None:
    """Have it just end on Ctrl-C, save while it counts, or if nobody reads from it."""
    for name in ("SIGINT", "SIGPIPE"):
        if hasattr(signal, name):  # not every system has both
            signal.signal(getattr(signal, name), signal.SIG_DFL)


async def program(text: Text, undone: list[Any]) -> None:
    """Count a text, and tell what has come of that, however it ends."""
    print(f"{len(text.journal.done)} blocks are counted already", file=sys.stderr)
    try:
        report = await run(text, undone, "rich" if find_spec("rich") else "lines")
        if not report.stopped:
            text.journal.finish()
    finally:
        print(text.path.name, *text.journal.table()[:20], sep="\n")
        print(ledger(text, undone), flush=True)


def ledger(text: Text, undone: list[Any]) -> str:
    """Show that no block was lost which has been read."""
    counted = len(text.journal.done.intersection(text.taken))
    batches = [item if isinstance(item, list) else [item] for item in undone]
    left = sorted(block.number for batch in batches for block in batch)
    return (
        f"{len(text.taken)} blocks read = {counted} counted + {len(left)} not counted"
        + f": {', '.join(map(str, left))}" * bool(left)
    )


if __name__ == "__main__":
    sys.exit(main())
