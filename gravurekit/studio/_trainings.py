"""The trainings below a folder, and how each is getting on.

Done by a worker process, since logs may be long. Nothing outside of a run's own folder is read, whatever its links say.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gravurekit import audit, storage
from gravurekit.errors import DataError
from gravurekit.metadata import LOCK, MARKER
from gravurekit.receipt import RECEIPT, NewerReceipt, Receipt, read_receipt
from gravurekit.reports import _run, training
from gravurekit.reports._content import below
from gravurekit.reports._run import CARD, LOG, STATE, figure
from gravurekit.reports.training import PANELS, ROWS
from gravurekit.studio._following import Followed, follow
from gravurekit.words import clean

Condition = Literal["running", "finished", "unfinished", "spoilt", "damaged", "newer"]

OWN = (MARKER, LOCK, LOG, RECEIPT, CARD, STATE, PANELS, f"{PANELS}/{ROWS}")  # what is read of a run
MOVING = (LOG, RECEIPT, CARD, PANELS)  # what changes when there is something new to see


@dataclass(frozen=True)
class Training:
    """How a training is getting on. `steps`: that there will be, 0 if nobody can tell; `best`: the best step, and its
    score in words; `moved`: when it last did something, in seconds since 1970."""

    name: str
    condition: Condition
    step: int
    steps: int
    best: tuple[int, str] | None
    moved: float


@dataclass(frozen=True)
class Known:
    """A training as it was looked at, and what shows that it has changed since."""

    signature: str
    followed: Followed
    training: Training


@dataclass(frozen=True)
class Glance:
    """To look over the trainings in `folder`, of which some are `known` from the time before."""

    folder: Path
    known: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """The trainings of a folder by name: those that run, then the one that moved last first; `seconds`: of a
    processor's time that the look took."""

    known: Mapping[str, Known]
    seconds: float


def look_over(task: Glance) -> Seen:
    """Look at all trainings of a folder. What is known and hasn't changed isn't read again, and of a log that grew only
    what is new."""
    began = time.process_time()
    found = {name: _known(task.folder / name, task.known.get(name)) for name in _names(task.folder)}
    return Seen(dict(sorted(found.items(), key=_order)), time.process_time() - began)


def _order(item: tuple[str, Known]) -> tuple[bool, float, str]:
    """Those that run don't change places with every step."""
    name, found = item
    runs = found.training.condition == "running"
    return not runs, 0 if runs else -found.training.moved, name


def _names(folder: Path) -> Iterator[str]:
    """The folders of trainings. Those whose names no page could show, or which lie elsewhere, are none."""
    readable = folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
    for name in os.listdir(folder) if readable else ():
        if name.startswith(".") or name != clean(name) or not below(folder, name):
            continue
        if (folder / name).is_dir() and not leads_out(folder / name) and training.fits(folder / name):
            yield name


def leads_out(run: Path) -> str:
    """The first of a run's files that is a link to somewhere else; empty if none is."""
    return next((name for name in OWN if not below(run, name)), "")


def _known(run: Path, before: Known | None) -> Known:
    signature = signature_of(run)
    if before and before.signature == signature:
        return before
    try:
        followed = follow(run / LOG, before.followed if before else Followed())
    except OSError:  # the page of the training says why
        followed = Followed()
    condition = condition_of(run, followed.spoilt)
    steps = 0 if condition == "newer" else _run.outline(run, followed.step).steps
    best = (followed.best[0], figure(followed.best[1])) if followed.best else None
    moved = max((found.st_mtime for name in MOVING if (found := _stat(run / name))), default=0.0)
    return Known(signature, followed, Training(run.name, condition, followed.step, steps, best, moved))


def signature_of(run: Path) -> str:
    """16 hex digits that differ when a run has something new to show, or began or ceased to run."""
    stats = [(found.st_size, found.st_mtime_ns) if (found := _stat(run / name)) else None for name in MOVING]
    held = storage.lock_holder(run / LOCK)
    return hashlib.sha256(repr((stats, held, _lacks(run, _receipt(run)))).encode()).hexdigest()[:16]


def condition_of(run: Path, spoilt: bool) -> Condition:
    """How a training stands. `spoilt`: its log ends with a loss that was no number."""
    if audit.running(run):
        return "running"
    try:
        receipt = read_receipt(run)
    except NewerReceipt:
        return "newer"
    except DataError:
        return "damaged"
    if receipt is None:
        return "spoilt" if spoilt else "unfinished"
    return "damaged" if _lacks(run, receipt) else "finished"


def _receipt(run: Path) -> Receipt | None:
    try:
        return read_receipt(run)
    except DataError:
        return None


def _lacks(run: Path, receipt: Receipt | None) -> bool:
    """Whether a file is missing that a finished training had."""
    return any(
        not (path := below(run, name)) or not os.path.isfile(path) for name in (receipt.files if receipt else ())
    )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
