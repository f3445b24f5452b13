"""The log of a training as curves, however long it is: what is kept of it in memory is 16 bytes a line and some
thousand points.

The first reading finds the lines that stand: a resumption does steps again, and they replace what was there of them
(as `model.log.read_log` has it, which holds all lines in memory and needs torch). The second reduces them: of each
so-many lines the lowest and the highest point stay, so no spike is lost.
"""

import json
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

BUCKETS = 500  # of a curve, two points each
LONGEST = 1 << 16  # bytes of a line
HIGHEST = 1e30  # what is farther from zero than this is drawn as little as infinity is
NAMES = 64  # figures of one kind; a log that names more is damaged
STARTS = 100  # resumptions that are marked
KINDS = ("train", "validation")

Point = tuple[int, float]  # the step, and the value: NaN where there was none


@dataclass(frozen=True)
class Curve:
    """One figure over the steps. `points` and `smooth`, its running mean, are reduced; `first`, `last`, `least` and
    `most` are exact."""

    points: list[Point]
    smooth: list[Point]
    first: Point
    last: Point
    least: Point
    most: Point


@dataclass(frozen=True)
class Lost:
    """A figure that was no finite number at some `steps`, `first` at this one."""

    kind: str
    name: str
    steps: int
    first: int


@dataclass(frozen=True)
class RunLog:
    """What a log tells: curves by kind and name, its last step, where the training began and went on (`starts`: the
    latest ones; `begun`: how often), what the last start and the last line of a step said, how many lines were torn,
    which figures got lost, and of a training that ended because its loss was no number, what its last line said."""

    curves: dict[str, dict[str, Curve]]
    step: int = 0
    starts: list[int] = field(default_factory=list)
    begun: int = 0
    said: dict[str, Any] = field(default_factory=dict)
    torn: int = 0
    lost: list[Lost] = field(default_factory=list)
    spoilt: dict[str, Any] = field(default_factory=dict)

    def curve(self, kind: str, name: str) -> Curve | None:
        """A figure, if the log has it."""
        return self.curves.get(kind, {}).get(name)


def read(path: Path) -> RunLog:
    """The log at `path`; an empty one if there is none, or no file. Lines that are torn are counted and passed over.
    Raises OSError if it can't be read."""
    if not path.is_file():  # opening a pipe would wait for ever
        return RunLog({kind: {} for kind in KINDS})
    with open(path, "rb") as file:
        standing = _standing(file)
        growing = {kind: _growing(file, standing.places[kind]) for kind in KINDS}
    curves = {
        kind: {name: curve for name, each in found.items() if (curve := each.curve())}
        for kind, found in growing.items()
    }
    lost = [
        Lost(kind, name, *each.lost) for kind, found in growing.items() for name, each in found.items() if each.lost[0]
    ]
    step = max((steps[-1] for steps in standing.steps.values() if steps), default=0)
    said = standing.said.get("start", {}) | standing.said.get("train", {})
    starts = sorted(set(standing.starts[-STARTS:]))
    spoilt = standing.said.get("spoilt", {})
    return RunLog(curves, step, starts, standing.begun, said, standing.torn, lost, spoilt)


def begins_as_log(path: Path) -> bool:
    """Whether a file begins as the log of a training does."""
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            entry = entry_of(file.readline(LONGEST))
    except OSError:
        return False
    return entry is not None and entry.get("kind") in ("start", *KINDS)


# ---- which lines stand ---------------------------------------------------------------------------------


@dataclass
class _Standing:
    """The places in the file of the lines that stand, by kind."""

    places: dict[str, "array[int]"] = field(default_factory=lambda: {kind: array("q") for kind in KINDS})
    steps: dict[str, "array[int]"] = field(default_factory=lambda: {kind: array("q") for kind in KINDS})
    starts: list[int] = field(default_factory=list)
    begun: int = 0
    said: dict[str, dict[str, Any]] = field(default_factory=dict)  # by kind, what the latest line said
    torn: int = 0

    def add(self, place: int, step: int, entry: dict[str, Any]) -> None:
        """A line replaces what is there of its step, and what came after."""
        kind = entry.get("kind")
        for name in KINDS:
            steps, places = self.steps[name], self.places[name]
            while steps and (steps[-1] > step or (steps[-1] == step and name == kind)):
                steps.pop()
                places.pop()
        if kind in KINDS:
            self.steps[kind].append(step)
            self.places[kind].append(place)
        if kind == "start":
            self.begun += 1
            self.starts = [*self.starts[-STARTS:], step]
            self.said.pop("spoilt", None)  # it goes on
        if kind in ("start", "train", "spoilt"):
            self.said[kind] = entry


def _standing(file: IO[bytes]) -> _Standing:
    found = _Standing()
    for place, line in lines(file):
        entry = entry_of(line)
        step = step_of(entry)
        if entry is None or step is None:
            found.torn += bool(line.strip())
        else:
            found.add(place, step, entry)
    return found


def lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line from where the file stands, with its place; of one that is too long to be ours, the beginning."""
    place = file.tell()
    while line := file.readline(LONGEST):
        yield place, line
        place += len(line)
        while len(line) == LONGEST and not line.endswith(b"\n"):
            line = file.readline(LONGEST)
            place += len(line)


def entry_of(line: bytes) -> dict[str, Any] | None:
    """What a line tells; None if it can't be read, or tells nothing."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def step_of(entry: dict[str, Any] | None) -> int | None:
    """The step that a line is of; None if it is of none."""
    step = entry.get("step") if entry else None
    return step if type(step) is int and 0 <= step < 1 << 53 else None


# ---- curves --------------------------------------------------------------------------------------------


def _growing(file: IO[bytes], places: "array[int]") -> dict[str, "_Growing"]:
    """The figures of the lines at these places."""
    growing: dict[str, _Growing] = {}
    for number, place in enumerate(places):
        file.seek(place)
        entry = entry_of(file.readline(LONGEST)) or {}  # a file that changed meanwhile
        step = step_of(entry)
        for name, value in entry.items() if step is not None else ():
            if name in ("step", "kind") or type(value) not in (int, float):
                continue
            if name not in growing and len(growing) < NAMES:
                growing[name] = _Growing(len(places))
            if name in growing:
                growing[name].add(number, step or 0, value)
    return growing


class _Growing:
    """A curve that is being read, of at most `lines` points. `lost`: at how many steps it wasn't finite, and at which
    first."""

    def __init__(self, lines: int) -> None:
        self._raw, self._smooth = _Reduced(lines), _Reduced(lines)
        self._keep = math.exp(-1 / max(1.0, lines / 40))  # what the running mean keeps at each line
        self._mean = self._weight = 0.0
        self._exact: dict[str, Point] = {}
        self.lost = (0, 0)

    def add(self, number: int, step: int, value: float) -> None:
        """The value in the line of that number."""
        if not abs(value) <= HIGHEST:  # also NaN
            self.lost = (self.lost[0] + 1, self.lost[1] if self.lost[0] else step)
            self._raw.add(number, (step, math.nan))
            return
        point = (step, float(value))
        exact = self._exact
        exact["last"] = point
        exact.setdefault("first", point)
        if value < exact.setdefault("least", point)[1]:
            exact["least"] = point
        if value > exact.setdefault("most", point)[1]:
            exact["most"] = point
        self._raw.add(number, point)
        self._mean = self._keep * self._mean + (1 - self._keep) * value
        self._weight = self._keep * self._weight + (1 - self._keep)
        self._smooth.add(number, (step, self._mean / self._weight))

    def curve(self) -> Curve | None:
        """The curve; None if it has no point."""
        if not self._exact:
            return None
        return Curve(self._raw.points(), self._smooth.points(), **self._exact)


class _Reduced:
    """Points that come one by one, of which each bucket keeps the lowest, the highest, and that one was missing."""

    def __init__(self, lines: int) -> None:
        self._lines_each = max(1.0, lines / BUCKETS) if lines > 2 * BUCKETS else 0.0
        self._done: list[Point] = []
        self._bucket = -1
        self._low: Point | None = None
        self._high: Point | None = None
        self._gone: Point | None = None
        self._last: Point | None = None

    def add(self, number: int, point: Point) -> None:
        """The point of the line of that number."""
        if not self._lines_each:
            self._done.append(point)
            return
        bucket = int(number / self._lines_each)
        if bucket != self._bucket:
            self._close()
            self._bucket = bucket
        if self._last is None:
            self._done.append(point)  # a curve begins and ends where it does
        self._last = point
        value = point[1]
        if value != value:
            self._gone = self._gone or point
        elif self._low is None or self._high is None:
            self._low = self._high = point
        elif value < self._low[1]:
            self._low = point
        elif value > self._high[1]:
            self._high = point

    def points(self) -> list[Point]:
        """What is left, in the order of the steps."""
        self._close()
        last = [self._last] if self._last and self._done[-1] != self._last else []
        return [*self._done, *last]

    def _close(self) -> None:
        found = {point for point in (self._low, self._high, self._gone) if point is not None}
        self._done += sorted(found, key=lambda point: point[0])
        self._low = self._high = self._gone = None
