"""How a long run tells of its progress, without knowing who listens."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass
class Tally:
    """What has become of the results of one keyword: each ends as one of `new` (a picture more), `known` (a picture
    since an earlier run), `duplicate` (another result has the same link or the same bytes), `refused` (its licence
    doesn't allow what is wanted) or `failed`, by reason."""

    found: int = 0
    new: int = 0
    known: int = 0
    duplicate: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    state: str = ""  # what its search is at, or what ended it

    @property
    def waiting(self) -> int:
        """Results that are still to come, or to be decoded."""
        done = self.new + self.known + self.duplicate + self.refused + self.failed.total()
        return self.found - done

    def counts(self) -> dict[str, int | dict[str, int]]:
        """All the numbers, for a receipt."""
        numbers = ("found", "new", "known", "duplicate", "refused")
        return {name: getattr(self, name) for name in numbers} | {"failed": dict(sorted(self.failed.items()))}


class Watch(Protocol):
    """What `cli.py` shows on a terminal; the stages call it, and never print."""

    def begin(self, what: str, total: int | None) -> None:
        """A new stretch of work with `total` units (None: not known yet)."""

    def advance(self, units: int = 1) -> None:
        """So many units more are done."""

    def say(self, text: str) -> None:
        """A few words on how the work is going, in the place of those before."""

    def rest(self) -> None:
        """Nothing is at work for now, so results can be printed."""

    def note(self, text: str) -> None:
        """A line that people should see once."""

    def board(self, tallies: Mapping[str, Tally]) -> None:
        """From now on show what becomes of each keyword; the tallies change while they are shown."""


class Silent:
    """A Watch that shows nothing."""

    def begin(self, what: str, total: int | None) -> None: ...

    def advance(self, units: int = 1) -> None: ...

    def say(self, text: str) -> None: ...

    def rest(self) -> None: ...

    def note(self, text: str) -> None: ...

    def board(self, tallies: Mapping[str, Tally]) -> None: ...


SILENT = Silent()
