"""Is a style taken for a print? Three figures of a set of drawings, beside those of controls and of real books.

judged   (J) share of the patches that a judge takes for a print's; 1 is best, a held-back book is what to expect
texture  (T) distance of the texture to each book, over the median distance between two books; 0 is best
kept     (K) what is left of the photograph
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gravurekit.measures import judge, patches, texture
from gravurekit.measures.bootstrap import Figure, figure, mean_figure
from gravurekit.measures.kept import Kept

REVISION = 1
SURE = 0.5  # a judge that is surer than this has taken a patch for a print's


@dataclass(frozen=True)
class Look:
    """What is measured of one picture. `cells`: (patches, SIDE, SIDE) uint8 grey; `sure`: (judges, patches) float32
    0..1; `texture`: (patches, len(FEATURES)) float32, of the same patches."""

    name: str
    cells: np.ndarray
    sure: np.ndarray
    texture: np.ndarray
    kept: Kept | None = None


def look(name: str, grey: np.ndarray, judges: Sequence[judge.Weights], kept: Kept | None = None) -> Look:
    """Measure a picture, (H, W) uint8 grey at the scale of `patches`."""
    cells = patches.cut(grey)
    sure = np.stack([judge.taken(weights, cells) for weights in judges])
    return Look(name, cells, sure, texture.features(grey), kept)


@dataclass(frozen=True)
class Row:
    """The figures of one set of pictures. `to_books`: T of each book. None: can't be said."""

    name: str
    pictures: int
    judged: Figure | None
    texture: Figure | None
    to_books: dict[str, float] = field(default_factory=dict)
    tone: Figure | None = None
    edges: Figure | None = None
    print_tone: Figure | None = None
    print_hue: Figure | None = None
    wash_hue: Figure | None = None


@dataclass(frozen=True)
class Yardstick:
    """What is measured with: the scale of the figures, each book's profile, and the median distance between books."""

    scale: texture.Scale
    profiles: Mapping[str, texture.Profile]
    between: float


def yardstick(books: Mapping[str, Sequence[Look]]) -> Yardstick:
    """Made of real books, at least two of them."""
    gathered = {name: np.concatenate([item.texture for item in looks]) for name, looks in books.items()}
    scale = texture.scale_of(list(gathered.values()))
    profiles = {name: texture.profile(texture.projected(found, scale)) for name, found in gathered.items()}
    listed = list(profiles.values())
    between = [texture.apart(one, other) for n, one in enumerate(listed) for other in listed[:n]]
    return Yardstick(scale, profiles, float(np.median(between)))


def row(name: str, looks: Sequence[Look], stick: Yardstick, resamples: int, seed: int, book: str = "") -> Row:
    """The figures of a set of pictures. `book`: it is that one, so it isn't compared with itself."""
    goals = {other: profile for other, profile in stick.profiles.items() if other != book}
    views = [texture.projected(item.texture, stick.scale) for item in looks]

    def distances(rows: np.ndarray) -> list[float]:
        mine = texture.profile(np.concatenate([views[n] for n in rows]))
        return [texture.apart(mine, goal) / stick.between for goal in goals.values()]

    # a resample of pictures that all are nearly bare has nothing to compare; one picture with patches is enough
    rich = [n for n, view in enumerate(views) if len(view) >= texture.TONES]
    views = [views[n] for n in rich]
    to_books, spread = {}, None
    if rich:
        to_books = dict(zip(goals, distances(np.arange(len(rich))), strict=True))
        spread = figure(len(rich), lambda rows: float(np.median(distances(rows))), resamples, seed)
    kept = [item.kept for item in looks if item.kept]
    means = {
        part: mean_figure([getattr(item, part) for item in kept], resamples, seed)
        for part in ("tone", "edges", "print_tone", "print_hue", "wash_hue")
    }
    return Row(name, len(looks), _judged(looks, resamples, seed), spread, to_books, **means)


def _judged(looks: Sequence[Look], resamples: int, seed: int) -> Figure | None:
    """The share of patches taken for a print's, the mean over judges."""
    taken = np.array([(item.sure > SURE).mean(0).sum() for item in looks])
    seen = np.array([item.sure.shape[1] for item in looks])
    taken, seen = taken[seen > 0], seen[seen > 0]
    if not len(seen):
        return None
    return figure(len(seen), lambda rows: float(taken[rows].sum() / seen[rows].sum()), resamples, seed)


@dataclass(frozen=True)
class Deviation:
    """The mean of a figure of texture in standard deviations from real prints, and the least and most of the books."""

    name: str
    value: float
    least: float
    most: float

    @property
    def outside(self) -> float:
        """How far it lies outside of what books have."""
        return max(self.least - self.value, self.value - self.most, 0.0)


def deviations(looks: Sequence[Look], books: Mapping[str, Sequence[Look]], scale: texture.Scale) -> list[Deviation]:
    """A Deviation for each of texture.FEATURES: what is too much and what too little."""

    def means(pictures: Sequence[Look]) -> np.ndarray:
        return scale.standard(np.concatenate([item.texture for item in pictures])).mean(0)

    mine, theirs = means(looks), np.stack([means(pictures) for pictures in books.values()])
    edges = zip(texture.FEATURES, mine, theirs.min(0), theirs.max(0), strict=True)
    return [Deviation(name, float(value), float(least), float(most)) for name, value, least, most in edges]


def doubts(controls: Sequence[Row], books: Sequence[Row]) -> list[str]:
    """The controls that the measure can't tell from a book: they do as well as some held-back book in J and in T. As
    long as there is one, the figures say nothing."""
    judged = [item.judged.value for item in books if item.judged]
    spread = [item.texture.value for item in books if item.texture]

    def passes(item: Row) -> bool:
        if not (item.judged and item.texture and judged and spread):
            return False
        return item.judged.value >= min(judged) and item.texture.value <= max(spread)

    return [item.name for item in controls if passes(item)]
