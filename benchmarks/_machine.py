"""On what the figures were measured."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import csp

from ._go import go_version

_LIBRARIES = ["anyio", "trio", "uvloop", "aiochan", "janus", "aiostream"]


def machine() -> dict[str, str]:
    """Describe the machine, and the versions of what was measured."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "system": _system(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(_libraries()),
    }


def _libraries() -> Iterator[str]:
    yield f"anycsp {csp.__version__}"
    for name in _LIBRARIES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    if (go := go_version()) is not None:
        yield f"Go {go}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # on Linux, platform.processor() knows nothing
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return model[1] if model else platform.processor() or platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # on Windows
        return "unknown"
    return f"{size / 2**30:.0f} GiB"


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = f"{platform.system()} {platform.release()}"
    return f"{name}, {platform.machine()}"
