"""The probes of a folder's pictures: a file is opened once in its life, and what was measured is kept by its sha256.

It lies in the hidden folder `.probes` of the filter's output, so that another threshold costs no second decode.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import parts, rows, storage
from gravurekit.errors import PictureError
from gravurekit.executor import Executor
from gravurekit.metadata import PARTS
from gravurekit.progress import Watch
from gravurekit.record import Record
from gravurekit.rows import Rows
from gravurekit.settings import digest

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    import numpy as np

    from gravurekit.probe import Probes

FOLDER = ".probes"
PASS = "probe"  # of the stage's work
ARRAYS = ".arrays"  # suffix of what lies beside a part
LOST, PASSING = "!", "?"  # a line's first letter: can't be read; can't be read now


@dataclass(frozen=True)
class Shelf:
    """Pictures in a folder: its path, and the Records of what lies in it."""

    root: Path
    found: Sequence[Record]


@dataclass(frozen=True)
class _Store:
    """What is known so far."""

    folder: Path
    figures: Rows
    thumbs: Rows
    failed: dict[str, list[str]]  # reason and detail, by sha256 (hex)

    def knows(self, sha256: str, figures_too: bool) -> bool:
        """Whether nothing is to be measured of it."""
        key = bytes.fromhex(sha256)
        if key not in self.figures or key not in self.thumbs:
            return sha256 in self.failed
        return not figures_too or self.figures.data["figure"][self.figures.places[key], 0] >= -1e30  # nan isn't


def probed(
    shelves: Sequence[Shelf], out: Path, figures_too: bool, executor: Executor, watch: Watch
) -> list[tuple["Probes", list[Record]]]:
    """For each shelf the probes of its pictures, in their order, and the dropped Records of those that can't be read.
    What isn't known yet is measured, and kept in the folder `out`. `figures_too`: as `probe.measure` has it."""
    store = _opened(out / FOLDER)
    asked = {item.sha256: (shelf.root, item) for shelf in shelves for item in shelf.found}
    todo = [sha256 for sha256 in asked if not store.knows(sha256, figures_too)]
    passing: dict[str, list[str]] = {}
    if todo:
        items = [json.dumps([str(root / item.file_name), item.sha256]) for root, item in map(asked.__getitem__, todo)]
        work = parts.Work(probe_part, _quarantined, figures_too)
        plan = digest([_revision(), [kind.descr for kind in _kinds().values()], figures_too, todo])
        fresh = dict(zip(todo, parts.run(out, PASS, plan, items, work, executor, watch), strict=True))
        passing = {sha256: json.loads(line[1:]) for sha256, line in fresh.items() if line.startswith(PASSING)}
        store = _grown(store, list(asked), fresh, out / PARTS / PASS)
    return [_on(shelf, store, passing) for shelf in shelves]


def known(shelf: Shelf, out: Path) -> "Probes":
    """The probes of those pictures that were measured before; nothing is written."""
    store = _opened(out / FOLDER)
    seen = [item for item in shelf.found if store.knows(item.sha256, False) and item.sha256 not in store.failed]
    return _on(Shelf(shelf.root, seen), store, {})[0]


def probe_part(items: list[str], figures_too: bool, stem: Path) -> list[str]:
    """A line for each file: where its arrays lie beside the part, or why it can't be read."""
    from gravurekit import images, probe

    lines, measured = [], []
    for path, sha256 in map(json.loads, items):
        try:
            data = images.contents(Path(path))
        except PictureError as error:
            lines.append(PASSING + json.dumps([error.reason, error.detail]))
            continue
        if hashlib.sha256(data).hexdigest() != sha256:
            detail = "its file changed while the folder was read: run the same command again"
            lines.append(PASSING + json.dumps(["changed", detail]))
            continue
        try:
            measured.append(probe.measure(images.decode(data), sha256, len(data), figures_too))
            lines.append(f"{stem.name}{ARRAYS} {len(measured) - 1}")
        except PictureError as error:
            lines.append(LOST + json.dumps([error.reason, error.detail]))
    if measured:
        storage.write_chunks(
            stem.with_suffix(ARRAYS), (row.tobytes() for kind in zip(*measured, strict=True) for row in kind)
        )
    return lines


def _quarantined(item: str) -> str:
    return LOST + json.dumps(["quarantined", "it killed the process that read it"])


@cache
def _kinds() -> dict[str, Any]:
    """The files of the store, and what their rows are."""
    from gravurekit.probe import FIGURES, THUMBS

    return {"figures": FIGURES, "thumbs": THUMBS}


def _revision() -> str:
    from gravurekit import probe

    return f"probe {probe.REVISION}"


def _opened(folder: Path) -> _Store:
    found = {name: rows.read(folder / name, kind, _revision()) for name, kind in _kinds().items()}
    try:
        failed = json.loads((folder / "failed.json").read_text("utf-8"))
        known = failed["pictures"] if failed["revision"] == _revision() else {}
        known = {str(key): [str(reason), str(detail)] for key, (reason, detail) in known.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        known = {}
    return _Store(folder, found["figures"], found["thumbs"], known)


def _grown(store: _Store, asked: Sequence[str], fresh: dict[str, str], beside: Path) -> _Store:
    """The store with what is `fresh`, and without what isn't asked for any more; written to disk."""
    still = set(asked) - fresh.keys()
    failed = {sha256: why for sha256, why in store.failed.items() if sha256 in still}
    failed |= {sha256: json.loads(line[1:]) for sha256, line in fresh.items() if line.startswith(LOST)}
    gone = {sha256 for sha256, line in fresh.items() if line.startswith(PASSING)} | failed.keys()
    keys = [sha256 for sha256 in asked if sha256 not in gone]
    listed = [bytes.fromhex(key) for key in keys]
    placed = {bytes.fromhex(key): fresh[key] for key in keys if key in fresh}
    for name, kind in _kinds().items():
        found = rows.merged(listed, getattr(store, name), placed, partial(_arrays, beside, name))
        rows.write(store.folder / name, _revision(), kind, listed, found)
    storage.write_json(store.folder / "failed.json", {"revision": _revision(), "pictures": failed})
    return _opened(store.folder)


def _arrays(beside: Path, name: str, file: str) -> "np.ndarray":
    """The rows of one kind in a part: figures come first, then thumbs."""
    import numpy as np

    figures, thumbs = _kinds().values()
    data = (beside / file).read_bytes()
    count = len(data) // (figures.itemsize + thumbs.itemsize)
    split = count * figures.itemsize
    return np.frombuffer(data[:split], figures) if name == "figures" else np.frombuffer(data[split:], thumbs)


def _on(shelf: Shelf, store: _Store, passing: dict[str, list[str]]) -> tuple["Probes", list[Record]]:
    import numpy as np

    from gravurekit.probe import Probes

    failed = store.failed | passing
    lost = [item.but(**_why(failed[item.sha256])) for item in shelf.found if item.sha256 in failed]
    good = [item for item in shelf.found if item.sha256 not in failed]
    keys = [bytes.fromhex(item.sha256) for item in good]
    figures = store.figures.data[store.figures.of(keys)]
    homes = np.zeros(len(good), np.int64)
    return Probes(good, figures, store.thumbs.data, store.thumbs.of(keys), (shelf.root,), homes), lost


def _why(why: Sequence[str]) -> dict[str, str]:
    return {"reason": why[0], "detail": why[1]}
