"""Handlers that are cancelled when their client goes."""

from __future__ import annotations

import logging

import anyio
import pytest

import csp
from csp.net.http import ClientGone, Limits, text
from tests.net.http.memory import get, parse, post, receive_until, served

pytestmark = pytest.mark.anyio

LONG = 5_000  # seconds


@pytest.fixture
def errors(caplog):
    """What is logged as an error."""
    caplog.set_level(logging.INFO)
    return lambda: [
        r
        for r in caplog.records
        if r.levelno >= logging.ERROR and r.name.startswith("csp")
    ]


class Watched:
    """A handler that does something in the block, and knows how that ended."""

    def __init__(self, work):
        self.work = work
        self.ends = []

    async def __call__(self, request):
        try:
            async with request.cancelled_if_gone():
                result = await self.work(request)
        except BaseException as error:
            self.ends.append(type(error))
            raise
        self.ends.append(result)
        return text(f"{request.target} {result}")


async def wait(request):
    await anyio.sleep_forever()


async def nap(request):
    await anyio.sleep(1)
    return "done"


@pytest.mark.parametrize("how", ["send_eof", "close", "abort"])
async def test_a_client_that_goes_cancels_the_block(how, errors):
    """Which raises ClientGone, and that is nothing to log."""
    handler = Watched(wait)
    async with served(handler) as client:
        await client.send(get())
        await anyio.wait_all_tasks_blocked()
        if going := getattr(client, how)():
            await going
        await anyio.wait_all_tasks_blocked()
        assert handler.ends == [ClientGone]
    assert not errors()


@pytest.mark.clock
async def test_a_client_that_waits_is_waited_for():
    """However long that takes, and whatever limits there are."""

    async def long(request):
        await anyio.sleep(LONG)
        return "done"

    handler = Watched(long)
    async with served(handler) as client:
        await client.send(get() + get("/2"))
        answer, other = parse(
            await receive_until(client, b"/ done") + await receive_until(client, b"/2 ")
        )
    assert (answer.body, other.body) == (b"/ done", b"/2 done")


@pytest.mark.clock
async def test_a_client_that_goes_late_is_noticed():
    """There is no limit of time to that."""
    handler = Watched(wait)
    async with served(handler) as client:
        await client.send(get())
        await anyio.sleep(LONG)
        assert not handler.ends
        client.close()
        await anyio.wait_all_tasks_blocked()
        assert handler.ends == [ClientGone]


@pytest.mark.parametrize("count", [1, 3, 30])
async def test_what_a_client_sends_ahead_is_not_lost(count):
    """Be it a little, or more than is read ahead."""
    going = anyio.Event()

    async def work(request):
        await going.wait()
        return "done"

    ahead = b"".join(post(bytes(50_000), target=f"/{n}") for n in range(count))
    async with served(Watched(work)) as client, anyio.create_task_group() as tasks:
        await client.send(get())
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(client.send, ahead)
        await anyio.wait_all_tasks_blocked()
        assert client.bytes_sent < 500_000
        going.set()
        data = await receive_until(client, b"/%d done" % (count - 1))
    bodies = [answer.body for answer in parse(data)]
    assert bodies == [b"/ done", *(b"/%d done" % n for n in range(count))]


@pytest.mark.parametrize("twice", [False, True])
async def test_a_body_is_read_in_the_block(twice):
    """What of it comes before, in and after."""

    async def handler(request):
        parts = [await request.body.receive()]
        for _ in range(1 + twice):
            async with request.cancelled_if_gone():
                parts.append(await request.body.receive())
                await anyio.wait_all_tasks_blocked()
        parts.append(await request.read())
        return text(b"".join(parts))

    async with served(handler) as client:
        await client.send(post(b"a", "Content-Length: 9"))
        for byte in b"bcdefghi":
            await anyio.wait_all_tasks_blocked()
            await client.send(bytes([byte]))
        await client.send(get("/2", "Content-Length: 3") + b"xyz")
        assert b"abcdefghi" in await receive_until(client, b"abcdefghi")
        client.close()


async def test_a_reader_stays_when_the_block_ends():
    """One that waits for the body in a task of its own."""
    read = []

    async def reader(request):
        read.append(await request.read())

    async def handler(request):
        async with anyio.create_task_group() as tasks:  # noqa: SIM117
            async with request.cancelled_if_gone():
                tasks.start_soon(reader, request)
                await anyio.wait_all_tasks_blocked()
        return text("ok")

    async with served(handler) as client:
        await client.send(post(b"abc", "Content-Length: 6"))
        await anyio.wait_all_tasks_blocked()
        await client.send(b"def")
        await receive_until(client, b"ok")
    assert read == [b"abcdef"]


@pytest.mark.clock
async def test_a_slow_body_is_too_slow_in_the_block_too():
    """It is answered 408, and that is not taken for a client that has gone."""

    async def work(request):
        return await request.read()

    async with served(Watched(work), limits=Limits(rate_grace=2)) as client:
        await client.send(post(b"abc", "Content-Length: 10"))
        (answer,) = parse(await client.receive())
        assert answer.status == 408
        assert anyio.current_time() < 5


async def test_an_error_in_the_block_comes_out_as_it_is(errors):
    """In no group, and the connection goes on."""

    async def work(request):
        if request.target == "/":
            raise ValueError
        return "done"

    handler = Watched(work)
    async with served(handler) as client:
        await client.send(get() + get("/2"))
        data = await receive_until(client, b"done")
    assert [answer.status for answer in parse(data)] == [500, 200]
    assert handler.ends == [ValueError, "done"]
    assert len(errors()) == 1


async def test_an_error_as_the_client_goes_is_the_handlers(errors):
    """It is not hidden by that."""

    async def work(request):
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    handler = Watched(work)
    async with served(handler) as client:
        await client.send(get())
        await anyio.wait_all_tasks_blocked()
        client.close()
    assert handler.ends == [ValueError]
    assert len(errors()) == 1


async def test_a_scope_within_or_around_is_left_alone():
    """The block cancels itself and nothing else."""
    seen = []

    async def handler(request):
        with anyio.CancelScope() as around:
            async with request.cancelled_if_gone():
                with anyio.move_on_after(0.01) as within:
                    await anyio.sleep_forever()
                seen.append(within.cancelled_caught)
                around.cancel()
                await anyio.sleep_forever()
        seen.append(around.cancelled_caught)
        return text("ok")

    async with served(handler) as client:
        await client.send(get())
        assert b"ok" in await client.receive()
    assert seen == [True, True]


async def test_what_the_block_starts_outlives_it():
    """It is the server's, as without the block."""
    done = []

    async def later():
        await anyio.sleep(0.01)
        done.append(1)

    async def work(request):
        csp.go(later)
        return "done"

    async with csp.Group(), served(Watched(work)) as client:
        await client.send(get())
        await receive_until(client, b"done")
        assert not done
    assert done


async def test_blocks_again_and_again_are_bounded():
    """A client that floods is made to wait in all of them together."""

    async def handler(request):
        for _ in range(100):
            async with request.cancelled_if_gone():
                await anyio.wait_all_tasks_blocked()
        return text("ok")

    async with served(handler) as client, anyio.create_task_group() as tasks:
        await client.send(get())
        tasks.start_soon(client.send, get("/2") * 100_000)
        await receive_until(client, b"ok")
        assert client.bytes_sent < 10 * 65536
        tasks.cancel_scope.cancel()
