"""Apps written with the frameworks that people use, on our server."""

from __future__ import annotations

import contextlib
import http.client
import logging
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from csp.net.http.asgi import from_asgi
from csp.net.http.testing import Client
from tests.net.http.asgi.clock import in_real_time
from tests.net.http.asgi.frameworks import APPS

ROOT = Path(__file__).parents[4]
anyio_backend = in_real_time
NUMBERS = "".join(f"{n}\n" for n in range(100))


@pytest.fixture
def events():
    """What apps tell of."""
    return []


@pytest.fixture
def client(backend, events):
    """A function that makes a client in memory for an app; it runs the lifespan."""

    def make(name):
        pytest.importorskip(name)
        if (name, backend) == ("django", "trio"):
            pytest.skip("Django runs on asyncio alone")
        return Client(from_asgi(APPS[name](events.append)))

    return make


@pytest.mark.anyio
@pytest.mark.parametrize("name", APPS)
async def test_each_framework_answers(name, client):
    """In one piece and in many; to a large body, and to what is not there."""
    async with client(name) as asking:
        response = await asking.get("/hello/you%20there")
        assert (response.status_code, response.text) == (200, "hello you there")
        assert (await asking.get("/stream")).text == NUMBERS
        response = await asking.post("/size", content=bytes(300_000))
        assert response.text == "300000"
        assert (await asking.get("/none")).status_code == 404


@pytest.mark.anyio
async def test_starlette(client, events, caplog):
    """Lifespan, state, middleware, background tasks, errors."""
    with caplog.at_level(logging.ERROR):
        async with client("starlette") as asking:
            assert events == ["startup"]
            response = await asking.get("/state")
            assert response.json() == ["state", False, "/state"]
            assert response.headers["x-added"] == "1"
            response = await asking.get("/stream")
            assert response.headers["content-encoding"] == "gzip"
            assert (await asking.get("/background")).text == "ok"
            assert (await asking.get("/size")).status_code == 405
            assert not caplog.records
            assert (await asking.get("/fail")).status_code == 500
    assert events == ["startup", "background", "shutdown"]
    ours = [r for r in caplog.records if r.name.startswith("csp")]
    assert len(ours) == 1
    assert isinstance(ours[0].exc_info[1], ValueError)


@pytest.mark.anyio
async def test_fastapi(client, events):
    """Models, queries, dependencies, forms, and functions in threads."""
    async with client("fastapi") as asking:
        assert (await asking.get("/items/1")).json() == {"detail": "Item not found"}
        item = {"name": "Foo", "price": 50.5, "tags": []}
        response = await asking.put("/items/1", json=item)
        assert (response.status_code, response.json()) == (201, item)
        response = await asking.get("/items/1?q=a+b", headers={"User-Agent": "me"})
        assert response.json() == {
            "item": item,
            "q": "a b",
            "used": "session",
            "agent": "me",
        }
        response = await asking.put("/items/x", json={"name": "Foo"})
        assert response.status_code == 422
        wrong = [error["loc"] for error in response.json()["detail"]]
        assert wrong == [["path", "item_id"], ["body", "price"]]
        page = {"skip": 0, "limit": 3, "names": [1]}
        assert (await asking.get("/items?limit=3")).json() == page
        assert (await asking.get("/items?limit=101")).status_code == 422
        response = await asking.post(
            "/form", data={"name": "a"}, files={"file": ("f", bytes(100_000))}
        )
        assert response.json() == {"name": "a", "size": 100_000}
        paths = (await asking.get("/openapi.json")).json()["paths"]
        assert "/items/{item_id}" in paths
        assert (await asking.get("/docs")).headers["content-type"].startswith("text/")
    assert (events[0], events[-1]) == ("startup", "shutdown")
    assert sorted(events[1:-1]) == ["background", "closed"]


@pytest.mark.anyio
async def test_litestar(client, events):
    """Queries, their errors, and hooks."""
    async with client("litestar") as asking:
        assert (await asking.get("/json?n=3")).json() == {"n": "3"}
        assert (await asking.get("/json")).status_code == 400
        assert (await asking.get("/schema/openapi.json")).status_code == 200
        assert (await asking.get("/size")).status_code == 405
    assert events == ["startup", "shutdown"]


@pytest.mark.anyio
async def test_django(client):
    """Sync views run in a thread; there is no lifespan."""
    async with client("django") as asking:
        assert (await asking.get("/sync?q=a&q=b")).json() == {"q": ["a", "b"]}
        response = await asking.head("/hello/you")
        assert (response.headers["content-length"], response.content) == ("9", b"")


# In a process, with sockets and real time

PROCESSES = [
    ("starlette", "asyncio"),
    ("starlette", "trio"),
    ("fastapi", "uvloop"),
    ("litestar", "asyncio"),
    ("django", "uvloop"),
]


@pytest.fixture(params=PROCESSES, ids="-".join)
def process(request):
    """A server in a process of its own; gives it and its port."""
    for package in request.param:
        pytest.importorskip(package)
    name, loop = request.param
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        command = [sys.executable, "-m", "tests.net.http.asgi.frameworks"]
        started = subprocess.Popen(
            [*command, name, str(fd), loop],
            cwd=ROOT,
            pass_fds=[fd],
            stderr=subprocess.PIPE,
            text=True,
        )
        port = listening.getsockname()[1]
    with started:
        yield started, port
        started.kill()


def test_each_framework_in_a_process(process):
    """Over one connection that is kept; a stop ends it, and the app with it."""
    started, port = process
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        for method, path, body, answer in [
            ("GET", "/hello/you", None, b"hello you"),
            ("GET", "/stream", None, NUMBERS.encode()),
            ("POST", "/size", bytes(1_000_000), b"1000000"),
            ("GET", "/hello/again", None, b"hello again"),
        ]:
            connection.request(method, path, body)
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, answer)
    started.send_signal(signal.SIGTERM)
    _, said = started.communicate(timeout=30)
    assert started.returncode == 0, said
    lines = said.splitlines()
    assert lines == ([] if "django" in started.args else ["startup", "shutdown"])
