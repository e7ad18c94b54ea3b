"""Frameworks side by side, all on our server: python -m benchmarks.web.

The app is the same in each, see `servers/web.py`, and so are the server and the event
loop: what differs is routing, reading arguments, and making responses.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from . import http
from ._report import fill
from .http import Load, Server, python

POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"customer": "Ann", "lines": [' ..
    '{"name": "tea", "price": 3.5, "count": 2}, ' ..
    '{"name": "milk", "price": 1.25, "count": 1}]}'
"""
LOADS = [
    Load("Hello, www!", "/"),
    Load("JSON in and out", "/items", POST),
    Load("One of 1,000 routes", "/route500/x"),
]
FRAMEWORKS = ["csp", "starlette", "fastapi", "litestar", "blacksheep"]


def server(framework: str, backend: str) -> Server:
    command = python("benchmarks.servers.web", framework, "PORT", backend)
    return Server(framework, command, [framework, "msgspec", backend])


def main() -> None:
    """Run what the command line says."""
    parser = ArgumentParser(description="Measure our router beside frameworks.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="for each load")
    parser.add_argument("--backend", default="uvloop")
    parser.add_argument("--markdown", type=Path, help="renew the tables in this page")
    args = parser.parse_args()
    found = [server(name, args.backend) for name in FRAMEWORKS]
    texts = []
    for load in LOADS:
        figures = http.compare(load, found, args)
        texts.append(http.load_text(load, figures, "starlette"))
        print(f"\n{texts[-1]}", flush=True)
    if args.markdown is not None:
        page = fill(args.markdown.read_text(), "web", "\n\n".join(texts))
        args.markdown.write_text(page)


if __name__ == "__main__":
    main()
