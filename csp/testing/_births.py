"""The channels that are made during a test, and the items that are lost with them.

`Births` learns of a channel by standing in for two methods of `State`.  It does so
once a session, not once a test: Python stops caching the lookup of methods in a class
that is changed a thousand times.
"""

from __future__ import annotations

import sys
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any, NamedTuple

from csp._state import State

from ._places import Place

# Between a channel and who makes it; typing, for Channel[int]().
_BETWEEN = {"csp", "typing"}


class Birth(NamedTuple):
    """When a channel was made, and where."""

    channel: weakref.ref[State[Any]]
    place: Place


class Births:
    """The channels made during a test, and those that died with items in them."""

    def __init__(self) -> None:
        self.watching = False
        self._births: dict[int, Birth] = {}
        self._deaths: list[str] = []
        self._filters: object = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Be told of channels while the block runs."""
        init, finalize = State.__init__, State.__del__

        @wraps(init)
        def __init__(state: State[Any], *args: Any) -> None:
            init(state, *args)
            if self.watching and type(state) is State:
                self._births[id(state)] = Birth(weakref.ref(state), _maker())

        @wraps(finalize)
        def __del__(state: State[Any]) -> None:
            __tracebackhide__ = True
            # Held until this frame has ended: channels within channels would else make
            # a recursion as deep as they are.
            buffer = state.buffer  # noqa: F841
            birth = self._births.pop(id(state), None)
            loss = birth and _loss(state, birth.place)
            finalize(state)  # if warnings are errors it raises, and pytest tells of it
            if loss and not self._is_told(state):
                self._deaths.append(loss)

        State.__init__ = __init__  # type: ignore[assignment, method-assign]
        State.__del__ = __del__  # type: ignore[method-assign]
        try:
            yield
        finally:
            State.__init__ = init  # type: ignore[method-assign]
            State.__del__ = finalize  # type: ignore[method-assign]

    def _is_told(self, state: State[Any]) -> bool:
        """Tell whether somebody else is told of a channel that died with items in it.

        That is its stop scope, or a block that takes warnings, such as pytest.warns.
        """
        return (
            getattr(state, "keeper", None) is not None
            or warnings.filters is not self._filters
        )

    def watch(self) -> None:
        """Begin a test."""
        self.watching = True
        self._deaths.clear()
        self._filters = warnings.filters

    def finish(self) -> list[str]:
        """End a test; names the channels with items that nobody will be told of."""
        self.watching = False
        losses = [*self._deaths]
        for birth in [*self._births.values()]:
            state = birth.channel()
            if state is not None and (loss := _loss(state, birth.place)):
                losses.append(loss)
                state.on_undelivered = _told  # when it is collected: not again
        self._births.clear()
        return losses


def _maker() -> Place:
    """Return where in the program a channel is being made."""
    frame = sys._getframe(2)
    while _package(frame) in _BETWEEN and frame.f_back:
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _loss(state: State[Any], place: Place) -> str | None:
    """Describe the items that would be lost with `state`, if there are any."""
    if not state.buffer or state.on_undelivered is not None:
        return None
    items = "1 item" if len(state.buffer) == 1 else f"{len(state.buffer)} items"
    return f"{state} with {items} in it, made at {place}"


def _told(item: object) -> None:
    """Do nothing with an item of which the test's report tells."""
