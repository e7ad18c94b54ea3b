"""The client in memory: does it go through all of the server?"""

from __future__ import annotations

import logging
import subprocess
import sys

import anyio
import pytest

import csp
from csp.net import http
from csp.net.http import testing
from csp.testing import explore

httpx = pytest.importorskip("httpx")

pytestmark = pytest.mark.anyio


async def app(request):
    """Do as it is told by the path."""
    match request.path:
        case "/echo":
            return http.Response(
                200, await request.read(), {"X-Method": request.method}
            )
        case "/ends":
            return http.text(f"{request.scheme} {request.host} {request.client}")
        case "/count":
            return http.Response(body=count())
        case "/cut":
            return http.Response(body=count(broken=True))
        case "/login":
            return http.redirect("/ends", 303, {"Set-Cookie": "a=b; Path=/"})
        case "/cookie":
            return http.text(request.headers.get("cookie", "none"))
        case "/fail":
            raise ZeroDivisionError("as told")
    raise http.NotFound("there is nothing")


async def count(broken=False):
    for n in range(3):
        yield f"{n}\n"
        await anyio.lowlevel.checkpoint()
    if broken:
        raise ZeroDivisionError("as told")


async def test_it_is_httpx():
    """With its methods, cookies and redirects."""
    async with testing.Client(app, follow_redirects=True) as client:
        response = await client.put("/echo", content=b"data")
        assert (response.status_code, response.content) == (200, b"data")
        assert response.headers["x-method"] == "PUT"
        assert response.http_version == "HTTP/1.1"
        assert (await client.get("/login")).url.path == "/ends"
        assert (await client.get("/cookie")).text == "a=b"
        response = await client.get("/missing")
        assert response.status_code == 404
        assert response.json()["detail"] == "there is nothing"


async def test_the_wire_is_under_it():
    """What the server adds and refuses is seen."""
    limits = http.Limits(body_bytes=10, target_bytes=50)
    async with testing.Client(app, limits=limits) as client:
        response = await client.head("/count")
        assert response.content == b""
        assert "date" in response.headers
        assert (await client.post("/echo", content=bytes(11))).status_code == 413
        assert (await client.get("/" + 50 * "x")).status_code == 414
        response = await client.get("/count")
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.text == "0\n1\n2\n"


async def test_connections_are_kept():
    """One for one request after the other, and several at once."""
    async with testing.Client(app) as client:
        first = await client.get("/ends")
        assert (await client.get("/ends")).text == first.text
        texts = []

        async def ask():
            texts.append((await client.get("/ends")).text)

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
    assert len(texts) == 20
    assert len({*texts}) > 1


@pytest.mark.parametrize("base", ["http://test", "https://example.org"])
async def test_the_url_says_who_is_asked(base):
    """Its scheme and its host."""
    async with testing.Client(app, base_url=base) as client:
        text = (await client.get("/ends")).text
    scheme, _, host = base.partition("://")
    assert text.split()[:2] == [scheme, host]


async def test_bodies_of_any_size_go_both_ways():
    """Larger than a pipe, and bit by bit."""

    async def pieces():
        for _ in range(20):
            yield bytes(10_000)

    async with testing.Client(app) as client:
        assert len((await client.post("/echo", content=pieces())).content) == 200_000
        large = bytes(1_000_000)
        assert (await client.post("/echo", content=large)).content == large


async def stream(number, sent):
    """Give so many pieces, and tell of each."""
    try:
        while len(sent) < number:
            sent.append(1)
            yield bytes(1000)
    finally:
        sent.append("closed")


async def test_an_answer_can_be_read_as_it_comes():
    """The handler goes on as the client reads."""
    sent, ahead = [], []

    async def handler(_):
        return http.Response(body=stream(1000, sent))

    async with testing.Client(handler) as client, client.stream("GET", "/") as response:
        size = 0
        async for data in response.aiter_raw():
            size += len(data)
            await anyio.wait_all_tasks_blocked()
            ahead.append(1000 * len(sent) - size)
    assert size == 1_000_000
    assert max(ahead) < 200_000


async def test_a_client_that_goes_is_noticed():
    """By the handler, which sends to nobody."""
    sent = []

    async def handler(_):
        return http.Response(body=stream(float("inf"), sent))

    async with testing.Client(handler) as client, client.stream("GET", "/"):
        await anyio.wait_all_tasks_blocked()
        assert "closed" not in sent
    assert sent[-1] == "closed"


async def test_errors_are_those_of_httpx(caplog):
    """An answer that is cut, and one that fails."""
    async with testing.Client(app) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/cut")
        assert (await client.get("/fail")).status_code == 500
    assert [one.levelno for one in caplog.records if one.name == "csp.net.http"] == [
        logging.ERROR,
        logging.ERROR,
    ]


@pytest.mark.clock
async def test_timeouts_are_those_of_httpx():
    """By default there are none."""

    async def slow(_):
        await anyio.sleep(1000)
        return http.text("late")

    async with testing.Client(slow, grace=2000) as client:
        assert (await client.get("/")).text == "late"
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/", timeout=5)


async def test_a_block_is_entered():
    """Around all requests."""
    told = []

    class Block:
        async def __aenter__(self):
            told.append("entered")

        async def __aexit__(self, *_):
            told.append("left")

        async def __call__(self, _):
            told.append("called")
            return http.text("")

    async with testing.Client(Block()) as client:
        await client.get("/")
        await client.get("/")
    assert told == ["entered", "called", "called", "left"]


async def test_a_block_that_does_not_begin_is_told_of():
    """By its own error."""

    class Block:
        async def __aenter__(self):
            raise ZeroDivisionError("as told")

        async def __aexit__(self, *_):
            pass

        async def __call__(self, _):
            pass

    with pytest.raises(ZeroDivisionError):
        async with testing.Client(Block()):
            pass


async def test_an_error_of_the_test_comes_out_as_it_is():
    """And nothing is waited for."""

    async def stuck(_):
        await anyio.sleep_forever()

    async def ask(client):
        with pytest.raises(httpx.HTTPError):
            await client.get("/")

    async with csp.Group() as g:
        with pytest.raises(ZeroDivisionError):
            async with testing.Client(stuck) as client:
                g.go(ask, client)
                await anyio.wait_all_tasks_blocked()
                raise ZeroDivisionError


async def test_it_can_be_cancelled():
    """In the middle of a request."""

    async def stuck(_):
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        async with testing.Client(stuck) as client, csp.Group() as g:
            g.go(client.get, "/")
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught


@pytest.mark.clock
async def test_a_handler_that_does_not_end_is_named():
    """Though its client has gone."""

    async def stuck(_):
        await anyio.sleep_forever()

    client = testing.Client(stuck)
    with pytest.raises(csp.Undelivered, match="cut"):
        async with client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/", timeout=1)


async def test_what_handlers_start_is_waited_for():
    """It can be told to stop."""
    ended = []

    async def work():
        await csp.stopping()
        ended.append(True)

    async def handler(_):
        csp.go(work)
        return http.text("")

    async with testing.Client(handler) as client:
        await client.get("/")
        assert not ended
    assert ended


async def test_the_block_stays_out_of_the_server():
    """What it starts with `csp.go` may outlive the client."""
    after = anyio.Event()
    with anyio.fail_after(5):
        async with csp.Group():
            async with testing.Client(app) as client:
                csp.go(after.wait)
                await client.get("/ends")
            after.set()


async def test_it_needs_its_block():
    """And has one only."""
    client = testing.Client(app)
    with pytest.raises(RuntimeError, match="async with Client"):
        await client.get("/")
    with pytest.raises(TypeError, match="a handler to call"):
        testing.Client(None)


async def test_a_transport_serves_a_client_of_yours():
    """Of any class."""
    transport = testing.Transport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        assert (await client.get("/ends")).text.startswith("http x ")


def test_without_httpx_it_says_what_to_install():
    """And the rest can be had."""
    code = (
        "import sys; sys.modules['httpx'] = None\n"
        "from csp.net.http import testing\n"
        "testing.request(), testing.Listener()\n"
        "try:\n"
        "    testing.Client\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
        "assert not hasattr(testing, 'other')\n"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output == (
        "csp.net.http.testing.Client needs httpx. "
        "Write: pip install 'anycsp[testing]'\n"
    )


@pytest.mark.parametrize("explored", ["asyncio", "trio"])
def test_it_can_be_explored(explored, scale):
    """Each request is answered, in any order of what tasks do."""
    if explored == "trio":
        pytest.importorskip("trio")

    async def program():
        async with testing.Client(app) as client, csp.Group() as g:
            one = g.go(client.get, "/ends")
            other = g.go(client.get, "/missing")
        assert (await one).status_code == 200
        assert (await other).status_code == 404

    explore(program, runs=scale(20, 500), backend=explored)
