"""How far a figure would move had other pictures been drawn: the bootstrap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

SHARE = 0.95  # of the resamples that lie within an interval


@dataclass(frozen=True)
class Figure:
    """A figure of a set of pictures, and the interval that SHARE of the resamples lie in."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"


def figure(pictures: int, statistic: Callable[[np.ndarray], float], resamples: int, seed: int) -> Figure:
    """`statistic` of all of `pictures`, and its interval. It is given the pictures' numbers, (pictures,) int64: each
    once, then drawn with replacement; from the seed alone, so that rows of the same pictures are resampled alike."""
    rng = np.random.default_rng(seed)
    found = [statistic(rng.integers(pictures, size=pictures)) for _ in range(resamples)]
    value = statistic(np.arange(pictures))
    low, high = np.quantile([*found, value], [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Figure(value, float(low), float(high))


def mean_figure(values: Sequence[float | None], resamples: int, seed: int) -> Figure | None:
    """The mean over pictures of what is known of each; None if it is known of none."""
    known = np.array([value for value in values if value is not None], np.float64)
    return figure(len(known), lambda rows: float(known[rows].mean()), resamples, seed) if len(known) else None
