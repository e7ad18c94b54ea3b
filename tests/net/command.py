"""The command line as a process, for tests of it."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BACKENDS = [name for name in ("asyncio", "uvloop", "trio") if find_spec(name)]
TIMEOUT = 30  # seconds for anything


class Command:
    """The command, running; for so long that what hangs is seen to hang."""

    def __init__(self, folder, *args, environ=None, **options):
        command = [sys.executable, "-W", "error", "-m", "csp.net", *args]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CSP_")}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(ROOT), **(environ or {})},
            text=True,
            **options,
        )
        self.watchdog = threading.Timer(TIMEOUT, self.process.kill)
        self.watchdog.daemon = True
        self.watchdog.start()

    def line(self):
        """Return what it prints next."""
        return self.process.stdout.readline().rstrip("\n")

    def until(self, words):
        """Return the next line that has these words in it."""
        before = []
        while words not in (line := self.line()):
            before.append(line)
            assert line or self.process.poll() is None, before
        return line

    def where(self):
        """Return the host and the port at which it says that it listens."""
        line = self.line()
        assert line.startswith("listening on "), (line, *self.end())
        return place(line)

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def end(self):
        """Wait for its end; returns its exit code, and what it wrote to stderr."""
        _, err = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, err

    def close(self):
        self.watchdog.cancel()
        with self.process:  # which closes the pipes, whoever else may have them
            self.process.kill()


@contextmanager
def starting(folder):
    """Give what starts the command; it ends with the block."""
    started = []

    def start(*args, **options):
        started.append(Command(folder, *args, **options))
        return started[-1]

    try:
        yield start
    finally:
        for command in started:
            command.close()


def place(line):
    """Return the host and the port of a line that says where it listens."""
    host, _, port = line.removeprefix("listening on ").rpartition(":")
    return host, int(port)


def ask(where, path="/"):
    """Send a request; returns the connection."""
    conn = http.client.HTTPConnection(*where, timeout=TIMEOUT)
    conn.request("GET", path)
    return conn


def answer(conn):
    """Return the status and the body of the answer, and close the connection."""
    response = conn.getresponse()
    body = response.read()
    conn.close()
    return response.status, body


def get(where):
    return answer(ask(where))
