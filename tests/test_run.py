"""Running a program."""

from __future__ import annotations

import functools
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from signal import SIGINT, SIGTERM, Signals, raise_signal
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import pytest

from csp import (
    Channel,
    Undelivered,
    go,
    request_stop,
    run,
    select,
    send,
    signals,
    stopping,
)
from csp._park import current
from csp._signals import _bells
from csp.testing._clock import virtual_clock

BACKENDS = ["asyncio", *(name for name in ("uvloop", "trio") if find_spec(name))]


@pytest.fixture(params=BACKENDS)
def loop(request: pytest.FixtureRequest) -> str:
    """Every backend that is installed."""
    return str(request.param)


def test_run_returns_what_main_returns(loop: str) -> None:
    """On the loop that it was told."""

    async def main(a: int, b: int) -> tuple[int, str]:
        running = type(anyio.lowlevel.current_token().native_token).__module__
        return a + b, running

    total, running = run(main, 1, 2, backend=loop)
    assert total == 3
    assert running.partition(".")[0] == loop


def test_run_waits_for_what_main_has_started(loop: str) -> None:
    """Main may return before its tasks."""
    ch: Channel[int] = Channel(3)
    got: list[int] = []

    async def consume() -> None:
        got.extend([item async for item in ch])

    async def main() -> None:
        go(consume)
        await ch.send_many(range(10))
        ch.close()

    run(main, backend=loop)
    assert got == list(range(10))


def test_what_main_raises_comes_out_as_it_is(loop: str) -> None:
    """Not in a group of one, and with its own cause and context."""

    async def main() -> None:
        go(anyio.sleep_forever)
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    with pytest.raises(ValueError, match="second") as caught:
        run(main, backend=loop)
    assert isinstance(caught.value.__cause__, KeyError)
    assert isinstance(caught.value.__context__, KeyError)


def test_a_group_that_main_raises_comes_out_as_it_is(loop: str) -> None:
    """Not in another one."""
    error = ExceptionGroup("main", [KeyError(), ExceptionGroup("more", [OSError()])])

    async def main() -> None:
        raise error

    with pytest.raises(ExceptionGroup) as caught:
        run(main, backend=loop)
    assert caught.value is error


def test_what_a_task_raises_comes_out_in_a_group(loop: str) -> None:
    """As from any group; main is cancelled."""

    async def fail() -> None:
        raise OSError("broken")

    async def main() -> None:
        go(fail)
        await anyio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        run(main, backend=loop)
    assert [type(error) for error in caught.value.exceptions] == [OSError]


def test_options_go_to_the_backend() -> None:
    """As anyio.run would have them."""

    async def main() -> bool:
        import asyncio

        return asyncio.get_running_loop().get_debug()

    assert run(main, backend_options={"debug": True})
    assert not run(main)


@pytest.mark.parametrize("backend", ["curio", "", None, ["asyncio"]])
def test_an_unknown_backend_is_named(backend: Any) -> None:
    """Beside those that there are."""
    with pytest.raises(ValueError, match=r"one of \['asyncio', 'uvloop', 'trio'\]"):
        run(anyio.sleep, 0, backend=backend)


def test_a_missing_backend_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence."""
    monkeypatch.setattr("csp._run.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'anycsp\[trio\]'"):
        run(anyio.sleep, 0, backend="trio")


def test_main_is_a_function() -> None:
    """Not what calling it gives."""

    async def main() -> None: ...

    with pytest.raises(TypeError, match=r"Write run\(.*main, \*args\), not run\("):
        run(main())  # type: ignore[arg-type]


# Stopping


def everything() -> tuple[Any, ...]:
    """What a run must leave as it was: handlers, and its own threads."""
    handlers = [signal.getsignal(number) for number in (SIGINT, SIGTERM)]
    timers = [t for t in threading.enumerate() if t.name.startswith("csp")]
    return *handlers, timers, [*_bells]


@pytest.fixture
def unchanged() -> Iterator[None]:
    """Check that handlers and threads are afterwards what they were before."""
    before = everything()
    yield
    assert everything() == before


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What has been logged, where patience takes no time."""
    monkeypatch.setattr("csp._signals._PATIENCE", 0.01)
    caplog.set_level(logging.INFO, "csp")
    return caplog


async def wait_for_log(log: Any, words: str) -> None:
    """Wait until something like that is logged."""
    with anyio.fail_after(10):
        while words not in log.text:  # noqa: ASYNC110 - threads write it
            await anyio.sleep(0.001)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
def test_the_first_stop_signal_asks(loop: str, number: int, log: Any) -> None:
    """Main, and every task; and what main returns is returned."""
    ended: list[str] = []

    async def task() -> None:
        await stopping()
        ended.append("task")

    async def main() -> str:
        go(task)
        raise_signal(number)
        await stopping()
        return "done"

    assert run(main, backend=loop) == "done"
    assert ended == ["task"]
    assert log.records[0].levelname == "INFO"  # later ones tell what is waited for
    assert f"{Signals(number).name}: asked to stop" in log.text


@pytest.mark.usefixtures("unchanged")
def test_all_that_was_sent_is_received_before_it_ends(loop: str) -> None:
    """The source ends, the channel closes, and the sink comes to its end."""
    sent: list[int] = []
    got: list[int] = []

    async def source(out: Channel[int]) -> None:
        async with out:
            n = 0
            while (await select(sent=send(out, n), stop=stopping())).which == "sent":
                sent.append(n)
                n += 1
                if n == 100:
                    raise_signal(SIGTERM)

    async def main() -> None:
        ch: Channel[int] = Channel(10)
        go(source, ch)
        got.extend([item async for item in ch])

    run(main, backend=loop)
    assert got == sent
    assert len(got) >= 100


@pytest.mark.usefixtures("unchanged")
def test_a_second_signal_cuts(loop: str, log: Any) -> None:
    """Whatever kind they are; what was cut or left is in the error."""

    async def main() -> None:
        go(anyio.sleep_forever, name="task")
        ch: Channel[int] = Channel(1, name="ch")
        ch.send_nowait(1)
        raise_signal(SIGINT)
        await stopping()
        raise_signal(SIGTERM)
        await anyio.sleep_forever()

    with pytest.raises(Undelivered) as caught:
        run(main, backend=loop)
    assert caught.value.cut == ("task",)
    assert caught.value.left == (("ch", [1]),)
    assert "SIGTERM again: cutting what still runs" in log.text


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_end_of_grace_cuts(backend: str) -> None:
    """To the second, by the loop's clock."""
    pytest.importorskip(backend)
    backend, options = virtual_clock(backend)
    start: list[float] = []

    async def main() -> None:
        start.append(anyio.current_time())
        try:
            raise_signal(SIGTERM)
            await anyio.sleep_forever()
        finally:
            start.append(anyio.current_time())

    with pytest.raises(Undelivered, match="cut the block itself"):
        run(main, backend=backend, backend_options=options, grace=7)
    assert start[1] - start[0] == pytest.approx(7)


@pytest.mark.usefixtures("unchanged")
def test_a_program_can_ask_itself(loop: str) -> None:
    """By request_stop; and then the first signal does not cut it."""

    async def main() -> str:
        go(request_stop_later)
        await stopping()
        raise_signal(SIGTERM)
        await anyio.sleep(0.01)
        return "done"

    async def request_stop_later() -> None:
        request_stop()

    assert run(main, backend=loop) == "done"


@pytest.mark.usefixtures("unchanged")
def test_who_ignores_the_request_is_told_of_in_the_log(loop: str, log: Any) -> None:
    """For whoever pressed Ctrl-C and waits; once, after a while."""

    async def main() -> None:
        raise_signal(SIGINT)
        await wait_for_log(log, "something still runs; once more cuts it")

    run(main, backend=loop)
    warnings = [r for r in log.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "SIGINT: asked to stop" in warnings[0].getMessage()


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("by_signal", [True, False])
def test_a_thread_that_does_not_return_is_named_in_the_log(
    loop: str, by_signal: bool, log: Any
) -> None:
    """And what it is doing, at the end of grace or after a second signal."""
    go_on = threading.Event()

    async def main() -> None:
        running, in_loop = anyio.Event(), current().poster()

        def crunch() -> None:
            in_loop(running.set)
            go_on.wait(20)

        go(anyio.to_thread.run_sync, crunch)
        await running.wait()
        raise_signal(SIGINT) if by_signal else request_stop()
        await stopping()
        if by_signal:
            raise_signal(SIGINT)
        with anyio.CancelScope(shield=True):
            await wait_for_log(log, "The third signal ends the process")
        go_on.set()

    with suppress(Undelivered):  # on trio it was not cut: it had a result
        run(main, backend=loop, grace=25 if by_signal else 0.01)
    assert "once more cuts it" not in log.text
    assert re.search(r"Other threads: .* in crunch \(test_run.py:\d+\)", log.text)


@pytest.mark.usefixtures("unchanged")
def test_a_loop_that_is_stuck_is_told_of_at_the_second_signal(
    loop: str, log: Any
) -> None:
    """With what it is stuck in, as the third one will end the process."""

    def crunch() -> None:
        time.sleep(0.02)
        raise_signal(SIGINT)

    async def main() -> None:
        raise_signal(SIGINT)
        crunch()
        await stopping()

    run(main, backend=loop)
    assert re.search(
        r"SIGINT again, but the event loop is stuck in crunch \(test_run.py:\d+\)",
        log.text,
    )


ENDINGS = ["return", "raise", "interrupt", "exit", "task", "cut", "left"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("stop_signals", [(), (SIGTERM,), (SIGINT, SIGTERM, SIGINT)])
@pytest.mark.parametrize("handled", [True, False])
def test_afterwards_the_handlers_are_as_before(
    loop: str, ending: str, stop_signals: tuple[int, ...], handled: bool
) -> None:
    """However the run ends, and whatever they were."""

    def ours(signum: int, _: object) -> None: ...

    async def main() -> None:
        kept.append(signal.getsignal(SIGTERM))
        if ending == "raise":
            raise OSError
        if ending == "interrupt":
            raise KeyboardInterrupt
        if ending == "exit":
            raise SystemExit(3)
        if ending == "task":
            go(fail)
        if ending == "cut":
            request_stop()
            await anyio.sleep_forever()
        if ending == "left":
            Channel[int](1).send_nowait(1)

    async def fail() -> None:
        raise OSError

    kept: list[Any] = []
    before = everything()
    previous = signal.signal(SIGTERM, ours) if handled else signal.getsignal(SIGTERM)
    try:
        with suppress(BaseException):
            run(main, backend=loop, stop_signals=stop_signals, grace=0)
        assert signal.getsignal(SIGTERM) == (ours if handled else previous)
        assert (kept[0] is ours) is (handled and not stop_signals)
    finally:
        signal.signal(SIGTERM, previous)
    assert everything() == before


def test_in_another_thread_no_signals_are_heeded(loop: str) -> None:
    """There it could not; and nothing else is different."""
    before = everything()

    async def main() -> str:
        assert everything()[:2] == before[:2]
        request_stop()
        await stopping()
        return "done"

    got: list[str] = []
    thread = threading.Thread(target=lambda: got.append(run(main, backend=loop)))
    thread.start()
    thread.join()
    assert got == ["done"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("inner", BACKENDS)
def test_a_run_in_a_thread_of_a_run_is_asked_with_it(loop: str, inner: str) -> None:
    """By the signal that the outer one hears."""

    async def main() -> str:
        return await anyio.to_thread.run_sync(
            functools.partial(run, within, backend=inner)
        )

    async def within() -> str:
        os.kill(os.getpid(), SIGTERM)
        await stopping()
        return "done"

    assert run(main, backend=loop) == "done"


@pytest.mark.usefixtures("unchanged")
def test_a_stop_signal_also_goes_to_those_who_listen(loop: str) -> None:
    """Both happen, whoever came first."""

    async def main() -> list[int]:
        async with signals(SIGTERM, SIGINT) as rx:
            raise_signal(SIGTERM)
            await stopping()
            raise_signal(SIGINT)
            with anyio.CancelScope(shield=True):
                return [await rx.receive(), await rx.receive()]

    async def never_cut() -> list[int]:
        got = await main()
        cut.append(got)
        await anyio.lowlevel.checkpoint()
        return got

    cut: list[list[int]] = []
    with pytest.raises(Undelivered):
        run(never_cut, backend=loop)
    assert cut == [[SIGTERM, SIGINT]]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (SIGTERM, "signals are given as .signal.SIGTERM,., not <Signals.SIGTERM"),
        (None, "signals are given as"),
        (["SIGTERM"], "'SIGTERM' is not the number of a signal"),
        ([SIGTERM, signal.SIGKILL], "no program can handle SIGKILL"),
    ],
)
def test_stop_signals_are_signals(wrong: Any, error: str) -> None:
    """Else the program does not even begin."""
    begun: list[None] = []

    async def main() -> None:
        begun.append(None)

    with pytest.raises((TypeError, ValueError), match=error):
        run(main, stop_signals=wrong)
    assert not begun


def test_what_main_raises_is_beside_what_is_left(loop: str) -> None:
    """In one group, with the errors of its tasks."""

    async def main() -> None:
        kept.send_nowait(1)
        Channel[int](1, name="ch").send_nowait(1)
        raise ValueError("bad")

    kept: Channel[int] = Channel(1)
    with pytest.raises(ExceptionGroup) as caught:
        run(main, backend=loop)
    assert [type(error) for error in caught.value.exceptions] == [
        ValueError,
        Undelivered,
    ]
    assert kept.drain() == [1]


# Whole processes


class Process(NamedTuple):
    """What became of a program."""

    output: str
    errors: str
    code: int


def execute(program: str, loop: str, *numbers: int) -> Process:
    """Run a program and send it a signal each time that it says it is ready."""
    text = PRELUDE + textwrap.dedent(program).replace("LOOP", repr(loop))
    process = subprocess.Popen(
        [sys.executable, "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        killer = threading.Timer(30, process.kill)
        killer.start()
        assert process.stdout is not None
        output = ""
        for number in numbers:
            for line in process.stdout:
                output += line
                if line == "ready\n":
                    break
            process.send_signal(number)
        rest, errors = process.communicate()
        killer.cancel()
        killer.join()
    return Process(output + rest, errors, process.returncode)


PRELUDE = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
import anyio, anyio.to_thread, csp, csp._signals
from csp import stopping

def ready():
    print("ready", flush=True)

"""


def test_a_program_that_is_asked_and_ends_has_exit_code_0(loop: str) -> None:
    """Its last words are heard."""
    program = """
        async def main():
            ready()
            await stopping()
            print("goes home")

        csp.run(main, backend=LOOP)
        """
    assert execute(program, loop, SIGTERM) == ("ready\ngoes home\n", "", 0)


def test_a_program_that_is_cut_has_exit_code_1(loop: str) -> None:
    """And says what was cut and left; before that, how to cut it."""
    program = """
        csp._signals._PATIENCE = 0.01

        async def main():
            ch = csp.Channel(3, name="jobs")
            ch.send_nowait("a job")
            ready()
            await stopping()
            await anyio.sleep(0.1)
            ready()
            await anyio.sleep_forever()

        csp.run(main, backend=LOOP)
        """
    output, errors, code = execute(program, loop, SIGINT, SIGINT)
    assert code == 1
    assert output == "ready\nready\n"
    asked, again, *_, last = errors.splitlines()
    assert asked.startswith("SIGINT: asked to stop, and something still runs; once mo")
    assert again == "SIGINT again: cutting what still runs"
    assert last.endswith(
        "Undelivered: channel 'jobs' held 1 item; cut the block itself"
    )


def test_a_third_signal_ends_what_waits_for_a_thread(loop: str) -> None:
    """At once, with 128 + its number; the thread has been named by then."""
    program = """
        csp._signals._PATIENCE = 0.01

        def crunch():
            ready()
            time.sleep(60)

        async def tell():
            await stopping()
            ready()
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.1)
                    ready()

        async def main():
            csp.go(tell)
            await anyio.to_thread.run_sync(crunch)

        csp.run(main, backend=LOOP)
        """
    output, errors, code = execute(program, loop, SIGINT, SIGTERM, SIGTERM)
    assert code == 128 + SIGTERM
    assert output == "ready\n" * 3
    assert "in crunch (<string>:" in errors


def test_a_third_signal_ends_a_loop_that_is_stuck(loop: str) -> None:
    """Though nothing there does what it is asked to."""
    program = """
        async def main():
            for _ in range(3):
                ready()
                until = time.monotonic() + 0.05
                while time.monotonic() < until:
                    pass
            while True:
                pass

        csp.run(main, backend=LOOP)
        """
    result = execute(program, loop, SIGINT, SIGINT, SIGINT)
    assert result == ("ready\n" * 3, "", 128 + SIGINT)


def test_ctrl_c_ends_the_program_and_its_finally_blocks(loop: str) -> None:
    """Without stop signals it cancels main, and is KeyboardInterrupt outside."""
    program = """
        async def main():
            ch = csp.Channel()
            try:
                ready()
                await ch.receive()
            finally:
                print("cleaned up", ch, flush=True)

        try:
            csp.run(main, backend=LOOP, stop_signals=())
        except KeyboardInterrupt:
            print("interrupted")
        """
    output, errors, code = execute(program, loop, SIGINT)
    assert "cleaned up <Channel at" in output
    assert "waiting to" not in output
    assert output.endswith("interrupted\n")
    assert errors == ""
    assert code == 0
