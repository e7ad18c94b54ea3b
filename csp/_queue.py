"""A queue of waiters: first in, first out, and left from anywhere in O(1).

A plain `OrderedDict`, whose linked list in C is just that; no class of our own is
around it, so that asking whether anybody waits stays a C-level truth test.  (A deque
with tombstones made a rendezvous 4 % faster, and kept the items of cancelled senders
alive until its next compaction.)

An entry's key is the waiter for a task that waits for one thing, and (waiter,
operation) for a select, which may stand in a queue more than once.  Both hash by
identity: no item is ever asked for its `__eq__`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final, TypeAlias

from ._park import Waiter


class End:
    """What waiters wait at: a channel, or a handle to one."""

    __slots__ = ("_parked",)

    _parked: int
    """How many of its waiters are in queues, so that a handle that closes need not
    search them for its own when there are none."""


# Who waits, on behalf of which operation, at which end, and with what: a sender's
# item, or what a receiver is to be told when the channel ends.
Entry: TypeAlias = tuple[Waiter, object, End, Any]

Queue: TypeAlias = "OrderedDict[object, Entry]"

NOBODY: Final[Queue] = OrderedDict()
"""The queue that nobody has joined yet.  All channels share it until somebody does."""


def join(queue: Queue, key: object, entry: Entry) -> Queue:
    """Add `entry` at the end of `queue`; returns the queue, made if it was NOBODY."""
    if queue is NOBODY:
        queue = OrderedDict()
    queue[key] = entry
    entry[2]._parked += 1
    return queue


def leave(queue: Queue, key: object) -> None:
    """Take the entry of `key` out of `queue`, if it is still there."""
    entry = queue.pop(key, None)
    if entry is not None:
        entry[2]._parked -= 1


def claim_first(queue: Queue) -> tuple[Waiter, Any] | None:
    """Claim the first who still waits, taking out whoever no longer does.

    Returns that waiter, which is now to be woken, and what it waits with.
    """
    while queue:
        _, (waiter, op, end, item) = queue.popitem(last=False)
        end._parked -= 1
        if waiter.claim(op):
            return waiter, item
    return None


def extract(queue: Queue, end: End) -> Queue:
    """Take all entries of `end` out of `queue`, into one of their own."""
    mine = OrderedDict((k, entry) for k, entry in queue.items() if entry[2] is end)
    for key in mine:
        del queue[key]
    return mine
