"""The folders of the workspace: whose each is, in which state, and what is wrong with it."""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gravurekit import audit, foreign, storage, tombstones
from gravurekit.audit import Fault
from gravurekit.doctor import details
from gravurekit.doctor.diagnosis import Condition, Finding, Place
from gravurekit.doctor.trouble import UNREADABLE, reason
from gravurekit.errors import DataError, UsageError
from gravurekit.metadata import DROPPED, LOCK, MARKER, METADATA, PARTS, owner_of
from gravurekit.pipeline import Paths
from gravurekit.receipt import RECEIPT, NewerReceipt, Receipt, read_receipt
from gravurekit.stages.crawl import JOURNAL

STAGES = {"raw": "crawl", "clean": "filter", "styled": "stylize", "shards": "shard", "coloured": "colorize"}
FILES = (RECEIPT, METADATA, DROPPED, MARKER, LOCK, JOURNAL)
FOLDERS = (".", "images", PARTS)
HARMLESS = {"journal", "other-stage"}  # faults beside which a folder can still be read


def look(paths: Paths, deep: bool, findings: list[Finding]) -> tuple[Place, ...]:
    """The folders of [paths], and every training."""
    places = [_place(name, getattr(paths, name), stage, deep) for name, stage in STAGES.items()]
    places[-1:-1] = _runs(Path(paths.runs), deep)  # before what is coloured with them
    for place in places:
        for fault in place.faults:
            if not fault.minor and fault.kind != "running":
                hurt = place.state in ("damaged", "newer") and fault.kind not in HARMLESS
                findings.append(Finding("workspace", place.path, fault.kind, fault.what, fault.todo, hurt))
    try:
        tombstones.read(Path(tombstones.FILE))
    except DataError as error:  # before crawl and filter stop at it
        what, _, todo = str(error).partition(": ")
        findings.append(Finding("workspace", tombstones.FILE, "tombstones", what, todo, True))
    return tuple(places)


def _runs(path: Path, deep: bool) -> Iterator[Place]:
    """A Place for each training; one for the folder if there are none."""
    names = os.listdir(path) if os.path.isdir(path) and os.access(path, os.R_OK) else []
    runs = sorted(name for name in names if os.path.isdir(path / name) and not name.startswith("."))
    yield from (_place("run", path / name, "train", deep) for name in runs)
    if not runs:
        yield _place("runs", path, "train", deep)


def _place(name: str, where: str | Path, stage: str, deep: bool) -> Place:
    """What a folder is, and in which state."""
    place, path = Place(name, str(where), stage, "absent"), Path(where)
    try:
        path = storage.place(where)
        path.lstat()
        if barriers := tuple(_barriers(path, stage)):
            return replace(place, state="damaged", faults=barriers)
        return _inspected(place, path, deep)
    except (DataError, UsageError, *UNREADABLE) as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not os.path.lexists(path):
            return place
        todo = f"remove what is wrong in it, and run `gravurekit {stage}` again"
        return replace(place, state="damaged", faults=(Fault("unreadable", f"{path}: {reason(error)}", todo),))


def _barriers(path: Path, stage: str) -> Iterator[Fault]:
    """What keeps us from looking into a folder: files where folders should be, the other way round, permissions, a
    marker that says nothing."""
    if not path.is_dir():
        yield Fault("no-folder", f"{path} is no folder", "move it away, or name another in [paths]")
        return
    for name in (*FOLDERS, *FILES):
        inner = path / name
        if not os.path.lexists(inner):
            continue
        if not (inner.is_file() if name in FILES else inner.is_dir()):
            what = f"{inner} is no {'file' if name in FILES else 'folder'}"
            yield Fault("in-the-way", what, "move it away, and run the stage again")
        elif not os.access(inner, os.R_OK if name in FILES else os.R_OK | os.X_OK):
            todo = f"chmod -R u+rwX {shlex.quote(str(inner))}"
            yield Fault("no-access", f"{inner} can't be read (permission denied)", todo)
            return
    if (path / MARKER).is_file() and not re.fullmatch("[a-z]+", owner_of(path)):
        what, todo = f"{path / MARKER} doesn't say whose folder it is", f"write the one word {stage} into it"
        yield Fault("marker", what, todo)


def _inspected(place: Place, path: Path, deep: bool) -> Place:
    owner = owner_of(path)
    receipt, newer = _receipt(path)
    found = audit.inspect(path, deep)
    stage = owner or (receipt.plan.stage if receipt else place.stage)
    more, detail = details.of(stage, path, found.faults, receipt)
    if owner and owner != place.stage:
        what = f"{path} was made by {owner}, not by {place.stage}"
        more.append(Fault("other-stage", what, f"name another folder in [paths] {place.name}"))
    state, faults = _judged([*found.faults, *more], newer, receipt is not None)
    counts = dict(receipt.counts) if receipt else {}
    if state == "yours":
        counts = {"pictures": len(foreign.picture_files(path) if found.records is None else found.records)}
        state = state if any(path.iterdir()) else "empty"
    if state == "running" and (holder := storage.lock_holder(path / LOCK)):
        detail = "; ".join(part for part in (str(holder[0]), detail) if part)
    return replace(place, stage=stage, state=state, counts=counts, detail=detail, faults=tuple(faults))


def _receipt(path: Path) -> tuple[Receipt | None, bool]:
    """The receipt, and whether it is a newer gravurekit's; of a damaged one audit tells."""
    try:
        return read_receipt(path), False
    except DataError as error:
        return None, isinstance(error, NewerReceipt)


def _judged(faults: list[Fault], newer: bool, finished: bool) -> tuple[Condition, list[Fault]]:
    """The state of a folder, and its faults less those that follow from it."""
    kinds = {fault.kind for fault in faults if not fault.minor}
    if "running" in kinds:  # files come and go while somebody works
        return "running", [fault for fault in faults if fault.minor or fault.kind == "running"]
    if newer:
        return "newer", [replace(fault, kind="newer") if fault.kind == "receipt" else fault for fault in faults]
    if "unfinished" in kinds:  # the next run makes what isn't there
        kinds -= {"missing", "changed"}
        faults = [fault for fault in faults if fault.kind not in ("missing", "changed")]
    if kinds - {"unfinished"} - HARMLESS:
        return "damaged", [fault for fault in faults if fault.kind != "unfinished"]
    if "unfinished" in kinds:
        return "unfinished", faults
    return "finished" if finished else "yours", faults
