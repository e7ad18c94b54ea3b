"""The types of what a pool, each and map do."""

from __future__ import annotations

from typing import assert_type

from csp import Channel, Handle, Pool, each, map  # noqa: A004


async def double(n: int) -> str:
    """A function for tasks."""
    return str(2 * n)


def halve(n: int) -> float:
    """A function for threads and processes."""
    return n / 2


async def pools() -> None:
    """A pool takes what its function takes, and gives what that returns."""
    async with Pool(double, workers=2) as pool:
        assert_type(await pool.call(1), str)
        assert_type(await pool.submit(1), Handle[str])
        await pool.call("1")  # type: ignore[arg-type]
    async with Pool(halve, workers=2, run_in="thread") as threads:
        assert_type(await threads.call(1), float)


async def sources(ch: Channel[int]) -> None:
    """A function and its source have to fit."""
    await each(double, ch, workers=2)
    await each(double, "abc", workers=2)  # type: ignore[arg-type]
    async with map(double, [1, 2], workers=2) as results:
        async for result in results:
            assert_type(result, str)
