"""From what one picture takes to what ten million do: arithmetic alone, on what bench/costs.py has measured.

python bench/costs_sums.py MEASURED.json [--count 10000000] [--gigabits 1]
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

DAY = 24.0  # hours
HOUR = 3600.0  # seconds
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)  # of the table of the join

Measured = Mapping[str, Any]
Row = tuple[str, ...]


class Disk(NamedTuple):
    """What a folder takes: `kind` of its files, bytes a picture, terabytes of all."""

    folder: str
    kind: str
    each: float
    terabytes: float


class Work(NamedTuple):
    """What tasks take of cores: seconds a picture, core-hours of all, and cores that are through in a day."""

    what: str
    each: float
    core_hours: float
    cores: int


class Step(NamedTuple):
    """What the one process takes that leads: microseconds a Record and hours of all, by the largest size measured; and
    how much longer a Record takes there than at the smallest one."""

    what: str
    measured_at: int
    each: float
    hours: float
    growth: float


def disk(measured: Measured, count: int) -> list[Disk]:
    """Each folder's kinds of files, in the order in which they were measured."""
    return [
        Disk(folder, kind, each, each * count / 1e12)
        for folder, kinds in measured["bytes"].items()
        for kind, each in kinds.items()
    ]


def work(measured: Measured, count: int) -> list[Work]:
    """Each kind of task."""
    found = []
    for what, each in measured["core_seconds"].items():
        hours = each * count / HOUR
        found.append(Work(what, each, hours, math.ceil(hours / DAY)))
    return found


def steps(measured: Measured, count: int) -> list[Step]:
    """Each of what one process does to all Records: taken to grow as their number does."""
    found = []
    for what, sizes in measured["steps"].items():
        few, many = sizes[0], sizes[-1]
        each = many["seconds"] / many["records"]
        growth = each / (few["seconds"] / few["records"])
        found.append(Step(what, many["records"], 1e6 * each, each * count / HOUR, growth))
    return found


def join_seconds(measured: Measured, count: int) -> float:
    """The join compares all with all: its time grows as the square, from the largest size measured."""
    largest = max(measured["join"], key=lambda size: size["records"])
    return float(largest["seconds"] * (count / largest["records"]) ** 2)


def join_gigabytes(measured: Measured, count: int) -> float:
    """Its memory grows as the number of codes does: by what lies between the smallest and the largest size measured."""
    few, many = (f(measured["join"], key=lambda size: size["records"]) for f in (min, max))
    each = (many["GB"] - few["GB"]) / max(1, many["records"] - few["records"])
    return float(many["GB"] + max(0.0, each) * (count - many["records"]))


def chain(measured: Measured) -> list[str]:
    """The tasks of one way through the chain, as in docs: one style, one size."""
    return list(measured["chain"])


def led_hours(measured: Measured, count: int) -> float:
    """Hours that nobody shares: all steps, as often as a chain does them, and the join."""
    times = measured["steps_times"]
    hours = sum(step.hours * times[step.what] for step in steps(measured, count))
    return hours + join_seconds(measured, count) / HOUR


def cores_for(measured: Measured, count: int, hours: float) -> int | None:
    """Cores with which the whole chain is through in so many hours; None if what one process does takes as long."""
    left = hours - led_hours(measured, count)
    if left <= 0:
        return None
    core_hours = sum(item.core_hours for item in work(measured, count) if item.what in chain(measured))
    return math.ceil(core_hours / left)


def wire_hours(measured: Measured, count: int, gigabits: float) -> float:
    """Hours to bring the pictures here, were the wire always full."""
    return float(measured["bytes"]["raw"]["pictures"] * count * 8 / (gigabits * 1e9) / HOUR)


# ---- tables --------------------------------------------------------------------------------------------


def tables(measured: Measured, count: int, gigabits: float) -> str:
    """All of it as Markdown."""
    m = measured
    blocks = [
        f"## Disk\n\nOf {count:,} pictures, all of which are kept.",
        _table(
            ("folder", "what", "bytes a picture", f"{_short(count)} pictures"),
            [(f"`{item.folder}/`", item.kind, f"{item.each:,.0f}", _size(item.terabytes)) for item in disk(m, count)],
        ),
        "## Work that is shared\n\nIn tasks; core-seconds are processor time, whatever else ran.",
        _table(
            ("what", "s a picture and core", "core-hours", "cores, to be through in a day"),
            [(item.what, f"{item.each:.4f}", f"{item.core_hours:,.0f}", f"{item.cores:,}") for item in work(m, count)],
        ),
        "## Work of the one process that leads",
        _table(
            ("what", "times in a chain", "measured at", "µs a Record", f"{_short(count)} Records", "growth"),
            [
                (
                    step.what,
                    f"{m['steps_times'][step.what]}",
                    f"{step.measured_at:,}",
                    f"{step.each:.1f}",
                    _time(step.hours),
                    f"{step.growth:.2f}",
                )
                for step in steps(m, count)
            ],  # fmt: skip
        ),
        "## The exact join of the duplicates",
        _table(("pictures", "time", "memory", ""), _joins(m, count)),
        "## In all",
        _whole(m, count, gigabits),
    ]
    return "\n\n".join(blocks) + "\n"


def _joins(measured: Measured, count: int) -> list[Row]:
    known = {size["records"]: size for size in measured["join"]}
    rows = []
    for size in sorted({*known, *SIZES, count}):
        seen = known.get(size)
        seconds = seen["seconds"] if seen else join_seconds(measured, size)
        gigabytes = seen["GB"] if seen else join_gigabytes(measured, size)
        rows.append((f"{size:,}", _time(seconds / HOUR), f"{gigabytes:.2f} GB", "measured" if seen else "extrapolated"))
    return rows


def _whole(measured: Measured, count: int, gigabits: float) -> str:
    found = work(measured, count)
    core_hours = sum(item.core_hours for item in found if item.what in chain(measured))
    led = led_hours(measured, count)
    rows: list[Row] = [
        ("tasks: " + ", ".join(chain(measured)), f"{core_hours:,.0f} core-hours"),
        ("the one process that leads, join and all", _time(led)),
        (f"the pictures' way here at {gigabits:g} Gbit/s", _time(wire_hours(measured, count, gigabits))),
    ]
    for hours in (DAY, 7 * DAY):
        cores = cores_for(measured, count, hours)
        said = "not to be had: what one process does takes longer" if cores is None else f"{cores:,}"
        rows.append((f"cores, to be through in {_time(hours)}", said))
    return _table(("", f"{_short(count)} pictures"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _short(count: int) -> str:
    return f"{count / 1e6:g} million" if count >= 1_000_000 else f"{count:,}"


def _size(terabytes: float) -> str:
    return f"{terabytes:.2f} TB" if terabytes >= 1 else f"{1000 * terabytes:.1f} GB"


def _time(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * HOUR:.1f} s"
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < DAY else f"{hours / DAY:.1f} days"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, metavar="MEASURED.json", help="what bench/costs.py has written")
    parser.add_argument("--count", type=int, default=10_000_000, metavar="N", help="pictures")
    parser.add_argument("--gigabits", type=float, default=1.0, metavar="N", help="a second, of the wire")
    given = parser.parse_args()
    sys.stdout.write(tables(json.loads(given.measured.read_text("utf-8")), given.count, given.gigabits))


if __name__ == "__main__":
    main()
