"""Pairs of pictures that figures can't tell apart are opened and laid on one another."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import parts, storage
from gravurekit.errors import DataError, PictureError
from gravurekit.executor import Executor
from gravurekit.metadata import PARTS
from gravurekit.progress import Watch
from gravurekit.settings import digest

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    import numpy as np

    from gravurekit.alignment import Look
    from gravurekit.filters import Pair
    from gravurekit.probe import Probes

REVISION = 3
MIN_ALIKE = 0.8  # share of blocks
LIKELY_ALIKE = 0.6  # where thumbs prove the rest: what is written across a plain garment is much of what is on it
MAX_UNLIKE = 0.7  # share of a patch


PASS, AWAY = "compare", "?"  # of the stage's work; in place of a proof: it couldn't be read


class _Away(Exception):
    """A file that was there isn't, or is another one."""


@dataclass(frozen=True)
class Opening:
    """Opens pairs in the executor. `out`: where parts are written; `max_color`: a,b distance of one picture;
    `grey`: chroma residual below which a picture has no colours that could differ."""

    out: Path
    max_color: float
    grey: float
    executor: Executor
    watch: Watch

    def proofs(self, probes: "Probes", pairs: Sequence["Pair"]) -> list[str]:
        """For each pair the proof that it is one picture, or ""."""
        if not pairs:
            return []
        grey = probes.figures["chroma_residual"] < self.grey
        items = [json.dumps(_asked(probes, pair, grey)) for pair in pairs]
        order = sorted(range(len(items)), key=lambda n: items[n])  # a leader is opened once for all its pairs
        sorted_items = [items[n] for n in order]
        work = parts.Work(compare_part, _unproven, self.max_color, probes.roots)
        plan = digest([REVISION, self.max_color, sorted_items])
        found = parts.run(self.out, PASS, plan, sorted_items, work, self.executor, self.watch)
        if AWAY in found:
            storage.remove(self.out / PARTS / PASS)  # what isn't known isn't to be believed the next time
            one, other, *_ = json.loads(sorted_items[found.index(AWAY)])
            raise DataError(f"{one[0]} or {other[0]} went away or changed meanwhile: run the same command again")
        return [proof for _, proof in sorted(zip(order, found, strict=True))]


@dataclass(frozen=True)
class Here:
    """Opens pairs in this process: for a few."""

    max_color: float
    grey: float

    def proofs(self, probes: "Probes", pairs: Sequence["Pair"]) -> list[str]:
        """As Opening's."""
        grey = probes.figures["chroma_residual"] < self.grey
        found = [_opened(_asked(probes, pair, grey), self.max_color) for pair in pairs]
        return ["" if proof == AWAY else proof for proof in found]


def _asked(probes: "Probes", pair: "Pair", grey: "np.ndarray") -> list[Any]:
    """A pair as it travels to another process."""
    sides = [[str(probes.path(row)), probes.records[row].sha256, bool(grey[row])] for row in (pair.one, pair.other)]
    return [*sides, pair.mirrored, pair.likely]


def compare_part(items: list[str], max_color: float, stem: Path) -> list[str]:
    """A line for each pair."""
    return [_opened(json.loads(item), max_color) for item in items]


def _opened(pair: list[Any], max_color: float) -> str:
    one, other, mirrored, likely = pair
    try:
        return proof(_look(*one, mirrored), _look(*other, False), mirrored, likely, max_color)
    except _Away:
        return AWAY
    except PictureError:
        return ""


def proof(one: "Look", other: "Look", mirrored: bool, likely: bool, max_color: float) -> str:
    """Why the two are one picture; "" if they aren't."""
    from gravurekit.alignment import likeness

    found = likeness(one, other)
    if found is None or found.alike < (LIKELY_ALIKE if likely else MIN_ALIKE):
        return ""
    if found.unlike > MAX_UNLIKE or found.color > max_color:
        return ""
    said = "mirrored, " if mirrored else ""
    return f"{said}{found.points} points fit, {found.alike:.0%} of the blocks alike"


@lru_cache(32)
def _look(path: str, sha256: str, grey: bool, mirrored: bool) -> "Look":
    from gravurekit import alignment, images

    try:
        data = images.contents_of(Path(path), sha256)
    except PictureError as error:
        raise _Away from error
    pixels = images.decode(data, reduce_to=alignment.SIDE).pixels
    return alignment.look(alignment.mirror(pixels) if mirrored else pixels, grey)


def _unproven(item: str, why: str) -> str:
    return ""
