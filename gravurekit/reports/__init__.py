"""Reports: a folder, for people to look at. A report is one file.

class Settings(Settings)                                   its knobs, flags of `gravurekit report`
write(source, out, settings, executor, watch) -> Sheet     looks at the folder `source`, writes the file `out`

`sheet` is for folders of pictures, `training` for runs, `credits` for both. Files that begin with `_` serve them.
"""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sheet:
    """What a report shows: the pictures that were kept, those that were dropped by reason, and how many of both the
    page has room for."""

    out: Path
    kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    shown: int = 0


@dataclass(frozen=True)
class Training:
    """What the report of a training shows: the last logged step, of how many (0: not known), the one with the best
    score, and how many charts and panel sheets there are."""

    out: Path
    step: int
    steps: int
    best_step: int | None
    charts: int
    panels: int
