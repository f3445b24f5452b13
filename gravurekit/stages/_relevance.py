"""Scores of relevance: is the picture what was looked for? They are recorded, whatever is cut."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import parts, rows, storage
from gravurekit.errors import MissingExtra, PictureError, UsageError
from gravurekit.executor import Serial
from gravurekit.metadata import PARTS
from gravurekit.progress import Watch
from gravurekit.settings import digest
from gravurekit.stages._probes import FOLDER

if TYPE_CHECKING:  # OpenCV and torch load only when pictures are read
    import numpy as np

    from gravurekit.probe import Probes
    from gravurekit.relevance.clip import Scorer

STEPS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # cuts that the summary tells of
MIN_EXAMPLES = 8  # different ones on each side
KIN = 48  # distance of codes, of 256, up to which examples count as copies of one another
SEEN = 448  # pixels: the short side that pictures are read at for CLIP, at least
ARRAYS = ".vectors"
READERS = 4  # threads that decode for CLIP


@dataclass(frozen=True)
class Clip:
    """What CLIP is asked: `weights`, a folder or a name; prompts, if others than its own."""

    weights: str
    download: bool
    positive: tuple[str, ...]
    negative: tuple[str, ...]


def figure_scores(probes: "Probes") -> dict[str, "np.ndarray"]:
    """The `figure` score of each picture, if all were looked at."""
    import numpy as np

    from gravurekit.relevance.figure import probability

    found = probability(probes.figures["figure"])
    return {"figure": found} if len(found) and not np.isnan(found).any() else {}


def check_examples(liked: int, unliked: int) -> None:
    """Raises UsageError if there are too few."""
    if min(liked, unliked) < MIN_EXAMPLES:
        raise UsageError(
            f"examples of --like: {liked}, of --unlike: {unliked}; at least {MIN_EXAMPLES} different ones of each are "
            "needed"
        )


def example_scores(probes: "Probes", liked: "Probes", unliked: "Probes") -> tuple[dict[str, "np.ndarray"], float]:
    """How much each picture is like the examples, and how well unseen examples could be told apart (AUC).

    Raises UsageError if they can't be, or if too few of them can be read."""
    import numpy as np

    from gravurekit.relevance import examples

    def features(of: "Probes") -> "np.ndarray":
        pieces = [np.arange(n, min(n + 4096, len(of))) for n in range(0, len(of), 4096)]
        return np.concatenate([examples.features(of.figures[piece], of.look(piece)) for piece in pieces])

    kin = [_kin(side) for side in (liked, unliked)]
    check_examples(*(len(np.unique(numbers)) for numbers in kin))
    together = np.concatenate([kin[0], len(liked) + kin[1]])
    taste = examples.learn(features(liked), features(unliked), together)
    return {"examples": taste.scores(features(probes))}, taste.auc


def _kin(probes: "Probes") -> "np.ndarray":
    """(N,) int64: the same number for pictures that are copies of one another by their codes, a chain of them too."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from gravurekit import hamming
    from gravurekit.probe import WHOLE

    found = hamming.pairs(np.ascontiguousarray(probes.figures["codes"][:, WHOLE]), KIN)
    size = (len(probes), len(probes))
    graph = coo_array((np.ones(len(found), bool), (found.query, found.target)), size)
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def summary(scores: dict[str, "np.ndarray"], cuts: dict[str, float]) -> dict[str, Any]:
    """For each score how many pictures a cut would drop, by cut; and the cut in force."""
    return {
        name: {"cut": cuts.get(name, 0.0), "would drop": {f"{step:g}": int((column < step).sum()) for step in STEPS}}
        for name, column in scores.items()
    }


# ---- CLIP ----------------------------------------------------------------------------------------------


def check_clip() -> None:
    """Raises MissingExtra if CLIP's library isn't installed."""
    if find_spec("transformers") is None:
        raise MissingExtra("--relevance clip", "clip")


def clip_digest(weights: str) -> str:
    """The digest of the weights, if they are here."""
    from gravurekit.relevance import clip

    return clip.local_digest(weights)


def clip_scores(probes: "Probes", asked: Clip, out: Path, watch: Watch) -> dict[str, "np.ndarray"]:
    """How probably each picture shows what its keywords ask for: the best of them counts. Vectors are kept by the
    sha256 of the picture, as probes are."""
    import numpy as np

    from gravurekit.relevance import clip

    scorer = _scorer(asked.weights, asked.download)
    vectors = _vectors(probes, asked, scorer, out, watch)
    wanted: dict[str, list[int]] = {}
    for row, item in enumerate(probes.records):
        for word in item.keywords or item.labels or ("",):
            wanted.setdefault(word, []).append(row)
    prompts = (asked.positive or clip.POSITIVE, asked.negative or clip.NEGATIVE)
    found = np.full(len(probes), -1.0, np.float32)
    for word, places in wanted.items():
        found[places] = np.maximum(found[places], scorer.scores(vectors[places], word, *prompts))
    found[np.isnan(vectors[:, 0])] = np.nan
    return {"clip": found}


def _vectors(probes: "Probes", asked: Clip, scorer: "Scorer", out: Path, watch: Watch) -> "np.ndarray":
    """(N, D) float32; nan for a picture that can't be read any more."""
    import numpy as np

    from gravurekit.relevance import clip

    kind = np.dtype([("vector", "<f4", (scorer.dimensions,))])
    file, revision = out / FOLDER / f"clip-{scorer.digest}", f"clip {clip.REVISION}"
    known = rows.read(file, kind, revision)
    keys = [bytes.fromhex(item.sha256) for item in probes.records]
    todo = {key: probes.path(row) for row, key in enumerate(keys) if key not in known}
    if todo:
        items = [json.dumps([str(path)]) for path in todo.values()]
        work = parts.Work(clip_part, _unseen, (asked.weights, asked.download))
        plan = digest([revision, scorer.digest, [key.hex() for key in todo]])
        # here and not in the pool: it is the processor's or the GPU's own threads that work
        lines = parts.run(out, "clip", plan, items, work, Serial(), watch)
        fresh = {key: line for key, line in zip(todo, lines, strict=True) if line}
        listed = [key for key in dict.fromkeys(keys) if key in known or key in fresh]
        beside = out / PARTS / "clip"
        found = rows.merged(listed, known.row, fresh, lambda name: np.fromfile(beside / name, kind))
        rows.write(file, revision, kind, listed, found)
        known = rows.read(file, kind, revision)
    blank = np.full(scorer.dimensions, np.nan, np.float32)
    return np.stack([known.data["vector"][known.places[key]] if key in known else blank for key in keys])


def clip_part(items: list[str], asked: tuple[str, bool], stem: Path) -> list[str]:
    """A line for each picture: where its vector lies; empty if it can't be read."""
    with ThreadPoolExecutor(READERS) as pool:
        pictures = list(pool.map(_read, items))
    seen = [picture for picture in pictures if picture is not None]
    if seen:
        storage.write_bytes(stem.with_suffix(ARRAYS), _scorer(*asked).embed(seen).tobytes())
    places = iter(range(len(seen)))
    return ["" if picture is None else f"{stem.name}{ARRAYS} {next(places)}" for picture in pictures]


def _read(item: str) -> "np.ndarray | None":
    from gravurekit import images

    try:
        return images.read(Path(json.loads(item)[0]), reduce_to=SEEN).pixels
    except PictureError:
        return None


def _unseen(item: str, why: str) -> str:
    return ""


@cache
def _scorer(weights: str, download: bool) -> "Scorer":
    from gravurekit.relevance import clip

    return clip.open_scorer(weights, download=download)
