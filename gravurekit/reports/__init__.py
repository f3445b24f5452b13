"""Reports: a folder, for people to look at. A report is one page, which fetches nothing.

`pages.write(source, out, settings, executor, watch) -> Report` looks at what there is, and has the page made by one of

    sheet       pictures: a crawl, a filter, a stylize, coloured prints, any folder
    tensors     shards
    training    a run
    evaluation  what `evaluate` found

`credits` and `preview` are for people as well, and no pages. Files that begin with `_` serve these; what browsers need
(templates, styles, scripts) lies in `page/`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Report:
    """A page that was written. `kind`: what it shows; `said`: that in a line for people, `facts`: for programs;
    `plots`: its drawings as PNG files, if they were asked for."""

    out: Path
    kind: str
    said: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    plots: Sequence[Path] = ()
