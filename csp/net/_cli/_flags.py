"""The flags: uvicorn's, where it has such a thing, and our own."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from csp.net._address import TCP

from ._unable import Unable

if TYPE_CHECKING:
    from csp.net._tls import TLS

PROGRAM = "python -m csp.net"
GRACE = 25.0  # as of csp.run
MARGIN = 2.0  # seconds to report in, after the server's own grace

_BACKENDS = ("asyncio", "uvloop", "trio")
_LEVELS = ("critical", "error", "warning", "info", "debug")
_CERT_REQS = ("none", "optional", "required")
_HOST, _PORT = "127.0.0.1", 8000  # as of uvicorn

# What uvicorn calls some of our limits.
_ALSO = {"idle_timeout": ("--timeout-keep-alive",)}


def parse(args: Sequence[str] | None, limits: type[Any]) -> argparse.Namespace:
    """Return what the command line says, with `limits` made of their flags.

    Raises:
        Unable: They cannot be made.
    """
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Serve an HTTP handler, or an ASGI app.",
        epilog="Exit codes: 0 stopped with nothing cut; 1 failed; 3 could not start; "
        "4 stopped, but something was cut or left undelivered.",
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
    _add_tls(parser.add_argument_group("encryption"))
    _add_limits(
        parser.add_argument_group(
            "limits", "In seconds and bytes; inf is none. See csp.net.http.Limits."
        ),
        limits,
    )
    options = parser.parse_intermixed_args(args)
    options.limits = _make_limits(options, limits)
    return options


def _add_addresses(group: Any) -> None:
    group.add_argument(
        "--bind", metavar="ADDRESS", action="append", default=[], help="one more"
    )
    group.add_argument("--host", help=f"a name or number ({_HOST})")
    group.add_argument("--port", type=int, help=f"its port ({_PORT})")
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
        "--no-access-log", action="store_true", help="as it is; requests are not logged"
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


def _add_tls(group: Any) -> None:
    group.add_argument("--ssl-certfile", metavar="PATH", help="the certificate; PEM")
    group.add_argument("--ssl-keyfile", metavar="PATH", help="its key, if elsewhere")
    group.add_argument(
        "--ssl-ca-certs", metavar="PATH", help="those by which clients are verified"
    )
    group.add_argument(
        "--ssl-cert-reqs",
        type=int,
        choices=range(len(_CERT_REQS)),
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


def addresses(options: argparse.Namespace) -> list[str]:
    """Return where to listen."""
    where = [*options.addresses, *options.bind]
    if options.uds is not None:
        where.append(f"unix:{options.uds}")
    if options.fd is not None:
        where.append(f"fd:{options.fd}")
    host, port = options.host, options.port
    if not where or host is not None or port is not None:
        host = _HOST if host is None else host.strip("[]")
        where.append(str(TCP(host, _PORT if port is None else port)))
    return where


def tls(options: argparse.Namespace) -> TLS | None:
    """Return how to encrypt, if that is to be done.

    Raises:
        Unable: That cannot be done so.
    """
    cert, key, ca = options.ssl_certfile, options.ssl_keyfile, options.ssl_ca_certs
    if cert is None:
        if key or ca or options.ssl_cert_reqs:
            raise Unable("the certificate is missing. Write --ssl-certfile PATH")
        return None
    if options.ssl_cert_reqs and ca is None:
        raise Unable("to verify clients takes certificates: --ssl-ca-certs PATH")
    from csp.net._tls import TLS

    reqs: Any = _CERT_REQS[options.ssl_cert_reqs]
    try:
        return TLS(cert, key or cert, client_ca=ca, client_cert=reqs)
    except OSError as error:
        raise Unable(str(error)) from None
