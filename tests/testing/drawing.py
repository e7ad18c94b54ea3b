"""Histories drawn by hand, as `str` draws those that were recorded."""

from __future__ import annotations

import builtins
import math
import re
from textwrap import dedent

import csp
from csp.testing import Call, History

LINE = re.compile(
    r"(?P<bar> *\|?-*[|x>:]) +(?:\(all at rest\)|(?P<task>\S+): (?P<verb>[\w.]+)"
    r"\((?P<args>.*?)\) ?"
    r"(?:-> (?P<result>.+)|raised (?P<error>\w+)|cancelled|pending)?)"
)

NAMES = vars(builtins) | vars(csp)


def drawn(picture: str) -> History:
    """Read a history: a line is a call, and its bar shows when that was.

    A bar ends with a `|`, with an `x` for a call that was cancelled, or with a `>` for
    one that is pending; a `:` is a moment of rest.  A call without a result returned
    None.
    """
    calls, rests = [], []
    for line in dedent(picture).strip("\n").splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        if match["task"]:
            calls.append(call_of(**match.groupdict()))
        else:
            rests.append(len(match["bar"]) - 1)
    return History(calls, rests)


def call_of(
    *, bar: str, args: str, result: str | None, error: str | None, **names: str
) -> Call:
    return Call(
        **names,
        args=eval(f"({args},)" if args else "()", dict(NAMES)),
        begin=bar.index("|"),
        end=math.inf if bar.endswith(">") else len(bar) - 1,
        result=eval(result or "None", dict(NAMES)),
        raised=NAMES[error] if error else None,
        cancelled=bar.endswith("x"),
    )
