"""Running a program: an event loop, a root group, and `main`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from signal import SIGINT, SIGTERM, Signals
from typing import Any, TypeVar, TypeVarTuple

import anyio

from ._group import Group, call, has_only
from ._park import current
from ._signals import checked, obeying
from ._stop import StopScope, stop_scope

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# anyio's name and options for each backend, and what has to be installed for it.
_BACKENDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "asyncio": ("asyncio", {}, "asyncio"),
    "uvloop": ("asyncio", {"use_uvloop": True}, "uvloop"),
    "trio": ("trio", {}, "trio"),
}


def run(
    main: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    backend: str = "asyncio",
    backend_options: dict[str, Any] | None = None,
    stop_signals: Sequence[int] = (SIGINT, SIGTERM),
    grace: float = 25.0,
    seed: int | None = None,
) -> T:
    """Run ``main(*args)`` in a new event loop, and return its result.

    `main` runs in a group of its own, which `csp.go` uses: this returns when `main`
    and every task of that group have ended.

    It also runs in a stop scope.  The first of the stop signals asks the program to
    stop, and gives it `grace` seconds; a second one, or the end of `grace`, cancels all
    that still runs; a third ends the process with exit code 128 + signal.

        async def main() -> None:
            ch: Channel[str] = Channel()
            go(ch.send, "hello")
            print(await ch.receive())

        csp.run(main)

    Args:
        main: An async function.
        args: Its arguments.
        backend: "asyncio", "uvloop" or "trio".
        backend_options: Passed on to `anyio.run`.
        stop_signals: What asks it to stop; none are heeded outside the main thread.
        grace: Seconds from then on, after which all that still runs is cancelled.
        seed: Makes the random choices of `select` the same in every run.

    Raises:
        ModuleNotFoundError: The backend is not installed.
        Undelivered: Tasks were cut, or items left in channels made in the program that
            have no `on_undelivered`.  Uncaught, it ends the process with 1.
        BaseException: What `main` raised, as it is if nothing else went wrong; else
            an exception group, as from any `Group`.
    """
    if backend not in [*_BACKENDS]:
        raise ValueError(f"backend must be one of {[*_BACKENDS]}, not {backend!r}")
    library, options, package = _BACKENDS[backend]
    if find_spec(package) is None:
        raise ModuleNotFoundError(
            f"backend {backend!r} is not installed: pip install 'anycsp[{package}]'"
        )
    return anyio.run(
        _root,
        main,
        args,
        seed,
        stop_scope(grace),
        checked(stop_signals),
        backend=library,
        backend_options=options | (backend_options or {}),
    )


async def _root(
    main: Callable[..., Awaitable[T]],
    args: tuple[Any, ...],
    seed: int | None,
    stop: StopScope,
    stop_signals: tuple[Signals, ...],
) -> T:
    if seed is not None:
        current().random.seed(seed)
    failure: BaseException | None = None
    try:
        async with stop:
            with obeying(stop, stop_signals):
                async with Group("run"):
                    try:
                        return await call(main, args, "run")
                    except BaseException as error:
                        failure = error
                        raise
    except BaseExceptionGroup as group:
        if failure is None or not has_only(group, failure):
            raise
    raise failure  # out here, so that the group is not in its context
