"""The command line that all benchmarks share."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from ._harness import Outcome, Suite, run
from ._machine import machine
from ._report import as_json, case_text, fill, goals_text, suite_text, table

# Rounds, and seconds for each contender in each of them.
QUICK = 3, 0.01
THOROUGH = 15, 0.05


def main(*suites: Callable[[], Suite]) -> None:
    """Run `suites` as the command line says; how fast they are decides nothing."""
    args = _arguments()
    results = [(suite, _run(suite, args)) for suite in (make() for make in suites)]
    if args.json is not None:
        figures = {suite.name: as_json(suite, outcomes) for suite, outcomes in results}
        args.json.write_text(json.dumps({"machine": machine(), **figures}, indent=1))
    if args.markdown is not None:
        page = fill(args.markdown.read_text(), "machine", _machine_table())
        for suite, outcomes in results:
            page = fill(page, suite.name, suite_text(suite, outcomes))
        args.markdown.write_text(page)


def _arguments() -> Namespace:
    parser = ArgumentParser(description="Measure our speed beside that of others.")
    parser.add_argument("--rounds", type=int, help=f"by default {THOROUGH[0]}")
    parser.add_argument(
        "--quick", action="store_true", help="only see whether it works at all"
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument(
        "--markdown", type=Path, help="renew the tables in this page, between its marks"
    )
    args = parser.parse_args()
    rounds, args.seconds = QUICK if args.quick else THOROUGH
    args.rounds = rounds if args.rounds is None else args.rounds
    if args.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if args.markdown is not None and not args.markdown.is_file():
        parser.error(f"there is no page {args.markdown}")
    return args


def _run(suite: Suite, args: Namespace) -> list[Outcome]:
    """Measure all cases of `suite`, printing each when it is done."""
    outcomes = []
    for case in suite.cases:
        outcomes.append(run(case, args.rounds, args.seconds))
        print(f"\n{case_text(outcomes[-1])}", flush=True)
    for text in (goals_text(outcomes), suite.notes):
        if text:
            print(f"\n{text}", flush=True)
    return outcomes


def _machine_table() -> str:
    return table([["", ""], *machine().items()])
