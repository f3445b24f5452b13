"""Match: a style's knobs fitted to real prints, so that its textures come as near to theirs as they can.

The cross-entropy method (Rubinstein 1999): settings are drawn from a normal distribution a knob, the best of them say
where the next ones are drawn from, and the width that remains in the end is the range of the preset. What is made
smaller is T of `measures/texture.py`, the distance within strata of tone, so that solid black buys nothing; and what
loses the photograph pays for it.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import crafts
from gravurekit.errors import PictureError, UsageError
from gravurekit.executor import Executor
from gravurekit.foreign import picture_files
from gravurekit.progress import Watch
from gravurekit.record import Record
from gravurekit.settings import Range
from gravurekit.settings import Settings as Knobs
from gravurekit.stages._drawing import Artist, Sizes

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    import numpy as np

    from gravurekit.measures.texture import Profile, Scale

ROUNDS = 9
CANDIDATES = 14  # settings that are tried in a round
BEST = 4  # of them say where the next ones are drawn from
INERTIA = 0.3  # of the distribution before stays
LEFT = 0.15  # of a distribution's first width, at least
PHOTOGRAPHS = 8  # that are drawn with each; as many others show what came of it
PRINTS = 80  # that are looked at
TONE, EDGES = 0.9, 0.85  # what is to be kept of the photograph at least (measures/kept.py)
FITTED = "# Fitted to "  # how a preset file of ours begins
PRICE = 8.0  # of what is missing of that, in units of the distance


@dataclass(frozen=True)
class Match:
    """What came of it: the distance to `prints` prints `before` and `after`, measured on other `photographs` than those
    that it was fitted on, with what is kept of their tone and edges; and the ranges, by knob."""

    out: Path
    style: str
    prints: int
    photographs: int
    before: float
    after: float
    kept: tuple[float, float]
    ranges: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class _Trial:
    """Photographs, drawn with `knobs` (JSON of the style's Settings)."""

    settings: Sizes
    knobs: str
    pictures: tuple[tuple[str, Path], ...]  # key and file


@dataclass(frozen=True)
class _Drawn:
    """The texture of a trial's drawings, (patches, features) float32, and the mean of what they keep."""

    features: "np.ndarray"
    tone: float
    edges: float


@dataclass(frozen=True)
class _Goal:
    """The prints that are to be matched."""

    scale: "Scale"
    profile: "Profile"
    prints: int

    def distance(self, drawn: _Drawn) -> float:
        """Infinite if there is nothing to compare."""
        from gravurekit.measures import texture

        if len(drawn.features) < texture.TONES:
            return math.inf
        return texture.apart(texture.profile(texture.projected(drawn.features, self.scale)), self.profile)

    def cost(self, drawn: _Drawn) -> float:
        missing = max(0.0, TONE - drawn.tone) + max(0.0, EDGES - drawn.edges)
        return self.distance(drawn) + PRICE * missing


def fit(
    settings: Sizes, knobs: Knobs, photographs: Sequence[Record], source: Path, prints: Path, executor: Executor,
    watch: Watch,
) -> Match:  # fmt: skip
    """Ranges for those knobs of the style that its MATCHED names; the others stay as `knobs` has them.

    Raises UsageError for a style that can't be matched, for prints without lines, or for too few photographs.
    """
    free = matched(settings.style)
    goal = _goal(prints, watch)
    fitted, shown = _split(photographs, source, settings)
    old = _draw(_Trial(settings, knobs.model_dump_json(), shown))
    if math.isinf(goal.distance(old)):
        raise UsageError("--match: the drawings are too small, or have no lines, to be compared; raise --short-side")
    search = _Search(settings, knobs, free, fitted, goal)
    watch.begin("match", ROUNDS * CANDIDATES)
    for _ in range(ROUNDS):
        search.step(executor, watch)
    ranges = search.ranges()
    new = _draw(_Trial(settings, search.said(ranges), shown))
    return Match(
        out=Path(),
        style=settings.style,
        prints=goal.prints,
        photographs=len(shown),
        before=goal.distance(old),
        after=goal.distance(new),
        kept=(new.tone, new.edges),
        ranges=ranges,
    )


def matched(style: str) -> tuple[str, ...]:
    """The knobs of a style that can be fitted. Raises UsageError if it has none."""
    names: tuple[str, ...] = getattr(crafts.load("styles", style), "MATCHED", ())
    if not names:
        raise UsageError(f"--match: {style} has nothing that could be fitted to prints; engrave has")
    return names


def toml(match: Match) -> str:
    """A preset file, as `--preset` takes it."""
    lines = [
        f"{FITTED}{match.prints} prints: their textures are {match.after:.2f} away, {match.before:.2f} before.",
        f"[stylize.{match.style}]",
        *(f"{name} = [{low:.4g}, {high:.4g}]" for name, (low, high) in match.ranges.items()),
    ]
    return "\n".join(lines) + "\n"


def refuse_to_overwrite(out: Path) -> None:
    """Raises UsageError for a file that is there, and isn't a preset of ours."""
    if out.suffix != ".toml":
        raise UsageError(f"{out}: a preset is a .toml file; name one with --out")
    if out.exists() and not out.read_bytes().startswith(FITTED.encode()):
        raise UsageError(f"{out} is there already, and no preset that was fitted: name another file with --out")


class _Search:
    """Where settings are drawn from: a normal distribution for each knob, which narrows."""

    def __init__(
        self, settings: Sizes, knobs: Knobs, free: Sequence[str], pictures: tuple[tuple[str, Path], ...], goal: _Goal
    ):
        import numpy as np

        self._settings, self._knobs, self._free = settings, knobs, free
        self._pictures, self._goal = pictures, goal
        self._limits = np.array([_limits(knobs, name) for name in free])
        start = np.array([getattr(knobs, name) for name in free])
        self._middle = start.mean(1)
        self._width = 0.8 * (start[:, 1] - start[:, 0]) + 0.04 * (self._limits[:, 1] - self._limits[:, 0])
        self._first_width = self._width
        self._rng = np.random.default_rng(settings.seed)

    def step(self, executor: Executor, watch: Watch) -> None:
        """One round."""
        import numpy as np

        drawn = self._middle + self._width * self._rng.standard_normal((CANDIDATES, len(self._free)))
        drawn[0] = self._middle
        drawn = np.clip(drawn, self._limits[:, 0], self._limits[:, 1])
        costs = np.full(CANDIDATES, np.inf)  # of one that killed its process as well
        for index, cost in _costs(executor, [self._trial(values) for values in drawn], self._goal):
            costs[index] = cost
            watch.advance()
        best = drawn[np.argsort(costs, kind="stable")[:BEST]]
        self._middle = INERTIA * self._middle + (1 - INERTIA) * best.mean(0)
        self._width = INERTIA * self._width + (1 - INERTIA) * best.std(0)

    def _trial(self, values: "np.ndarray") -> _Trial:
        one = {name: (float(value), float(value)) for name, value in zip(self._free, values, strict=True)}
        return _Trial(self._settings, self.said(one), self._pictures)

    def said(self, ranges: dict[str, tuple[float, float]]) -> str:
        """The style's settings with these ranges, as JSON."""
        return json.dumps(self._knobs.model_dump() | ranges)

    def ranges(self) -> dict[str, tuple[float, float]]:
        """What is left of each knob's distribution: its middle, and its width on both sides, which isn't nothing: no
        two prints of a book are alike either."""
        import numpy as np

        width = np.maximum(self._width, LEFT * self._first_width)
        ends = (np.clip(self._middle + way * width, *self._limits.T) for way in (-1, 1))
        return {name: (float(low), float(high)) for name, low, high in zip(self._free, *ends, strict=True)}


def _limits(knobs: Knobs, name: str) -> tuple[float, float]:
    limits = next(item for item in type(knobs).model_fields[name].metadata if isinstance(item, Range))
    return limits.ge, limits.le


def _costs(executor: Executor, trials: Sequence[_Trial], goal: _Goal) -> Iterator[tuple[int, float]]:
    executor.reach(None, sorted({file.parent for trial in trials for _, file in trial.pictures}))
    for outcome in executor.map(_draw, trials):
        if outcome.value is not None:
            yield outcome.index, goal.cost(outcome.value)


def _draw(trial: _Trial) -> _Drawn:
    """Draw the photographs of a trial, and look at what came of them."""
    import numpy as np

    from gravurekit.measures import kept, patches, texture

    kind = crafts.load("styles", trial.settings.style).Settings
    artist = Artist(trial.settings, {trial.settings.style: kind.model_validate_json(trial.knobs)}, (), "random:0")
    found, tones, edges = [], [], []
    for key, path in trial.pictures:
        sketch = artist.sketch(Record(key=key, variant=0), _pixels(path, artist.side_read))
        found.append(texture.features(patches.grey(sketch.layers.plain)))
        same = kept.kept(sketch.photo, sketch.layers.plain)
        tones.append(same.tone)
        edges.append(same.edges)
    return _Drawn(np.concatenate(found), float(np.mean(tones)), float(np.mean(edges)))


@lru_cache(maxsize=2 * PHOTOGRAPHS)
def _pixels(path: Path, side: int) -> "np.ndarray":
    """(H, W, 3) uint8 sRGB; kept for the next trial."""
    from gravurekit import images

    return images.read(path, reduce_to=side, thrifty=True).pixels


def _goal(prints: Path, watch: Watch) -> _Goal:
    """The textures of the pictures in the folder `prints`, and below it. Raises UsageError if there are too few."""
    import numpy as np

    from gravurekit.measures import patches, texture

    if not prints.is_dir():
        raise UsageError(f"--match {prints}: no such folder")
    files = [prints / name for name in _evenly(picture_files(prints), PRINTS)]
    watch.begin("prints", len(files))
    found = []
    for path in files:
        try:
            found.append(texture.features(patches.grey(patches.read(path))))
        except PictureError as error:
            watch.note(f"{path} is left out: {error}")
        watch.advance()
    if sum(map(len, found)) < 20 * texture.TONES:
        raise UsageError(f"--match {prints}: too few pictures with lines in them; name a folder of real prints")
    together = np.concatenate(found)
    scale = texture.scale_of([together])
    return _Goal(scale, texture.profile(texture.projected(together, scale)), len(found))


def _split(
    photographs: Sequence[Record], source: Path, settings: Sizes
) -> tuple[tuple[tuple[str, Path], ...], tuple[tuple[str, Path], ...]]:
    """The photographs to fit on, and as many others to look at; the same ones if there are only a few."""
    chosen = []
    for item in _evenly(photographs, 2 * PHOTOGRAPHS):
        try:
            _pixels(source / item.file_name, settings.short_side)
        except PictureError:
            continue
        chosen.append((item.key, source / item.file_name))
    if not chosen:
        raise UsageError(f"{source}: no photograph in it can be read")
    return tuple(chosen[::2]), tuple(chosen[1::2] or chosen)


def _evenly(items: Sequence[Any], count: int) -> list[Any]:
    """`count` items out of the whole, or all if there are fewer."""
    count = min(count, len(items))
    return [items[index * len(items) // count] for index in range(count)]
