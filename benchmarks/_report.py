"""The results as text: tables that are tidy on a terminal and in Markdown, and JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ._harness import ANY_LOOP, Contender, Goal, Outcome, Spread, Suite

_SECONDS = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows, the first of them the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = [
        "| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([head, rule, *body])


def amount(value: float, unit: str | None) -> str:
    """Write a number of seconds or of bytes, or a mere number."""
    if unit == "bytes":
        return f"{value:,.0f} B"
    if unit == "seconds":
        scale, name = next((s for s in _SECONDS if value >= s[0]), _SECONDS[-1])
        return f"{number(value / scale)} {name}"
    return number(value)


def number(value: float) -> str:
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def bound(value: float, unit: str | None) -> str:
    return amount(value, unit) if unit else f"{value:g}"


def span(spread: Spread, unit: str | None = None) -> str:
    low, high = amount(spread.low, unit), amount(spread.high, unit)
    middle = amount(spread.middle, unit)
    return middle if low == high else f"{middle} ({low}-{high})"


def case_text(outcome: Outcome) -> str:
    """Show what it costs whom on which loop, and how often the first one's that is."""
    loops = list(dict.fromkeys(c.loop for c in outcome.costs if c.loop != ANY_LOOP))
    loops = loops or [ANY_LOOP]
    names = list(dict.fromkeys(c.name for c in outcome.costs))
    rows = [[f"per {outcome.case.per}", *loops]]
    rows += [[name, *(_cell(outcome, name, loop) for loop in loops)] for name in names]
    return f"### {outcome.case.title}\n\n{table(rows)}"


def _cell(outcome: Outcome, name: str, loop: str) -> str:
    contender = outcome.find(name, loop)
    if contender is None:
        return ""
    cost = amount(outcome.cost(contender).middle, outcome.case.unit)
    first = next(c for c in outcome.costs if c.loop == loop)
    if contender is first:
        return cost
    return f"{cost} = {span(outcome.ratio(contender, first))} x"


def goals_text(outcomes: Sequence[Outcome]) -> str:
    """Show what is to be reached, what was measured, and whether that reaches it."""
    rows = [["", "loop", "measured", "bound", "aim", ""]]
    for outcome in outcomes:
        for goal, loop, figure in standings(outcome):
            sign = "at least" if goal.aim > goal.least else "at most"
            unit = outcome.case.unit if goal.under is None else None
            rows.append(
                [
                    f"{outcome.case.title}: {subject(goal)}",
                    loop,
                    span(figure, unit),
                    f"{sign} {bound(goal.least, unit)}",
                    bound(goal.aim, unit),
                    goal.verdict(figure.middle),
                ]
            )
    return f"### Goals\n\n{table(rows)}" if len(rows) > 1 else ""


def subject(goal: Goal) -> str:
    return goal.over if goal.under is None else f"{goal.over} / {goal.under}"


def standings(outcome: Outcome) -> list[tuple[Goal, str, Spread]]:
    """Return each goal with each loop where it was measured, and the figure there."""
    return [
        (goal, loop, figure)
        for goal in outcome.case.goals
        for loop in goal.loops
        if (figure := outcome.standing(goal, loop)) is not None
    ]


def suite_text(suite: Suite, outcomes: Sequence[Outcome]) -> str:
    """Write all there is to say of a suite, its goals first."""
    parts = [goals_text(outcomes), *map(case_text, outcomes), suite.notes]
    return "\n\n".join(filter(None, parts))


def as_json(suite: Suite, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return every figure of a suite, as what JSON can hold."""
    return {
        "cases": [
            {
                "title": outcome.case.title,
                "per": outcome.case.per,
                "unit": outcome.case.unit,
                "results": [_result(outcome, c) for c in outcome.costs],
                "goals": [_goal(*standing) for standing in standings(outcome)],
            }
            for outcome in outcomes
        ],
        "notes": suite.notes,
    }


def _result(outcome: Outcome, contender: Contender) -> dict[str, Any]:
    return {
        "name": contender.name,
        "loop": contender.loop,
        "median": outcome.cost(contender).middle,
        "rounds": outcome.costs[contender],
    }


def _goal(goal: Goal, loop: str, figure: Spread) -> dict[str, Any]:
    return {
        "goal": subject(goal),
        "loop": loop,
        "measured": [figure.low, figure.middle, figure.high],
        "least": goal.least,
        "aim": goal.aim,
        "verdict": goal.verdict(figure.middle),
    }


def fill(page: str, mark: str, text: str) -> str:
    """Return `page` with `text` between the comments that bear `mark`."""
    opening, closing = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    between = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
    page, found = between.subn(lambda _: f"{opening}\n\n{text}\n\n{closing}", page)
    if not found:
        raise ValueError(f"the page has no {opening} ... {closing}")
    return page
