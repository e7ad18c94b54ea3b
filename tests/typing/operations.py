"""The types of operations, alone, in collections, and where a type is expected."""

from __future__ import annotations

from typing import Any, assert_type

from csp import Channel, Closed, Operation, recv, select, send


async def alone(ch: Channel[int]) -> None:
    """Receiving gives an item or CLOSED, and sending gives None."""
    operation = recv(ch)
    assert_type(await operation, int | Closed)
    item = await recv(ch)
    if not isinstance(item, Closed):
        assert_type(item, int)
    assert_type(send(ch, 1), Operation[None])


async def collected(channels: list[Channel[int]]) -> None:
    """Operations for many channels can be made in one expression."""
    await select(*(recv(ch) for ch in channels))
    await select(*[send(ch, 1) for ch in channels])
    _mixed = [recv(channels[0]), send(channels[1], 1), None]


def expected(ch: Channel[int]) -> None:
    """An operation is one of anything that its value is."""
    _closed: Operation[int | Closed] = recv(ch)
    _object: Operation[object] = recv(ch)
    _any: Operation[Any] | None = recv(ch)
    _list: list[Operation[object]] = [recv(ch), send(ch, 1)]
