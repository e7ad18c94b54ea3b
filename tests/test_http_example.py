"""Does the HTTP example do what it says to try, and finish it when it is stopped?

It runs as a process of its own; the clients are those of the standard library.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("httptools")

ROOT = Path(__file__).parent.parent
BACKENDS = [name for name in ("asyncio", "uvloop", "trio") if find_spec(name)]
TIMEOUT = 30  # seconds for anything
SIZE = 20 * 2**20  # of an upload, which is more than a server takes by default


class Example:
    """The example, running."""

    def __init__(self, *args):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "examples.http", *args],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.first = self.process.stdout.readline()
        self.address = self.first.removeprefix("listening on ").strip()

    def connect(self):
        return HTTPConnection(self.address, timeout=TIMEOUT)

    def ask(self, method, path, body=None, **headers):
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def stop(self, signum=signal.SIGTERM):
        """Return its exit code, and what it has said."""
        self.process.send_signal(signum)
        return self.end()

    def end(self):
        """Wait for the end; returns the same."""
        process = self.process
        output, errors = process.stdout.read(), process.stderr.read()
        return process.wait(TIMEOUT), output, errors


@pytest.fixture
def start():
    """Start examples, and see to it that they end."""
    running = []

    def start(*args):
        running.append(Example(*args))
        return running[-1]

    yield start
    for example in running:
        example.process.kill()
        example.process.communicate()


@pytest.fixture(params=BACKENDS)
def example(request, start):
    """The example on any free port, on each event loop."""
    return start("127.0.0.1:0", "--backend", request.param)


def test_it_says_what_to_try(example):
    """With the address that it listens at."""
    code, output, _ = example.stop(signal.SIGINT)
    assert code == 0
    for path in ("/", "/count", "/upload", "/slow", "/lines", "/1.0/stuff"):
        assert f"http://{example.address}{path}" in output
    assert "0 finished, 0 cut" in output


def test_hello(example):
    """The talk's."""
    assert example.ask("GET", "/") == (200, b"Hello, www!\n")
    assert example.ask("HEAD", "/") == (200, b"")


def test_stuff(example):
    """A resource in JSON, from its beginning to its end."""

    def ask(method, path, value=None):
        body = None if value is None else json.dumps(value)
        fields = {"Content-Type": "application/json"}
        status, data = example.ask(method, f"/1.0/stuff{path}", body, **fields)
        return status, json.loads(data) if data else None

    tea = {"name": "tea", "tags": ["hot"], "id": 1}
    assert ask("POST", "", {"name": "tea", "tags": ["hot"]}) == (201, tea)
    assert ask("GET", "/1") == (200, tea)
    assert ask("GET", "?tag=hot") == (200, [tea])
    assert ask("GET", "?tag=cold") == (200, [])
    coffee = {"name": "coffee", "tags": [], "id": 1}
    assert ask("PUT", "/1", {"name": "coffee"}) == (200, coffee)
    assert ask("DELETE", "/1") == (204, None)
    assert ask("GET", "/1")[0] == 404
    assert ask("GET", "/one")[0] == 404
    status, problem = ask("POST", "", {"name": 5})
    assert (status, problem["pointer"]) == (400, "/name")
    assert ask("POST", "", "{}")[0] == 400
    assert example.ask("POST", "/1.0/stuff", "name=tea")[0] == 415
    assert example.ask("GET", "/1.0/stuff", Accept="text/html")[0] == 406


def test_a_condition_and_a_virtual_host(example):
    """Who says please, and who asks another host at the same address."""
    assert example.ask("GET", "/secret")[0] == 401
    status, answer = example.ask("GET", "/secret", Authorization="Bearer please")
    assert (status, answer) == (200, b"the answer is 42\n")
    assert example.ask("GET", "/", Host="admin.localhost") == (200, b"ready")
    assert example.ask("GET", "/ready") == (200, b"ready")


def test_tls(start, tmp_path):
    """By a flag."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "pem")
    issued.private_key_pem.write_to_path(tmp_path / "key")
    files = str(tmp_path / "pem"), str(tmp_path / "key")
    example = start("127.0.0.1:0", "--tls", *files)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    connection = HTTPSConnection(example.address, timeout=TIMEOUT, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"Hello, www!\n"
    assert example.stop()[0] == 0


SCHEMATHESIS = """\
[phases.coverage]
unexpected-methods = ["PATCH", "POST"]
"""  # TRACE, for one, is answered 501 by the server itself


def test_it_does_what_its_document_says(start, tmp_path, scale):
    """The one at /1.0/openapi.json, as schemathesis understands it."""
    if find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed")
    example = start("127.0.0.1:0")
    config = tmp_path / "config.toml"
    config.write_text(SCHEMATHESIS)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", f"http://{example.address}/1.0/openapi.json"),
        *("--include-path-regex", "^/1.0/stuff", "-n", str(scale(15, 500))),
        # To JSON Schema 1.0 is an integer, to msgspec it is none.
        *("--exclude-checks", "positive_data_acceptance"),
    ]
    done = subprocess.run(
        command, check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "Tested: 5" in done.stdout


def test_an_upload(example):
    """Of any size."""
    body = bytes(SIZE)
    status, answer = example.ask("PUT", "/upload", body)
    assert status == 200
    assert json.loads(answer) == {"bytes": SIZE, "sha256": sha256(body).hexdigest()}


def test_what_only_two_may_do(example):
    """Two more wait, and others are sent away."""
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(example.ask("GET", "/slow")[0]))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(statuses) == {200: 4, 503: 2}


@pytest.mark.parametrize("backend", BACKENDS)
def test_lines_that_were_taken_are_done(start, backend, tmp_path, scale):
    """Whenever it is stopped: each that a response has told of, and each once."""
    for seed in range(scale(3, 30)):
        out = tmp_path / f"{seed}"
        example = start("127.0.0.1:0", "--backend", backend, "--out", str(out))
        taken, sent = Counter(), Counter()
        threads = [
            threading.Thread(target=send_lines, args=(example, name, taken, sent))
            for name in "abcd"
        ]
        for thread in threads:
            thread.start()
        time.sleep(random.Random(seed).uniform(0.0, 0.5))
        code, output, errors = example.stop()
        for thread in threads:
            thread.join(TIMEOUT)
        done = Counter(line.split()[1] for line in out.read_text().splitlines())
        assert code == 0
        assert "Traceback" not in errors
        assert f"{done.total()} lines done" in output
        assert taken <= done <= sent


def send_lines(example, name, taken, sent):
    """Upload lines until the server is gone; notes them, and those it has taken."""
    connection = example.connect()
    with contextlib.closing(connection), contextlib.suppress(OSError, HTTPException):
        for number in range(10_000):
            lines = [f"{name}-{number}-{line}" for line in range(50)]
            sent.update(lines)
            connection.request("POST", "/lines", "\n".join(lines))
            response = connection.getresponse()
            assert response.status == 202
            assert json.loads(response.read()) == {"taken": len(lines)}
            taken.update(lines)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("DELETE", "/", 405),
        ("POST", "/count", 405),
        ("PUT", "/lines", 405),
    ],
)
def test_what_is_not_there(example, method, path, status):
    """Is a problem document."""
    found, answer = example.ask(method, path)
    assert (found, json.loads(answer)["status"]) == (status, status)


def test_a_stop_in_the_middle(example):
    """A stream is ended in order, and an upload is finished."""
    counting, uploading = example.connect(), example.connect()
    counting.request("GET", "/count")
    stream = counting.getresponse()
    assert stream.readline() == b"0\n"
    uploading.putrequest("PUT", "/upload")
    uploading.putheader("Content-Length", "4")
    uploading.endheaders(b"ab")
    example.process.send_signal(signal.SIGTERM)
    assert stream.read() == b"the server stops\n"
    uploading.send(b"cd")
    response = uploading.getresponse()
    assert (response.status, response.getheader("connection")) == (200, "close")
    assert json.loads(response.read())["bytes"] == 4
    for connection in (counting, uploading):
        connection.close()
    code, output, errors = example.end()
    assert code == 0
    assert "2 finished, 0 cut" in output
    assert "Traceback" not in errors


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:70000"])
def test_what_it_cannot_do_is_one_sentence(start, address):
    """And exit code 3."""
    example = start(address)
    code, output, errors = example.end()
    assert code == 3
    assert errors.count("\n") == 1
    assert address in errors
    assert not output
