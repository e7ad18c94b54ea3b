"""A limiter: so many at once, in order, and no unit is ever lost."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from importlib.util import find_spec
from typing import Any

import anyio
import pytest
from anyio import to_thread
from anyio import wait_all_tasks_blocked as parked
from anyio.lowlevel import checkpoint

from csp import (
    Channel,
    Group,
    Limiter,
    LimiterStatistics,
    Overloaded,
    after,
    run,
    select,
)

pytestmark = pytest.mark.anyio

LOOPS = [name for name in ("asyncio", "trio", "uvloop") if find_spec(name) is not None]


async def hold(limiter: Any, log: list[str], name: str, gate: Channel[None]) -> None:
    """Take what `limiter` gives, note it, and keep it until the gate lets go."""
    async with limiter:
        log.append(name)
        await gate.receive()


async def arrive(g: Group, limiter: Any, log: list[str], name: str, gate: Any) -> Any:
    """Start somebody who holds it, and see him in or in line."""
    handle = g.go(hold, limiter, log, name, gate)
    await parked()
    return handle


@pytest.mark.parametrize("n", [True, 1.0, "3", None, math.inf])
def test_n_must_be_a_whole_number(n: Any) -> None:
    """A bool is not a count, whatever Python thinks."""
    with pytest.raises(TypeError, match=f"n must be a whole number .* {n!r}"):
        Limiter(n)


@pytest.mark.parametrize("n", [0, -1])
def test_n_must_be_1_or_more(n: int) -> None:
    """With none, all would wait for ever."""
    with pytest.raises(ValueError, match=f"n must be 1 or more, not {n}"):
        Limiter(n)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"queue": -1}, ValueError, "queue must be 0 or more, not -1"),
        ({"queue": -math.inf}, TypeError, "queue must be a whole number .* not -inf"),
        ({"queue": True}, TypeError, "queue must be a whole number .* not True"),
        ({"queue": 1.5}, TypeError, "queue must be a whole number .* not 1.5"),
        ({"on_full": "drop"}, ValueError, "'wait' or 'reject', not 'drop'"),
        ({"name": b"x"}, TypeError, "name must be a string, not b'x'"),
    ],
)
def test_wrong_options_are_refused(
    options: Any, error: type[Exception], words: str
) -> None:
    """Each with a sentence that has the value in it."""
    with pytest.raises(error, match=words):
        Limiter(1, **options)


@pytest.mark.parametrize("units", [-1, 0, 4])
def test_a_weight_that_never_fits_is_refused(units: int) -> None:
    """At once, rather than by waiting for ever."""
    with pytest.raises(ValueError, match=f"1 to 3 for limiter 'db', not {units}"):
        Limiter(3, name="db").weight(units)


@pytest.mark.parametrize("units", [True, 1.0, "1", None])
def test_a_weight_must_be_a_whole_number(units: Any) -> None:
    """Like n."""
    with pytest.raises(TypeError, match=f"weight must be a whole .* {units!r}"):
        Limiter(3).weight(units)


async def test_no_more_than_n_at_once() -> None:
    """The others go in one by one, in the order in which they came."""
    limiter, gate, log = Limiter(2), Channel[None](), list[str]()
    async with Group() as g:
        for name in "abcd":
            await arrive(g, limiter, log, name, gate)
        for n in (2, 3, 4, 4):
            assert log == list("abcd")[:n]
            await gate.send(None)
            await parked()
    assert limiter.statistics().in_use == 0


async def test_everything_about_a_limiter_can_be_seen() -> None:
    """Its units, who waits, its name."""
    limiter, gate = Limiter(3, queue=2, on_full="reject", name="db"), Channel[None]()
    assert repr(limiter) == "<Limiter 'db' 0/3>"
    assert limiter.name == "db"
    async with Group() as g:
        await arrive(g, limiter.weight(2), [], "", gate)
        await arrive(g, limiter.weight(3), [], "", gate)
        await arrive(g, limiter, [], "", gate)
        with pytest.raises(Overloaded, match="limiter 'db' is full, and 2 wait"):
            await hold(limiter, [], "", gate)
        assert limiter.statistics() == LimiterStatistics(
            n=3, in_use=2, waiting=2, refused=1, high_water=2
        )
        assert repr(limiter) == "<Limiter 'db' 2/3, 2 waiting>"
        assert repr(limiter.weight(2)) == f"{limiter!r}.weight(2)"
        for _ in range(3):
            await gate.send(None)
    assert limiter.statistics() == LimiterStatistics(3, 0, 0, 1, 2)
    assert repr(Limiter(1)) == "<Limiter 0/1>"


async def test_an_error_in_the_block_gives_the_units_back() -> None:
    """And comes out as it is."""
    limiter = Limiter(2)
    with pytest.raises(ZeroDivisionError):
        async with limiter.weight(2):
            raise ZeroDivisionError
    assert limiter.statistics().in_use == 0


async def test_a_weight_is_a_value() -> None:
    """It can be kept, used again, and be in use several times."""
    limiter = Limiter(4)
    pair = limiter.weight(2)
    async with pair, pair:
        assert limiter.statistics().in_use == 4
    async with pair:
        assert limiter.statistics().in_use == 2
    assert limiter.statistics().in_use == 0


async def test_another_task_may_leave_the_block() -> None:
    """Units belong to nobody: they can be handed on with an exit stack."""
    limiter = Limiter(1)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(limiter)
        rest = stack.pop_all()
    assert limiter.statistics().in_use == 1
    async with Group() as g:
        waiting = await arrive(g, limiter, [], "", gate := Channel[None](1))
        assert not waiting.finished
        gate.send_nowait(None)
        g.go(rest.aclose)


async def test_an_async_generator_holds_its_units_until_it_is_closed() -> None:
    """Also while it is not running."""
    limiter = Limiter(1)

    async def numbers() -> AsyncGenerator[int, None]:
        async with limiter:
            for n in range(10):
                yield n

    async with aclosing(numbers()) as source:
        assert await anext(source) == 0
        assert limiter.statistics().in_use == 1
    assert limiter.statistics().in_use == 0


# The queue


async def test_a_full_queue_rejects() -> None:
    """At once, and whoever waits already is not affected."""
    limiter, gate, log = Limiter(1, queue=1, on_full="reject"), Channel[None](), []
    async with Group() as g:
        await arrive(g, limiter, log, "a", gate)
        await arrive(g, limiter, log, "b", gate)
        for _ in range(3):
            with pytest.raises(Overloaded):
                await hold(limiter, log, "c", gate)
        await gate.send(None)
        await parked()
        await arrive(g, limiter, log, "d", gate)  # there is room again
        await gate.send(None)
        await gate.send(None)
    assert log == ["a", "b", "d"]
    assert limiter.statistics().refused == 3


async def test_with_no_queue_nobody_waits() -> None:
    """One gets in or is rejected; by weight too."""
    limiter = Limiter(2, queue=0, on_full="reject")
    async with limiter:
        with pytest.raises(Overloaded):
            async with limiter.weight(2):
                pass
        async with limiter:
            with pytest.raises(Overloaded):
                async with limiter:
                    pass
    async with limiter.weight(2):
        pass
    assert limiter.statistics() == LimiterStatistics(2, 0, 0, 2, 0)


async def test_told_to_wait_it_lets_all_wait() -> None:
    """However long the queue is said to be: waiting outside is waiting too."""
    limiter, gate, log = Limiter(1, queue=1, on_full="wait"), Channel[None](), []
    async with Group() as g:
        for name in "abcd":
            await arrive(g, limiter, log, name, gate)
        assert limiter.statistics().waiting == 3
        for _ in range(4):
            await gate.send(None)
    assert log == list("abcd")


async def test_one_who_was_cancelled_leaves_room_in_the_queue() -> None:
    """For the next who comes."""
    limiter, gate, log = Limiter(1, queue=1, on_full="reject"), Channel[None](), []
    async with Group() as g:
        await arrive(g, limiter, log, "a", gate)
        waiting = await arrive(g, limiter, log, "b", gate)
        waiting.cancel()
        await parked()
        await arrive(g, limiter, log, "c", gate)
        await gate.send(None)
        await gate.send(None)
    assert log == ["a", "c"]


# Cancellation


@pytest.fixture(params=["scope", "native"])
def cancelled(
    request: pytest.FixtureRequest, backend: str
) -> Callable[[Callable[[], Awaitable[None]]], Any]:
    """Start a task in a group; returns what cancels it, in either way."""
    if request.param == "scope":
        return lambda g, fn, *args: g.go(fn, *args).cancel
    if backend == "trio":
        pytest.skip("trio has scopes alone")

    def start(g: Group, fn: Any, *args: Any) -> Callable[[], Any]:
        task = asyncio.ensure_future(fn(*args))

        async def wait() -> None:
            await asyncio.wait([task])
            assert task.cancelled()

        g.go(wait)
        return task.cancel

    return start


async def test_a_cancelled_head_lets_the_others_through(cancelled: Any) -> None:
    """Those behind a large request that is given up go in at once."""
    limiter, gate, log = Limiter(2), Channel[None](), list[str]()
    async with Group() as g:
        await arrive(g, limiter, log, "a", gate)
        cancel = cancelled(g, hold, limiter.weight(2), log, "large", gate)
        await parked()
        await arrive(g, limiter, log, "b", gate)
        assert log == ["a"]
        cancel()
        await parked()
        assert log == ["a", "b"]
        await gate.send(None)
        await gate.send(None)
    assert limiter.statistics().in_use == 0


async def test_cancelled_in_the_turn_before_its_unit_comes(cancelled: Any) -> None:
    """The unit goes to the next."""
    limiter, log, gate = Limiter(1), list[str](), Channel[None]()
    async with Group() as g:
        async with limiter:
            cancel = cancelled(g, hold, limiter, log, "a", gate)
            await parked()
            await arrive(g, limiter, log, "b", gate)
            cancel()
        await gate.send(None)
    assert log == ["b"]
    assert limiter.statistics().in_use == 0


async def test_cancelled_in_the_turn_in_which_its_unit_came(cancelled: Any) -> None:
    """It has the unit, is cancelled in the block, and the next is let in."""
    limiter, log, gate = Limiter(1), list[str](), Channel[None]()
    async with Group() as g:
        async with limiter:
            cancel = cancelled(g, hold, limiter, log, "a", gate)
            await parked()
            await arrive(g, limiter, log, "b", gate)
        cancel()
        assert limiter.statistics().in_use == 1
        await parked()
        await gate.send(None)
    assert log == ["a", "b"]
    assert limiter.statistics().in_use == 0


async def test_a_cancelled_scope_takes_nothing() -> None:
    """At the latest at the 64th time, before it is taken."""
    limiter, turns = Limiter(1), 0
    with anyio.CancelScope() as scope:
        scope.cancel()
        while True:
            async with limiter:
                turns += 1
    assert turns <= 64
    assert limiter.statistics().in_use == 0


async def test_others_get_a_turn() -> None:
    """A loop that never has to wait lets them run, at least once in 64 times."""
    limiter, turns = Limiter(1), 0

    async def count() -> None:
        nonlocal turns
        while turns < 10:
            turns += 1
            await checkpoint()

    async with Group() as g:
        g.go(count)
        for _ in range(64 * 10):
            async with limiter:
                pass
        assert turns >= 8


async def test_a_task_that_is_thrown_away_gives_its_unit_back(backend: str) -> None:
    """Though it had it and never ran again, as when a loop is closed over it."""
    if backend == "trio":
        pytest.skip("trio ends its tasks")
    limiter = Limiter(1)
    waiting = limiter.__aenter__()
    async with limiter:
        waiting.send(None)  # it sleeps
        assert limiter.statistics().waiting == 1
    assert limiter.statistics().in_use == 1
    waiting.close()
    assert limiter.statistics() == LimiterStatistics(1, 0, 0, 0, 1)


# Functions


async def test_a_function_is_limited() -> None:
    """All its calls together, and those of other functions with the same limiter."""
    limiter, running, most = Limiter(2), 0, 0

    @limiter
    async def work(n: int, *, factor: int = 2) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await checkpoint()
        running -= 1
        return n * factor

    async with Group() as g:
        results = [g.go(functools.partial(work, n, factor=3)) for n in range(5)]
    assert [await result for result in results] == [0, 3, 6, 9, 12]
    assert most == 2


def test_a_limited_function_looks_as_before() -> None:
    """It has the name, signature and docstring, and is async."""

    async def work(n: int, *, factor: float = 1.5) -> str:
        """Do it."""
        return str(n * factor)

    limited = Limiter(1)(work)
    assert (limited.__name__, limited.__doc__) == ("work", "Do it.")
    assert inspect.signature(limited) == inspect.signature(work)
    assert inspect.iscoroutinefunction(limited)


async def test_methods_partials_and_callables_are_limited() -> None:
    """Whatever returns something to await."""
    limiter = Limiter(3)

    class Thing:
        @limiter
        async def method(self, n: int) -> int:
            return n + limiter.statistics().in_use

        async def __call__(self, n: int) -> int:
            return n + limiter.statistics().in_use

    async def add(a: int, b: int) -> int:
        return a + b + limiter.statistics().in_use

    heavy = limiter.weight(3)
    assert await Thing().method(10) == 11
    assert await limiter(Thing())(10) == 11
    assert await limiter(functools.partial(add, 10))(100) == 111
    assert await limiter(lambda: add(1, 2))() == 4
    assert await heavy(add)(1, 2) == 6


@pytest.mark.parametrize("wrong", [None, 3, "f"])
def test_what_is_no_function_is_refused(wrong: Any) -> None:
    """When it is decorated."""
    with pytest.raises(TypeError, match=f"takes an async function, not {wrong!r}"):
        Limiter(1)(wrong)


def test_an_async_generator_function_is_refused() -> None:
    """It is told where to put the block."""

    async def numbers() -> AsyncGenerator[int, None]:
        yield 1

    with pytest.raises(TypeError, match="numbers.* Write async with limiter: inside"):
        Limiter(1)(numbers)  # type: ignore[arg-type]


async def test_a_function_that_is_not_async_is_refused_when_called() -> None:
    """By what it returned; and the unit comes back."""
    limiter = Limiter(1)
    with pytest.raises(TypeError, match="async function, and .*len.* returned 3"):
        await limiter(len)("abc")  # type: ignore[arg-type]
    assert limiter.statistics().in_use == 0


# Loops


@pytest.mark.parametrize("other", LOOPS)
async def test_another_loop_is_refused(other: str) -> None:
    """It is told how to come here, nothing is taken, and things go on here."""
    limiter = Limiter(1)

    async def use() -> None:
        with pytest.raises(RuntimeError, match="limiter .* belongs to another event"):
            async with limiter:
                pass

    async with limiter:
        await to_thread.run_sync(functools.partial(run, use, backend=other))
        assert limiter.statistics() == LimiterStatistics(1, 1, 0, 0, 0)


async def test_who_waits_is_not_woken_from_another_thread() -> None:
    """Units that somebody waits for have to be given back here."""
    limiter = Limiter(1)
    await limiter.__aenter__()

    def give_back() -> None:
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            limiter.__aexit__(None, None, None).send(None)  # type: ignore[attr-defined]

    async with Group() as g:
        waiting = await arrive(g, limiter, [], "", gate := Channel[None](1))
        await to_thread.run_sync(give_back)
        assert not waiting.finished
        await limiter.__aexit__(None, None, None)
        await gate.send(None)


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_limiter_outlives_its_loop(name: str) -> None:
    """One of a module serves program after program, as tests run them."""
    limiter = Limiter(1)

    @limiter
    async def work() -> None:
        await checkpoint()

    async def use() -> None:
        async with Group() as g:
            for _ in range(3):
                g.go(work)

    for _ in range(3):
        run(use, backend=name)
    assert limiter.statistics().in_use == 0


async def test_it_is_forgotten_with_its_last_reference() -> None:
    """There is no cycle in it."""
    gc.collect()
    gc.disable()
    try:
        import weakref

        limiter = Limiter(1)
        ref = weakref.ref(limiter)
        async with limiter.weight(1):
            pass
        del limiter
        assert ref() is None
    finally:
        gc.enable()


async def test_a_timeout_while_waiting_takes_nothing() -> None:
    """By a scope of anyio, and as a task in a select."""
    limiter = Limiter(1)
    async with limiter:
        with anyio.move_on_after(0.01) as scope:
            async with limiter:
                raise AssertionError
        assert scope.cancelled_caught
        async with Group() as g:
            waiting = g.go(limiter.__aenter__)
            assert (await select(after(0.01))).which == 0
            waiting.cancel()
    assert limiter.statistics() == LimiterStatistics(1, 0, 0, 0, 1)
