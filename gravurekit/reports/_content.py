"""What a folder of pictures holds, as far as it can be read: a report is what one looks at when something is wrong, so
what is damaged is shown as well, with its faults."""

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from gravurekit import record as records
from gravurekit.audit import Fault, inspect
from gravurekit.errors import DataError, UsageError
from gravurekit.foreign import folder_label, picture_files
from gravurekit.metadata import DROPPED, METADATA, file_sha256, owner_of
from gravurekit.receipt import Receipt, receipt_if_any
from gravurekit.record import Record
from gravurekit.reports import _page


@dataclass(frozen=True)
class Content:
    """What a folder holds. `stage`: that made it; empty for a plain one. `listed`: its Records were made from the names
    of its files; `input`: the folder that its stage read, where what was dropped still lies, and photographs."""

    path: Path
    stage: str
    receipt: Receipt | None
    kept: list[Record]
    dropped: list[Record]
    faults: list[Fault]
    listed: bool
    input: Path | None

    @property
    def name(self) -> str:
        """Of the folder."""
        return Path(os.path.abspath(self.path)).name or str(self.path)

    @property
    def in_order(self) -> list[Record]:
        """The kept pictures: of a crawl what its source thought best first, else as they lie in the folder."""
        return sorted(self.kept, key=lambda item: item.rank or sys.maxsize) if self.stage == "crawl" else self.kept

    @cached_property
    def by_reason(self) -> dict[str, list[Record]]:
        """What was dropped, as it was found, by reason; the most frequent one first."""
        found: dict[str, list[Record]] = {}
        for item in self.dropped:
            found.setdefault(item.reason, []).append(item)
        return dict(sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])))

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many came in, were kept, and dropped for each reason: as the receipt says, or else as was found."""
        if self.receipt:
            return self.receipt.counts
        reasons = {reason: len(items) for reason, items in self.by_reason.items()}
        return reasons | {"in": len(self.kept) + len(self.dropped), "kept": len(self.kept)}

    @property
    def reasons(self) -> dict[str, int]:
        """How many were dropped for each reason, the most frequent first."""
        found = {name: count for name, count in self.counts.items() if name not in ("in", "kept")}
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    @property
    def knobs(self) -> dict[str, str]:
        """The settings of the stage, by name; those of the table [NAME] as NAME.KNOB."""
        return _page.knobs(self.receipt.plan) if self.receipt else {}

    @property
    def facts(self) -> dict[str, Any]:
        """What the receipt tells besides, none of which decided anything."""
        found = self.receipt.measured.get("facts") if self.receipt else None
        return found if isinstance(found, dict) else {}

    @property
    def seconds(self) -> float | None:
        """How long the stage worked."""
        said = self.receipt.measured.get("seconds") if self.receipt else None
        return float(said) if isinstance(said, int | float) else None

    def file_of(self, name: str) -> str:
        """The path of a file that a Record of this folder names; empty if it leads out of it."""
        return str(self.path / name) if self.listed else below(self.path, name)


def below(root: Path, name: str) -> str:
    """The path of the file that a Record names, if it truly lies below `root`; else empty. Names are hostile: with
    `..`, a leading slash or a link they would lead to other people's files."""
    try:
        path = (root / name).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL in it; links that go in circles
        return ""
    return str(path) if root.resolve() in path.parents else ""


def read(path: Path) -> Content:
    """Look a folder over, and read what can be read of it. Raises UsageError if there is none, or it holds no pictures;
    DataError if there is nothing in it, or a newer gravurekit made it."""
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder")
    owner = owner_of(path)
    if owner == "export" and not any(path.glob(METADATA)) and not any(path.glob(f"*/{METADATA}")):
        raise UsageError(
            f"{path} holds what {owner} made, packed for other programs, and no pictures: `gravurekit report` shows a "
            "folder of pictures, shards, a run, or what evaluate found"
        )
    receipt = receipt_if_any(path)
    findings = inspect(path)
    faults = list(findings.faults)
    kept = _good_lines(path / METADATA, faults) if findings.records is None else findings.records
    dropped = _good_lines(path / DROPPED, faults)
    listed = findings.records is None and not kept
    if listed:
        kept = _listed(path, owner)
    if not (kept or dropped or faults or owner):
        raise DataError(f"{path}: no picture in it")
    stage = receipt.plan.stage if receipt else owner
    return Content(path, stage, receipt, kept, dropped, faults, listed, _input(path, receipt))


def _good_lines(path: Path, faults: list[Fault]) -> list[Record]:
    """The Records of a file, whatever is between them; lines that are none become a fault, unless all are: then the
    file is another program's."""
    if not path.is_file():  # opening a pipe would wait for ever
        return []
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(records.from_json(line, ""))
        except DataError:
            continue
    if found and (lost := len(lines) - len(found)):
        said = f"{lost} of {len(lines)} lines of {path} can't be read"
        faults.append(Fault("torn", said, "what they told isn't shown here"))
    return found


def _listed(path: Path, owner: str) -> list[Record]:
    """Records for the pictures of a folder without metadata: a plain one, or one whose stage hasn't finished."""
    names = picture_files(path)
    if owner:
        names = [name for name in names if name.startswith("images/")] or names
        return [Record(key=PurePosixPath(name).stem, file_name=name) for name in names]
    return [
        Record(key=_key(path / name), file_name=name, title=name, labels=folder_label(name), source="folder")
        for name in names
    ]


def _key(path: Path) -> str:
    try:
        return records.key_of(file_sha256(path))
    except OSError:
        return ""  # its tile will say what is wrong


def _input(path: Path, receipt: Receipt | None) -> Path | None:
    """The folder that the stage read, if the receipt tells and it is still there."""
    said = receipt.measured.get("source") if receipt else None
    return path / said if isinstance(said, str) and said and os.path.isdir(path / said) else None
