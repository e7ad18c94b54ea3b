"""Running a program."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from typing import Any

import anyio
import pytest

from csp import Channel, go, run

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


def test_ctrl_c_ends_the_program_and_its_finally_blocks(loop: str) -> None:
    """It is a cancellation to main, and KeyboardInterrupt to who called run."""
    program = textwrap.dedent(
        f"""
        import anyio, csp

        async def main():
            ch = csp.Channel()
            try:
                print("waiting", flush=True)
                await ch.receive()
            finally:
                print("cleaned up", ch, flush=True)

        try:
            csp.run(main, backend={loop!r})
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        output = process.stdout.read()
    assert "cleaned up <Channel at" in output
    assert "waiting to" not in output
    assert output.endswith("interrupted\n")
    assert process.returncode == 0
