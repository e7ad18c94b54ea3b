"""The program: it serves until Ctrl-C, and then says how it ended.

Exit codes: 0, all was finished; 3, it could not start; 4, something was cut.
"""

from __future__ import annotations

import argparse
import logging
import math

import csp
from csp.net import http, listen

from .app import make_app
from .lines import Lines

TRY = """
Try, from another terminal, and press Ctrl-C here meanwhile:

    curl {0}/
    curl {0}/1.0/stuff --json '{{"name": "tea", "tags": ["hot"]}}'
    curl {0}/1.0/stuff/1
    curl {0}/1.0/stuff --json '{{"nome": "tea"}}'              what is wrong with it
    curl {0}/1.0/openapi.json
    curl {0}/secret -H "Authorization: Bearer please"
    curl -N {0}/count                                        a number a second
    curl -T FILE --limit-rate 1M {0}/upload | cat            as slow as you like
    curl -Z {0}/slow?[1-6]                                   two at once, two wait
    curl --data-binary @FILE {0}/lines                       done after the response
"""


async def main(options: argparse.Namespace) -> int:
    """Listen, serve, and print the report."""
    lines = Lines(options.out)
    tls = tuple(options.tls) if options.tls else None
    listener = await listen(options.address, tls=tls)
    print("listening on", listener.address)
    scheme = "https" if tls else "http"
    print(TRY.format(f"{scheme}://{listener.address}"), flush=True)
    limits = http.Limits(body_bytes=math.inf)
    async with lines.working():
        report = await http.serve(make_app(lines), listener, limits=limits)
    print(f"{report.finished} finished, {report.cut} cut, in {report.seconds:.1f} s")
    print(f"{lines.done} lines done")
    return 4 if report.cut else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.http")
    parser.add_argument("address", nargs="?", default="127.0.0.1:8080")
    backends = ["asyncio", "uvloop", "trio"]
    parser.add_argument("--backend", choices=backends, default="asyncio")
    out = argparse.FileType("a")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--out", type=out, help="where the lines go that were done")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    try:
        code = csp.run(main, options, backend=options.backend)
    except (ModuleNotFoundError, OSError, ValueError) as error:
        parser.exit(3, f"{parser.prog}: {error}\n")
    parser.exit(code)
