"""Our handlers, and our limit, on the servers of others and on ours, as processes."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
MODULE = "tests.net.http.asgi.app"
SERVERS = {
    "ours": [MODULE, "{app}", "{fd}"],
    "uvicorn": ["uvicorn", "--fd", "{fd}", f"{MODULE}:{{app}}"],
    "hypercorn": ["hypercorn", "--bind", "fd://{fd}", f"{MODULE}:{{app}}"],
    "hypercorn on trio": [
        *("hypercorn", "-k", "trio", "--bind", "fd://{fd}", f"{MODULE}:{{app}}"),
    ],
    "granian": [
        "granian",
        "--interface",
        "asgi",
        "--port",
        "{port}",
        f"{MODULE}:{{app}}",
    ],
}


def has(command):
    return find_spec(command[0]) and ("trio" not in command or find_spec("trio"))


class Server:
    """A server in a process of its own, and what it prints."""

    def __init__(self, command, app):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
            fd = listening.fileno()
            if "{port}" in command:
                listening.close()  # it cannot be handed over
            words = [word.format(fd=fd, port=self.port, app=app) for word in command]
            self.process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=ROOT,
                pass_fds=[] if "{port}" in command else [fd],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # with its workers
            )
        self.lines = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.strip())
                self.changed.notify_all()
        with self.changed:
            self.reader = None
            self.changed.notify_all()

    def wait_for(self, line, count=1):
        """Wait until it has printed a line so often."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: self.lines.count(line) >= count or self.reader is None, 30
            )
            assert self.lines.count(line) >= count, self.lines

    def wait_until_it_listens(self):
        for _ in range(1000):
            try:
                return socket.create_connection(("127.0.0.1", self.port), 10).close()
            except ConnectionRefusedError:  # not yet
                time.sleep(0.01)
        raise TimeoutError(self.lines)

    def ask(self, method, path, body=None):
        """Send a request, and return the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read(), response.headers

    def end(self):
        """Wait until it has ended, and return all that it has printed."""
        self.process.wait(30)
        with self.changed:
            assert self.changed.wait_for(lambda: self.reader is None, 30)
        return self.lines

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.end()
        self.process.stdout.close()


@pytest.fixture(params=SERVERS)
def start(request):
    """A function that starts a server for an app."""
    command = SERVERS[request.param]
    if not has(command):
        pytest.skip(f"{command[0]} is not installed")
    started = []

    def start(app):
        server = Server(command, app)
        started.append(server)
        server.wait_for("entered")
        server.wait_until_it_listens()
        return server

    yield start
    for server in started:
        server.kill()


def test_a_handler_runs_there(start):
    """From its being entered to its being left."""
    server = start("app")
    ask = server.ask
    status, data, headers = ask("GET", "/hello?name=a")
    assert (status, data, headers["content-length"]) == (200, b"hello a", "7")
    body = bytes(300_000)
    assert ask("POST", "/echo", body)[1] == body
    assert len(ask("GET", "/stream")[1].split()) == 1000
    status, data, headers = ask("HEAD", "/hello?name=a")
    assert (status, data, headers["content-length"]) == (200, b"", "7")
    status, data, headers = ask("GET", "/none")
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    assert ask("GET", "/fail")[0] == 500
    assert ask("GET", "/task")[1] == b"started"
    server.process.send_signal(signal.SIGTERM)
    lines = server.end()
    assert lines.count("ValueError: told") == 1
    ends = [line for line in lines if line in {"entered", "task ended", "left"}]
    assert ends == ["entered", "task ended", "left"]


def test_a_limit_lets_so_many_in_and_so_many_wait(start):
    """Others are answered 503, and told when to come again."""
    server = start("gated")
    with ThreadPoolExecutor(7) as pool:
        asked = [pool.submit(server.ask, "GET", "/wait") for _ in range(7)]
        answers = [call.result() for call in islice(as_completed(asked, 30), 3)]
        assert [status for status, *_ in answers] == [503] * 3
        assert {headers["retry-after"] for *_, headers in answers} == {"3"}
        assert server.lines.count("began /wait") == 2
        assert server.ask("GET", "/open")[1] == b"opened"
        others = [call.result()[:2] for call in asked]
    assert others.count((200, b"ok")) == 4


def test_a_stop_waits_for_what_is_in_line(start):
    """Before the app hears of it."""
    server = start("gated")
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(server.ask, "GET", "/slow") for _ in range(4)]
        server.wait_for("began /slow", 2)
        time.sleep(0.1)  # for the others to be in line
        server.process.send_signal(signal.SIGTERM)
        assert [call.result()[:2] for call in asked] == [(200, b"ok")] * 4
    lines = server.end()
    assert lines.index("left") > max(
        i for i, line in enumerate(lines) if line == "answered"
    )
