"""Finding those of many patterns that a new one might conflict with.

Comparing with all would make the registration of n patterns cost n * n.  But at a place
where the new one has a literal, all others that overlap with it have that literal, or a
wildcard; and at the best of its places those are few, for an app has many routes
because it has many words.  (The idea is that of the index in Go's ServeMux.)

Patterns are kept apart by their shape, which is their length and whether they end with
the rest: two of one length without that are compared in all places, others only in
those that both have.  There are no more shapes than twice the longest pattern's length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from ._pattern import Pattern, Segment, Wild


class _HasPattern(Protocol):
    @property
    def pattern(self) -> Pattern: ...


R = TypeVar("R", bound=_HasPattern)


class Overlaps(Generic[R]):
    """What is registered, so that what overlaps is found."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[int, bool], _Shape[R]] = {}

    def add(self, route: R) -> None:
        pattern = route.pattern
        size = len(pattern.segments)
        shape = self._shapes.get((size, pattern.open))
        if shape is None:
            shape = self._shapes[size, pattern.open] = _Shape(len(pattern.fixed))
        shape.add(pattern.fixed, route)

    def near(self, pattern: Pattern) -> Iterator[R]:
        """Yield all that may overlap with a pattern, and some that do not."""
        for (size, is_open), shape in self._shapes.items():
            longer = len(pattern.segments) - size
            if (longer <= 0 or is_open) and (longer >= 0 or pattern.open):
                yield from shape.near(pattern.fixed)


class _Shape(Generic[R]):
    """Patterns of one length: at each place, by their literals; and the others."""

    def __init__(self, length: int) -> None:
        self._all: list[R] = []
        self._literal: list[dict[str, list[R]]] = [{} for _ in range(length)]
        self._wild: list[list[R]] = [[] for _ in range(length)]

    def add(self, segments: tuple[Segment, ...], route: R) -> None:
        self._all.append(route)
        for place, segment in enumerate(segments):
            if isinstance(segment, Wild):
                self._wild[place].append(route)
            else:
                self._literal[place].setdefault(segment, []).append(route)

    def near(self, segments: tuple[Segment, ...]) -> list[R]:
        best = [self._all]
        places = zip(segments, self._literal, self._wild, strict=False)
        for segment, literal, wild in places:
            if isinstance(segment, str):
                here = [literal.get(segment, []), wild]
                best = min(best, here, key=lambda lists: sum(map(len, lists)))
        return [route for routes in best for route in routes]
