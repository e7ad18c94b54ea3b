"""A semaphore that hands its permit to one who was cancelled while waiting for it.

The permit is never seen again, and whoever comes next waits for ever.
"""

from __future__ import annotations

from collections import deque

import anyio

from csp import Group


async def naive() -> None:
    await take_turns(Semaphore())


async def mended() -> None:
    await take_turns(MendedSemaphore())


class Semaphore:
    """Has one permit, which goes to those who wait for it in the order they came."""

    def __init__(self) -> None:
        self.free = True
        self.waiting: deque[anyio.Event] = deque()

    async def acquire(self) -> None:
        if self.free:
            self.free = False
        else:
            turn = anyio.Event()
            self.waiting.append(turn)
            await self.wait(turn)

    async def wait(self, turn: anyio.Event) -> None:
        await turn.wait()

    def release(self) -> None:
        if self.waiting:
            self.waiting.popleft().set()
        else:
            self.free = True


class MendedSemaphore(Semaphore):
    """One who is cancelled leaves the queue, or hands on the permit."""

    async def wait(self, turn: anyio.Event) -> None:
        try:
            await turn.wait()
        except BaseException:
            if turn in self.waiting:
                self.waiting.remove(turn)
            else:
                self.release()
            raise


async def take_turns(semaphore: Semaphore) -> None:
    async def work() -> None:
        await semaphore.acquire()
        try:
            await anyio.sleep(1)
        finally:
            semaphore.release()

    async with Group() as g:
        for name in ("ann", "bob", "cid"):
            g.go(work, name=name)
