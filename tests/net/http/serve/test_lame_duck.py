"""Saying that one is going, before one does."""

from __future__ import annotations

import anyio
import pytest

import csp
from csp.net import dial
from csp.net.http import Limits, Request, Server, readiness, serve, text
from tests.net.http.memory import get, pair, parse, receive_all

pytestmark = pytest.mark.anyio


async def handler(request):
    if request.path == "/ready":
        return await readiness(request)
    await anyio.sleep(float(request.path[1:] or 0))
    return text(request.path)


async def receive(conn):
    (answer,) = parse(await conn.receive())
    return answer


async def test_readiness_says_no_from_the_request_on():
    """Also before anything else has heard of it, and outside any scope yes."""
    request = Request("GET", "/")
    assert (await readiness(request)).body == "ready"
    async with csp.stop_scope() as stop:
        yes = await readiness(request)
        stop.request()
        no = await readiness(request)
    assert [(r.status, r.body) for r in (yes, no)] == [
        (200, "ready"),
        (503, "stopping"),
    ]
    assert no.headers["cache-control"] == "no-store"


class Duck:
    """A server that is asked to stop once the block has made its connections."""

    def __init__(self, grace=None, scope_grace=25.0, **limits):
        self._options = {"limits": Limits(**limits), "grace": grace}
        self._scope_grace = scope_grace
        self.report = None

    async def _serve(self, *, task_status):
        self.report = await serve(
            handler, "127.0.0.1:0", **self._options, task_status=task_status
        )
        self.ended = anyio.current_time()

    async def __aenter__(self):
        self.stop = await csp.stop_scope(self._scope_grace).__aenter__()
        self._group = await csp.Group().__aenter__()
        (self.address,) = await self._group.start(self._serve)
        return self

    async def __aexit__(self, *exc):
        try:
            await self._group.__aexit__(*exc)
        finally:
            await self.stop.__aexit__(*exc)


@pytest.mark.clock
async def test_a_lame_duck_does_as_before():
    """It accepts, keeps connections open, and then drains."""
    async with Duck(lame_duck=10, linger=1) as duck:  # noqa: SIM117 - one ends first
        async with await dial(duck.address) as old:
            await anyio.wait_all_tasks_blocked()
            duck.stop.request()
            began = anyio.current_time()
            await anyio.sleep(9.9)
            async with await dial(duck.address) as new:
                for conn in (old, new):
                    await conn.send(get("/ready"))
                    answer = await receive(conn)
                    assert (answer.status, answer.closing) == (503, False)
                await anyio.sleep_until(began + 10.5)
                await new.send(get())
                answer = await receive(new)
                assert (answer.status, answer.closing) == (200, True)
                with pytest.raises(OSError, match="cannot connect"):
                    await dial(duck.address)
            with pytest.raises(anyio.EndOfStream):
                await old.receive()
    assert duck.ended - began == pytest.approx(11, abs=0.1)
    assert duck.report.seconds == pytest.approx(11, abs=0.1)
    assert (duck.report.cut, duck.report.requests.finished) == (0, 3)


@pytest.mark.clock
@pytest.mark.parametrize(
    ("options", "cut"), [({"grace": 10.0}, 10), ({"scope_grace": 10.0}, 8)]
)
async def test_a_lame_duck_leaves_time_to_drain(options, cut):
    """However long it should be one; and the cut is not put off."""
    async with Duck(lame_duck=1000, linger=1, **options) as duck:  # noqa: SIM117
        async with await dial(duck.address) as idle, await dial(duck.address) as busy:
            await busy.send(get("/1000"))
            await anyio.sleep(0.1)
            duck.stop.request()
            began = anyio.current_time()
            with pytest.raises(anyio.EndOfStream):
                await idle.receive()
            assert anyio.current_time() - began == pytest.approx(cut - 1, abs=0.1)
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await busy.receive()
            assert anyio.current_time() - began == pytest.approx(cut, abs=0.1)
    assert (duck.report.finished, duck.report.cut) == (1, 1)


@pytest.mark.clock
async def test_connections_from_elsewhere_see_a_lame_duck_as_well():
    """Those that `Server.handle` is given."""
    server = Server(handler, limits=Limits(lame_duck=5, linger=1))
    async with csp.stop_scope() as stop, server.open(), csp.Group() as g:
        conn, client = pair()
        g.go(server.handle, conn)
        await anyio.wait_all_tasks_blocked()
        began = anyio.current_time()
        stop.request()
        await anyio.sleep(4)
        await client.send(get())
        assert not (await receive(client)).closing
        assert await receive_all(client) == b""
        assert anyio.current_time() - began == pytest.approx(6, abs=0.1)
        client.close()
