"""ASGI apps on servers side by side, on one core each: python -m benchmarks.asgi.

A bare app, Starlette's hello, and Starlette behind a limit of eight requests at once.
Rounds, pinning and load are those of `benchmarks.http`.
"""

from __future__ import annotations

import json
import shutil
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from ._machine import machine
from ._peers import installed
from ._report import fill
from .http import Figures, Load, Server, compare, load_text, python

LOOPS = ("uvloop", "asyncio", "trio")

_NEEDED = ["starlette"]
_BARE = "benchmarks.servers.asgi:app"


@attrs.frozen
class Comparison:
    """One load, and whom it is put on; the first is what the others are set against."""

    load: Load
    servers: Sequence[Server]


def ours(app: str, backend: str, name: str) -> Server:
    """Return our server, with one of the apps in `benchmarks.servers.star`."""
    command = python("benchmarks.servers.star", app, "PORT", backend)
    return Server(name, command, [*_NEEDED, "httptools", backend])


def uvicorn(app: str, name: str = "uvicorn") -> Server:
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    command = python("uvicorn", app, "--port", "PORT", *options)
    command += ["--log-level", "error"]
    return Server(name, command, [*_NEEDED, "uvicorn", "uvloop", "httptools"])


def granian(app: str, name: str = "granian") -> Server:
    options = ["--interface", "asgi", "--loop", "uvloop", "--log-level", "error"]
    command = ["granian", *options, "--port", "PORT", app]
    return Server(name, command, [*_NEEDED, "granian", "uvloop"])


def star(name: str) -> str:
    return f"benchmarks.servers.star:{name}"


COMPARISONS = [
    Comparison(
        Load("A bare app", "/"),
        [
            uvicorn(_BARE),
            granian(_BARE),
            *(ours("bare", loop, f"csp ({loop})") for loop in LOOPS),
        ],
    ),
    Comparison(
        Load("Starlette", "/"),
        [
            uvicorn(star("hello")),
            granian(star("hello")),
            *(ours("hello", loop, f"csp ({loop})") for loop in LOOPS),
        ],
    ),
    Comparison(
        Load("Starlette, a millisecond of waiting, eight requests at once", "/"),
        [
            uvicorn(star("capacity"), "uvicorn, anyio.CapacityLimiter"),
            uvicorn(star("limited"), "uvicorn, asgi.limit"),
            granian(star("limited"), "granian, asgi.limit"),
            ours("capacity", "uvloop", "csp, anyio.CapacityLimiter"),
            ours("limited", "uvloop", "csp, asgi.limit"),
            ours("waits", "uvloop", "csp, Limits(requests=8)"),
        ],
    ),
]


def main() -> None:
    """Run what the command line says."""
    parser = ArgumentParser(description="Measure ASGI apps on our server and others.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="for each server")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--markdown", type=Path, help="renew the tables in this page")
    args = parser.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is not installed")
    texts, results = [], {}
    for comparison in COMPARISONS:
        load, servers = comparison.load, comparison.servers
        found = [s for s in servers if all(installed(p) for p in s.packages)]
        figures = compare(load, found, args)
        results[load.title] = as_json(figures)
        texts.append(load_text(load, figures, servers[0].name))
        print(f"\n{texts[-1]}", flush=True)
    if args.json is not None:
        args.json.write_text(json.dumps({"machine": machine(), **results}, indent=1))
    if args.markdown is not None:
        page = fill(args.markdown.read_text(), "asgi", "\n\n".join(texts))
        args.markdown.write_text(page)


def as_json(figures: dict[str, list[Figures]]) -> dict[str, list[dict[str, Any]]]:
    return {name: [attrs.asdict(run) for run in runs] for name, runs in figures.items()}


if __name__ == "__main__":
    main()
