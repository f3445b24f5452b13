"""The filtered folder as it is at the moment, and the decisions file beside it: read when they change, written one
decision after the other."""

import asyncio
import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gravurekit.errors import DataError, UsageError
from gravurekit.metadata import file_sha256
from gravurekit.receipt import RECEIPT
from gravurekit.record import Record
from gravurekit.reports import _content
from gravurekit.stages import _decisions
from gravurekit.stages._decisions import Decisions
from gravurekit.studio._cases import Cases, Marks, decidable, stamp, twin_of
from gravurekit.studio.desk import Desk

FILE = "decisions.jsonl"  # of the workspace, if the settings name none
KEEP, DROP, APART, UNDO = "keep", "drop", "apart", "undo"


@dataclass(frozen=True)
class Now:
    """What there is at the moment."""

    cases: Cases
    marks: Marks
    pending: bool  # whether there are decisions that the folder isn't of


class FilteredFolder:
    """Of a desk. To be used in one event loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._turn = asyncio.Lock()  # one reads, or decides, at a time
        self._cases: tuple[object, Cases] | None = None
        self._decided: tuple[object, Decisions, str] | None = None
        self._marks: tuple[Cases, Decisions, Marks] | None = None

    @cached_property
    def path(self) -> Path:
        """Of the folder."""
        return self._desk.place(self._desk.paths.clean)

    @property
    def file_name(self) -> str:
        """The decisions file, as people would name it."""
        return self._desk.paths.decisions or FILE

    @property
    def command(self) -> str:
        """What carries the decisions out."""
        return "gravurekit filter" if self._desk.paths.decisions else f"gravurekit filter --decisions {FILE}"

    @property
    def _file(self) -> Path:
        return self._desk.root / self.file_name

    async def now(self) -> Now | None:
        """None if no filter has made the folder yet. Raises UsageError if the decisions file has a line that is none,
        DataError if a newer gravurekit made the folder."""
        async with self._turn:
            return await asyncio.to_thread(self._now)

    async def decide(self, key: str, what: str) -> Record:
        """Write down what was decided of a picture: KEEP, DROP, APART from its twin, or UNDO. One takes the place of
        the other. Raises UsageError if that can't be decided of it, KeyError if there is no such picture."""
        async with self._turn:
            now = await asyncio.to_thread(self._now)
            item = now.cases.by_key[key] if now else None
            if now is None or item is None:
                raise KeyError(key)
            check(now.cases, item, what)
            await asyncio.to_thread(self._write, now, item, what)
            return item

    def _write(self, now: Now, item: Record, what: str) -> None:
        twin = twin_of(item)
        gone = set(now.marks.of(item).apart) - ({twin} if what == APART else set())
        for other in sorted(gone):
            _decisions.set_apart(self._file, item.key, other, apart=False)
        if what == APART:
            _decisions.set_apart(self._file, item.key, twin, apart=True)
        _decisions.set_keep(self._file, item.key, {KEEP: True, DROP: False}.get(what))

    def _now(self) -> Now | None:
        cases = self._read()
        if cases is None:
            return None
        decisions, digest = self._read_decisions()
        receipt = cases.content.receipt
        carried_out = receipt.plan.inputs.get("decisions", "") if receipt else ""
        nothing = decisions == Decisions() and not carried_out
        if self._marks is None or self._marks[:2] != (cases, decisions):
            self._marks = (cases, decisions, Marks(cases, decisions))
        return Now(cases, self._marks[2], digest != carried_out and not nothing)

    def _read(self) -> Cases | None:
        before = stamp(self.path)
        if self._cases is None or self._cases[0] != before:
            try:
                content = _content.read(self.path)
            except (UsageError, DataError):
                if os.path.exists(self.path / RECEIPT):
                    raise
                return None
            if content.stage != "filter":
                return None
            self._cases = (before, Cases(content, bool(content.input and self._desk.allowed(content.input))))
        return self._cases[1]

    def _read_decisions(self) -> tuple[Decisions, str]:
        """With the digest of the file, as the filter's receipt has it."""
        try:
            told = os.stat(self._file)
        except OSError:
            return Decisions(), ""
        if not stat.S_ISREG(told.st_mode):  # reading a pipe would wait for ever, and nobody else have a turn
            raise UsageError(f"{self.file_name} is no file: put it elsewhere")
        before = (told.st_mtime_ns, told.st_size, told.st_ino)
        if self._decided is None or self._decided[0] != before:
            self._decided = (before, _decisions.read(self._file), file_sha256(self._file))
        return self._decided[1], self._decided[2]


def check(cases: Cases, item: Record, what: str) -> None:
    """Raises UsageError if that can't be decided of a picture."""
    if what not in (KEEP, DROP, APART, UNDO):
        raise UsageError(f"a decision is one of {KEEP}, {DROP}, {APART}, {UNDO}")
    if what in (KEEP, DROP) and not decidable(item):
        raise UsageError(f"it is {item.reason}: no decision brings it back")
    if what == APART and not twin_of(item):
        raise UsageError("it is taken for no other picture's copy")
    if what == APART and cases.same_pixels(item):
        raise UsageError("the two have the same pixels: they can't be set apart")
