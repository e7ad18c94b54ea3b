"""Where to listen, and how to encrypt: what the flags come to."""

from __future__ import annotations

import argparse
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from csp.net._address import TCP
from csp.net._listener import Listener, listen

from ._unable import Unable

if TYPE_CHECKING:
    from csp.net._tls import TLS

_CERT_REQS = ("none", "optional", "required")
_HOST, _PORT = "127.0.0.1", 8000  # as of uvicorn


async def open_all(
    options: argparse.Namespace, stack: AsyncExitStack, encryption: TLS | None = None
) -> list[Listener]:
    """Listen wherever the command line says; the stack closes what was opened.

    Raises:
        Unable: One cannot listen there.
    """
    inherited = options.inherit or []
    where = [f"fd:{fd}" for fd in inherited] or addresses(options)
    try:
        return [
            await stack.enter_async_context(
                await listen(each, tls=encryption, backlog=options.backlog)
            )
            for each in where
        ]
    except ValueError as error:
        raise Unable(str(error)) from None
    except OSError as error:
        raise Unable(error.strerror or str(error)) from None


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
