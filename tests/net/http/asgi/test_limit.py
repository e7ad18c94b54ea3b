"""A limit in front of any ASGI app."""

from __future__ import annotations

import anyio
import pytest

import csp
from csp.net.http.asgi import limit
from tests.net.http.asgi.test_to_asgi import Life, Server

pytestmark = pytest.mark.anyio


class Slow:
    """An app that answers when it is told to."""

    def __init__(self):
        self.goes_on = anyio.Event()
        self.running = self.most = 0
        self.read = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.goes_on.wait()
            data = b""
            while True:
                message = await receive()
                data += message["body"]
                if not message["more_body"]:
                    break
            self.read.append(data)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
        finally:
            self.running -= 1


async def test_so_many_run_at_once_and_others_wait():
    """What was received of them meanwhile is theirs."""
    app = Slow()
    limited = limit(app, concurrency=2)
    servers = [Server(limited, b"a", b"b", b"c", b"d") for _ in range(7)]
    async with csp.Group() as g:
        for server in servers:
            g.go(server.run)
        await anyio.wait_all_tasks_blocked()
        assert app.running == 2
        app.goes_on.set()
    assert [server.body for server in servers] == [b"ok"] * 7
    assert app.read == [b"abcd"] * 7
    assert app.most == 2


async def test_one_more_than_may_wait_is_refused():
    """And told when to come again."""
    app = Slow()
    limited = limit(app, concurrency=1, queue=1, retry_after=2.5)
    servers = [Server(limited) for _ in range(3)]
    async with csp.Group() as g:
        for server in servers:
            g.go(server.run)
            await anyio.wait_all_tasks_blocked()
        refused = servers[2]
        assert refused.start["status"] == 503
        assert refused.headers[b"retry-after"] == b"3"
        assert b"service_unavailable" in refused.body
        app.goes_on.set()
    assert servers[0].body == servers[1].body == b"ok"


async def test_a_client_that_goes_leaves_the_line():
    """And its place is another's."""
    app = Slow()
    limited = limit(app, concurrency=1, queue=1)
    one, gone, two = (Server(limited) for _ in range(3))
    async with csp.Group() as g:
        g.go(one.run)
        await anyio.wait_all_tasks_blocked()
        waiting = g.go(gone.run)
        await anyio.wait_all_tasks_blocked()
        gone.gone.set()
        await waiting
        g.go(two.run)
        await anyio.wait_all_tasks_blocked()
        app.goes_on.set()
    assert not gone.sent
    assert one.body == two.body == b"ok"


async def test_who_is_cancelled_gives_its_place_back():
    """Whether it runs or waits."""
    app = Slow()
    limited = limit(app, concurrency=1)
    async with csp.Group() as g:
        calls = []
        for _ in range(2):
            calls.append(g.go(Server(limited).run))
            await anyio.wait_all_tasks_blocked()
        for call in calls:
            call.cancel()
            await anyio.wait_all_tasks_blocked()
        app.goes_on.set()
        assert (await Server(limited).run()).body == b"ok"


async def test_errors_give_the_place_back():
    """And come out."""

    async def failing(scope, receive, send):
        raise ValueError("told")

    limited = limit(failing, concurrency=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="told"):
            await Server(limited).run()


async def test_a_shutdown_waits_for_what_runs():
    """And for what waits."""
    app = Slow()
    limited = limit(app, concurrency=1)
    life = Life(limited)
    servers = [Server(limited) for _ in range(2)]
    ended = []

    async def shut_down():
        ended.append(await life.do("shutdown"))

    async with csp.Group() as g:
        g.go(life.run)
        await life.do("startup")
        for server in servers:
            g.go(server.run)
        await anyio.wait_all_tasks_blocked()
        g.go(shut_down)
        await anyio.wait_all_tasks_blocked()
        assert not ended
        app.goes_on.set()
    assert [server.body for server in servers] == [b"ok"] * 2
    assert ended == [{"type": "lifespan.shutdown.complete"}]


async def test_websockets_pass():
    """However many there are."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    limited = limit(app, concurrency=1)
    for _ in range(3):
        await Server(limited, type="websocket").run()
    assert seen == ["websocket"] * 3


WRONG = [
    ({"concurrency": 0}, ValueError),
    ({"concurrency": 1, "queue": -1}, ValueError),
    ({"concurrency": 1, "retry_after": -1}, ValueError),
    ({"concurrency": 1, "retry_after": "1"}, TypeError),
]


@pytest.mark.parametrize(("options", "error"), WRONG)
def test_what_is_no_limit(options, error):
    """Is an error at once."""
    with pytest.raises(error):
        limit(Slow.__call__, **options)
