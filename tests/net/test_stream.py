"""Connections: anyio's contract for byte streams, deadlines, and losing nothing."""

from __future__ import annotations

import math
import socket
import struct
from array import array
from collections import deque

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from csp.net._connection import connection
from csp.net._dial import dial
from csp.net._listener import listen

pytestmark = pytest.mark.anyio

SMALL = 4096  # bytes that any kernel takes at once
LARGE = 8_000_000  # bytes that none does


@pytest.fixture(params=["tcp", "unix"])
async def pair(request, tmp_path):
    """Both ends of a connection."""
    unix = request.param == "unix"
    async with (
        await listen(f"unix:{tmp_path}/x" if unix else "127.0.0.1:0") as at,
        await dial(at.address) as one,
        await at.accept() as other,
    ):
        yield one, other


def now():
    return anyio.current_time()


def reset(conn):
    """Break a connection off, as a crash of the other side does."""
    sock = conn.extra(SocketAttribute.raw_socket)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


async def receive_all(conn):
    return b"".join([data async for data in conn])


async def fill(conn):
    """Send until the kernels of both sides have no more room; returns how much."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conn.send, bytes(LARGE))
            await anyio.wait_all_tasks_blocked()
            while (before := conn.bytes_sent) is not None:
                await turns(20)
                await anyio.wait_all_tasks_blocked()
                if conn.bytes_sent == before:
                    break
            scope.cancel()
    return conn.bytes_sent


async def turns(count):
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def test_bytes_go_both_ways(pair):
    """In order, and counted on both sides."""
    one, other = pair
    await one.send(b"ping")
    await one.send(bytearray(b"pong"))
    await one.send(memoryview(b"!"))
    assert b"".join([await other.receive(3) for _ in range(3)]) == b"pingpong!"
    await other.send(b"yes")
    assert await one.receive() == b"yes"
    assert (one.bytes_sent, one.bytes_received) == (9, 3)
    assert (other.bytes_sent, other.bytes_received) == (3, 9)
    await one.send(b"")
    assert one.bytes_sent == 9


async def test_items_are_measured_in_bytes(pair):
    """Not in whatever a memoryview holds."""
    one, other = pair
    data = array("Q", range(LARGE // 8))
    async with anyio.create_task_group() as tasks:

        async def send():
            await one.send(memoryview(data))
            await one.send_eof()

        tasks.start_soon(send)
        assert await receive_all(other) == data.tobytes()


async def test_a_large_item_is_sent_as_it_is_received(pair):
    """A send returns when the kernel has all of it."""
    one, other = pair
    data = bytes(range(256)) * (LARGE // 256)
    async with anyio.create_task_group() as tasks:

        async def send():
            await one.send(data)
            assert one.bytes_sent == len(data)
            await one.send_eof()

        tasks.start_soon(send)
        assert await receive_all(other) == data


async def test_half_a_connection_can_be_closed(pair):
    """After `send_eof` the peer reads to the end, and may answer."""
    one, other = pair
    await one.send(b"question")
    await one.send_eof()
    assert await receive_all(other) == b"question"
    for _ in range(2):
        with pytest.raises(anyio.EndOfStream):
            await other.receive()
    await other.send(b"answer")
    assert await one.receive() == b"answer"
    with pytest.raises(anyio.ClosedResourceError):
        await one.send(b"more")
    other.close()
    assert await receive_all(one) == b""


@pytest.mark.parametrize("size", [0, -1])
async def test_to_receive_nothing_is_refused(pair, size):
    """It could not be told from the end."""
    with pytest.raises(ValueError, match=f"not {size}"):
        await pair[0].receive(size)


async def test_two_of_a_kind_are_refused(pair):
    """While one task waits, another may not receive as well; nor send."""
    one, _ = pair
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.receive)
        tasks.start_soon(one.send, bytes(LARGE))
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await one.receive()
        with pytest.raises(anyio.BusyResourceError):
            await one.send(b"x")
        with pytest.raises(anyio.BusyResourceError):
            await one.send_eof()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("what", ["receive", "send", "both"])
async def test_closing_wakes_who_waits(pair, what):
    """With ClosedResourceError; so does all later use."""
    one, _ = pair
    woken = []

    async def wait(fn, *args):
        with pytest.raises(anyio.ClosedResourceError):
            await fn(*args)
        woken.append(fn)

    async with anyio.create_task_group() as tasks:
        if what != "send":
            tasks.start_soon(wait, one.receive)
        if what != "receive":
            tasks.start_soon(wait, one.send, bytes(LARGE))
        await anyio.wait_all_tasks_blocked()
        one.close()
    assert len(woken) == (2 if what == "both" else 1)
    await one.aclose()
    await wait(one.receive)
    await wait(one.send, b"x")
    await wait(one.send_eof)
    assert one.local
    assert one.peer


async def test_what_was_sent_is_delivered_though_closed(pair):
    """To close is not to break off."""
    one, other = pair
    await one.send(bytes(SMALL))
    one.close()
    assert len(await receive_all(other)) == SMALL


async def test_a_reset_is_a_broken_connection():
    """For who waits, and for every later use."""
    async with await listen("127.0.0.1:0") as at:
        for wait in (True, False):
            async with await dial(at.address) as one, await at.accept() as other:
                if wait:
                    async with anyio.create_task_group() as tasks:

                        async def receive(one=one):
                            with pytest.raises(anyio.BrokenResourceError) as caught:
                                await one.receive()
                            assert one.raised(caught.value)

                        tasks.start_soon(receive)
                        await anyio.wait_all_tasks_blocked()
                        reset(other)
                else:
                    reset(other)
                for _ in range(2):
                    with pytest.raises(anyio.BrokenResourceError):
                        await one.receive()
                    with pytest.raises(anyio.BrokenResourceError):
                        await one.send(b"x")


@pytest.mark.parametrize("size", [1, 10, 1000])
async def test_what_came_before_a_reset_is_received_first(size):
    """Also if both came at once: the connection still ends."""
    async with (
        await listen("127.0.0.1:0") as at,
        await dial(at.address) as one,
        await at.accept() as other,
        anyio.create_task_group() as tasks,
    ):
        received = bytearray()

        async def receive():
            with pytest.raises(anyio.BrokenResourceError):
                while True:
                    received.extend(await one.receive(size))

        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        await one.send(b"unread")  # so that closing the other side is a reset
        await other.send(b"last words")
        other.close()
    assert received == b"last words"


async def test_a_reset_ends_a_send_that_waits():
    """The peer will not take the rest."""
    async with (
        await listen("127.0.0.1:0") as at,
        await dial(at.address) as one,
        await at.accept() as other,
        anyio.create_task_group() as tasks,
    ):

        async def send():
            with pytest.raises(anyio.BrokenResourceError):
                await one.send(bytes(LARGE))

        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        reset(other)


async def test_who_does_not_receive_takes_no_memory(pair):
    """What is not received is in the kernel; and the sender waits."""
    one, other = pair
    sent = await fill(one)
    assert 0 < sent < LARGE
    assert other.bytes_received == 0
    received = 0
    while received < sent:
        received += len(await other.receive())
    assert received == sent


async def test_a_send_tells_what_it_has_left(pair):
    """While it waits."""
    one, _ = pair
    assert one.unsent == 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.send, bytes(LARGE))
        await anyio.wait_all_tasks_blocked()
        assert 0 < one.unsent == LARGE - one.bytes_sent
        tasks.cancel_scope.cancel()
    assert one.unsent == 0


@pytest.mark.parametrize("native", [False, True])
async def test_no_cancellation_loses_a_byte(pair, native, backend):
    """Cancelled at any turn of the loop, a receive has returned it or it is there."""
    if native and backend == "trio":
        pytest.skip("trio has no other cancellation")
    one, other = pair
    for turn in range(12):
        got = []

        async def receive(scope, got=got):
            with scope:
                while True:
                    got.append(await other.receive(1))

        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            if native:
                import asyncio

                task = asyncio.ensure_future(receive(scope))
                cancel = task.cancel
            else:
                tasks.start_soon(receive, scope)
                cancel = scope.cancel
            await anyio.wait_all_tasks_blocked()
            await one.send(b"abc")
            await turns(turn)
            cancel()
            if native:
                await asyncio.wait([task])
                assert task.cancelled()
        while len(got) < 3:
            with anyio.fail_after(1):
                got.append(await other.receive(1))
        assert b"".join(got) == b"abc"


@pytest.mark.parametrize("what", ["receive", "send"])
async def test_an_operation_that_need_not_wait_yields_now_and_then(pair, what):
    """Once in 64 operations, over all connections and channels."""
    one, other = pair
    ran = 0

    async def count():
        nonlocal ran
        while True:
            ran += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await anyio.lowlevel.checkpoint()
        await one.send(bytes(210))
        before = ran
        for _ in range(210):
            if what == "send":
                await one.send(b"x")
            else:
                await other.receive(1)
        assert ran >= before + 2
        tasks.cancel_scope.cancel()


async def test_a_busy_task_can_be_cancelled(pair):
    """Though its peer never makes it wait."""
    one, other = pair
    with anyio.move_on_after(1) as scope:
        scope.cancel()
        for _ in range(100):
            await one.send(b"x")
            await other.receive(1)
    assert scope.cancelled_caught


async def test_a_deadline_ends_a_wait(pair):
    """With TimeoutError, at its time; and the connection can be used on."""
    one, other = pair
    assert one.read_deadline == one.write_deadline == math.inf
    start = now()
    one.read_deadline = start + 0.05
    with pytest.raises(TimeoutError, match="read_deadline") as caught:
        await one.receive()
    assert one.raised(caught.value)
    assert now() >= start + 0.05
    with pytest.raises(TimeoutError):
        await one.receive()  # it has passed
    await other.send(b"late")
    await anyio.wait_all_tasks_blocked()
    if one.bytes_received == 0:
        one.read_deadline = math.inf
        assert await one.receive() == b"late"


async def test_what_is_there_can_be_received_however_late(pair):
    """A deadline bounds waiting."""
    one, other = pair
    for waited in (False, True):
        one.read_deadline = one.write_deadline = now() - 1
        await other.send(b"early")
        assert await one.receive() == b"early"
        if not waited:
            one.read_deadline = math.inf
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one.receive)
                await anyio.wait_all_tasks_blocked()
                await other.send(b"x")
    await one.send(b"x")
    with pytest.raises(TimeoutError):
        await one.receive()


async def test_a_deadline_ends_a_send_that_waits(pair):
    """What it had sent is counted, and can be received."""
    one, other = pair
    one.write_deadline = now() + 0.05
    with pytest.raises(TimeoutError, match="write_deadline"):
        await one.send(bytes(LARGE))
    sent = one.bytes_sent
    assert 0 < sent < LARGE
    one.close()
    assert len(await receive_all(other)) == sent


@pytest.mark.parametrize("deadline", [math.inf, 30.0, 0.2])
async def test_a_deadline_can_be_set_while_somebody_waits(pair, deadline):
    """Sooner or later than the one before."""
    one, _ = pair
    ended = []
    start = now()
    one.read_deadline = one.write_deadline = start + deadline

    async def expect(fn, *args):
        with pytest.raises(TimeoutError):
            await fn(*args)
        ended.append(now() - start)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(expect, one.receive)
        tasks.start_soon(expect, one.send, bytes(LARGE))
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        for when in (60.0, math.inf, 0.3):
            one.read_deadline = one.write_deadline = start + when
    assert all(0.25 <= seconds < 5 for seconds in ended)
    assert len(ended) == 2


async def test_a_deadline_that_is_put_off_does_not_strike(pair):
    """The wait goes on."""
    one, other = pair
    one.read_deadline = now() + 0.3
    async with anyio.create_task_group() as tasks:

        async def receive():
            assert await one.receive() == b"x"

        tasks.start_soon(receive)
        for _ in range(5):
            await anyio.sleep(0.1)
            one.read_deadline = now() + 0.3
        await other.send(b"x")


async def test_deadlines_cost_no_memory(pair):
    """However often they are set, and though their connections are long closed."""
    from csp.net._deadlines import _all

    one, other = pair
    one.read_deadline = now() + 100
    with anyio.move_on_after(0):
        await one.receive()
    heap = _all[one._loop]
    for number in range(1000):
        one.read_deadline = now() + 60 - number / 100
        await other.send(b"x")
        await one.receive()
        one.read_deadline = now() + 100
        with anyio.move_on_after(0):
            await one.receive()
    assert len(heap._heap) < 200
    one.close()
    for entry in heap._heap:
        assert entry.who is not one


async def test_a_connection_is_a_stream_of_anyio(pair):
    """With its typed attributes, and for its wrappers."""
    one, other = pair
    assert isinstance(one, SocketStream)
    assert isinstance(one, ByteStream)
    assert one.extra(SocketAttribute.raw_socket).fileno() >= 0
    assert one.extra(SocketAttribute.local_address) is not None
    if one.extra(SocketAttribute.family) == socket.AF_INET:
        assert one.local == other.peer
        assert one.peer == f"127.0.0.1:{one.extra(SocketAttribute.remote_port)}"
        assert one.extra(SocketAttribute.remote_address)[1] == int(one.peer[10:])
    buffered = BufferedByteReceiveStream(one)
    await other.send(b"a line\nmore")
    assert await buffered.receive_until(b"\n", 100) == b"a line"
    assert await buffered.receive_exactly(4) == b"more"
    assert one.peer in repr(one)
    assert not one.secure
    await one.handshake()


async def test_other_sockets_can_be_connections():
    """Such as a socket pair."""
    left, right = socket.socketpair()
    for sock in (left, right):
        sock.setblocking(False)
    async with connection(left, "") as one, connection(right, "") as other:
        await one.send(b"x")
        assert await other.receive() == b"x"


async def test_many_small_messages_and_one_slow_reader(pair, scale):
    """All arrive, in order, whatever fits."""
    one, other = pair
    sizes = deque((n * 7919) % 5000 + 1 for n in range(scale(300, 3000)))
    total = sum(sizes)

    async def send():
        number = 0
        for size in sizes:
            await one.send(bytes((number + n) % 251 for n in range(size)))
            number += size
        await one.send_eof()

    received = 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        while received < total:
            data = await other.receive((received * 31) % 3000 + 1)
            assert data == bytes((received + n) % 251 for n in range(len(data)))
            received += len(data)
    with pytest.raises(anyio.EndOfStream):
        await other.receive()
