"""The page of an evaluation: the figures beside those of baselines, curves, and the best and worst cases.

It is made of what `gravurekit evaluate` wrote: NAME.json, NAME.png and NAME_files/.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gravurekit.audit import Fault
from gravurekit.errors import DataError, UsageError
from gravurekit.executor import Executor
from gravurekit.progress import Watch
from gravurekit.reports import Report, _gallery, _page, _plots, _thumbs
from gravurekit.reports._content import below
from gravurekit.reports._gallery import Group, Item
from gravurekit.reports._plots import Plot
from gravurekit.reports._sections import Table, interval
from gravurekit.reports._thumbs import File

KIND = "gravurekit evaluate "  # how what an evaluation says of itself begins
BIGGEST = 1 << 26  # bytes of a report
SIDE = 320  # px, of the pictures of cases
COLUMNS = {  # by what was evaluated: figures of a row, and how people call them
    "colors": {
        "delta_e": "ΔE alone", "seen_delta_e": "ΔE as seen", "ab_psnr": "ab PSNR", "rgb_psnr": "RGB PSNR",
        "colourfulness_change": "colourfulness change", "colourfulness_ratio": "colourfulness ratio",
        "chroma_ratio": "chroma ratio", "grey": "grey share", "bleeding": "bleeding",
    },
    "style": {
        "judged": "J judged", "texture": "T texture", "tone": "K tone", "edges": "K edges", "print_hue": "hue, print",
        "wash_hue": "hue, wash",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Content:
    """What an evaluation wrote: `subject`, colors or style, and all that it said."""

    path: Path
    subject: str
    said: Mapping[str, Any]
    faults: list[Fault] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.stem

    @property
    def knobs(self) -> dict[str, str]:
        """The settings of the evaluation."""
        found = self.said.get("settings")
        return {str(name): _page.said(value) for name, value in found.items()} if isinstance(found, dict) else {}


def fits(path: Path) -> bool:
    """Whether it is the file that an evaluation wrote, as far as its name tells."""
    return path.suffix == ".json" and path.is_file()


def write(source: Path, out: Path, png: bool, executor: Executor, watch: Watch) -> Report:
    """Write the page of the evaluation in `source`. Raises UsageError if it is another file or `out` is somebody
    else's, DataError if it is damaged."""
    _page.refuse_to_overwrite(out)
    content = _read(source)
    try:
        tables, plots = list(_tables(content)), list(_curves(content))
        groups = list(_cases(content))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{source} is damaged, or of an older gravurekit ({type(error).__name__}): run `gravurekit evaluate "
            f"{content.subject}` again"
        ) from None
    files = _page.files_of(out)
    gallery = _gallery.gather(groups, files, _thumbs.make, executor, watch, [len(group.items) for group in groups])
    page = {
        "content": content, "eyebrow": f"Report · evaluation of {content.subject}", "kind": "evaluate", "plots": plots,
        "tables": tables, "gallery": gallery, "thumb": SIDE // 2, "wrong": "Something is wrong with this evaluation",
        "notes": _notes(content), "ours": _ours(content),
    }  # fmt: skip
    _page.write(out, "evaluation.html", page, ("gallery.js", "viewer.js") if gallery.shown else ())
    gallery.finish(files)
    written = _page.write_plots(files, plots if png else [])
    rows = sum(len(table.rows) for table in tables)
    facts = {"subject": content.subject, "rows": rows, "cases": gallery.shown}
    return Report(out, "evaluation", f"{content.subject}: {rows} rows, {gallery.shown} cases", facts, written)


def _read(path: Path) -> Content:
    try:
        with open(path, "rb") as file:
            said = json.loads(file.read(BIGGEST))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} can't be read ({error}): name the file that `gravurekit evaluate` wrote") from None
    kind = said.get("kind") if isinstance(said, dict) else None
    subject = kind.removeprefix(KIND) if isinstance(kind, str) and kind.startswith(KIND) else ""
    if subject not in COLUMNS:
        raise UsageError(f"{path} is no report of `gravurekit evaluate`: name such a file, or a folder")
    return Content(path, subject, said)


# ---- figures -------------------------------------------------------------------------------------------


def _parts(content: Content) -> dict[str, Mapping[str, Any]]:
    """The sets of pictures of an evaluation of colours, by what they are."""
    prints = content.said["prints"]
    found = {"Held-back samples": content.said["samples"]}
    return found | {f"Real prints{': ' * bool(name)}{name}": part for name, part in prints.items()}


def _tables(content: Content) -> Iterator[Table]:
    columns = COLUMNS[content.subject]
    head = ("", "pictures", *columns.values())
    if content.subject == "style":
        said = content.said
        rows = [said["style"], *said["controls"], *said["books"]]
        yield Table("Is it taken for a print?", head, [_row(row, columns) for row in rows],
                    "The style, controls that are no prints, and real books.")  # fmt: skip
        yield from _deviations(said.get("deviations") or [])
        return
    for name, part in _parts(content).items():
        yield Table(name, head, [_row(row, columns) for row in part["rows"]],
                    "Means over pictures, and what 95 of 100 resamples of them don't leave.")  # fmt: skip
    yield from _gains(content.said["samples"]["gains"])


def _row(row: Mapping[str, Any], columns: Mapping[str, str]) -> list[str | int]:
    return [str(row["name"]), int(row["pictures"]), *(interval(row.get(name)) for name in columns)]


def _gains(gains: Mapping[str, Mapping[str, Any]]) -> Iterator[Table]:
    others = list(next(iter(gains.values()), {}))
    if others:
        rows: list[list[str | int]] = [
            [name, *(interval(found[one]["delta_e"]) for one in others)] for name, found in gains.items()
        ]
        yield Table("By how much ΔE alone is less", ("", *(f"than {name}" for name in others)), rows,
                    "Paired by picture; above 0 the network's row is nearer to the truth.")  # fmt: skip


def _deviations(found: Sequence[Mapping[str, Any]]) -> Iterator[Table]:
    rows: list[list[str | int]] = [
        [str(one["name"]), _signed(one["value"]), f"{_signed(one['least'])} to {_signed(one['most'])}"]
        for one in found if not one["least"] <= one["value"] <= one["most"]
    ]  # fmt: skip
    if rows:
        yield Table("What gives the style away", ("figure of the texture", "style, sd", "books, sd"), rows[:20])


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _curves(content: Content) -> Iterator[Plot]:
    """ΔE over colourfulness, as saturation is turned up."""
    if content.subject != "colors":
        return
    for number, (name, part) in enumerate(_parts(content).items()):
        for figure, called in (("delta_e", "ΔE2000 alone"), ("seen_delta_e", "ΔE2000 as seen")):
            lines = {row: list(_points(points, figure)) for row, points in part["curve"].items()}
            if any(lines.values()):
                file = f"{figure.replace('_', '-')}-{number}"
                about = "Each mark is a saturation; the lower, and the nearer to 1, the better."
                yield _plots.ways(file, f"{name}: {called}", lines, "colourfulness over the true one", called, about)


def _points(points: Sequence[Mapping[str, Any]], figure: str) -> Iterator[tuple[float, float, str]]:
    for point in points:
        if point["colourfulness_ratio"] and point[figure]:
            yield point["colourfulness_ratio"]["value"], point[figure]["value"], f"{point['saturation']:g}"


def _notes(content: Content) -> list[str]:
    found = content.said.get("doubts")
    doubts = [str(doubt) for doubt in found] if isinstance(found, list) else []
    if content.subject == "style":
        return [f"Not to be believed: {doubt!r} does as well as a book in both J and T." for doubt in doubts]
    return [f"Mind: {doubt}." for doubt in doubts]


def _ours(content: Content) -> list[str]:
    """The rows that were evaluated, beside baselines."""
    if content.subject == "style":
        return [str(content.said["style"]["name"])]
    return [str(name) for name in content.said["samples"]["gains"]]


# ---- cases ---------------------------------------------------------------------------------------------


def _cases(content: Content) -> Iterator[Group]:
    """The best and the worst pictures that were kept to be shown."""
    folder = _page.files_of(content.path)
    for name, cases in (content.said.get("cases") or {}).items():
        for word, some in (("best", cases["best"]), ("worst", cases["worst"])):
            if some:
                yield Group(f"{name}, {word}", False, [_case(case, folder) for case in some])


def _case(case: Mapping[str, Any], folder: Path) -> Item:
    shots = [(str(row), File(below(folder, str(name)), SIDE)) for row, name in case["files"]]
    figures = {str(name): float(value) for name, value in case["figures"]}
    detail = ", ".join(f"{name} {value:.2f}" for name, value in list(figures.items())[:3])
    facets = {"label": [str(case["label"])] if case["label"] else []}
    return Item(str(case["key"]), "", (0, 0), shots, (), detail, "", facets, figures)
