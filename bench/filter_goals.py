"""Goals of the filter, and what was reached: what the parts of bench/filter.py have in common."""

import sys
from collections.abc import Iterable
from typing import NamedTuple

NOT_MEASURED = "not measured"


class Goal(NamedTuple):
    """One goal: the part that measures it, what is measured, what is asked for, what was reached."""

    part: str
    what: str
    wanted: str
    reached: str
    holds: bool


def say(line: str = "") -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def least(part: str, what: str, reached: float, wanted: float) -> Goal:
    """A share, 0..1, of which no less will do. Never rounded up to the goal."""
    return Goal(part, what, f"≥ {wanted:.0%}", f"{int(reached * 1e4 + 1e-6) / 100:g} %", reached >= wanted - 1e-9)


def at_least(part: str, what: str, reached: float, wanted: float, unit: str = "") -> Goal:
    """A figure of which no less will do."""
    return Goal(part, what, f"≥ {wanted:g}{unit}", f"{reached:.4g}{unit}", reached >= wanted)


def at_most(part: str, what: str, reached: float, wanted: float, unit: str = "") -> Goal:
    """A figure of which no more will do."""
    return Goal(part, what, f"≤ {wanted:g}{unit}", f"{reached:.4g}{unit}", reached <= wanted)


def none(part: str, what: str, reached: int) -> Goal:
    """What there should be none of."""
    return Goal(part, what, "0", f"{reached}", not reached)


def not_measured(part: str, what: str, wanted: str) -> Goal:
    """What can't be measured here."""
    return Goal(part, what, wanted, NOT_MEASURED, True)


def table(goals: Iterable[Goal]) -> None:
    """Each goal beside what was reached."""
    rows = [("", "goal", "asked for", "reached", "")]
    rows += [(*goal[:4], _verdict(goal)) for goal in goals]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        say("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _verdict(goal: Goal) -> str:
    if goal.reached == NOT_MEASURED:
        return ""
    return "holds" if goal.holds else "MISSED"
