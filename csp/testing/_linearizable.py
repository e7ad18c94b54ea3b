"""Is there an order of overlapping calls that explains their results?

An object is linearizable if whatever overlapping calls do is what they could have done
one after the other, each taking effect at one moment between its beginning and its end
(Herlihy and Wing, 1990).  What they do one after the other, a *model* says.

The search tries at each point every call that may come next, on a copy of the model:
one may if no call that has still to take effect had ended before it began (Wing and
Gong, 1993).  It never tries twice what leads to the same calls being left and the same
state of the model (Lowe, 2017), so a history is quick in which few calls overlap.

A call that waits for another has two moments (dual data structures: Scherer and Scott,
2004).  At its own step the model answers with a `Waiting`, and the step of another call
finishes that; both lie between its beginning and its end.

One that was cancelled must not have been finished in the model.  It never took its
step; or it did, waited, and withdrew at some moment before its end.

Intervals alone say little about those who wait: that a call was pending for long may be
because its step was late.  But at a moment of *rest* whatever can happen has happened.
Then every call that has begun and not ended waits in the model, or is blocked.  If the
model could go on, a wake-up was lost; and what begins later comes behind those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from inspect import iscoroutinefunction
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import attrs

from ._history import Call, History
from ._model import Blocked, Waiting, each_way, outcome_of
from ._pickles import Pickles


@attrs.frozen(eq=False, repr=False)
class Verdict:
    """What came of a search; true if an order was found.

    ``str(verdict)`` shows the history, and how far it can be explained.
    """

    history: History
    order: tuple[Call, ...] | None
    """The calls in the order of their steps; None if no order explains the history.

    Calls that never took their step are not in it.
    """
    furthest: tuple[Call, ...]
    """An order that explains as much as can be."""
    objections: tuple[str, ...]
    """What is wrong with each call that might come next then."""

    def __bool__(self) -> bool:
        return self.order is not None

    def __str__(self) -> str:
        if self:
            return f"explained by this order:\n\n{_listed(self.furthest)}"
        return (
            f"no order explains these calls:\n\n{self.history}\n\n"
            f"The most that can be explained:\n\n{_listed(self.furthest)}\n\n"
            f"And then:\n\n{_listed(self.objections)}"
        )

    def __repr__(self) -> str:
        if self:
            return f"<Verdict: {len(self.furthest)} calls explained>"
        return (
            f"<Verdict: not explained: {'; '.join(self.objections)}; "
            f"after {', '.join(map(str, self.furthest)) or 'nothing'}>"
        )


def _listed(lines: Iterable[object]) -> str:
    return "\n".join(f"    {line}" for line in lines) or "    (nothing)"


def linearizable(model: object, history: History, *, quiet: bool = True) -> Verdict:
    """Look for an order of the calls in `history` in which `model` gives their results.

    The model is a plain class with a method for each verb of the history.  A method
    returns the result, or raises an error of the class, as the real one should in that
    state; or it raises `Blocked`, or returns a `Waiting`.  Results agree if they are
    equal.  A method `settle`, if there is one, is called after each step, and after the
    cancellation of a call that waits, to finish whoever can go on then.

        class Counter:
            value = 0

            def increment(self):
                self.value += 1
                return self.value

        history = History([
            Call("a", "increment", begin=0, end=2, result=1),
            Call("b", "increment", begin=1, end=3, result=1),
        ])
        assert not linearizable(Counter, history)  # an update was lost

    The model is copied for each step, so it must be made of plain data; it must not
    change what it is given.  Four tasks of ten calls take milliseconds; but the time
    grows steeply with how many calls overlap before their order shows.

    Args:
        model: An instance in the state of the beginning, or what makes one.
        history: What was recorded.
        quiet: All was at rest at the end of the history: see `History.rest`.  False if
            it was cut off in the middle; then a call that is pending may be anywhere.

    Raises:
        TypeError: The model lacks a method, or cannot be copied.
    """
    if callable(model):
        model = model()
    search = _Search(model, history, quiet)
    found = search.run()
    return Verdict(
        history=history,
        order=search.order(found) if found else None,
        furthest=search.order(search.furthest),
        objections=() if found else search.objections(),
    )


class _Node(NamedTuple):
    """A point in the search."""

    left: int
    """Which calls have not taken their step, as bits."""
    waiting: int
    """And which have, and wait."""
    model: bytes
    rests: int
    """How many moments of rest are past."""
    path: tuple[int, ...]
    """The steps so far: how one came here makes no other node."""


class _Objection(NamedTuple):
    """Why a step is none that the history has."""

    call: Call
    why: str


_Move: TypeAlias = _Node | _Objection

_BLOCKED = "is blocked"


class _Search:
    """Looks for an order of some calls, which are known by number."""

    def __init__(self, model: object, history: History, quiet: bool) -> None:
        self.calls = sorted(history.calls, key=lambda call: call.end)
        last = [history.end] if quiet else []
        self.rests = [*sorted(history.rests), *last, math.inf]
        self.methods = [_method(model, call.verb) for call in self.calls]
        self.pickles = Pickles(self.calls)
        everything = (1 << len(self.calls)) - 1
        self.start = _Node(everything, 0, self.pickles.dump(model), 0, ())
        self.furthest = self.start

    def run(self) -> _Node | None:
        """Go on from each new node, depth first, to one where all is explained."""
        seen: set[tuple[int, int, bytes, int]] = set()
        stack: list[Iterator[_Move]] = [iter([self.start])]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
            elif isinstance(node, _Node) and node[:4] not in seen:
                seen.add(node[:4])
                self.furthest = max(self.furthest, node, key=_progress)
                if self._is_end(node):
                    return node
                stack.append(self._moves(node))
        return None

    def order(self, node: _Node) -> tuple[Call, ...]:
        """Return the calls whose steps led to `node`."""
        return tuple(self.calls[i] for i in node.path)

    def objections(self) -> tuple[str, ...]:
        """Say what is wrong with every way to go on from the furthest node."""
        node = self.furthest
        found = [move for move in self._moves(node) if isinstance(move, _Objection)]
        waiting = [self.calls[i] for i in _numbers(node.waiting)]
        found += [_Objection(c, "waits") for c in waiting if not c.pending]
        texts = (f"{call}, but in the model it {why}" for call, why in found)
        return tuple(dict.fromkeys(texts))

    def _is_end(self, node: _Node) -> bool:
        """Whether none is left but such as may wait for ever."""
        return self.rests[node.rests] == math.inf and all(
            self.calls[i].pending for i in _numbers(node.left | node.waiting)
        )

    def _moves(self, node: _Node) -> Iterator[_Move]:
        """Try everything that may happen next."""
        unfinished = _numbers(node.left | node.waiting)
        rest = self.rests[node.rests]
        deadline = min([rest, *(self.calls[i].end for i in unfinished)])
        if deadline == rest < math.inf and self._is_at_rest(node):
            yield node._replace(rests=node.rests + 1)
        for i in _numbers(node.left):
            call = self.calls[i]
            if call.begin < deadline:
                yield from each_way(partial(self._step, node, i))
            if call.cancelled and call.end == deadline:
                yield node._replace(left=node.left & ~(1 << i))
        for i in _numbers(node.waiting):
            call = self.calls[i]
            if call.cancelled and call.end < rest:
                yield from each_way(partial(self._withdraw, node, i))

    def _is_at_rest(self, node: _Node) -> bool:
        """Whether nobody who has begun can go on."""
        now = self.rests[node.rests]
        begun = (i for i in _numbers(node.left) if self.calls[i].begin < now)
        return all(self._may_block(node, i) for i in begun)

    def _may_block(self, node: _Node, i: int) -> bool:
        steps = each_way(partial(self._step, node, i))
        return any(isinstance(s, _Objection) and s.why == _BLOCKED for s in steps)

    def _step(self, node: _Node, i: int) -> _Move:
        """Let call `i` take its step."""
        call = self.calls[i]
        model, waiting = self.pickles.load(node.model, _numbers(node.waiting))
        method = self.methods[i](model)
        try:
            outcome = outcome_of(partial(method, *call.args, **call.kwargs))
        except Blocked:
            return _Objection(call, _BLOCKED)
        outcome._call = i
        waiting[i] = outcome
        after = node._replace(left=node.left & ~(1 << i), path=(*node.path, i))
        return self._settle(after, model, waiting)

    def _withdraw(self, node: _Node, i: int) -> _Move:
        """Let call `i` wait no more, as it is cancelled."""
        model, waiting = self.pickles.load(node.model, _numbers(node.waiting))
        waiting.pop(i).over = True
        return self._settle(node, model, waiting)

    def _settle(self, node: _Node, model: Any, waiting: dict[int, Waiting]) -> _Move:
        """Finish a move, and hold what came of it against the history."""
        if hasattr(model, "settle"):
            model.settle()
        for i, outcome in waiting.items():
            call = self.calls[i]
            too_early = call.end > self.rests[node.rests]
            if outcome.over and (too_early or not _agrees(call, outcome)):
                return _Objection(call, str(outcome))
        still = sum(1 << i for i, outcome in waiting.items() if not outcome.over)
        return node._replace(waiting=still, model=self.pickles.dump(model))


def _agrees(call: Call, outcome: Waiting) -> bool:
    """Whether `call` may have ended like this in the model."""
    value, error = outcome._value, outcome._error
    if call.pending:
        return True
    if call.cancelled:
        return False
    if call.raised is not None:
        return error is not None and issubclass(call.raised, type(error))
    return error is None and (value is call.result or bool(value == call.result))


def _numbers(bits: int) -> list[int]:
    """Return the numbers of the bits that are set."""
    return [i for i in range(bits.bit_length()) if bits >> i & 1]


def _progress(node: _Node) -> tuple[int, int, int]:
    return -(node.left | node.waiting).bit_count(), node.rests, len(node.path)


def _method(model: object, verb: str) -> Callable[[Any], Callable[..., Any]]:
    """Return what gets the method for `verb` from a model."""
    find = attrgetter(verb)
    try:
        method = find(model)
    except AttributeError:
        raise TypeError(
            f"{model!r} has no method {verb!r}, but the history has calls of it"
        ) from None
    if iscoroutinefunction(method):
        raise TypeError(f"the methods of a model do not await: write def {verb}(...)")
    return find
