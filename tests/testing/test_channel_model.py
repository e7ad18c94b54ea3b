"""What the model of a channel does, and that it is told from what a channel may not do.

That it does what a channel does is tested in `tests.semantics.kotlin`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, TypeAlias

import anyio
import pytest

from csp import (
    CLOSED,
    Channel,
    ChannelBroken,
    ChannelClosed,
    EndOfChannel,
    Group,
    WouldBlock,
    recv,
    select,
    send,
)
from csp.testing import ChannelModel, History, Waiting, linearizable, select_model
from tests.testing.drawing import drawn

Rows: TypeAlias = list[tuple[str, ChannelModel, str]]


def pending(outcome: Any) -> Waiting:
    assert isinstance(outcome, Waiting)
    assert not outcome.over
    return outcome


# The model by hand


def test_a_full_channel_lets_senders_wait() -> None:
    """In order, and each moves up when there is room."""
    ch = ChannelModel(1)
    assert ch.send("a") is None
    b, c = pending(ch.send("b")), pending(ch.send("c"))
    assert ch.receive() == "a"
    assert (b.over, c.over, ch.items) == (True, False, ["b"])
    assert [ch.receive_nowait(), ch.receive_nowait()] == ["b", "c"]
    with pytest.raises(WouldBlock):
        ch.receive_nowait()


def test_an_empty_channel_lets_receivers_wait() -> None:
    """In order, and an item goes from hand to hand."""
    ch = ChannelModel()
    one, two = pending(ch.receive()), pending(ch.receive())
    ch.send_nowait("a")
    assert (str(one), str(two)) == ("returns 'a'", "waits")
    one, two.over = two, True  # it was cancelled
    with pytest.raises(WouldBlock):
        ch.send_nowait("b")


def test_what_drops_never_lets_wait() -> None:
    """The oldest item or the new one."""
    oldest, newest = ChannelModel(2, "drop_oldest"), ChannelModel(2, "drop_newest")
    for item in "abc":
        oldest.send(item)
        newest.send_nowait(item)
    assert (oldest.drain(), newest.drain()) == (["b", "c"], ["a", "b"])
    assert ChannelModel(math.inf).send("a") is None


def test_closing_ends_the_wait_of_receivers() -> None:
    """Those of senders end when their items are received."""
    ch = ChannelModel()
    receives, selects = pending(ch.receive()), pending(ch.select(("receive",)))
    ch.close()
    assert (str(receives), str(selects)) == (
        "raises EndOfChannel()",
        f"returns (0, {CLOSED!r})",
    )
    with pytest.raises(EndOfChannel):
        ch.receive()
    assert ch.select(("receive",)) == (0, CLOSED)
    with pytest.raises(ChannelClosed):
        ch.send("a")


def test_senders_that_wait_outlive_the_close() -> None:
    """What they hold can still be received, or drained."""
    ch = ChannelModel()
    one, two = pending(ch.send(1)), pending(ch.send(2))
    ch.close()
    assert (ch.receive(), one.over, two.over) == (1, True, False)
    assert (ch.drain(), two.over) == ([2], True)


def test_breaking_ends_all_waits() -> None:
    """What is in the buffer stays."""
    ch = ChannelModel(1)
    ch.send(1)
    waiting = pending(ch.send(2))
    ch.break_off()
    assert str(waiting).startswith("raises ChannelBroken")
    with pytest.raises(ChannelBroken):
        ch.send_nowait(3)
    assert ch.drain() == [1]


def test_a_select_does_what_it_can() -> None:
    """Or waits for the first that it can do, and does no other."""
    a, b = ChannelModel(), ChannelModel()
    cases = (a, "receive"), (b, "send", 1)
    with pytest.raises(WouldBlock):
        select_model(*cases, nowait=True)
    waiting = pending(select_model(*cases))
    assert b.receive() == 1
    assert str(waiting) == "returns (1, None)"
    pending(a.send(2))
    assert select_model(*cases) == (0, 2)


def test_a_select_may_be_of_one_channel() -> None:
    """It does not meet itself."""
    ch = ChannelModel()
    waiting = pending(ch.select(("send", 1), ("receive",)))
    assert ch.receive() == 1
    assert str(waiting) == "returns (0, None)"
    pending(ch.send(2))
    assert ch.select(("send", 3), ("receive",)) == (1, 2)
    pending(ch.receive())


def test_priority_is_to_the_first() -> None:
    """Of those that can be done."""
    a, b = ChannelModel(1), ChannelModel(1)
    b.send(1)
    history = drawn("|| a: f() -> (1, 1)")

    class Model:
        def __init__(self, first: Any, second: Any, priority: bool) -> None:
            self.cases, self.priority = (first, second), priority

        def f(self) -> Any:
            return select_model(*self.cases, priority=self.priority)

    sends, receives = (a, "send", 2), (b, "receive")
    assert linearizable(Model(sends, receives, False), history)
    assert not linearizable(Model(sends, receives, True), history)
    assert not linearizable(Model(receives, sends, True), history)


# What a channel may do

RIGHT: Rows = [
    (
        "a rendezvous",
        ChannelModel(),
        """
        |--|  a: send(1)
          |-| b: receive() -> 1
        """,
    ),
    (
        "a send that was cancelled",
        ChannelModel(),
        """
        |----x       a: send(1) cancelled
          |----|     b: receive() -> 2
              |---|  c: send(2)
        """,
    ),
    (
        "a sender that moves up",
        ChannelModel(1),
        """
        ||         a: send(1)
          |---|    b: send(2)
            ||     a: receive() -> 1
                || a: receive() -> 2
        """,
    ),
    (
        "any case of a select",
        ChannelModel(1),
        """
        ||       a: send(1)
          ||     a: select(("send", 2), ("receive",), ("receive",)) -> (2, 1)
            |--> a: receive() pending
        """,
    ),
    (
        "any case of a select that waits",
        ChannelModel(),
        """
        |---|  a: select(("send", 1), ("send", 2)) -> (1, None)
         :     (all at rest)
          ||   b: receive() -> 2
        """,
    ),
]

WRONG: Rows = [
    (
        "senders out of order",
        ChannelModel(),
        """
        |-----------|  a: send(1)
         :             (all at rest)
          |---------|  b: send(2)
           :           (all at rest)
             ||        c: receive() -> 2
                ||     c: receive() -> 1
        """,
    ),
    (
        "receivers out of order",
        ChannelModel(1),
        """
        |--------|   a: receive() -> 2
         :           (all at rest)
          |------|   b: receive() -> 1
           :         (all at rest)
             ||      c: send(1)
                ||   c: send(2)
        """,
    ),
    (
        "a newcomer takes the slot of one who waits",
        ChannelModel(1),
        """
        ||               a: send(1)
          |--------|     b: send(2)
           :             (all at rest)
             ||          a: receive() -> 1
               ||        a: send(3)
                    ||   a: receive() -> 3
        """,
    ),
    (
        "a newcomer takes the item of one who waits",
        ChannelModel(1),
        """
        |-------->  a: receive() pending
         :          (all at rest)
           ||       b: send(1)
             ||     b: receive() -> 1
        """,
    ),
    (
        "an item in the buffer, and a receiver who waits",
        ChannelModel(1),
        """
        |-------->  a: receive() pending
           ||       b: send(1)
        """,
    ),
    (
        "both sides wait",
        ChannelModel(),
        """
        |-------->  a: receive() pending
           |----->  b: send(1) pending
        """,
    ),
    (
        "the item of a cancelled send was received",
        ChannelModel(),
        """
        |----x      a: send(1) cancelled
          |----|    b: receive() -> 1
        """,
    ),
    (
        "a cancelled receive has taken the item",
        ChannelModel(1),
        """
        |----x         a: receive() cancelled
          |--|         b: send(1)
               ||      b: receive_nowait() raised WouldBlock
        """,
    ),
    (
        "received twice",
        ChannelModel(2),
        """
        |--|         a: send(1)
           |--|      b: receive() -> 1
            |---|    c: receive() -> 1
        """,
    ),
    (
        "sent, and not there",
        ChannelModel(2),
        """
        ||           a: send(1)
           |--|      b: drain() -> []
        """,
    ),
    (
        "more than there is room for",
        ChannelModel(1),
        """
        ||           a: send(1)
           |--|      a: send(2)
        """,
    ),
    (
        "the newest dropped in place of the oldest",
        ChannelModel(1, "drop_oldest"),
        """
        ||           a: send(1)
          ||         a: send(2)
            ||       a: receive() -> 1
        """,
    ),
    (
        "closed, and a receiver who waits",
        ChannelModel(),
        """
        |------>  a: receive() pending
          ||      b: close()
        """,
    ),
    (
        "closed, with an item inside",
        ChannelModel(1),
        """
        ||        a: send(1)
          ||      a: close()
            ||    a: receive() raised EndOfChannel
        """,
    ),
    (
        "closed, and sent to",
        ChannelModel(1),
        """
        ||        a: close()
          ||      a: send(1)
        """,
    ),
    (
        "a select that does two things",
        ChannelModel(),
        """
        |----|    a: select(("send", 1), ("send", 2)) -> (0, None)
          |--|    b: receive() -> 1
           |--|   c: receive() -> 2
        """,
    ),
    (
        "a select that meets itself",
        ChannelModel(),
        '|---|  a: select(("send", 1), ("receive",)) -> (1, 1)',
    ),
]


@pytest.mark.parametrize(
    ("model", "picture"), [pytest.param(*row, id=name) for name, *row in RIGHT]
)
def test_what_a_channel_may_do(model: ChannelModel, picture: str) -> None:
    """It is explained."""
    verdict = linearizable(model, drawn(picture))
    assert verdict, str(verdict)


@pytest.mark.parametrize(
    ("model", "picture"), [pytest.param(*row, id=name) for name, *row in WRONG]
)
def test_what_a_channel_must_not_do(model: ChannelModel, picture: str) -> None:
    """It is not."""
    assert not linearizable(model, drawn(picture))


# A real channel


class Two:
    """A channel with a buffer and one without."""

    def __init__(self) -> None:
        self.a, self.b = ChannelModel(1), ChannelModel()

    def either(self, item: Any) -> Any:
        return select_model((self.b, "receive"), (self.a, "send", item))


@pytest.mark.anyio
async def test_real_channels_and_the_model_of_them() -> None:
    """As a test of one's own would have them."""
    history = History()
    a, b = Channel[str](1), Channel[str]()
    spy = history.spy(a, "a")

    async def either() -> None:
        with history.call("either", "third") as call:
            call.result = await select(recv(b), send(a, "third"))

    async with Group() as g:
        await spy.send("first")
        for waiting in (partial(spy.send, "second"), either):
            g.go(waiting)
            await anyio.wait_all_tasks_blocked()
            history.rest()
        assert [await spy.receive() for _ in range(3)] == ["first", "second", "third"]
    verdict = linearizable(Two, history)
    assert verdict, str(verdict)
    received = [call for call in history.calls if call.verb == "a.receive"]
    received[1].result, received[2].result = "third", "second"
    assert not linearizable(Two, history)
