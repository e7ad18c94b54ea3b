"""The command line of the HTTP server: it starts, serves, and says how that ended.

It exits with

    0   it was asked to stop, and did so with nothing cut
    1   the program failed while it served
    2   there is no such flag, or no such value of it
    3   it could not start
    4   it was asked to stop, and something was cut, or left undelivered

What the user of this can mend is said in one sentence.  Only what the program itself
has raised comes with its traceback, and without our frames.
"""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any

import csp
from csp.net._listener import Listener, listen

from ._app import load
from ._flags import GRACE, MARGIN, PROGRAM, addresses, parse, tls
from ._unable import Unable

FINISHED, FAILED, NOT_STARTED, CUT = 0, 1, 3, 4

_log = logging.getLogger("csp.net")


def main(args: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    try:
        http = _http()
        options = parse(args, http.Limits)
        _check_backend(options.backend)
        program = _Program(http, load(options), options)
        _begin_to_log(options.log_level)
        return program.run()
    except Unable as error:
        _say(error)
        return NOT_STARTED


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

    def __init__(self, http: Any, handler: Any, options: argparse.Namespace) -> None:
        self._http = http
        self._handler = handler
        self._options = options
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
        options, handler = self._options, self._handler
        async with AsyncExitStack() as stack:
            if hasattr(handler, "__aenter__"):
                await stack.enter_async_context(handler)
                handler = handler.__call__  # which nobody enters again
            report = await self._http.serve(
                handler,
                *await self._listen(stack),
                limits=options.limits,
                grace=options.grace,
                task_status=self,
            )
        _log.info("stopped: %d finished, %d cut", report.finished, report.cut)
        if report.cut:
            _say(f"cut: {', '.join(report.cut_names)}")
        return CUT if report.cut else FINISHED

    async def _listen(self, stack: AsyncExitStack) -> list[Listener]:
        options = self._options
        encryption = tls(options)
        try:
            return [
                await stack.enter_async_context(
                    await listen(where, tls=encryption, backlog=options.backlog)
                )
                for where in addresses(options)
            ]
        except ValueError as error:
            raise Unable(str(error)) from None
        except OSError as error:
            raise Unable(error.strerror or str(error)) from None

    def started(self, bound: tuple[str, ...] = ()) -> None:
        """Say where it listens; the server calls this, as of a task status."""
        self._listening = True
        for address in bound:
            print("listening on", address, flush=True)  # noqa: T201 - to the user

    def _judge(self, error: Exception) -> int:
        """Say what has gone wrong; returns the exit code."""
        if _is_undelivered(error):
            _say(error)
            return CUT
        traceback.print_exception(error)
        return FAILED if self._listening else NOT_STARTED


def _is_undelivered(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_undelivered, error.exceptions))
    return isinstance(error, csp.Undelivered)
