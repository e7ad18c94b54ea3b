"""The routes for one host: refused if they conflict, and found again."""

from __future__ import annotations

from ._overlap import Overlaps
from ._relation import conflict
from ._routes import Registered
from ._tree import Tree


class Table:
    """All routes for a host, or for those that have no table of their own."""

    def __init__(self) -> None:
        self.exact: dict[str, dict[str, Registered]] = {}
        """By method, then by path: those without parameters, for paths without %.

        For its method such a route is the most specific: of all patterns that match the
        path, the one that is the path is within the others, or they conflicted.
        """
        self.tree: Tree[Registered] = Tree()
        self._overlaps: Overlaps[Registered] = Overlaps()

    def add(self, route: Registered) -> None:
        """Register a route.

        Raises:
            ValueError: It conflicts with another.
        """
        pattern = route.pattern
        for other in self._overlaps.near(pattern):
            if why := conflict(pattern, route.where, other.pattern, other.where):
                raise ValueError(why)
        self._overlaps.add(route)
        self.tree.add(route)
        literals = [s for s in pattern.segments if isinstance(s, str)]
        if len(literals) == len(pattern.segments) and "%" not in pattern.path:
            path = "/" + "/".join(literals)
            self.exact.setdefault(pattern.method, {})[path] = route
