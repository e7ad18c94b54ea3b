"""Flags in the environment: CSP_PORT=9000 for --port 9000."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from ._unable import Unable

PREFIX = "CSP_"

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def from_environ(
    flags: Iterable[argparse.Action], environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return what the environment says, by the names under which flags are kept.

    A variable that is empty is as one that is not there.

    Raises:
        Unable: One says what its flag cannot be.
    """
    found: dict[str, Any] = {}
    for flag in flags:
        if flag.help is argparse.SUPPRESS or flag.dest == "help":
            continue
        for name in map(variable, flag.option_strings):
            if text := environ.get(name):
                found.setdefault(flag.dest, _value(flag, name, text))
    return found


def variable(flag: str) -> str:
    """Return the name of a flag's variable."""
    return PREFIX + flag.lstrip("-").replace("-", "_").upper()


def _value(flag: argparse.Action, name: str, text: str) -> Any:
    if flag.nargs == 0:
        return _truth(name, text) == flag.const
    if isinstance(flag, argparse._AppendAction):
        return [_one(flag, name, word) for word in text.split()]
    return _one(flag, name, text)


def _truth(name: str, text: str) -> bool:
    try:
        return _TRUTHS[text.lower()]
    except KeyError:
        words = ", ".join(_TRUTHS)
        raise Unable(f"{name} is {text!r}. It may be one of {words}") from None


def _one(flag: argparse.Action, name: str, text: str) -> Any:
    convert: Any = flag.type or str
    try:
        value = convert(text)
    except (TypeError, ValueError):
        raise Unable(f"{name} is {text!r}, which is no {convert.__name__}") from None
    if flag.choices is not None and value not in flag.choices:
        words = ", ".join(map(str, flag.choices))
        raise Unable(f"{name} is {text!r}. It may be one of {words}")
    return value
