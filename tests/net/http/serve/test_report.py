"""What the report of a server counts: connections, and within them requests."""

from __future__ import annotations

import copy
import pickle
import ssl

import anyio
import pytest

import csp
from csp.net import dial, http
from tests.net.http.memory import get, post

pytestmark = pytest.mark.anyio

CONNECTIONS = csp.DrainReport(2, 1, 0, ("GET / from x",), 1.5)
REQUESTS = csp.DrainReport(5, 1, 2, ("GET / from x",), 1.5)


def test_it_is_a_report_as_of_any_server():
    """With those of the requests besides."""
    report = http.DrainReport(CONNECTIONS, REQUESTS)
    assert isinstance(report, csp.DrainReport)
    assert report == CONNECTIONS
    assert report.requests == REQUESTS
    assert "requests=DrainReport(finished=5" in repr(report)
    for twin in (pickle.loads(pickle.dumps(report)), copy.copy(report)):
        assert twin == report
        assert twin.requests == REQUESTS


class Stopped:
    """A server that is asked to stop at the end of the block; then it has a report."""

    def __init__(self, handler, grace=0.2, tls=None, **limits):
        self._handler = handler
        self._options = {
            "limits": http.Limits(**{"linger": 0.05, **limits}),
            "grace": grace,
            "tls": tls,
        }

    async def _serve(self, *, task_status):
        self.report = await http.serve(
            self._handler, "127.0.0.1:0", **self._options, task_status=task_status
        )

    async def __aenter__(self):
        self.stop = await csp.stop_scope().__aenter__()
        self._group = await csp.Group().__aenter__()
        (self.address,) = await self._group.start(self._serve)
        return self

    async def __aexit__(self, *exc):
        self.stop.request()
        await self._group.__aexit__(*exc)
        await self.stop.__aexit__(*exc)


async def settle():
    await anyio.sleep(0.05)


async def test_each_kind_of_request_has_its_count():
    """Answered, cut in the handler, and cut half-way; and a task."""

    async def handler(request):
        if request.path == "/ever":
            await anyio.sleep_forever()
        if request.path == "/go":
            csp.go(anyio.sleep_forever, name="a task")
        await csp.stopping()
        return http.text("x")

    conns = []
    async with Stopped(handler, requests=3, queue=0) as server:

        async def ask(*pieces):
            conns.append(await dial(server.address))
            for piece in pieces:
                await settle()
                await conns[-1].send(piece)
            await settle()
            return conns[-1].local

        ever = await ask(get("/ever"))
        await ask(get("/1"))
        await ask(get("/go"))
        await ask()
        half = await ask(get("/half")[:9])
        server.stop.request()
    for conn in conns:
        conn.close()
    report = server.report
    names = {
        f"GET /ever from {ever}",
        f"a connection from {half}",
    }
    assert {*report.cut_names} == {*names, "a task"}
    assert (report.finished, report.cut, report.refused) == (3, 3, 0)
    assert {*report.requests.cut_names} == names
    assert report.requests[:3] == (2, 2, 0)
    assert report.requests.seconds == report.seconds >= 0.19


async def test_what_no_handler_has_seen_is_refused():
    """A bad request, and one that finds no room."""

    async def handler(request):
        await anyio.sleep(0.15)
        return http.text("x")

    async with Stopped(handler, grace=5, linger=0.5, requests=1, queue=0) as server:  # noqa: SIM117
        async with (
            await dial(server.address) as one,
            await dial(server.address) as two,
            await dial(server.address) as bad,
        ):
            await settle()
            server.stop.request()
            await one.send(get())
            await settle()
            await two.send(get())
            await bad.send(b"nonsense\r\n\r\n")
            assert b" 503 " in await two.receive()
            assert b" 400 " in await bad.receive()
            assert b" 200 " in await one.receive()
    assert server.report[:4] == (3, 0, 0, ())
    assert server.report.requests[:4] == (1, 0, 2, ())


async def test_what_was_before_the_stop_is_not_in_it():
    """It was no part of the drain."""

    async def handler(request):
        return http.text(await request.read())

    async with Stopped(handler) as server, await dial(server.address) as conn:
        for n in range(5):
            await conn.send(post(b"%d" % n))
            await conn.receive()
    assert server.report[:4] == (1, 0, 0, ())
    assert server.report.requests[:4] == (0, 0, 0, ())


async def test_who_is_idle_at_the_cut_was_not_cut():
    """It owed the client nothing."""

    async def handler(request):
        return http.text("x")

    async with (
        Stopped(handler, linger=100) as server,
        await dial(server.address) as silent,
        await dial(server.address) as idle,
    ):
        await idle.send(get())
        await idle.receive()
        server.stop.request()
        for conn in (silent, idle):
            with pytest.raises(anyio.EndOfStream):
                await conn.receive()
    assert server.report[:4] == (2, 0, 0, ())


@pytest.mark.parametrize("begun", [False, True])
async def test_a_handshake_that_has_not_begun_is_not_waited_for(tmp_path, begun):
    """Longer than the server lingers; one that has is, and then it is answered."""
    trustme = pytest.importorskip("trustme")
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "pem")
    issued.private_key_pem.write_to_path(tmp_path / "key")

    async def handler(request):
        return http.text("hello")

    tls = (tmp_path / "pem", tmp_path / "key")
    async with Stopped(handler, grace=20, tls=tls) as server:  # noqa: SIM117
        async with await dial(server.address) as conn:
            hello, talk = by_hand(conn)
            await settle()
            if begun:
                await conn.send(hello[:50])
            await settle()
            server.stop.request()
            if begun:
                await anyio.sleep(0.3)
                await conn.send(hello[50:])
                assert b"hello" in await talk()
            else:
                with pytest.raises(anyio.EndOfStream):
                    await conn.receive()
    assert server.report.seconds < 5
    assert server.report[:3] == (1, 0, 0)
    assert server.report.requests.finished == begun


def by_hand(conn):
    """Return how a TLS client begins, and what goes on and asks for something."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(into, out)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()

    async def do(fn, *args):
        while True:
            try:
                result = fn(*args)
            except ssl.SSLWantReadError:
                result = do
            if out.pending:
                await conn.send(out.read())
            if result is not do:
                return result
            into.write(await conn.receive())

    async def talk():
        await do(tls.do_handshake)
        await do(tls.write, get("/", "Connection: close"))
        return await do(tls.read, 9999)

    return out.read(), talk
