"""Listening, and accepting without losing a connection."""

from __future__ import annotations

import errno
import logging
import os
import socket
import subprocess
import sys
import textwrap

import anyio
import anyio.lowlevel
import pytest

from csp.net._connection import Connection
from csp.net._dial import dial
from csp.net._listener import listen

pytestmark = pytest.mark.anyio


def connect(listener):
    """Connect as the kernel does it, with no event loop in between."""
    sock = socket.socket()
    sock.connect(("127.0.0.1", int(listener.address.rpartition(":")[2])))
    return sock


async def exchange(listener, address=None):
    """Send something both ways over a connection to the listener."""
    async with (
        await dial(address or listener.address) as client,
        await listener.accept() as server,
    ):
        await client.send(b"ping")
        assert await server.receive() == b"ping"
        await server.send(b"pong")
        assert await client.receive() == b"pong"
        assert client.local == server.peer


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", ":0"])
async def test_a_listener_tells_where_it_is(address):
    """Its address has the real port, and can be dialled."""
    async with await listen(address) as listener:
        host, _, port = listener.address.rpartition(":")
        assert int(port) > 0
        assert host in {"127.0.0.1", ""}
        await exchange(listener)


async def test_all_interfaces_means_both_families():
    """Without a host, IPv4 and IPv6 come to one socket."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    async with await listen(":0") as listener:
        await exchange(listener, f"127.0.0.1{listener.address}")
        await exchange(listener, f"[::1]{listener.address}")


async def test_a_unix_socket_goes_with_its_listener(tmp_path):
    """It is there while somebody listens."""
    path = tmp_path / "x.sock"
    async with await listen(f"unix:{path}") as listener:
        assert listener.address == f"unix:{path}"
        await exchange(listener)
    assert not path.exists()


async def test_a_stale_unix_socket_is_replaced(tmp_path):
    """One that nobody listens at was left by a process that was killed."""
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    async with await listen(f"unix:{path}") as listener:
        await exchange(listener)


@pytest.mark.parametrize("backlog", [0, 10])
async def test_a_unix_socket_in_use_is_not_replaced(tmp_path, backlog):
    """Nor is one whose queue is full."""
    address = f"unix:{tmp_path / 'x.sock'}"
    async with await listen(address, backlog=backlog) as listener:
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(listener.address[5:])
            with pytest.raises(OSError, match="another process listens") as caught:
                await listen(address)
        assert address in str(caught.value)
        assert caught.value.errno == errno.EADDRINUSE


async def test_a_file_that_is_no_socket_stays(tmp_path):
    """It may be dear to somebody."""
    path = tmp_path / "x.sock"
    path.write_text("dear")
    with pytest.raises(OSError, match="not a socket"):
        await listen(f"unix:{path}")
    assert path.read_text() == "dear"


async def test_a_listener_leaves_the_socket_of_its_successor(tmp_path):
    """What has taken its place is not removed."""
    path = tmp_path / "x.sock"
    listener = await listen(f"unix:{path}")
    path.unlink()
    async with await listen(f"unix:{path}") as successor:
        await listener.aclose()
        await exchange(successor)


async def test_an_inherited_descriptor_is_listened_at():
    """As from a parent, or systemd."""
    with socket.create_server(("127.0.0.1", 0)) as parents:
        fd = os.dup(parents.fileno())
        async with await listen(f"fd:{fd}") as listener:
            assert listener.fileno() == fd
            await exchange(listener)


async def test_a_descriptor_that_does_not_listen_is_refused_and_left_alone():
    """It is somebody else's."""
    with socket.socket() as other, pytest.raises(OSError, match="does not listen"):
        await listen(f"fd:{other.fileno()}")
    assert other.fileno() == -1  # closed by its own block, which would have failed
    reader, writer = os.pipe()
    with pytest.raises(OSError, match="cannot listen on fd:"):
        await listen(f"fd:{reader}")
    os.close(reader)
    os.close(writer)


async def test_errors_say_where():
    """A taken port is one sentence with the address."""
    async with await listen("127.0.0.1:0") as listener:
        where = f"cannot listen on {listener.address}: "
        with pytest.raises(OSError, match=where) as caught:
            await listen(listener.address)
        assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError, match="cannot listen on 203.0.113.1:0: "):
        await listen("203.0.113.1:0")
    with pytest.raises(OSError, match="cannot connect to 127.0.0.1:1: "):
        await dial("127.0.0.1:1")
    with pytest.raises(ValueError, match="'fd:3' cannot be called"):
        await dial("fd:3")


async def test_a_port_can_be_shared():
    """With `reuse_port`, several listen at one."""
    async with (
        await listen("127.0.0.1:0", reuse_port=True) as one,
        await listen(one.address, reuse_port=True) as other,
    ):
        assert one.address == other.address


async def test_descriptors_are_not_inherited():
    """Only who is given one on purpose has it."""
    async with await listen("127.0.0.1:0") as listener:
        assert not os.get_inheritable(listener.fileno())
        with connect(listener):
            conn = await listener.accept()
            assert not os.get_inheritable(conn._raw_socket.fileno())
            conn.close()


async def test_a_closed_listener_says_so():
    """To who waits, and to who comes later; closing twice is fine."""
    listener = await listen("127.0.0.1:0")
    async with anyio.create_task_group() as tasks:

        async def wait():
            with pytest.raises(anyio.ClosedResourceError):
                await listener.accept()

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        listener.close()
    await listener.aclose()
    await wait()
    with pytest.raises(anyio.ClosedResourceError):
        listener.accept_nowait()
    with pytest.raises(anyio.ClosedResourceError):
        await listener.wait()


async def test_a_listener_serves_as_anyios_do():
    """`serve` starts a task for each connection, in the given group."""

    async def greet(conn: Connection) -> None:
        async with conn:
            await conn.send(b"hello")

    async with (
        await listen("127.0.0.1:0") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, greet)
        for _ in range(3):
            async with await dial(listener.address) as conn:
                assert await conn.receive() == b"hello"
        tasks.cancel_scope.cancel()


async def turns(count):
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("parked", [True, False])
@pytest.mark.parametrize("native", [False, True])
async def test_no_cancellation_loses_a_connection(parked, native, backend):
    """Cancelled at any turn of the loop, it was accepted or is still in the queue."""
    if native and backend == "trio":
        pytest.skip("trio has no other cancellation")
    for turn in range(12):
        accepted = []
        async with await listen("127.0.0.1:0") as listener:

            async def accept(scope, listener=listener, accepted=accepted):
                with scope:
                    while True:
                        accepted.append(await listener.accept())

            async with anyio.create_task_group() as tasks:
                scope = anyio.CancelScope()
                if native:
                    import asyncio

                    task = asyncio.ensure_future(accept(scope))
                    cancel = task.cancel
                else:
                    tasks.start_soon(accept, scope)
                    cancel = scope.cancel
                if parked:
                    await anyio.wait_all_tasks_blocked()
                clients = [connect(listener) for _ in range(3)]
                await turns(turn)
                cancel()
                if native:
                    await asyncio.wait([task])
            while len(accepted) < len(clients):  # raises WouldBlock if one is lost
                accepted.append(listener.accept_nowait())
            for client, conn in zip(clients, accepted, strict=True):
                await conn.send(b"hello")
                conn.close()
                assert client.recv(9) == b"hello"
                client.close()


async def test_a_shortage_of_descriptors_is_waited_out(caplog, monkeypatch, scale):
    """The pauses double, one burst is logged once, and then it goes on."""
    async with await listen("127.0.0.1:0") as listener:
        real, failures, pauses = listener._sock, 12, []

        class Short:
            def accept(self):
                nonlocal failures
                if failures:
                    failures -= 1
                    raise OSError(errno.EMFILE, "Too many open files")
                return real.accept()

            def __getattr__(self, name):
                return getattr(real, name)

        async def sleep(seconds):
            pauses.append(seconds)

        monkeypatch.setattr(anyio, "sleep", sleep)
        monkeypatch.setattr(listener, "_sock", Short())
        with caplog.at_level(logging.INFO, "csp.net"), connect(listener):
            (await listener.accept()).close()
        assert pauses == [0.005 * 2**n for n in range(8)] + [1.0] * 4
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert not listener.short


async def test_a_connection_that_ended_in_the_queue_is_passed_over(monkeypatch):
    """The kernel may tell of that by an error, and then has the next."""
    async with await listen("127.0.0.1:0") as listener:
        real, errors = listener._sock, [errno.ECONNABORTED, errno.EPROTO]

        class Aborting:
            def accept(self):
                if errors:
                    raise OSError(errors.pop(), "aborted")
                return real.accept()

            def __getattr__(self, name):
                return getattr(real, name)

        monkeypatch.setattr(listener, "_sock", Aborting())
        with connect(listener):
            (await listener.accept()).close()
        assert not errors


CHILD = """
    import anyio, csp, resource, socket, sys
    from csp.net._listener import listen

    async def main():
        async with await listen("127.0.0.1:0") as listener:
            port = int(listener.address.rpartition(":")[2])
            clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
            kept = [await listener.accept()]
            fill = []
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
            try:
                while True:
                    fill.append(socket.socket())
            except OSError:
                pass
            async with anyio.create_task_group() as tasks:
                async def accept():
                    kept.append(await listener.accept())
                tasks.start_soon(accept)
                while not listener.short:
                    await anyio.sleep(0.001)
                await kept[0].send(b"still served")
                assert clients[0].recv(100) == b"still served"
                assert len(kept) == 1
                for sock in fill:
                    sock.close()
            assert len(kept) == 2
            for each in [*kept, *clients]:
                each.close()
        print("good")

    csp.run(main, backend=sys.argv[1])
"""


@pytest.mark.parametrize("name", ["asyncio", "uvloop", "trio"])
def test_others_are_served_while_descriptors_are_short(name):
    """With a real limit, in a process of its own."""
    pytest.importorskip(name)
    pytest.importorskip("resource")
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(CHILD), name],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert child.stdout == "good\n", child.stderr
    assert "cannot accept now" in child.stderr
    assert "Traceback" not in child.stderr
