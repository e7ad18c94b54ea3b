"""Without httptools there is no HTTP, and so no tests of it."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("httptools") else ["*"]
