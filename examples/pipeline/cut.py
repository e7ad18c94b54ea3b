"""Cuts a text into blocks: of whole paragraphs, of one chapter each.

A block is what one worker counts at a time.  Phrases and sentences go on over the end
of a line, but not over that of a paragraph, so each block can be counted by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

SIZE = 100
"""Lines of a block, more or less: it ends with the paragraph that reaches this.

Also the most lines of a paragraph, since a file may well have no empty line at all.
"""

# A paragraph of one line that reads "Chapter 1", "ACT II. Elsinore" or "## Usage".
_HEADING = re.compile(
    r"(?:chapter|part|book|act|section|letter)\s+(?:[ivxlc]+|\d+)\b(.*)|#+\s+(.+)",
    re.IGNORECASE,
)


class Chapter(NamedTuple):
    """Which chapter, counted from 1; 0 is what comes before the first."""

    number: int
    title: str


class Block(NamedTuple):
    """Some lines of a text, and where they stand."""

    chapter: Chapter
    line: int
    """The number of the first line, from 1."""
    lines: list[str]


class Cutter:
    """Takes lines as they come, and gives blocks as they are complete."""

    def __init__(self) -> None:
        self._chapter = Chapter(0, "")
        self._untitled = False  # the chapter has a number, and its title may follow
        self._line = 1
        self._block: list[str] = []
        self._paragraph: list[str] = []

    def feed(self, lines: Iterable[str]) -> Iterator[Block]:
        """Take these lines; returns the blocks that they complete."""
        for line in lines:
            self._paragraph.append(line)
            if not line.strip() or len(self._paragraph) == SIZE:
                yield from self._end_paragraph()

    def finish(self) -> Iterator[Block]:
        """Return the last block, if there is one."""
        yield from self._end_paragraph()
        yield from self._end_block()

    def _end_paragraph(self) -> Iterator[Block]:
        text = [line.strip() for line in self._paragraph if line.strip()]
        if len(text) == 1 and (heading := _HEADING.fullmatch(text[0])):
            yield from self._end_block()
            self._chapter = Chapter(self._chapter.number + 1, text[0].lstrip("# "))
            self._untitled = not any(heading.groups())
        elif text:
            if len(text) == 1 and self._untitled:
                number, title = self._chapter
                self._chapter = Chapter(number, f"{title}: {text[0]}")
            self._untitled = False
        self._block += self._paragraph
        self._paragraph = []
        if len(self._block) >= SIZE:
            yield from self._end_block()

    def _end_block(self) -> Iterator[Block]:
        if self._block:
            yield Block(self._chapter, self._line, self._block)
            self._line += len(self._block)
            self._block = []
