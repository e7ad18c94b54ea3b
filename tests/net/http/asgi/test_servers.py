"""Our handlers on the servers of others, as processes."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
APP = "tests.net.http.asgi.app:app"
SERVERS = {
    "uvicorn": ["uvicorn", "--fd", "{fd}", APP],
    "hypercorn": ["hypercorn", "--bind", "fd://{fd}", APP],
    "hypercorn on trio": ["hypercorn", "-k", "trio", "--bind", "fd://{fd}", APP],
    "granian": ["granian", "--interface", "asgi", "--port", "{port}", APP],
}


def has(command):
    return find_spec(command[0]) and ("trio" not in command or find_spec("trio"))


@pytest.fixture(params=SERVERS)
def server(request):
    """A server that listens; gives where, and what it prints."""
    command = SERVERS[request.param]
    if not has(command):
        pytest.skip(f"{command[0]} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if "{port}" in command:
            listening.close()  # it cannot be handed over
        words = [word.format(fd=listening.fileno(), port=port) for word in command]
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            pass_fds=[] if "{port}" in command else [listening.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # with its workers
        )
    lines = []
    ready = threading.Event()

    def read():
        for line in process.stdout:
            lines.append(line)
            if "entered" in line or "Started worker" in line:
                ready.set()
        ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert ready.wait(30)
        yield port, process, lines
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        reader.join(30)
        process.stdout.close()
        process.wait(30)


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        for attempt in range(1000):
            try:
                connection.request(method, path, body, headers or {})
                break
            except ConnectionRefusedError:  # not yet
                if attempt == 999:
                    raise
        response = connection.getresponse()
        return response.status, response.read(), response.headers


def test_a_handler_runs_there(server):
    """From its being entered to its being left."""
    port, process, lines = server
    status, data, headers = ask(port, "GET", "/hello?name=a")
    assert (status, data, headers["content-length"]) == (200, b"hello a", "7")
    body = bytes(300_000)
    assert ask(port, "POST", "/echo", body)[1] == body
    assert len(ask(port, "GET", "/stream")[1].split()) == 1000
    status, data, headers = ask(port, "HEAD", "/hello?name=a")
    assert (status, data, headers["content-length"]) == (200, b"", "7")
    status, data, headers = ask(port, "GET", "/none")
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    assert ask(port, "GET", "/fail")[0] == 500
    assert ask(port, "GET", "/task")[1] == b"started"
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    text = "".join(lines)
    for _ in range(100):
        if "left" in text:
            break
        text = "".join(lines)
    assert text.count("ValueError: told") == 1
    assert text.index("entered") < text.index("task ended") < text.index("left")
