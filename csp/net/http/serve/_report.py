"""What became of connections and requests when a server was to stop."""

from __future__ import annotations

from typing import Any, Self

from csp import _account
from csp._stop import StopScope
from csp.net._connection import Connection


class DrainReport(_account.DrainReport):
    """What became of what a server had to do when it was asked to stop.

    As of any server, its fields count connections, and tasks that handlers started:
    `finished`, `cut`, `refused`, `cut_names`, `seconds`.  One that was cut in a request
    has that as its name: ``"GET /slow from 127.0.0.1:5"``.  One that was cut while it
    owed the client nothing counts as finished.
    """

    requests: _account.DrainReport
    """The same for requests alone.  Of those that were answered since the stop was
    requested, `finished` counts what a handler has seen, and `refused` the others."""

    def __new__(
        cls, connections: _account.DrainReport, requests: _account.DrainReport
    ) -> Self:
        self = super().__new__(cls, *connections)
        self.requests = requests
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (_account.DrainReport(*self), self.requests)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, requests={self.requests!r})"


class Tally:
    """Counts requests from the request on to stop a scope."""

    def __init__(self, scope: StopScope | None) -> None:
        self.scope: StopScope | None = scope
        self.finished: int = 0
        self.refused: int = 0
        # What was cut with each connection, if anything.
        self.cut: dict[Connection, str | None] = {}

    def count(self, unseen: bool) -> None:
        """Count one that was answered, by a handler or without."""
        self.finished += not unseen
        self.refused += unseen

    def doing(self, conn: Connection) -> str | None:
        """Tell what was cut with a connection."""
        return self.cut.get(conn, f"connection from {conn.peer}")

    def report(self, connections: _account.DrainReport) -> DrainReport:
        """Return all the counts."""
        names = tuple(filter(None, self.cut.values()))
        requests = _account.DrainReport(
            self.finished, len(names), self.refused, names, connections.seconds
        )
        return DrainReport(connections, requests)
