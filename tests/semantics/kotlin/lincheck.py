"""A plain model of a channel, and a search for an order that explains a history.

An operation that waits takes two steps: it queues up, and later it is completed, by
another's step.  An order is good if every operation takes its own step between its
beginning and its end, is completed before its end, and has its result.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import attrs

from csp import CLOSED, WouldBlock

WAITS = "waits"
"""The result of an operation that has not ended."""


@attrs.define(eq=False)
class Call:
    """One operation of one task."""

    verb: str
    item: int
    begin: float = math.inf
    end: float = math.inf
    result: Any = WAITS

    def __deepcopy__(self, memo: object) -> Call:
        return self


@attrs.define
class Model:
    """What is in a channel, and whose sends and receives wait for it.

    A step returns the calls that it completes, with their results.
    """

    capacity: int
    conflated: bool
    items: list[int] = attrs.Factory(list)
    senders: list[Call] = attrs.Factory(list)
    receivers: list[Call] = attrs.Factory(list)
    closed: bool = False

    def step(self, call: Call) -> list[tuple[Call, Any]]:
        """Take the step of `call`."""
        match call.verb.split():
            case [*_, "send"]:
                return self.put(call) or self.wait(call, self.senders)
            case [*_, "receive"]:
                return self.take(call) or self.wait(call, self.receivers)
            case ["drain"]:
                return self.drain(call)
        return self.close(call)

    def wait(self, call: Call, queue: list[Call]) -> list[tuple[Call, Any]]:
        """Queue up, if that is wanted."""
        if call.verb.startswith("nowait"):
            return [(call, WouldBlock)]
        queue.append(call)
        return []

    def put(self, call: Call) -> list[tuple[Call, Any]]:
        """Send, if that can be done now."""
        if self.closed:
            return [(call, CLOSED)]
        if self.receivers:
            return [(call, None), (self.receivers.pop(0), call.item)]
        if len(self.items) == self.capacity and not self.conflated:
            return []
        self.items = [*self.items, call.item][-self.capacity :]
        return [(call, None)]

    def take(self, call: Call) -> list[tuple[Call, Any]]:
        """Receive, if that can be done now."""
        ended: list[tuple[Call, Any]] = []
        if self.senders:
            sender = self.senders.pop(0)
            self.items.append(sender.item)
            ended = [(sender, None)]
        if self.items:
            return [(call, self.items.pop(0)), *ended]
        return [(call, CLOSED)] if self.closed else []

    def close(self, call: Call) -> list[tuple[Call, Any]]:
        """Close: whoever waits to receive is told."""
        self.closed = True
        receivers, self.receivers = self.receivers, []
        return [(call, None), *((receiver, CLOSED) for receiver in receivers)]

    def drain(self, call: Call) -> list[tuple[Call, Any]]:
        """Take all, also what waiting senders hold."""
        items = self.items + [sender.item for sender in self.senders]
        senders, self.senders, self.items = self.senders, [], []
        return [(call, items), *((sender, None) for sender in senders)]


def explained(model: Model, tasks: list[list[Call]], now: float = -1) -> bool:
    """Whether there is an order of steps in which all calls have their results."""
    if not any(tasks):
        return all(call.result is WAITS for call in model.senders + model.receivers)
    return any(
        explained_from(model, tasks, i, max(now, calls[0].begin))
        for i, calls in enumerate(tasks)
        if calls
    )


def explained_from(model: Model, tasks: list[list[Call]], i: int, now: float) -> bool:
    """Whether there is one in which task `i` takes the next step, at this time."""
    model, call = deepcopy(model), tasks[i][0]
    ended = model.step(call)
    return (
        now < call.end
        and all(now < call.end and call.result == result for call, result in ended)
        and explained(model, [*tasks[:i], tasks[i][1:], *tasks[i + 1 :]], now)
    )
