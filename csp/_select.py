"""Select: exactly one of several operations happens.

Three passes, as in Go's select.go.

1. Look: in random order, the first operation that can be done now is done.
2. Enroll: if none can, one waiter joins the queues of all of them, and sleeps.
   Whoever claims it first settles the choice: at that moment that operation happens,
   and no other can any more.
3. Withdraw: the others are taken out of their queues, each in O(1).

Within a pass nothing else runs, so the look judges all operations at one instant, and
a select cannot meet itself: it is in no queue while it looks.  Two selects that face
each other are no special case either, since one of them always looks while the other
sleeps.  So nothing is ever tentative, and there is nothing to undo.

The order has to be drawn for each look, not rotated: among the ready ones, a rotation
favours whichever follows a run of others that are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from random import Random
from typing import Any, NamedTuple, NoReturn

from ._ends import Receives, Sends
from ._errors import WouldBlock
from ._operation import NOT_READY, ChannelOperation, Operation, wait_for_any
from ._park import Loop, current, uninterrupted
from ._state import UNBOUND


class Selected(NamedTuple):
    """Which operation happened, and what came of it."""

    which: int | str
    """The position of a positional operation, or the name of a named one."""
    value: Any
    """The operation's value, such as the item received."""


_new_tuple = tuple.__new__  # half the price of the named tuple's own constructor


@uninterrupted
async def select(
    *ops: Operation[Any] | None,
    priority: bool = False,
    **named_ops: Operation[Any] | None,
) -> Selected:
    """Wait until one of several operations can happen, and let exactly that one.

        match await select(job=recv(jobs), sent=send(results, r), late=after(1.0)):
            case "job", Closed():
                return
            case "job", job:
                ...
            case "sent", _:
                r = None
            case "late", _:
                ...

    Among those that can happen at once the choice is uniformly random.  None stands
    for an operation that never happens, and keeps its position; with nothing but
    those, the select waits until it is cancelled.  If this raises, cancellation
    included, then no operation has happened.  A checkpoint when it has to wait, and
    at least once in 64 operations.

    Args:
        ops: The operations; `Selected.which` is the position of the one that happened.
        priority: Take the first in order that can happen, instead of any.
        named_ops: More operations; `Selected.which` is the name.

    Raises:
        TypeError: Something is no operation.
        ChannelClosed, ChannelBroken: A send was chosen, and can never succeed.
    """
    cases = [*ops, *named_ops.values()] if named_ops else ops
    loop = _check(cases, named_ops, priority)
    if loop.budget <= 0:
        loop = current()
        if loop.budget <= 0:
            await loop.checkpoint()
    loop.budget -= 1
    n = len(cases)
    if priority:
        order: Sequence[int] = range(n)
    elif n == 2:  # noqa: PLR2004 - most selects are of two, and this is quicker
        order = _PAIRS[loop.random.getrandbits(1)]
    else:
        order = _draw_order(n, loop.random)
    for which in order:
        op = cases[which]
        if op is not None:
            value = op.poll()
            if value is not NOT_READY:
                break
    else:
        live = [op for i in order if (op := cases[i]) is not None]
        winner, value = await wait_for_any(live, loop)
        which = next(i for i in order if cases[i] is winner)
    name = which if which < len(ops) else [*named_ops][which - len(ops)]
    return _new_tuple(Selected, (name, value))


@uninterrupted
def select_nowait(
    *ops: Operation[Any] | None,
    priority: bool = False,
    **named_ops: Operation[Any] | None,
) -> Selected:
    """Let one of several operations happen that can happen now; Go's `default`.

    All are judged at one instant.  May be called where no task runs, such as in a
    callback of the event loop.

    Raises:
        WouldBlock: None of them can happen now.
        TypeError, ChannelClosed, ChannelBroken: As `select`.
    """
    cases = [*ops, *named_ops.values()] if named_ops else ops
    _check(cases, named_ops, priority)
    n = len(cases)
    for which in range(n) if priority else _draw_order(n, current().random):
        op = cases[which]
        if op is not None:
            value = op.poll()
            if value is not NOT_READY:
                name = which if which < len(ops) else [*named_ops][which - len(ops)]
                return _new_tuple(Selected, (name, value))
    raise WouldBlock("none of the operations can happen now")


# All orders of up to four things: to draw one then takes a single random number.
_ORDERS = [tuple(permutations(range(n))) for n in range(5)]
_PAIRS = _ORDERS[2]


def _draw_order(n: int, random: Random) -> Sequence[int]:
    """Draw the order in which to look at `n` operations."""
    if n < len(_ORDERS):
        orders = _ORDERS[n]
        return orders[int(random.random() * len(orders))]
    order = list(range(n))
    random.shuffle(order)
    return order


def _check(cases: Sequence[object], named: dict[str, Any], priority: object) -> Loop:
    """Refuse what is no operation, before anything happens.

    Returns the loop of a channel among them, which is quicker than to ask which one
    runs; one that does not run here is refused where it would matter, in waiting.
    """
    loop: Loop = UNBOUND
    for op in cases:
        if isinstance(op, ChannelOperation):
            loop = op.end._state.loop
        elif op is not None and not isinstance(op, Operation):
            _refuse(op, cases, named)
    if priority is not True and priority is not False:
        raise TypeError(f"priority must be True or False, not {priority!r}")
    return loop


def _refuse(wrong: object, cases: Sequence[object], named: dict[str, Any]) -> NoReturn:
    i = next(i for i, case in enumerate(cases) if case is wrong)
    places = [*range(len(cases) - len(named)), *named]
    hint = ""
    if isinstance(wrong, Receives):
        hint = ": write recv(ch)"
    elif isinstance(wrong, Sends):
        hint = ": write send(ch, item)"
    raise TypeError(
        f"select takes operations such as recv(ch) and send(ch, item), not {wrong!r} "
        f"(argument {places[i]!r}){hint}"
    )
