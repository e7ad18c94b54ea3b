"""A mailbox whose owner sees that it is empty, and only then asks to be woken.

If there is a wait in between, mail may come meanwhile, and wakes nobody.
"""

from __future__ import annotations

from collections import deque

import anyio
from anyio.lowlevel import checkpoint

from csp import Group


async def naive() -> None:
    await correspond(Mailbox())


async def mended() -> None:
    await correspond(MendedMailbox())


class Mailbox:
    """Keeps letters for one owner, who may wait for them."""

    def __init__(self) -> None:
        self.letters: deque[str] = deque()
        self.arrival = anyio.Event()

    def put(self, letter: str) -> None:
        self.letters.append(letter)
        self.arrival.set()

    async def take(self) -> str:
        if not self.letters:
            await self.rest()
            self.arrival = anyio.Event()
            await self.arrival.wait()
        return self.letters.popleft()

    async def rest(self) -> None:
        await checkpoint()


class MendedMailbox(Mailbox):
    """Misses nothing from the look on."""

    async def take(self) -> str:
        if not self.letters:
            self.arrival = anyio.Event()
            await self.rest()
            await self.arrival.wait()
        return self.letters.popleft()


async def correspond(mailbox: Mailbox) -> None:
    async def write() -> None:
        await checkpoint()
        mailbox.put("hello")

    async with Group() as g:
        g.go(write)
        assert await mailbox.take() == "hello"
