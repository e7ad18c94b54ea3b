"""Writes what was found in a text."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .tally import COMMON, Tally

if TYPE_CHECKING:
    from .cut import Chapter

WIDTH = 79
BAR = 20
"""The length of the longest bar."""
ROWS = 12
"""How many words are listed, phrases, and lines of the longest sentence."""

# Words a minute, reading silently: the mean that Brysbaert (2019) found for English.
READING_SPEED = 238


def report(name: str, tally: Tally) -> Iterator[str]:
    """Return the report, line by line."""
    words = tally.words.total()
    yield name
    yield "=" * len(name)
    yield f"{tally.lines:,} lines, {tally.sentences:,} sentences"
    yield f"{words:,} words, {len(tally.words):,} different"
    yield f"{_reading_time(words)} to read"
    yield from _chapters(tally.chapters)
    yield from _words(tally)
    yield from _phrases(tally.phrases)
    yield from _longest(tally)


def ledger(lines_in: int, counted: int) -> str:
    """Return the sum that shows whether a line was lost."""
    if lines_in == counted:
        return f"{lines_in:,} lines in = {counted:,} lines counted: nothing was lost"
    return f"{lines_in:,} lines in, {counted:,} lines counted: THEY DO NOT MATCH"


def _chapters(chapters: Mapping[Chapter, int]) -> Iterator[str]:
    if len(chapters) <= 1:
        return
    yield from _title("Words in each chapter")
    unit = max(chapters.values()) / BAR or 1
    for chapter, words in sorted(chapters.items()):
        title = chapter.title if chapter.number else "(before the first)"
        row = f"{words:8,}  {_shorten(title, 46):46}  {'#' * round(words / unit)}"
        yield row.rstrip()


def _words(tally: Tally) -> Iterator[str]:
    words = [item for item in _most_frequent(tally.words) if item[0] not in COMMON]
    if not words:
        return
    yield from _title("Most frequent words, and the line that each is first met in")
    for word, times in words[:ROWS]:
        line, text = tally.first[word]
        row = f"{times:8,}  {word:14}  {line:>7,}  "
        yield row + _around(word, text, WIDTH - len(row))


def _phrases(phrases: Counter[str]) -> Iterator[str]:
    repeated = [(phrase, n) for phrase, n in _most_frequent(phrases) if n > 1]
    if not repeated:
        return
    yield from _title("Most frequent phrases")
    for phrase, times in repeated[:ROWS]:
        yield f"{times:8,}  {_shorten(phrase, WIDTH - 10)}"


def _longest(tally: Tally) -> Iterator[str]:
    words, line, text = tally.longest
    if not words:
        return
    yield from _title(f"Longest sentence: {words:,} words, from line {line:,}")
    yield from textwrap.wrap(text, WIDTH, max_lines=ROWS, placeholder=" ...")


def _title(text: str) -> Iterator[str]:
    yield ""
    yield text
    yield "-" * len(text)


def _most_frequent(counts: Counter[str]) -> list[tuple[str, int]]:
    """Sort by count and then by name, so that a text has one report."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _reading_time(words: int) -> str:
    hours, minutes = divmod(round(words / READING_SPEED), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else "less than a minute"


def _around(word: str, text: str, width: int) -> str:
    """Return so much of a line, with the word in it."""
    end = text.lower().find(word) + len(word)
    start = max(0, end - width)
    return text[start : start + width]


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
