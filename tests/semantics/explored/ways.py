"""The ways to send and to receive one item, and to take one's time."""

from __future__ import annotations

from typing import Any

from anyio.lowlevel import checkpoint

from csp import CLOSED, EndOfChannel, after, recv, select, send


async def send_plainly(tx: Any, item: str) -> None:
    await tx.send(item)


async def send_batch(tx: Any, item: str) -> None:
    await tx.send_many([item])


async def send_alone(tx: Any, item: str) -> None:
    await send(tx, item)


async def send_selected(tx: Any, item: str) -> None:
    await select(after(99), send(tx, item))


async def receive_plainly(rx: Any) -> str:
    return await rx.receive()


async def receive_next(rx: Any) -> str:
    async for item in rx:
        return item
    raise EndOfChannel


async def receive_batch(rx: Any) -> str:
    (item,) = await rx.receive_many(1)
    return item


async def receive_alone(rx: Any) -> str:
    return unless_closed(await recv(rx))


async def receive_selected(rx: Any) -> str:
    return unless_closed((await select(recv(rx), after(99))).value)


def unless_closed(item: Any) -> str:
    if item is CLOSED:
        raise EndOfChannel
    return item


WAYS_TO_SEND = (send_plainly, send_batch, send_alone, send_selected)
WAYS_TO_RECEIVE = (
    receive_plainly,
    receive_next,
    receive_batch,
    receive_alone,
    receive_selected,
)


async def at_once() -> None:
    """Let nobody run."""


async def pause() -> None:
    """Let the others begin, if each takes its turn; under a schedule it may not."""
    await checkpoint()
    await checkpoint()


async def close_soon(end: Any) -> None:
    """Close it after a while, or when cancelled."""
    try:
        await pause()
    finally:
        end.close()
