"""anyio's memory stream loses an item if its receiver is cancelled natively.

The receiver has been given the item and woken, and is cancelled before it has run.  On
trio, and by anyio's own scopes, nobody can be cancelled then.
"""

from __future__ import annotations

from contextlib import suppress

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from csp import Channel


async def memory_stream() -> None:
    await transfer(*anyio.create_memory_object_stream[int](0))


async def channel() -> None:
    ch: Channel[int] = Channel()
    await transfer(ch.sender(), ch.receiver())


async def transfer(tx: ObjectSendStream[int], rx: ObjectReceiveStream[int]) -> None:
    sent: set[int] = set()
    received: set[int] = set()

    async def produce() -> None:
        async with tx:
            with suppress(anyio.BrokenResourceError):  # the consumer may be gone
                for i in range(2):
                    await tx.send(i)
                    sent.add(i)

    async def consume() -> None:
        async with rx:
            async for i in rx:
                received.add(i)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(produce)
        tasks.start_soon(consume)
    assert sent <= received, f"{sent - received} lost"
