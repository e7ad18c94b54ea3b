"""Stop scopes: who is asked to stop, when, and what is cut at the end of the grace."""

from __future__ import annotations

import asyncio
import functools
import gc
import math
import weakref
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from csp import (
    Channel,
    Group,
    Handle,
    StopScope,
    Undelivered,
    WouldBlock,
    after,
    go,
    recv,
    request_stop,
    select,
    select_nowait,
    stop_scope,
    stopping,
)
from csp._operation import wait_for_any
from csp._park import current

pytestmark = pytest.mark.anyio


def is_stopping() -> bool:
    """Whether the running task has been asked to stop."""
    try:
        select_nowait(stopping())
    except WouldBlock:
        return False
    return True


async def told(seen: list[Any], name: Any) -> None:
    """Wait to be asked, and say so."""
    await stopping()
    seen.append(name)


# Who is told


async def test_stopping_is_ready_once_asked_and_not_before() -> None:
    """Its value is the scope, each time anew."""
    async with stop_scope() as stop:
        assert not stop.requested
        assert not is_stopping()
        stop.request()
        assert stop.requested
        for _ in range(3):
            assert await stopping() is stop
        assert select_nowait(stopping()).value is stop


async def test_a_request_wakes_all_who_wait() -> None:
    """Alone, and in selects, which take nothing else then."""
    ch: Channel[int] = Channel()
    async with stop_scope() as stop, Group() as g:
        alone = g.go(functools.partial(select, stopping()))
        beside = g.go(functools.partial(select, job=recv(ch), stop=stopping()))
        twice = g.go(functools.partial(select, stopping(), stopping(), priority=True))
        await anyio.wait_all_tasks_blocked()
        assert not alone.finished
        stop.request()
        assert await alone == (0, stop)
        assert await beside == ("stop", stop)
        assert await twice == (0, stop)
    assert ch.statistics().receivers_waiting == 0


async def test_who_no_longer_waits_is_forgotten() -> None:
    """A select that chose otherwise ten thousand times leaves nothing behind."""
    ch: Channel[int] = Channel(1)
    async with stop_scope() as stop, Group() as g:

        async def work() -> None:
            for _ in range(1000):
                assert await select(recv(ch), stopping()) == (0, 5)

        worker = g.go(work)
        while not worker.finished:
            await ch.send(5)
            await anyio.lowlevel.checkpoint()
        ch.drain()
        with anyio.move_on_after(0):
            await stopping()
        assert not stop._waiters


async def test_an_item_and_a_request_of_one_turn_are_one_choice() -> None:
    """The item stays for the next receive if the request won, and the other way."""
    ch: Channel[int] = Channel()
    async with stop_scope() as stop, Group() as g:
        chosen = g.go(functools.partial(select, job=recv(ch), stop=stopping()))
        await anyio.wait_all_tasks_blocked()
        stop.request()
        with pytest.raises(WouldBlock):
            ch.send_nowait(1)
        assert (await chosen).which == "stop"


async def test_the_innermost_scope_counts() -> None:
    """The request of an outer one reaches it; its own does not reach the outer."""
    async with stop_scope() as outer:
        async with stop_scope() as inner:
            inner.request()
            assert await stopping() is inner
            assert not outer.requested
        assert not is_stopping()
        async with stop_scope() as middle, stop_scope() as inner:
            outer.request()
            assert middle.requested
            assert await stopping() is inner
        assert await stopping() is outer


async def test_a_scope_inside_one_that_was_asked_is_asked() -> None:
    """From its first moment, however deep it is."""
    async with stop_scope() as outer:
        outer.request()
        async with stop_scope(), stop_scope() as inner:
            assert inner.requested
            assert await stopping() is inner


async def test_a_sibling_is_not_asked() -> None:
    """Neither one that runs beside it, nor the next."""
    async with stop_scope() as outer, Group() as g:
        asked = Channel[bool](1)

        async def sibling() -> None:
            async with stop_scope():
                await stopping_other.receive()
                await asked.send(is_stopping())

        stopping_other: Channel[None] = Channel()
        g.go(sibling)
        async with stop_scope() as inner:
            inner.request()
            await stopping_other.send(None)
            assert await asked.receive() is False
        async with stop_scope() as following:
            assert not following.requested
        assert not outer.requested


async def test_a_task_belongs_to_the_scope_around_its_group() -> None:
    """Also if it was started from inside a scope within the group."""
    seen: list[str] = []
    async with stop_scope() as outer, Group() as g:
        async with stop_scope() as inner:
            g.go(told, seen, "by the group")
            go(told, seen, "by go")
            inner.request()
            assert is_stopping()
            await anyio.wait_all_tasks_blocked()
            assert seen == []
        outer.request()
        await anyio.wait_all_tasks_blocked()
        assert sorted(seen) == ["by go", "by the group"]


async def test_a_task_that_start_waits_for_belongs_to_the_scope_around_its_group() -> (
    None
):
    """As one that `go` started."""

    async def serve(*, task_status: Any) -> None:
        task_status.started()
        await told(seen, "served")

    seen: list[str] = []
    async with stop_scope() as outer, Group() as g:
        async with stop_scope() as inner:
            await g.start(serve)
            inner.request()
            await anyio.wait_all_tasks_blocked()
            assert seen == []
        outer.request()


async def test_a_task_of_a_foreign_group_belongs_to_the_scope_it_was_started_in() -> (
    None
):
    """It has nothing else to go by."""
    seen: list[str] = []
    async with stop_scope() as outer, anyio.create_task_group() as tasks:
        tasks.start_soon(told, seen, "outer")
        async with stop_scope() as inner:
            tasks.start_soon(told, seen, "inner")
            await anyio.wait_all_tasks_blocked()
            inner.request()
            await anyio.wait_all_tasks_blocked()
            assert seen == ["inner"]
        outer.request()
    assert seen == ["inner", "outer"]


async def test_a_task_that_outlives_its_scope_is_then_of_the_one_around_it() -> None:
    """Whether it waited before, begins to wait, or has a scope of its own."""
    seen: list[str] = []
    go_on = anyio.Event()

    async def late() -> None:
        await go_on.wait()
        await told(seen, "late")

    async def deep() -> None:
        async with stop_scope():
            await told(seen, "deep")

    async with stop_scope() as outer, anyio.create_task_group() as tasks:
        async with stop_scope(), stop_scope():
            for fn in (late, deep, functools.partial(told, seen, "early")):
                tasks.start_soon(fn)
            await anyio.wait_all_tasks_blocked()
        go_on.set()
        await anyio.wait_all_tasks_blocked()
        assert seen == []
        outer.request()
    assert sorted(seen) == ["deep", "early", "late"]
    assert not outer._inner


async def test_a_task_that_outlives_every_scope_is_outside_of_any() -> None:
    """It waits for nothing, and makes its channels for nobody."""
    async with anyio.create_task_group() as tasks:
        done = anyio.Event()

        async def linger() -> None:
            with pytest.raises(RuntimeError, match="no stop scope"):
                await done.wait()
                request_stop()
            ch: Channel[int] = Channel(1)
            ch.send_nowait(1)
            with pytest.warns(ResourceWarning, match="forgotten with 1 items"):
                del ch
                gc.collect()
            tasks.cancel_scope.cancel()

        async with stop_scope():
            tasks.start_soon(linger)
            tasks.start_soon(told, [], "never")
            await anyio.wait_all_tasks_blocked()
        done.set()


async def test_outside_of_a_scope_stopping_is_never_ready() -> None:
    """And a request has nowhere to go: the error says what to write."""
    assert not is_stopping()
    assert await select(stopping(), late=after(0.001)) == (
        "late",
        pytest.approx(anyio.current_time(), abs=1),
    )
    with pytest.raises(RuntimeError, match=r"async with csp.stop_scope\(\): .*csp.run"):
        request_stop()


async def test_request_stop_asks_the_scope_of_the_task() -> None:
    """From wherever in it."""
    async with stop_scope() as outer, Group() as g:

        async def quit_() -> None:
            request_stop()

        async with stop_scope() as inner:
            request_stop()
            assert inner.requested
            assert not outer.requested
            g.go(quit_)
            await anyio.wait_all_tasks_blocked()
            assert outer.requested


async def test_a_scope_says_how_it_is() -> None:
    """In its repr; the operation has one too."""
    async with stop_scope() as stop:
        assert repr(stop) == "<StopScope running>"
        stop.request()
        assert repr(stop) == "<StopScope stopping>"
    assert repr(stop) == "<StopScope ended>"
    assert repr(stopping()) == "stopping()"


# Where it can be asked


@pytest.mark.parametrize("verb", ["request", "cut"])
async def test_another_thread_cannot_ask(verb: str) -> None:
    """The error says how it can; and the request can still be made."""
    async with stop_scope() as stop:
        with pytest.raises(RuntimeError, match=r"run_sync\(stop.request\)"):
            await anyio.to_thread.run_sync(getattr(stop, verb))
        assert not stop.requested
        with pytest.raises(RuntimeError, match=r"run_sync\(stop.request\)"):
            await anyio.to_thread.run_sync(request_stop)
        assert not is_stopping()
        in_loop = functools.partial(anyio.from_thread.run_sync, request_stop)
        await anyio.to_thread.run_sync(in_loop)
        assert is_stopping()


LOOPS = [name for name in ("asyncio", "trio") if find_spec(name)]


@pytest.mark.parametrize("backend_of_thread", LOOPS)
@pytest.mark.parametrize("backend", LOOPS)
def test_a_loop_in_a_thread_is_asked_with_the_task_that_waits_for_it(
    backend: str, backend_of_thread: str
) -> None:
    """With a scope of its own or without.  In real time, as threads take some."""

    async def main() -> None:
        running, in_main = anyio.Event(), current().poster()
        seen: list[str] = []

        async def scoped() -> bool:
            async with stop_scope(grace=20) as inner, stop_scope() as innermost:
                assert await stopping() is innermost
                now = anyio.current_time()
                assert inner.deadline == innermost.deadline
                return now < inner.deadline <= now + 10

        async def wait() -> bool:
            async with Group() as g:
                g.go(told, seen, "task")
                beside = g.go(scoped)
                quick = g.go(select, stopping(), after(0))
                cancelled = g.go(anyio.sleep_forever)
                assert (await quick).which == 1
                cancelled.cancel()
                await anyio.wait_all_tasks_blocked()
                in_main(running.set)
                assert await stopping() is stop
                with pytest.raises(RuntimeError, match=r"run_sync\(stop.request\)"):
                    request_stop()
            return await beside

        in_thread = functools.partial(anyio.run, wait, backend=backend_of_thread)
        async with stop_scope(grace=10) as stop, Group() as g:
            thread = g.go(anyio.to_thread.run_sync, in_thread)
            await running.wait()
            stop.request()
        assert await thread
        assert seen == ["task"]
        assert not stop._inner
        assert not stop._waiters

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", LOOPS)
def test_a_loop_in_a_thread_misses_no_request(
    backend: str, scale: Callable[[int, int], int]
) -> None:
    """Though it may come just as the other one begins to wait."""

    async def wait() -> None:
        await stopping()

    async def main() -> None:
        in_thread = functools.partial(anyio.run, wait)
        for n in range(scale(30, 3000)):
            async with stop_scope() as stop, Group() as g:
                g.go(anyio.to_thread.run_sync, in_thread)
                await anyio.sleep(n % 10 / 5000)
                stop.request()

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", LOOPS)
def test_a_request_between_a_look_and_the_wait_in_another_loop_is_seen(
    backend: str,
) -> None:
    """Within a loop nothing can come between these."""

    async def main() -> None:
        async with stop_scope() as stop:

            async def wait() -> None:
                with pytest.raises(WouldBlock):
                    select_nowait(stopping())
                anyio.from_thread.run_sync(stop.request)
                await wait_for_any((stopping(),), current())

            await anyio.to_thread.run_sync(anyio.run, wait)
            assert not stop._waiters

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend_of_thread", LOOPS)
@pytest.mark.parametrize("backend", LOOPS)
def test_a_scope_in_another_loop_is_cut_with_the_one_around_it(
    backend: str, backend_of_thread: str
) -> None:
    """Also if it is entered when that one has been asked already."""

    async def main() -> None:
        running, in_main = anyio.Event(), current().poster()
        seen: list[Undelivered] = []

        async def wait() -> None:
            try:
                async with stop_scope(), stop_scope():
                    in_main(running.set)
                    await anyio.sleep_forever()
            except Undelivered as error:
                seen.append(error)

        in_thread = functools.partial(anyio.run, wait, backend=backend_of_thread)
        with suppress(Undelivered):
            async with stop_scope() as stop, stop_scope(), Group() as g:
                g.go(anyio.to_thread.run_sync, in_thread)
                await running.wait()
                stop.request()
                running = anyio.Event()
                g.go(anyio.to_thread.run_sync, in_thread)
                await running.wait()
                stop.cut()
        assert [error.cut for error in seen] == [("the block itself",)] * 2

    anyio.run(main, backend=backend)


async def test_a_scope_has_one_block() -> None:
    """It cannot be asked before, nor entered twice; asked after, it does nothing."""
    stop = stop_scope()
    assert repr(stop) == "<StopScope new>"
    assert stop.deadline == math.inf
    for use in (stop.request, stop.cut):
        with pytest.raises(RuntimeError, match=r"Write: async with csp.stop_scope\(\)"):
            use()
    async with stop:
        with pytest.raises(RuntimeError, match="make a new one"):
            await stop.__aenter__()
    stop.request()
    stop.cut()
    await anyio.to_thread.run_sync(stop.request)
    assert not stop.requested
    with pytest.raises(RuntimeError, match="make a new one"):
        async with stop:
            pass


@pytest.mark.parametrize("wrong", ["1", None, True, 1j, math.nan, -1, -math.inf])
async def test_grace_is_a_number_of_seconds(wrong: Any) -> None:
    """Anything else is an error with the name and the value."""
    with pytest.raises((TypeError, ValueError), match=f"grace must be .*{wrong!r}"):
        stop_scope(wrong)


# Grace, and the cut


async def ends_at(seconds: float, scope: StopScope) -> Undelivered:
    """Wait in the scope for ever, and say how it ended and that it was on time."""
    start = anyio.current_time()
    with pytest.raises(Undelivered) as caught:
        async with scope as stop:
            stop.request()
            await anyio.sleep_forever()
    assert anyio.current_time() - start == pytest.approx(seconds)
    return caught.value


@pytest.mark.clock
@pytest.mark.parametrize("grace", [0, 0.5, 5, 3600.0])
async def test_at_the_end_of_grace_all_is_cancelled(grace: float) -> None:
    """Then, and not a moment sooner or later."""
    error = await ends_at(grace, stop_scope(grace))
    assert error.cut == ("the block itself",)
    assert error.left == ()
    assert str(error) == "cut the block itself"


@pytest.mark.clock
async def test_grace_is_25_seconds_by_default() -> None:
    """As `csp.run` has it."""
    await ends_at(25, stop_scope())


@pytest.mark.clock
async def test_the_deadline_is_known_once_there_is_one() -> None:
    """On the loop's clock; a second request does not move it."""
    start = anyio.current_time()
    async with stop_scope(10) as stop:
        assert stop.deadline == math.inf
        stop.request()
        assert stop.deadline == pytest.approx(start + 10)
        await anyio.sleep(3)
        stop.request()
        assert stop.deadline == pytest.approx(start + 10)
    assert stop.deadline == pytest.approx(start + 10)


@pytest.mark.clock
async def test_infinite_grace_never_ends() -> None:
    """All there is time for is done."""
    async with stop_scope(math.inf) as stop:
        stop.request()
        assert stop.deadline == math.inf
        await after(1e6)


@pytest.mark.clock
async def test_who_ends_in_time_is_not_cut() -> None:
    """The scope then ends when its block does."""
    start = anyio.current_time()
    async with stop_scope(5) as stop, Group() as g:
        g.go(anyio.sleep, 4.9)
        stop.request()
    assert anyio.current_time() == pytest.approx(start + 4.9)


@pytest.mark.clock
async def test_shielded_code_is_waited_for() -> None:
    """As with any cancellation; then the cut goes on."""
    start = anyio.current_time()

    async def tidy_up() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(7)
            done.append(anyio.current_time() - start)

    done: list[float] = []
    with pytest.raises(Undelivered) as caught:
        async with stop_scope(5) as stop, Group() as g:
            g.go(tidy_up, name="tidy")
            stop.request()
    assert done == [pytest.approx(12)]
    assert caught.value.cut == ("tidy",)


@pytest.mark.clock
@pytest.mark.parametrize(("inner", "outer"), [(3, 5), (5, 3), (4, 4)])
async def test_the_shorter_grace_counts(inner: float, outer: float) -> None:
    """Of scopes within each other; both know."""
    start = anyio.current_time()
    seen = []
    with pytest.raises(Undelivered) as caught:
        async with stop_scope(outer) as around:
            try:
                async with stop_scope(inner) as within, Group() as g:
                    g.go(anyio.sleep_forever, name="task")
                    await anyio.sleep(1)
                    around.request()
                    assert within.deadline == pytest.approx(
                        start + 1 + min(inner, outer)
                    )
                    assert around.deadline == pytest.approx(start + 1 + outer)
            finally:
                seen.append(anyio.current_time() - start)
    assert seen == [pytest.approx(1 + min(inner, outer))]
    assert caught.value.cut == ("task",)


@pytest.mark.clock
async def test_the_outer_scope_goes_on_where_only_the_inner_was_cut() -> None:
    """Until its own grace ends."""
    start = anyio.current_time()
    async with stop_scope(10) as outer:
        with pytest.raises(Undelivered):
            async with stop_scope(3):
                outer.request()
                await anyio.sleep_forever()
        assert anyio.current_time() == pytest.approx(start + 3)
        await anyio.sleep(6)


@pytest.mark.clock
async def test_an_inner_scope_that_was_asked_first_keeps_its_deadline() -> None:
    """Unless the outer one's is sooner."""
    start = anyio.current_time()
    with pytest.raises(Undelivered):
        async with stop_scope(1) as outer, stop_scope(100) as inner:
            inner.request()
            await anyio.sleep(2)
            assert inner.deadline == pytest.approx(start + 100)
            outer.request()
            assert inner.deadline == pytest.approx(start + 3)
            await anyio.sleep_forever()
    assert anyio.current_time() == pytest.approx(start + 3)


@pytest.mark.clock
@pytest.mark.parametrize("requested", [True, False])
async def test_a_cut_is_at_once(requested: bool) -> None:
    """With or without a request before it, and in the scopes within."""
    start = anyio.current_time()
    with pytest.raises(Undelivered) as caught:
        async with stop_scope() as stop, stop_scope() as inner, Group() as g:
            g.go(anyio.sleep_forever, name="task")
            await anyio.sleep(1)
            if requested:
                stop.request()
            stop.cut()
            assert inner.requested
            await anyio.sleep_forever()
    assert anyio.current_time() == pytest.approx(start + 1)
    assert stop.requested
    assert stop.deadline == pytest.approx(start + 1)
    assert caught.value.cut == ("task",)


async def test_grace_0_is_a_request_and_a_cut_in_one() -> None:
    """Who is told still gets to its next wait."""
    seen: list[str] = []

    async def worker() -> None:
        await told(seen, "told")
        await anyio.sleep_forever()

    with pytest.raises(Undelivered) as caught:
        async with stop_scope(0) as stop, Group() as g:
            g.go(worker, name="worker")
            await anyio.wait_all_tasks_blocked()
            stop.request()
    assert seen == ["told"]
    assert caught.value.cut == ("worker",)


async def test_a_cut_that_comes_too_late_cuts_nothing() -> None:
    """As long as nothing waits after it."""
    async with stop_scope() as stop:
        stop.cut()


async def test_who_is_cut_is_named() -> None:
    """Those who end by themselves, or cancelled by others, are not."""

    async def ends() -> None:
        with anyio.move_on_after(math.inf):
            await anyio.sleep_forever()

    with pytest.raises(Undelivered) as caught:
        async with stop_scope() as stop, Group() as g:
            cancelled = g.go(anyio.sleep_forever, name="cancelled before")
            g.go(anyio.sleep, 0, name="returned before")
            for name in ["a", "b", "b", "b"]:
                g.go(ends, name=name)
            await anyio.wait_all_tasks_blocked()
            cancelled.cancel()
            await anyio.wait_all_tasks_blocked()
            stop.cut()
    assert sorted(caught.value.cut) == ["a", "b", "b", "b"]
    assert str(caught.value) in ("cut a, b (3 times)", "cut b (3 times), a")


async def test_tasks_of_a_foreign_group_are_the_block_itself() -> None:
    """They have no handles that know their names."""
    with pytest.raises(Undelivered) as caught:
        async with stop_scope() as stop, anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            stop.cut()
    assert caught.value.cut == ("the block itself",)


async def test_a_long_list_is_cut_short_in_the_message() -> None:
    """The attributes have all of it."""
    with pytest.raises(Undelivered) as caught:
        async with stop_scope() as stop, Group() as g:
            for n in range(1000):
                ch: Channel[int] = Channel(1, name=f"ch{n}")
                ch.send_nowait(n)
                g.go(anyio.sleep_forever, name=f"task{n}")
            stop.cut()
    error = caught.value
    assert len(error.cut) == len(error.left) == 1000
    assert str(error).count("and 990 more") == 2
    assert len(str(error)) < 1000


# What is left behind


async def test_nothing_is_left_behind() -> None:
    """A scope is forgotten with its block, and forgets what was in it."""
    async with stop_scope() as outer:
        # With a deadline, asyncio would keep the timer's context until it is due.
        async with stop_scope(math.inf) as stop, Group() as g:
            handle: Handle[Any] = g.go(functools.partial(select, stopping()))
            await anyio.wait_all_tasks_blocked()
            stop.request()
        refs = [weakref.ref(stop), weakref.ref(handle)]
        del stop, handle, g
        gc.collect()
        assert [ref() for ref in refs] == [None, None]
        assert not outer._inner
        assert not outer._waiters


async def test_a_loop_that_ended_is_not_kept() -> None:
    """Nor a scope in it that was never left."""

    async def inner() -> weakref.ref[StopScope]:
        scope = stop_scope()
        async with scope:
            pass
        return weakref.ref(scope)

    ref = await anyio.to_thread.run_sync(anyio.run, inner)
    gc.collect()
    assert ref() is None


async def test_native_cancellation_goes_through(anyio_backend_name: str) -> None:
    """A scope with nothing left does not stand in its way."""
    if anyio_backend_name != "asyncio":
        pytest.skip("asyncio's own way to cancel")

    async def wait() -> None:
        async with stop_scope() as stop:
            stop.request()
            await asyncio.sleep(math.inf)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await wait()
    task = asyncio.create_task(wait())
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
