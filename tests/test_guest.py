"""trio as a guest of asyncio: two loops in one thread, and each knows its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from csp import Channel, Group, after, recv, select

trio = pytest.importorskip("trio")


async def work(kind: str) -> tuple[str, list[int]]:
    """Send, receive, select and wait on whichever loop this runs."""
    ch: Channel[int] = Channel()
    got = []
    async with Group() as g:
        g.go(ch.send_many, range(200))
        while len(got) < 200:
            which, value = await select(recv(ch), after(10))
            assert which == 0
            got.append(value)
        await after(0.001)
    return kind, got


def test_host_and_guest_each_use_channels_of_their_own() -> None:
    """Though asyncio's loop can be seen from trio's tasks too."""

    async def host() -> list[Any]:
        loop = asyncio.get_running_loop()
        guest: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            work,
            "trio",
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=guest.set_result,
        )
        results = [await work("asyncio") for _ in range(3)]
        return [*results, (await guest).unwrap()]

    everything = list(range(200))
    assert asyncio.run(host()) == [("asyncio", everything)] * 3 + [("trio", everything)]
