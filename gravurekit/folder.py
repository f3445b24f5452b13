"""Folder: pictures with their Records. `images/`, `metadata.jsonl` (kept, sorted by key), `dropped.jsonl`, and, written
last, `receipt.json`, which says from what and with which settings the folder was made.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from gravurekit import record as records
from gravurekit import storage
from gravurekit.errors import DataError, UsageError
from gravurekit.record import Record
from gravurekit.settings import digest

METADATA = "metadata.jsonl"
DROPPED = "dropped.jsonl"
RECEIPT = "receipt.json"
MARKER = ".gravurekit"  # holds the name of the stage whose output a folder is

# Names that may hold a picture, for folders that other programs filled. The content decides later.
PICTURE_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".ppm", ".pgm",
    ".pnm", ".pbm", ".jp2", ".j2k", ".heic", ".heif", ".apng", ".avifs", ".mpo",
}  # fmt: skip


class Plan(BaseModel):
    """What decides a stage's output: two runs of equal plan write equal bytes. (A crawl, which only ever adds to its
    folder, depends on what earlier crawls brought as well.)"""

    model_config = ConfigDict(frozen=True)

    stage: str
    revision: int  # raised when the stage's or its craft's output changes
    settings: dict[str, Any]
    inputs: dict[str, str]  # digests of the input's metadata and of every side input
    seed: int = 0

    @property
    def digest(self) -> str:
        return digest(self.model_dump(mode="json"))


class Receipt(BaseModel):
    """Proof that a folder is whole, and of what it was made."""

    model_config = ConfigDict(frozen=True)

    plan: Plan
    counts: dict[str, int]
    outputs: dict[str, str]  # sha256 of metadata.jsonl and the like
    measured: dict[str, Any] = {}  # seconds, rates, hosts' answers: never part of a digest


@dataclass(frozen=True)
class Summary:
    """What a stage did, for people: `came` = `kept` + the sum of `dropped`."""

    stage: str
    out: Path
    came: int
    kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    fresh: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_lines(path: Path) -> list[Record]:
    """The Records of a metadata.jsonl or dropped.jsonl. Raises DataError naming the line that is none."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): make the folder again") from None
    return [records.from_json(line, f"{path}, line {n}") for n, line in enumerate(lines, 1)]


def read(path: Path) -> list[Record]:
    """The kept Records of a Folder, or Records made for a plain folder of pictures; sorted by key.

    Raises UsageError if there is no such folder, DataError if it holds no picture or its metadata is damaged.
    """
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder")
    owner = owner_of(path)
    if owner and (path / "parts").exists():
        raise DataError(f"{path} isn't finished: run the {owner} that makes it again")
    if owner and not (path / METADATA).exists():
        raise DataError(f"{path} holds no finished {owner}: run it again, with other sources or settings if it failed")
    if (path / METADATA).exists():
        found = _records_or_none(path)
        if found is not None:
            return found
    found = [_plain_record(path, name) for name in picture_files(path)]
    if not found:
        raise DataError(f"{path}: no picture in it")
    return _unique(found)


def picture_files(root: Path) -> list[str]:
    """Paths, relative to `root` and with "/", of the files below it whose names are a picture's; sorted."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if Path(name).suffix.lower() in PICTURE_SUFFIXES and not name.startswith("."):
                found.append((Path(folder) / name).relative_to(root).as_posix())
    for name in found:
        if not name.isprintable() and name.encode("utf-8", "replace").decode() != name:
            raise DataError(f"{root}: the file name {name!a} isn't UTF-8: rename the file")
    return sorted(found)


def folder_label(name: str) -> tuple[str, ...]:
    """The label of a picture in a plain folder: its parent folder's name, if it has one below the root."""
    parent = Path(name).parent.name
    return (parent,) if parent else ()


def _records_or_none(path: Path) -> list[Record] | None:
    """The Records of metadata.jsonl; None if it isn't ours, as in other programs' folders of pictures."""
    try:
        found = read_lines(path / METADATA)
    except DataError:
        if owner_of(path) or (path / RECEIPT).exists() or _begins_with_a_record(path / METADATA):
            raise
        return None
    if not found:
        raise DataError(f"{path}: holds no picture ({DROPPED} says why)")
    return found


def _begins_with_a_record(path: Path) -> bool:
    try:
        records.from_json(path.read_bytes().split(b"\n", 1)[0], "line 1")
    except DataError:
        return False
    return True


def _plain_record(root: Path, name: str) -> Record:
    sha256 = file_sha256(root / name)
    return Record(
        key=records.key_of(sha256), file_name=name, sha256=sha256, labels=folder_label(name), source="folder",
        url=f"folder:{name}",
    )  # fmt: skip


def _unique(found: Iterable[Record]) -> list[Record]:
    """One Record a key: the first by name gives the facts, the others their labels."""
    by_key: dict[str, Record] = {}
    for item in found:
        first = by_key.get(item.key)
        if first is None:
            by_key[item.key] = item
        elif first.sha256 != item.sha256:
            raise DataError(f"{first.file_name} and {item.file_name} share the key {item.key}: remove one of them")
        else:
            labels = tuple(dict.fromkeys(first.labels + item.labels))
            by_key[item.key] = first.but(labels=labels)
    return [by_key[key] for key in sorted(by_key)]


def input_digest(found: Iterable[Record]) -> str:
    """The digest of a stage's input: of its Records, which hold the sha256 of every file."""
    return hashlib.sha256("\n".join(item.to_json() for item in found).encode()).hexdigest()


def read_receipt(path: Path) -> Receipt | None:
    """The receipt of a folder; None if it has none. Raises DataError if it is damaged."""
    try:
        text = (path / RECEIPT).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path / RECEIPT} can't be read: {error.strerror}") from None
    try:
        return Receipt.model_validate_json(text)
    except ValidationError:
        raise DataError(f"{path / RECEIPT} is damaged: remove it and run the stage again") from None


def fresh(path: Path, plan: Plan) -> Summary | None:
    """The Summary of the earlier run if `path` was made by the very same plan and nothing of it is missing."""
    receipt = read_receipt(path)
    if receipt is None or receipt.plan.digest != plan.digest:
        return None
    for name, sha256 in receipt.outputs.items():
        if not (path / name).is_file() or file_sha256(path / name) != sha256:
            return None
    counts = dict(receipt.counts)
    came, kept = counts.pop("in", None), counts.pop("kept", None)
    if came is None or kept is None:
        raise DataError(f"{path / RECEIPT} is damaged: remove it and run the stage again")
    if METADATA in receipt.outputs:
        named = (path / name for item in read_lines(path / METADATA) for name in files_of(item))
        if not all(file.is_file() for file in named):
            return None
    storage.remove(path / "parts")  # a kill between the receipt and the clearing left them
    seconds = float(receipt.measured.get("seconds", 0.0))
    return Summary(plan.stage, path, came, kept, counts, seconds, True, receipt.measured.get("facts", {}))


def files_of(item: Record) -> list[str]:
    """The files, relative to its folder, that a Record names."""
    return [name for name in (item.file_name, item.plain_file_name, item.wash_file_name) if name]


def claim(path: Path, stage: str) -> None:
    """Make `path` the output folder of `stage`: a hidden marker says so from the first moment on.

    Raises UsageError if the folder holds files and isn't this stage's: they are somebody's, and would be removed.
    """
    storage.make_folder(path)
    owner = owner_of(path)
    if owner != stage:
        names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
        if owner:
            raise UsageError(f"{path} was made by {owner}: choose another folder for {stage}, or remove it first")
        if names:
            raise UsageError(f"{path} holds other files ({names[0]}, …): choose a new or empty folder")
        storage.write_text(path / MARKER, stage + "\n")


def owner_of(path: Path) -> str:
    """The stage whose output folder `path` is; empty if it is none."""
    try:
        return (path / MARKER).read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def prepare(path: Path, stage: str, source: Path | None = None) -> None:
    """`claim` the output folder; its old receipt goes first, so that an unfinished folder shows.

    Raises UsageError if it is somebody else's, or lies in, around or at the input.
    """
    if source is not None:
        ours, theirs = path.resolve(), source.resolve()
        if ours == theirs or ours in theirs.parents or theirs in ours.parents:
            raise UsageError(f"{path} and {source} must be folders apart: what is made can't lie in what it is made of")
    claim(path, stage)
    storage.remove(path / RECEIPT)


def finish(
    path: Path, plan: Plan, kept: Iterable[Record], dropped: Iterable[Record], seconds: float,
    facts: dict[str, Any] | None = None,
) -> Summary:  # fmt: skip
    """Write metadata.jsonl and dropped.jsonl, remove what neither names, and write the receipt last."""
    kept = sorted(kept, key=lambda item: (item.key, item.file_name))
    dropped = sorted(dropped, key=lambda item: (item.key, item.url))
    _refuse_collisions(kept)
    storage.write_lines(path / METADATA, (item.to_json() for item in kept))
    storage.write_lines(path / DROPPED, (item.to_json() for item in dropped))
    named: dict[str, set[str]] = {"images": set()}
    for item in kept:
        for name in files_of(item):
            folder, slash, file = name.rpartition("/")
            if slash:  # never the root, where metadata and receipt lie
                named.setdefault(folder, set()).add(file)
    for folder, files in named.items():
        storage.keep_only(path / folder, files)
    return seal(path, plan, len(kept), dropped, (METADATA, DROPPED), seconds, facts)


def seal(
    path: Path, plan: Plan, kept: int, dropped: Sequence[Record], outputs: Sequence[str], seconds: float,
    facts: dict[str, Any] | None = None,
) -> Summary:  # fmt: skip
    """Write the receipt, the last file of a folder, and clear the parts away; it holds the sha256 of `outputs`."""
    reasons = dict(sorted(Counter(item.reason for item in dropped).items()))
    counts = {"in": kept + len(dropped), "kept": kept, **reasons}
    sums = {name: file_sha256(path / name) for name in outputs}
    measured = {"seconds": round(seconds, 3), "facts": facts or {}}
    receipt = Receipt(plan=plan, counts=counts, outputs=sums, measured=measured)
    storage.write_json(path / RECEIPT, receipt.model_dump(mode="json"))
    storage.remove(path / "parts")
    return Summary(plan.stage, path, counts["in"], kept, reasons, seconds, False, facts or {})


def _refuse_collisions(kept: list[Record]) -> None:
    for before, after in zip(kept, kept[1:], strict=False):
        if before.key == after.key and before.variant == after.variant:
            raise DataError(f"two pictures share the key {after.key}: {before.url} and {after.url}; remove one of them")
