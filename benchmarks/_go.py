"""Go itself, if there is a `go` command: the program in `go/`, on one core."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from ._harness import ANY_LOOP, Contender


@cache
def _go() -> str | None:
    """Return the path of the `go` command; says so, once, if there is none."""
    go = which("go")
    if go is None:
        print("go is not on PATH: skipped", file=sys.stderr)
    return go


@cache
def _program() -> Path | None:
    """Build the program, to be removed when Python ends; returns None without Go."""
    if (go := _go()) is None:
        return None
    folder = TemporaryDirectory(prefix="benchmarks-")
    atexit.register(folder.cleanup)
    program = Path(folder.name) / "program"
    source = Path(__file__).with_name("go")
    subprocess.run([go, "build", "-o", program, "."], cwd=source, check=True)  # noqa: S603
    return program


def go_version() -> str | None:
    if (go := _go()) is None:
        return None
    command = [go, "env", "GOVERSION"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip().removeprefix("go")


def gopher(work: str, name: str = "Go", **options: int) -> list[Contender]:
    """Return Go as a contender that does `work`, or nobody if there is no Go."""
    if (program := _program()) is None:
        return []
    flags = [f"-{flag}={value}" for flag, value in options.items()]

    def measure(size: int) -> float:
        command = [str(program), f"-work={work}", f"-size={size}", *flags]
        one_core = os.environ | {"GOMAXPROCS": "1"}
        done = subprocess.run(command, env=one_core, check=True, capture_output=True)  # noqa: S603
        return float(done.stdout)

    return [Contender(name, ANY_LOOP, measure)]
