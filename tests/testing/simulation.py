"""Histories of what never happened: a model plays the real thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import attrs

from csp.testing import Blocked, Call, History, Waiting
from csp.testing._model import outcome_of

Pick = Callable[[Sequence[Any]], Any]

NEW = object()
"""An argument in whose place each call has another number."""


@attrs.define
class Simulation:
    """A few tasks that call a model's methods, with their steps in any order."""

    model: Any
    verbs: list[tuple[Any, ...]]
    pick: Pick  # makes all choices
    left: int  # calls that may still begin
    tasks: str = "abc"
    cancel: bool = True
    history: History = attrs.Factory(History)
    time: int = 0
    current: dict[str, Call] = attrs.Factory(dict)
    outcomes: dict[str, Waiting] = attrs.Factory(dict)

    def run(self) -> History:
        """Go on until all is at rest."""
        while moves := [*self.moves()]:
            self.pick(moves)()
        return self.history

    def moves(self) -> Iterator[Callable[[], None]]:
        """Find what may happen next."""
        for task in self.tasks:
            if task in self.outcomes:
                if self.outcomes[task].over:
                    yield partial(self.end, task)
                elif self.cancel and self.left:
                    yield partial(self.withdraw, task)
            elif task in self.current:
                if not self.is_blocked(task):
                    yield partial(self.step, task)
                if self.cancel and self.left:
                    yield partial(self.withdraw, task)
            elif self.left:
                yield partial(self.begin, task)
        if self.left and self.is_at_rest():
            yield self.rest

    def begin(self, task: str) -> None:
        self.left -= 1
        verb, *args = self.pick(self.verbs)
        now = self.tick()
        args = [now if arg is NEW else arg for arg in args]
        self.current[task] = Call(task, verb, tuple(args), begin=now)
        self.history.calls.append(self.current[task])

    def step(self, task: str) -> None:
        self.outcomes[task] = self.attempt(self.model, self.current[task])
        self.settle()

    def end(self, task: str) -> None:
        outcome, call = self.outcomes.pop(task), self.current.pop(task)
        call.end, call.result = self.tick(), outcome._value
        call.raised = type(outcome._error) if outcome._error else None

    def withdraw(self, task: str) -> None:
        call = self.current.pop(task)
        if task in self.outcomes:
            self.outcomes.pop(task).over = True
            self.settle()
        call.end, call.cancelled = self.tick(), True

    def rest(self) -> None:
        self.left -= 1
        self.history.rests.append(self.tick())

    def tick(self) -> int:
        self.time += 1
        return self.time

    def settle(self) -> None:
        getattr(self.model, "settle", lambda: None)()

    def is_blocked(self, task: str) -> bool:
        try:
            self.attempt(deepcopy(self.model), self.current[task])
        except Blocked:
            return True
        return False

    def is_at_rest(self) -> bool:
        return not any(outcome.over for outcome in self.outcomes.values()) and all(
            task in self.outcomes or self.is_blocked(task) for task in self.current
        )

    @staticmethod
    def attempt(model: Any, call: Call) -> Waiting:
        return outcome_of(partial(getattr(model, call.verb), *call.args))
