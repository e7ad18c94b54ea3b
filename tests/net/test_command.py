"""Does ``python -m csp.net module:app`` serve, stop, and say how it ended?

It runs as a process of its own, with a module that is made for the test.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap

import attrs
import pytest

pytest.importorskip("httptools")

from csp.net.http import Limits
from tests.net.command import BACKENDS, ROOT, TIMEOUT, answer, ask, get, starting

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

PROGRAM = """
import anyio
import csp
from csp.net import http

async def hello(request):
    return http.text("hello\\n")

async def slow(request):
    print("begun", flush=True)
    await csp.stopping()
    return http.text("finished\\n")

async def stuck(request):
    print("begun", flush=True)
    await anyio.sleep_forever()

async def forgetful(request):
    ch = csp.Channel(1, name="forgotten")
    await ch.send("an item")
    return http.text(str(ch))

async def breaking(request):
    raise SystemError("the handler is broken")

def make():
    return hello

def make_badly():
    raise OSError("the factory is broken")

async def either(*args):
    pass

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only http")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    body = f"hello asgi{scope['root_path']}\\n".encode()
    await send({"type": "http.response.body", "body": body})

class Block:
    def __init__(self, where):
        self.where = where

    async def __aenter__(self):
        if self.where == "entering":
            raise ValueError("the block does not open")
        print("entered", flush=True)
        return self

    async def __aexit__(self, *_):
        print("left", flush=True)
        if self.where == "leaving":
            raise ValueError("the block does not close")

    async def __call__(self, request):
        return await hello(request)

class inner:
    app = hello

block = Block("nowhere")
closed = Block("entering")
jammed = Block("leaving")
nothing = None
"""


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def start(tmp_path):
    """Start the command, and see to it that it ends."""
    (tmp_path / "program.py").write_text(PROGRAM)
    with starting(tmp_path) as start:
        yield start


@pytest.fixture
def serve(start):
    """Start it at a free port; returns it, and where it listens."""

    def serve(app, *args):
        command = start(app, "--port", "0", *args)
        return command, command.where()

    return serve


@pytest.fixture
def refusal(start):
    """Run it to its end, which is that it could not start; returns what it says."""

    def refusal(*args, **options):
        code, err = start(*args, **options).end()
        assert code == 3, err
        return err

    return refusal


# Serving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_stop_signal(serve, backend, number):
    """With nothing cut: 0."""
    command, where = serve("program:hello", "--backend", backend)
    assert get(where) == (200, b"hello\n")
    command.signal(number)
    code, err = command.end()
    assert code == 0, err
    assert "Traceback" not in err


def test_a_request_under_way_is_finished(serve, backend):
    """And the end is still 0."""
    command, where = serve("program:slow", "--backend", backend)
    conn = ask(where)
    assert command.line() == "begun"
    command.signal()
    assert answer(conn) == (200, b"finished\n")
    assert command.end()[0] == 0


def test_what_does_not_end_in_time_is_cut_and_named(serve, backend):
    """4, and the request is named."""
    command, where = serve("program:stuck", "--backend", backend, "--grace", "0.1")
    conn = ask(where, "/here")
    assert command.line() == "begun"
    command.signal()
    code, err = command.end()
    conn.close()
    assert code == 4, err
    assert "python -m csp.net: cut" in err
    assert "Traceback" not in err


def test_a_second_signal_cuts(serve, backend):
    """4, without waiting for the grace to pass."""
    command, where = serve("program:stuck", "--backend", backend)
    conn = ask(where)
    assert command.line() == "begun"
    with socket.create_connection(where, TIMEOUT) as idle:
        command.signal()
        while idle.recv(1):  # it lingers, and is closed: so the stop has begun
            pass
    command.signal()
    code, err = command.end()
    conn.close()
    assert code == 4, err
    assert "Traceback" not in err


def test_items_that_nobody_received_are_named(serve, backend):
    """4: they are undelivered."""
    command, where = serve("program:forgetful", "--backend", backend)
    get(where)
    command.signal()
    code, err = command.end()
    assert code == 4, err
    assert "'forgotten' held 1 item" in err
    assert "Traceback" not in err


def test_what_a_handler_raises_does_not_end_it(serve, backend):
    """It is answered with 500, and logged."""
    command, where = serve("program:breaking", "--backend", backend)
    assert get(where)[0] == 500
    command.signal()
    code, err = command.end()
    assert code == 0
    assert "the handler is broken" in err


def test_an_asgi_app_is_known_by_its_arguments(serve, backend):
    """Those are scope, receive and send."""
    for flags, path in (
        (["--interface", "auto"], b""),
        (["--interface", "asgi", "--lifespan", "off"], b""),
        (["--root-path", "/here"], b"/here"),
    ):
        command, where = serve("program:asgi", "--backend", backend, *flags)
        assert get(where) == (200, b"hello asgi" + path + b"\n")
        command.signal()
        code, err = command.end()
        assert code == 0, err


@pytest.mark.parametrize(
    ("app", "flags"),
    [
        ("program:inner.app", []),
        ("program:make", ["--factory"]),
        ("program:hello", ["--interface", "handler", "--log-level", "ERROR"]),
    ],
)
def test_there_are_ways_to_name_the_app(serve, app, flags):
    """In something else, and by what makes it."""
    command, where = serve(app, *flags)
    assert get(where) == (200, b"hello\n")
    command.signal()
    assert command.end()[0] == 0


def test_a_handler_that_is_a_block_is_entered(start, backend):
    """Before it listens, and left when it has drained."""
    command = start("program:block", "127.0.0.1:0", "--backend", backend)
    assert command.line() == "entered"
    assert get(command.where()) == (200, b"hello\n")
    command.signal()
    assert command.line() == "left"
    assert command.end()[0] == 0


def test_a_block_that_fails_to_end_is_a_failure(start, backend):
    """1, with the traceback."""
    command = start("program:jammed", "127.0.0.1:0", "--backend", backend)
    assert command.line() == "entered"
    command.where()
    command.signal()
    code, err = command.end()
    assert code == 1
    assert "ValueError: the block does not close" in err


# Where it listens


def test_it_listens_at_many_addresses(start, tmp_path):
    """And says each."""
    path = tmp_path / "x.sock"
    command = start(
        "program:hello",
        "127.0.0.1:0",
        *("--bind", "localhost:0"),
        *("--uds", str(path), "--host", "127.0.0.1", "--port", "0"),
    )
    first, second = command.where(), command.where()
    assert command.line() == f"listening on unix:{path}"
    third = command.where()
    assert [get(where)[0] for where in (first, second, third)] == [200] * 3
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
    command.signal()
    assert command.end()[0] == 0
    assert not path.exists()


def test_addresses_may_stand_among_the_flags(start):
    """Before and after them."""
    command = start(
        "program:hello", "127.0.0.1:0", "--log-level", "error", "127.0.0.1:0"
    )
    assert command.where() != command.where()
    command.signal()
    assert command.end()[0] == 0


def test_it_takes_a_descriptor(start):
    """That it was started with."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        command = start(
            "program:hello", "--fd", str(sock.fileno()), pass_fds=[sock.fileno()]
        )
        where = command.where()
        assert where == sock.getsockname()
    assert get(where) == (200, b"hello\n")
    command.signal()
    assert command.end()[0] == 0


def test_it_encrypts(start, tmp_path):
    """With a certificate and its key in one file, or in two."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    key, both = tmp_path / "key.pem", tmp_path / "both.pem"
    certificate.private_key_pem.write_to_path(key)
    certificate.private_key_and_cert_chain_pem.write_to_path(both)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    for flags in (["--ssl-keyfile", str(key)], []):
        command = start(
            "program:hello", "127.0.0.1:0", "--ssl-certfile", str(both), *flags
        )
        conn = http.client.HTTPSConnection(
            *command.where(), timeout=TIMEOUT, context=context
        )
        conn.request("GET", "/")
        assert answer(conn) == (200, b"hello\n")
        command.signal()
        assert command.end()[0] == 0


# Limits


def test_each_limit_is_a_flag(start):
    """By its name; and inf is none."""
    help_, _ = start("--help").process.communicate(timeout=TIMEOUT)
    for field in attrs.fields(Limits):
        assert f"--{field.name.replace('_', '-')} " in help_


def test_limits_are_kept(serve):
    """Those that were given."""
    command, where = serve(
        *("program:hello", "--target-bytes", "20"),
        *("--body-bytes", "inf", "--timeout-keep-alive", "7.5"),
    )
    assert answer(ask(where, "/short"))[0] == 200
    assert answer(ask(where, "/" + 20 * "x"))[0] == 414
    command.signal()
    assert command.end()[0] == 0


def test_what_is_beyond_the_limit_of_concurrency_is_refused(serve):
    """At once: there is no queue."""
    command, where = serve("program:slow", "--limit-concurrency", "1")
    first = ask(where)
    assert command.line() == "begun"
    assert get(where)[0] == 503
    command.signal()
    assert answer(first) == (200, b"finished\n")
    assert command.end()[0] == 0


# What it cannot start with


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["program"], "'program' names no app. Write it as module:app"),
        ([".program:hello"], "names no app"),
        (["missing:app"], "no module 'missing'"),
        (["program.missing:app"], "no module 'program.missing'"),
        (["program:missing"], "'program' has no 'missing'"),
        (["program:inner.missing"], "'missing' is not there"),
        (["program:nothing"], "is None, which is no handler"),
        (["program:make"], "write --factory"),
        (["program:either"], "Write --interface handler, or --interface asgi"),
        (["program:hello", "nowhere"], "'nowhere' is no address"),
        (["program:hello", "127.0.0.1:99999"], "has no port"),
        (["program:hello", "--port", "99999"], "has no port"),
        (["program:hello", "--fd", "0"], "cannot listen on fd:0"),
        (["program:hello", "--uds", "/missing/x.sock"], "cannot listen on unix:"),
        (["program:hello", "--connections", "0"], "connections must be 1 or more"),
        (["program:hello", "--linger", "-1"], "linger must be 0 or more"),
        (["program:hello", "--ssl-certfile", "no.pem"], "certificate 'no.pem'"),
        (["program:hello", "--ssl-keyfile", "no.pem"], "--ssl-certfile"),
        (
            ["program:hello", "--ssl-certfile", "no.pem", "--ssl-cert-reqs", "2"],
            "--ssl-ca-certs",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_why_it_cannot_start_is_one_sentence(refusal, args, words):
    """3, and no traceback."""
    err = refusal(*args, stdin=subprocess.DEVNULL)
    assert words in err
    assert err.startswith("python -m csp.net: ")
    assert err.count("\n") == 1


def test_a_port_that_is_taken_is_named(refusal, backend):
    """3, and no traceback; the others are closed."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        err = refusal("program:hello", "127.0.0.1:0", address, "--backend", backend)
    assert err == (
        f"python -m csp.net: cannot listen on {address}: Address already in use\n"
    )


@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("import missing", "ModuleNotFoundError: No module named 'missing'"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("app = 1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_module_that_fails_shows_its_own_traceback(refusal, tmp_path, code, last):
    """Without our frames."""
    (tmp_path / "failing.py").write_text(textwrap.dedent(code))
    err = refusal("failing:app")
    assert "failing.py" in err
    assert last in err
    assert "csp/net" not in err
    assert "importlib" not in err


def test_a_factory_that_fails_shows_its_traceback(refusal):
    """Without our frames."""
    err = refusal("program:make_badly", "--factory")
    assert "in make_badly" in err
    assert "csp/net" not in err


def test_a_block_that_does_not_begin_shows_its_traceback(refusal, backend):
    """3: it had not begun to listen."""
    err = refusal("program:closed", "--backend", backend)
    assert "ValueError: the block does not open" in err


def test_the_module_is_looked_for_in_a_directory(start, tmp_path):
    """By default in the current one; or in another."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (tmp_path / "program.py").rename(folder / "program.py")
    assert start("program:hello", "127.0.0.1:0").end()[0] == 3
    command = start("program:hello", "127.0.0.1:0", "--app-dir", "elsewhere")
    assert get(command.where()) == (200, b"hello\n")
    command.signal()
    assert command.end()[0] == 0


def test_a_flag_that_is_none_is_refused(refusal):
    """3, as all else with which it cannot start."""
    assert refusal("program:hello", "--nope") == (
        "python -m csp.net: unrecognized arguments: --nope. See --help\n"
    )


def test_a_loop_that_is_not_installed_is_named(tmp_path):
    """3, and how to install it."""
    (tmp_path / "program.py").write_text("app = print")
    code = (
        "import sys; sys.path_importer_cache.clear(); "
        "sys.modules['uvloop'] = None; import importlib.util as u; "
        "find = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'uvloop' else find(name, *a); "
        "from csp.net._cli import main; "
        "sys.exit(main(['program:app', '--backend', 'uvloop']))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert run.returncode == 3
    assert "pip install 'anycsp[uvloop]'" in run.stderr
    assert "Traceback" not in run.stderr
