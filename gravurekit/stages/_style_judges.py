"""The judges of style: trained once for the same books and photographs, and kept."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gravurekit import storage
from gravurekit.errors import PictureError, UsageError
from gravurekit.metadata import file_sha256
from gravurekit.progress import Watch
from gravurekit.settings import digest
from gravurekit.stages._style_cast import Cast

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.measures.judge import Pains, Weights


@dataclass(frozen=True)
class Judge:
    """`weights` of a judge who has never seen the books `held`; `digest` of all that decides them."""

    held: tuple[str, ...]
    weights: "Weights"
    digest: str


def judges(cast: Cast, pains: "Pains", seed: int, cache: Path, watch: Watch) -> list[Judge]:
    """One judge for each fold of the books, from the `cache` where it is known there. Raises UsageError if no patch
    of a book or of the photographs can be learnt from."""
    from gravurekit.measures import judge

    names = _digest_of(cast, pains, seed)
    folds = judge.folds(sorted(cast.books))
    files = [cache / f"judge-{names[:16]}-{n}.safetensors" for n in range(len(folds))]
    known = [_read(file) for file in files]
    lesson = None
    watch.begin("train judges", len(folds))
    for n, held in enumerate(folds):
        if known[n] is None:
            lesson = lesson or _lesson(cast, pains, seed)
            known[n] = lesson.train(held, pains, seed + n)
            storage.write_bytes(files[n], _bytes(known[n]))
        watch.advance()
    return [
        Judge(tuple(held), weights, f"{names[:16]}-{n}")
        for n, (held, weights) in enumerate(zip(folds, known, strict=True))
        if weights is not None
    ]


def _digest_of(cast: Cast, pains: "Pains", seed: int) -> str:
    from gravurekit.measures import controls, judge, patches

    books = {name: [file_sha256(path) for path in files] for name, files in cast.books.items()}
    lessons = [file_sha256(path) for path in cast.lessons]
    return digest([judge.REVISION, controls.REVISION, patches.REVISION, asdict(pains), seed, books, lessons])


@dataclass(frozen=True)
class _Lesson:
    """Patches, (N, SIDE, SIDE) uint8: of each book, and of fakes, whose first ones serve every judge."""

    books: "dict[str, np.ndarray]"
    fakes: "np.ndarray"

    def train(self, held: Sequence[str], pains: "Pains", seed: int) -> "Weights":
        """The weights of a judge who doesn't see the books `held`."""
        import numpy as np

        from gravurekit.measures import judge

        shown = np.concatenate([patches for name, patches in self.books.items() if name not in held])
        return judge.train(shown, self.fakes[: len(shown)], pains.epochs, seed)


def _lesson(cast: Cast, pains: "Pains", seed: int) -> _Lesson:
    import numpy as np

    from gravurekit.measures import judge, patches

    books = {name: [patches.grey(pixels) for pixels in readable(files)] for name, files in cast.books.items()}
    photos = readable(cast.lessons)
    shown = {
        name: judge.of_prints(pictures, pains.patches, np.random.default_rng([seed, n]))
        for n, (name, pictures) in enumerate(books.items())
    }
    if empty := [name for name, found in shown.items() if not len(found)]:
        raise UsageError(f"{empty[0]}: no patch of {patches.SIDE} px with something on it in the whole book")
    everything = [picture for pictures in books.values() for picture in pictures]
    count = sum(len(found) for found in shown.values())
    if not photos:
        raise UsageError("no photograph that a judge could learn from can be read")
    fakes = judge.of_fakes(photos, everything, count, np.random.default_rng([seed, len(books)]))
    if not len(fakes):
        raise UsageError("no photograph that a judge could learn from: they are tiny or blank")
    return _Lesson(shown, fakes)


def readable(files: Iterable[Path]) -> "list[np.ndarray]":
    """(h, w, 3) uint8 sRGB each, at the scale of the measure; those that can't be read are left out."""
    from gravurekit.measures import patches

    found = []
    for path in files:
        try:
            found.append(patches.read(path))
        except PictureError:
            continue
    return found


def _read(path: Path) -> "Weights | None":
    """The weights in a file; None if there is none, or it is damaged."""
    import safetensors.numpy
    from safetensors import SafetensorError

    try:
        return safetensors.numpy.load(path.read_bytes())
    except (OSError, SafetensorError, ValueError):
        return None


def _bytes(weights: "Weights | None") -> bytes:
    import safetensors.numpy

    return safetensors.numpy.save(dict(weights or {}))
