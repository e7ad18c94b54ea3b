"""Groups, go and handles."""

from __future__ import annotations

import functools
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from csp import Channel, Group, Handle, after, done, go, recv, run, select
from csp._group import PrivateGroup
from csp._tasks import current_group

pytestmark = pytest.mark.anyio


async def double(n: int) -> int:
    await anyio.lowlevel.checkpoint()
    return 2 * n


async def fail(error: BaseException) -> None:
    await anyio.lowlevel.checkpoint()
    raise error


async def test_a_handle_gives_the_result() -> None:
    """In the block, after it, and again."""
    async with Group() as g:
        handle = g.go(double, 4)
        assert isinstance(handle, Handle)
        assert not handle.finished
        assert await handle == 8
    assert handle.finished
    assert await handle == 8
    assert handle.name == "double"


async def test_leaving_waits_for_all() -> None:
    """Also for those that the last ones start."""
    ended = []

    async def chain(n: int) -> None:
        await anyio.lowlevel.checkpoint()
        if n:
            go(chain, n - 1)
        ended.append(n)

    async with Group() as g:
        g.go(chain, 5)
    assert sorted(ended) == [0, 1, 2, 3, 4, 5]


async def test_an_error_cancels_the_rest_and_comes_out() -> None:
    """In a group, as anyio does it; awaiting the task raises it too."""
    error = OSError("no more")
    with pytest.raises(ExceptionGroup) as caught:
        async with Group() as g:
            sleeper = g.go(anyio.sleep_forever)
            failing = g.go(fail, error)
    assert caught.value.exceptions == (error,)
    with pytest.raises(OSError, match="no more"):
        await failing
    with pytest.raises(anyio.TaskCancelled, match="sleep_forever.*was cancelled"):
        await sleeper


async def test_an_error_seen_twice_is_one_error() -> None:
    """Once by the group, and once by a task of it that awaits the handle."""
    error = OSError("no more")
    with pytest.raises(ExceptionGroup) as caught:
        async with Group() as g:
            failing = g.go(fail, error)

            async def wait() -> None:
                await failing

            g.go(wait)
    assert caught.value.exceptions == (error,)


async def test_one_task_can_be_cancelled() -> None:
    """The others go on; and before it has begun is fine."""
    async with Group() as g:
        early, late = g.go(anyio.sleep_forever), g.go(anyio.sleep_forever)
        other = g.go(double, 2)
        early.cancel()
        await anyio.wait_all_tasks_blocked()
        assert early.finished
        late.cancel()
        late.cancel()
        await done(late)
        late.cancel()
        assert await other == 4
    for handle in (early, late):
        with pytest.raises(anyio.TaskCancelled):
            await handle


async def test_a_group_can_be_cancelled() -> None:
    """All of it, block included, and that is no error."""
    async with Group() as g:
        handle = g.go(anyio.sleep_forever)
        g.cancel()
        await anyio.sleep_forever()
    assert g.cancel_scope.cancel_called
    assert handle.finished


@pytest.mark.clock
async def test_a_group_has_a_deadline() -> None:
    """Its scope is anyio's."""
    async with Group() as g:
        g.cancel_scope.deadline = anyio.current_time() + 5
        g.go(anyio.sleep_forever)
    assert g.cancel_scope.cancel_called


async def test_done_is_an_operation_that_never_raises() -> None:
    """For tasks that return, fail, or are cancelled; before and after they do."""
    with pytest.raises(ExceptionGroup):
        async with Group() as g:
            quick, stopped = g.go(double, 1), g.go(anyio.sleep_forever)
            quit_: Channel[None] = Channel()
            first = await select(recv(quit_), end=done(quick))
            assert first == ("end", quick)
            stopped.cancel()
            assert await done(stopped) is stopped
            failing = g.go(fail, OSError())
            with anyio.CancelScope(shield=True):
                assert await done(failing) is failing
    assert await select(done(quick), done(failing), priority=True) == (0, quick)
    assert quit_.statistics().receivers_waiting == 0


@pytest.mark.clock
async def test_done_with_a_timeout_leaves_no_waiter() -> None:
    """However often it is asked."""
    async with Group() as g:
        handle = g.go(anyio.sleep, 100)
        for _ in range(20):
            assert (await select(done(handle), after(1))).which == 1
        assert not handle._waiters


@pytest.mark.parametrize("wrong", [None, 5, anyio.sleep])
async def test_done_takes_a_handle(wrong: Any) -> None:
    """And says where to get one."""
    with pytest.raises(TypeError, match=r"done takes a Handle, as g.go"):
        done(wrong)


async def test_go_finds_the_group_of_the_block() -> None:
    """The body's own; for a task, the one it was started in."""
    where: dict[str, Any] = {}

    async def note(name: str) -> None:
        where[name] = go(anyio.sleep, 0)

    async with Group("outer") as outer:
        async with Group("inner") as inner:
            inner.go(note, "started in inner")
            outer.go(note, "started in outer, from inner's body")
            go(note, "go in inner's body")
            await anyio.wait_all_tasks_blocked()
        assert len(where) == 3
        go(note, "go in outer's body, after inner")
    assert len(where) == 4


async def test_go_belongs_to_the_group_that_it_says() -> None:
    """Cancelling that group ends the task, cancelling the other does not."""
    handles = []

    async def spawn() -> None:
        handles.append(go(anyio.sleep_forever))

    async with Group() as outer:
        async with Group() as inner:
            outer.go(spawn)
            await anyio.wait_all_tasks_blocked()
            inner.cancel()
        assert not handles[0].finished
        outer.cancel()
    assert handles[0].finished


async def test_go_does_not_find_a_private_group() -> None:
    """Neither in its block nor after it; what was started in it does."""
    found = []

    async def look() -> None:
        found.append(current_group.get())

    async with Group() as g:
        async with PrivateGroup() as private:
            assert current_group.get() is g
            await private.go(look)
        assert current_group.get() is g
    assert found == [private]


@pytest.mark.parametrize(
    "error",
    [KeyError("own"), ExceptionGroup("own", [ExceptionGroup("its", [OSError()])])],
)
async def test_an_error_of_the_block_leaves_a_private_group_as_it_is(
    error: Any,
) -> None:
    """Be it a group itself; only that of a task is in one."""
    with pytest.raises(type(error)) as caught:
        async with PrivateGroup():
            raise error
    assert caught.value is error
    with pytest.raises(ExceptionGroup) as group:
        async with PrivateGroup() as private:
            private.go(fail, error)
    assert [*map(repr, group.value.exceptions)] == [repr(error)]


async def test_start_waits_until_the_task_is_ready() -> None:
    """And returns what it says then."""

    async def serve(port: int, *, task_status: anyio.abc.TaskStatus[str]) -> None:
        task_status.started(f"listening on {port}")
        go(double, 1)
        await anyio.sleep_forever()

    async with Group() as g:
        assert await g.start(serve, 80) == "listening on 80"
        g.cancel()

    async with Group() as g:
        with pytest.raises(OSError, match="in use"):
            await g.start(lambda *, task_status: fail(OSError("in use")))


async def test_tasks_have_names() -> None:
    """For debuggers, and for messages."""

    async def own_name() -> str | None:
        return anyio.get_current_task().name

    async with Group("g") as g:
        assert await g.go(own_name, name="me") == "me"
        assert (await g.go(own_name) or "").endswith("own_name")
        partial = g.go(functools.partial(double, 3))
        assert "double" in partial.name
        assert repr(g) == "<Group 'g' open>"
        assert repr(partial).startswith("<Handle ")
        assert await partial == 6
    assert repr(g) == "<Group 'g' closed>"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((None,), "go takes an async function and its arguments, not None"),
        ((len, "ab"), "go takes an async function; len returned 2"),
        ((double, 1, 2), "double"),
    ],
)
async def test_what_cannot_be_started_is_refused_at_once(args: Any, words: str) -> None:
    """Where `go` is called, not in some task; and the group goes on."""
    async with Group() as g:
        with pytest.raises(TypeError, match=words):
            g.go(*args)
        assert await g.go(double, 2) == 4


async def test_a_coroutine_object_is_shown_the_right_call() -> None:
    """The commonest slip of all."""
    async with Group() as g:
        with pytest.raises(TypeError, match=r"Write go\(double, \*args\), not go\(dou"):
            g.go(double(4))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"Write start\(double, "):
            await g.start(double(4))  # type: ignore[arg-type]


async def test_without_a_group_there_is_no_go() -> None:
    """And the message shows where to get one; the function is not called."""
    with pytest.raises(RuntimeError, match="async with csp.Group.* as g: g.go"):
        go(fail, OSError())
    group = Group("late")
    with pytest.raises(
        RuntimeError, match="<Group 'late' closed> has no block running"
    ):
        group.go(fail, OSError())
    async with group:
        pass
    with pytest.raises(RuntimeError, match="has no block running"):
        group.go(fail, OSError())
    with pytest.raises(RuntimeError, match="has no block running"):
        await group.start(fail, OSError())


async def test_another_thread_is_shown_the_way() -> None:
    """Its context has the group, but it is not in the loop."""
    async with Group() as g:

        def work() -> Handle[int]:
            for start in (go, g.go):
                with pytest.raises(RuntimeError, match=r"from_thread.run_sync\(csp.go"):
                    start(double, 1)
            return anyio.from_thread.run_sync(go, double, 4)

        handle = await anyio.to_thread.run_sync(work)
        assert await handle == 8


@pytest.mark.parametrize("name", [5, b"x"])
async def test_a_group_is_named_by_a_string(name: Any) -> None:
    """Or not at all."""
    with pytest.raises(TypeError, match="name must be a string"):
        Group(name)


def test_a_group_of_another_loop_is_refused() -> None:
    """Even if its block is still open there."""
    groups: list[Group] = []

    async def inner() -> None:
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            groups[0].go(double, 1)

    async def main() -> None:
        async with Group() as g:
            groups.append(g)
            await anyio.to_thread.run_sync(run, inner)

    run(main)
