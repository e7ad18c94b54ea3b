"""An echo server: python -m examples.echo [ADDRESS]."""

from __future__ import annotations

import argparse
import logging

import csp
from csp.net import Connection, listen, serve


async def echo(conn: Connection) -> None:
    async for data in conn:
        await conn.send(data)


async def main(options: argparse.Namespace) -> int:
    tls = tuple(options.tls) if options.tls else None
    listener = await listen(options.address, tls=tls)
    print("listening on", listener.address, flush=True)
    report = await serve(echo, listener)
    print(f"{report.finished} finished, {report.cut} cut, in {report.seconds:.1f} s")
    return 4 if report.cut else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.echo")
    parser.add_argument("address", nargs="?", default="127.0.0.1:1234")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    backends = ["asyncio", "uvloop", "trio"]
    parser.add_argument("--backend", choices=backends, default="asyncio")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    try:
        code = csp.run(main, options, backend=options.backend)
    except (ModuleNotFoundError, OSError, ValueError) as error:
        parser.exit(3, f"{parser.prog}: {error}\n")
    parser.exit(code)
