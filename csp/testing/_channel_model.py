"""What a channel does, one operation after the other: a model for `linearizable`."""

from __future__ import annotations

from typing import Any, NamedTuple

from csp._errors import ChannelBroken, ChannelClosed, EndOfChannel, WouldBlock
from csp._operation import CLOSED
from csp._state import Overflow

from ._model import Waiting, choose


class _Place(NamedTuple):
    """A place in a queue; a select that waits may have several."""

    waiting: Waiting
    which: int | None  # the case of the select; None for an operation alone
    item: Any = None  # what a sender has

    def finish(self, value: Any = None) -> None:
        self.waiting.finish(value if self.which is None else (self.which, value))


class ChannelModel:
    """A model of a `Channel` that nobody has taken handles from.

    It has the verbs that take effect at one moment: so not `send_many` and
    `receive_many`; nor `wait_empty`, which may miss that the channel was empty for a
    moment.  `break_off` is the closing of the last receiver.  A case of a select is
    ``("receive",)`` or ``("send", item)``.

        ch: Channel[str] = Channel(1)
        history = History()
        await history.spy(ch).send("a")
        with history.call("select", ("receive",), ("send", "b")) as call:
            call.result = await select(recv(ch), send(ch, "b"))
        print(linearizable(ChannelModel(1), history))

    Args:
        capacity: As the channel's.
        overflow: As the channel's.
    """

    def __init__(self, capacity: float = 0, overflow: Overflow = "block") -> None:
        self.capacity = capacity
        self.overflow = overflow
        self.items: list[Any] = []
        self.senders: list[_Place] = []
        self.receivers: list[_Place] = []
        self.closed: bool = False
        self.broken: bool = False

    def send(self, item: Any) -> Waiting | None:
        """Put `item` in, or wait."""
        if not self.can("send"):
            return self.wait(Waiting(), None, "send", item)
        self.put(item)
        return None

    def send_nowait(self, item: Any) -> None:
        """Put `item` in now."""
        if not self.can("send"):
            raise WouldBlock
        self.put(item)

    def receive(self) -> Any:
        """Take an item out, or wait."""
        if not self.can("receive"):
            return self.wait(Waiting(), None, "receive")
        return self.take()

    def receive_nowait(self) -> Any:
        """Take an item out now."""
        if not self.can("receive"):
            raise WouldBlock
        return self.take()

    def select(self, *cases: tuple[Any, ...], **options: bool) -> Any:
        """Do one of `cases`, all of this channel; options as of `select_model`."""
        return select_model(*((self, *case) for case in cases), **options)

    def drain(self) -> list[Any]:
        """Take everything out, also what waiting senders hold."""
        items, self.items = self.items, []
        while sender := _first(self.senders):
            sender.finish()
            items.append(sender.item)
        return items

    def close(self) -> None:
        """Tell those who wait to receive."""
        self.closed = True
        while receiver := _first(self.receivers):
            if receiver.which is None:
                receiver.waiting.fail(EndOfChannel())
            else:
                receiver.finish(CLOSED)

    def break_off(self) -> None:
        """Close, and tell those who wait to send."""
        self.close()
        self.broken = True
        while sender := _first(self.senders):
            sender.waiting.fail(ChannelBroken())

    # The parts of a send and a receive

    def can(self, verb: str, *_: Any) -> bool:
        """Whether that need not wait."""
        if verb == "receive":
            return bool(self.closed or self.items or _alive(self.senders))
        room = len(self.items) < self.capacity or self.overflow != "block"
        return bool(self.closed or room or _alive(self.receivers))

    def do(self, verb: str, *item: Any) -> Any:
        """Do a case of a select."""
        if verb == "send":
            return self.put(*item)
        try:
            return self.take()
        except EndOfChannel:
            return CLOSED

    def wait(
        self, waiting: Waiting, which: int | None, verb: str, *item: Any
    ) -> Waiting:
        """Queue up."""
        queue = self.senders if verb == "send" else self.receivers
        queue.append(_Place(waiting, which, *item))
        return waiting

    def put(self, item: Any) -> None:
        """Hand `item` to the first who waits for it, or to the buffer."""
        if self.closed:
            raise ChannelBroken if self.broken else ChannelClosed
        if receiver := _first(self.receivers):
            receiver.finish(item)
            return
        self.items.append(item)
        if len(self.items) > self.capacity:
            self.items.pop(0 if self.overflow == "drop_oldest" else -1)

    def take(self) -> Any:
        """Take the oldest item; the first who waits to send moves up."""
        if sender := _first(self.senders):
            sender.finish()
            self.items.append(sender.item)
        if not self.items:
            raise EndOfChannel
        return self.items.pop(0)


def select_model(
    *cases: tuple[Any, ...], priority: bool = False, nowait: bool = False
) -> Any:
    """Model a select over any number of channels, for a model that has several.

        class Two:
            def __init__(self):
                self.a, self.b = ChannelModel(), ChannelModel(1)

            def either(self, item):
                return select_model((self.a, "receive"), (self.b, "send", item))

    Args:
        cases: Each ``(channel, "receive")`` or ``(channel, "send", item)``.
        priority: Take the first in order that can be done.
        nowait: Raise `WouldBlock` if none can be.
    """
    ready = [which for which, (ch, *case) in enumerate(cases) if ch.can(*case)]
    if ready:
        which = ready[0] if priority else choose(ready)
        ch, *case = cases[which]
        return which, ch.do(*case)
    if nowait:
        raise WouldBlock
    waiting = Waiting()
    for which, (ch, *case) in enumerate(cases):
        ch.wait(waiting, which, *case)
    return waiting


def _alive(queue: list[_Place]) -> list[_Place]:
    return [place for place in queue if not place.waiting.over]


def _first(queue: list[_Place]) -> _Place | None:
    """Return the place of the first who still waits; of a select with several, any."""
    queue[:] = _alive(queue)
    places = [place for place in queue if place.waiting is queue[0].waiting]
    return choose(places) if places else None
