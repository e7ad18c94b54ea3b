"""Server-sent events: how they are written, and that they end with all they hold."""

from __future__ import annotations

import gc
import math

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csp import Broadcast, Channel, stop_scope
from csp.net.http._events import Event, events
from csp.testing import explore

pytestmark = pytest.mark.anyio


def read(stream):
    """Read events as a browser does: HTML standard, 9.2.6, in other words.

    Returns what it dispatches, as (kind, data, last id), and the last id at the end.
    """
    text = stream.decode().replace("\r\n", "\n").replace("\r", "\n")
    dispatched, last_id = [], ""
    for block in text.split("\n\n")[:-1]:
        kind, data = "", []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif name == "id" and "\0" not in value:
                last_id = value
        if data:
            dispatched.append((kind or "message", "\n".join(data), last_id))
    return dispatched, last_id


# Encoding


@pytest.mark.parametrize(
    ("event", "encoded"),
    [
        (Event("a"), b"data: a\n\n"),
        (Event(""), b"data: \n\n"),
        (Event(" a"), b"data:  a\n\n"),
        (Event("a\nb"), b"data: a\ndata: b\n\n"),
        (Event("a\rb\r\nc\n"), b"data: a\ndata: b\ndata: c\ndata: \n\n"),
        (Event("\n"), b"data: \ndata: \n\n"),
        (Event("data: x\0"), b"data: data: x\0\n\n"),
        (Event("\u2028\x85\u00e9"), "data: \u2028\x85\u00e9\n\n".encode()),
        (Event("a", "kind"), b"event: kind\ndata: a\n\n"),
        (Event("a", id="5"), b"id: 5\ndata: a\n\n"),
        (Event("a", id=""), b"id: \ndata: a\n\n"),
        (Event(retry=1.5), b"retry: 1500\n\n"),
        (Event(retry=0), b"retry: 0\n\n"),
        (Event(id="5"), b"id: 5\n\n"),
        (Event("a", "b", "c", 2), b"event: b\nid: c\nretry: 2000\ndata: a\n\n"),
    ],
)
async def test_events_are_written_in_lines(event, encoded):
    """Every line of the data is one of its own, whatever ends it."""
    assert event.encode() == encoded


@pytest.mark.parametrize(
    "event",
    [
        Event("", event="a\nb"),
        Event("", event="a\r"),
        Event("", id="a\nb"),
        Event("", id="a\rb"),
        Event("", id="a\0b"),
        Event("", retry=-1),
        Event("", retry=math.inf),
        Event("", retry=math.nan),
    ],
)
async def test_what_would_be_read_otherwise_is_refused(event):
    """A line end in a name would be another field."""
    with pytest.raises(ValueError, match=r"cannot be the|retry must be"):
        event.encode()


line = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
data = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(data, line, line)))
async def test_a_browser_reads_what_was_written(written):
    """Save that its line ends are all LF."""
    stream = b"".join(Event(*parts).encode() for parts in written)
    expected = [
        (kind or "message", text.replace("\r\n", "\n").replace("\r", "\n"), id_)
        for text, kind, id_ in written
    ]
    assert read(stream)[0] == expected


# The response


async def sent(response, count=None):
    """Return the pieces that are sent, or some of them: then the client goes."""
    got = []
    async with response.body as pieces:
        async for piece in pieces:
            got.append(piece)
            if len(got) == count:
                break
    return got


def channel_of(*items):
    ch = Channel(len(items) or 1)
    for item in items:
        ch.send_nowait(item)
    ch.close()
    return ch


class Numbers:
    """An async iterable that tells whether it was closed."""

    def __init__(self, *items):
        self.items = items
        self.closed = False

    async def generate(self):
        try:
            for item in self.items:
                yield item
            await anyio.sleep_forever()
        finally:
            self.closed = True


async def test_a_response_of_events_says_what_it_is():
    """And that nobody is to keep it."""
    response = events(channel_of())
    assert response.status == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-cache"
    mine = events(channel_of(), headers={"cache-control": "no-store", "X": "y"})
    assert mine.headers.get_all("cache-control") == ["no-store"]
    assert mine.headers["x"] == "y"


@pytest.mark.parametrize("source", [None, 5, ["a"], "text", lambda: None])
async def test_what_is_no_source_is_refused(source):
    """When the response is made."""
    with pytest.raises(TypeError, match="events takes a channel or an async iterable"):
        events(source)


@pytest.mark.parametrize(
    ("seconds", "error"),
    [(0, ValueError), (-1, ValueError), (math.nan, ValueError), ("5", TypeError)],
)
async def test_what_is_no_time_is_refused(seconds, error):
    """An empty comment without end would be sent."""
    with pytest.raises(error, match="keep_alive must be"):
        events(channel_of(), keep_alive=seconds)


async def test_the_header_goes_out_before_anything_happens():
    """By an empty piece, which comes without waiting."""
    ch = Channel()
    async with events(ch).body as pieces:
        with anyio.fail_after(0.5):
            assert await anext(pieces) == b""


ITEMS = ["a", Event("b", id="5")]


async def a_generator():
    for item in ITEMS:
        yield item


def a_subscription():
    broadcast = Broadcast()
    rx = broadcast.subscribe(5)
    for item in ITEMS:
        broadcast.send_nowait(item)
    broadcast.close()
    return rx


@pytest.mark.parametrize(
    "make",
    [
        lambda: channel_of(*ITEMS),
        lambda: channel_of(*ITEMS).receiver(),
        a_generator,
        a_subscription,
    ],
    ids=["channel", "receiver", "generator", "subscription"],
)
async def test_events_come_from_any_source(make):
    """In their order, and the response ends with the source."""
    got = await sent(events(make()))
    assert got == [b"", b"data: a\n\n", b"id: 5\ndata: b\n\n"]


async def test_another_item_cuts_the_response():
    """After what came before it."""
    with pytest.raises(TypeError, match="events sends str and Event, not 5"):
        await sent(events(channel_of("a", 5)))


async def test_an_error_of_the_source_comes_out():
    """And the generator has ended."""

    async def fail():
        yield "a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await sent(events(fail()))


@pytest.mark.clock
async def test_silence_is_broken_by_comments():
    """Every so often, counted from the last thing that was sent."""
    ch = Channel()
    start = anyio.current_time()

    async def happen():
        await anyio.sleep(25)
        await ch.send("a")
        await anyio.sleep(12)
        ch.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(happen)
        async with events(ch, keep_alive=10).body as pieces:
            times = [(anyio.current_time() - start, p) async for p in pieces]
    assert [(round(when), piece) for when, piece in times] == [
        (0, b""),
        (10, b":\n\n"),
        (20, b":\n\n"),
        (25, b"data: a\n\n"),
        (35, b":\n\n"),
    ]


@pytest.mark.clock
async def test_no_comments_are_sent_if_none_are_wanted():
    """`math.inf` seconds never pass."""
    ch = Channel()
    with anyio.move_on_after(1e6):
        await sent(events(ch, keep_alive=math.inf), 2)
        pytest.fail("something was sent")


# Endings


async def test_a_handle_is_closed_at_the_end():
    """Whether the events end, or the client goes."""
    for count in (None, 1, 2):
        rx = channel_of().receiver()
        await sent(events(rx), count)
        assert rx.closed


async def test_a_subscription_ends_with_its_client():
    """Or the next sends would wait for it."""
    broadcast = Broadcast()
    await sent(events(broadcast.subscribe(1)), 1)
    assert broadcast.statistics().subscriptions == 0
    with anyio.fail_after(1):
        for _ in range(3):
            await broadcast.send("x")


async def test_a_channel_stays_open_when_the_client_goes():
    """It is somebody else's, and what is in it is for the next."""
    ch = Channel(2)
    await ch.send_many(["a", "b"])
    assert await sent(events(ch), 2) == [b"", b"data: a\n\n"]
    assert not ch.closed
    assert ch.drain() == ["b"]


@pytest.mark.parametrize("count", [2, 3])  # before that it has not begun
async def test_a_generator_is_closed_when_the_client_goes(count):
    """And no task is left that asks it for more."""
    numbers = Numbers("a", "b")
    await sent(events(numbers.generate()), count)
    assert numbers.closed


async def test_all_is_closed_when_sending_is_cancelled():
    """While it waits for something to happen."""
    numbers = Numbers("a")
    rx = Channel().receiver()
    for source in (numbers.generate(), rx):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sent, events(source))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert numbers.closed
    assert rx.closed


async def test_a_stop_ends_the_response():
    """Though nothing happens; the browser connects again, elsewhere."""
    numbers = Numbers("a")
    ch = Channel(1)
    await ch.send("a")
    for source in (ch, numbers.generate()):
        async with stop_scope() as stop, events(source).body as pieces:
            assert [await anext(pieces), await anext(pieces)] == [b"", b"data: a\n\n"]
            stop.request()
            with anyio.fail_after(1):
                assert [piece async for piece in pieces] == []
    assert numbers.closed


async def test_what_was_in_the_buffer_at_a_stop_is_sent():
    """Such as a farewell; but not what somebody goes on to send."""
    async with stop_scope() as stop:
        ch = Channel(2)
        await ch.send_many(["a", "b"])
        got = []
        async with anyio.create_task_group() as tasks:
            stop.request()
            async with events(ch).body as pieces:
                async for piece in pieces:
                    got.append(piece)
                    if piece:
                        ch.send_nowait("more")
            tasks.cancel_scope.cancel()
        assert got == [b"", b"data: a\n\n", b"data: b\n\n"]
        assert ch.drain() == ["more", "more"]


@pytest.mark.clock
async def test_an_event_that_came_too_late_is_no_loss_of_the_scope():
    """The client went while a comment was sent: nobody is to be told of what came."""

    async def generate():
        await anyio.sleep(12)
        yield "a"

    async with stop_scope(), events(generate(), keep_alive=10).body as pieces:
        assert [await anext(pieces), await anext(pieces)] == [b"", b":\n\n"]
        await anyio.sleep(5)


async def test_a_response_that_is_never_sent_leaves_the_source_as_it_is():
    """Nothing has begun, so nothing warns."""
    ch = channel_of("a")
    events(ch)
    events(Numbers().generate())
    gc.collect()
    assert ch.drain() == ["a"]


async def _one_client(source_is_handle):
    ch = Channel(1)
    end = ch.receiver() if source_is_handle else ch
    got = []

    async def serve():
        try:
            async with events(end, keep_alive=math.inf).body as pieces:
                async for piece in pieces:
                    got.append(piece)  # noqa: PERF401 - it may be cancelled
        finally:
            if source_is_handle:
                assert end.closed

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        for item in "ab":
            try:
                await ch.send(item)
            except anyio.BrokenResourceError:
                break
        ch.close()
    ch.drain()
    assert got == [b"", b"data: a\n\n", b"data: b\n\n"][: len(got)]


@pytest.mark.parametrize("source_is_handle", [True, False])
def test_events_end_well_under_every_schedule(source_is_handle):
    """Cancelled at any point, or not."""
    explore(lambda: _one_client(source_is_handle), runs=100, cancel=True)
