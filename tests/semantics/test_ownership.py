"""A channel belongs to one event loop, and to the thread that this runs in.

Who uses it from elsewhere is told what to write instead, and the channel is as before.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import anyio
import pytest
from anyio import from_thread, to_thread
from anyio import wait_all_tasks_blocked as parked

from csp import Channel, Group, _park, after, recv, run, select, select_nowait, send

pytestmark = pytest.mark.anyio

LOOPS = [name for name in ("asyncio", "trio", "uvloop") if find_spec(name) is not None]
REMEDY = r"belongs to another event loop .* anyio\.from_thread\.run\(ch\.send, item\)"

refused = partial(pytest.raises, RuntimeError, match=REMEDY)

Verb = Callable[[Channel[str]], Any]


async def perform(op: Any) -> Any:
    return await op


AWAITED: dict[str, Verb] = {
    "send": lambda ch: ch.send("y"),
    "send_many": lambda ch: ch.send_many(["y"]),
    "receive": lambda ch: ch.receive(),
    "receive_many": lambda ch: ch.receive_many(2),
    "async for": lambda ch: ch.__anext__(),
    "wait_empty": lambda ch: ch.wait_empty(),
    "send operation": lambda ch: perform(send(ch, "y")),
    "recv operation": lambda ch: perform(recv(ch)),
    "select": lambda ch: select(recv(ch), send(ch, "y"), after(3600)),
}

awaited = pytest.mark.parametrize("verb", AWAITED.values(), ids=AWAITED)


async def refuse(verb: Verb, ch: Channel[str]) -> None:
    """Use the channel where it does not belong."""
    with refused():
        await verb(ch)


@awaited
@pytest.mark.parametrize("other", LOOPS)
async def test_the_loop_of_another_thread_is_refused(verb: Verb, other: str) -> None:
    """Nobody is left in a queue there, and the channel goes on here."""
    ch: Channel[str] = Channel()
    async with Group() as g:
        g.go(ch.receive)
        await ch.send("x")
        before = ch.statistics()
        await to_thread.run_sync(partial(run, refuse, verb, ch, backend=other))
        assert ch.statistics() == before
        g.go(ch.receive)
        await ch.send("x")


@pytest.mark.parametrize("name", ["send", "send operation", "select"])
@pytest.mark.parametrize("other", LOOPS)
async def test_a_thread_cannot_meet_a_receiver(name: str, other: str) -> None:
    """The receiver waits on, and gets what is sent to it here."""
    ch: Channel[str] = Channel()
    async with Group() as g:
        receiver = g.go(ch.receive)
        await parked()
        await to_thread.run_sync(partial(run, refuse, AWAITED[name], ch, backend=other))
        assert ch.statistics().receivers_waiting == 1
        ch.send_nowait("x")
        assert await receiver == "x"


async def receive(ch: Channel[str]) -> None:
    await ch.receive()


async def send_two(ch: Channel[str]) -> None:
    await ch.send_many(["x", "x"])


async def fill_and_wait(ch: Channel[str]) -> None:
    await ch.send("x")
    await ch.wait_empty()


# Who waits, and what would wake it: at capacity 1.
WAKING = [
    (receive, lambda ch: ch.send_nowait("y")),
    (receive, lambda ch: ch.close()),
    (send_two, lambda ch: ch.receive_nowait()),
    (send_two, lambda ch: ch.drain()),
    (fill_and_wait, lambda ch: ch.receive_nowait()),
    (fill_and_wait, lambda ch: ch.drain()),
    (fill_and_wait, lambda ch: ch.close()),
]


@pytest.mark.parametrize(("wait", "wake"), WAKING)
async def test_a_thread_can_wake_nobody(
    wait: Callable[[Channel[str]], Awaitable[None]], wake: Verb
) -> None:
    """Though the call is not async: nothing is taken, given or closed by it."""
    ch: Channel[str] = Channel(1)

    def wake_in_thread() -> None:
        with refused():
            wake(ch)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, ch)
        await parked()
        before = ch.statistics()
        await to_thread.run_sync(wake_in_thread)
        assert ch.statistics() == before
        assert not ch.closed
        tasks.cancel_scope.cancel()
    ch.drain()


async def test_a_thread_cannot_close_a_handle_that_is_waited_at() -> None:
    """It stays open, and the one who waits stays."""
    ch: Channel[str] = Channel()
    with ch.receiver() as rx:
        async with Group() as g:
            receiver = g.go(rx.receive)
            await parked()
            with refused():
                await to_thread.run_sync(rx.close)
            assert not rx.closed
            await ch.send("x")
            assert await receiver == "x"


async def test_a_thread_is_found_out_within_64_operations() -> None:
    """Even if no operation of it has to wait; what it sent until then is there."""
    ch: Channel[int] = Channel(1000)
    await ch.send(0)
    sent = [0]

    async def send_on() -> None:
        for number in range(1, 1000):
            await ch.send(number)
            sent.append(number)

    def send_in_thread() -> None:
        with refused():
            asyncio.run(send_on())

    await to_thread.run_sync(send_in_thread)
    assert len(sent) <= 65
    assert ch.drain() == sent


async def test_the_remedy_is_one() -> None:
    """What the error says to write does work, from a thread of anyio."""
    ch: Channel[str] = Channel()
    async with Group() as g:
        sent = g.go(to_thread.run_sync, from_thread.run, ch.send, "x")
        assert await ch.receive() == "x"
        await sent


async def test_select_nowait_needs_a_loop() -> None:
    """A thread without one is told so."""
    ch: Channel[str] = Channel(1)
    with pytest.raises(RuntimeError, match="no event loop is running here"):
        await to_thread.run_sync(select_nowait, recv(ch))


@awaited
@pytest.mark.parametrize("first", LOOPS)
@pytest.mark.parametrize("second", LOOPS)
def test_a_later_loop_in_the_same_thread_is_refused(
    verb: Verb, first: str, second: str
) -> None:
    """Also after the loop that the channel was used on has ended."""
    ch: Channel[str] = Channel()

    async def use() -> None:
        async with Group() as g:
            g.go(ch.send, "x")
            assert await ch.receive() == "x"

    run(use, backend=first)
    before = ch.statistics()
    run(refuse, verb, ch, backend=second)
    assert ch.statistics() == before


# What meets nobody: the receiver is no more, and so is the sender of "y".
LEFT_BEHIND = [
    (receive, lambda ch: ch.send_nowait("z"), ["z"]),
    (send_two, lambda ch: ch.close(), ["x"]),
    (send_two, lambda ch: None, ["x"]),
]


@pytest.mark.parametrize(("wait", "act", "left"), LEFT_BEHIND)
@pytest.mark.parametrize("second", LOOPS)
def test_a_waiter_of_a_loop_that_was_closed_is_not_met(
    wait: Callable[[Channel[str]], Any],
    act: Verb,
    left: list[str],
    second: str,
) -> None:
    """Its loop was closed with the task in it, so an item would be lost with it."""
    ch: Channel[str] = Channel(1)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # of a task that never ends
    task = loop.create_task(wait(ch))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    async def go_on() -> None:
        act(ch)
        assert ch.drain() == left

    run(go_on, backend=second)
    assert ch.statistics().received == len(left)
    del task


def test_two_threads_may_be_the_first_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is imported when the first loop is met is not missing in the other one."""
    errors: list[BaseException] = []

    def use_a_channel() -> None:
        try:
            asyncio.run(Channel[int]().wait_empty())
        except BaseException as error:
            errors.append(error)

    other = threading.Thread(target=use_a_channel)

    def import_slowly(*args: str) -> Any:
        if threading.current_thread() is not other:
            other.start()
            other.join()
        return import_module(*args)

    import_module = _park.import_module
    monkeypatch.setattr(_park, "import_module", import_slowly)
    monkeypatch.setattr(_park, "_finders", [])
    monkeypatch.setattr(_park, "_not_imported", {"asyncio": "._park_asyncio"})
    use_a_channel()
    other.join()
    assert errors == []


def test_a_loop_may_begin_while_another_does() -> None:
    """Each thread makes room for its own loop, and they do not get in the way."""
    armed: list[threading.Thread] = []

    class SwitchingLoop(asyncio.SelectorEventLoop):
        """Lets another thread run when it is asked whether it is closed."""

        def is_closed(self) -> bool:
            while armed:
                thread = armed.pop()
                thread.start()
                thread.join()
            return super().is_closed()

    def use_a_channel(loop_factory: Any = None) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(Channel[int]().wait_empty())

    use_a_channel(SwitchingLoop)
    armed.append(threading.Thread(target=use_a_channel))
    use_a_channel()
