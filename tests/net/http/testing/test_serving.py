"""A server around a block: on a port, over TLS or in memory."""

from __future__ import annotations

import ssl

import anyio
import pytest

import csp
from csp.net import dial
from csp.net.http import Limits, testing, text
from tests.net.http.memory import get, parse, receive_all

pytestmark = pytest.mark.anyio

BRIEF = Limits(linger=0.01)


async def hello(request):
    return text(request.scheme)


async def ask(conn):
    async with conn:
        await conn.send(get("/", "Connection: close"))
        (answer,) = parse(await receive_all(conn))
    return answer.body


async def test_on_any_port():
    """Which it tells."""
    async with testing.serving(hello, limits=BRIEF) as address:
        assert await ask(await dial(address)) == b"http"
    with pytest.raises(OSError, match="refused|reset"):
        await dial(address)


async def test_over_tls(tmp_path):
    """As `http.serve` does."""
    trustme = pytest.importorskip("trustme")
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    context = ssl.create_default_context()
    ca.configure_trust(context)
    pem = tmp_path / "pem"
    async with testing.serving(hello, tls=(pem, pem), limits=BRIEF) as address:
        conn = await dial(address, tls=context)
        assert await ask(conn) == b"https"


async def test_in_memory():
    """At a listener that needs no port."""
    listener = testing.Listener()
    async with testing.serving(hello, listener, limits=BRIEF) as address:
        assert address == listener.address
        assert await ask(await listener.dial()) == b"http"


async def test_what_has_begun_is_finished():
    """Before the block is left."""
    done = []

    async def handler(request):
        await anyio.wait_all_tasks_blocked()
        done.append(request.path)
        return text("")

    listener = testing.Listener()
    async with testing.serving(handler, listener, limits=BRIEF):
        conn = await listener.dial()
        await conn.send(get("/begun"))
        await anyio.wait_all_tasks_blocked()
    conn.close()
    assert done == ["/begun"]


async def test_what_does_not_end_is_an_error():
    """That names it."""

    async def handler(request):
        await anyio.sleep_forever()

    listener = testing.Listener()
    with pytest.raises(csp.Undelivered, match="GET /slow"):
        async with testing.serving(handler, listener, limits=BRIEF, grace=0.01):
            conn = await listener.dial()
            await conn.send(get("/slow"))
            await anyio.wait_all_tasks_blocked()
    conn.close()


async def test_an_error_of_the_block_comes_out_as_it_is():
    """And the server is cut."""
    with pytest.raises(ValueError, match="the block's"):
        async with testing.serving(hello, testing.Listener()):
            raise ValueError("the block's")
