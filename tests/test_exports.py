"""The package as a whole: its names, its imports, its promises to type checkers."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import csp

PUBLIC = {name: value for name, value in vars(csp).items() if not name.startswith("_")}
OWN = {
    name: value
    for name, value in PUBLIC.items()
    if value is not csp.WouldBlock  # anyio's
    and (inspect.isclass(value) or inspect.isfunction(value))
}


@pytest.mark.parametrize("name", sorted(OWN))
def test_public_names_say_that_they_are_public(name: str) -> None:
    """In tracebacks and reprs: csp.Channel, not csp._channel.Channel."""
    assert OWN[name].__module__ == "csp"
    assert OWN[name].__qualname__ == name


@pytest.mark.parametrize("name", sorted(OWN))
def test_public_names_are_documented(name: str) -> None:
    """They, and all their public methods and properties."""
    thing = OWN[name]
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        for member, value in inspect.getmembers_static(thing):
            described = inspect.isfunction(value) or isinstance(value, property)
            if described and not member.startswith("_"):
                assert inspect.getdoc(value), f"{name}.{member}"


def test_only_modules_that_are_needed_are_imported() -> None:
    """Event loops are imported by those who run them."""
    program = "import csp, sys; print(*sys.modules)"
    output = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert not {"asyncio", "trio", "uvloop", "ssl", "socket"} & {*output.split()}


def test_tasks_need_no_import_of_the_other_loop() -> None:
    """A program on asyncio does without trio."""
    program = (
        "import csp, sys\n"
        "async def main():\n"
        "    ch = csp.Channel()\n"
        "    csp.go(ch.send, 1)\n"
        "    await csp.select(csp.recv(ch), csp.after(1))\n"
        "csp.run(main)\n"
        "print('trio' in sys.modules)"
    )
    output = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert output == "False\n"
