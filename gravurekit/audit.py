"""Audit: is a Folder what its stage wrote? Every fault is named, with what to do about it.

A file that is older than metadata.jsonl is believed to be as it was written; a younger one has its sha256 taken, and
`deep` takes all of them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gravurekit import record as records
from gravurekit import storage
from gravurekit.errors import DataError
from gravurekit.foreign import is_picture_name
from gravurekit.metadata import DROPPED, LOCK, MARKER, METADATA, PARTS, file_sha256, files_of, owner_of, read_lines
from gravurekit.receipt import RECEIPT, Receipt, read_receipt
from gravurekit.record import Record

OURS = re.compile(r"[0-9a-f]{16}[.-]")  # how the names of a stage's own files begin


@dataclass(frozen=True)
class Fault:
    """`kind`: a short word for counting; `what` is wrong; `todo`: what to do about it. Minor ones stop nobody."""

    kind: str
    what: str
    todo: str
    minor: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.todo}"


@dataclass(frozen=True)
class Findings:
    """The kept Records of a folder (None: it holds no metadata of ours), and what is wrong with it."""

    records: list[Record] | None
    faults: list[Fault]

    @property
    def grave(self) -> list[Fault]:
        """The faults that stand in the way of reading."""
        return [fault for fault in self.faults if not fault.minor]


def inspect(path: Path, deep: bool = False) -> Findings:
    """Look a folder over; nothing is changed."""
    owner = owner_of(path)
    faults = list(_lock_faults(path))
    try:
        receipt = read_receipt(path)
    except DataError as error:
        what, _, todo = str(error).partition(": ")
        return Findings(None, [*faults, Fault("receipt", what, todo)])
    if owner and receipt is None and all(fault.minor for fault in faults):
        todo = f"run `gravurekit {owner}` again, which goes on; if it failed, mend what it complained of"
        faults.append(Fault("unfinished", f"{path} isn't finished", todo))
    try:
        found = _records(path, owner, receipt)
    except DataError as error:
        what, _, todo = str(error).rpartition(": ")
        return Findings(None, [*faults, Fault("torn", what, _again(path, owner) if owner else todo)])
    faults += _output_faults(path, owner, receipt)
    expected = (receipt.files if receipt else {}) | _named(found or [])
    if away := sorted(name for name in expected if _leads_out(name)):
        todo = _again(path, owner) if owner else "take its line out"
        faults.append(Fault("outside", f"{path / METADATA} names {away[0]!a}, which leads out of the folder", todo))
    elif found is not None or receipt is not None:
        faults += _file_faults(path, owner, expected, deep)
    return Findings(found, faults)


def _named(found: Iterable[Record]) -> dict[str, str]:
    """The files that Records name, with their sha256."""
    return {name: sha256 for item in found for name, sha256 in files_of(item).items()}


def _leads_out(name: str) -> bool:
    return "\0" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts


def _again(path: Path, owner: str) -> str:
    return f"run `gravurekit {owner}` again, which makes it anew"


def running(path: Path) -> Fault | None:
    """That a process is at work in the folder; None if there is none."""
    return next((fault for fault in _lock_faults(path) if not fault.minor), None)


def _lock_faults(path: Path) -> Iterator[Fault]:
    found = storage.lock_holder(path / LOCK)
    if found and found[1]:
        yield Fault("running", f"{path} is being written by {found[0]}", "wait until it is done")
    elif found:
        what = f"{path} was left by {found[0]}, which was ended"
        yield Fault("stale-lock", what, "nothing; the next run goes on", minor=True)


def _records(path: Path, owner: str, receipt: Receipt | None) -> list[Record] | None:
    if not (path / METADATA).exists():
        return None
    try:
        return read_lines(path / METADATA)
    except DataError:
        if owner or receipt or _begins_with_a_record(path / METADATA):
            raise
        return None  # another program's, as in many folders of pictures


def _begins_with_a_record(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            records.from_json(file.readline(), "line 1")
    except (DataError, OSError):
        return False
    return True


def _output_faults(path: Path, owner: str, receipt: Receipt | None) -> Iterator[Fault]:
    """What became of metadata.jsonl and the like since the receipt was written."""
    for name, sha256 in receipt.outputs.items() if receipt else ():
        file = path / name
        if not file.is_file():
            yield Fault("missing", f"{file} is missing", _again(path, owner))
        elif not _is(file, sha256):
            yours = f"remove {path / RECEIPT} and {path / MARKER}, and the folder is yours; go on with the next stage"
            keep = f"; or keep the edit: {yours}"
            todo = _again(path, owner) + (keep if name in (METADATA, DROPPED) else "")
            yield Fault("edited", f"{file} isn't as {owner or 'its stage'} wrote it", todo)


def _file_faults(path: Path, owner: str, expected: Mapping[str, str], deep: bool) -> Iterator[Fault]:
    again = _again(path, owner) if owner else "put it back, or take its line out of metadata.jsonl"
    there = _listing(path, expected, ("images",), deep)
    if missing := sorted(there.missing):
        yield Fault("missing", f"{path / missing[0]} is missing{_and_others(missing)}", again)
    if changed := sorted(_changed(path, expected, there)):
        yield Fault("changed", f"{path / changed[0]} isn't the file that was written{_and_others(changed)}", again)
    unnamed = sorted(name for name in there.others if "/" in name and is_picture_name(name))
    if strange := [name for name in unnamed if not OURS.match(PurePosixPath(name).name)]:
        todo = "move it out; to add pictures, `gravurekit crawl --source folder:PATH`"
        if not owner:
            todo = "add a line for it, or move it out"
        yield Fault("unnamed", f"{path / strange[0]} is in no line of {METADATA}{_and_others(strange)}", todo)
    half = [name for name in there.others if name.endswith(storage.ASIDE)] + [PARTS] * (path / PARTS).exists()
    if left := sorted([*half, *(set(unnamed) - set(strange))]):
        what = f"{path / left[0]} was left by a run that was ended{_and_others(left)}"
        yield Fault("left-over", what, "nothing; the next run removes it", minor=True)


def _and_others(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


@dataclass(frozen=True)
class _Listing:
    """Of the files that are expected, those that are `missing`, and those that are there and are to be `proved`; and
    the `others` that are there. By name; of most files, which are as they should be, nothing is kept."""

    missing: set[str]
    proved: list[str]
    others: list[str]


def _listing(path: Path, expected: Mapping[str, str], more: Sequence[str] = (), deep: bool = False) -> _Listing:
    """What lies in the folders of the expected files, and in those named besides."""
    written = next((file.stat().st_mtime_ns for file in (path / METADATA, path / RECEIPT) if file.exists()), -1)
    found = _Listing(set(expected), [], [])
    for folder in {str(PurePosixPath(name).parent) for name in expected}.union(more):
        prefix = "" if folder == "." else f"{folder}/"
        try:
            for file, when in storage.times_in(path / folder):
                name = prefix + file
                if name not in expected:
                    found.others.append(name)
                    continue
                found.missing.discard(name)
                if deep or when > written:
                    found.proved.append(name)
        except (OSError, ValueError):  # ValueError: a name that no disk can have
            continue  # what should lie there is missing, and is told as such
    return found


def _changed(path: Path, expected: Mapping[str, str], there: _Listing) -> Iterator[str]:
    """The files whose sha256 isn't the recorded one."""
    return (name for name in there.proved if expected[name] and not _is(path / name, expected[name]))


def _is(path: Path, sha256: str) -> bool:
    try:
        return file_sha256(storage.at_hand(path)) == sha256
    except OSError:  # a disk that fails, a file that may not be read: no longer what was written
        return False


def missing(path: Path, found: Iterable[Record]) -> set[str]:
    """Of the files that these Records name, those that aren't there."""
    return _listing(path, _named(found)).missing


def changed_or_missing(path: Path, found: Iterable[Record], deep: bool = False) -> set[str]:
    """Of the files that these Records name, those that are no longer as they were written."""
    expected = _named(found)
    there = _listing(path, expected, deep=deep)
    return there.missing | set(_changed(path, expected, there))
