"""HTTP servers side by side, on one core each: python -m benchmarks.http.

Each round starts every server anew, in an order drawn anew, pins it to one core, and
has wrk load it from another with 64 connections.  A ratio is taken between two servers
of one round.  Servers and tools that are missing are left out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from statistics import median
from time import monotonic, sleep

import attrs

from ._harness import spread
from ._machine import machine
from ._peers import installed
from ._report import fill, number, span, table

ROOT = Path(__file__).parent.parent
CONNECTIONS = 64
IDLE = 9_900  # our own limit is 10,000
BASE = "uvicorn (httptools, uvloop)"


@attrs.frozen
class Server:
    """One of those that are compared."""

    name: str
    command: Sequence[str]
    """PORT stands for the port."""
    packages: Sequence[str] = ()


def python(*args: str) -> list[str]:
    return [sys.executable, "-m", *args]


def ours(backend: str) -> Server:
    command = python("benchmarks.servers.ours", "PORT", backend)
    return Server(f"csp ({backend})", command, ["httptools", backend])


def hypercorn(package: str, worker: str) -> Server:
    options = [
        *([] if package == "anycorn" else ["-k", worker]),
        "-b",
        "127.0.0.1:PORT",
    ]
    command = python(package, *options, "benchmarks.servers.asgi:app")
    return Server(f"{package} ({worker})", command, [package, worker])


SERVERS = [
    ours("uvloop"),
    ours("asyncio"),
    ours("trio"),
    Server(
        BASE,
        python(
            *("uvicorn", "benchmarks.servers.asgi:app", "--port", "PORT"),
            *("--loop", "uvloop", "--http", "httptools", "--no-access-log"),
            *("--log-level", "error"),
        ),
        ["uvicorn", "uvloop", "httptools"],
    ),
    Server(
        "granian",
        [
            *(
                "granian",
                "--interface",
                "asgi",
                "--port",
                "PORT",
                "--log-level",
                "error",
            ),
            *("--loop", "uvloop", "benchmarks.servers.asgi:app"),
        ],
        ["granian", "uvloop"],
    ),
    Server("aiohttp (uvloop)", python("benchmarks.servers.aio", "PORT"), ["aiohttp"]),
    hypercorn("hypercorn", "asyncio"),
    hypercorn("hypercorn", "trio"),
    hypercorn("anycorn", "asyncio"),
]


@attrs.frozen
class Load:
    """What clients ask for."""

    title: str
    path: str
    script: str = ""
    """For wrk, in Lua."""


POST = 'wrk.method = "POST"; wrk.body = string.rep("x", 10240)'
LOADS = [
    Load("GET, 12 bytes", "/"),
    Load("GET, 64 KiB", "/large"),
    Load("POST, 10 KiB", "/", POST),
    Load("GET, a stream of 64 pieces of 1 KiB", "/stream"),
]


@attrs.frozen
class Figures:
    """What one run of wrk gave."""

    rate: float
    """Requests a second."""
    half: float
    """Seconds within which half of them were answered."""
    most: float
    """The same for 99 % of them."""
    errors: int


def servers() -> list[Server]:
    """Return those that can run here, Go's among them if there is a compiler."""
    found = [s for s in SERVERS if all(installed(p) for p in s.packages)]
    if (go := _compiled()) is not None:
        found.append(Server("Go net/http", [str(go), "PORT"]))
    return found


def _compiled() -> Path | None:
    compiler = shutil.which("go")
    if compiler is None:
        print("there is no Go compiler: net/http skipped", file=sys.stderr)
        return None
    binary = Path(tempfile.gettempdir()) / f"csp-benchmark-server-{os.getuid()}"
    source = Path(__file__).with_name("servers") / "go"
    command = [compiler, "build", "-o", str(binary), "."]
    subprocess.run(command, cwd=source, check=True)  # noqa: S603
    return binary


def pinned(core: int) -> list[str]:
    """Return what makes a command run on one core."""
    return ["taskset", "-c", str(core)]


@contextmanager
def running(server: Server, core: int) -> Iterator[tuple[int, int]]:
    """Run a server on one core; gives its port and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [arg.replace("PORT", str(port)) for arg in server.command]
    if not Path(command[0]).is_absolute():
        command[0] = str(Path(sys.executable).with_name(command[0]))
    process = subprocess.Popen(  # noqa: S603
        [*pinned(core), *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(port, process)
        yield port, process.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = monotonic() + 30
    while monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen")


def measure(load: Load, port: int, core: int, seconds: int) -> Figures:
    """Let wrk load a server."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(load.script)
        script.flush()
        output = subprocess.run(  # noqa: S603
            [
                *(
                    *pinned(core),
                    "wrk",
                    "-t1",
                    f"-c{CONNECTIONS}",
                    f"-d{seconds}s",
                    "--latency",
                ),
                *("-s", script.name, f"http://127.0.0.1:{port}{load.path}"),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    errors = re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", output)
    return Figures(
        float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]),  # type: ignore[index]
        _duration(output, "50%"),
        _duration(output, "99%"),
        sum(map(int, errors)),
    )


def _duration(output: str, percentile: str) -> float:
    match = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)\s", output)
    assert match is not None, output
    return float(match[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[match[2]]


def compare(
    load: Load, found: Sequence[Server], args: Namespace
) -> dict[str, list[Figures]]:
    """Measure all servers in each round."""
    found = [*found]
    figures: dict[str, list[Figures]] = {server.name: [] for server in found}
    random = Random(0)  # noqa: S311 - for the order of the servers
    *_, core, other = sorted(os.sched_getaffinity(0)) * 2
    for _ in range(args.rounds):
        random.shuffle(found)
        for server in found:
            with running(server, core) as (port, _process):
                measure(load, port, other, 1)
                result = measure(load, port, other, args.seconds)
                figures[server.name].append(result)
    return figures


def load_text(load: Load, figures: dict[str, list[Figures]], first: str = BASE) -> str:
    """Show them beside one another, and each beside the first."""
    rows = [["", "requests/s", f"x {first}", "50 %", "99 %", "errors"]]
    for name, runs in figures.items():
        rates = [run.rate for run in runs]
        base = [run.rate for run in figures.get(first, [])]
        ratio = (
            span(spread([a / b for a, b in zip(rates, base, strict=True)]))
            if base
            else ""
        )
        half, most = (
            f"{median(times) * 1e3:.1f} ms"
            for times in zip(*((run.half, run.most) for run in runs), strict=True)
        )
        errors = str(sum(run.errors for run in runs))
        rows.append([name, f"{median(rates):,.0f}", ratio, half, most, errors])
    return f"### {load.title}\n\n{table(rows)}"


def memory(count: int) -> dict[str, float]:
    """Return how many bytes an idle connection costs each server."""
    costs = {}
    *_, core, _ = sorted(os.sched_getaffinity(0)) * 2
    for server in servers():
        with running(server, core) as (port, group):
            idle = [_used(port)]
            before = _resident(group)
            try:
                idle += [_used(port) for _ in range(count)]
                costs[server.name] = (_resident(group) - before) / count
            except OSError as error:
                print(f"{server.name} keeps not so many: {error}", file=sys.stderr)
            finally:
                for connection in idle:
                    connection.close()
    return costs


def _used(port: int) -> socket.socket:
    """Return a connection over which one request has gone."""
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    data = b""
    while not data.endswith(b"!\n"):
        data = connection.recv(4096)
        if not data:
            raise ConnectionError("it closed a connection")
    return connection


def _resident(group: int) -> int:
    """Return the memory of a process group, in bytes."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) == group:
                total += int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1]) * 1024  # type: ignore[index]
        except (OSError, TypeError):
            continue
    return total


def memory_text(costs: dict[str, float]) -> str:
    rows = [["", "memory"]]
    rows += [[name, f"{number(cost / 1024)} KiB"] for name, cost in costs.items()]
    return f"### An idle connection, of {IDLE:,}\n\n{table(rows)}"


def main() -> None:
    """Run what the command line says."""
    parser = ArgumentParser(description="Measure our HTTP server beside others.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="for each load")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--markdown", type=Path, help="renew the tables in this page")
    args = parser.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is not installed")
    texts, results = [], {}
    for load in LOADS:
        figures = compare(load, servers(), args)
        results[load.title] = {
            n: [attrs.asdict(r) for r in f] for n, f in figures.items()
        }
        texts.append(load_text(load, figures))
        print(f"\n{texts[-1]}", flush=True)
    costs = memory(IDLE)
    texts.append(memory_text(costs))
    print(f"\n{texts[-1]}", flush=True)
    if args.json is not None:
        args.json.write_text(
            json.dumps({"machine": machine(), **results, "memory": costs}, indent=1)
        )
    if args.markdown is not None:
        page = fill(args.markdown.read_text(), "http", "\n\n".join(texts))
        args.markdown.write_text(page)


if __name__ == "__main__":
    main()
