"""Which of two patterns is more specific, and what to say if neither is.

A pattern stands for the requests that it matches.  Of those that match a request the
most specific is chosen: that of which all requests are matched by the others too.  So
for two that share a request one must be within the other, or nobody could tell which is
meant; then the second is refused when it is registered, whatever requests will come.

    method      HEAD < GET < any: GET takes HEAD too
    segment     a literal < {name:int} < {name} < the rest
    host        is no part of it: one beats none, and a longer *. a shorter one

The parts of two patterns are compared one by one: within, around, the same, overlapping
or apart; the table `_BOTH` puts that together.  If any part is apart, all is.

A converter is a set of texts of which all that is known is whether a given one is in
it.  So a literal is within {name:int} if that takes it, and else apart from it: beside
"/users/{name}" there may be "/{id:int}/latest".  Two converters at one place overlap,
even if no text is taken by both: nobody can know that.  They may stand at one place if
something else tells their patterns apart.
"""

from __future__ import annotations

from enum import Enum
from itertools import zip_longest

from ._pattern import Pattern, Segment, Wild


class Relation(Enum):
    """How the requests of one pattern lie to those of another."""

    SAME = "the same"
    WITHIN = "within"
    AROUND = "around"
    OVERLAP = "overlapping"
    APART = "apart"


SAME, WITHIN, AROUND, OVERLAP, APART = Relation

_BOTH = {
    (SAME, SAME): SAME,
    (SAME, WITHIN): WITHIN,
    (SAME, AROUND): AROUND,
    (WITHIN, WITHIN): WITHIN,
    (AROUND, AROUND): AROUND,
}


def both(a: Relation, b: Relation) -> Relation:
    """Return how two lie of which the parts lie so."""
    if APART in (a, b):
        return APART
    return _BOTH.get((a, b)) or _BOTH.get((b, a)) or OVERLAP


def relation(a: Pattern, b: Pattern) -> Relation:
    """Return how `a` lies to `b`, if they are for the same host."""
    by_method = _of_methods(a.method, b.method)
    return APART if by_method is APART else both(by_method, _of_paths(a, b))


def _of_methods(a: str, b: str) -> Relation:
    if a == b:
        return SAME
    if not b or (a, b) == ("HEAD", "GET"):
        return WITHIN
    if not a or (a, b) == ("GET", "HEAD"):
        return AROUND
    return APART


def _of_paths(a: Pattern, b: Pattern) -> Relation:
    longer = len(a.segments) - len(b.segments)
    if (longer > 0 and not b.open) or (longer < 0 and not a.open):
        return APART
    found = SAME
    for one, other in zip(a.segments, b.segments, strict=False):
        found = both(found, _of_segments(one, other))
        if found is APART:
            return APART
    if longer:  # the shorter one's end takes the rest of the other
        found = both(found, WITHIN if longer > 0 else AROUND)
    return found


def _of_segments(a: Segment, b: Segment) -> Relation:
    if isinstance(a, Wild):
        if isinstance(b, Wild):
            return _of_wilds(a, b)
        return {WITHIN: AROUND, APART: APART}[_of_literal(b, a)]
    if isinstance(b, Wild):
        return _of_literal(a, b)
    return SAME if a == b else APART


def _of_literal(text: str, wild: Wild) -> Relation:
    if wild.rest:
        return WITHIN
    if not text:  # the end after a slash
        return APART
    if wild.converter is None or wild.converter.takes(text):
        return WITHIN
    return APART


def _of_wilds(a: Wild, b: Wild) -> Relation:
    if a.rest != b.rest:
        return AROUND if a.rest else WITHIN
    if a.kind == b.kind:
        return SAME
    if a.kind and b.kind:
        return OVERLAP
    return WITHIN if a.kind else AROUND


def conflict(new: Pattern, where: str, old: Pattern, old_where: str) -> str | None:
    """Return why two patterns cannot both be registered; None if they can."""
    found = relation(new, old)
    if found not in (SAME, OVERLAP):
        return None
    places = f"the pattern {str(new)!r} ({where}) and {str(old)!r} ({old_where})"
    if found is SAME:
        return f"{places} match the same requests. Remove one of them"
    method = _narrower(new.method, old.method) or "any"
    return (
        f"{places} both match {method} {common(new, old)}, and neither is more "
        f"specific. {_instead(new, old)}"
    )


def _narrower(a: str, b: str) -> str:
    return a if _of_methods(a, b) is WITHIN else b


def common(a: Pattern, b: Pattern) -> str:
    """Return a path that both match, or nearly so if it takes a converter."""
    shown = [_shown(one, other) for one, other in zip_longest(a.segments, b.segments)]
    return "/" + "/".join(shown)


def _shown(a: Segment | None, b: Segment | None) -> str:
    for segment in (a, b):
        if isinstance(segment, str):
            return segment
    wilds = [s for s in (a, b) if isinstance(s, Wild)]
    best = min(wilds, key=lambda wild: (wild.rest, not wild.kind))
    return f"{{{best.name}:{best.kind}}}" if best.kind else best.name


def _instead(a: Pattern, b: Pattern) -> str:
    """Say what to write instead."""
    narrow, wide = (a, b) if _narrower(a.method, b.method) == a.method else (b, a)
    if _of_paths(narrow, wide) is AROUND:
        only = ""
        if narrow.path.endswith("/"):
            only = f"{str(narrow) + '{$}'!r} if only that path is meant, or "
        return (
            f"{narrow.path!r} has more paths, but only of one method. Write: {only}"
            f"both with a method, such as {f'{narrow.method} {wide.host}{wide.path}'!r}"
        )
    for one, other in zip(a.segments, b.segments, strict=False):
        if _of_segments(one, other) is OVERLAP:
            assert isinstance(one, Wild)
            assert isinstance(other, Wild)
            return (
                f"Some text might be both {one.kind} and {other.kind}. Write: one "
                f"converter that takes both, or a literal that tells them apart"
            )
    return (
        f"Write: {common(a, b)!r} in place of one of them, or a literal that tells "
        f"them apart"
    )
