"""Does --reload start the program again, and lose no connection meanwhile?"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("httptools")
pytest.importorskip("watchfiles")

from csp.net._cli import _reload, main
from csp.net._cli._watch import Files
from tests.net.command import BACKENDS, TIMEOUT, answer, ask, get, place, starting

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

PROGRAM = """
import os
import time

import anyio
import csp
from csp.net import http

async def app(request):
    if request.path == "/slow":
        print("begun", flush=True)
        await csp.stopping()
    elif request.path == "/stuck":
        print("begun", flush=True)
        await anyio.sleep_forever()
    elif request.path == "/blocked":
        print("begun", flush=True)
        time.sleep(1000)
    elif request.path == "/pid":
        return http.text(str(os.getpid()))
    elif request.path == "/crash":
        os._exit(1)
    return http.text("one")
"""


class Program:
    """The program, under --reload, and its file."""

    def __init__(self, start, folder):
        self.file = folder / "program.py"
        self.start = start
        self.write(PROGRAM)

    def write(self, text):
        """Replace the file, so that nobody sees half of it."""
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.rename(self.file)

    def run(self, *args, **options):
        """Start it; returns it, and where it listens."""
        where = () if "--uds" in args else ("127.0.0.1:0",)
        merged = {"stderr": subprocess.STDOUT, "stdout": subprocess.PIPE}
        command = self.start(
            "program:app", *where, "--reload", *args, **merged, **options
        )
        line = command.until("listening on ")
        return command, None if "--uds" in args else place(line)


@pytest.fixture
def program(tmp_path):
    with starting(tmp_path) as start:
        yield Program(start, tmp_path)


def under_way(command, where, path):
    """Send a request, and wait until its handler runs."""
    conn = ask(where, path)
    command.until("begun")
    return conn


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_change_starts_it_again_and_none_is_refused(program, backend):
    """Whoever asks meanwhile is answered, by the one or by the other."""
    command, where = program.run("--backend", backend, "--no-access-log")
    answers, enough = [], threading.Event()

    def ask_on():
        while not enough.is_set():
            answers.append(get(where))

    client = threading.Thread(target=ask_on)
    client.start()
    try:
        program.write(PROGRAM.replace('"one"', '"two"'))
        assert "program.py has changed" in command.until("changed")
        assert place(command.until("listening on ")) == where
    finally:
        enough.set()
        client.join()
    answers.append(get(where))
    assert answers[-1] == (200, b"two")
    assert {*answers} == {(200, b"one"), (200, b"two")}
    command.signal()
    assert command.end()[0] == 0


def test_what_is_under_way_at_a_change_is_finished(program):
    """By the program as it was."""
    command, where = program.run()
    conn = under_way(command, where, "/slow")
    program.write(PROGRAM.replace('"one"', '"two"'))
    assert answer(conn) == (200, b"one")
    command.until("listening on ")
    assert get(where) == (200, b"two")
    command.signal()
    assert command.end()[0] == 0


def test_after_a_syntax_error_it_waits(program):
    """With the traceback and one line; who comes meanwhile waits as well."""
    command, where = program.run()
    program.write("def broken(:")
    command.until("SyntaxError")
    command.until("the program could not start (3); waiting for a change")
    conn = ask(where)
    program.write(PROGRAM.replace('"one"', '"two"'))
    assert answer(conn) == (200, b"two")
    command.signal()
    assert command.end()[0] == 0


def test_a_stop_while_it_waits_ends_it(program):
    """With the exit code of the last child."""
    command, _ = program.run()
    program.write("1 / 0")
    command.until("waiting for a change")
    command.signal()
    assert command.end()[0] == 3


def test_a_program_that_ends_by_itself_is_not_the_end(program):
    """It waits for a change then."""
    command, where = program.run()
    ask(where, "/crash").close()
    command.until("the program has ended (1); waiting for a change")
    program.write(PROGRAM)
    command.until("listening on ")
    assert get(where) == (200, b"one")
    command.signal()
    assert command.end()[0] == 0


def test_ctrl_c_reaches_the_child_once(program):
    """At a terminal it goes to all processes of the group: twice would cut."""
    command, where = program.run(start_new_session=True)
    conn = under_way(command, where, "/slow")
    os.killpg(command.process.pid, signal.SIGINT)
    assert answer(conn) == (200, b"one")
    assert command.end()[0] == 0


@pytest.mark.parametrize(("path", "code"), [("/stuck", 4), ("/blocked", 137)])
def test_more_signals_cut_and_then_kill(program, path, code):
    """The second cuts, and the child says what; the third kills one that is blocked."""
    command, where = program.run()
    conn = under_way(command, where, path)
    signals = 2 if code == 4 else 3
    for _ in range(signals):
        command.signal()
        time.sleep(0.3)  # or the system makes one of them
    assert command.end()[0] == code
    conn.close()


def test_a_unix_socket_stays_until_the_end(program, tmp_path):
    """The parent made it, and the parent removes it."""
    path = tmp_path / "x.sock"
    command, _ = program.run("--uds", str(path))
    before = path.stat().st_ino
    program.write(PROGRAM.replace('"one"', '"two"'))
    command.until("changed")
    command.until("listening on ")
    assert path.stat().st_ino == before
    command.signal()
    assert command.end()[0] == 0
    assert not path.exists()


def test_a_child_does_not_outlive_its_parent(program):
    """Not even one that was killed."""
    command, where = program.run()
    child = int(answer(ask(where, "/pid"))[1])
    os.kill(command.process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    try:
        with pytest.raises(ConnectionError):
            while time.monotonic() < deadline:
                socket.create_connection(where, TIMEOUT).close()
                time.sleep(0.02)
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_other_files_matter_if_included(program, tmp_path):
    """And some that are Python's do not, if excluded."""
    folder = tmp_path / "more"
    folder.mkdir()
    command, _ = program.run(
        *("--reload-dir", str(tmp_path), "--reload-include", "*.html"),
        *("--reload-exclude", "more/*.py"),
    )
    (folder / "x.py").write_text("")
    (folder / "x.html").write_text("")
    assert "x.html has changed" in command.until("changed")
    command.until("listening on ")
    command.signal()
    assert command.end()[0] == 0


@pytest.mark.parametrize(
    ("path", "matters"),
    [
        ("/.a/app/x.py", True),
        ("/.a/app/deep/x.py", True),
        ("/.a/app/x.txt", False),
        ("/.a/app/x.html", True),
        ("/.a/app/.venv/lib/x.py", False),
        ("/.a/app/.x.py", False),
        ("/.a/app/build/x.py", False),
        ("/.a/app/gen/x.py", False),
        ("/.a/app/gen/x.html", True),
        ("/elsewhere/x.py", False),
    ],
)
def test_which_files_matter(path, matters):
    """By what their path is in the directory, not by where that is."""
    files = Files([Path("/.a/app")], ["*.html"], ["build", "gen/*.py"])
    assert files("change", path) == matters


def test_what_reload_needs_is_named(monkeypatch, capsys, tmp_path):
    """3, before anything is opened."""
    assert main(["program:app", "--reload", "--reload-dir", str(tmp_path / "no")]) == 3
    assert "there is no directory" in capsys.readouterr().err
    monkeypatch.setattr(_reload, "find_spec", lambda _: None)
    assert main(["program:app", "--reload"]) == 3
    assert "pip install 'anycsp[reload]'" in capsys.readouterr().err
    monkeypatch.setattr(os, "name", "nt")
    assert main(["program:app", "--reload"]) == 3
    assert "--reload needs" in capsys.readouterr().err


def test_a_port_that_is_taken_ends_the_parent(program):
    """3: there is nothing to wait for."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        command = program.start("program:app", "--port", str(port), "--reload")
        code, err = command.end()
    assert (code, err.count("\n")) == (3, 1)
    assert "Address already in use" in err
