"""Receiving from several sources as if from one channel.

A `Flow` is the state of a channel into which nobody sends.  What is received from it is
taken from a source at that moment, so nothing is ever on its way, and who stops
receiving leaves everything where it was.

Who receives looks at the sources, in random order.  If none has anything, the receiver
waits at the flow, and the flow puts a *tap* into the queue of each source, as if it
waited to receive there.  A tap is a waiter without a task.  Whoever sends to a source
matches it as any other, and it is then the first receiver at the flow who is matched:
an item goes from the sender's hand directly to the receiver's.  If nobody waits there
any more, the tap cannot be claimed, like one who was cancelled, and the next is tried.

Invariants, true whenever none of the methods here is running:

1. A source has ended, or is in `open` or in `empty`, or its tap is out.
2. A tap is out => there is nothing in its source.
3. A receiver waits => the taps are out.

Taps go out when a receiver joins the queue, which `Line` sees, and not when it has
looked.  For a select looks at others in between, and may find the tap: by sending to
what it also receives from.

An async iterable needs a task, which asks it for an item when somebody has looked for
one, and not before.  Hence the case in which an item is in hand: it was asked for, and
then nobody wanted it.  It is the next to be received.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, nullcontext, suppress
from inspect import isasyncgen
from typing import Any, Protocol

import anyio

from ._channel import Channel
from ._ends import Receives
from ._errors import ChannelBroken, WouldBlock
from ._park import Waiter, current
from ._queue import Entry, join, leave
from ._state import END, NOTHING, State


class Task(Protocol):
    """What has to run while a flow is used."""

    scope: anyio.CancelScope

    async def run(self) -> None: ...


class Source:
    """What a flow takes items from."""

    __slots__ = ()

    def take(self) -> Any:
        """Return an item, NOTHING or END, as `State.take`; or raise, which ends it."""
        raise NotImplementedError

    def may_have_more(self) -> bool:
        """Tell whether `take` might return an item."""
        raise NotImplementedError

    def put_out(self) -> None:
        """Tell the flow of the next item, or of the end.  There is nothing now."""

    def leave(self) -> None:
        """Do not tell it any more."""

    def in_hand(self) -> list[Any]:
        """Return, once, what was taken and not given on."""
        return []


class Flow(State[Any]):
    """The state of what is received from several sources."""

    __slots__ = ("empty", "errors", "left", "lost", "open", "sources")

    sources: dict[Source, None]  # those that have not ended
    open: list[Source]  # those of them that may have something
    empty: list[Source]  # those that had nothing at the last look, or a useless tap
    errors: deque[Exception]  # that came out of them, and were not raised yet
    lost: str  # why it has failed, if it has
    left: bool  # whether the block around it has ended

    def __init__(
        self,
        name: str,
        ends: Iterable[Any],
        on_undelivered: Callable[[Any], None] | None,
    ) -> None:
        super().__init__(0, "block", on_undelivered, name)
        self.closed = True  # nobody sends; and so every look at it goes on to `take`
        self.bind(current())
        self.sources = {_source(self, end): None for end in ends}
        self.open = [*self.sources]
        self.empty = []
        self.errors = deque()
        self.lost = ""
        self.left = False
        self.receivers = Line(self)

    def __str__(self) -> str:
        return f"{self.name}(...)"

    def status(self) -> str:
        return "open" if self.sources else "closed"

    def take(self) -> Any:
        item = self.find()
        if item is not NOTHING and item is not END:
            self.received += 1
        return item

    def find(self) -> Any:
        """Take the next item out of any source; it does not count as received yet."""
        if self.buffer:
            return self.buffer.popleft()
        if self.errors or self.lost:
            raise self.error()
        if self.empty:
            self.open += self.empty
            self.empty.clear()
        while self.open:
            if len(self.open) > 1:
                i = int(self.loop.random.random() * len(self.open))
                self.open[i], self.open[-1] = self.open[-1], self.open[i]
            item = self.ask_last()
            if item is not NOTHING and item is not END:
                return item
        return NOTHING if self.sources else END

    def ask_last(self) -> Any:
        """Take from the last of the open sources."""
        source = self.open[-1]
        try:
            item = source.take()
        except BaseException:
            self.open.pop()
            del self.sources[source]
            raise
        if item is NOTHING:
            self.empty.append(self.open.pop())
        elif item is END:
            del self.sources[self.open.pop()]
        return item

    def take_many(self, limit: int) -> list[Any]:
        items: list[Any] = []
        try:
            while len(items) < limit:
                item = self.take()
                if item is NOTHING or item is END:
                    break
                items.append(item)
        except Exception as error:
            self.keep(error)  # for these items are out
        return items

    def drain(self) -> list[Any]:
        """Take out what is in hand; what is in the sources is theirs."""
        self.gather()
        return super().drain()

    def gather(self) -> None:
        """Put what is in hand into the buffer."""
        for source in self.sources:
            for item in source.in_hand():
                self._append(item)

    def wanted(self) -> None:
        """Put out the taps, as somebody has looked and begins to wait."""
        for source in self.empty:
            source.put_out()
        self.empty.clear()

    # For the sources

    def tapped(self, source: Source, item: Any) -> bool:
        """Give on what was given to a tap, unless nobody wants it."""
        self.empty.append(source)
        if not self.hand(item):
            return False
        if self.receivers:
            self.wanted()
        return True

    def hand(self, item: Any) -> bool:
        """Give `item` to the first who waits, if anybody still does."""
        while self.receivers:
            _, (waiter, op, end, _) = self.receivers.popitem(last=False)
            end._parked -= 1
            if waiter.match(op, item):
                self.received += 1
                return True
        return False

    def ended(self, source: Source) -> None:
        """Take note that a source with its tap out will give nothing more."""
        self.open.append(source)
        try:
            self.ask_last()
        except Exception as error:
            self.keep(error)
        self.tell()

    def keep(self, error: Exception) -> None:
        """Have `error` come out of the next receive."""
        if isinstance(error, ChannelBroken):  # a flow that is a source has failed
            self.lost = str(error)
        else:
            self.errors.append(error)

    def fail(self, why: str) -> None:
        """Fail from now on, as a task was cancelled that it cannot do without.

        Most likely all that is around it is being cancelled as well.  So this error is
        for those who receive, and does not have to come out of the block.
        """
        if not self.left and (self.sources or self.buffer):
            self.lost = why
            self.tell()

    def tell(self) -> None:
        """Let those who wait know of errors, and of the end."""
        while self.receivers and (self.errors or self.lost):
            _, (waiter, op, end, _) = self.receivers.popitem(last=False)
            end._parked -= 1
            if waiter.claim(op):
                waiter.fail(self.error())
        if not self.sources and not self.buffer:
            self.close()

    def error(self) -> Exception:
        return self.errors.popleft() if self.errors else ChannelBroken(self.lost)

    # For whoever made it

    def tasks(self) -> list[Task]:
        """Return what has to run in the background."""
        return [source for source in self.sources if isinstance(source, _Feed)]

    def leave(self) -> None:
        """Let go of the sources."""
        self.left = True
        self.gather()
        for source in self.sources:
            source.leave()
        self.sources.clear()
        self.open.clear()
        self.empty.clear()

    def end(self) -> None:
        """Tell all who wait that this is the end; raise what nobody has seen."""
        self.close()
        errors = [*self.errors]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup(f"sources of {self} failed", errors)


class Line(OrderedDict[object, Entry]):
    """The queue of those who wait at a flow."""

    __slots__ = ("_flow",)

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self._flow = flow

    def __setitem__(self, key: object, entry: Entry) -> None:
        super().__setitem__(key, entry)
        self._flow.wanted()


class _Tap(Source, Waiter):
    """A channel or receiver, and what waits there for the flow."""

    __slots__ = ("end", "flow")

    def __init__(self, flow: Flow, end: Receives[Any]) -> None:
        self.flow = flow
        self.end = end
        self.loop = flow.loop
        self.op = None
        end._state.bind(flow.loop)

    def take(self) -> Any:
        return self.end._state.take()

    def may_have_more(self) -> bool:
        state = self.end._state
        if isinstance(state, Flow):
            return bool(state.buffer or state.open or state.empty)
        return bool(state.buffer or state.senders)

    def put_out(self) -> None:
        state = self.end._state
        state.receivers = join(state.receivers, self, (self, self, self.end, END))

    def leave(self) -> None:
        leave(self.end._state.receivers, self)

    def match(self, op: object, value: object) -> bool:
        return self.flow.tapped(self, value)

    def claim(self, op: object) -> bool:
        # Only who closes the channel, or the handle, claims without having an item.
        self.flow.ended(self)
        return False


class _Feed(_Tap):
    """An async iterable, and a channel into which a task sends what comes of it."""

    __slots__ = ("_asked", "_ch", "_items", "scope")

    def __init__(self, flow: Flow, items: AsyncIterable[Any]) -> None:
        self._ch: Channel[Any] = Channel(name=flow.name)
        super().__init__(flow, self._ch)
        self._items: AsyncIterator[Any] = aiter(items)
        self._asked: Channel[None] = Channel()
        self.scope = anyio.CancelScope()

    def take(self) -> Any:
        item = super().take()
        if item is NOTHING:
            with suppress(WouldBlock):  # it is being asked already
                self._asked.send_nowait(None)
        return item

    def in_hand(self) -> list[Any]:
        return self._ch.drain()

    async def run(self) -> None:
        """Ask for items, until there are no more or the scope is cancelled."""
        items: Any = self._items
        closing: Any = aclosing(items) if isasyncgen(items) else nullcontext()
        try:
            async with closing:
                with self.scope:
                    while True:
                        await self._feed_one()
        except StopAsyncIteration:
            self._ch.close()
        except Exception as error:
            self.flow.errors.append(error)
            self._ch.close()
        finally:
            if not self._ch.closed:
                self.flow.fail(f"the task that iterates over {items!r} was cancelled")

    async def _feed_one(self) -> None:
        if self not in self._ch._state.receivers:
            await self._asked.receive()
        item = await anext(self._items)
        try:
            await self._ch.send(item)
        except BaseException:
            self.flow._append(item)
            raise


class _Pull(Source):
    """An iterable: there always is something, until it ends."""

    __slots__ = ("_ahead", "_items")

    def __init__(self, items: Iterable[Any]) -> None:
        self._items: Iterator[Any] = iter(items)
        self._ahead: list[Any] = []

    def take(self) -> Any:
        return self._ahead.pop() if self._ahead else next(self._items, END)

    def may_have_more(self) -> bool:
        if not self._ahead:
            items, self._items = self._items, iter(())  # if it ends or fails, for good
            for item in items:
                self._ahead.append(item)
                self._items = items
                break
        return bool(self._ahead)

    def in_hand(self) -> list[Any]:
        items, self._ahead = self._ahead, []
        return items


def _source(flow: Flow, end: Any) -> Source:
    if isinstance(end, Receives):
        return _Tap(flow, end)
    return _Feed(flow, end) if isinstance(end, AsyncIterable) else _Pull(end)
