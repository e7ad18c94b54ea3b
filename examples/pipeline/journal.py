"""What has been counted, on a disk: a line for each block, which is never changed.

A crash may tear what was written after the last `fsync`.  That is at the end of the
file, so reading stops at a line that makes no sense, and writing goes on from there.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any


class Journal:
    """What has been counted of one version of a text; `output` is for its end."""

    def __init__(self, text: Path, output: Path | None) -> None:
        self.words: Counter[str] = Counter()
        self.done: set[int] = set()
        self.output = output
        self.path = output and output.with_name(f"{output.name}.journal")
        self.file = self.path.open("a+b") if self.path else TemporaryFile()  # noqa: SIM115
        version = [text.stat().st_size, text.stat().st_mtime_ns]
        records = [*self.read()]
        if not records:
            self.append([version])
        elif records[0] != version:
            raise ValueError(f"{self.path} is of another text: remove it to begin anew")
        self.add(records[1:])

    def read(self) -> Iterator[Any]:
        """Return what is in the file, and cut off what is torn."""
        end = self.file.seek(0)
        for line in self.file:
            try:
                yield json.loads(line[:-1])  # which spoils a line that has no end
            except ValueError:
                break
            end += len(line)
        self.file.truncate(end)

    def write(self, blocks: Iterable[tuple[int, Any]]) -> None:
        """Record some blocks.  When this returns they are done, and stay so."""
        self.append(blocks)
        self.add(blocks)

    def append(self, records: Iterable[Any]) -> None:
        """Write some lines, and wait until they are on the disk."""
        self.file.writelines(json.dumps(record).encode() + b"\n" for record in records)
        self.file.flush()
        os.fsync(self.file.fileno())

    def add(self, blocks: Iterable[tuple[int, Any]]) -> None:
        """Take over what was counted."""
        for number, words in blocks:
            self.done.add(number)
            self.words.update(words)

    def table(self) -> list[str]:
        """Return all words and how often each was counted, the most frequent first."""
        rows = sorted(self.words.items(), key=lambda row: (-row[1], row[0]))
        return [f"{times:8,}  {word}" for word, times in rows]

    def finish(self) -> None:
        """Write that to the output, and remove the journal: all is done."""
        if self.output and self.path:
            with self.output.open("w", encoding="utf-8") as file:
                file.writelines(f"{row}\n" for row in self.table())
                file.flush()
                os.fsync(file.fileno())
            self.path.unlink()

    def close(self) -> None:
        """Close the file, which nobody uses any more."""
        self.file.close()
