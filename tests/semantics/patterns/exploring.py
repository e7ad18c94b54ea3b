"""Small programs that are to hold under any schedule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeAlias

from csp.testing import explore

Program: TypeAlias = Callable[[], Awaitable[None]]

BACKENDS = ("asyncio", *(["trio"] if find_spec("trio") else []))


class Programs(list[Program]):
    """Those of a file."""

    def add(self, program: Program) -> Program:
        """Have this one explored; a decorator."""
        self.append(program)
        return program


def explore_all_ways(program: Program, backend: str, runs: int) -> None:
    """At random and in the order of departures; with a cancellation and without."""
    for cancel in (False, True):
        for search in ({}, {"exhaustive": True}):
            explore(program, runs=runs, backend=backend, cancel=cancel, **search)
