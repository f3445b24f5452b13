"""Calibration: how many edited copies of one's own pictures would be found at the present settings, and which pictures
are taken for copies of one another.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import crafts
from gravurekit.errors import DataError, PictureError
from gravurekit.executor import Executor
from gravurekit.progress import Watch
from gravurekit.record import Record
from gravurekit.stages._comparing import proof

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    import numpy as np

    from gravurekit.alignment import Look
    from gravurekit.filters import Pair
    from gravurekit.probe import Probes

PAIRS = 16  # that are opened in one task


@dataclass(frozen=True)
class Recall:
    """Of `pictures` edited in one way so many were `found` as copies of their original; `wrong`: found as copies of
    another picture."""

    edit: str
    pictures: int
    found: int
    wrong: int
    missed: tuple[str, ...] = ()  # files

    @property
    def share(self) -> float:
        """Found, 0..1."""
        return self.found / self.pictures if self.pictures else 0.0


@dataclass(frozen=True)
class Twins:
    """Two different pictures that are taken for one."""

    file: str
    kept: str
    detail: str


@dataclass(frozen=True)
class Calibration:
    """What came of it: of `pictures` with something in them, one of each cluster, edits were made; `compared` were
    compared with one another."""

    pictures: int
    compared: int
    recalls: tuple[Recall, ...]
    twins: tuple[Twins, ...]


def calibrated(
    probes: "Probes", knobs: Any, thorough: bool, sample: int, names: Sequence[str], executor: Executor,
    watch: Watch,
) -> Calibration:  # fmt: skip
    """Edit `sample` of the pictures by each of `names` (gravurekit.edits), and look for the copies. Raises DataError if
    there is nothing on any of them."""
    import numpy as np

    duplicate: Any = crafts.load("filters", "duplicate")
    lively = np.flatnonzero(probes.figures["spread"] >= knobs.min_spread)
    probes = probes.take(lively)
    files = {item.key: item.file_name for item in probes.records}
    compare = _Comparing(probes, knobs, thorough, executor, watch)
    drops = list(duplicate.drops(probes, knobs, compare))
    twins = tuple(Twins(files[drop.key], files[drop.kept_key], drop.detail) for drop in drops)
    copies = {drop.key for drop in drops}
    single = [row for row, item in enumerate(probes.records) if item.key not in copies]
    if not single:
        raise DataError("no picture with something in it: nothing can be calibrated with these")
    chosen = probes.take(np.array(single[:sample], np.int64))  # keys are hashes: the first ones are any ones
    watch.begin("edit", len(chosen))
    tasks = [(str(chosen.path(row)), item.key, tuple(names)) for row, item in enumerate(chosen.records)]
    made: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for outcome in executor.map(edit_picture, tasks):
        watch.advance()
        if outcome.value is not None:
            made[outcome.index] = outcome.value
    recalls = (_recall(n, name, chosen, made, knobs, compare) for n, name in enumerate(names))
    return Calibration(len(made), len(probes), tuple(recalls), twins)


def measured(root: Path, found: Sequence[Record], executor: Executor, watch: Watch) -> "Probes":
    """The probes of pictures, in memory; those that can't be read are left out."""
    import numpy as np

    from gravurekit.probe import FIGURES, THUMBS, Probes

    watch.begin("probe", len(found))
    executor.reach(None, [root])
    made = {}
    for outcome in executor.map(measure_picture, (str(root / item.file_name) for item in found)):
        watch.advance()
        if outcome.value is not None:
            made[outcome.index] = outcome.value
    rows = sorted(made)
    figures = np.array([made[row][0] for row in rows], FIGURES)
    thumbs = np.array([made[row][1] for row in rows], THUMBS)
    homes = np.zeros(len(rows), np.int64)
    return Probes([found[row] for row in rows], figures, thumbs, np.arange(len(rows)), (root,), homes)


def measure_picture(path: str) -> "tuple[np.ndarray, np.ndarray] | None":
    """() FIGURES and () THUMBS of a file; None if it can't be read."""
    from gravurekit import images, probe

    try:
        data = images.contents(Path(path))
        return probe.measure(images.decode(data), hashlib.sha256(data).hexdigest(), len(data))
    except PictureError:
        return None


def edit_picture(task: tuple[str, str, tuple[str, ...]]) -> "tuple[np.ndarray, np.ndarray] | None":
    """FIGURES and THUMBS of a picture after each of the edits; None if it can't be read any more."""
    import numpy as np

    from gravurekit import edits, images, probe

    path, key, names = task
    try:
        picture = images.read(Path(path))
    except PictureError:
        return None
    made = []
    for name in names:
        pixels = edits.edited(picture.pixels, name, key)
        made.append(probe.measure(images.Picture(pixels, "jpg", False), "00" * 32, pixels.size // 20))
    figures, thumbs = zip(*made, strict=True)
    return np.stack(figures), np.stack(thumbs)


def _recall(
    n: int, name: str, originals: "Probes", made: "dict[int, tuple[np.ndarray, np.ndarray]]", knobs: Any,
    compare: "_Comparing",
) -> Recall:  # fmt: skip
    """How many of the pictures are found again after edit number `n`."""
    import numpy as np

    rows = sorted(made)
    duplicate: Any = crafts.load("filters", "duplicate")
    asked = originals.take(np.array(rows, np.int64))
    copies = [Record(key=f"edited {item.key}", file_name=item.file_name) for item in asked.records]
    both = replace(
        asked,
        records=[*asked.records, *copies],
        figures=np.concatenate([asked.figures, np.stack([made[row][0][n] for row in rows])]),
        thumbs=np.concatenate([asked.look(np.arange(len(rows))), np.stack([made[row][1][n] for row in rows])]),
        places=np.arange(2 * len(rows)),
        homes=np.tile(asked.homes, 2),
        earlier=len(rows),
    )
    found = {drop.key: drop.kept_key for drop in duplicate.drops(both, knobs, replace(compare, edit=name))}
    right = sum(found.get(f"edited {item.key}") == item.key for item in asked.records)
    missed = tuple(item.file_name for item in asked.records if f"edited {item.key}" not in found)
    return Recall(name, len(rows), right, len(found) - right, missed)


@dataclass(frozen=True)
class _Comparing:
    """filters.Compare for pictures of which the later half exists in memory only: copies after the edit `edit`."""

    probes: "Probes"
    knobs: Any
    thorough: bool
    executor: Executor
    watch: Watch
    edit: str = ""
    apart: frozenset[tuple[str, str]] = frozenset()  # what people decided says nothing of edits

    def proofs(self, probes: "Probes", pairs: "Sequence[Pair]") -> list[str]:
        """For each pair the proof that it is one picture, or ""."""
        grey = probes.figures["chroma_residual"] < self.knobs.monochrome_residual
        limit = self.knobs.max_color_difference

        def side(row: int) -> tuple[str, str, str, bool]:
            copy = bool(self.edit) and row >= probes.earlier
            key = probes.records[row].key.removeprefix("edited ")
            return str(probes.path(row)), key, self.edit if copy else "", bool(grey[row])

        asked = [(side(pair.one), side(pair.other), pair.mirrored, pair.likely, limit) for pair in pairs]
        tasks = [asked[n : n + PAIRS] for n in range(0, len(asked), PAIRS)]
        self.watch.begin(self.edit or "compare", len(asked))
        found: dict[int, list[str]] = {}
        for outcome in self.executor.map(compare_edited, tasks):
            self.watch.advance(len(tasks[outcome.index]))
            found[outcome.index] = outcome.value or [""] * len(tasks[outcome.index])
        return [text for n in range(len(tasks)) for text in found[n]]


def compare_edited(pairs: Iterable[tuple[Any, Any, bool, bool, float]]) -> list[str]:
    """A proof for each pair, or ""."""
    return list(_proofs(pairs))


def _proofs(pairs: Iterable[tuple[Any, Any, bool, bool, float]]) -> Iterator[str]:
    for one, other, mirrored, likely, limit in pairs:
        try:
            yield proof(_look(*one, mirrored), _look(*other, False), mirrored, likely, limit)
        except PictureError:
            yield ""


@lru_cache(8)
def _look(path: str, key: str, edit: str, grey: bool, mirrored: bool) -> "Look":
    from gravurekit import alignment, edits, images

    pixels = images.read(Path(path)).pixels
    pixels = edits.edited(pixels, edit, key) if edit else pixels
    return alignment.look(alignment.mirror(pixels) if mirrored else pixels, grey)
