"""The command line of the HTTP server: it starts, serves, and says how that ended.

It exits with

    0   it was asked to stop, and did so with nothing cut
    1   the program failed while it served, or as it ended
    3   it could not start, or there is no such flag, or a signal came before
    4   it was asked to stop, and something was cut, or left undelivered

What the user of this can mend is said in one sentence.  Only what the program itself
has raised comes with its traceback, and without our frames.
"""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import Any

import anyio

import csp

from ._app import load
from ._flags import GRACE, MARGIN, PROGRAM, parse
from ._startup import Interrupted, Startup
from ._unable import Unable
from ._where import open_all, tls

FINISHED, FAILED, NOT_STARTED, CUT = 0, 1, 3, 4

_log = logging.getLogger("csp.net")


def main(args: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    with Startup() as startup:
        try:
            return _do(sys.argv[1:] if args is None else args, startup)
        except Unable as error:
            _say(error)
        except Interrupted:
            _say(f"{startup.heard} came before it had started")
        return NOT_STARTED


def _do(args: Sequence[str], startup: Startup) -> int:
    http = _http()
    options = parse(args, http.Limits)
    _check_backend(options.backend)
    if options.reload and options.inherit is None:
        from . import _reload

        return _reload.run(options, args, startup, _say)
    handler = load(options)
    _begin_to_log(options.log_level)
    if options.access_log:
        from ._access import with_access_log  # without HTTP it cannot be imported

        handler = with_access_log(handler)
    startup.leave_to_loop()
    return _Program(http, handler, options, startup).run()


def _http() -> Any:
    try:
        from csp.net import http
    except ModuleNotFoundError as error:  # it says what to install
        raise Unable(str(error)) from None
    return http


def _check_backend(name: str) -> None:
    if find_spec(name) is None:
        raise Unable(
            f"backend {name!r} is not installed. Write: pip install 'anycsp[{name}]'"
        )


def _begin_to_log(level: str) -> None:
    """Log to stderr, unless the program has decided otherwise."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def _say(what: object) -> None:
    print(f"{PROGRAM}: {what}", file=sys.stderr)  # noqa: T201 - to the user


class _Program:
    """The server, from its start to its end."""

    def __init__(
        self, http: Any, handler: Any, options: argparse.Namespace, startup: Startup
    ) -> None:
        self._http = http
        self._handler = handler
        self._options = options
        self._startup = startup
        self._listening = False

    def run(self) -> int:
        """Serve until asked to stop; returns the exit code."""
        options = self._options
        grace = GRACE if options.grace is None else options.grace + MARGIN
        try:
            return csp.run(self._serve, backend=options.backend, grace=grace)
        except Unable:
            raise
        except Exception as error:
            return self._judge(error)

    async def _serve(self) -> int:
        options = self._options
        self._startup.check()
        async with self._abandoned_at_stop(), AsyncExitStack() as stack:
            report = await self._http.serve(
                self._handler,
                *await open_all(options, stack, tls(options)),
                limits=options.limits,
                grace=options.grace,
                task_status=self,
            )
        _log.info("stopped: %d finished, %d cut", report.finished, report.cut)
        if report.cut:
            _say(f"cut: {', '.join(report.cut_names)}")
        return CUT if report.cut else FINISHED

    @asynccontextmanager
    async def _abandoned_at_stop(self) -> AsyncIterator[None]:
        """Make a block that is cancelled at a stop request, unless it serves by then.

        There is nothing yet that a stop could lose, and a program that hangs as it
        starts hears of none.
        """
        with anyio.CancelScope() as scope:
            tasks = [csp.go(self._abandon_at_stop, scope)]
            if self._options.lifeline is not None:
                tasks.append(csp.go(_stop_without, self._options.lifeline))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
        if scope.cancelled_caught:
            raise Unable("asked to stop before it had started")

    async def _abandon_at_stop(self, scope: anyio.CancelScope) -> None:
        await csp.stopping()
        if not self._listening:
            scope.cancel()

    def started(self, bound: tuple[str, ...] = ()) -> None:
        """Say where it listens; the server calls this, as of a task status."""
        self._listening = True
        for address in bound:
            print("listening on", address, flush=True)  # noqa: T201 - to the user

    def _judge(self, error: Exception) -> int:
        """Say what has gone wrong; returns the exit code."""
        from csp.net.http.asgi._lifespan import LifespanError

        failed = FAILED if self._listening else NOT_STARTED
        errors = _within(error)
        if not all(isinstance(one, (LifespanError, csp.Undelivered)) for one in errors):
            traceback.print_exception(error)
            return failed
        for one in errors:
            _say_last(str(one))
        return failed if any(isinstance(one, LifespanError) for one in errors) else CUT


async def _stop_without(lifeline: int) -> None:
    """Stop when the other end of a pipe is closed: there is no parent any more."""
    await anyio.wait_readable(lifeline)
    csp.request_stop()


def _within(error: BaseException) -> list[BaseException]:
    """Return the errors that a group is of, however deep; or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        return [one for inner in error.exceptions for one in _within(inner)]
    return [error]


def _say_last(text: str) -> None:
    """Say what has gone wrong in one line, which is the last.

    The reason that a framework gives may be a traceback: that comes first, as it is.
    """
    what, _, reason = text.strip().partition(": ")
    *lines, last = reason.splitlines() or [""]
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - to the user
    _say(f"{what}: {last}" if last else what)
