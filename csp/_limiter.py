"""A limiter: so many units, and a line of those who wait for theirs.

Invariant, true whenever none of the methods here is running: who stands at the head of
the line wants more units than are free.  So a caller for whom there is room may go in
exactly if nobody waits, and there is room for nobody else only because of the head.

"Stands in line" means, as in a channel: can still be claimed.  One who was cancelled
leaves the line when its task runs, and lets in those behind it.

A unit is given at the moment when its waiter is claimed, not when the task runs: no
newcomer can take it, and one who is cancelled after that has it, and gives it back on
leaving its block.
"""

from __future__ import annotations

import functools
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isasyncgenfunction
from types import TracebackType
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar

from ._check import COUNT_OR_INF, check_count, check_name
from ._errors import Overloaded
from ._park import Loop, Waiter, current, uninterrupted
from ._state import UNBOUND

P = ParamSpec("P")
T = TypeVar("T")

_REMEDY = "anyio.from_thread.run(fn, *args), where fn uses the limiter"


class LimiterStatistics(NamedTuple):
    """What a limiter has given out, and who waits for more."""

    n: int
    """Units that there are."""
    in_use: int
    """Units given out."""
    waiting: int
    """Callers who wait."""
    refused: int
    """Callers who got `Overloaded` so far."""
    high_water: int
    """The most callers that have waited at once."""


class Limited:
    """What units can be taken from: as a block, or around a function."""

    __slots__ = ()

    def __aenter__(self) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    def __call__(
        self, fn: Callable[P, Awaitable[T]]
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        """Limit an async function: each call of it runs in this block.

        Raises:
            TypeError: `fn` is not an async function.
        """
        _check_function(fn)

        @functools.wraps(fn)
        async def limited(*args: P.args, **kwargs: P.kwargs) -> T:
            async with self:
                return await _awaitable(fn(*args, **kwargs), fn)

        return limited


class Limiter(Limited):
    """At most `n` of something at once; who comes later waits, in order.

        limiter = Limiter(2)

        @limiter
        async def fetch(page: int) -> None:
            print("fetching", page)

        async def main() -> None:
            async with limiter.weight(2):
                print("alone")
            for page in range(3):
                go(fetch, page)

        run(main)

    Each ``async with limiter`` takes one of `n` units, and ``limiter.weight(k)`` takes
    k.  They are given in the order of asking: one who wants many is not overtaken by
    those who want few.  Who raises from the wait, cancellation included, has no units,
    and nobody behind it waits for its sake.  A checkpoint when it has to wait, and at
    least once in 64 operations.

    A task that has units and asks for more waits for others to give theirs back, so if
    all do the same, they wait for ever: take what is needed at once, by weight.  Any
    task may leave the block, not only the one that entered it; an async generator holds
    its units until it is closed.  A limiter serves one event loop until that has ended.

    Args:
        n: How many units there are.
        queue: How many callers may wait before it is full.
        on_full: What then happens to one more: it waits too, so `queue` bounds nothing,
            or it gets `Overloaded`.  A queue of 0 and "reject": nobody ever waits.
        name: For messages.
    """

    __slots__ = (
        "__weakref__",
        "_high_water",
        "_in_use",
        "_line",
        "_loop",
        "_n",
        "_refused",
        "_room",
        "name",
    )

    name: str | None
    """What messages call the limiter."""

    _line: OrderedDict[Waiter, int]  # who waits, and for how many units
    _loop: Loop
    _room: int | float  # how many may wait

    def __init__(
        self,
        n: int,
        *,
        queue: int | float = math.inf,
        on_full: Literal["wait", "reject"] = "wait",
        name: str | None = None,
    ) -> None:
        _check(n, queue, on_full, name)
        self.name = name
        self._n = n
        self._room = queue if on_full == "reject" else math.inf
        self._in_use = self._refused = self._high_water = 0
        self._line = OrderedDict()
        self._loop = UNBOUND

    def weight(self, units: int) -> Limited:
        """Return the block, or decorator, that takes so many units at once.

            limiter = Limiter(3)

            async def main() -> None:
                async with limiter.weight(3):
                    print(limiter.statistics().in_use)

            run(main)

        Raises:
            ValueError: There are not so many, or it is less than 1.
        """
        if isinstance(units, bool) or not isinstance(units, int):
            raise TypeError(f"weight must be a whole number of units, not {units!r}")
        if not 1 <= units <= self._n:
            raise ValueError(f"weight must be 1 to {self._n} for {self}, not {units}")
        return _Weight(self, units)

    def statistics(self) -> LimiterStatistics:
        """Return the limiter's figures, as a frozen record."""
        return LimiterStatistics(
            n=self._n,
            in_use=self._in_use,
            waiting=len(self._line),
            refused=self._refused,
            high_water=self._high_water,
        )

    def __aenter__(self) -> Coroutine[Any, Any, None]:
        return self._take(1)

    @uninterrupted
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._give_back(1)

    @uninterrupted
    async def _take(self, units: int) -> None:
        """Take so many units, waiting in line while there are not enough."""
        loop = self._loop
        if loop.budget > 0 and not self._line and self._in_use + units <= self._n:
            loop.budget -= 1
            self._in_use += units
            return
        loop = current()
        if loop.budget <= 0:
            await loop.checkpoint()
        loop.budget -= 1
        self._bind(loop)
        if not self._line and self._in_use + units <= self._n:
            self._in_use += units
            return
        if len(self._line) >= self._room:
            self._refused += 1
            raise Overloaded(f"{self} is full, and {len(self._line)} wait already")
        waiter = loop.waiter_class(loop)
        self._line[waiter] = units
        self._high_water = max(self._high_water, len(self._line))
        try:
            await waiter.sleep()
        except BaseException as error:
            try:
                waiter.rescue(error)
            except BaseException:
                self._dismiss(waiter, units)
                raise

    def _dismiss(self, waiter: Waiter, units: int) -> None:
        """Forget one who waits no more, and let in whom it kept out."""
        self._line.pop(waiter, None)
        if waiter.op is not None:  # its loop was closed before it ran
            self._in_use -= units
        self._admit()

    @uninterrupted
    def _give_back(self, units: int) -> None:
        if self._line:
            self._loop.check(self, _REMEDY)
        self._in_use -= units
        if self._line:
            self._admit()

    def _admit(self) -> None:
        """Give those at the head of the line their units, while there are enough."""
        line = self._line
        while line:
            waiter = next(iter(line))
            units = line[waiter]
            if self._in_use + units > self._n:
                return
            del line[waiter]
            if waiter.match(self, None):
                self._in_use += units

    def _bind(self, loop: Loop) -> None:
        """Make sure that it is used on one loop, until that has ended."""
        if self._loop is not loop:
            if self._loop is not UNBOUND and not self._loop.is_over():
                self._loop.refuse(self, _REMEDY)
            self._loop = loop

    def __str__(self) -> str:
        name = repr(self.name) if self.name else f"at {id(self):#x}"
        return f"limiter {name}"

    def __repr__(self) -> str:
        waiting = f", {len(self._line)} waiting" if self._line else ""
        name = f"{self.name!r} " if self.name else ""
        return f"<Limiter {name}{self._in_use}/{self._n}{waiting}>"


class _Weight(Limited):
    """Several units of a limiter at once.  It has no state, so it can be used again."""

    __slots__ = ("_limiter", "_units")

    def __init__(self, limiter: Limiter, units: int) -> None:
        self._limiter = limiter
        self._units = units

    def __aenter__(self) -> Coroutine[Any, Any, None]:
        return self._limiter._take(self._units)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._limiter._give_back(self._units)

    def __repr__(self) -> str:
        return f"{self._limiter!r}.weight({self._units})"


def _check(n: object, queue: object, on_full: object, name: object) -> None:
    """Raise unless these can be the arguments of a limiter."""
    check_count("n", n, 1, kind="a whole number of units")
    check_count("queue", queue, 0, kind=COUNT_OR_INF, bounded=False)
    if on_full not in ("wait", "reject"):
        raise ValueError(f"on_full must be 'wait' or 'reject', not {on_full!r}")
    if name is not None:
        check_name(name)


def _awaitable(result: Awaitable[T], fn: object) -> Awaitable[T]:
    """Return what a limited function returned, if that can be awaited."""
    if not hasattr(result, "__await__"):
        text = f"a limiter takes an async function, and {fn!r} returned {result!r}"
        raise TypeError(text)
    return result


def _check_function(fn: object) -> None:
    """Raise unless this may be an async function."""
    if isasyncgenfunction(fn):
        raise TypeError(
            f"a limiter takes an async function, and {fn!r} is an async generator. "
            "Write async with limiter: inside it, around what is to be limited"
        )
    if not callable(fn):
        raise TypeError(f"a limiter takes an async function, not {fn!r}")
