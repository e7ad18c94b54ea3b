"""Serve one: python -m benchmarks.servers.web FRAMEWORK PORT BACKEND."""

from __future__ import annotations

import sys
from importlib import import_module

import csp
from csp.net import http

framework, port, backend = sys.argv[1:]
app = import_module(f"{__package__}.{framework}_app").app
if framework != "csp":
    from csp.net.http.asgi import from_asgi

    app = from_asgi(app)
csp.run(http.serve, app, f"127.0.0.1:{port}", backend=backend)
