"""How a long run tells of its progress, without knowing who listens."""

from typing import Protocol


class Watch(Protocol):
    """What `cli.py` shows on a terminal; the stages call it, and never print."""

    def begin(self, what: str, total: int | None) -> None:
        """A new stretch of work with `total` units (None: not known yet)."""

    def advance(self, units: int = 1) -> None:
        """So many units more are done."""

    def note(self, text: str) -> None:
        """A line that people should see once."""


class Silent:
    """A Watch that shows nothing."""

    def begin(self, what: str, total: int | None) -> None: ...

    def advance(self, units: int = 1) -> None: ...

    def note(self, text: str) -> None: ...


SILENT = Silent()
