"""A channel beside a model of it.

Hypothesis makes up a life for both: operations begin, wait, meet one another and are
cancelled; handles open and close; the channel closes or breaks.  After every step, when
all tasks are asleep, both have to agree on what came of each operation, and on every
figure.  Selects look in order here, so that nothing is left to chance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from anyio import wait_all_tasks_blocked as parked
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.semantics.twins import Twins

NUMBER = st.integers(0, 5)
SEVERAL = st.lists(NUMBER, min_size=1, max_size=3)


class Life(RuleBasedStateMachine):
    """What may happen."""

    both: Twins

    def __init__(self, portal: BlockingPortal) -> None:
        super().__init__()
        self.portal = portal
        self.senders: list[Any] = []
        self.receivers: list[Any] = []

    @initialize(
        capacity=st.sampled_from([0, 0, 1, 2, 3]),
        overflow=st.sampled_from(["block"] * 3 + ["drop_oldest", "drop_newest"]),
        callback=st.sampled_from(["none", "hears", "fails"]),
    )
    def begin(self, capacity: int, overflow: str, callback: str) -> None:
        overflow = overflow if capacity else "block"
        self.both = Twins(self.portal, capacity, overflow, callback)

    def tx(self, number: int) -> Any:
        return [self.both.ch, *self.senders][number % (1 + len(self.senders))]

    def rx(self, number: int) -> Any:
        return [self.both.ch, *self.receivers][number % (1 + len(self.receivers))]

    @property
    def old(self) -> bool:
        """Whether the channel may end: after that there is little to be seen."""
        return len(self.both.calls) > 30

    def no_batch(self) -> bool:
        """Whether no batch is under way: which of two goes on first is chance."""
        return not any(call.batch for call in self.both.unfinished())

    @rule(ends=SEVERAL)
    def send(self, ends: list[int]) -> None:
        for end in ends:
            self.both.send(self.tx(end))

    @rule(end=NUMBER)
    def send_nowait(self, end: int) -> None:
        self.both.send_nowait(self.tx(end))

    @precondition(no_batch)
    @rule(end=NUMBER, length=NUMBER)
    def send_many(self, end: int, length: int) -> None:
        self.both.send_many(self.tx(end), length)

    @rule(ends=SEVERAL)
    def receive(self, ends: list[int]) -> None:
        for end in ends:
            self.both.receive(self.rx(end))

    @rule(end=NUMBER)
    def receive_nowait(self, end: int) -> None:
        self.both.receive_nowait(self.rx(end))

    @precondition(no_batch)
    @rule(end=NUMBER, limit=st.integers(1, 5))
    def receive_many(self, end: int, limit: int) -> None:
        self.both.receive_many(self.rx(end), limit)

    @rule()
    def drain(self) -> None:
        self.both.drain()

    @rule(
        kinds=st.lists(st.sampled_from(["send", "receive"]), max_size=3),
        end=NUMBER,
        now=st.booleans(),
    )
    def select(self, kinds: list[str], end: int, now: bool) -> None:
        pick = {"send": self.tx, "receive": self.rx}
        self.both.select([(kind, pick[kind](end)) for kind in kinds], now)

    @rule(end=NUMBER)
    def wait_empty(self, end: int) -> None:
        self.both.wait_empty(self.tx(end))

    @precondition(lambda self: self.both.unfinished())
    @rule(number=NUMBER)
    def cancel(self, number: int) -> None:
        calls = self.both.unfinished()
        self.both.cancel(calls[number % len(calls)])

    @precondition(lambda self: self.old)
    @rule()
    def close(self) -> None:
        self.both.close()

    @precondition(lambda self: not self.both.ch.closed and len(self.senders) < 3)
    @rule()
    def open_sender(self) -> None:
        self.senders.append(self.portal.call(self.both.ch.sender))

    @precondition(lambda self: not self.both.model.broken and len(self.receivers) < 3)
    @rule()
    def open_receiver(self) -> None:
        self.receivers.append(self.portal.call(self.both.ch.receiver))

    @precondition(lambda self: len(self.senders) > (not self.old))
    @rule(number=NUMBER)
    def close_sender(self, number: int) -> None:
        handle = self.senders.pop(number % len(self.senders))
        last = None if self.senders else self.both.model.close
        self.both.close_handle(handle, last)

    @precondition(lambda self: len(self.receivers) > (not self.old))
    @rule(number=NUMBER)
    def close_receiver(self, number: int) -> None:
        handle = self.receivers.pop(number % len(self.receivers))
        last = None if self.receivers else self.both.model.break_off
        self.both.close_handle(handle, last)

    @invariant()
    def agree(self) -> None:
        self.both.compare()
        stats = self.both.ch.statistics()
        assert stats.open_senders == len(self.senders)
        assert stats.open_receivers == len(self.receivers)

    def teardown(self) -> None:
        for call in self.both.calls:
            call.future.cancel()
        self.portal.call(parked)
        self.both.failing = False
        for handle in (*self.senders, *self.receivers):
            self.portal.call(handle.close)
        self.portal.call(self.both.ch.drain)


@pytest.mark.clock
def test_a_channel_agrees_with_its_model(
    anyio_backend: tuple[str, dict[str, Any]], scale: Callable[[int, int], int]
) -> None:
    """Through all that Hypothesis can think of."""
    name, options = anyio_backend
    lives = settings(max_examples=scale(60, 3000))
    with start_blocking_portal(name, options) as portal:
        run_state_machine_as_test(lambda: Life(portal), settings=lives)
