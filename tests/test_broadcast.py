"""A broadcast: each item to all who subscribe, or to nobody."""

from __future__ import annotations

import asyncio
import copy
import gc
import math
import pickle
from functools import partial
from importlib.util import find_spec
from typing import Any

import anyio
import pytest
from anyio import to_thread
from anyio import wait_all_tasks_blocked as parked
from anyio.abc import ObjectReceiveStream

from csp import (
    CLOSED,
    Broadcast,
    BroadcastStatistics,
    Channel,
    ChannelClosed,
    EndOfChannel,
    Group,
    WouldBlock,
    after,
    recv,
    run,
    select,
    select_nowait,
    send,
)

pytestmark = pytest.mark.anyio

LOOPS = [name for name in ("asyncio", "trio", "uvloop") if find_spec(name) is not None]


async def test_all_get_all() -> None:
    """In the order in which it was sent."""
    b = Broadcast[int]()
    with b.subscribe(3) as one, b.subscribe(math.inf) as two:
        for n in range(3):
            await b.send(n)
        assert await one.receive_many(9) == await two.receive_many(9) == [0, 1, 2]
    assert b.statistics() == BroadcastStatistics(0, 0, 0, 3, 0)


async def test_a_subscription_is_a_receiver() -> None:
    """With all that receivers have, also for anyio."""
    b = Broadcast[int]("prices")
    with b.subscribe(4) as rx:
        assert isinstance(rx, ObjectReceiveStream)
        assert (rx.name, rx.capacity, len(rx), rx.lagged) == ("prices", 4, 0, 0)
        with pytest.raises(WouldBlock):
            rx.receive_nowait()
        for n in range(4):
            b.send_nowait(n)
        assert repr(rx) == "<Subscription 'prices' 4/4 open>"
        assert select_nowait(recv(rx)).value == 0
        assert await rx.__anext__() == 1
        assert await recv(rx) == 2
        assert rx.drain() == [3]
        assert rx.statistics().received == 4


async def test_everything_about_a_broadcast_can_be_seen() -> None:
    """Its name, who listens, who waits."""
    b = Broadcast[int](name="prices")
    assert (b.name, b.closed, bool(b)) == ("prices", False, True)
    assert repr(b) == "<Broadcast 'prices' to 0 open>"
    b.send_nowait(0)
    with b.subscribe(1) as rx, b.subscribe(1, "drop_newest"):
        b.send_nowait(1)
        async with Group() as g:
            for n in (2, 3):
                g.go(b.send, n)
                await parked()
            assert b.statistics() == BroadcastStatistics(
                subscriptions=2, full=1, senders_waiting=2, sent=2, unheard=1
            )
            assert [await rx.receive() for _ in range(3)] == [1, 2, 3]
    b.close()
    assert b.closed
    assert repr(b) == "<Broadcast 'prices' to 0 closed>"
    assert repr(Broadcast()).startswith("<Broadcast at 0x")


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        ((0,), ValueError, "a subscription needs a capacity of 1 or more"),
        ((-1,), ValueError, "capacity must be 0 or more, not -1"),
        ((1.5,), TypeError, "capacity must be a whole number .* not 1.5"),
        ((True,), TypeError, "capacity must be a whole number .* not True"),
        ((1, "drop"), ValueError, "'drop_oldest' or 'drop_newest', not 'drop'"),
    ],
)
def test_a_wrong_subscription_is_refused(
    args: Any, error: type[Exception], words: str
) -> None:
    """As a wrong channel; and nobody waits for it."""
    b = Broadcast[int]()
    with pytest.raises(error, match=words):
        b.subscribe(*args)
    assert b.statistics().subscriptions == 0


def test_a_wrong_name_is_refused() -> None:
    """As for a channel."""
    with pytest.raises(TypeError, match="name must be a string, not 3"):
        Broadcast(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("take_away", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_cannot_be_copied(take_away: Any) -> None:
    """It belongs to this process."""
    with pytest.raises(TypeError, match="broadcast 'x' cannot be pickled or copied"):
        take_away(Broadcast("x"))


# Who gets what


async def test_with_nobody_there_an_item_goes_nowhere() -> None:
    """The send succeeds, and is counted; later items go to who has come."""
    b = Broadcast[int]()
    await b.send(1)
    with b.subscribe(1) as rx:
        await b.send(2)
        assert await rx.receive() == 2
    assert b.statistics()[3:] == (2, 1)


async def test_who_comes_later_sees_later_items_only() -> None:
    """An item that waits to be sent is a later one."""
    b = Broadcast[int]()
    with b.subscribe(1) as first:
        await b.send(1)
        async with Group() as g:
            g.go(b.send, 2)
            await parked()
            with b.subscribe(9) as second:
                assert [await first.receive() for _ in range(2)] == [1, 2]
                await b.send(3)
                assert second.drain() == [2, 3]
        assert first.drain() == [3]


async def test_clones_share_a_subscription() -> None:
    """Each item goes to one of them; the last one out unsubscribes."""
    b = Broadcast[int]()
    with b.subscribe(2) as one:
        with one.clone() as two:
            await b.send(1)
            await b.send(2)
            assert (await one.receive(), await two.receive()) == (1, 2)
        assert b.statistics().subscriptions == 1
    assert b.statistics().subscriptions == 0


# Slow ones


async def test_a_slow_one_that_blocks_holds_up_all() -> None:
    """Until it has room, and then all get it at once."""
    b = Broadcast[int]()
    with b.subscribe(1) as slow, b.subscribe(9) as quick:
        await b.send(1)
        async with Group() as g:
            g.go(b.send, 2)
            await parked()
            with pytest.raises(WouldBlock, match="a subscription to broadcast .* full"):
                b.send_nowait(3)
            assert quick.drain() == [1]
            assert await slow.receive() == 1
            assert (quick.drain(), slow.drain()) == ([2], [2])


@pytest.mark.parametrize(
    ("overflow", "kept"), [("drop_oldest", [2, 3]), ("drop_newest", [0, 1])]
)
async def test_a_slow_one_that_drops_holds_up_nobody(overflow: Any, kept: Any) -> None:
    """It lags by so many items; the others do not."""
    b = Broadcast[int]()
    with b.subscribe(2, overflow) as slow, b.subscribe(9) as quick:
        for n in range(4):
            b.send_nowait(n)
        assert (slow.lagged, quick.lagged) == (2, 0)
        assert (slow.drain(), quick.drain()) == (kept, [0, 1, 2, 3])
    assert (slow.lagged, quick.lagged) == (2, 0)


async def test_what_is_left_when_one_closes_is_no_lag() -> None:
    """It has given up those by itself."""
    b = Broadcast[int]()
    with b.subscribe(2, "drop_oldest") as rx:
        for n in range(3):
            b.send_nowait(n)
    assert rx.lagged == 1
    assert rx.statistics().undelivered == 3


async def test_several_full_ones_all_have_to_make_room() -> None:
    """By whatever takes something out."""
    b = Broadcast[int]()
    with b.subscribe(1) as one, b.subscribe(1) as two, b.subscribe(1) as three:
        await b.send(1)
        async with Group() as g:
            sending = g.go(b.send, 2)
            await parked()
            assert one.drain() == [1]
            assert await select(recv(two)) == (0, 1)
            await parked()
            assert not sending.finished
            assert await three.receive_many(5) == [1, 2]
            await parked()
            assert sending.finished
        assert (one.drain(), two.drain()) == ([2], [2])


async def test_senders_are_served_in_order() -> None:
    """One for each item that the slowest takes."""
    b = Broadcast[str]()
    with b.subscribe(1) as slow, b.subscribe(math.inf) as log:
        async with Group() as g:
            for letter in "abcd":
                g.go(b.send, letter)
                await parked()
            assert "".join([await slow.receive() for _ in range(4)]) == "abcd"
        assert "".join(log.drain()) == "abcd"


async def test_a_batch_is_sent_with_backpressure() -> None:
    """As to a channel."""
    b = Broadcast[int]()
    with b.subscribe(2) as one, b.subscribe(3) as two:
        async with Group() as g:
            g.go(b.send_many, range(10))
            assert [await one.receive() for _ in range(2)] == [0, 1]
            for n in range(2, 10):
                assert await two.receive() == n - 2
                assert await one.receive() == n
        assert two.drain() == [8, 9]


# Cancelled sends


@pytest.fixture(params=["scope", "native"])
def start(request: pytest.FixtureRequest, backend: str) -> Any:
    """Start a task in a group; returns what cancels it, in either way."""
    if request.param == "scope":
        return lambda g, fn, *args: g.go(fn, *args).cancel
    if backend == "trio":
        pytest.skip("trio has scopes alone")

    def natively(g: Group, fn: Any, *args: Any) -> Any:
        task = asyncio.ensure_future(fn(*args))
        g.go(asyncio.wait, [task])
        return task.cancel

    return natively


async def test_a_cancelled_send_has_reached_nobody(start: Any) -> None:
    """Neither those that had room nor those that had none."""
    b = Broadcast[int]()
    with b.subscribe(1) as slow, b.subscribe(9) as quick:
        await b.send(1)
        async with Group() as g:
            cancel = start(g, b.send, 2)
            await parked()
            cancel()
            assert slow.drain() == [1]  # in the same turn
            await parked()
            await b.send(3)
        assert (slow.drain(), quick.drain()) == ([3], [1, 3])


async def test_a_cancelled_send_that_was_matched_has_reached_all(start: Any) -> None:
    """It is cancelled after that, if it does more."""
    b, log = Broadcast[int](), list[str]()

    async def work() -> None:
        await b.send(2)
        log.append("sent")
        await anyio.sleep_forever()

    with b.subscribe(1) as slow, b.subscribe(9) as quick:
        await b.send(1)
        async with Group() as g:
            cancel = start(g, work)
            await parked()
            assert slow.drain() == [1]
            cancel()
        assert log == ["sent"]
        assert (slow.drain(), quick.drain()) == ([2], [1, 2])


async def test_a_cancelled_send_lets_the_next_through(start: Any) -> None:
    """And the end, if that is what waited for it."""
    b = Broadcast[int]()
    with b.subscribe(1) as rx:
        await b.send(1)
        async with Group() as g:
            cancel = start(g, b.send, 2)
            await parked()
            b.close()
            assert not rx.statistics().undelivered
            cancel()
            await parked()
            assert [n async for n in rx] == [1]


async def test_a_cancelled_send_is_not_waited_for_with_the_end(start: Any) -> None:
    """Who waits gets it, though the one that was full does not read."""
    b = Broadcast[int]()
    with b.subscribe(1), b.subscribe(9) as quick:
        await b.send(1)
        assert await quick.receive() == 1
        async with Group() as g:
            cancel = start(g, b.send, 2)
            waiting = g.go(partial(anext, quick, "end"))
            await parked()
            b.close()
            await parked()
            assert not waiting.finished
            cancel()
            assert await waiting == "end"


async def test_sending_is_an_operation() -> None:
    """A select sends to all or to nobody."""
    b, quiet = Broadcast[int](), Channel[int]()
    with b.subscribe(1) as slow, b.subscribe(9) as quick:
        assert await select(send(b, 1), recv(quiet)) == (0, None)
        assert (await select(send(b, 2), after(0))).which == 1
        async with Group() as g:
            choice = g.go(select, send(b, 3), recv(quiet))
            await parked()
            assert slow.drain() == [1]
            assert await choice == (0, None)
            choice = g.go(select, send(b, 4), recv(quiet))
            await parked()
            await quiet.send(0)
            assert await choice == (1, 0)
        assert (slow.drain(), quick.drain()) == ([3], [1, 3])


async def test_a_select_may_send_to_what_it_receives_from() -> None:
    """It sends if all have room; it does not wait for itself."""
    b = Broadcast[int]()
    with b.subscribe(1) as mine, b.subscribe(1) as slow:
        await b.send(1)
        assert mine.drain() == [1]
        async with Group() as g:
            choice = g.go(select, send(b, 2), recv(mine))
            await parked()
            assert await slow.receive() == 1
            assert await choice == (0, None)
        assert (mine.drain(), slow.drain()) == ([2], [2])


# Closing


async def test_closing_a_subscription_lets_senders_go_on() -> None:
    """The others get what it did not want."""
    b = Broadcast[int]()
    with b.subscribe(1) as slow, b.subscribe(9) as quick:
        await b.send(1)
        async with Group() as g:
            g.go(b.send, 2)
            await parked()
            slow.close()
        assert quick.drain() == [1, 2]


async def test_closing_a_subscription_wakes_who_waits_there() -> None:
    """And nobody else."""
    b = Broadcast[int]()
    with b.subscribe(1) as one, b.subscribe(1) as two:
        async with Group() as g:

            async def fail() -> None:
                with pytest.raises(ChannelClosed, match="handle of a subscription to"):
                    await one.receive()

            g.go(fail)
            waiting = g.go(two.receive)
            await parked()
            one.close()
            await parked()
            assert not waiting.finished
            await b.send(1)
            assert await waiting == 1


async def test_closing_ends_all_subscriptions() -> None:
    """Once they have been read."""
    b = Broadcast[int]()
    with b.subscribe(2) as one, b.subscribe(2) as two:
        async with Group() as g, b:
            waiting = g.go(one.receive)
            await parked()
            await b.send(1)
            await b.send(2)
        assert await waiting == 1
        assert [n async for n in one] == [2]
        assert two.drain() == [1, 2]
        assert await recv(two) is CLOSED
        with pytest.raises(EndOfChannel, match="a subscription to broadcast .* closed"):
            two.receive_nowait()
    b.close()
    await b.aclose()
    with pytest.raises(ChannelClosed, match="cannot send: broadcast .* is closed") as e:
        await b.send(3)
    assert e.value.item == 3


async def test_closing_wakes_who_waits() -> None:
    """With the end."""
    b = Broadcast[int]()
    with b.subscribe(1) as rx:
        async with Group() as g:
            waiting = g.go(partial(anext, rx, "end"))
            await parked()
            b.close()
        assert await waiting == "end"


async def test_what_waits_to_be_sent_is_still_sent() -> None:
    """After closing, as by a channel; and then comes the end."""
    b = Broadcast[int]()
    with b.subscribe(1) as slow, b.subscribe(9) as quick:
        async with Group() as g:
            for n in range(3):
                g.go(b.send, n)
                await parked()
            b.close()
            assert quick.drain() == [0]
            assert [n async for n in slow] == [0, 1, 2]
        assert [n async for n in quick] == [1, 2]


async def test_who_subscribes_after_the_end_is_at_the_end() -> None:
    """Unless something waits to be sent: that is still to come."""
    b = Broadcast[int]()
    with b.subscribe(1) as rx:
        await b.send(1)
        async with Group() as g:
            g.go(b.send, 2)
            await parked()
            b.close()
            with b.subscribe(1) as late:
                assert [n async for n in rx] == [1, 2]
                assert [n async for n in late] == [2]
    with b.subscribe(1) as rx:
        assert [n async for n in rx] == []


async def test_it_can_be_waited_for_until_all_have_everything() -> None:
    """The slowest too, and who waits to send; also after closing."""
    b = Broadcast[int]()
    await b.wait_empty()
    with b.subscribe(1) as slow, b.subscribe(9) as quick:
        async with Group() as g:
            g.go(b.send_many, range(2))
            await parked()
            waiting = g.go(b.wait_empty)
            await parked()
            for n in range(2):
                assert await slow.receive() == n
            b.close()
            await parked()
            assert not waiting.finished
            assert quick.drain() == [0, 1]
            await waiting


async def test_waiting_for_all_ends_with_the_last_receive() -> None:
    """Nothing else has to happen."""
    b = Broadcast[int]()
    with b.subscribe(1) as rx:
        async with Group() as g:
            g.go(b.send_many, range(2))
            await parked()
            waiting = g.go(b.wait_empty)
            for n in range(2):
                await parked()
                assert not waiting.finished
                assert await rx.receive() == n
            await waiting


async def test_who_leaves_is_not_waited_for() -> None:
    """Nor is what it left."""
    b = Broadcast[int]()
    async with Group() as g:
        with b.subscribe(1):
            await b.send(1)
            waiting = g.go(b.wait_empty)
            await parked()
            assert not waiting.finished


async def test_a_forgotten_subscription_is_reported() -> None:
    """It is still counted, as it may be what everybody waits for."""
    b = Broadcast[int]("x")
    with pytest.warns(ResourceWarning, match="<Subscription 'x' 0/1 open> was not cl"):
        b.subscribe(1)
        gc.collect()
    assert b.statistics().subscriptions == 1


# Loops


@pytest.mark.parametrize("other", LOOPS)
async def test_another_loop_is_refused(other: str) -> None:
    """All subscriptions and the senders belong to one loop; nobody gets anything."""
    b = Broadcast[int]()

    async def use() -> None:
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            await rx.receive()
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            b.send_nowait(1)

    with b.subscribe(9) as first, b.subscribe(1) as rx, b.subscribe(1) as mine:
        async with Group() as g:
            waiting = g.go(mine.receive)
            await parked()
            await to_thread.run_sync(partial(run, use, backend=other))
            assert first.drain() == []
            assert not waiting.finished
            await b.send(2)
            assert await waiting == 2
            assert (first.drain(), rx.drain()) == ([2], [2])
