"""Doubt: which pictures lie so near the cut that decides of them that somebody should look.

How near is without unit, so that figures can be compared: the share of the folder's pictures that lie between a picture
and the cut, or how much of the figure's span does, whichever is more. Shares alone would doubt the smallest of many
pictures that are all far from the least size; spans alone would doubt half of a folder that is all alike.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gravurekit.record import Record
from gravurekit.reports._content import Content
from gravurekit.reports._plots import Cut
from gravurekit.reports._sections import WIDE, cuts_of, figures_of

MOST = 0.05  # of the folder, or of the span
INNER = (5, 95)  # percentiles that a span goes from and to


@dataclass(frozen=True)
class Doubt:
    """How far from its cut a picture is, 0..MOST, and what is to be said of it."""

    share: float
    said: str


@dataclass(frozen=True)
class _Cut:
    """A cut that is in force. `reason`: of those that it drops; `values`, `far` (N,) float64: the figure of each
    picture, nan if it wasn't measured, and how far that is from the cut."""

    figure: str
    reason: str
    cut: Cut
    values: np.ndarray
    far: np.ndarray

    def passes(self, row: int) -> bool:
        """Whether the picture is on the side of the cut that is kept; at the very cut it is on both."""
        value = self.values[row]
        return bool(value <= self.cut.value if self.cut.above else value >= self.cut.value)

    def drops(self, row: int) -> bool:
        """Whether it is on the other side."""
        value = self.values[row]
        return bool(value >= self.cut.value if self.cut.above else value <= self.cut.value)

    def doubt(self, row: int) -> Doubt:
        """Of one picture."""
        value = f"{self.values[row]:.4g}"
        return Doubt(float(self.far[row]), f"{self.figure.replace('_', ' ')} {value}, cut at {self.cut.value:g}")


def doubts(content: Content) -> dict[str, Doubt]:
    """The doubt of each picture that is near a cut, by key; and of the least relevant, where there is no cut."""
    items = [*content.kept, *content.dropped]
    figures = [figures_of(item) for item in items]
    cuts = list(_in_force(content, figures))
    found: dict[str, Doubt] = {}
    for row, item in enumerate(items):
        doubt = _of_dropped(row, item, cuts) if item.reason else _of_kept(row, cuts)
        if doubt is not None and doubt.share <= MOST:
            found[item.key] = doubt
    for key, doubt in _least_relevant(content):
        if key not in found or doubt.share < found[key].share:
            found[key] = doubt
    return found


def _in_force(content: Content, figures: Sequence[Mapping[str, float]]) -> Iterator[_Cut]:
    for figure, (knob, cut) in cuts_of(content).items():
        if not cut.off:
            values = np.array([found.get(figure, math.nan) for found in figures])
            reason = knob.split(".")[0].replace("_", "-") if "." in knob else "irrelevant"
            yield _Cut(figure, reason, cut, values, far(values, cut.value, figure in WIDE))


def _of_kept(row: int, cuts: Sequence[_Cut]) -> Doubt | None:
    """By the cut that would have dropped it first."""
    able = [cut for cut in cuts if cut.passes(row)]
    return min((cut.doubt(row) for cut in able), key=lambda doubt: doubt.share, default=None)


def _of_dropped(row: int, item: Record, cuts: Sequence[_Cut]) -> Doubt | None:
    """By the cut that it is farthest behind, of those that give its reason."""
    able = [cut for cut in cuts if cut.reason == item.reason and cut.drops(row)]
    return max((cut.doubt(row) for cut in able), key=lambda doubt: doubt.share, default=None)


def far(values: np.ndarray, cut: float, wide: bool) -> np.ndarray:
    """(N,) float64, nan where nothing was measured → (N,) float64, how far each is from the cut. `wide`: the figure
    may differ by factors, so that its span is that of its logarithm."""
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return np.full(len(values), math.nan)
    place = np.searchsorted(known, cut)
    nearer, farther = np.searchsorted(known, values, "left"), np.searchsorted(known, values, "right")
    between = np.maximum(np.maximum(nearer - place, place - farther), 0) / len(known)
    if wide and known[0] > 0 and cut > 0:
        known, values, cut = np.log(known), np.log(values), math.log(cut)
    low, high = np.percentile(known, INNER)
    gap = np.abs(values - cut) / max(high - low, 1e-12)
    return np.asarray(np.maximum(between, gap))


def _least_relevant(content: Content) -> Iterator[tuple[str, Doubt]]:
    """The least relevant of the kept pictures, if nothing is cut off by the score that was asked for."""
    name = content.receipt.plan.settings.get("relevance") if content.receipt else ""
    cut = cuts_of(content).get(str(name))
    scored = [item for item in content.kept if name in item.scores]
    if cut is None or not cut[1].off or not scored:
        return
    scored.sort(key=lambda item: (item.scores[str(name)], item.key))
    for rank, item in enumerate(scored[: math.ceil(MOST * len(scored))]):
        yield item.key, Doubt(rank / len(scored), f"{name} {item.scores[str(name)]:.4g}, one of the least; no cut")
