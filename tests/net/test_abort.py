"""Breaking a connection off, and knowing what has been delivered."""

from __future__ import annotations

import socket
import ssl
import sys

import anyio
import pytest

from csp.net import dial, listen

pytestmark = pytest.mark.anyio


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


async def test_an_aborted_connection_is_seen_to_be_broken():
    """And not at its end, as a closed one; twice is fine."""
    async with (
        await listen("127.0.0.1:0") as listener,
        await dial(listener.address) as client,
    ):
        conn = await listener.accept()
        await conn.send(b"x")
        assert await client.receive() == b"x"
        conn.abort()
        conn.abort()
        with pytest.raises(anyio.BrokenResourceError):
            await client.receive()
        with pytest.raises(anyio.ClosedResourceError):
            await conn.receive()


async def test_an_aborted_connection_with_tls_does_not_say_that_it_is_complete(
    certificate,
):
    """There is no close_notify, not even before the reset."""
    files, trusting = certificate
    async with await listen("127.0.0.1:0", tls=files) as listener:
        async with anyio.create_task_group() as tasks:
            clients = []

            async def connect():
                clients.append(await dial(listener.address, tls=trusting))

            tasks.start_soon(connect)
            conn = await listener.accept()
            await conn.send(b"x")
        (client,) = clients
        async with client:
            assert await client.receive() == b"x"
            conn.abort()
            with pytest.raises(anyio.BrokenResourceError):
                await client.receive()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no way to ask")
async def test_what_is_in_the_kernel_is_not_delivered():
    """It is once the peer's side has taken it."""
    async with await listen("127.0.0.1:0") as listener:
        host, _, port = listener.address.rpartition(":")
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((host, int(port)))
            async with await listener.accept() as conn:
                with anyio.move_on_after(0.05):
                    await conn.send(bytes(20_000_000))
                assert 0 < conn.bytes_sent - conn.delivered <= conn.bytes_sent
                before = conn.delivered
                for _ in range(10):
                    client.recv(65536)
                await anyio.sleep(0.05)
                assert conn.delivered > before
            assert conn.delivered == conn.bytes_sent
