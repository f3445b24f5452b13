"""What there is in a workspace: the folders that stages made, and files beside them that may show a picture."""

import json
import mmap
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gravurekit.metadata import EXPORTS, METADATA, PARTS, owner_of
from gravurekit.reports import credits, pages, preview
from gravurekit.stages._journal import INCOMING

DEPTH = 4  # folders below the workspace in which folders of ours are looked for
CACHE = ".gravurekit-cache"
# by what a report says of itself: the stage whose pictures it shows
EVALUATIONS = {"gravurekit evaluate style": "stylize", "gravurekit evaluate colors": "shard"}
WORDS = {".html", ".json", ".jsonl", ".md", ".csv", ".tsv", ".txt", ".toml"}  # files that may name a picture
PASSED_OVER = {"images", PARTS, INCOMING, "node_modules", "__pycache__"}
# of stages, which are seen to by themselves
OWN = {METADATA, "dropped.jsonl", "receipt.json", "journal.jsonl", "index.jsonl", "splits.jsonl", "manifest.json",
       "learned_from.jsonl", "learned_before.jsonl", EXPORTS, "log.jsonl"}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A folder that a stage made."""

    path: Path
    owner: str

    @property
    def is_copy(self) -> bool:
        """Whether it is what was learned, or handed over: such isn't changed."""
        return self.owner == "train" or self.owner.startswith("export")


@dataclass
class Estate:
    """`places` of ours; `foreign` folders, people's own, that were named; `files` that may name or show a picture; and
    folders that can't be read."""

    places: list[Place] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)


def surveyed(root: Path, named: Sequence[Path]) -> Estate:
    """What lies below `root`, a few folders deep, and what is named."""
    found = Estate()
    seen: set[Path] = set()
    found.files += [path for path in named if path.is_file() and _may_tell(path, False)]
    for path in [root, *named]:
        for folder, files in _walk(path, 1 if path in named and path != root else DEPTH, found.unreadable):
            if folder.resolve() in seen:
                continue
            seen.add(folder.resolve())
            if owner := owner_of(folder):
                found.places.append(Place(folder, owner))
            elif folder in named and folder != root:
                found.foreign.append(folder)
            found.files += [folder / name for name in files if _may_tell(folder / name, bool(owner))]
    found.places.sort(key=lambda place: place.path)
    found.files = sorted({path.resolve(): path for path in found.files}.values())
    return found


def _walk(root: Path, depth: int, unreadable: list[Path]) -> Iterator[tuple[Path, list[str]]]:
    """Folders and the names of their files, without hidden ones, and without what lies in those of ours."""
    if not root.is_dir():
        return
    for folder, folders, files in os.walk(root, onerror=lambda error: unreadable.append(Path(error.filename))):
        below = len(Path(folder).relative_to(root).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in PASSED_OVER)
        if below >= depth or owner_of(Path(folder)):
            folders.clear()
        yield Path(folder), sorted(files)
        for link in (Path(folder, name) for name in folders):
            if link.is_symlink() and owner_of(link):  # of ours, on another disk, say; others aren't gone into
                yield link, sorted(entry.name for entry in os.scandir(link) if entry.is_file())


def _may_tell(path: Path, ours: bool) -> bool:
    if path.name.startswith(".") or (ours and path.name in OWN):
        return False
    return path.suffix.lower() in WORDS or path.suffix.lower() == ".png"


def is_sheet(path: Path) -> bool:
    """Whether a file is a page or a list of ours that names each picture that it shows."""
    head = _head(path)
    if path.suffix == ".html":
        return b'content="gravurekit report"' in head
    first = {credits.PAGE: credits.OURS, credits.TABLE: '","'.join(credits.COLUMNS)}.get(path.name)
    return first is not None and head.lstrip(b'"').startswith(first.encode())


def beside_sheet(path: Path) -> list[Path]:
    """What lies beside a page of ours, in folders that only it has."""
    files = pages.files_of(path)
    if path.suffix != ".html" or not files.is_dir():
        return []
    ours = [folder for folder in pages.folders_in(files) if folder.is_dir()]
    return [*ours, files] if set(files.iterdir()) == set(ours) else ours


def is_preview(path: Path) -> bool:
    """Whether a file is a sheet of ours that shows pictures and doesn't say which."""
    return path.suffix.lower() == ".png" and preview.OURS in _head(path)[:200]


def evaluation_of(path: Path, changed: Collection[str]) -> list[Path]:
    """The files of a report of `evaluate`, whose sheet shows pictures and doesn't say which; none if it isn't one, or
    if it shows nothing of what the stages in `changed` made."""
    if path.suffix != ".json" or b'"gravurekit evaluate ' not in (data := _all(path)):
        return []
    try:
        stage = EVALUATIONS.get(json.loads(data).get("kind"))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []
    files = (pages.files_of(path), path.with_suffix(".png"), path)  # the last one leads to the others
    return [file for file in files if file.exists()] if stage in changed else []


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(2000) if path.is_file() else b""
    except OSError:
        return b""


def _all(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


class Needles:
    """Keys, hashes and links that are looked for in files: however many there are, a file is gone over once."""

    WORDS = re.compile(rb"(?<![0-9A-Za-z])[0-9a-f]{16,64}(?![0-9A-Za-z])|(?:https?|folder):[^\s\"<>\\]+")

    def __init__(self, words: Iterable[str]) -> None:
        self._words = {word.encode() for word in words}

    def within(self, data: "bytes | mmap.mmap") -> bool:
        """Whether any of them stands in the data."""
        return not self._words.isdisjoint(map(re.Match.group, self.WORDS.finditer(data)))

    def in_file(self, path: Path) -> bool:
        """Whether any of them stands in a file; in one that can't be read there is none."""
        try:
            if not path.is_file() or not path.stat().st_size:
                return False
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return self.within(data)
        except OSError:
            return False
