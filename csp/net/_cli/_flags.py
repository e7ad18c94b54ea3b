"""The flags: uvicorn's, where it has such a thing, and our own.

What is not on the command line may be in the environment, and else has its default.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import attrs

from ._environ import PREFIX, from_environ
from ._unable import Unable

PROGRAM = "python -m csp.net"
GRACE = 25.0  # as of csp.run
MARGIN = 2.0  # seconds to report in, after the server's own grace

_BACKENDS = ("asyncio", "uvloop", "trio")
_LEVELS = ("critical", "error", "warning", "info", "debug")
# What uvicorn calls some of our limits.
_ALSO = {"idle_timeout": ("--timeout-keep-alive",)}


# What of the environment does not count beside what stands on the command line.
_ELSEWHERE = ("bind", "fd", "uds")
_REPLACED = {
    **dict.fromkeys(["addresses", *_ELSEWHERE], (*_ELSEWHERE, "host", "port")),
    **dict.fromkeys(["host", "port"], _ELSEWHERE),
    "limit_concurrency": ("requests", "queue"),
}


class _Parser(argparse.ArgumentParser):
    """One that says in one line what is wrong, as for all else that can be."""

    def error(self, message: str) -> NoReturn:
        raise Unable(f"{message}. See --help")


def parse(
    args: Sequence[str], limits: type[Any], environ: Mapping[str, str] = os.environ
) -> argparse.Namespace:
    """Return what the command line says, with `limits` made of their flags.

    Raises:
        Unable: It cannot be understood, or they cannot be made.
    """
    parser = _parser(limits)
    flags = [action for action in parser._actions if action.option_strings]
    values = {action.dest: action.default for action in flags}
    for action in flags:
        action.default = argparse.SUPPRESS  # so that what is given can be told
    given = vars(parser.parse_intermixed_args(args))
    values |= _beside(given, from_environ(flags, environ))
    options = argparse.Namespace(**values | given)
    options.limits = _make_limits(options, limits)
    return options


def _beside(given: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return what counts of the environment, beside what the command line gives."""
    replaced = {
        other
        for name, value in given.items()
        if value != []
        for other in _REPLACED.get(name, ())
    }
    return {name: value for name, value in found.items() if name not in replaced}


def _parser(limits: type[Any]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Serve an HTTP handler, or an ASGI app.",
        epilog=f"Each flag can be given by a variable too: {PREFIX}PORT=9000 is --port "
        f"9000, and {PREFIX}RELOAD=true is --reload. The command line wins. Exit "
        "codes: 0 stopped with nothing cut; 1 failed; 3 could not start, of which a "
        "flag that does not exist is one case; 4 stopped, but something was cut or "
        "left undelivered.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("app", metavar="MODULE:APP", help="where the handler or app is")
    add(
        "addresses",
        metavar="ADDRESS",
        nargs="*",
        help="127.0.0.1:8080, [::1]:8080, :8080, unix:PATH, fd:N or systemd:NAME",
    )
    _add_addresses(parser.add_argument_group("where to listen"))
    _add_program(parser.add_argument_group("the program"))
    _add_reload(parser.add_argument_group("while it is being written"))
    _add_tls(parser.add_argument_group("encryption"))
    _add_limits(
        parser.add_argument_group(
            "limits", "In seconds and bytes; inf is none. See csp.net.http.Limits."
        ),
        limits,
    )
    return parser


def _add_addresses(group: Any) -> None:
    group.add_argument(
        "--bind", metavar="ADDRESS", action="append", default=[], help="one more"
    )
    group.add_argument("--host", help="a name or number (127.0.0.1)")
    group.add_argument("--port", type=int, help="its port (8000)")
    group.add_argument("--uds", metavar="PATH", help="a Unix socket")
    group.add_argument("--fd", type=int, metavar="N", help="an inherited descriptor")
    group.add_argument(
        "--backlog",
        type=int,
        default=1024,
        metavar="N",
        help="how many connections the kernel queues (1024)",
    )


def _add_program(group: Any) -> None:
    group.add_argument(
        "--interface",
        choices=["auto", "handler", "asgi"],
        default="auto",
        help="what the app is; by default its signature tells",
    )
    group.add_argument(
        "--root-path", default="", metavar="PATH", help="where an ASGI app is"
    )
    group.add_argument(
        "--lifespan",
        choices=["auto", "off"],
        default="auto",
        help="whether an ASGI app may have one",
    )
    group.add_argument(
        "--factory", action="store_true", help="call it without arguments to get it"
    )
    group.add_argument(
        "--app-dir",
        metavar="PATH",
        default="",
        help="where to look for the module (the current directory)",
    )
    group.add_argument(
        "--backend", "--loop", choices=_BACKENDS, default="asyncio", help="event loop"
    )
    group.add_argument("--log-level", choices=_LEVELS, default="info", type=str.lower)
    group.add_argument(
        "--access-log",
        action="store_true",
        default=True,
        help="log each request (which is the default)",
    )
    group.add_argument(
        "--no-access-log", action="store_false", dest="access_log", help="do not"
    )
    group.add_argument(
        "--timeout-graceful-shutdown",
        "--grace",
        dest="grace",
        type=float,
        metavar="SECONDS",
        help="how long after a stop signal what still runs is cut "
        f"({GRACE - MARGIN:g})",
    )


def _add_reload(group: Any) -> None:
    group.add_argument(
        "--reload", action="store_true", help="start again when a file changes"
    )
    for what, metavar, help_ in _WATCHED:
        group.add_argument(
            f"--reload-{what}", metavar=metavar, action="append", default=[], help=help_
        )
    # From a parent to its child.
    for name, kind in (("--inherit", _descriptors), ("--lifeline", int)):
        group.add_argument(name, type=kind, help=argparse.SUPPRESS)


_WATCHED = (
    ("dir", "PATH", "where; may be given again (--app-dir)"),
    ("include", "GLOB", "which files, beside *.py; may be given again"),
    ("exclude", "GLOB", "which not, beside .*, ~* and such; may be given again"),
)


def _descriptors(text: str) -> list[int]:
    return [int(fd) for fd in text.split(",")]


def _add_tls(group: Any) -> None:
    group.add_argument("--ssl-certfile", metavar="PATH", help="the certificate; PEM")
    group.add_argument("--ssl-keyfile", metavar="PATH", help="its key, if elsewhere")
    group.add_argument(
        "--ssl-ca-certs", metavar="PATH", help="those by which clients are verified"
    )
    group.add_argument(
        "--ssl-cert-reqs",
        type=int,
        choices=range(3),
        default=0,
        help="whether clients need a certificate: 0 no, 1 may have, 2 must have",
    )


def _add_limits(group: Any, limits: Any) -> None:
    for field in attrs.fields(limits):
        group.add_argument(
            "--" + field.name.replace("_", "-"),
            *_ALSO.get(field.name, ()),
            dest=field.name,
            type=_number(type(field.default)),
            metavar="N",
            help=f"({field.default})",
        )
    group.add_argument(
        "--limit-concurrency",
        type=int,
        metavar="N",
        help="as --requests N --queue 0: one more is answered 503",
    )


def _number(kind: type) -> Callable[[str], float]:
    def number(text: str) -> float:
        return math.inf if text == "inf" else kind(text)

    number.__name__ = "number"  # as argparse calls what it could not make of a text
    return number


def _make_limits(options: argparse.Namespace, limits: Any) -> Any:
    names = [field.name for field in attrs.fields(limits)]
    given = {
        name: value for name in names if (value := getattr(options, name)) is not None
    }
    if options.limit_concurrency is not None:
        given = {"requests": options.limit_concurrency, "queue": 0, **given}
    try:
        return limits(**given)
    except (TypeError, ValueError) as error:
        raise Unable(str(error)) from None
