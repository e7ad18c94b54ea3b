"""Do the examples do what they say, run as a user runs them?"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from random import Random
from signal import SIGINT, SIGKILL, SIGPIPE, SIGTERM
from time import sleep

import pytest

from examples.pipeline.journal import Journal

ROOT = Path(__file__).parent.parent
ALICE = ROOT / "examples" / "pipeline" / "alice.txt"
PIPELINE = [sys.executable, "-W", "error", "-m", "examples.pipeline"]
PACKAGES = {"asyncio": "asyncio", "uvloop": "uvloop", "trio": "trio"}
BACKENDS = [backend for backend, package in PACKAGES.items() if find_spec(package)]

LINES = 60_000


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file that takes some tenths of a second to count."""
    path = tmp_path_factory.mktemp("pipeline") / "large.txt"
    # No block is like another, so none that is lost is made good by one counted twice.
    path.write_text(
        "\n".join(f"some w{n // 9} {'other ' * (n % 9)}" for n in range(LINES))
    )
    return path


@pytest.fixture(scope="module")
def counted(large):
    """That file, and what comes out of it if nobody interrupts that."""
    out = large.with_name("uninterrupted.txt")
    assert run(large, "--output", out).returncode == 0
    return large, out.read_text()


@pytest.fixture
def start():
    """Start the pipeline example as a process, and see to it that it ends."""
    started = []

    def start(*args, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        # Unbuffered, so that what is read of it line by line is missed by nobody.
        process = subprocess.Popen([*PIPELINE, *args], cwd=ROOT, bufsize=0, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def run(*args, **options):
    """Run the pipeline example to its end."""
    command = [*PIPELINE, *args]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, check=False, **options
    )


def begin(start, *args):
    """Start it and wait until it handles signals; returns how much is done already."""
    process = start(*args)
    return process, int(process.stderr.readline().split()[0])


def end(process):
    """Wait for its end, check that no block is lost; returns how many were counted."""
    stdout, stderr = process.communicate(timeout=30)
    assert b"Traceback" not in (stderr or b""), stderr.decode()
    found = re.search(
        r"^(\d+) blocks read = (\d+) counted \+ (\d+) not counted(?:: ([\d, ]+))?$",
        stdout.decode(),
        re.MULTILINE,
    )
    assert found is not None, stdout.decode()
    read, counted, left = map(int, found.groups()[:3])
    named = found[4].split(", ") if found[4] else []
    assert read == counted + left
    assert len({*named}) == len(named) == left
    # A signal that comes when all is done may still meet the interpreter at its end.
    assert process.returncode in (4 if left else 0, -SIGTERM, -SIGINT)
    return counted


def words_in(path):
    """Count the words in another way."""
    words = re.sub(r"[^\w'-]|_", " ", path.read_text().lower()).split()
    words = [word.strip("'-") for word in words]
    return Counter(part for word in words for part in word.split("--") if part)


# The pipeline


def test_the_words_of_the_novel_are_counted_right():
    """As in another way of counting."""
    result = run()
    lines = result.stdout.decode().splitlines()
    assert (result.returncode, lines[0]) == (0, "alice.txt")
    rows = [line.split() for line in lines[1:-1]]
    assert len(rows) == 20
    expected = words_in(ALICE)
    assert {word: int(times.replace(",", "")) for times, word in rows[:10]} == {
        word: expected[word] for _, word in rows[:10]
    }
    assert lines[-1] == "15 blocks read = 15 counted + 0 not counted"


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_counts_are_the_same_on_every_loop(backend, counted, tmp_path):
    """And there is no journal left when it is done."""
    out = tmp_path / "out.txt"
    text, result = counted
    assert run(text, "--backend", backend, "--output", out).returncode == 0
    assert out.read_text() == result
    assert [*tmp_path.iterdir()] == [out]


@pytest.mark.parametrize(
    ("text", "blocks", "rows"),
    [
        pytest.param(b"", 0, [], id="nothing"),
        pytest.param(b"\n\n\n", 1, [], id="empty lines"),
        pytest.param(b"b a\r\nA", 1, ["2 a", "1 b"], id="no last line end"),
        pytest.param(b"\xff\x00 a\xe9b\n", 1, ["1 a", "1 b"], id="no text at all"),
        pytest.param("l\u2019été\n".encode(), 1, ["1 l\u2019été"], id="not ASCII"),
    ],
)
def test_any_file_can_be_counted(text, blocks, rows, tmp_path):
    """No content makes it fail."""
    path = tmp_path / "text"
    path.write_bytes(text)
    result = run(path, env={**os.environ, "PYTHONUTF8": "1"})
    name, *table, ledger = result.stdout.decode().splitlines()
    assert (result.returncode, name) == (0, "text")
    assert [" ".join(row.split()) for row in table] == rows
    assert ledger == f"{blocks} blocks read = {blocks} counted + 0 not counted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.txt"], r"No such file or directory: 'missing.txt'\n"),
        (["tests"], r"Is a directory: 'tests'\n"),
        (["README.md", "--output", "missing/out"], "No such file or directory"),
        (["README.md", "--output", "tests"], "cannot be a directory: tests"),
        (["README.md", "--backend", "curio"], "invalid choice: 'curio'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(arguments, message):
    """There is no traceback and no report."""
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, b"")
    *usage, error = result.stderr.decode().splitlines(keepends=True)
    assert re.search(message, error)
    assert usage[0].startswith("usage: python -m examples.pipeline")


def test_nobody_has_to_read_all_that_it_prints(start):
    """As ``| head`` does not: it ends without a word about it."""
    process = start()
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    assert process.wait() == -SIGPIPE


def test_a_signal_at_any_moment_loses_nothing(start, large, scale):
    """Of what was read, all is counted, or named after a second signal."""
    random = Random()
    ways = cycle(
        (backend, signal) for backend in BACKENDS for signal in (SIGTERM, SIGINT)
    )
    interrupted = 0
    for backend, signal in islice(ways, scale(20, 200)):
        process, _ = begin(start, large, "--backend", backend)
        sleep(random.uniform(0, 0.2))  # the moment, which is all the same
        process.send_signal(signal)
        if random.random() < 0.3:
            sleep(random.uniform(0, 0.05))
            process.send_signal(signal)
        interrupted += end(process) < 130
    assert interrupted


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("signal", [SIGTERM, SIGKILL])
def test_after_interruptions_it_goes_on(start, counted, tmp_path, backend, signal):
    """Two runs that were ended, and one to the end, make what one makes."""
    out = tmp_path / "out.txt"
    text, result = counted
    arguments = [text, "--backend", backend, "--output", out]
    done = 0
    for _ in range(2):
        process, before = begin(start, *arguments)
        assert before >= done
        wait_for_more(out.with_name("out.txt.journal"))
        process.send_signal(signal)
        done = before + (end(process) if signal == SIGTERM else 0)
        process.wait()
        assert not out.exists()
    process, before = begin(start, *arguments)
    assert before == done if signal == SIGTERM else before > 0
    end(process)
    assert out.read_text() == result


def wait_for_more(journal):
    """Wait until something has been added to a file."""
    size = journal.stat().st_size
    while journal.stat().st_size == size:
        sleep(0.001)


def test_a_torn_journal_is_read_to_where_it_is_whole(tmp_path):
    """What makes no sense at its end is cut off, and written anew."""
    path, text = tmp_path / "out.journal", tmp_path / "text"
    text.write_text("a b")
    journal = Journal(text, tmp_path / "out")
    journal.write([(0, {"a": 1}), (1, {"b": 2})])
    journal.close()
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        journal = Journal(text, tmp_path / "out")
        assert journal.done == {*range(max(0, whole[:size].count(b"\n") - 1))}
        missing = {0, 1} - journal.done
        journal.write([(n, {"ab"[n]: n + 1}) for n in sorted(missing)])
        journal.close()
        assert journal.words == {"a": 1, "b": 2}
        assert path.read_bytes() == whole


def test_a_journal_of_another_text_is_refused(tmp_path):
    """Its blocks are not those of this one."""
    text, journal = tmp_path / "text", tmp_path / "out.journal"
    text.write_text("a b")
    journal.write_text(json.dumps([7, 8]) + "\n")
    result = run(text, "--output", tmp_path / "out")
    assert result.returncode == 2
    assert b"out.journal is of another text: remove it" in result.stderr


def test_on_a_terminal_it_shows_bars(start, large):
    """One for each stage; or lines, if rich is not installed."""
    terminal, stderr = os.openpty()
    process = start(large, stderr=stderr)
    os.close(stderr)
    shown = b""
    with suppress(OSError):  # the process has closed its end
        while part := os.read(terminal, 10_000):
            shown += part
    os.close(terminal)
    end(process)
    expected = [b"count", b"gather", b"record"] if find_spec("rich") else [b" in, "]
    assert all(part in shown for part in expected)
