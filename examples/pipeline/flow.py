"""The pipeline: blocks of lines come in, their words are counted, and that is recorded.

Each stage has tasks of its own, and between two stages there is room for a few items.
So a slow stage makes those before it wait, and little of a large text is in memory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from anyio.to_thread import run_sync

from csp import PipelineReport, pipeline

from .journal import Journal

WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


class Block(NamedTuple):
    """A part of the text: its number, and its lines or how often each word is in it."""

    number: int
    words: list[str] | Counter[str]


class Text:
    """The source: those blocks of a text that are not in the journal yet."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path = path
        self.journal = journal
        self.taken: list[int] = []

    def __iter__(self) -> Iterator[Block]:
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for number in count():
                if not (lines := file.readlines(10_000)):
                    break
                if number not in self.journal.done:
                    self.taken.append(number)
                    yield Block(number, lines)


def count_words(block: Block) -> Block:
    """Count the words in a block."""
    return Block(block.number, Counter(WORD.findall("".join(block.words).lower())))


async def run(text: Text, undone: list[Any], progress: Any) -> PipelineReport:
    """Count what is not in the journal yet.

    Computing and writing block, so they are done in threads, and all else goes on.  On
    a signal `csp.run` asks to stop: the source ends, and then one stage after the
    other, when it has done what was on its way.
    """
    return await (
        pipeline(text, on_undelivered=undone.append, progress=progress)
        .map(in_thread(count_words), workers=4, name="count")
        .batch(16, within=0.5, name="gather")
        .each(in_thread(text.journal.write), name="record")
        .run()
    )


def in_thread(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return an async function that calls `fn` in a thread."""
    return lambda item: run_sync(fn, item)
