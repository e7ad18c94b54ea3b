"""The whole server on real sockets: what memory cannot show."""

from __future__ import annotations

import errno
import json
import logging
import socket
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager

import anyio
import pytest

import csp
from csp.net import dial
from csp.net.http import Limits, Response, serve, text
from tests.net.http.memory import get, logged, parse, post

pytestmark = pytest.mark.anyio

LARGE = 8_000_000  # bytes that no kernel takes at once


@asynccontextmanager
async def at(handler, address="127.0.0.1:0", **options):
    """Serve at an address while the block runs, and stop then; gives the address."""
    options.setdefault("limits", Limits(linger=0.2))
    async with csp.stop_scope() as stop, csp.Group() as g:

        async def run(*, task_status):
            await serve(handler, address, task_status=task_status, **options)

        (bound,) = await g.start(run)
        yield bound
        stop.request()


async def everything(conn):
    """Return what comes to the end, and whether the connection broke there."""
    data = b""
    try:
        async for piece in conn:
            data += piece
    except anyio.BrokenResourceError:
        return data, True
    return data, False


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The paths of a certificate and its key, and what trusts them."""
    trustme = pytest.importorskip("trustme")
    authority, folder = trustme.CA(), tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "pem")
    issued.private_key_pem.write_to_path(folder / "key")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return (folder / "pem", folder / "key"), context


async def echo(request):
    return text(await request.read())


@pytest.mark.parametrize("where", ["127.0.0.1:0", "unix"])
async def test_requests_over_sockets(where, tmp_path):
    """Kept alive, with bodies both ways."""
    address = f"unix:{tmp_path}/http" if where == "unix" else where
    async with at(echo, address) as bound, await dial(bound) as conn:
        for n in range(5):
            await conn.send(post(b"%d." % n))
            assert parse(await conn.receive())[0].body == b"%d." % n
        await conn.send(post(b"last", "Connection: close"))
        data, broken = await everything(conn)
        assert parse(data)[0].body == b"last"
        assert not broken


async def test_large_bodies_both_ways_at_once():
    """Streamed back as they come, in the client's own time."""

    async def handler(request):
        return Response(body=request.body)

    async with (
        at(handler) as bound,
        await dial(bound) as conn,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(conn.send, post(bytes(LARGE), "Connection: close"))
        (answer,) = parse((await everything(conn))[0])
        assert answer.body == bytes(LARGE)


async def test_the_answer_to_an_upload_that_nobody_reads_arrives():
    """Though the client is still sending: the connection is closed in stages."""

    async def handler(request):
        return text("no")

    for _ in range(5):
        async with at(handler) as bound, await dial(bound) as conn:
            await conn.send(get("/", "Content-Length: 9000000", method="PUT"))
            await conn.send(bytes(500_000))
            (answer,) = parse((await everything(conn))[0])
            assert (answer.body, answer.closing) == (b"no", True)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_response_that_is_cut_is_seen_to_be(version, caplog):
    """By the missing end of its chunks, or where there are none by a reset."""

    async def body():
        yield b"begun"
        await anyio.sleep(0.05)
        raise ValueError

    async def handler(request):
        return Response(body=body())

    async with at(handler) as bound, await dial(bound) as conn:
        await conn.send(get(version=version))
        data, broken = await everything(conn)
    assert b"begun" in data
    assert b"0\r\n\r\n" not in data
    assert broken is (version == "1.0")
    assert len(logged(caplog)) == 1


async def test_a_client_that_resets_is_no_error(caplog):
    """Neither in a handler that waits nor while it is answered."""
    caplog.set_level(logging.INFO)
    ends = []

    async def handler(request):
        if request.target == "/large":
            return text(bytes(LARGE))
        async with request.cancelled_if_gone():
            try:
                await anyio.sleep_forever()
            finally:
                ends.append(request.target)

    async with at(handler) as bound:
        for target in ("/wait", "/large"):
            conn = await dial(bound)
            await conn.send(get(target))
            await anyio.sleep(0.05)
            linger = socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            conn._raw_socket.setsockopt(socket.SOL_SOCKET, *linger)
            await conn.aclose()
            await anyio.sleep(0.05)
    assert ends == ["/wait"]
    assert not logged(caplog, logging.INFO)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("before", [0, 1])
async def test_what_is_in_the_kernel_when_a_stop_comes_is_answered(
    before, tls, certificate
):
    """Only the last response says that the connection closes."""
    going = anyio.Event()
    pair, trusting = certificate

    async def handler(request):
        if request.target == "/wait":
            await going.wait()
        return text(request.target)

    for _ in range(10):
        going = anyio.Event()
        async with (
            csp.stop_scope() as stop,
            at(handler, tls=pair if tls else None) as bound,
            await dial(bound, tls=trusting if tls else False) as conn,
        ):
            for _ in range(before):
                await conn.send(get("/before"))
                await conn.receive()
            await conn.send(get("/wait"))
            await anyio.sleep(0.01)
            await conn.send(get("/2"))
            await conn.send(get("/3"))
            stop.request()
            await anyio.sleep(0.01)
            going.set()
            answers = parse((await everything(conn))[0])
        assert [(answer.body, answer.closing) for answer in answers] == [
            (b"/wait", False),
            (b"/2", False),
            (b"/3", True),
        ]


@pytest.mark.clock
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("rate", "cut"), [(2_000, False), (50, True)])
async def test_a_slow_client_is_cut_only_if_it_is_too_slow(rate, cut, streamed):
    """Although the kernel takes a lot from the server at once, and then nothing."""
    ended = []

    async def body():
        try:
            for _ in range(100):
                yield bytes(LARGE // 100)
        finally:
            ended.append(anyio.current_time())

    async def handler(request):
        return Response(body=body() if streamed else bytes(LARGE))

    async with at(handler, limits=Limits(min_rate=240, rate_grace=5)) as bound:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", int(bound.rpartition(":")[2])))
            sock.sendall(get())
            sock.setblocking(False)
            for _ in range(40):
                await anyio.sleep(1)
                sock.recv(rate)
            broken = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            assert broken == (errno.ECONNRESET if cut else 0)
            assert bool(ended) is (cut and streamed)


async def test_tls_on_the_plain_port(caplog):
    """Is told so, in plain text."""
    async with at(echo) as bound:
        conn = await dial(bound)
        async with conn:
            await conn.send(
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
            )
            data, _ = await everything(conn)
    assert b" 400 " in data
    assert b"this looks like TLS" in data
    assert not logged(caplog)


async def test_requests_over_tls(certificate):
    """Are the same, with another scheme."""

    async def handler(request):
        return text(f"{request.scheme} {len(await request.read())}")

    pair, trusting = certificate
    async with (
        at(handler, tls=pair) as bound,
        await dial(bound, tls=trusting) as conn,
    ):
        await conn.send(post(bytes(100_000)) + get("/", "Connection: close"))
        answers = parse((await everything(conn))[0])
    assert [answer.body for answer in answers] == [b"https 100000", b"https 0"]


async def test_the_answer_to_an_upload_that_nobody_reads_arrives_over_tls(certificate):
    """As without TLS, though the connection cannot be closed in stages."""

    async def handler(request):
        return text("no")

    pair, trusting = certificate
    for _ in range(5):
        async with (
            at(handler, tls=pair, limits=Limits(linger=100)) as bound,
            await dial(bound, tls=trusting) as conn,
        ):
            await conn.send(get("/", "Content-Length: 9000000", method="PUT"))
            await conn.send(bytes(500_000))
            assert b"\r\n\r\nno" in await conn.receive()
            await conn.send(bytes(100_000))  # is taken, and thrown away


async def test_plain_http_on_the_tls_port(certificate, caplog):
    """Is told so, as by Go, and is no error."""
    pair, _ = certificate
    async with at(echo, tls=pair) as bound, await dial(bound) as conn:
        await conn.send(get())
        data, _ = await everything(conn)
    assert b"400 Bad Request" in data
    assert b"Client sent an HTTP request to an HTTPS server" in data
    assert not logged(caplog, logging.INFO)


# Limits of the process


def child(code, *args):
    """Run a program, and return the JSON that it prints last."""
    command = [sys.executable, "-c", code, *map(str, args)]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


SHORT = """
import json, resource, sys
import anyio, csp
from csp.net import dial
from csp.net.http import Limits, serve, text

async def hello(request):
    return text("hello")

async def main():
    async with csp.stop_scope() as stop, csp.Group() as g:
        async def run(*, task_status):
            await serve(hello, "127.0.0.1:0", limits=Limits(linger=0.1),
                        task_status=task_status)
        (address,) = await g.start(run)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, hard))
        conns = []
        try:
            while True:
                conns.append(await dial(address))
        except OSError:
            pass
        await anyio.sleep(0.3)
        for conn in conns:
            await conn.aclose()
        answered = 0
        for _ in range(20):
            async with await dial(address) as conn:
                await conn.send(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
                answered += b"hello" in await conn.receive()
        stop.request()
    print(json.dumps([len(conns), answered]))

csp.run(main, backend=sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of descriptors")
async def test_a_server_outlives_a_shortage_of_descriptors(backend):
    """It answers again as soon as there are some."""
    name = {"asyncio+uvloop": "uvloop"}.get(backend, backend.partition("+")[0])
    opened, answered = child(SHORT, name)
    assert opened > 20
    assert answered == 20


CLIENTS = """
import socket, sys, time
port, count = map(int, sys.argv[1:])
conns = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
for conn in conns:
    conn.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
for conn in conns:
    assert b"hello" in conn.recv(1000)
print("connected", flush=True)
sys.stdin.read()
"""

IDLE = """
import gc, json, resource, subprocess, sys
import anyio, csp
from csp.net.http import serve, text

async def hello(request):
    return text("hello")

def size():
    gc.collect()
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()

async def start(*, task_status):
    await serve(hello, "127.0.0.1:0", task_status=task_status)

async def main(count, clients):
    async with csp.stop_scope() as stop, csp.Group() as g:
        (address,) = await g.start(start)
        before = size()
        command = [sys.executable, "-c", clients, address.split(":")[1], str(count)]
        with subprocess.Popen(command, stdin=-1, stdout=-1) as process:
            await anyio.to_thread.run_sync(process.stdout.readline)
            each = (size() - before) / count
            process.stdin.close()
            stop.request()
    print(json.dumps(each))

csp.run(main, int(sys.argv[2]), sys.argv[3], backend=sys.argv[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_idle_connections_are_small(backend, scale):
    """Some 10,000 of them, with --stress."""
    name = {"asyncio+uvloop": "uvloop"}.get(backend, backend.partition("+")[0])
    each = child(IDLE, name, scale(1_000, 9_900), CLIENTS)
    assert each < 16 * 1024
