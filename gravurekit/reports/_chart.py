"""Curves as a drawing: axes with ticks, lines as SVG paths, what is marked. The template puts the parts together."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gravurekit.reports._runlog import Point

WIDTH, HEIGHT = 560, 255  # of a chart, in the units of its drawing; so are the sides of the field in which lines lie
LEFT, RIGHT, TOP, BOTTOM = 58, 548, 12, 218
BOX = {"WIDTH": WIDTH, "HEIGHT": HEIGHT, "LEFT": LEFT, "RIGHT": RIGHT, "TOP": TOP, "BOTTOM": BOTTOM}
TINY = 1e-30  # nothing that is drawn differs by less
LOGARITHMIC = 20.0  # the highest over the lowest value from which on a scale is logarithmic, where it may be


@dataclass(frozen=True)
class Line:
    """A line of a chart. `style`: the class that gives it its colour and dashes; a `faint` one lies below its running
    mean, and isn't in the legend. `value`: what the legend says of it, if not its last point."""

    label: str
    style: str
    points: Sequence[Point]
    faint: bool = False

    @property
    def value(self) -> float:
        """The last value that there is."""
        return next((value for _, value in reversed(self.points) if value == value), math.nan)


@dataclass(frozen=True)
class Chart:
    """Lines over the steps. `unit` of the values; `about`: a sentence on how to read it; `end`: the last step of all
    charts of the page; `zero`: the scale begins at 0; `rule`: a value that is drawn as a line across, with a word for
    it; `best`: a point that is marked, likewise; `starts`: steps where the training went on; `spread`: values may lie
    so far apart that only a logarithmic scale shows them."""

    title: str
    unit: str
    lines: Sequence[Line]
    end: int
    about: str = ""
    zero: bool = False
    rule: tuple[float, str] | None = None
    best: tuple[int, float, str] | None = None
    starts: Sequence[int] = field(default_factory=tuple)
    spread: bool = False

    @cached_property
    def _scale(self) -> "_Scale":
        values = [value for line in self.lines for _, value in line.points if value == value]
        values += [self.rule[0]] if self.rule else []
        low, high = min(values), max(values)
        if self.spread and low > TINY and high > LOGARITHMIC * low:
            return _Logarithmic(low, high)
        return _Linear(min(low, 0.0) if self.zero else low, high)

    @property
    def logarithmic(self) -> bool:
        """Whether its scale is."""
        return isinstance(self._scale, _Logarithmic)

    @property
    def paths(self) -> list[tuple[str, str]]:
        """The class and the `d` of each line, faint ones first."""
        drawn = sorted(self.lines, key=lambda line: not line.faint)
        return [(f"{line.style} faint" if line.faint else line.style, self._path(line.points)) for line in drawn]

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """The class, the label and the last value of each line."""
        return [(line.style, line.label, shown(line.value)) for line in self.lines if not line.faint]

    @property
    def y_ticks(self) -> list[tuple[float, str]]:
        """Where the ticks of the values are, and what they say."""
        return [(_rounded(self.y(value)), label) for value, label in self._scale.ticks()]

    @property
    def x_ticks(self) -> list[tuple[float, str]]:
        """Where the ticks of the steps are, and what they say."""
        each = max(1, round(_nice(self.end / 5, (1, 2, 5, 10))))
        return [(_rounded(self.x(step)), f"{step:,}") for step in range(0, self.end + 1, each)]

    @property
    def best_at(self) -> tuple[float, float]:
        """Where the point is that is marked."""
        step, value, _ = self.best or (0, 0.0, "")
        return _rounded(self.x(step)), _rounded(self.y(value))

    def x(self, step: float) -> float:
        """Where a step is."""
        return LEFT + (RIGHT - LEFT) * step / max(1, self.end)

    def y(self, value: float) -> float:
        """Where a value is."""
        return BOTTOM - (BOTTOM - TOP) * self._scale.share(value)

    def _path(self, points: Sequence[Point]) -> str:
        """A line that has gaps where values are missing; a lonely point is a dot (a line of no length with a round
        end)."""
        parts = []
        for run in _runs(points):
            places = [f"{_rounded(self.x(step)):g},{_rounded(self.y(value)):g}" for step, value in run]
            parts.append(f"M{places[0]}" + ("h0" if len(places) == 1 else f"L{' '.join(places[1:])}"))
        return "".join(parts)


def _runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Points that belong together: between gaps."""
    run: list[Point] = []
    for point in points:
        if point[1] == point[1]:
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run


# ---- scales --------------------------------------------------------------------------------------------


class _Scale:
    """From values to their share 0..1 of the height."""

    share: Callable[[float], float]
    ticks: Callable[[], list[tuple[float, str]]]


class _Linear(_Scale):
    def __init__(self, low: float, high: float) -> None:
        size = max(abs(low), abs(high))
        if high - low <= max(TINY, 1e-9 * size):  # a line that is level
            low, high = low - 0.05 * (size if size > TINY else 1), high + 0.05 * (size if size > TINY else 1)
        self._each = _nice((high - low) / 4, (1, 2, 2.5, 5, 10))
        air = 0.04 * (high - low)
        self._low, self._high = (low if low == 0 else low - air), high + air
        self.share, self.ticks = self._share, self._ticks

    def _share(self, value: float) -> float:
        return (value - self._low) / (self._high - self._low)

    def _ticks(self) -> list[tuple[float, str]]:
        first, last = math.ceil(self._low / self._each), math.floor(self._high / self._each)
        places = max(0, -math.floor(math.log10(self._each) + 1e-9))
        places += round(self._each * 10**places) != round(self._each * 10**places, 6)  # 2.5
        values = [number * self._each for number in range(first, min(last, first + 20) + 1)]
        return [(value, f"{value:,.{places}f}" if places < 5 and value < 1e6 else f"{value:.3g}") for value in values]


class _Logarithmic(_Scale):
    def __init__(self, low: float, high: float) -> None:
        air = 0.04 * (math.log10(high) - math.log10(low))
        self._low, self._high = math.log10(low) - air, math.log10(high) + air
        self.share, self.ticks = self._share, self._ticks

    def _share(self, value: float) -> float:
        return (math.log10(value) - self._low) / (self._high - self._low)

    def _ticks(self) -> list[tuple[float, str]]:
        decades = range(math.floor(self._low), math.ceil(self._high) + 1)
        each = max(1, round(len(decades) / 6))
        factors = (1, 2, 5) if len(decades) < 5 else (1,)
        values = [factor * 10.0**decade for decade in decades[::each] for factor in factors]
        return [(value, f"{value:,g}") for value in values if self._low <= math.log10(value) <= self._high]


def _nice(value: float, factors: Sequence[float]) -> float:
    """The next number up that is one of the factors times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(factor * power for factor in factors if factor * power >= value * (1 - 1e-9) or factor == factors[-1])


def _rounded(place: float) -> float:
    return round(place, 1)


def shown(value: float) -> str:
    """A figure in words: four digits that count."""
    if value != value:
        return "–"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"
