"""Does a type checker see what csp promises?  It reads the files in tests/typing."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "tests" / "typing").glob("*.py"))


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_mypy_finds_what_the_file_says(path: Path) -> None:
    """Each line is right, or has just the error that it ignores."""
    command = [sys.executable, "-m", "mypy", "--follow-imports", "silent", str(path)]
    run = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
