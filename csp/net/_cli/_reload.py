"""--reload: a parent that holds the sockets, and children that serve on them.

The parent binds once.  A child is the same command, which listens at the descriptors
that it inherits; so between two of them connections wait in the kernel's queue, and
none is refused.  The parent waits for three things at once: the end of its child, a
change of a file, and signals.

It hears of signals as items, instead of being stopped by them, as it has one thing to
do with each: the first asks the child to stop, the second makes that cut what it has,
and the third kills it.  The child is in a session of its own, or a Ctrl-C at a terminal
would reach it too, and then count twice.  Should the parent be killed, the child hears
of that by the end of a pipe, and stops.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT, SIGTERM

import anyio
from anyio.abc import Process

import csp

from ._flags import GRACE, MARGIN
from ._startup import Startup
from ._unable import Unable
from ._watch import Files
from ._where import open_all

_NOT_STARTED = 3
_CUTS, _KILLS = 2, 3  # the signals that do
_SLACK = 3.0  # seconds for a child to end in, after all that it was given


def run(
    options: argparse.Namespace,
    args: Sequence[str],
    startup: Startup,
    say: Callable[[object], object],
) -> int:
    """Serve, and start again at each change; returns the last child's exit code.

    Raises:
        Unable: That cannot be done here.
    """
    if os.name != "posix":
        raise Unable("--reload needs signals and descriptors as Unix has them")
    if find_spec("watchfiles") is None:
        raise Unable("--reload needs watchfiles. Write: pip install 'anycsp[reload]'")
    parent = _Parent(options, args, say)
    startup.leave_to_loop()
    return csp.run(parent.run, startup, stop_signals=())


class _Parent:
    """What watches over the children, one at a time."""

    def __init__(
        self,
        options: argparse.Namespace,
        args: Sequence[str],
        say: Callable[[object], object],
    ) -> None:
        self._options = options
        self._args = args
        self._say = say
        self._roots = _directories(options)
        grace = GRACE if options.grace is None else options.grace + MARGIN
        self._patience = grace + _SLACK
        self._heard = 0  # signals

    async def run(self, startup: Startup) -> int:
        """Run children until a signal comes; returns the last one's exit code."""
        async with csp.signals(SIGINT, SIGTERM) as self._signals, AsyncExitStack() as s:
            startup.check()
            listeners = await open_all(self._options, s)
            self._descriptors = [listener.fileno() for listener in listeners]
            self._lifeline, writer = os.pipe()
            s.callback(os.close, self._lifeline)
            s.callback(os.close, writer)
            self._changes: csp.Channel[str] = csp.Channel(
                1, overflow="drop_oldest", on_undelivered=lambda _: None, name="changes"
            )
            return await self._supervise()

    async def _supervise(self) -> int:
        enough = anyio.Event()
        async with csp.Group("reload") as g:
            g.go(self._watch, enough)
            try:
                while True:
                    self._changes.drain()  # the next child sees them all
                    code = await self._live(g)
                    if self._heard:
                        return code
            finally:
                enough.set()
        raise AssertionError("unreachable")

    async def _live(self, g: csp.Group) -> int:
        """Run a child until there should be another; returns its exit code."""
        process = await self._spawn()
        child = g.go(process.wait)
        try:
            match await self._next(child):
                case "ended", _:
                    code = await child
                    what = "could not start" if code == _NOT_STARTED else "has ended"
                    self._say(f"the program {what} ({code}); waiting for a change")
                    match await self._next(None):
                        case "told", _:
                            self._heard += 1
                    return _exit_code(code)
                case "changed", path:
                    self._say(f"{path} has changed; starting again")
                case "told", _:
                    self._heard += 1
            return _exit_code(await self._end(process, child))
        finally:
            _signal(process.kill)  # which does nothing if it has ended

    async def _next(
        self, child: csp.Handle[int] | None, late: csp.Operation[float] | None = None
    ) -> csp.Selected:
        """Wait for whatever comes next, signals first; changes unless it is to end."""
        return await csp.select(
            told=csp.recv(self._signals),
            ended=None if child is None else csp.done(child),
            changed=None if late is not None else csp.recv(self._changes),
            late=late,
            priority=True,
        )

    async def _end(self, process: Process, child: csp.Handle[int]) -> int:
        """Have a child stop, however little it wants to; returns its exit code."""
        _signal(process.terminate)
        late = csp.at(anyio.current_time() + self._patience)
        while True:
            match await self._next(child, late):
                case "ended", _:
                    return await child
                case "told", _:
                    self._heard += 1
                    if self._heard >= _CUTS:
                        kills = self._heard >= _KILLS
                        _signal(process.kill if kills else process.terminate)
                case "late", _:
                    _signal(process.kill)
                    late = csp.after(math.inf)

    async def _spawn(self) -> Process:
        python = [sys.executable, *subprocess._args_from_interpreter_flags()]  # type: ignore[attr-defined]
        passed = ",".join(map(str, self._descriptors))
        ours = ["--inherit", passed, "--lifeline", str(self._lifeline)]
        return await anyio.open_process(
            [*python, "-m", "csp.net", *ours, *self._args],
            stdin=None,
            stdout=None,
            stderr=None,
            start_new_session=True,
            pass_fds=[*self._descriptors, self._lifeline],
        )

    async def _watch(self, enough: anyio.Event) -> None:
        """Send what has changed, until it is enough."""
        from watchfiles import awatch

        options = self._options
        files = Files(self._roots, options.reload_include, options.reload_exclude)
        try:
            async for changes in awatch(
                *self._roots, watch_filter=files, stop_event=enough
            ):
                await self._changes.send(_name_of(path for _, path in changes))
        except (OSError, RuntimeError) as error:  # the system may not watch so many
            self._say(f"cannot watch for changes: {error}")


def _directories(options: argparse.Namespace) -> list[Path]:
    paths = options.reload_dir or [options.app_dir or "."]
    for path in paths:
        if not os.path.isdir(path):
            raise Unable(f"there is no directory {path!r} to watch")
    return [Path(path).resolve() for path in paths]


def _name_of(paths: Iterable[str]) -> str:
    """Return what to call some files that have changed: the first, from here."""
    return os.path.relpath(min(paths))


def _signal(send: Callable[[], object]) -> None:
    with suppress(ProcessLookupError):
        send()


def _exit_code(code: int) -> int:
    """Return what a shell would show, for a child that a signal has ended."""
    return code if code >= 0 else 128 - code
