"""Prime sieves: Go's test/chan/sieve1.go and sieve2.go."""

from __future__ import annotations

from collections import deque
from heapq import heappush, heapreplace

import pytest

from csp import Channel, go, recv, select, send
from tests.semantics.go.words import program, scratch

pytestmark = pytest.mark.anyio

PRIMES = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41]
PRIMES += [43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97]


async def numbers(start: int, step: int, out: Channel[int]) -> None:
    """Send start, start + step, start + 2 * step, and so on for ever."""
    while True:
        await out.send(start)
        start += step


async def without_multiples(
    prime: int, source: Channel[int], out: Channel[int]
) -> None:
    """Copy `source` to `out`, without what `prime` divides."""
    async for number in source:
        if number % prime:
            await out.send(number)


async def test_a_chain_with_a_filter_for_each_prime() -> None:
    """What passes all filters so far is a prime, and gets a filter of its own."""
    primes: list[int] = []
    async with program() as g:
        source: Channel[int] = Channel()
        g.go(numbers, 2, 1, source)
        while len(primes) < len(PRIMES):
            primes.append(await source.receive())
            filtered: Channel[int] = Channel()
            g.go(without_multiples, primes[-1], source, filtered)
            source = filtered
    assert primes == PRIMES


async def send_proxy(proxy: Channel[int], out: Channel[int]) -> None:
    """Be a buffer without limit: receive at any time what cannot be sent on yet."""
    queue: deque[int] = deque()
    while True:
        forward = send(out, queue[0]) if queue else None
        match await select(recv(proxy), forward):
            case 0, item:
                queue.append(item)
            case _:
                queue.popleft()


async def merge_multiples(primes: Channel[int], composites: Channel[int]) -> None:
    """Send all odd multiples of `primes` from their squares on, in order, each once."""
    heap: list[tuple[int, int]] = []  # the next multiple of a prime, and its place
    streams: list[Channel[int]] = []
    last = 0

    async def advance() -> None:
        """Send the least multiple, unless another prime had it too."""
        nonlocal last
        least, i = heap[0]
        heapreplace(heap, (await streams[i].receive(), i))
        if least != last:
            await composites.send(least)
            last = least

    while True:
        prime = await primes.receive()
        square = prime * prime
        stream = scratch(10)
        go(numbers, square + 2 * prime, 2 * prime, stream)
        while heap and heap[0][0] < square:
            await advance()
        await composites.send(square)  # the next prime cannot be found without it
        streams.append(stream)
        heappush(heap, (await stream.receive(), len(streams) - 1))


async def sieve(out: Channel[int]) -> None:
    """Send 2, 3, and the odd numbers that the primes so far do not strike out."""
    composites, candidates, primes = scratch(50), scratch(50), scratch(10)
    proxy = scratch(10)
    go(merge_multiples, primes, composites)
    go(numbers, 5, 2, candidates)
    go(send_proxy, proxy, primes)
    await out.send(2)
    await out.send(3)
    await primes.send(3)
    candidate = await candidates.receive()
    async for composite in composites:
        while candidate < composite:
            await proxy.send(candidate)
            await out.send(candidate)
            candidate = await candidates.receive()
        if candidate == composite:
            candidate = await candidates.receive()


async def test_a_sieve_that_feeds_its_primes_back() -> None:
    """Its merge needs primes more slowly than they come; a proxy buffers them."""
    out = scratch(10)
    async with program() as g:
        g.go(sieve, out)
        assert [await out.receive() for _ in PRIMES] == PRIMES
