"""Handles: one end of a channel, counted, and closed by itself.

A closed handle has a `Shut` for its state, so that an open one need not look whether
it is closed.
"""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from anyio.abc import ObjectReceiveStream, ObjectSendStream

from ._ends import Receives, Sends, View
from ._park import Loop, uninterrupted
from ._state import State, shut

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class Shut(State[T]):
    """What a closed handle has for a state: every use of it is an error."""

    __slots__ = ("_real",)

    def __init__(self, real: State[T]) -> None:
        super().__init__(0, "block", None, real.name)
        self._real = real
        self.closed = True  # so that every look at it goes on to one of the below

    @property
    def real(self) -> State[T]:
        return self._real

    def status(self) -> str:
        return "handle closed"

    def bind(self, loop: Loop) -> None:
        """Do nothing: the errors below say more."""

    def offer(self, item: T) -> NoReturn:
        raise shut(self._real, item)

    def take(self) -> NoReturn:
        raise shut(self._real)

    def drain(self) -> NoReturn:
        raise shut(self._real)


class Tap(Receives[T_co], View):
    """A way to receive that can be closed, and does not count as a handle."""

    __slots__ = ()

    def close(self) -> None:
        """End the waits made through this."""
        state = self._state
        if state.real is state:
            self._state = Shut(state)
            state.evict(self)


class _Handle(View):
    """A view that is counted, and closed by itself."""

    __slots__ = ()

    def __init__(self, state: State[Any]) -> None:
        super().__init__(state)
        self._count(1)

    def _count(self, change: int) -> int:
        """Count this handle in or out; returns how many of its kind are open."""
        raise NotImplementedError

    def _last_closed(self, state: State[Any]) -> None:
        """Do what the closing of the last handle means."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether this handle is closed."""
        return self._state.real is not self._state

    def clone(self) -> Self:
        """Open another handle to the same end, to be closed by itself.

        Raises:
            ChannelClosed: This handle is closed.
        """
        if self.closed:
            raise shut(self._state.real)
        return type(self)(self._state)

    @uninterrupted
    def close(self) -> None:
        """Close this handle.  Closing twice is fine.

        Tasks that wait through it get `ChannelClosed`, as does who uses it later.
        """
        if self.closed:
            return
        state = self._state
        state.check_waiters()
        still_open = self._count(-1)
        self._state = Shut(state)
        state.evict(self)
        if not still_open:
            self._last_closed(state)

    async def aclose(self) -> None:
        """Do as `close`."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not self.closed:
            warnings.warn(
                f"{self!r} was not closed: use it in a with block",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )


class Sender(Sends[T_contra], _Handle, ObjectSendStream[T_contra]):
    """A handle that sends, made by `Channel.sender`: an anyio `ObjectSendStream`."""

    __slots__ = ()

    def _count(self, change: int) -> int:
        self._state.open_senders += change
        return self._state.open_senders

    def _last_closed(self, state: State[Any]) -> None:
        state.close()


class Receiver(Receives[T_co], _Handle, ObjectReceiveStream[T_co]):
    """A handle that receives, made by `Channel.receiver`: an `ObjectReceiveStream`."""

    __slots__ = ()

    def _count(self, change: int) -> int:
        self._state.open_receivers += change
        return self._state.open_receivers

    def _last_closed(self, state: State[Any]) -> None:
        state.break_off()
