"""Verdicts on histories made up at random.

Some are held against a search of no wit, which tries everything in any order.  Others
are what a model itself did: they have an explanation, until they are tampered with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from itertools import chain, permutations, product
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from csp.testing import Blocked, Call, History, Waiting, linearizable
from csp.testing._model import outcome_of
from tests.testing.models import Barrier, Lock, Queue, Register, Semaphore, Stock
from tests.testing.simulation import NEW, Simulation

# Of each model: what may be called, and what may come of it.
ALPHABETS: dict[Any, tuple[list[Any], list[Any]]] = {
    Register: ([("read",), ("write", 1), ("write", 2)], [None, 0, 1, 2]),
    Lock: ([("acquire",), ("release",)], [None]),
    Stock: ([("put", 1), ("put", 2), ("get",)], [None, 1, 2, IndexError]),
    Queue: ([("put", 1), ("put", 2), ("get",)], [None, 1, 2]),
    Barrier: ([("meet", 1), ("meet", 2)], [1, 2]),
    partial(Semaphore, 2): ([("acquire", 1), ("acquire", 2), ("release", 1)], [None]),
}


@st.composite
def histories(
    draw: Any, model: Any, length: int, verbs: Any = (), **options: Any
) -> History:
    """Draw what the model may have done."""

    def pick(choices: Sequence[Any]) -> Any:
        return draw(st.sampled_from(choices))

    verbs = verbs or ALPHABETS[model][0]
    return Simulation(model(), verbs, pick, length, **options).run()


@st.composite
def tampered(draw: Any, model: Any, length: int) -> History:
    """Draw a history in which one call is made to end in another way."""
    history = draw(histories(model, length))
    if history.calls:
        call = draw(st.sampled_from(history.calls))
        result = draw(st.sampled_from([*ALPHABETS[model][1], "cancelled", "pending"]))
        change(call, result, history.end)
    return history


def change(call: Call, result: Any, end: float) -> None:
    """Let `call` end with this result; with the last of all, if it was pending."""
    call.end = math.inf if result == "pending" else min(call.end, end)
    call.cancelled = result == "cancelled"
    call.raised = result if isinstance(result, type) else None
    call.result = None if call.raised else result


@attrs.define
class Replay:
    """One way in which a history may have come about."""

    model: Any
    calls: list[Call]
    now: float = -math.inf
    waiting: dict[Call, Waiting] = attrs.Factory(dict)
    done: set[Call] = attrs.Factory(set)

    def is_possible(self, moves: list[tuple[str, Any]]) -> bool:
        return all(getattr(self, move)(about) for move, about in moves)

    def step(self, call: Call) -> bool:
        self.now = max(self.now, call.begin)
        try:
            outcome = outcome_of(partial(getattr(self.model, call.verb), *call.args))
        except Blocked:
            return False
        self.waiting[call] = outcome
        return self.now < call.end and self.settle()

    def withdraw(self, call: Call) -> bool:
        if call not in self.waiting:
            return False
        self.waiting.pop(call).over = True
        self.done.add(call)
        return self.now < call.end and self.settle()

    def settle(self) -> bool:
        getattr(self.model, "settle", lambda: None)()
        ended = [(call, each) for call, each in self.waiting.items() if each.over]
        for call, _ in ended:
            del self.waiting[call]
            self.done.add(call)
        return all(self.now < call.end and agree(call, each) for call, each in ended)

    def rest(self, time: float) -> bool:
        if self.now > time:
            return False
        self.now = time
        return all(self.rests(call, time) for call in self.calls if call.begin < time)

    def rests(self, call: Call, time: float) -> bool:
        if call.end < time:
            return call.cancelled or call in self.done
        return call in self.waiting or (call not in self.done and self.blocks(call))

    def blocks(self, call: Call) -> bool:
        try:
            getattr(deepcopy(self.model), call.verb)(*call.args)
        except Blocked:
            return True
        except Exception:
            return False
        return False


def agree(call: Call, outcome: Waiting) -> bool:
    if call.pending or call.cancelled:
        return False
    if call.raised:
        return isinstance(outcome._error, call.raised)
    return outcome._error is None and outcome._value == call.result


def parts(call: Call) -> list[list[Any]]:
    """Return the ways in which a call may take part in what happens."""
    step, withdraw = ("step", call), ("withdraw", call)
    if call.cancelled:
        return [[], [step, withdraw]]
    return [[], [step]] if call.pending else [[step]]


def explained(model: Any, history: History) -> bool:
    """Try all moves in all orders."""
    rests = [("rest", time) for time in history.rests]
    return any(
        Replay(model(), history.calls).is_possible([*moves, ("rest", history.end)])
        for way in product(*map(parts, history.calls))
        for moves in permutations([*chain(*way), *rests])
    )


each_model = pytest.mark.parametrize("model", ALPHABETS, ids=str)


@each_model
def test_the_search_says_what_one_of_no_wit_says(model: Any) -> None:
    """Of short histories, right or wrong."""

    @given(tampered(model, 4))
    def agree(history: History) -> None:
        assert bool(linearizable(model, history)) == explained(model, history)

    agree()


@each_model
def test_what_the_model_did_is_explained(model: Any) -> None:
    """With its steps in any order, and some of its calls cancelled."""

    @given(histories(model, 20))
    def agree(history: History) -> None:
        verdict = linearizable(model, history)
        assert verdict, str(verdict)

    agree()


# Many histories lack what these are about.
picky = settings(suppress_health_check=[HealthCheck.filter_too_much])

QUEUES = histories(Queue, 12, [("put", NEW), ("get",)])


def received(history: History) -> list[Call]:
    """Return the calls that took out an item."""
    return [call for call in history.calls if call.verb == "get" and call.result]


@picky
@given(QUEUES, st.data())
def test_no_item_is_delivered_twice(history: History, data: st.DataObject) -> None:
    """Such a history is never explained."""
    assume(len(received(history)) > 1)
    one, other = data.draw(st.permutations(received(history)))[:2]
    one.result = other.result
    assert not linearizable(Queue, history)


@picky
@given(QUEUES, st.data())
def test_no_item_comes_from_nowhere(history: History, data: st.DataObject) -> None:
    """Nor is one in which nobody has put in what somebody got."""
    assume(received(history))
    item = data.draw(st.sampled_from(received(history))).result
    history.calls = [call for call in history.calls if call.args != (item,)]
    assert not linearizable(Queue, history)


@picky
@given(QUEUES)
def test_no_wake_up_is_lost(history: History) -> None:
    """Nor one in which somebody waits, and then there is an item for him."""
    assume(any(call.pending for call in history.calls))
    history.spy(Stock()).put("new")
    assert not linearizable(Queue, history)


@given(
    histories(Stock, 12, [("put", NEW), ("get",)], tasks="a", cancel=False), st.data()
)
def test_calls_that_do_not_overlap_have_one_explanation(
    history: History, data: st.DataObject
) -> None:
    """So no other result of any of them has one."""
    call = data.draw(st.sampled_from(history.calls))
    results = [*range(20), None, KeyError, IndexError]
    other = [r for r in results if r not in (call.raised or call.result, call.raised)]
    change(call, data.draw(st.sampled_from(other)), history.end)
    assert not linearizable(Stock, history)
