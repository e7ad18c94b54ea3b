"""Programs that do what they should not: a clear line for each, and nothing hangs."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

import pytest

pytest.importorskip("httptools")

from tests.net.command import BACKENDS, ask, get, starting

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

PROGRAM = r"""
import time
import anyio

def app(fn):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await fn(receive, send)
    return app

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"fine"}

@app
async def returns(receive, send):
    pass

@app
async def never(receive, send):
    print("begun", flush=True)
    await anyio.sleep_forever()

@app
async def twice(receive, send):
    for _ in range(2):
        await send(START)
        await send(BODY)

@app
async def late(receive, send):
    print("begun", flush=True)
    while (await receive())["type"] != "http.disconnect":
        pass
    try:
        await send(START)
        await send(BODY)
    finally:
        print("told", flush=True)

@app
async def blocking(receive, send):
    print("begun", flush=True)
    time.sleep(1000)

def lifespan(*messages, before=None):
    async def app(scope, receive, send):
        for kind, message in messages:
            await receive()
            if before is not None:
                print("starting", flush=True)
                await before()
            await send({"type": f"lifespan.{kind}", "message": message})
    return app

async def sleep():
    time.sleep(1000)

failing = lifespan(("startup.failed", "no database"))
tracing = lifespan(("startup.failed", "Traceback:\n  deep\nOSError: no disk\n"))
unending = lifespan(("startup.complete", ""), ("shutdown.failed", "not flushed"))
hanging = lifespan(("startup.complete", ""), before=anyio.sleep_forever)
stalling = lifespan(("startup.complete", ""), before=sleep)
"""

IMPORTING = """
import time
try:
    print("importing", flush=True)
    time.sleep(1000)
{}
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    with starting(tmp_path) as start:
        yield lambda app, *args: start(f"program:{app}", "--port", "0", *args)


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def lines(err):
    """Return what is not of a traceback, but says something."""
    return [line for line in err.splitlines() if " ERROR " in line]


# In the lifespan


def test_an_app_that_does_not_start_says_why(start, backend):
    """3, and one line."""
    code, err = start("failing", "--backend", backend).end()
    assert code == 3
    assert err == "python -m csp.net: the application did not start: no database\n"


def test_a_reason_that_is_a_traceback_comes_first(start):
    """As frameworks give them; and then the line."""
    code, err = start("tracing").end()
    assert code == 3
    assert err == (
        "Traceback:\n  deep\n"
        "python -m csp.net: the application did not start: OSError: no disk\n"
    )


def test_an_app_that_does_not_shut_down_is_a_failure(start, backend):
    """1, and one line."""
    command = start("unending", "--backend", backend, "--log-level", "error")
    command.where()
    command.signal()
    code, err = command.end()
    assert code == 1
    assert err == (
        "python -m csp.net: the application did not shut down: not flushed\n"
    )


# In a request


@pytest.mark.parametrize(
    ("app", "status", "line"),
    [
        ("returns", 500, "the handler failed"),
        ("twice", 200, "failed after the response"),
    ],
)
def test_an_app_that_errs_is_logged(start, app, status, line):
    """Once, and the server goes on."""
    command = start(app)
    where = command.where()
    assert get(where)[0] == status
    command.signal()
    code, err = command.end()
    assert code == 0
    [said] = lines(err)
    assert said.endswith(line)


def test_an_app_that_sends_too_late_is_told(start):
    """By an error from send, which is no news to anybody else."""
    command = start("late")
    conn = ask(command.where())
    command.until("begun")
    conn.close()
    command.until("told")
    command.signal()
    code, err = command.end()
    assert code == 0
    assert lines(err) == []


def test_an_app_that_never_answers_is_cut(start, backend):
    """4, after its grace."""
    command = start("never", "--backend", backend, "--grace", "0.1")
    conn = ask(command.where(), "/x")
    command.until("begun")
    command.signal()
    code, err = command.end()
    conn.close()
    assert code == 4
    assert "python -m csp.net: cut: GET /x from 127.0.0.1" in err


def test_an_app_that_blocks_the_loop_ends_by_the_third_signal(start, backend):
    """128 + the signal's number, which is what the shell shows for it."""
    command = start("blocking", "--backend", backend)
    conn = ask(command.where())
    command.until("begun")
    stop(command, 143)
    conn.close()


def stop(command, code):
    """Send signals until it has ended."""
    sent = 0
    while command.process.poll() is None:
        command.signal()
        sent += 1
        with suppress(subprocess.TimeoutExpired):
            command.process.wait(0.3)  # or the system makes one of them
    assert sent == 3
    assert command.end()[0] == code


# A signal while it starts


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "rest", ["finally: pass", "except BaseException: app = print"], ids=["", "caught"]
)
def test_a_signal_while_the_module_is_imported_ends_it(start, tmp_path, number, rest):
    """3, and one line; even if the module catches all that there is."""
    (tmp_path / "program.py").write_text(IMPORTING.format(rest))
    command = start("app", "--interface", "handler")
    command.until("importing")
    command.signal(number)
    code, err = command.end()
    assert code == 3
    assert err == f"python -m csp.net: {number.name} came before it had started\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_lifespan_begins_ends_it(start, backend, number):
    """3, and one line, without waiting for the grace to pass."""
    command = start("hanging", "--backend", backend, "--log-level", "warning")
    command.until("starting")
    command.signal(number)
    code, err = command.end()
    assert code == 3
    assert err == "python -m csp.net: asked to stop before it had started\n"


def test_a_lifespan_that_blocks_the_loop_ends_by_the_third_signal(start):
    """As a request that does."""
    command = start("stalling")
    command.until("starting")
    stop(command, 143)


def test_a_module_that_exits_has_failed(start, tmp_path):
    """3, though it says 0."""
    (tmp_path / "program.py").write_text("raise SystemExit(0)")
    code, err = start("app").end()
    assert code == 3
    assert err.endswith("the program failed before it began: SystemExit\n")
