"""Serve until Ctrl-C, and then say how it ended."""

from __future__ import annotations

import logging
import math
from argparse import ArgumentParser

import anyio

import csp
from csp.net import http

from . import __doc__ as what_to_try
from .app import app


async def main(address: str) -> None:
    """Say where it listens, serve, and print the report."""
    async with csp.Group() as g:
        limits = http.Limits(body_bytes=math.inf)
        [bound] = await g.start(listening, address, limits)
        print(f"listening on {bound}", flush=True)


async def listening(
    address: str,
    limits: http.Limits,
    *,
    task_status: anyio.abc.TaskStatus[tuple[str, ...]],
) -> None:
    """Serve, and say what became of the connections."""
    report = await http.serve(app, address, limits=limits, task_status=task_status)
    print(f"{report.finished} connections finished, {report.cut} cut")


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m examples.http", description=what_to_try)
    parser.add_argument("address", nargs="?", default="127.0.0.1:8080")
    parser.add_argument(
        "--backend", default="asyncio", choices=["asyncio", "uvloop", "trio"]
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    csp.run(main, options.address, backend=options.backend)
