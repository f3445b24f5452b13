"""The palettes of a training: which colours the pictures of a label or a keyword had, kept in the run, so that a print
can be coloured like them when the shards are long gone.

palettes.json   of the training split: for each label and each keyword the number of samples, their palettes added up,
                and those of some single pictures, each of another cluster. A palette is text, as in the manifest.

No single picture is named in it.
"""

import hashlib
import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import shards, storage
from gravurekit.errors import DataError, UsageError
from gravurekit.settings import did_you_mean
from gravurekit.shards import index

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.shards.reader import ShardSet

FILE = "palettes.json"
FORMAT = 1
SINGLE = 12  # pictures of a word whose own palettes are kept
WORDS = 1000  # words that have some, those with the most samples: more would make the file larger than the network
KINDS = ("labels", "keywords")
PALE, VIVID = 15.0, 0.05  # chroma below which a cell is paper; share of the rest from which on a picture is coloured
AT_ONCE = 64  # samples in memory


# ---- written by train ----------------------------------------------------------------------------------


def write(run: Path, samples: "ShardSet") -> None:
    """Write the palettes of the training split, `samples` (with `wash` and `box`), into the run, which has its list of
    pictures already. Raises DataError for a damaged sample, or a manifest without palettes."""
    sums = _sums(samples.manifest)
    drawn = _drawn(run / shards.LEARNED, samples.manifest, _large(sums))
    numbers = sorted({number for some in drawn.values() for number in some})
    single = dict(zip(numbers, _palettes(samples, numbers), strict=True))
    told: dict[str, Any] = {"format": FORMAT, "samples": len(samples)}
    for kind in KINDS:
        told[kind] = {
            word: {**said, "some": [single[number] for number in drawn.get((kind, word), ())]}
            for word, said in sorted(sums[kind].items())
        }
    storage.write_text(run / FILE, json.dumps(told, ensure_ascii=False, sort_keys=True, indent=1) + "\n")


def _sums(manifest: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """By kind and word the number of samples and their palette; none of shards that don't tell."""
    try:
        return {
            kind: {
                word: {"samples": int(said["samples"]), "ab": str(said["ab"])}
                for word, said in manifest["palettes"].get(kind, {}).items()
            }
            for kind in KINDS
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"the palettes in {shards.MANIFEST} are damaged: run `gravurekit shard` again") from None


def _large(sums: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> set[tuple[str, str]]:
    """The words of which single palettes are kept."""
    sizes = [(-said["samples"], kind, word) for kind in KINDS for word, said in sums[kind].items()]
    return {(kind, word) for _, kind, word in heapq.nsmallest(WORDS, sizes)}


def _drawn(path: Path, manifest: Mapping[str, Any], words: set[tuple[str, str]]) -> dict[tuple[str, str], list[int]]:
    """By word the numbers of samples: of clusters whose hashes are the lowest, of each the picture with the lowest, so
    that neither order nor number of the others decides."""
    begins = _begins(manifest)
    best: dict[tuple[str, str], dict[str, tuple[str, int]]] = {}
    for entry in index.read(path, ("shard", "row", "key", "labels", "keywords")):
        number = begins.get(entry["shard"], -1 - entry["row"]) + entry["row"]
        picture = str(entry.get("photo_key") or entry["key"])
        cluster = _hash(str(entry.get("cluster") or picture))
        for word in [("labels", w) for w in entry["labels"]] + [("keywords", w) for w in entry["keywords"]]:
            if word in words and number >= 0:
                _keep(best.setdefault(word, {}), cluster, (_hash(picture), number))
    return {word: [found[cluster][1] for cluster in sorted(found)] for word, found in best.items()}


def _keep(found: dict[str, tuple[str, int]], cluster: str, picture: tuple[str, int]) -> None:
    """One more picture, if it is the lowest of its cluster, and that one of the SINGLE lowest."""
    found[cluster] = min(found.get(cluster, picture), picture)
    if len(found) > SINGLE:
        del found[max(found)]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _begins(manifest: Mapping[str, Any]) -> dict[str, int]:
    """The number of the first sample of each file of the training split."""
    first, begins = 0, {}
    for shard in manifest["shards"]:
        if shard["split"] == "train":
            begins[shard["file"]] = first
            first += shard["samples"]
    return begins


def _palettes(samples: "ShardSet", numbers: list[int]) -> Iterator[str]:
    """The palettes of single samples, as text."""
    import numpy as np

    from gravurekit.shards import palette

    for first in range(0, len(numbers), AT_ONCE):
        batch = samples.batch(np.array(numbers[first : first + AT_ONCE]))
        for wash, (y0, x0, y1, x1) in zip(batch["wash"], batch["box"].tolist(), strict=True):
            yield palette.to_text(palette.counted(wash, (y0, x0, y1, x1)))


# ---- read for --as -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Word:
    """What the pictures of a label or a keyword had.

    name     as it was written in the training
    samples  how many there were
    summed   (27, 27) int64, a's in rows: their palettes added up
    some     the palettes of single ones, likewise
    """

    name: str
    samples: int
    summed: "np.ndarray"
    some: "tuple[np.ndarray, ...]"


def find(model: Path, asked: str) -> Word:
    """What the run with this model (its folder, or the model's file) keeps of a label or, if there is none, a keyword;
    capitals and spaces don't matter. Raises UsageError with the nearest word if it has no such, DataError if it doesn't
    keep palettes or they are damaged."""
    path = (model if model.is_dir() else model.parent) / FILE
    words = _read(path)
    wanted = _plain(asked)
    for kind in KINDS:
        for name, said in words[kind].items():
            if _plain(name) == wanted:
                return _word(name, said, path)
    known = sorted({name for kind in KINDS for name in words[kind]})
    if not known:
        raise UsageError(f"--as {asked!r}: the training of {path.parent} knew neither labels nor keywords")
    near = did_you_mean(wanted, [_plain(name) for name in known])
    if not near.startswith("; did"):
        near = f"; it knew {', '.join(known[:20])}{', …' if len(known) > 20 else ''}"
    raise UsageError(f"--as {asked!r} is no label or keyword of the training of {path.parent}{near}")


def known(model: Path) -> list[str]:
    """The labels and keywords that the run with this model keeps palettes of, sorted; none if it keeps none, or they
    are damaged."""
    try:
        words = _read((model if model.is_dir() else model.parent) / FILE)
    except DataError:
        return []
    return sorted({name for kind in KINDS for name in words[kind]})


def _plain(word: str) -> str:
    return " ".join(word.casefold().replace("_", " ").split())


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"no palettes beside the model ({path}): it was trained without; train again, or --palette")
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): allow it") from None
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and type(found.get("format")) is int and found["format"] > FORMAT:
        raise DataError(f"{path} is of a newer gravurekit (format {found['format']}): pip install --upgrade gravurekit")
    if not isinstance(found, dict) or not all(isinstance(found.get(kind), dict) for kind in KINDS):
        raise DataError(f"{path} is damaged: copy it again from where the model came, or train again")
    return found


def _word(name: str, said: Any, path: Path) -> Word:
    from gravurekit.shards import palette

    try:
        some = tuple(palette.from_text(text) for text in said["some"])
        return Word(name, int(said["samples"]), palette.from_text(said["ab"]), some)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise DataError(f"{path} is damaged at {name!r}: copy it again, or train again") from None


def several(word: Word, count: int, seed: int) -> "list[np.ndarray]":
    """Palettes of different pictures of a word, far from one another: the first drawn by the seed, each further one the
    farthest from those before it (Hellinger's distance of the palettes, smoothed, without the paper). Those of nearly
    uncoloured pictures are only taken if there aren't enough others. Raises UsageError if so many aren't kept."""
    import numpy as np

    known = [palette for palette in word.some if palette.sum() > 0]
    if count > len(known):
        raise UsageError(f"--samples {count}: of {word.name!r} {len(known)} palettes are kept; ask for as many at most")
    vivid = [palette for palette in known if _coloured(palette).sum() >= VIVID * palette.sum()]
    known = vivid if len(vivid) >= count else known
    places = np.array([_smooth_root(_coloured(palette)) for palette in known])
    first = int.from_bytes(hashlib.sha256(f"{seed} {word.name}".encode()).digest()[:8], "big") % len(known)
    chosen = [first]
    while len(chosen) < count:
        away = np.min([((places - places[n]) ** 2).sum(1) for n in chosen], axis=0)
        away[chosen] = -1
        chosen.append(int(away.argmax()))
    return [known[n] for n in chosen]


def _coloured(palette: "np.ndarray") -> "np.ndarray":
    """(27, 27) counts, those of paper and of what is nearly grey left out."""
    import numpy as np

    from gravurekit.shards import palette as counted

    a, b = (np.indices(palette.shape) - counted.EDGE) * counted.STEP
    return np.where(np.hypot(a, b) >= PALE, palette, 0)


def _smooth_root(palette: "np.ndarray") -> "np.ndarray":
    """(27, 27) counts → (729,) square roots of shares, each cell with its neighbours."""
    import numpy as np

    wide = np.pad(palette.astype(np.float64), 1)
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    smooth = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    return np.asarray(np.sqrt(smooth / max(smooth.sum(), 1)).ravel())
