"""Programs to explore, and on which loops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, TypeAlias

import pytest
from anyio.lowlevel import checkpoint

from csp import Group

Program: TypeAlias = Callable[[], Awaitable[Any]]

BACKENDS = ["asyncio", *(["trio"] if find_spec("trio") else [])]

on_every_loop = pytest.mark.parametrize("backend", BACKENDS)


def in_turns(*letters: str, steps: int) -> Program:
    """Make a program of tasks that write a letter each, once in a step."""

    async def program() -> str:
        written: list[str] = []

        async def write(letter: str) -> None:
            for step in range(steps):
                if step:
                    await checkpoint()
                written.append(letter)

        async with Group() as g:
            for letter in letters:
                g.go(write, letter)
        return "".join(written)

    return program


async def overdraw() -> None:
    """Look at a balance, and act on it later."""
    balance = 10

    async def withdraw() -> None:
        nonlocal balance
        if balance >= 10:
            await checkpoint()
            balance -= 10

    async with Group() as g:
        g.go(withdraw)
        g.go(withdraw)
    assert balance >= 0, f"balance is {balance}"
