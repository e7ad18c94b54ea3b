"""What `import csp.net` brings along."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import sys
import csp.net
print(*sorted({"asyncio", "ssl", "trio", "uvloop", "httptools"} & sys.modules.keys()))
"""


def test_what_is_not_used_is_not_imported():
    """No event loop, and no TLS."""
    command = [sys.executable, "-c", LOOK]
    assert subprocess.check_output(command, text=True, timeout=30) == "\n"
