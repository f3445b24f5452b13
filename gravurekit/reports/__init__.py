"""Reports: a folder, for people to look at. A report is one file.

class Settings(Settings)                                   its knobs, flags of `gravurekit report`
write(source, out, settings, executor, watch) -> Sheet     looks at the folder `source`, writes the file `out`
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
