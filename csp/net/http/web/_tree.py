"""The tree of patterns, by segments, in which that for a path is found.

At each node the ways on are tried from the most specific to the least: the literal, the
wildcards with converters, the wildcard without, the rest.  If a way ends nowhere the
next is tried, so "/a/x" does not hide "/{name}/y" from a request for "/a/y".

Why the first pattern found is the most specific: let another match, too, and look at
the first segment in which the two differ.  There the found one went the better way, so
the other one is not within it; as of any two that match one is within the other (or
they would have been refused: see `_relation`), the found one is within that.  Two
converters at one node are in no order, and need none.

What it costs: a segment is one level of the tree, and a node has one parent, so a
search comes to each node at most once, however long the path is.  A path is divided no
further than the tree is deep.  To make a search long one has to register patterns that
agree in all but their ends, in all combinations; a client cannot.  Each converter is
asked at most once about each segment.

A path without a slash at its end is searched together with the same path with one: the
node at which the first ends has what the second one needs.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeAlias, TypeVar

from ._convert import Converter
from ._path import Divided
from ._pattern import Pattern, Wild


class _HasPattern(Protocol):
    @property
    def pattern(self) -> Pattern: ...


R = TypeVar("R", bound=_HasPattern)
Routes: TypeAlias = dict[str, R]  # by method, "" for any

# How a path leads to routes: it ends there; or it is longer, and they take the rest;
# or it would end there, or begin their rest, with a slash at its end.
ENDS, RUNS_ON, LACKS_SLASH = range(3)


class Node(Generic[R]):
    """A place in the tree: what may come after some segments."""

    __slots__ = ("ends", "forks", "literals", "rest", "typed", "wild")

    def __init__(self) -> None:
        self.ends: Routes[R] = {}
        self.rest: Routes[R] = {}
        self.literals: dict[str, Node[R]] = {}
        self.typed: dict[str, tuple[Converter, Node[R]]] = {}
        self.wild: Node[R] | None = None
        self.forks = False
        """Whether several of these might be the way on for one segment."""

    def after(self, segment: str | Wild) -> Node[R]:
        """Return the node after a segment, a new one if need be."""
        if isinstance(segment, str):
            node = self.literals.setdefault(segment, Node())
        elif segment.converter is not None:
            entry = segment.converter, Node[R]()
            node = self.typed.setdefault(segment.kind, entry)[1]
        else:
            node = self.wild = self.wild or Node()
        self.forks = self._may_fork()
        return node

    def _may_fork(self) -> bool:
        return bool(self.rest or self.typed or (self.wild and self.literals))

    def end(self, pattern: Pattern, route: R) -> None:
        """Let a route end here, or take the rest."""
        (self.rest if pattern.open else self.ends)[pattern.method] = route
        self.forks = self._may_fork()


class Tree(Generic[R]):
    """Patterns for one host."""

    def __init__(self) -> None:
        self.root: Node[R] = Node()
        self._depth = 0

    def add(self, route: R) -> None:
        pattern = route.pattern
        node = self.root
        for segment in pattern.fixed:
            node = node.after(segment)
        node.end(pattern, route)
        self._depth = max(self._depth, len(pattern.fixed))

    def find(
        self, method: str, path: str, seen: set[str] | None = None
    ) -> tuple[R | None, int, Divided]:
        """Return the route for a path, if there is one, and how it leads there.

        With LACKS_SLASH, the path would have a better one with a slash at its end.

        Args:
            method: That of the request.
            path: As it was sent, and clean.
            seen: A set to which the methods of all routes are added that are passed.
        """
        divided = Divided(path, self._depth)
        segments = divided.segments
        size = len(segments)
        found = ENDS
        others: list[tuple[Node[R], int]] = []  # the best last; -1: its rest
        node, at = self.root, 0
        while True:
            if at == size:
                if node.ends and (route := _pick(node.ends, method, seen)) is not None:
                    return route, ENDS, divided
                if segments[-1] and _pick_with_slash(node, method, seen) is not None:
                    found = LACKS_SLASH
            elif at < 0:
                if (route := _pick(node.rest, method, seen)) is not None:
                    return route, found or RUNS_ON, divided
            else:
                text = segments[at]
                if node.forks:
                    way = _fork(node, at, divided, others)
                else:
                    way = node.literals.get(text) or (node.wild if text else None)
                if way is not None:
                    node = way
                    at += 1
                    continue
            if not others:
                return None, found, divided
            node, at = others.pop()


def _fork(
    node: Node[R], at: int, path: Divided, others: list[tuple[Node[R], int]]
) -> Node[R] | None:
    """Return the best way on from a node, and put the others aside."""
    text = path.segments[at]
    ways: list[Node[R]] = []  # the best last
    if text and node.wild is not None:
        ways.append(node.wild)
    if text and node.typed:
        for kind, (converter, child) in node.typed.items():
            if path.takes(at, kind, converter):
                ways.append(child)
    if text in node.literals:
        ways.append(node.literals[text])
    if node.rest:
        others.append((node, -1))
    if not ways:
        return None
    best = ways.pop()
    others += [(way, at + 1) for way in ways]
    return best


def _pick(routes: Routes[R], method: str, seen: set[str] | None) -> R | None:
    """Return the route for a method: its own, that of GET for HEAD, or that for any."""
    if seen is not None:
        seen.update(routes)
    route = routes.get(method)
    if route is None and method == "HEAD":
        route = routes.get("GET")
    return route if route is not None else routes.get("")


def _pick_with_slash(node: Node[R], method: str, seen: set[str] | None) -> R | None:
    """Return the route for a path that ends at a node, if it had a slash there."""
    route = None
    if "" in node.literals:
        route = _pick(node.literals[""].ends, method, seen)
    if node.rest and route is None:
        route = _pick(node.rest, method, seen)
    return route
