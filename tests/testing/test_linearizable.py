"""Which histories an order explains, and which none does."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeAlias

import pytest

from csp.testing import Call, linearizable
from tests.testing.drawing import drawn
from tests.testing.models import (
    Bag,
    Barrier,
    Counter,
    Lock,
    Queue,
    Register,
    Semaphore,
    Stock,
)

Rows: TypeAlias = list[tuple[str, Any, str]]


EXPLAINED: Rows = [
    ("nothing", Register, ""),
    (
        "one after the other",
        Register,
        """
        |-|          a: write(1)
            |-|      b: read() -> 1
                |-|  a: write(2)
        """,
    ),
    (
        "a read during a write, of the old value",
        Register,
        """
        |----|  a: write(1)
          ||    b: read() -> 0
        """,
    ),
    (
        "a read during a write, of the new value",
        Register,
        """
        |----|  a: write(1)
          ||    b: read() -> 1
        """,
    ),
    (
        "three that overlap, in no order of beginning or end",
        Register,
        """
        |-------|      a: write(1)
          |--------|   b: write(2)
            |---|      c: read() -> 2
                    || c: read() -> 1
        """,
    ),
    (
        "updates that overlap",
        Counter,
        """
        |----|  a: increment() -> 2
          |--|  b: increment() -> 1
           |-|  c: increment() -> 3
        """,
    ),
    (
        "puts that overlap may be in either order",
        Stock,
        """
        |---|          a: put(1)
          |---|        b: put(2)
                |-|    a: get() -> 2
                   ||  a: get() -> 1
        """,
    ),
    (
        "an error that is due",
        Stock,
        """
        |----|     a: get() raised IndexError
          |----|   b: put(1)
               ||  b: get() -> 1
        """,
    ),
    (
        "a lock passed on",
        Lock,
        """
        |-|           a: acquire()
           |------|   b: acquire()
             |--|     a: release()
                  |>  a: acquire() pending
        """,
    ),
    (
        "a lock that was asked for in vain",
        Lock,
        """
        |-|           a: acquire()
           |--x       b: acquire() cancelled
              ||      a: release()
                |--|  a: acquire()
        """,
    ),
    (
        "a get that waits for a put",
        Queue,
        """
        |----|  a: get() -> 1
          ||    b: put(1)
        """,
    ),
    (
        "two that wait, at rest one after the other",
        Queue,
        """
        |----|     a: get() -> 1
         :         (all at rest)
          |-----|  b: get() -> 2
           :       (all at rest)
            ||     c: put(1)
              ||   c: put(2)
        """,
    ),
    (
        "two that wait, and who came first is not known",
        Queue,
        """
        |-------|  a: get() -> 2
          |-----|  b: get() -> 1
            ||     c: put(1)
              ||   c: put(2)
        """,
    ),
    (
        "a wait that has no end",
        Queue,
        """
        |------->  a: get() pending
          |----->  b: get() pending
        """,
    ),
    (
        "a cancelled wait gives the item to the next",
        Queue,
        """
        |----x    a: get() cancelled
         :        (all at rest)
          |-----| b: get() -> 1
           :      (all at rest)
               || c: put(1)
        """,
    ),
    (
        "a call that was cancelled before it did anything",
        Queue,
        """
        ||        a: put(1)
          |---x   b: get() cancelled
            ||    a: put(2)
                || a: get() -> 1
        """,
    ),
    (
        "those who wait are told of the end",
        Queue,
        """
        |-----|  a: get() raised EOFError
          |--|   b: get() raised EOFError
            |-|  c: shut()
        """,
    ),
    (
        "a large request that waits, and is served",
        partial(Semaphore, 2),
        """
        ||                a: acquire(1)
          |--------|      b: acquire(2)
           :              (all at rest)
            |--------|    c: acquire(1)
             :            (all at rest)
              ||          a: release(1)
                   ||     b: release(2)
        """,
    ),
    (
        "a large request that is cancelled lets the small ones in",
        partial(Semaphore, 2),
        """
        ||                a: acquire(1)
          |-----x         b: acquire(2) cancelled
           :              (all at rest)
            |-----|       c: acquire(1)
             :            (all at rest)
        """,
    ),
    (
        "any of what is there",
        Bag,
        """
        ||          a: put(1)
          ||        a: put(2)
            ||      a: put(3)
              ||    a: take() -> 2
                ||  a: take() -> 3
        """,
    ),
    (
        "what is not there is waited for",
        Bag,
        """
        ||          a: put(1)
          |---|     a: take() -> 2
            |---|   b: put(2)
        """,
    ),
    (
        "two that meet",
        Barrier,
        """
        |---|       a: meet(1) -> 2
          |---|     b: meet(2) -> 1
             |---|  a: meet(3) -> 4
               |-|  c: meet(4) -> 3
               |--> d: meet(5) pending
        """,
    ),
]

NOT_EXPLAINED: Rows = [
    (
        "a read of what was overwritten",
        Register,
        """
        ||        a: write(1)
          ||      a: write(2)
            ||    b: read() -> 1
        """,
    ),
    (
        "a value that comes and goes",
        Register,
        """
        |---------|  a: write(1)
          ||         b: read() -> 1
            ||       b: read() -> 0
        """,
    ),
    (
        "a lost update",
        Counter,
        """
        |---|  a: increment() -> 1
          |-|  b: increment() -> 1
        """,
    ),
    (
        "the order of a task's own calls",
        Register,
        """
        ||       a: write(1)
          ||     a: write(2)
        |------| b: read() -> 2
                || b: read() -> 1
        """,
    ),
    (
        "first in, last out",
        Stock,
        """
        ||       a: put(1)
          ||     a: put(2)
            ||   b: get() -> 2
              || b: get() -> 1
        """,
    ),
    (
        "delivered twice",
        Stock,
        """
        |----|    a: put(1)
          |-----| b: get() -> 1
            |---| c: get() -> 1
        """,
    ),
    (
        "delivered by nobody",
        Stock,
        """
        |---| a: put(1)
          |-| b: get() -> 2
        """,
    ),
    (
        "sent and gone",
        Stock,
        """
        ||     a: put(1)
          |-|  b: get() raised IndexError
        """,
    ),
    (
        "delivered before it was sent",
        Stock,
        """
        ||     a: get() -> 1
          ||   b: put(1)
        """,
    ),
    (
        "the wrong error",
        Stock,
        "||   a: get() raised KeyError",
    ),
    (
        "an error instead of a result",
        Register,
        "||   a: read() raised ValueError",
    ),
    (
        "a result instead of an error",
        Stock,
        "||   a: get() -> None",
    ),
    (
        "a lock held by two",
        Lock,
        """
        |-|       a: acquire()
          |---|   b: acquire()
        """,
    ),
    (
        "a lock that is free, and waited for",
        Lock,
        """
        |-|         a: acquire()
            |---->  b: acquire() pending
               ||   a: release()
        """,
    ),
    (
        "a wake-up that was lost",
        Queue,
        """
        |----->  a: get() pending
          ||     b: put(1)
        """,
    ),
    (
        "a wake-up that was swallowed by one who was cancelled",
        Queue,
        """
        |-----x    a: get() cancelled
         :         (all at rest)
          |----->  b: get() pending
           :       (all at rest)
            ||     c: put(1)
        """,
    ),
    (
        "a wake-up that was lost, and then it was cancelled",
        Queue,
        """
        |-------x  a: get() cancelled
          ||       b: put(1)
             :     (all at rest)
        """,
    ),
    (
        "a wake-up that came late",
        Queue,
        """
        |---------|  a: get() -> 1
          ||         b: put(1)
             :       (all at rest)
        """,
    ),
    (
        "one who was cancelled took the item",
        Queue,
        """
        |----x          a: get() cancelled
          |---|         b: put(1)
                 |-->   c: get() pending
        """,
    ),
    (
        "one who was cancelled put the item",
        Queue,
        """
        |--x      a: put(1) cancelled
         :        (all at rest)
            |--|  b: get() -> 1
        """,
    ),
    (
        "overtaken in the queue",
        Queue,
        """
        |-------|  a: get() -> 2
         :         (all at rest)
          |-----|  b: get() -> 1
           :       (all at rest)
            ||     c: put(1)
              ||   c: put(2)
        """,
    ),
    (
        "a small request overtakes a large one",
        partial(Semaphore, 2),
        """
        ||          a: acquire(1)
          |------>  b: acquire(2) pending
           :        (all at rest)
            ||      c: acquire(1)
        """,
    ),
    (
        "a large request that is cancelled, and still in the way",
        partial(Semaphore, 2),
        """
        ||          a: acquire(1)
          |---x     b: acquire(2) cancelled
           :        (all at rest)
            |---->  c: acquire(1) pending
        """,
    ),
    (
        "none of what is there",
        Bag,
        """
        ||       a: put(1)
          ||     a: put(2)
            ||   a: take() -> 3
        """,
    ),
    (
        "something is there, and waited for",
        Bag,
        """
        ||       a: put(1)
        |----->  b: take() pending
        """,
    ),
    (
        "two that meet, and one stays",
        Barrier,
        """
        |---|   a: meet(1) -> 2
          |-->  b: meet(2) pending
        """,
    ),
    (
        "all calls of a task that waits",
        Barrier,
        """
        |---->  a: meet(1) pending
          |-->  b: meet(2) pending
        """,
    ),
]

cases = partial(pytest.mark.parametrize, "model, picture")


@cases([pytest.param(*row, id=name) for name, *row in EXPLAINED])
def test_a_history_that_an_order_explains(model: Any, picture: str) -> None:
    """The verdict has it."""
    history = drawn(picture)
    verdict = linearizable(model, history)
    assert verdict, str(verdict)
    assert verdict.order is not None
    assert set(verdict.order) >= {c for c in history.calls if has_ended(c)}


@cases([pytest.param(*row, id=name) for name, *row in NOT_EXPLAINED])
def test_a_history_that_no_order_explains(model: Any, picture: str) -> None:
    """The verdict says what is wrong."""
    verdict = linearizable(model, drawn(picture))
    assert not verdict
    assert verdict.order is None
    assert verdict.objections


def has_ended(call: Call) -> bool:
    return not (call.pending or call.cancelled)


# Histories that were cut off

CUT_OFF: Rows = [
    ("done", Queue, "|-->  a: put(1) pending\n  ||  b: get() -> 1"),
    ("not done", Stock, "|-->  a: put(1) pending\n  ||  b: get() raised IndexError"),
    ("done, and yet to return", Queue, "|-->  a: get() pending\n ||   b: put(1)"),
    ("waiting", Queue, "|-->  a: get() pending"),
    ("blocked", Lock, "||    a: acquire()\n  |>  b: acquire() pending"),
    ("about to", Lock, "|->   a: acquire() pending"),
]


@cases([pytest.param(*row, id=name) for name, *row in CUT_OFF])
def test_what_is_pending_in_a_history_cut_off(model: Any, picture: str) -> None:
    """May be anywhere."""
    assert linearizable(model, drawn(picture), quiet=False)


def test_a_history_cut_off_need_not_be_explained() -> None:
    """The calls that ended have to be."""
    picture = "|-->  a: put(1) pending\n  ||  b: get() -> 2"
    assert not linearizable(Queue, drawn(picture), quiet=False)


def test_all_was_at_rest_in_a_history_cut_off() -> None:
    """Then whoever was pending was waiting."""
    picture = "|------>  a: get() pending\n ||       b: put(1)\n    :     (all at rest)"
    assert not linearizable(Queue, drawn(picture), quiet=False)
