"""Do the examples do what they say, run as a user runs them?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from signal import SIGINT, SIGTERM
from time import sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.pipeline.cut import SIZE, Cutter
from examples.pipeline.tally import Tally, count

ROOT = Path(__file__).parent.parent
ALICE = ROOT / "examples" / "pipeline" / "alice.txt"
PIPELINE = [sys.executable, "-W", "error", "-m", "examples.pipeline"]
PACKAGES = {"asyncio": "asyncio", "uvloop": "uvloop", "trio": "trio"}
BACKENDS = [backend for backend, package in PACKAGES.items() if find_spec(package)]

LINES = 300_000
# No word comes twice, so none that is lost is made good by another counted twice.
LARGE = [" ".join(f"w{n}x{i}" for i in range(n % 7)) for n in range(LINES)]
WORDS_UP_TO = list(accumulate((len(line.split()) for line in LARGE), initial=0))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file that takes longer to count than the tests are willing to wait."""
    path = tmp_path_factory.mktemp("pipeline") / "large.txt"
    path.write_text("\n".join(LARGE))
    return path


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


def figure(report, pattern):
    """Find a figure in a report, such as "1,234 words"."""
    found = re.search(pattern.replace("N", r"([\d,]+)"), report)
    assert found is not None, report
    return int(found[1].replace(",", ""))


def check_ledger(report):
    """Check that as many lines were counted as read; returns how many."""
    lines = figure(report, "N lines in = ")
    assert figure(report, "= N lines counted: nothing was lost") == lines
    assert figure(report, "N lines, ") == lines
    return lines


def test_the_report_on_the_novel_is_right():
    """Figures that can be had in other ways are the same."""
    result = run()
    report, text = result.stdout.decode(), ALICE.read_text()
    assert result.returncode == 0
    assert check_ledger(report) == len(text.splitlines())
    assert figure(report, "N words") == len(re.findall(r"\w+(?:['-]\w+)*", text))
    turtles = re.findall(r"\bmock\s+turtle\b", text, re.IGNORECASE)
    assert figure(report, "N  mock turtle") == len(turtles)
    assert len(re.findall("^ .*CHAPTER [IVX]+: .* #+$", report, re.MULTILINE)) == 12
    assert re.search(r"queen +1,351  invitation from the Queen", report)
    assert "Longest sentence: 179 words, from line 975" in report


@pytest.mark.parametrize("workers", ["1", "16"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_report_is_the_same_however_it_is_made(backend, workers):
    """Neither the event loop nor the number of workers can be told from it."""
    result = run("--backend", backend, "--workers", workers)
    assert result.stdout == run().stdout
    assert result.stderr.decode() == f"alice.txt: {workers} workers on {backend}\n"


@pytest.mark.parametrize("backend", BACKENDS)
def test_standard_input_is_read_to_its_end(backend):
    """A pipe gives what the file gives; and so does a file in its place."""
    piped = run("-", "--backend", backend, input=ALICE.read_bytes())
    with ALICE.open("rb") as file:
        redirected = run("-", "--backend", backend, stdin=file)
    _, expected = run(ALICE).stdout.split(b"\n", 1)
    assert piped.stdout == redirected.stdout
    assert piped.stdout.startswith(b"standard input\n")
    assert piped.stdout.endswith(expected.split(b"\n", 1)[1])


@pytest.mark.parametrize(
    ("text", "lines", "words"),
    [
        pytest.param(b"", 0, 0, id="nothing"),
        pytest.param(b"\n\n\n", 3, 0, id="empty lines"),
        pytest.param(b"one two\r\nthree", 2, 3, id="no last line end"),
        pytest.param(b"# .\n\n# #\n", 3, 0, id="chapters without a word"),
        pytest.param(b"\xff\x00 a\xe9b\n", 1, 2, id="no text at all"),
        pytest.param("Élan vital, l\u2019été\n".encode(), 1, 3, id="not ASCII"),
    ],
)
def test_any_file_is_reported_on(text, lines, words):
    """No content makes it fail."""
    result = run("-", input=text)
    report = result.stdout.decode()
    assert (result.returncode, check_ledger(report)) == (0, lines)
    assert figure(report, "N words") == words


def test_a_line_without_an_end_is_counted_in_parts():
    """However long it is, only so much of it is held at once."""
    report = run("-", input=b"word " * 50_000).stdout.decode()
    parts = check_ledger(report)
    assert 2 <= parts <= 4
    assert 50_000 <= figure(report, "N words") < 50_000 + parts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.txt"], "cannot read missing.txt: No such file or directory\n"),
        (["tests"], "cannot read tests: Is a directory\n"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(arguments, message):
    """There is no traceback and no report."""
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode() == f"python -m examples.pipeline: {message}"


@pytest.mark.parametrize("delay", [0, 0.02, 0.1, 0.4])  # seconds: when, not whether
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_interrupt_loses_nothing_that_was_read(start, large, backend, delay):
    """All words of the lines that were read are in the report, each once."""
    process = start(large, "--backend", backend)
    process.stderr.readline()  # it is up
    sleep(delay)
    process.send_signal(SIGINT)
    stdout, stderr = process.communicate()
    report = stdout.decode()
    assert (process.returncode, stderr.count(b"Traceback")) == (0, 0)
    assert b"SIGINT: reads no more" in stderr
    lines = check_ledger(report)
    assert lines < LINES
    # The last line that was read may be a part of one.
    words = figure(report, "N words")
    assert WORDS_UP_TO[max(0, lines - 1)] <= words <= WORDS_UP_TO[lines]
    assert figure(report, "N different") == words


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_signal_ends_the_wait_for_input(start, backend):
    """All that came before it is reported, the unfinished last line too."""
    process = start("-", "--backend", backend, stdin=subprocess.PIPE)
    process.stdin.write(b"a line\n" * 150 + b"a par")
    while process.stderr.readline() != b"100 lines counted\n":
        """A block is full of what was written, so all of it was read."""
    process.send_signal(SIGTERM)
    report = process.stdout.read().decode()  # while its input is still open
    assert (process.wait(), check_ledger(report)) == (0, 151)
    assert "Stopped before the end. 151 lines in" in report
    assert b"SIGTERM: reads no more" in process.stderr.read()


def test_progress_on_a_terminal_takes_one_line(start):
    """Each state is written over the one before, and the report over the last."""
    terminal, stderr = os.openpty()
    process = start("-", stdin=subprocess.PIPE, stderr=stderr)
    os.close(stderr)
    process.stdin.write(b"a line\n" * 150)
    shown = b""
    while b"100 lines counted" not in shown:
        shown += os.read(terminal, 1000)
    process.communicate()
    shown += os.read(terminal, 1000)
    os.close(terminal)
    assert b"\r\x1b[K100 lines counted\r\x1b[K" in shown
    assert shown.count(b"\n") == 1  # after the first line, which says what it reads
    assert shown.endswith(b"\r\x1b[K")


@given(st.lists(st.sampled_from(["", "Chapter 1", "# Two", "a line", "Dr. No!"])))
def test_cutting_a_text_keeps_every_line_and_its_place(lines):
    """Blocks put together are the text, and no block is large."""
    cutter = Cutter()
    blocks = [*cutter.feed(lines * 20), *cutter.finish()]
    assert [line for block in blocks for line in block.lines] == lines * 20
    starts = accumulate((len(block.lines) for block in blocks), initial=1)
    assert [block.line for block in blocks] == list(starts)[:-1]
    assert all(len(block.lines) < 2 * SIZE for block in blocks)


@given(st.randoms(use_true_random=False))
def test_tallies_add_up_in_any_order(random):
    """Workers finish when they like, and the sum is the same."""
    cutter = Cutter()
    lines = ALICE.read_text().splitlines()[:250] * 2  # so there are ties
    tallies = [count(block) for block in (*cutter.feed(lines), *cutter.finish())]
    shuffled = random.sample(tallies, k=len(tallies))
    assert add_up(shuffled) == add_up(tallies)


def add_up(tallies):
    """Sum up tallies in this order."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total
