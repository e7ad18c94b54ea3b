"""What a `History` writes down of what tasks do."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from csp import Channel, Group, WouldBlock, recv, select, send
from csp.testing import Call, History
from tests.testing.drawing import drawn

pytestmark = pytest.mark.anyio


def times(history: History) -> list[tuple[float, float]]:
    return [(call.begin, call.end) for call in history.calls]


# What is recorded


async def test_a_call_that_returned() -> None:
    """It has its arguments, its result, and when it was."""
    history = History()
    spy = history.spy(Channel[str](2))
    spy.send_nowait("a")
    assert await spy.receive() == "a"
    sent, received = history.calls
    assert (sent.verb, sent.args, sent.result) == ("send_nowait", ("a",), None)
    assert (received.verb, received.args, received.result) == ("receive", (), "a")
    assert times(history) == [(0, 1), (2, 3)]
    assert (sent.pending, sent.cancelled, sent.raised) == (False, False, None)


async def test_named_arguments_are_kept_apart() -> None:
    """A call of `verb=` or `self=` is no trouble either."""

    class Thing:
        def do(self, *args: int, **kwargs: int) -> None: ...

    history = History()
    history.spy(Thing()).do(1, verb=2)
    with history.call("other", 3, self=4):
        pass
    assert [(c.args, c.kwargs) for c in history.calls] == [
        ((1,), {"verb": 2}),
        ((3,), {"self": 4}),
    ]


async def test_a_call_that_raised() -> None:
    """The error goes on, and its class is kept."""
    history = History()
    with pytest.raises(WouldBlock):
        history.spy(Channel[str]()).receive_nowait()
    (call,) = history.calls
    assert (call.raised, call.cancelled, call.end) == (WouldBlock, False, 1)


async def test_a_call_that_is_pending_and_then_cancelled() -> None:
    """By a scope."""
    history = History()
    async with Group() as g:
        g.go(history.spy(Channel[str]()).receive)
        await wait_all_tasks_blocked()
        (call,) = history.calls
        assert call.pending
        assert not call.cancelled
        g.cancel()
    assert call.cancelled
    assert not call.pending
    assert times(history) == [(0, 1)]


async def test_a_call_that_is_cancelled_natively(backend: str) -> None:
    """As asyncio does it."""
    if backend == "trio":
        pytest.skip("trio has no other way than scopes")
    history = History()
    task = asyncio.ensure_future(history.spy(Channel[str]()).receive())
    await wait_all_tasks_blocked()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    (call,) = history.calls
    assert call.cancelled


async def test_a_call_begins_when_it_is_awaited() -> None:
    """Before that nothing happens, and the task that awaits it is whose call it is."""
    history = History()
    spy = history.spy(Channel[int](1))
    sending = spy.send(1)
    spy.close()
    with pytest.raises(anyio.ClosedResourceError):
        await sending
    assert [call.verb for call in history.calls] == ["close", "send"]


async def test_a_call_thrown_away_is_pending() -> None:
    """Nobody knows how it would have ended."""
    history = History()
    waiting = history.spy(Channel[int]()).receive()
    waiting.send(None)
    waiting.close()
    (call,) = history.calls
    assert call.pending


async def test_a_block_is_recorded_as_a_call() -> None:
    """With the result that it sets."""
    history = History()
    a, b = Channel[int](1), Channel[int](1)
    with history.call("select", ("receive",), ("send", 1)) as call:
        call.result = await select(recv(a), send(b, 1))
    with pytest.raises(ZeroDivisionError), history.call("fail"):
        raise ZeroDivisionError
    selected, failed = history.calls
    assert selected.result == (1, None)
    assert failed.raised is ZeroDivisionError
    b.drain()


async def test_calls_overlap_as_they_did() -> None:
    """A call that waits encloses the one that ends its wait."""
    history = History()
    spy = history.spy(Channel[int]())
    async with Group() as g:
        g.go(spy.receive)
        await wait_all_tasks_blocked()
        history.rest()
        await spy.send(1)
    received, sent = history.calls
    assert history.rests == [1]
    assert received.begin < 1 < sent.begin < received.end
    assert {sent.end, received.end} == {3, 4}


async def test_collections_are_kept_as_they_were() -> None:
    """Those that a call brings, and those that it returns."""

    class Thing:
        def swap(self, items: Any) -> list[int]:
            return [items.pop()]

    history = History()
    history.spy(Thing()).swap(deque([1, 2])).append(3)
    (call,) = history.calls
    assert (call.args, call.result) == ((deque([1, 2]),), [2])


async def test_a_failed_call_keeps_nothing_alive() -> None:
    """A history does not hold the frames that an error came through."""

    class Thing:
        def fail(self) -> None:
            raise ZeroDivisionError

    history = History()

    def fail() -> weakref.ref[Thing]:
        thing = Thing()
        with suppress(ZeroDivisionError):
            history.spy(thing).fail()
        return weakref.ref(thing)

    assert fail()() is None


# Who did it


async def test_tasks_are_known_by_name() -> None:
    """And by a number, if there are several of one name."""
    history = History()
    spy = history.spy(Channel[int]())
    async with Group() as g:
        g.go(spy.receive, name="a")
        g.go(spy.receive, name="b")
        g.go(spy.receive, name="a")
        await wait_all_tasks_blocked()
        g.cancel()
    assert sorted(call.task for call in history.calls) == ["a", "a #2", "b"]


async def test_a_function_in_a_function_goes_by_its_own_name() -> None:
    """Tests are full of them."""

    async def produce() -> None:
        with history.call("nothing"):
            await checkpoint()

    history = History()
    async with Group() as g:
        g.go(produce)
    assert [call.task for call in history.calls] == ["produce"]


def test_threads_are_known_by_name_too() -> None:
    """No event loop is needed."""
    history = History()
    spy = history.spy([1])
    thread = threading.Thread(target=spy.append, args=(2,), name="other")
    thread.start()
    thread.join()
    with pytest.raises(ValueError, match="not in list"):
        spy.index(3)
    first, second = history.calls
    assert first.task == "other"
    assert second.task == threading.current_thread().name
    assert (second.raised, second.cancelled) == (ValueError, False)


async def test_a_callback_of_the_loop_may_call(backend: str) -> None:
    """No task runs there."""
    if backend == "trio":
        pytest.skip("trio runs no callbacks")
    history = History()
    asyncio.get_running_loop().call_soon(history.spy([1]).pop)
    await wait_all_tasks_blocked()
    (call,) = history.calls
    assert call.result == 1


# The stand-in


async def test_what_is_no_public_method_is_passed_on() -> None:
    """Nor is a name that is missing anything new."""
    history = History()
    ch = Channel[int](3, name="jobs")
    spy = history.spy(ch)
    assert (spy.capacity, spy.name, spy._state) == (3, "jobs", ch._state)
    assert repr(spy) == f"<spy on {ch!r}>"
    with pytest.raises(AttributeError, match="'Channel' object has no attribute"):
        spy.push  # type: ignore[attr-defined]  # noqa: B018
    assert history.calls == []


async def test_several_objects_are_told_apart_by_name() -> None:
    """It comes before the verb."""
    history = History()
    history.spy(Channel[int](), "jobs").close()
    history.spy(Channel[int](), "done").close()
    assert [call.verb for call in history.calls] == ["jobs.close", "done.close"]


# The picture


PICTURE = """
|--|               a: put(1, key='b') -> None
  |----|           b: get() raised KeyError
     |---x         c: get() cancelled
      |--------|   d: get() -> [1, 2]
       :           (all at rest)
          |----->  e: get() pending
"""


def test_a_history_is_drawn() -> None:
    """A line is a call, in the order in which they began."""
    history = History(
        [
            Call("a", "put", (1,), {"key": "b"}, begin=0, end=3),
            Call("e", "get", begin=10),
            Call("b", "get", begin=2, end=7, raised=KeyError),
            Call("c", "get", begin=5, end=9, cancelled=True),
            Call("d", "get", begin=6, end=15, result=[1, 2]),
        ],
        rests=[7],
    )
    assert f"\n{history}\n" == PICTURE


def test_a_picture_can_be_read() -> None:
    """Tests draw theirs by hand."""
    picture = PICTURE.replace(", key='b'", "")
    assert f"\n{drawn(picture)}\n" == picture


def test_a_long_history_is_drawn_to_scale() -> None:
    """The lines stay as long as a line may be, whatever is in them."""
    calls = [
        Call("a", "f", ("x" * 500,), begin=t, end=t + 1) for t in range(0, 2000, 2)
    ]
    lines = str(History(calls)).splitlines()
    assert len(lines) == 1000
    assert max(map(len, lines)) < 140


def test_a_history_goes_on_from_calls_by_hand() -> None:
    """Its clock stands after them."""
    history = drawn("|--|  a: f() -> None")
    with history.call("g"):
        pass
    assert times(history) == [(0, 3), (4, 5)]
    assert History().end == 0
    assert str(History()) == ""
    assert repr(history) == "<History of 2 calls>"
    assert repr(history.calls[0]) == "<Call a: f() -> None>"
