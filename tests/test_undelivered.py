"""The books of stop scopes: at every end each item is accounted for, and each error."""

from __future__ import annotations

import asyncio
import gc
import pickle
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from csp import (
    Channel,
    ChannelBroken,
    ChannelClosed,
    Group,
    Left,
    Receiver,
    Sender,
    Undelivered,
    recv,
    select,
    send,
    stop_scope,
    stopping,
)
from csp.testing import explore

pytestmark = pytest.mark.anyio


def filled(*items: Any, **options: Any) -> Channel[Any]:
    """Make a channel with these items in it."""
    ch: Channel[Any] = Channel(max(1, len(items)), **options)
    for item in items:
        ch.send_nowait(item)
    return ch


def balanced(ch: Channel[Any]) -> bool:
    """Whether the channel's figures account for every item."""
    figures = ch.statistics()
    return figures.sent == figures.received + figures.undelivered + figures.length


@asynccontextmanager
async def ends_with(*left: Left, **options: Any) -> AsyncIterator[None]:
    """Be a stop scope that ends with just this left."""
    with pytest.raises(Undelivered) as caught:
        async with stop_scope(**options):
            yield
    assert caught.value.left == left
    assert caught.value.cut == ()


# What is left


async def test_what_is_in_a_buffer_is_named_with_its_channel() -> None:
    """The items are in the error, which says how many in which channel."""
    with pytest.raises(Undelivered) as caught:
        async with stop_scope():
            a, b = filled(1, 2, name="a"), filled(3)
            filled(4, name="c").drain()
    error = caught.value
    assert error.left == (Left("a", [1, 2]), Left(None, [3]))
    assert str(error) == (
        "channel 'a' held 2 items, a channel without a name held 1 item"
    )
    assert len(a) == len(b) == 0
    assert a.statistics().undelivered == 2
    assert balanced(a)
    assert balanced(b)


async def test_what_was_received_or_drained_is_not_left() -> None:
    """A scope in which all has been received ends without a word."""
    async with stop_scope():
        ch = filled(1, 2, 3)
        assert await ch.receive() == 1
        assert ch.drain() == [2, 3]
        Channel[int](5).close()
        Channel[int]()


async def test_what_is_left_goes_to_on_undelivered_once() -> None:
    """In order; and then it is no error."""
    got: list[int] = []
    async with stop_scope():
        ch = filled(1, 2, 3, on_undelivered=got.append)
        assert await ch.receive() == 1
    assert got == [2, 3]
    assert ch.statistics().undelivered == 2
    assert balanced(ch)


async def test_what_overflow_has_dropped_is_not_left() -> None:
    """It went to `on_undelivered` then, if to anyone."""
    got: list[int] = []
    async with ends_with(Left("b", [2])):
        a: Channel[int] = Channel(1, overflow="drop_oldest", on_undelivered=got.append)
        b: Channel[int] = Channel(1, overflow="drop_oldest", name="b")
        for n in range(3):
            a.send_nowait(n)
            b.send_nowait(n)
        assert got == [0, 1]
    assert got == [0, 1, 2]


async def test_a_channel_that_was_forgotten_is_accounted_for() -> None:
    """Without a ResourceWarning, which would fail this test."""
    got: list[int] = []
    async with ends_with(Left("gone", [1, 2])):
        filled(1, 2, name="gone")
        filled(3, on_undelivered=got.append)
        gc.collect()
    assert got == [3]


async def test_a_channel_in_a_cycle_is_accounted_for() -> None:
    """Though nothing but the collector can still reach it."""
    async with ends_with(Left("cyclic", [1])):
        cycle: list[Any] = [filled(1, name="cyclic")]
        cycle.append(cycle)
        del cycle
    gc.collect()


async def test_channels_of_every_task_of_the_scope_are_its_own() -> None:
    """However the task was started, and in a thread, too."""
    kept: list[Channel[Any]] = []

    async def make(name: str, *, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
        await anyio.lowlevel.checkpoint()
        task_status.started()
        kept.append(filled(1, name=name))

    with pytest.raises(Undelivered) as caught:
        async with stop_scope(), Group() as g, anyio.create_task_group() as tasks:
            g.go(make, "go")
            await g.start(make, "Group.start")
            tasks.start_soon(make, "start_soon")
            await tasks.start(make, "TaskGroup.start")
            await anyio.to_thread.run_sync(lambda: kept.append(filled(1, name="thr")))
    names = {left.channel for left in caught.value.left}
    assert names == {"go", "Group.start", "start_soon", "TaskGroup.start", "thr"}


async def test_channels_of_an_outer_task_are_not_touched() -> None:
    """Made before, beside, or in a task of a group around the scope."""
    kept: list[Channel[Any]] = []

    async def make() -> None:
        kept.append(filled(2))

    before = filled(1)
    async with Group() as g, stop_scope():
        g.go(make)
        await anyio.wait_all_tasks_blocked()
    assert before.drain() == [1]
    assert kept[0].drain() == [2]


async def test_an_inner_scope_has_its_own_books() -> None:
    """What it reported, the outer one does not report again."""
    async with ends_with(Left("outer", [1])):
        outer = filled(1, name="outer")
        async with ends_with(Left("inner", [2])):
            inner = filled(2, name="inner")
    assert len(inner) == len(outer) == 0


@pytest.mark.parametrize("callback", [True, False])
async def test_what_a_cut_sender_still_holds_was_not_sent(callback: bool) -> None:
    """Its send raises, so it has the item; what was sent before is left."""
    got: list[Any] = []
    mine: list[str] = []

    async def send(ch: Channel[str], item: str) -> None:
        try:
            await ch.send(item)
        except BaseException:
            mine.append(item)
            raise

    with pytest.raises(Undelivered) as caught:
        async with stop_scope() as stop, Group() as g:
            ch: Channel[str] = Channel(
                1, name="ch", on_undelivered=got.append if callback else None
            )
            for item in ("a", "b", "c"):
                g.go(send, ch, item, name=item)
            await anyio.wait_all_tasks_blocked()
            stop.cut()
    left = got if callback else caught.value.left[0].items
    assert sorted(left + mine) == ["a", "b", "c"]
    assert len(mine) == 2
    assert sorted(caught.value.cut) == sorted(mine)
    assert balanced(ch)


@pytest.mark.parametrize("end", ["close", "break", "drained", "open"])
async def test_the_state_of_the_channel_does_not_matter(end: str) -> None:
    """Nor whether anybody has handles to it."""
    with nullcontext() if end == "drained" else pytest.raises(Undelivered):
        async with stop_scope():
            ch = filled(1, 2, name="ch")
            sender: Sender[int] = ch.sender()
            receiver: Receiver[int] = ch.receiver()
            if end == "close":
                sender.close()
            if end == "break":
                receiver.close()
            if end == "drained":
                assert receiver.drain() == [1, 2]
    sender.close()
    receiver.close()
    figures = ch.statistics()
    assert figures.length == 0
    assert figures.received == (2 if end == "drained" else 0)
    assert figures.undelivered == (0 if end == "drained" else 2)
    assert balanced(ch)


# What outlives the scope


async def test_a_channel_that_outlives_its_scope_is_emptied_and_usable() -> None:
    """And what is sent to it later is nothing of the scope's."""
    async with ends_with(Left("ch", [1, 2])):
        ch = filled(1, 2, name="ch")
    ch.send_nowait(3)
    async with Group() as g:
        g.go(ch.send_many, [4, 5, 6])
        await anyio.wait_all_tasks_blocked()
        assert [await ch.receive() for _ in range(4)] == [3, 4, 5, 6]
    ch.close()
    with pytest.raises(ChannelClosed):
        ch.send_nowait(6)
    assert balanced(ch)


async def test_a_channel_that_outlives_its_scope_is_of_the_outer_one() -> None:
    """Whether that sees it at its end, or it is forgotten before."""
    async with ends_with(Left("forgotten", [2]), Left("kept", [1])):
        async with stop_scope(), stop_scope():
            kept: Channel[int] = Channel(1, name="kept")
            forgotten: Channel[int] = Channel(1, name="forgotten")
        kept.send_nowait(1)
        forgotten.send_nowait(2)
        del forgotten
        gc.collect()


async def test_a_channel_that_outlives_every_scope_is_one_outside_of_any() -> None:
    """Forgotten with items in it, it warns."""
    async with stop_scope():
        ch: Channel[int] = Channel(1, name="ch")
    ch.send_nowait(1)
    with pytest.warns(ResourceWarning, match="'ch' was forgotten with 1 items"):
        del ch
        gc.collect()


async def test_outside_of_a_scope_a_forgotten_channel_warns() -> None:
    """As ever."""
    ch = filled(1, name="ch")
    with pytest.warns(ResourceWarning, match="'ch' was forgotten with 1 items"):
        del ch
        gc.collect()


async def test_who_waits_for_a_channel_to_be_empty_is_told() -> None:
    """At the end of the scope that empties it."""
    async with Group() as g, ends_with(Left("ch", [1])):
        ch = filled(1, name="ch")
        g.go(ch.wait_empty)
        await anyio.wait_all_tasks_blocked()


@pytest.mark.parametrize("capacity", [0, 1])
@pytest.mark.parametrize("callback", [True, False])
async def test_what_senders_from_outside_hold_goes_the_same_way(
    callback: bool, capacity: int
) -> None:
    """As in a `drain`: their sends have succeeded, and nobody waits before room."""
    got: list[int] = []
    async with Group() as g:
        with nullcontext() if callback else pytest.raises(Undelivered) as caught:
            async with stop_scope():
                ch: Channel[int] = Channel(
                    capacity, on_undelivered=got.append if callback else None
                )
                for n in range(3):
                    g.go(ch.send, n)
                await anyio.wait_all_tasks_blocked()
        left = got if callback else caught.value.left[0].items
        figures = ch.statistics()
        g.cancel()
    assert sorted(left) == [0, 1, 2]
    assert figures.senders_waiting == 0
    assert figures.undelivered == 3


# Callbacks


async def test_what_on_undelivered_raises_comes_out() -> None:
    """As it is, once all items of all channels are accounted for."""
    got: list[int] = []

    def fail(item: int) -> None:
        got.append(item)
        raise OSError(item)

    with pytest.raises(OSError, match="1"):
        async with stop_scope():
            kept = [filled(1, name="a", on_undelivered=fail)]
    with pytest.raises(BaseExceptionGroup) as group:
        async with stop_scope():
            kept = [
                filled(2, 3, name="b", on_undelivered=fail),
                filled(4, name="c", on_undelivered=fail),
                filled(5, name="d"),
                filled(6, name="e", on_undelivered=got.append),
            ]
    assert sorted(got) == [1, 2, 3, 4, 6]
    assert sorted(str(leaf) for leaf in leaves(group.value)) == [
        "2",
        "3",
        "4",
        "channel 'd' held 1 item",
    ]
    assert all(len(ch) == 0 for ch in kept)


def leaves(error: BaseException) -> list[BaseException]:
    """Return the errors in a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


async def test_on_undelivered_may_keep_what_it_gets_in_another_channel() -> None:
    """Made before or after; what is left in that is named in the end."""
    async with ends_with(Left("dead", [0, 3, 1, 2])):
        dead: Channel[int] = Channel(10, name="dead")
        dead.send_nowait(0)
        b: Channel[int] = Channel(10, on_undelivered=dead.send_nowait)
        c = filled(1, 2, on_undelivered=b.send_nowait)
        d = filled(3, on_undelivered=dead.send_nowait)
    assert len(b) == len(c) == len(d) == len(dead) == 0


@pytest.mark.parametrize("n", [1, 2, 3])
async def test_items_that_go_round_in_circles_do_not_go_on_for_ever(n: int) -> None:
    """They are still there afterwards, or in the error, and not lost."""
    ring: list[Channel[int]] = []

    calls: list[int] = []

    def onward(i: int, item: int) -> None:
        calls.append(i)
        ring[(i + 1) % n].send_nowait(item)

    async with stop_scope():
        ring += [Channel(5, on_undelivered=partial(onward, i)) for i in range(n)]
        ring[0].send_nowait(7)
    assert [item for ch in ring for item in ch.drain()] == [7]
    assert calls == [*range(n)]


async def test_on_undelivered_runs_outside_of_the_scope() -> None:
    """What it makes is not the scope's."""
    made: list[Channel[int]] = []
    async with stop_scope():
        ch = filled(1, on_undelivered=lambda item: made.append(filled(item)))
    assert len(ch) == 0
    assert made[0].drain() == [1]


# Every way to end, and the errors


async def test_the_own_error_of_the_block_comes_out_as_it_is() -> None:
    """With its own cause and context."""
    with pytest.raises(ValueError, match="second") as caught:
        async with stop_scope():
            try:
                raise KeyError("first")
            except KeyError as error:
                raise ValueError("second") from error
    assert isinstance(caught.value.__cause__, KeyError)
    assert isinstance(caught.value.__context__, KeyError)
    with pytest.raises(ExceptionGroup) as group:
        async with stop_scope(), Group() as g:
            g.go(raises, OSError())
    assert [type(error) for error in group.value.exceptions] == [OSError]


async def raises(error: BaseException) -> None:
    """Raise it."""
    await anyio.lowlevel.checkpoint()
    raise error


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
async def test_an_error_is_beside_what_is_left(kind: type[BaseException]) -> None:
    """In a group, so that neither hides the other."""
    error = kind("bad")
    with pytest.raises(BaseExceptionGroup) as caught:
        async with stop_scope():
            filled(1, name="ch")
            raise error
    group = caught.value
    assert group.exceptions[0] is error
    assert isinstance(group.exceptions[1], Undelivered)
    assert group.exceptions[1].left == (Left("ch", [1]),)
    assert isinstance(group, ExceptionGroup) is (kind is ValueError)
    assert group.__suppress_context__


async def test_what_is_left_joins_the_group_that_the_block_raised() -> None:
    """So the errors of tasks are not one level further down."""
    with pytest.raises(ExceptionGroup) as caught:
        async with stop_scope(), Group() as g:
            filled(1)
            g.go(raises, OSError())
            g.go(anyio.sleep_forever)
    assert [type(error) for error in caught.value.exceptions] == [OSError, Undelivered]


async def test_an_error_of_what_is_cut_is_beside_what_was_cut() -> None:
    """Also on trio, whose scope takes the cancellations out of the group by itself."""

    async def fail_late() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise OSError("late")

    for with_item in (True, False):
        with pytest.raises(ExceptionGroup) as caught:
            async with stop_scope() as stop, Group() as g:
                if with_item:
                    filled(1, name="ch")
                g.go(fail_late, name="bad")
                g.go(anyio.sleep_forever, name="good")
                await anyio.wait_all_tasks_blocked()
                stop.cut()
        bad, undelivered = caught.value.exceptions
        assert str(bad) == "late"
        assert isinstance(undelivered, Undelivered)
        assert undelivered.cut == ("good",)
        assert bool(undelivered.left) is with_item


async def test_an_error_beside_a_cancelled_trio_task_is_accounted_for(
    anyio_backend_name: str,
) -> None:
    """trio's own nurseries raise groups with cancellations in them."""
    if anyio_backend_name != "trio":
        pytest.skip("trio's own way to cancel")
    import trio

    async def fail_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("late")

    with pytest.raises(ExceptionGroup) as caught:
        async with stop_scope() as stop, trio.open_nursery() as nursery:
            filled(1)
            nursery.start_soon(fail_late)
            nursery.start_soon(trio.sleep_forever)
            await anyio.wait_all_tasks_blocked()
            stop.cut()
    assert [type(error) for error in caught.value.exceptions] == [OSError, Undelivered]
    with trio.move_on_after(0.1) as around:
        with pytest.raises(Undelivered) as alone:
            async with stop_scope(), trio.open_nursery() as nursery:
                filled(1, name="ch")
                nursery.start_soon(trio.sleep_forever)
                await trio.sleep_forever()
        assert alone.value.left == (Left("ch", [1]),)
    assert not around.cancelled_caught


@pytest.mark.parametrize("left", [True, False])
async def test_a_scope_that_is_cancelled_from_outside_reports_what_is_left(
    left: bool,
) -> None:
    """That, and not the cancellation, comes out; nobody in it was cut by a stop."""
    with anyio.CancelScope() as around:
        with pytest.raises(Undelivered) if left else nullcontext() as caught:
            async with stop_scope(), Group() as g:
                if left:
                    filled(1, name="ch")
                g.go(anyio.sleep_forever)
                await anyio.wait_all_tasks_blocked()
                around.cancel()
    assert around.cancelled_caught is not left
    if left:
        assert caught.value.left == (Left("ch", [1]),)
        assert caught.value.cut == ()
        assert caught.value.__suppress_context__


async def test_native_cancellation_reports_what_is_left(
    anyio_backend_name: str,
) -> None:
    """As one by a scope does."""
    if anyio_backend_name != "asyncio":
        pytest.skip("asyncio's own way to cancel")

    async def wait(left: bool) -> None:
        async with stop_scope():
            if left:
                filled(1, name="ch")
            await asyncio.sleep(3600)

    for left, expected in ((True, Undelivered), (False, asyncio.CancelledError)):
        task = asyncio.create_task(wait(left))
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        with pytest.raises(expected):
            await task


async def test_a_generator_that_is_closed_reports_what_is_left() -> None:
    """A scope in it ends then, as any block."""

    async def generate() -> AsyncIterator[int]:
        async with stop_scope():
            filled(1, name="ch")
            yield 1

    generator = generate()
    assert await anext(generator) == 1
    with pytest.raises(BaseExceptionGroup) as caught:
        await generator.aclose()  # type: ignore[attr-defined]
    assert [type(error) for error in caught.value.exceptions] == [
        GeneratorExit,
        Undelivered,
    ]


async def test_the_error_can_be_sent_to_another_process() -> None:
    """With all that is in it."""
    error = Undelivered((Left("ch", [1, 2]),), ("task",))
    again = pickle.loads(pickle.dumps(error))
    assert again.left == error.left
    assert again.cut == error.cut
    assert str(again) == str(error) == "channel 'ch' held 2 items; cut task"


# A pipeline that is asked to stop at any moment


ITEMS = 6


async def pipeline(callback: bool, how: str) -> None:
    """Stop a source, a stage and a sink; what went in is accounted for."""
    sent: list[int] = []
    received: list[int] = []
    reported: list[int] = []
    left: list[int] = []
    report = reported.append if callback else None

    async def source(out: Sender[int]) -> None:
        with out:
            for n in range(ITEMS):
                if (await choose(out, n)) == "stop":
                    return
                sent.append(n)

    async def stage(numbers: Receiver[int], out: Sender[int]) -> None:
        with numbers, out:
            async for n in numbers:
                try:
                    await out.send(n)
                except BaseException:
                    reported.append(n)
                    raise

    async def sink(numbers: Receiver[int]) -> None:
        with numbers:
            async for n in numbers:
                received.append(n)
                await anyio.lowlevel.checkpoint()

    try:
        async with stop_scope(grace=random.choice([0, 1])) as stop, Group() as g:
            a: Channel[int] = Channel(1, on_undelivered=report, name="a")
            b: Channel[int] = Channel(1, on_undelivered=report, name="b")
            g.go(source, a.sender())
            g.go(stage, a.receiver(), b.sender())
            g.go(sink, b.receiver())
            await anyio.lowlevel.checkpoint()
            getattr(stop, how)()
    except* Undelivered as group:
        left += [item for error in leaves(group) for item in items_of(error)]
    except* ChannelBroken:
        pass
    finally:
        assert sorted(received + left + reported) == sent, (
            f"sent {sent}, received {received}, left {left}, reported {reported}"
        )


async def choose(out: Sender[int], n: int) -> int | str:
    """Send unless asked to stop."""
    return (await select(sent=send(out, n), stop=stopping())).which


async def worker() -> None:
    """Stop one who selects between jobs and the request."""
    done: list[int] = []
    accepted: list[int] = []
    left: list[int] = []

    async def work(jobs: Channel[int]) -> None:
        while (chosen := await select(job=recv(jobs), stop=stopping())).which == "job":
            done.append(chosen.value)

    async def give(jobs: Channel[int]) -> None:
        for n in range(3):
            await jobs.send(n)
            accepted.append(n)

    try:
        async with stop_scope(grace=0) as stop, Group() as g:
            jobs: Channel[int] = Channel(1)
            g.go(give, jobs)
            async with stop_scope():
                g.go(work, jobs)
                await anyio.lowlevel.checkpoint()
                stop.request()
    except* Undelivered as group:
        left += [item for error in leaves(group) for item in items_of(error)]
    finally:
        assert done + left == accepted, f"{accepted} in, {done} done, {left} left"


def items_of(error: BaseException) -> list[Any]:
    """Return what the error says was left."""
    assert isinstance(error, Undelivered)
    return [item for left in error.left for item in left.items]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("how", ["request", "cut"])
@pytest.mark.parametrize("callback", [True, False])
def test_a_pipeline_that_is_stopped_loses_nothing(
    backend: str, how: str, callback: bool, scale: Callable[[int, int], int]
) -> None:
    """At any moment, with any cancellation besides."""
    pytest.importorskip(backend)
    explore(
        partial(pipeline, callback, how),
        runs=scale(100, 5000),
        cancel=True,
        backend=backend,
    )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_job_that_meets_the_request_is_done_or_left(
    backend: str, scale: Callable[[int, int], int]
) -> None:
    """In every order of events."""
    pytest.importorskip(backend)
    explore(worker, runs=scale(200, 5000), cancel=True, backend=backend)
