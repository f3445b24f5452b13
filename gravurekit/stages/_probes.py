"""The probes of a folder's pictures: a file is opened once in its life, and what was measured is kept by its sha256.

It lies in the hidden folder `.probes` of the filter's output, so that another threshold costs no second decode. What
the folders that these pictures are compared with have there is taken over, and so is what an ended run left in its
parts.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
FAILED = "failed.json"  # why some can't be read
PASS = "probe"  # of the stage's work
LOST, PASSING = "!", "?"  # a line's first letter: can't be read; can't be read now


@dataclass(frozen=True)
class Shelf:
    """Pictures in a folder: its path, the Records of what lies in it, and whether they are searched for a figure too,
    which takes longer than all the rest."""

    root: Path
    found: Sequence[Record]
    figures_too: bool = False


class Found(NamedTuple):
    """What a shelf holds: the probes of its pictures, in their order; the dropped Records of those that can't be read;
    and of how many of these that may pass."""

    probes: "Probes"
    lost: list[Record]
    passing: int


class _Asked(NamedTuple):
    """A picture that is to be known."""

    path: Path
    figures_too: bool


@dataclass(frozen=True)
class _Store:
    """What is known so far."""

    figures: Rows
    thumbs: Rows
    failed: dict[str, list[str]]  # reason and detail, by sha256 (hex)

    def has(self, sha256: str, figures_too: bool) -> bool:
        """Whether it was measured."""
        key = bytes.fromhex(sha256)
        if key not in self.figures or key not in self.thumbs:
            return False
        return not figures_too or bool(self.figures.row(key)["figure"][0] >= -1e30)  # nan isn't

    def knows(self, sha256: str, figures_too: bool) -> bool:
        """Whether nothing is to be measured of it."""
        return sha256 in self.failed or self.has(sha256, figures_too)


def probed(shelves: Sequence[Shelf], out: Path, executor: Executor, watch: Watch) -> list[Found]:
    """What each shelf holds. What isn't known yet is measured, and kept in the folder `out`."""
    asked = _asked(shelves)
    store = _borrowed(asked, shelves, out)
    if any(line.startswith(PASSING) for line in parts.left(out, PASS)):
        storage.remove(out / PARTS / PASS)  # what passed isn't to be believed any more
    todo = {sha256: one for sha256, one in asked.items() if not store.knows(sha256, one.figures_too)}
    passing: dict[str, list[str]] = {}
    if todo:
        items = [json.dumps([str(one.path), sha256, one.figures_too]) for sha256, one in todo.items()]
        work = parts.Work(probe_part, _quarantined, None, tuple(shelf.root for shelf in shelves))
        lines = parts.run(out, PASS, digest([_arrays(), items]), items, work, executor, watch)
        fresh = dict(zip(todo, lines, strict=True))
        passing = {sha256: json.loads(line[1:]) for sha256, line in fresh.items() if line.startswith(PASSING)}
        store = _grown([store], asked, fresh, out)
    return [_on(shelf, store, passing) for shelf in shelves]


def _asked(shelves: Sequence[Shelf]) -> dict[str, _Asked]:
    """All pictures of the shelves, by sha256."""
    found: dict[str, _Asked] = {}
    for shelf in shelves:
        for item in shelf.found:
            before = found.get(item.sha256)
            wanted = shelf.figures_too or (before is not None and before.figures_too)
            found[item.sha256] = _Asked(shelf.root / item.file_name, wanted)
    return found


def _borrowed(asked: Mapping[str, _Asked], shelves: Sequence[Shelf], out: Path) -> _Store:
    """What is known; also what the shelves' folders have of it, and what an ended run has left."""
    store = _opened(out / FOLDER)
    lacking = {sha256 for sha256, one in asked.items() if not store.knows(sha256, one.figures_too)}
    if not lacking:
        return store
    left = {sha256: line for sha256, line in _left(out) if sha256 in lacking}
    lent = [_opened(shelf.root / FOLDER) for shelf in shelves]
    if left or any(other.has(sha256, asked[sha256].figures_too) for other in lent for sha256 in lacking):
        return _grown([store, *lent], asked, left, out)
    return store


def _left(out: Path) -> Iterator[tuple[str, str]]:
    """What the parts of an ended run have, and where: sha256 and line."""
    figures: dict[str, Any] = {}
    for line in parts.left(out, PASS):
        file, _, place = line.partition(" ")
        if file.endswith(_arrays()):
            if file not in figures:
                figures = {file: _loaded(out / PARTS / PASS, "figures", file)["sha256"]}
            yield figures[file][int(place)].tobytes().hex(), line


def known(shelf: Shelf, out: Path) -> "Probes":
    """The probes of those pictures that were measured before; nothing is written."""
    stores = [_opened(place / FOLDER) for place in (out, shelf.root)]
    best = max(stores, key=lambda store: sum(store.has(item.sha256, False) for item in shelf.found))
    seen = [item for item in shelf.found if best.has(item.sha256, False)]
    return _on(Shelf(shelf.root, seen), replace(best, failed={}), {}).probes


def remembers(out: Path, gone: Collection[str]) -> bool:
    """Whether anything that was measured of the files with these sha256 (hex) is kept in the folder `out`."""
    keys = {bytes.fromhex(sha256) for sha256 in gone}
    known = _opened_failed(out / FOLDER / FAILED).get("pictures", {})
    return any(sha256 in known for sha256 in gone) or any(rows.holds(path, keys) for path in (out / FOLDER).glob("*"))


def take_out(out: Path, gone: Collection[str]) -> int:
    """Take what was measured of the files with these sha256 (hex) out of all that is kept in the folder `out`; of how
    many something was known."""
    keys = {bytes.fromhex(sha256) for sha256 in gone}
    found = [0]
    for path in sorted((out / FOLDER).glob("*")):
        if path.name.endswith(storage.ASIDE):
            storage.remove(path)
        elif path.name == FAILED:
            found.append(_take_out_failed(path, gone))
        elif path.is_file():
            found.append(rows.take_out(path, keys))
    return max(found)


def _take_out_failed(path: Path, gone: Collection[str]) -> int:
    known = _opened_failed(path)
    if not known:  # damaged: nobody could tell what is in it
        storage.remove(path)
        return 0
    stay = {sha256: why for sha256, why in known["pictures"].items() if sha256 not in gone}
    if found := len(known["pictures"]) - len(stay):
        storage.write_json(path, known | {"pictures": stay})
    return found


def _opened_failed(path: Path) -> dict[str, Any]:
    """What a file of those that can't be read holds; nothing if it is none."""
    try:
        known = json.loads(path.read_text("utf-8"))
        return dict(known) if isinstance(known["pictures"], dict) else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def probe_part(items: list[str], _: None, stem: Path) -> list[str]:
    """A line for each file: where its arrays lie beside the part, or why it can't be read."""
    from gravurekit import images, probe

    lines, measured = [], []
    asked = [json.loads(item) for item in items]
    storage.bring((Path(path), sha256) for path, sha256, _ in asked)
    for path, sha256, figures_too in asked:
        try:
            data = images.contents_of(Path(path), sha256)
        except PictureError as error:
            kind = LOST if error.reason == "too-big" else PASSING
            lines.append(kind + json.dumps([error.reason, error.detail]))
            continue
        try:
            measured.append(probe.measure(images.decode(data), sha256, len(data), figures_too))
            lines.append(f"{stem.name}{_arrays()} {len(measured) - 1}")
        except PictureError as error:
            lines.append(LOST + json.dumps([error.reason, error.detail]))
    if measured:
        storage.write_chunks(
            stem.with_suffix(_arrays()), (row.tobytes() for kind in zip(*measured, strict=True) for row in kind)
        )
    return lines


def _quarantined(item: str, why: str) -> str:
    return LOST + json.dumps(["quarantined", f"reading it {why}"])


@cache
def _kinds() -> dict[str, Any]:
    """The files of the store, and what their rows are."""
    from gravurekit.probe import FIGURES, THUMBS

    return {"figures": FIGURES, "thumbs": THUMBS}


def _revision() -> str:
    from gravurekit import probe

    return f"probe {probe.REVISION}"


@cache
def _arrays() -> str:
    """The suffix of what lies beside a part: other rows have another one."""
    return f".probe-{digest([_revision(), [kind.descr for kind in _kinds().values()]])[:8]}"


def _opened(folder: Path) -> _Store:
    found = {name: rows.read(folder / name, kind, _revision()) for name, kind in _kinds().items()}
    try:
        failed = json.loads((folder / FAILED).read_text("utf-8"))
        known = failed["pictures"] if failed["revision"] == _revision() else {}
        known = {str(key): [str(reason), str(detail)] for key, (reason, detail) in known.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        known = {}
    return _Store(found["figures"], found["thumbs"], known)


def _grown(stores: Sequence[_Store], asked: Mapping[str, _Asked], fresh: Mapping[str, str], out: Path) -> _Store:
    """The first store with what is `fresh` and what the others have of what is asked, and nothing else; written to
    disk."""
    failed = {sha256: why for sha256, why in stores[0].failed.items() if sha256 in asked and sha256 not in fresh}
    failed |= {sha256: json.loads(line[1:]) for sha256, line in fresh.items() if line.startswith(LOST)}
    gone = {sha256 for sha256, line in fresh.items() if line.startswith(PASSING)} | failed.keys()
    placed, holders = {}, {}
    for sha256, one in asked.items():
        if sha256 in fresh and sha256 not in gone:
            placed[bytes.fromhex(sha256)] = fresh[sha256]
        elif sha256 not in gone and (holder := _holder(stores, sha256, one.figures_too)):
            holders[bytes.fromhex(sha256)] = holder
    listed = [key for key in map(bytes.fromhex, asked) if key in placed or key in holders]
    for name, kind in _kinds().items():
        held = partial(_held, holders, name)
        found = rows.merged(listed, held, placed, partial(_loaded, out / PARTS / PASS, name))
        rows.write(out / FOLDER / name, _revision(), kind, listed, found)
    storage.write_json(out / FOLDER / FAILED, {"revision": _revision(), "pictures": failed})
    return _opened(out / FOLDER)


def _holder(stores: Sequence[_Store], sha256: str, figures_too: bool) -> _Store | None:
    """The first store that has all that is asked of a picture; else one that has the most of it."""
    whole = (store for store in stores if store.has(sha256, figures_too))
    return next(whole, None) or next((store for store in stores if store.has(sha256, False)), None)


def _held(holders: Mapping[bytes, _Store], name: str, key: bytes) -> "np.ndarray":
    store = holders[key]
    return (store.figures if name == "figures" else store.thumbs).row(key)


def _loaded(beside: Path, name: str, file: str) -> "np.ndarray":
    """The rows of one kind in a part: figures come first, then thumbs."""
    import numpy as np

    figures, thumbs = _kinds().values()
    data = storage.at_hand(beside / file).read_bytes()
    count = len(data) // (figures.itemsize + thumbs.itemsize)
    split = count * figures.itemsize
    return np.frombuffer(data[:split], figures) if name == "figures" else np.frombuffer(data[split:], thumbs)


def _on(shelf: Shelf, store: _Store, passing: dict[str, list[str]]) -> Found:
    import numpy as np

    from gravurekit.probe import Probes

    failed = store.failed | passing
    lost = [item.but(**_why(failed[item.sha256])) for item in shelf.found if item.sha256 in failed]
    good = [item for item in shelf.found if item.sha256 not in failed]
    keys = [bytes.fromhex(item.sha256) for item in good]
    figures = store.figures.data[store.figures.of(keys)]
    homes = np.zeros(len(good), np.int64)
    probes = Probes(good, figures, store.thumbs.data, store.thumbs.of(keys), (shelf.root,), homes)
    return Found(probes, lost, sum(item.sha256 in passing for item in shelf.found))


def _why(why: Sequence[str]) -> dict[str, str]:
    return {"reason": why[0], "detail": why[1]}
