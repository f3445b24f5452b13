"""Taking pictures out of one folder, so that a kill at any moment leaves what the same command brings to the same end.

The receipt is put aside, then files go, then the lines that name them, then the receipt comes back with today's sums
and counts. Whoever opens the folder for work in between finds it unfinished, and sweeps what was put aside away, as
everything that is half written (`folder.opened`).
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from gravurekit import coloured, storage
from gravurekit.folder import unseal
from gravurekit.metadata import DROPPED, METADATA, PARTS, file_sha256
from gravurekit.receipt import RECEIPT, Receipt, receipt_if_any
from gravurekit.shards import INDEX
from gravurekit.stages import _journal, _probes
from gravurekit.stages._estate import OWN, Needles, Place
from gravurekit.stages._traces import JOURNAL, entry_of, is_gone, lines_of
from gravurekit.tombstones import Hash, Tombstones, gathered

STASH = RECEIPT + storage.ASIDE
NAMED = ("file_name", "plain_file_name", "wash_file_name")
OURS = re.compile(r"([0-9a-f]{16})[.-]")  # how the names of files begin that stages name by keys


@dataclass
class Find:
    """What of one folder goes: how many kept pictures, samples and dropped ones, files by name, and what else
    remembers the picture. `stashed`: an earlier run was killed before it was done here."""

    place: Place
    kept: int = 0
    samples: int = 0
    dropped: int = 0
    files: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    stashed: bool = False

    @property
    def changes_lines(self) -> bool:
        """Whether the receipt's sums will be others."""
        return bool(self.kept or self.dropped or self.files or self.stashed)


def needles_of(known: Iterable[Hash], links: Iterable[str]) -> Needles:
    """What is looked for in files: keys, digests, and links as they are written."""
    return Needles([*(digits for kind, digits in known if kind not in ("url", "phash")), *links])


class Purge:
    """Takes out of folders whatever is `known`. `links`: those that are known by more than their hash; `is_here`:
    something of it is in some folder."""

    def __init__(self, known: set[Hash], links: Iterable[str], is_here: bool) -> None:
        self.known, self.is_here = known, is_here
        self.gone: Tombstones = gathered(known)
        self.sha256s = set(self.gone.of("sha256"))
        self.needles = needles_of(known, links)

    def find(self, place: Place) -> Find:
        """What would go; nothing is written. Raises DataError if a newer gravurekit made the folder."""
        path, found = place.path, Find(place)
        receipt_if_any(path)
        found.kept = sum(self._goes(line, place) for line in lines_of(path / METADATA))
        found.dropped = sum(self._goes(line, place) for line in lines_of(path / DROPPED))
        if place.owner == "shard":
            found.samples = sum(self._goes(line, place) for line in lines_of(path / INDEX))
        found.files = sorted(self._files(place))
        found.also = list(self._memories(path))
        found.stashed = (path / STASH).is_file()
        return found

    def take_out(self, find: Find) -> None:
        """Take it out, but for samples of shards."""
        path = find.place.path
        if PARTS in find.also:  # work of an ended run, of an input that will be another one
            storage.remove(path / PARTS)
        _probes.take_out(path, self.sha256s)
        _journal.take_out(path / JOURNAL, self.gone.has_link, self.gone.has_file)
        if not find.changes_lines:
            return
        if (path / RECEIPT).exists():  # one that was put aside besides has come back already
            storage.remove(path / STASH)
            if _is_whole(path):
                storage.copy(path / RECEIPT, path / STASH)
                unseal(path)
        for name in find.files:
            storage.remove(path / name)
        for name in (METADATA, DROPPED):
            self._without(path / name, find.place)
        if (path / STASH).exists():
            _seal(path)

    def _memories(self, path: Path) -> Iterator[str]:
        """What else in a folder remembers the picture. Measured parts say in no words of which pictures they are."""
        left = [file for file in (path / PARTS).rglob("*") if file.is_file()]
        if any(self.needles.in_file(file) or (self.is_here and ".probe-" in file.name) for file in left):
            yield PARTS
        if _probes.remembers(path, self.sha256s):
            yield "probes"
        if self.needles.in_file(path / JOURNAL):
            yield "journal"

    def _goes(self, line: bytes, place: Place) -> bool:
        if not self.needles.within(line):  # most lines: they needn't be taken apart
            return False
        entry = entry_of(line)
        return is_gone(entry, place.owner, self.known) if entry else True

    def _without(self, path: Path, place: Place) -> None:
        lines = lines_of(path)
        stay = [line for line in lines if not self._goes(line, place)]
        if len(stay) < len(lines):
            storage.replace_lines(path, stay)

    def _files(self, place: Place) -> Iterator[str]:
        """The files of the picture: those that its lines name, those named by its key, and what waits to be decoded."""
        keys, named, around = set(self.gone.of("key")), set[str](), set[str]()
        others: set[str] = set()  # what lines that stay name, and what may lie beside it
        for line in lines_of(place.path / METADATA):
            goes = self._goes(line, place)
            if not goes and place.owner != "colorize":
                continue
            facts = entry_of(line)
            files = {str(facts[name]) for name in NAMED if facts.get(name)}
            beside = _beside(facts, files, place.owner)
            if goes:
                named |= files
                around |= beside
            else:
                others |= files | beside
        named |= around - others
        yield from (name for name in named if _is_here(place.path, name))
        for folder in _folders(place.path):
            for entry in os.scandir(folder):
                name = (folder / entry.name).relative_to(place.path).as_posix()
                begun = OURS.match(entry.name)
                by_key = begun is not None and begun[1] in keys
                came = folder.name == _journal.INCOMING and self.gone.has_file(entry.name)
                if (by_key or came) and name not in named and not entry.is_dir(follow_symlinks=False):
                    yield name


def _beside(entry: dict[str, Any], files: set[str], owner: str) -> set[str]:
    """What may lie beside the files that a line names, without being named."""
    if owner != "colorize":
        return set()
    return {other for name in files for other in coloured.with_it(name, entry.get("variant") is not None)}


def _is_here(path: Path, name: str) -> bool:
    """Whether a line names a file of this folder that may go: what is hostile leads out of it, or to what isn't a
    picture's."""
    pure = PurePosixPath(name)
    if "\0" in name or pure.is_absolute() or ".." in pure.parts or name in OWN or name.startswith("."):
        return False
    return (path / name).is_file() or (path / name).is_symlink()


def _folders(path: Path) -> list[Path]:
    """The folders in which a stage has files of pictures."""
    return [path, *(entry for entry in sorted(path.iterdir()) if entry.is_dir() and not entry.name.startswith(".")
            and entry.name != PARTS and not entry.is_symlink())]  # fmt: skip


def _is_whole(path: Path) -> bool:
    """Whether the lines are those that the receipt is of: an edit by hand mustn't become what a stage wrote."""
    receipt = receipt_if_any(path)
    names = [name for name in (METADATA, DROPPED) if receipt and name in receipt.outputs]
    return receipt is not None and all(
        (path / name).is_file() and file_sha256(path / name) == receipt.outputs[name] for name in names
    )


def _seal(path: Path) -> None:
    """The receipt again, of what is there now, made by the same plan."""
    old = Receipt.model_validate_json((path / STASH).read_bytes())
    facts = dict(old.measured.get("facts") or {})
    if isinstance(facts.get("files"), list):
        facts["files"] = [name for name in facts["files"] if (path / name).is_file()]
    outputs = {name: file_sha256(path / name) if name in (METADATA, DROPPED) else sum_ for name, sum_ in
               old.outputs.items()}  # fmt: skip
    dropped = Counter(str(entry_of(line).get("reason", "")) for line in lines_of(path / DROPPED))
    kept = _kept(path, old, facts.get("files"))
    receipt = old.model_copy(
        update={
            "counts": {"in": kept + dropped.total(), "kept": kept, **dict(sorted(dropped.items()))},
            "outputs": outputs,
            "measured": old.measured | {"facts": facts},
        }
    )
    storage.write_json(path / RECEIPT, receipt.model_dump(mode="json"))
    storage.remove(path / STASH)


def _kept(path: Path, old: Receipt, files: list[str] | None) -> int:
    if METADATA not in old.outputs:
        return old.counts["kept"]
    entries = [entry_of(line) for line in lines_of(path / METADATA)]
    if files is not None:  # of a folder that only grows: those of the last run
        return sum(entry.get("file_name") in files for entry in entries)
    return len(entries)
