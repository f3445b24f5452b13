"""Folder: pictures with their Records. `images/`, `metadata.jsonl` (kept, sorted by key), `dropped.jsonl`, and, written
last, `receipt.json`, which says from what and with which settings the folder was made.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gravurekit import audit, foreign, objects, storage
from gravurekit.errors import DataError, UsageError
from gravurekit.metadata import (
    DROPPED,
    EXPORTS,
    LOCK,
    MARKER,
    METADATA,
    PARTS,
    file_sha256,
    files_of,
    input_digest,
    owner_of,
    write_lines,
)
from gravurekit.progress import Watch
from gravurekit.receipt import RECEIPT, RECORDS, NewerReceipt, Plan, Receipt, differences, read_receipt
from gravurekit.record import Record
from gravurekit.settings import digest

NEW = "not made yet"


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


@dataclass(frozen=True)
class State:
    """Whether an output is what a plan asks for: the Summary of the run that made it, or the reasons to run."""

    done: Summary | None
    reasons: tuple[str, ...] = ()


def read(path: Path) -> list[Record]:
    """The kept Records of a Folder, or Records made for a plain folder of pictures; sorted by key.

    Raises UsageError if there is no such folder, DataError if it holds no picture, isn't finished or isn't whole.
    """
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder")
    owner = owner_of(path)
    findings = audit.inspect(path)
    if findings.grave:
        raise DataError("\n  ".join(str(fault) for fault in findings.grave))
    if owner and findings.records is None:
        raise UsageError(f"{path} holds what {owner} made, and no folder of pictures")
    if findings.records is None:
        found = foreign.read_pictures(path)
        if not found:
            raise DataError(f"{path}: no picture in it")
        return found
    if not findings.records:
        raise DataError(f"{path}: holds no picture ({DROPPED} says why)")
    return findings.records


def read_photographs(path: Path) -> list[Record]:
    """`read` of a folder that holds each picture once. Raises UsageError as well if it holds several drawings of one:
    a key would stand for all of them."""
    found = read(path)
    for before, after in zip(found, found[1:], strict=False):
        if before.key == after.key:
            raise UsageError(f"{path} holds several drawings of a picture ({after.file_name}): take the photographs")
    return found


def inputs(found: Iterable[Record], **side: Path | None) -> dict[str, str]:
    """The inputs of a Plan: the digest of the Records, and of each side input (a file, or a folder of files) that is
    given. Raises UsageError for one that isn't there."""
    digests = {RECORDS: input_digest(found)}
    return digests | {name: side_digest(path, name) for name, path in side.items() if path is not None}


def side_digest(path: Path, name: str) -> str:
    """The digest of a side input's bytes. Raises UsageError, calling it `name`, if it can't be read."""
    try:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != EXPORTS)
            return digest([(file.relative_to(path).as_posix(), file_sha256(file)) for file in files])
        return file_sha256(path)
    except OSError as error:
        raise UsageError(f"{name} {path}: {error.strerror}") from None


def look(path: Path, plan: Plan) -> State:
    """Whether `path` was made by the very same plan and is whole; if not, why it must be made.

    Raises DataError if a newer gravurekit made it.
    """
    try:
        receipt = read_receipt(path)
    except NewerReceipt:
        raise
    except DataError:
        return State(None, (f"{RECEIPT} is damaged",))
    if receipt is None and (running := audit.running(path)):
        return State(None, (running.what,))
    if receipt is None:
        return State(None, ("the last run didn't finish" if owner_of(path) else NEW,))
    if reasons := differences(receipt.plan, plan):
        return State(None, tuple(reasons))
    # a picture that no line names is somebody's: making the folder anew wouldn't help, and readers tell
    if faults := [fault for fault in audit.inspect(path).grave if fault.kind != "unnamed"]:
        return State(None, tuple(fault.what for fault in faults))
    return State(_summary(path, receipt))


def _summary(path: Path, receipt: Receipt) -> Summary:
    counts = dict(receipt.counts)
    came, kept = counts.pop("in"), counts.pop("kept")
    seconds = float(receipt.measured.get("seconds", 0.0))
    return Summary(receipt.plan.stage, path, came, kept, counts, seconds, True, receipt.measured.get("facts", {}))


@contextmanager
def opened(
    path: Path, stage: str, why: Sequence[str], watch: Watch, source: Path | None = None, adding: bool = False
) -> Iterator[None]:
    """Work in the output folder of `stage`, alone, and say `why`. Its old receipt goes first, so that an unfinished
    folder shows; when the stage is only `adding` to what is there, or calls `unseal` before it changes anything, that
    stays good, and the receipt stays as well.

    Raises UsageError if the folder is somebody else's, or lies in, around or at the input; Busy if another process
    works in it; DataError if a newer gravurekit made it.
    """
    check_places(path, stage, source)
    storage.make_folder(path)
    with storage.locked(path / LOCK) as before:
        if before:
            watch.note(f"{path}: the last run ({before}) was ended; going on from where it was")
        elif why and list(why) != [NEW]:
            watch.note(f"{stage}: {'; '.join(why)}")
        swept(path)
        claim(path, stage, source)  # by now nobody else does, whose file aside would have been swept away
        if not adding:
            unseal(path)
        yield


def swept(path: Path, but: Collection[str] = ()) -> None:
    """Remove what a killed process has half written in a folder whose lock is held: half a model, say, or half of what
    was measured; `but` for these names."""
    for aside in [*path.glob(f"*{storage.ASIDE}"), *path.glob(f".*/*{storage.ASIDE}")]:
        if aside.name not in but and aside.is_file():
            storage.remove(aside)


def unseal(path: Path) -> None:
    """What lies there is about to change: the receipt goes."""
    storage.remove(path / RECEIPT)


def check_places(path: Path, stage: str, source: Path | None = None) -> None:
    """Nothing is written. Raises UsageError if `path` can't be the output folder of `stage`: it holds files and isn't
    this stage's (they are somebody's, and would be removed), or lies in, around or at the input; DataError if a newer
    gravurekit made it."""
    if source is not None:
        ours, theirs = path.resolve(), source.resolve()
        if ours == theirs or ours in theirs.parents or theirs in ours.parents:
            raise UsageError(f"{path} and {source} must be folders apart: what is made can't lie in what it is made of")
    owner = owner_of(path)
    if owner and owner != stage:
        raise UsageError(f"{path} was made by {owner}: choose another folder for {stage}, or remove it first")
    if owner:
        _refuse_newer(path)
    elif path.is_dir():
        names = [name for name in storage.names_in(path) if not name.startswith(".")]
        if names:
            raise UsageError(f"{path} holds other files ({names[0]}, …): choose a new or empty folder")


def claim(path: Path, stage: str, source: Path | None = None) -> None:
    """Make `path` the output folder of `stage`: a hidden marker says so from the first moment on. Raises as
    `check_places` does."""
    check_places(path, stage, source)
    storage.make_folder(path)
    if not owner_of(path):
        storage.write_text(path / MARKER, stage + "\n")


def _refuse_newer(path: Path) -> None:
    try:
        read_receipt(path)
    except NewerReceipt:
        raise
    except DataError:
        pass  # damaged: what is made now takes its place


def finish(
    path: Path, plan: Plan, kept: Iterable[Record], dropped: Iterable[Record], seconds: float,
    facts: dict[str, Any] | None = None, source: Path | None = None,
) -> Summary:  # fmt: skip
    """Write metadata.jsonl and dropped.jsonl, remove what neither names, and write the receipt last."""
    kept = sorted(kept, key=lambda item: (item.key, item.variant or 0, item.file_name))
    dropped = sorted(dropped, key=lambda item: (item.key, item.variant or 0, item.url))
    _refuse_collisions(kept)
    _refuse_gaps(path, kept)
    write_lines(path / METADATA, kept)
    write_lines(path / DROPPED, dropped)
    named: dict[str, set[str]] = {"images": set()}
    for item in kept:
        for name in files_of(item):
            folder, slash, file = name.rpartition("/")
            if slash:  # never the root, where metadata and receipt lie
                named.setdefault(folder, set()).add(file)
    for folder, files in named.items():
        _keep_only(path / folder, files)
    return seal(path, plan, len(kept), dropped, (METADATA, DROPPED), seconds, facts, source=source)


def seal(
    path: Path, plan: Plan, kept: int, dropped: Sequence[Record], outputs: Sequence[str], seconds: float,
    facts: dict[str, Any] | None = None, files: Mapping[str, str] | None = None, source: Path | None = None,
) -> Summary:  # fmt: skip
    """Write the receipt, the last file of a folder, and clear the parts away. It holds the sha256 of `outputs`, and
    `files`, the sha256 of large files that no Record names; and where `source`, which it was made of, lies."""
    reasons = dict(sorted(Counter(item.reason for item in dropped).items()))
    counts = {"in": kept + len(dropped), "kept": kept, **reasons}
    sums = {name: file_sha256(path / name) for name in outputs}
    measured: dict[str, Any] = {"seconds": round(seconds, 3), "facts": facts or {}}
    if source is not None:
        measured["source"] = _place_of(source, path)
    receipt = Receipt(plan=plan, counts=counts, outputs=sums, files=dict(files or {}), measured=measured)
    storage.write_json(path / RECEIPT, receipt.model_dump(mode="json"))
    storage.remove(path / PARTS)
    return Summary(plan.stage, path, counts["in"], kept, reasons, seconds, False, facts or {})


def _place_of(source: Path, path: Path) -> str:
    """Where `source` lies as seen from `path`, so that both may move together; its URL if that is in another bucket."""
    bucket, own = (objects.url_of(folder).split("/")[:3] for folder in (source, path))
    return Path(os.path.relpath(source, path)).as_posix() if bucket in ([""], own) else objects.url_of(source)


def _refuse_collisions(kept: list[Record]) -> None:
    for before, after in zip(kept, kept[1:], strict=False):
        if before.key == after.key and before.variant == after.variant:
            raise DataError(f"two pictures share the key {after.key}: {before.url} and {after.url}; remove one of them")


def _refuse_gaps(path: Path, kept: list[Record]) -> None:
    """A file that vanished while the stage worked: all is done again, rather than a folder sealed that isn't whole."""
    if missing := audit.missing(path, kept):
        storage.remove(path / PARTS)
        raise DataError(f"{path / min(missing)} vanished while it was being made: run the same command again")


def _keep_only(folder: Path, names: set[str]) -> None:
    """Remove the files that an earlier run with other settings left; somebody else's stay, and the audit names them."""
    for name in storage.names_in(folder):
        if name not in names and (audit.OURS.match(name) or name.endswith(storage.ASIDE)):
            storage.remove(folder / name)
