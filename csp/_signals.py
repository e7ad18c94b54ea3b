"""Signals of the operating system, as items of a channel, and as requests to stop.

A process has one handler for each signal.  Here one is shared by all who want to hear
of it: it is set when the first of them comes, and what was there before is put back
when the last one goes.  The handler does no more than to call into the loops of those
who listen, so what a signal means is done between two steps of tasks and not in the
middle of one.

All but the end.  A loop that some code keeps from turning does not do what it is asked
to.  So the signals that stop a program are counted by the handler itself, and the third
takes the process down from there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import sysconfig
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from signal import Signals
from types import FrameType
from typing import TypeAlias

from ._channel import Channel
from ._handles import Receiver
from ._park import Loop, Waiter, current
from ._stop import StopScope

_CAPACITY = 64  # signals that may wait to be received
_PATIENCE = 1.0  # seconds until the log tells what a stop still waits for
_TIMER = "csp: what a stop waits for"  # the name of the threads that tell
_FOREVER = threading.TIMEOUT_MAX / 2

_log = logging.getLogger("csp")

# What a handler calls: in the main thread, between any two bytecodes of its code.
Listener: TypeAlias = Callable[[Signals, FrameType | None], object]


class _Bell:
    """All who hear of one signal."""

    def __init__(self, signum: Signals) -> None:
        self.listeners: list[Listener] = []
        # Not asyncio's add_signal_handler, which forgets the handler from before.
        self.before = signal.signal(signum, self._ring)

    def _ring(self, signum: int, frame: FrameType | None) -> None:
        for hear in [*self.listeners]:
            hear(Signals(signum), frame)


_bells: dict[Signals, _Bell] = {}
_last = ExitStack()  # what is to be done when the last of them has gone


@contextmanager
def _listening(signums: tuple[Signals, ...], hear: Listener) -> Iterator[None]:
    """Let `hear` be called at these signals while the block runs."""
    with ExitStack() as stack:
        for signum in dict.fromkeys(signums):
            if not _bells:
                _last.enter_context(_rousing(current()))
            if signum not in _bells:
                _bells[signum] = _Bell(signum)
            _bells[signum].listeners.append(hear)
            stack.callback(_leave, signum, hear)
        yield


def _leave(signum: Signals, hear: Listener) -> None:
    bell = _bells[signum]
    bell.listeners.remove(hear)
    if not bell.listeners:
        signal.signal(signum, bell.before)
        del _bells[signum]
    if not _bells:
        _last.close()


@contextmanager
def _rousing(loop: Loop) -> Iterator[None]:
    """See to it that a signal wakes the loop, so that Python calls the handler.

    Python only takes note of a signal when it comes, and calls the handler before the
    next bytecode of the main thread.  There is none for a while if that has just gone
    to sleep, or if the system told another thread of the signal; unless there is
    something to read.  trio and uvloop see to that themselves, asyncio does not.
    """
    from socket import socketpair  # only who handles signals needs it

    reader, writer = socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        native = getattr(loop, "loop", None)  # asyncio's
        if fd == -1 and native is not None:
            native.add_reader(reader, reader.recv, 4096)
            try:
                yield
            finally:
                native.remove_reader(reader)
                signal.set_wakeup_fd(fd)
        else:
            signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
            yield


@asynccontextmanager
async def signals(*signums: int) -> AsyncIterator[Receiver[Signals]]:
    """Receive signals that are sent to this process, while the block runs.

    Every such block gets each signal, and under `csp.run` a stop signal still stops the
    program; but nothing else that it would have done happens.  Up to 64 wait to be
    received; then the oldest is dropped.

        async with signals(signal.SIGHUP) as hangups:
            async for _ in hangups:
                reload()

    Raises:
        ValueError: One is no signal that a program can handle.
        RuntimeError: This is not the main thread, which alone can handle signals.
    """
    numbers = checked(signums)
    if not numbers:
        raise TypeError("signals takes at least one, such as signal.SIGHUP")
    if not _in_main_thread():
        raise RuntimeError(
            "signals can be handled in the main thread only. Receive them there, and "
            "send them on: anyio.from_thread.run(ch.send, signum)"
        )
    post = current().poster()
    ch: Channel[Signals] = Channel(
        _CAPACITY,
        overflow="drop_oldest",
        on_undelivered=lambda _: None,
        name=f"signals({', '.join(number.name for number in numbers)})",
    )

    def deliver(signum: Signals) -> None:
        if not ch.closed:  # by the end of the block, or of the receiver in it
            ch.send_nowait(signum)

    with (
        ch.receiver() as receiver,
        _listening(numbers, lambda signum, _: post(lambda: deliver(signum))),
    ):
        try:
            yield receiver
        finally:
            ch.close()


def checked(signums: object) -> tuple[Signals, ...]:
    """Return them as signals, or raise if one cannot be handled."""
    if not isinstance(signums, Iterable):
        raise TypeError(f"signals are given as (signal.SIGTERM,), not {signums!r}")
    return tuple(_signal(signum) for signum in signums)


def _signal(signum: object) -> Signals:
    try:
        if isinstance(signum, bool) or not isinstance(signum, int):
            raise ValueError
        number = Signals(signum)
    except ValueError:
        raise ValueError(
            f"{signum!r} is not the number of a signal: write signal.SIGHUP, say"
        ) from None
    if number.name in ("SIGKILL", "SIGSTOP"):
        raise ValueError(f"no program can handle {number.name}")
    return number


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def obeying(stop: StopScope, signums: tuple[Signals, ...]) -> Iterator[None]:
    """Let signals stop a scope while the block runs.

    The first requests it, the second cuts, and the third ends the process.
    """
    overseer = _Overseer(stop)
    heeded = signums if _in_main_thread() else ()
    with _listening(heeded, overseer.hear), overseer:
        yield


class _Overseer(Waiter):
    """Counts the signals to stop, and tells in the log what takes its time then.

    It waits for the request too, whoever makes it, though not asleep.
    """

    def __init__(self, stop: StopScope) -> None:
        self._stop = stop
        self._post = current().poster()
        self._heard: list[float] = []  # when, for each signal
        self._timers: list[threading.Timer] = []
        self._over = False

    def hear(self, signum: Signals, frame: FrameType | None) -> None:
        self._heard.append(time.monotonic())
        if len(self._heard) == 1:
            self._soon(self._ask, signum)
        elif len(self._heard) == 2:  # noqa: PLR2004 - the second, as it says
            self._tell_if_stuck(signum, frame)
            self._soon(self._cut, signum)
        else:
            os._exit(128 + signum)

    def _soon(self, do: Callable[[Signals], None], signum: Signals) -> None:
        self._post(lambda: None if self._over else do(signum))

    def _ask(self, signum: Signals) -> None:
        _log.info("%s: asked to stop; once more cuts what still runs", signum.name)
        if self._stop.grace > _PATIENCE:
            self._later(_PATIENCE, self._remind, signum)
        self._stop.request()

    def _remind(self, signum: Signals) -> None:
        if len(self._heard) == 1:
            _log.warning(
                "%s: asked to stop, and something still runs; once more cuts it, as "
                "the end of its grace does (%g s)",
                signum.name,
                self._stop.grace,
            )

    def _tell_if_stuck(self, signum: Signals, frame: FrameType | None) -> None:
        first, second = self._heard
        if not self._stop.requested and second - first > _PATIENCE:
            _log.warning(
                "%s again, but the event loop is stuck %s; once more ends the process",
                signum.name,
                _place(frame),
            )

    def _cut(self, signum: Signals) -> None:
        _log.warning("%s again: cutting what still runs", signum.name)
        self._later(_PATIENCE, _report_threads)
        self._stop.cut()

    # As one who waits for the request

    def claim(self, op: object) -> bool:
        return True

    def wake(self, value: object) -> None:
        if self._stop.grace < _FOREVER:
            self._later(self._stop.grace + _PATIENCE, _report_threads)

    def _later(self, seconds: float, tell: Callable[..., None], *args: object) -> None:
        timer = threading.Timer(seconds, tell, args)
        timer.daemon = True
        timer.name = _TIMER
        timer.start()
        self._timers.append(timer)

    def __enter__(self) -> None:
        self._stop._waiters[self, self] = None

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._stop._waiters.pop((self, self), None)
        for timer in self._timers:
            timer.cancel()
            timer.join()


def _report_threads() -> None:
    """Say what a program may be waiting for that has been cut."""
    frames = sys._current_frames()
    threads = [
        f"{thread.name} {_place(frames.get(thread.ident or 0))}"
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and thread.name != _TIMER
    ]
    _log.warning(
        "what was cut has not ended. Other threads: %s. The third signal ends the "
        "process",
        ", ".join(threads) or "none",
    )


def _place(frame: FrameType | None) -> str:
    """Say where a thread is: in the program's own code, if it comes from there."""
    paths = sysconfig.get_paths()
    libraries = tuple(paths[name] for name in ("stdlib", "platlib", "purelib"))
    own = innermost = frame
    while own is not None and own.f_code.co_filename.startswith(libraries):
        own = own.f_back
    if (frame := own or innermost) is None:
        return "somewhere"
    code = frame.f_code
    return f"in {code.co_name} ({os.path.basename(code.co_filename)}:{frame.f_lineno})"
