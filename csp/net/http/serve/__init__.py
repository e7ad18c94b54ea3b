"""Serving HTTP: what drives the wire over connections."""

from ._report import DrainReport as DrainReport
from ._server import Server as Server
from ._server import serve as serve
