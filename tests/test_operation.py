"""Operations as values, and the protocol for those of one's own."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from csp import (
    CLOSED,
    NOT_READY,
    Channel,
    ChannelClosed,
    Closed,
    Group,
    NotReady,
    Operation,
    Waiter,
    recv,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio


class Signal(Operation[str]):
    """Ready once for each `fire`, as somebody's GPIO pin would be."""

    def __init__(self) -> None:
        self.fired: list[str] = []
        self.waiters: dict[Waiter, None] = {}

    def poll(self) -> Any:
        return self.fired.pop(0) if self.fired else NOT_READY

    def enroll(self, waiter: Waiter) -> None:
        self.waiters[waiter] = None

    def withdraw(self, waiter: Waiter) -> None:
        self.waiters.pop(waiter, None)

    def fire(self, value: str | Exception) -> None:
        while self.waiters:
            waiter, _ = self.waiters.popitem()
            if waiter.claim(self):
                if isinstance(value, Exception):
                    waiter.fail(value)
                else:
                    waiter.wake(value)
                return
        assert isinstance(value, str)
        self.fired.append(value)


async def test_an_operation_of_ones_own_is_awaited_and_selected() -> None:
    """Ready or not, alone or with others, and it leaves nothing behind."""
    signal, ch = Signal(), Channel[int]()
    signal.fire("early")
    assert await signal == "early"
    async with Group() as g:
        alone = g.go(select, signal)
        await anyio.wait_all_tasks_blocked()
        signal.fire("late")
        assert await alone == (0, "late")
        both = g.go(select, recv(ch), signal)
        await anyio.wait_all_tasks_blocked()
        await ch.send(5)
        assert await both == (0, 5)
    assert not signal.waiters


async def test_an_operation_can_fail() -> None:
    """What it fails with comes out of the select, and nothing else happened."""
    signal, ch = Signal(), Channel[int]()
    async with Group() as g:

        async def choose() -> None:
            with pytest.raises(OSError, match="pin is broken"):
                await select(signal, send(ch, 1))

        g.go(choose)
        await anyio.wait_all_tasks_blocked()
        signal.fire(OSError("pin is broken"))
    assert ch.statistics().senders_waiting == 0
    with pytest.raises(anyio.WouldBlock):
        ch.receive_nowait()


async def test_one_operation_serves_any_number_of_performances() -> None:
    """It is a value: kept, shared and used again."""
    ch: Channel[int] = Channel(10)
    give, take = send(ch, 7), recv(ch)
    for _ in range(3):
        await give
        assert await take == 7
    async with Group() as g:
        takers = []
        for _ in range(3):
            takers.append(g.go(select, take))
            await anyio.wait_all_tasks_blocked()
        await ch.send_many([1, 2, 3])
        assert [await taker for taker in takers] == [(0, 1), (0, 2), (0, 3)]


async def test_receiving_from_a_closed_channel_is_ready() -> None:
    """Closing is a broadcast; the item CLOSED is matched by its class."""
    ch: Channel[int] = Channel()
    async with Group() as g:
        waiting = [g.go(select, recv(ch)) for _ in range(3)]
        await anyio.wait_all_tasks_blocked()
        ch.close()
        assert [await h for h in waiting] == [(0, CLOSED)] * 3
    match await select(quit=recv(ch)):
        case "quit", Closed():
            pass
        case other:
            pytest.fail(f"{other}")
    assert await recv(ch) is CLOSED
    with pytest.raises(ChannelClosed) as error:
        await send(ch, 3)
    assert error.value.item == 3


async def test_operations_show_what_they_are() -> None:
    """In a debugger, say."""
    ch: Channel[int] = Channel(name="jobs")
    assert repr(recv(ch)) == "recv(<Channel 'jobs' 0/0 open>)"
    assert repr(send(ch, 4)) == "send(<Channel 'jobs' 0/0 open>, 4)"
    assert repr(recv(None)) == "recv(None)"
    assert (repr(CLOSED), repr(NOT_READY)) == ("csp.CLOSED", "csp.NOT_READY")
    assert [*Closed] == [CLOSED]
    assert [*NotReady] == [NOT_READY]


async def test_operations_are_made_of_the_right_end() -> None:
    """One does not receive from a sender, nor from a list."""
    ch: Channel[int] = Channel()
    with ch.sender() as tx, ch.receiver() as rx:
        with pytest.raises(TypeError, match="recv takes a Channel, a Receiver or None"):
            recv(tx)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="send takes a Channel, a Sender or None"):
            send(rx, 1)  # type: ignore[arg-type]
        for make in (recv, lambda x: send(x, 1)):
            with pytest.raises(TypeError, match=r"not \[1\]"):
                make([1])  # type: ignore[call-overload]


async def test_a_closed_handle_fails_the_select_that_uses_it() -> None:
    """Before it begins, and while it waits."""
    ch: Channel[int] = Channel(name="jobs")
    other: Channel[int] = Channel()
    with ch.sender(), ch.receiver():
        for end, op in [
            (tx := ch.sender(), send(tx, 9)),
            (rx := ch.receiver(), recv(rx)),
        ]:

            async def choose(op: Operation[Any] = op) -> None:
                with pytest.raises(ChannelClosed, match="this handle of channel"):
                    await select(op, recv(other))

            async with Group() as g:
                g.go(choose)
                await anyio.wait_all_tasks_blocked()
                end.close()
            with pytest.raises(ChannelClosed):
                select_nowait(op)
    assert other.statistics().receivers_waiting == 0
