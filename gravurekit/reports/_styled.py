"""The measures of a style on its page: what its drawings keep of the photographs, measured now on some of them; and
what `gravurekit evaluate style` found, where its report is."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gravurekit.executor import Executor
from gravurekit.progress import Watch
from gravurekit.record import Record
from gravurekit.reports._layers import Layers
from gravurekit.reports._sections import Sections, Table, interval

KIND = "gravurekit evaluate style"
MEASURES = {  # figures of measures.kept, as people read them
    "tone": ("tone kept", "correlation of the lightness of drawing and photograph, both blurred; 1 is best"),
    "edges": ("edges kept", "how far slopes point the same way; 1 is best"),
    "print_tone": ("tone kept, in colour", "as tone, of the coloured print"),
    "print_hue": ("hue of the print, degrees off", "mean difference of saturated places; 0 is best"),
    "wash_hue": ("hue of the wash, degrees off", "as of the print"),
}


def measured(items: Sequence[Record], layers: Layers, executor: Executor, watch: Watch) -> dict[str, dict[str, float]]:
    """By file name, what each of these drawings keeps of its photograph; those without one are left out."""
    tasks = []
    for item in items:
        photo = layers.photograph(item)
        names = (item.plain_file_name, item.file_name, item.wash_file_name)
        if photo and all(names):
            tasks.append((item.file_name, str(photo[0]), *(layers.content.file_of(name) for name in names)))
    watch.begin("style measures", len(tasks))
    found: dict[str, dict[str, float]] = {}
    for outcome in executor.map(_kept, tasks):
        if outcome.value:
            found[tasks[outcome.index][0]] = outcome.value
        watch.advance()
    return {name: found[name] for name in sorted(found)}


def _kept(task: tuple[str, ...]) -> dict[str, float]:
    """The figures of one drawing, by their names for people; none if a file can't be read."""
    from dataclasses import asdict

    from gravurekit import images
    from gravurekit.errors import PictureError
    from gravurekit.measures import kept, patches

    try:
        photo, plain, print_, wash = (images.read(Path(path)).pixels for path in task[1:])
    except PictureError:
        return {}
    figures = asdict(kept.kept(photo, patches.grey(plain), print_, wash))
    return {said: figures[name] for name, (said, _) in MEASURES.items() if figures[name] is not None}


def sections(found: Mapping[str, Mapping[str, float]], judged: Path | None) -> Sections:
    """Tables of both."""
    tables = list(_table(found))
    told = _evaluated(judged)
    if told:
        tables.append(told)
    notes = [] if told else [
        "Whether the style is taken for a print (J, T) gravurekit evaluate style measures; it is shown here once it "
        "was."
    ]  # fmt: skip
    return Sections([], tables, notes)


def _table(found: Mapping[str, Mapping[str, float]]) -> Iterable[Table]:
    """Mean, least and most of each measure."""
    rows = []
    for name, about in MEASURES.values():
        values = [figures[name] for figures in found.values() if name in figures]
        if values:
            rows.append(
                [name, *(f"{value:.2f}" for value in (sum(values) / len(values), min(values), max(values))), about]
            )
    if rows:
        yield Table(f"What {len(found)} drawings keep of their photographs", ("", "mean", "least", "most", ""), rows)


def _evaluated(path: Path | None) -> Table | None:
    """The rows of a report of `evaluate style`; None if there is none that can be read."""
    try:
        said = json.loads(path.read_bytes()) if path and path.is_file() else None
        if not isinstance(said, dict) or said.get("kind") != KIND:
            return None
        rows = [_row(row) for row in (said["style"], *said["controls"], *said["books"])]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Table("Is it taken for a print?", ("", "pictures", "J judged", "T texture", "K tone", "K edges"), rows,
                 "As gravurekit evaluate style found: the style, controls, real books.")  # fmt: skip


def _row(row: Mapping[str, Any]) -> list[str | int]:
    return [
        str(row["name"]),
        int(row["pictures"]),
        *(interval(row[name]) for name in ("judged", "texture", "tone", "edges")),
    ]
