"""An account that is looked at, and then drawn on, with a wait in between."""

from __future__ import annotations

import anyio
from anyio.lowlevel import checkpoint

from csp import Group


async def naive() -> None:
    await overdraw(Account())


async def mended() -> None:
    await overdraw(MendedAccount())


class Account:
    """Holds money, never less than none."""

    def __init__(self) -> None:
        self.balance = 0

    async def withdraw(self, amount: int) -> None:
        if self.balance >= amount:
            await checkpoint()  # to ask the bank, say
            self.balance -= amount


class MendedAccount(Account):
    """Is used by one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = anyio.Lock()

    async def withdraw(self, amount: int) -> None:
        async with self.lock:
            await super().withdraw(amount)


async def overdraw(account: Account) -> None:
    async def earn() -> None:
        await checkpoint()
        account.balance += 10

    async with Group() as g:
        g.go(account.withdraw, 10)
        g.go(account.withdraw, 10)
        g.go(earn)
    assert account.balance >= 0, f"the balance is {account.balance}"
