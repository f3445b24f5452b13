"""How far a training's log is, and its best score, without reading again what was read before: a log only grows."""

import os
from dataclasses import dataclass
from pathlib import Path

from gravurekit.reports._runlog import HIGHEST, entry_of, lines, step_of

Score = tuple[int, float]  # a step, and its score


@dataclass(frozen=True)
class Followed:
    """What a log told so far, in the lines that end at byte `read` of the file `inode`. `step`: of the last line;
    `scores`: of the validations that stand those that were better than all before them, so that the last one is the
    best, also when a resumption takes some of them back; `spoilt`: it ended because its loss was no number."""

    inode: int = 0
    read: int = 0
    step: int = 0
    scores: tuple[Score, ...] = ()
    spoilt: bool = False

    @property
    def best(self) -> Score | None:
        """The step with the lowest score, and that score."""
        return self.scores[-1] if self.scores else None


def follow(path: Path, before: Followed = Followed()) -> Followed:
    """What the log at `path` tells by now; nothing if there is none, or it is no file. A last line that isn't ended yet
    waits for the next time. Raises OSError if it can't be read."""
    if not path.is_file():  # opening a pipe would wait for ever
        return Followed()
    with open(path, "rb") as file:
        there = os.fstat(file.fileno())
        same = there.st_ino == before.inode and there.st_size >= before.read
        tail = _Tail(before if same else Followed())
        file.seek(tail.read)
        for place, line in lines(file):
            if not line.endswith(b"\n") and file.tell() >= there.st_size:
                break
            tail.add(line)
            tail.read = place + len(line)
    return Followed(there.st_ino, tail.read, tail.step, tuple(tail.scores), tail.spoilt)


class _Tail:
    """A log that is being followed."""

    def __init__(self, before: Followed) -> None:
        self.read, self.step, self.spoilt = before.read, before.step, before.spoilt
        self.scores = list(before.scores)

    def add(self, line: bytes) -> None:
        """A line replaces what is there of its step, and what came after."""
        entry = entry_of(line)
        step = step_of(entry)
        if entry is None or step is None:
            return
        kind, self.step = entry.get("kind"), step
        while self.scores and self.scores[-1][0] >= step + (kind != "validation"):
            self.scores.pop()
        if kind == "validation":
            self._validated(step, entry.get("score"))
        if kind in ("start", "spoilt"):
            self.spoilt = kind == "spoilt"

    def _validated(self, step: int, score: object) -> None:
        if isinstance(score, bool) or not isinstance(score, int | float) or not abs(score) <= HIGHEST:  # also NaN
            return
        if not self.scores or score < self.scores[-1][1]:
            self.scores.append((step, float(score)))
