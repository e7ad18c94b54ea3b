"""Connections in memory: do they behave as those over sockets do?"""

from __future__ import annotations

import math

import anyio
import pytest

from csp import Group
from csp.net.http.testing import pipe
from csp.testing import explore

pytestmark = pytest.mark.anyio


async def receive_all(conn):
    """Return what comes, and whether it ended well."""
    data = b""
    try:
        async for piece in conn:
            data += piece
    except anyio.BrokenResourceError:
        return data, False
    return data, True


async def test_what_is_sent_is_received():
    """In both directions, in pieces of any size."""
    one, other = pipe()
    await one.send(b"hello")
    await other.send(bytearray(b"you"))
    assert await other.receive(4) == b"hell"
    assert await other.receive() == b"o"
    assert await one.receive() == b"you"
    assert (one.bytes_sent, other.bytes_received) == (5, 5)


async def test_the_ends_have_addresses():
    """Each the other's."""
    one, other = pipe(local="127.0.0.1:5", peer="127.0.0.1:80")
    assert (one.local, one.peer) == (other.peer, other.local)
    assert (one.local, one.peer) == ("127.0.0.1:5", "127.0.0.1:80")
    assert not one.secure
    assert all(end.secure for end in pipe(secure=True))


async def test_a_receive_waits_for_something():
    """Until it comes."""
    one, other = pipe()
    async with Group() as g:
        received = g.go(other.receive)
        await anyio.wait_all_tasks_blocked()
        await one.send(b"x")
    assert await received == b"x"


async def test_a_send_waits_for_room():
    """It says how much it has left, and how much was sent."""
    one, other = pipe(capacity=10)
    async with Group() as g:
        g.go(one.send, bytes(25))
        await anyio.wait_all_tasks_blocked()
        assert (one.unsent, one.bytes_sent, one.delivered) == (15, 10, 0)
        assert len(await other.receive()) == 10
        await anyio.wait_all_tasks_blocked()
        assert (one.unsent, one.delivered) == (5, 10)
        assert len(await other.receive()) == 10
        await anyio.wait_all_tasks_blocked()
        assert one.unsent == 0
    assert len(await other.receive()) == 5


async def test_half_of_it_can_be_closed():
    """The other half goes on."""
    one, other = pipe()
    await one.send(b"last")
    await one.send_eof()
    await one.send_eof()
    assert await receive_all(other) == (b"last", True)
    await other.send(b"answer")
    assert await one.receive() == b"answer"
    with pytest.raises(anyio.ClosedResourceError):
        await one.send(b"more")


async def test_closing_ends_it_for_the_other():
    """What was sent is received, and nothing more is taken."""
    one, other = pipe()
    await one.send(b"last")
    one.close()
    one.close()
    with pytest.raises(anyio.BrokenResourceError) as caught:
        await other.send(b"x")
    assert other.raised(caught.value)
    assert await receive_all(other) == (b"last", True)
    for use in (one.receive, one.send_eof, lambda: one.send(b"x")):
        with pytest.raises(anyio.ClosedResourceError):
            await use()


async def test_closing_with_something_unread_breaks_it():
    """Then what was sent is lost, as it may be with a kernel."""
    one, other = pipe()
    await one.send(b"lost")
    await other.send(b"unread")
    one.close()
    assert await receive_all(other) == (b"", False)


async def test_aborting_breaks_it():
    """For the other side, once it has what had come; here it is closed."""
    one, other = pipe()
    await one.send(b"come")
    await other.send(b"unread")
    one.abort()
    assert await receive_all(other) == (b"come", False)
    with pytest.raises(anyio.BrokenResourceError):
        await other.send(b"x")
    with pytest.raises(anyio.ClosedResourceError):
        await one.receive()


@pytest.mark.parametrize("end", ["close", "abort", "aclose"])
@pytest.mark.parametrize("side", [0, 1])
async def test_who_waits_is_woken_by_the_end(end, side):
    """Whoever it is that closes."""
    ends = pipe(capacity=1)
    failures = []

    async def fail(use):
        with pytest.raises(
            (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream)
        ) as caught:
            await use()
        failures.append(caught.type)

    async with Group() as g:
        g.go(fail, ends[0].receive)
        g.go(fail, lambda: ends[0].send(b"long"))
        await anyio.wait_all_tasks_blocked()
        closed = getattr(ends[side], end)()
        if closed is not None:
            await closed
    assert (set(failures) == {anyio.ClosedResourceError}) == (side == 0)
    assert len(failures) == 2


@pytest.mark.parametrize("wait", ["receive", "send"])
async def test_two_of_a_kind_are_refused(wait):
    """One at a time may receive, and one send."""
    one, _ = pipe(capacity=1)
    use = {"receive": one.receive, "send": lambda: one.send(b"long")}[wait]
    async with Group() as g:
        g.go(use)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await use()
        g.cancel()


@pytest.mark.clock
@pytest.mark.parametrize("which", ["read", "write"])
async def test_deadlines_bound_a_wait(which):
    """Also those that are set meanwhile, to sooner and to later."""
    one, other = pipe(capacity=1)
    use = {"read": one.receive, "write": lambda: one.send(b"long")}[which]
    now = anyio.current_time()
    setattr(one, f"{which}_deadline", now + 5)

    async def move():
        await anyio.sleep(1)
        setattr(one, f"{which}_deadline", math.inf)
        await anyio.sleep(10)
        setattr(one, f"{which}_deadline", now + 12)

    async with Group() as g:
        g.go(move)
        with pytest.raises(TimeoutError, match=f"{which}_deadline") as caught:
            await use()
        assert one.raised(caught.value)
        assert anyio.current_time() == now + 12
    one.read_deadline = one.write_deadline = math.inf
    other.close()


async def test_what_is_there_is_received_however_late():
    """And what there is room for can be sent: deadlines bound waiting."""
    one, other = pipe()
    one.read_deadline = one.write_deadline = anyio.current_time() - 1
    await other.send(b"x")
    assert await one.receive() == b"x"
    await one.send(b"y")
    with pytest.raises(TimeoutError):
        await one.receive()


async def test_a_cancelled_receive_takes_nothing():
    """What comes then is there for the next."""
    one, other = pipe()
    async with Group() as g:
        g.go(other.receive)
        await anyio.wait_all_tasks_blocked()
        g.cancel()
    await one.send(b"x")
    assert await other.receive() == b"x"


async def test_a_busy_task_lets_others_run():
    """At least once in 64 operations."""
    one, other = pipe()
    ran = []

    async def run():
        ran.append(True)

    async with Group() as g:
        g.go(run)
        for _ in range(100):
            await one.send(b"x")
            await other.receive()
        assert ran


@pytest.mark.parametrize("capacity", [0, -1])
async def test_a_pipe_holds_something(capacity):
    """At least a byte."""
    with pytest.raises(ValueError, match="1 byte or more"):
        pipe(capacity=capacity)


async def test_a_secure_one_has_no_half():
    """As TLS has none."""
    one, _ = pipe(secure=True)
    with pytest.raises(NotImplementedError):
        await one.send_eof()


def programs():
    """Return what is explored: an echo through a pipe that is too small."""

    async def echo(conn):
        async with conn:
            async for data in conn:
                await conn.send(data)

    async def program():
        one, other = pipe(capacity=2)
        async with Group() as g:
            g.go(echo, other)
            g.go(one.send, b"hello")
            got = b""
            while len(got) < 5:
                got += await one.receive()
            one.close()
        assert got == b"hello"
        assert other._closed

    return program


@pytest.fixture(params=["asyncio", "trio"])
def explored(request):
    if request.param == "trio":
        pytest.importorskip("trio")
    return request.param


def test_no_byte_is_lost_in_any_order(explored, scale):
    """Of what tasks do."""
    explore(programs(), runs=scale(100, 3000), backend=explored)


def test_no_byte_is_lost_when_a_receive_is_cancelled(explored, scale):
    """It is received, or still there."""

    async def program():
        one, other = pipe()
        got = []

        async def receive():
            got.append(await other.receive())

        async with Group() as g:
            g.go(receive)
            g.go(one.send, b"x")
        assert b"".join(got) + bytes(other._incoming.data) == b"x" * one.bytes_sent

    explore(program, runs=scale(200, 3000), cancel=True, backend=explored)
