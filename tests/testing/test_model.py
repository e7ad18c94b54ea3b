"""What can be a model, what it is asked, and what a verdict says of it."""

from __future__ import annotations

import inspect
import re
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import attrs
import pytest

import csp
from csp.testing import (
    Blocked,
    Call,
    ChannelModel,
    History,
    Waiting,
    choose,
    linearizable,
    select_model,
)
from tests.test_docs import execute
from tests.testing.drawing import drawn
from tests.testing.models import Counter, Lock, Queue, Register, Stock


def test_a_model_is_an_instance_or_what_makes_one() -> None:
    """An instance is as it was afterwards."""
    stock = Stock()
    stock.put(1)
    history = drawn("|| a: get() -> 1")
    assert linearizable(stock, history)
    assert linearizable(lambda: stock, history)
    assert not linearizable(Stock, history)
    assert stock.items == [1]


def test_a_model_may_have_parts() -> None:
    """A verb with a dot is a method of one of them."""

    class Two:
        def __init__(self) -> None:
            self.a, self.b = Queue(), Queue()

    history = History()
    a, b = history.spy(Stock(), "a"), history.spy(Stock(), "b")
    a.put(1)
    b.put(2)
    assert (b.get(), a.get()) == (2, 1)
    assert linearizable(Two, history)


@attrs.define(eq=False)
class Box:
    """An item like no other."""

    content: int


class Kept:
    """Keeps items in all sorts of ways."""

    NOTHING = object()

    def __init__(self) -> None:
        self.queue: deque[Any] = deque(maxlen=3)
        self.by_name: dict[str, Any] = {}
        self.seen: set[int] = set()
        self.last: Any = self.NOTHING
        self.kind: type = Box
        self.check: Callable[[Any], bool] = lambda item: isinstance(item, self.kind)

    def put(self, item: Any, *, name: str = "") -> bool:
        self.queue.append((item, [item]))
        self.by_name[name] = self.last = item
        self.seen.add(len(self.seen))
        return self.check(item)

    def get(self) -> Any:
        if self.last is self.NOTHING:
            raise LookupError
        return self.queue.popleft()

    def get_all(self) -> list[Any]:
        return [self.by_name, self.last, self.seen]


@pytest.mark.parametrize("item", [Box(1), {}, [Box(2)], object(), None, len, Box])
def test_items_need_not_be_copied_compared_or_hashed(item: Any) -> None:
    """Those of the model are the very ones that came and went."""
    history = History()
    kept = Kept()
    spy = history.spy(kept)
    with pytest.raises(LookupError):
        spy.get()
    spy.put(item, name="x")
    spy.get_all()
    assert spy.get() == (item, [item])
    verdict = linearizable(Kept, history)
    assert verdict, str(verdict)


def test_an_equal_item_will_do_and_another_not() -> None:
    """Results are the same if they are equal, as items are that compare by value."""
    one, other = Box(1), Box(1)

    def history(put: Any, got: Any) -> History:
        return History(
            [
                Call("a", "put", (put,), begin=0, end=1),
                Call("a", "get", begin=2, end=3, result=got),
            ]
        )

    assert linearizable(Stock, history([1, {2}], [1, {2}]))
    assert linearizable(Stock, history(one, one))
    assert not linearizable(Stock, history(one, other))


def test_an_error_may_be_more_special_than_the_model_says() -> None:
    """But not another, or a more general one."""
    history = drawn("|| a: get() raised IndexError")

    def failing(error: type[Exception]) -> Any:
        class Model:
            def get(self) -> None:
                raise error

        return Model

    assert linearizable(failing(LookupError), history)
    assert not linearizable(failing(KeyError), history)


def test_choices_are_tried_in_all_combinations() -> None:
    """And none twice."""
    tried = []

    class Dice:
        def throw(self) -> tuple[int, ...]:
            first = choose(range(3))
            thrown = (first, *(choose("ab") for _ in range(first)))
            tried.append(thrown)
            return thrown

    assert not linearizable(Dice, drawn("|| a: throw() -> (2, 'b', 'c')"))
    assert len(set(tried)) == 7
    assert linearizable(Dice, drawn("|| a: throw() -> (2, 'b', 'a')"))
    assert Dice().throw() == (0,)


def test_a_choice_may_be_to_wait() -> None:
    """So that a call may be pending for no reason."""

    class Lazy:
        def go(self) -> None:
            if choose([False, True]):
                raise Blocked

    assert linearizable(Lazy, drawn("|| a: go()\n |-> b: go() pending"))


def test_a_waiting_may_be_in_several_queues() -> None:
    """It is finished once."""

    class Either:
        def __init__(self) -> None:
            self.a, self.b = Queue(), Queue()

        def any(self) -> Waiting:
            waiting = Waiting()
            self.a.getters.append(waiting)
            self.b.getters.append(waiting)
            return waiting

    history = drawn(
        """
        |---|           a: any() -> 1
         :              (all at rest)
          ||            b: b.put(1)
              ||        b: a.put(2)
                ||      c: a.get() -> 2
                  |-->  c: b.get() pending
        """
    )
    assert linearizable(Either, history)


def test_a_long_history_in_which_little_overlaps_takes_little() -> None:
    """No deep recursion either."""
    history = History()
    spy = history.spy(Stock())
    for i in range(250):
        with history.call("clear") as call:
            spy.put(i)
            call.result = []
        assert spy.get() == i
    assert linearizable(Stock, history)


# Mistakes


def test_a_verb_that_the_model_lacks() -> None:
    """It is named, before anything is tried."""
    with pytest.raises(TypeError, match="has no method 'put', but the history has"):
        linearizable(Register(), drawn("|| a: put(1)"))


def test_a_method_that_is_async() -> None:
    """The real thing in place of the model, perhaps."""

    class Real:
        async def get(self) -> None: ...

    with pytest.raises(TypeError, match=r"do not await: write def get\(...\)"):
        linearizable(Real(), drawn("|| a: get()"))


def test_a_model_that_cannot_be_copied() -> None:
    """The error says what cannot."""

    class Open:
        def __init__(self) -> None:
            self.numbers = (i for i in range(3))

    with pytest.raises(TypeError, match="Open object .* cannot be copied: .*generator"):
        linearizable(Open, History())


def test_a_waiting_that_is_not_returned() -> None:
    """Nobody would know whose it is."""

    class Model:
        def get(self) -> None:
            self.waiting = Waiting()

    with pytest.raises(TypeError, match="must be returned by the method that made it"):
        linearizable(Model, drawn("|| a: get()"))


def test_a_waiting_that_two_calls_share() -> None:
    """Each needs its own."""

    class Event:
        def __init__(self) -> None:
            self.waiting: Waiting | None = None

        def wait(self) -> Waiting:
            self.waiting = self.waiting or Waiting()
            return self.waiting

    with pytest.raises(TypeError, match="a Waiting is of one call"):
        linearizable(Event, drawn("|-> a: wait() pending\n |> b: wait() pending"))


# What the verdict says


def test_the_text_of_a_verdict() -> None:
    """It shows the calls, how far one gets, and why not further."""
    history = drawn(
        """
        |--|     a: put(1)
           |--|  b: put(2)
            |-|  c: get() -> 2
        """
    )
    verdict = linearizable(Stock, history)
    assert str(verdict) == (
        "no order explains these calls:\n\n"
        "|--|     a: put(1) -> None\n"
        "   |--|  b: put(2) -> None\n"
        "    |-|  c: get() -> 2\n\n"
        "The most that can be explained:\n\n"
        "    a: put(1) -> None\n"
        "    b: put(2) -> None\n\n"
        "And then:\n\n"
        "    c: get() -> 2, but in the model it returns 1"
    )
    assert repr(verdict) == (
        "<Verdict: not explained: c: get() -> 2, but in the model it returns 1; "
        "after a: put(1) -> None, b: put(2) -> None>"
    )


def test_the_text_of_a_good_verdict() -> None:
    """It shows the order."""
    verdict = linearizable(Counter, drawn("|-| a: increment() -> 1"))
    assert str(verdict) == "explained by this order:\n\n    a: increment() -> 1"
    assert repr(verdict) == "<Verdict: 1 calls explained>"


@pytest.mark.parametrize(
    ("model", "picture", "objection"),
    [
        (Queue, "||   a: get() -> 1", "a: get() -> 1, but in the model it waits"),
        (
            Queue,
            "|--> a: get() pending\n ||  b: put(1)",
            "a: get() pending, but in the model it returns 1",
        ),
        (
            Lock,
            "||   a: acquire()\n  || b: acquire()",
            "b: acquire() -> None, but in the model it is blocked",
        ),
        (
            Stock,
            "||   a: get() -> 1",
            "a: get() -> 1, but in the model it raises IndexError('empty')",
        ),
        (
            Queue,
            "|-x  a: put(1) cancelled\n  || b: get() -> 1",
            "b: get() -> 1, but in the model it waits",
        ),
    ],
)
def test_an_objection_says_what_the_model_does(
    model: Any, picture: str, objection: str
) -> None:
    """Returns, raises, waits or is blocked."""
    assert objection in linearizable(model, drawn(picture)).objections


# The docstrings


@pytest.mark.parametrize(
    "thing",
    [Blocked, ChannelModel, History, Waiting, choose, linearizable, select_model],
    ids=lambda thing: thing.__name__,
)
def test_the_example_in_a_docstring_runs(thing: Any) -> None:
    """It may await at its top level."""
    text = inspect.cleandoc(thing.__doc__) + "\n"
    (example,) = re.findall(r"(?:^ {4}.*\n|^\n)*^ {4}.*\n", text, re.MULTILINE)[:1]
    names = vars(csp.testing) | vars(csp) | {"anyio": anyio}
    execute("docstring", inspect.cleandoc(example), names)
