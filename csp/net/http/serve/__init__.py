"""Serving HTTP: what drives the wire over connections."""

from ._server import Server as Server
from ._server import serve as serve
