"""A channel and its model, and how to do the same to both."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from itertools import count
from typing import Any, TypeAlias

import anyio
from anyio import wait_all_tasks_blocked as parked
from anyio.from_thread import BlockingPortal

from csp import (
    CLOSED,
    Channel,
    EndOfChannel,
    Operation,
    WouldBlock,
    recv,
    select,
    select_nowait,
    send,
)
from tests.semantics.model import Model, Wait

Case: TypeAlias = tuple[str, Any, Any]  # of a select: kind, end, item or CLOSED

PENDING = "pending"
CANCELLED = "cancelled"
WAITING = object()  # what an operation of the model returns that has to wait


class Call:
    """One operation: what the model expects of it, and what has come of it."""

    future: Future[None]

    def __init__(self, batch: bool) -> None:
        self.batch = batch
        self.expected: Any = PENDING
        self.outcome: Any = PENDING

    async def run(self, fn: Callable[[], Any]) -> None:
        """Let it happen, in a task."""
        try:
            value = fn()
            self.outcome = await value if isawaitable(value) else value
        except anyio.get_cancelled_exc_class():
            self.outcome = CANCELLED
            raise
        except Exception as error:
            self.outcome = described(error)

    def expect(self, value: Any) -> None:
        """Let it end, in the model."""
        self.expected = described(value) if isinstance(value, Exception) else value


def described(error: Exception) -> Any:
    """Make errors comparable: by their types, and the item that they are about."""
    if isinstance(error, ExceptionGroup):
        return [described(part) for part in error.exceptions]
    if isinstance(error, ValueError):
        return ValueError, error.args
    return type(error), getattr(error, "item", None)


class Twins:
    """Both of them, and the operations that were begun on both."""

    def __init__(
        self, portal: BlockingPortal, capacity: int, overflow: Any, callback: str
    ) -> None:
        self.portal = portal
        self.failing = callback == "fails"
        hear = None if callback == "none" else self.hear
        self.ch: Channel[int] = Channel(
            capacity, overflow=overflow, on_undelivered=hear
        )
        self.model = Model(capacity, overflow, hear is not None)
        self.items = count()
        self.told: list[int] = []
        self.calls: list[Call] = []
        self.woken: deque[tuple[Call, Callable[[], Any]]] = deque()
        self.pending: deque[int] = deque()
        self.expected_pending: deque[int] = deque()

    def hear(self, item: int) -> None:
        self.told.append(item)
        self.fail([item])

    def fail(self, given_up: list[int]) -> None:
        """Raise what comes out when the callback was called with these."""
        errors = [ValueError(item) for item in given_up if self.failing and item % 2]
        if errors:
            raise errors[0] if len(errors) == 1 else ExceptionGroup("", errors)

    def do(
        self, fn: Callable[[], Any], model: Callable[[Call], Any], batch: bool = False
    ) -> None:
        """Begin an operation of both, and let everything run until it sleeps."""
        call = Call(batch)
        self.calls.append(call)
        call.future = self.portal.start_task_soon(call.run, fn)
        self.woken.append((call, partial(model, call)))
        self.settle()

    def settle(self) -> None:
        while self.woken:
            call, go_on = self.woken.popleft()
            given_up = len(self.model.given_up)
            try:
                value = go_on()
                self.fail(self.model.given_up[given_up:])
            except Exception as error:
                value = error
            if value is not WAITING:
                call.expect(value)
        self.portal.call(parked)

    def wait(self, kind: str, call: Call, end: object, item: Any, met: Any) -> object:
        self.model.waits.append(Wait(kind, call, end, item, met))
        return WAITING

    def unfinished(self) -> list[Call]:
        return [call for call in self.calls if call.expected == PENDING]

    def cancel(self, call: Call) -> None:
        call.future.cancel()
        self.model.leave(call)
        self.model.settle()
        call.expected = CANCELLED
        self.settle()

    def compare(self) -> None:
        """Raise unless the two agree."""
        outcomes = [call.outcome for call in self.calls]
        assert outcomes == [call.expected for call in self.calls]
        assert self.pending == self.expected_pending
        model, stats = self.model, self.ch.statistics()
        assert self.told == (model.given_up if model.reports else [])
        waits = Counter(wait.kind for wait in model.waits)
        assert stats.senders_waiting == waits["send"]
        assert stats.receivers_waiting == waits["receive"]
        assert stats.length == len(model.buffer)
        assert stats.received == model.received
        assert stats.undelivered == len(model.given_up)
        assert stats.sent == stats.received + stats.undelivered + stats.length
        assert self.ch.closed == model.closed

    # Sending

    def send(self, tx: Any) -> None:
        item = next(self.items)
        self.do(partial(tx.send, item), partial(self.push, deque([item]), tx))

    def send_many(self, tx: Any, length: int) -> None:
        self.pending = deque(next(self.items) for _ in range(length))
        self.expected_pending = self.pending.copy()
        push = partial(self.push, self.expected_pending, tx)
        self.do(partial(tx.send_many, self.pending), push, batch=True)

    def push(self, pending: deque[int], tx: object, call: Call) -> object:
        while pending:
            given_up = len(self.model.given_up)
            if not self.model.offer(pending[0]):
                met = partial(self.pushed, pending, tx, call)
                return self.wait("send", call, tx, pending[0], met)
            pending.popleft()
            self.fail(self.model.given_up[given_up:])
        return None

    def pushed(
        self, pending: deque[int], tx: object, call: Call, error: Exception | None
    ) -> None:
        if error is None:
            pending.popleft()
            self.woken.append((call, partial(self.push, pending, tx, call)))
        else:
            call.expect(error)

    def send_nowait(self, tx: Any) -> None:
        item = next(self.items)
        self.do(partial(tx.send_nowait, item), lambda _: self.push_now(item))

    def push_now(self, item: int) -> None:
        if not self.model.offer(item):
            raise WouldBlock

    # Receiving

    def receive(self, rx: Any) -> None:
        async def receive_one() -> list[int]:
            return [await rx.receive()]

        self.do(receive_one, partial(self.pull, [], 1, rx))

    def receive_many(self, rx: Any, limit: int) -> None:
        pull = partial(self.pull, [], limit, rx)
        self.do(partial(rx.receive_many, limit), pull, batch=True)

    def pull(self, got: list[int], limit: int, rx: object, call: Call) -> object:
        while len(got) < limit:
            try:
                got.append(self.model.take())
            except (WouldBlock, EndOfChannel) as error:
                if got:
                    break
                if isinstance(error, EndOfChannel):
                    raise
                met = partial(self.pulled, limit, rx, call)
                return self.wait("receive", call, rx, EndOfChannel(), met)
        return got

    def pulled(self, limit: int, rx: object, call: Call, item: Any) -> None:
        if isinstance(item, Exception):
            call.expect(item)
        else:
            self.woken.append((call, partial(self.pull, [item], limit, rx, call)))

    def receive_nowait(self, rx: Any) -> None:
        self.do(rx.receive_nowait, lambda _: self.model.take())

    def drain(self) -> None:
        self.do(self.ch.drain, lambda _: self.take_all())

    def take_all(self) -> list[int]:
        items: list[int] = []
        with suppress(WouldBlock, EndOfChannel):
            while True:
                items.append(self.model.take())
        return items

    # Both, and the rest

    def select(self, ends: list[tuple[str, Any]], now: bool) -> None:
        cases: list[Case] = []
        ops: list[Operation[Any]] = []
        for kind, end in ends:
            item = next(self.items) if kind == "send" else CLOSED
            cases.append((kind, end, item))
            ops.append(send(end, item) if kind == "send" else recv(end))
        verb: Any = select_nowait if now else select
        self.do(partial(verb, *ops, priority=True), partial(self.choose, cases, now))

    def choose(self, cases: list[Case], now: bool, call: Call) -> object:
        for which, (kind, _, item) in enumerate(cases):
            try:
                if kind == "receive":
                    return which, self.model.take()
                if self.model.offer(item):
                    return which, None
            except EndOfChannel:
                return which, CLOSED
            except WouldBlock:
                pass
        if now:
            raise WouldBlock
        for which, (kind, end, item) in enumerate(cases):
            self.wait(kind, call, end, item, partial(self.chosen, call, which))
        return WAITING

    def chosen(self, call: Call, which: int, value: Any) -> None:
        call.expect(value if isinstance(value, Exception) else (which, value))

    def wait_empty(self, tx: Any) -> None:
        self.do(tx.wait_empty, partial(self.be_empty, tx))

    def be_empty(self, tx: object, call: Call) -> object:
        if self.model.is_empty():
            return None
        return self.wait("empty", call, tx, None, call.expect)

    def close(self) -> None:
        self.do(self.ch.close, lambda _: self.model.close())

    def close_handle(self, handle: Any, last: Callable[[], None] | None) -> None:
        """Close a handle, and let the model do as the `last` of its kind."""

        def close(_: Call) -> None:
            self.model.evict(handle)
            if last is not None:
                last()

        self.do(handle.close, close)
