"""Counts what is in a block of text, and adds up such counts."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .cut import Block, Chapter

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")

# To a full stop that no small letter follows ("Oh dear!" cried Alice goes on), or to
# the end of the paragraph.
_SENTENCE = re.compile(
    r"""\S .*? (?: [.!?]+ ["'\u201d\u2019)\]]* (?= \s+ [^a-z\s] | \s* \Z )
            | (?= \n\n )
            | \Z )""",
    re.VERBOSE | re.DOTALL,
)

_COMMON = """
a about after again all am an and any are as at be because been before but by can can't
could couldn't did didn't do does doesn't don't down for from had has have he her here
herself him himself his how i i'd i'll i'm i've if in into is isn't it its itself just
may me might more most must my myself no nor not now of off on once one only or other
our out over own quite said shall she should so some such than that the their them then
there these they this those through to too under until up upon us very was wasn't we
well were what when where which while who whom why will with won't would you your
"""
COMMON = frozenset(_COMMON.split())
"""Words that tell little of what an English text is about."""


class Mention(NamedTuple):
    """A line of the text."""

    line: int
    text: str


class Sentence(NamedTuple):
    """A sentence, and the line that it begins in."""

    words: int
    line: int
    text: str


NO_SENTENCE = Sentence(0, 0, "")


@dataclass(slots=True)
class Tally:
    """What was counted."""

    lines: int = 0
    sentences: int = 0
    words: Counter[str] = field(default_factory=Counter)
    phrases: Counter[str] = field(default_factory=Counter)
    chapters: Counter[Chapter] = field(default_factory=Counter)
    first: dict[str, Mention] = field(default_factory=dict)
    longest: Sentence = NO_SENTENCE

    def add(self, other: Tally) -> None:
        """Add another tally.  In whatever order they come, the sum is the same."""
        self.lines += other.lines
        self.sentences += other.sentences
        self.words.update(other.words)
        self.phrases.update(other.phrases)
        self.chapters.update(other.chapters)
        for word, mention in other.first.items():
            self.first[word] = min(self.first.get(word, mention), mention)
        self.meet(other.longest)

    def meet(self, sentence: Sentence) -> None:
        """Keep this sentence if it is the longest, or the first of the longest."""
        self.longest = max(self.longest, sentence, key=lambda s: (s.words, -s.line))


def count(block: Block) -> Tally:
    """Count what is in a block."""
    tally = Tally(lines=len(block.lines))
    text = "\n".join(line.strip() for line in block.lines)
    for match in _SENTENCE.finditer(text):
        skipped = text.count("\n", 0, match.start())
        words = _count_words(tally, block, skipped, match.group())
        if words:
            tally.sentences += 1
            _count_phrases(tally, words)
            tally.meet(Sentence(len(words), block.line + skipped, match.group()))
    tally.chapters[block.chapter] = tally.words.total()
    return tally


def _count_words(tally: Tally, block: Block, skipped: int, text: str) -> list[str]:
    """Count the words of a sentence that begins in line `skipped` of the block."""
    words = []
    for match in _WORD.finditer(text):
        word = match.group().lower().removesuffix("'s")
        words.append(word)
        if word not in tally.first:
            at = skipped + text.count("\n", 0, match.start())
            tally.first[word] = Mention(block.line + at, block.lines[at].strip())
    tally.words.update(words)
    return words


def _count_phrases(tally: Tally, words: list[str]) -> None:
    """Count pairs and triples of words that begin and end with one that tells much."""
    pairs = (pair for pair in pairwise(words) if COMMON.isdisjoint(pair))
    triples = (
        triple
        for triple in zip(words, words[1:], words[2:], strict=False)
        if triple[0] not in COMMON and triple[2] not in COMMON
    )
    tally.phrases.update(" ".join(phrase) for phrase in (*pairs, *triples))
