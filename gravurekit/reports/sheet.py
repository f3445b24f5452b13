"""The page of a folder of pictures: what it keeps, what was dropped and why, where all of it came from.

It is opened from disk, years later and without a network, so nothing is fetched from elsewhere. It is also what one
looks at when something is wrong, so it shows what can still be read of a damaged folder, its faults on top.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gravurekit.executor import Executor
from gravurekit.progress import Watch
from gravurekit.record import Record
from gravurekit.reports import Report, _content, _gallery, _page, _sections, _styled, _thumbs
from gravurekit.reports._content import Content
from gravurekit.reports._gallery import Group, Item
from gravurekit.reports._layers import Layers
from gravurekit.reports._sections import Sections

KEPT = "kept"


@dataclass(frozen=True)
class Size:
    """How much is shown: small pictures of `thumb` px, of `limit` pictures at most; of `views` drawings, and as many
    copies, evenly over the folder, larger ones of `view` px."""

    thumb: int
    limit: int
    view: int
    views: int


def write(source: Path, out: Path, size: Size, png: bool, executor: Executor, watch: Watch) -> Report:
    """Write the page of the folder `source` to `out`; with `png` its plots besides.

    Raises UsageError if there is no such folder, or it holds no pictures; DataError if there is nothing in it, or a
    newer gravurekit made it.
    """
    _page.refuse_to_overwrite(out)
    content = _content.read(source)
    executor.reach(None, [source])
    layers, files = Layers(content), _page.files_of(out)
    large = _viewed(content, layers, size.views)
    drawn = [item for item in large if content.stage == "stylize" and not item.reason]
    measured = _styled.measured(drawn, layers, executor, watch) if drawn else {}
    sections = _all_sections(content, measured, out)
    groups = _groups(content, layers, size, {id(item) for item in large}, measured)
    totals = [len(content.kept), *map(len, content.by_reason.values())]
    gallery = _gallery.gather(groups, files, _thumbs.make, executor, watch, totals)
    cuts = {name: _sections.about(cut) for name, cut in _sections.cuts_of(content).items()}
    page = {
        "content": content, "eyebrow": f"Report · {content.stage}" if content.stage else "Report", "sections": sections,
        "kind": content.stage, "gallery": gallery, "cuts": cuts,
        "decides": content.stage == "filter", "thumb": size.thumb,
        "wrong": "Something is wrong with this folder", "ways": {"figures": "Figures", "pictures": "Pictures"},
    }  # fmt: skip
    _page.write(out, "sheet.html", page, ("gallery.js", "viewer.js"))
    gallery.finish(files)
    plots = _page.write_plots(files, sections.plots if png else [])
    return _report(content, out, gallery.shown, plots)


def _report(content: Content, out: Path, shown: int, plots: Sequence[Path]) -> Report:
    dropped = {reason: len(items) for reason, items in sorted(content.by_reason.items())}
    facts = {"kept": len(content.kept), "dropped": dropped, "shown": shown}
    said = f"{len(content.kept)} kept, {len(content.dropped)} dropped, {shown} shown"
    return Report(out, content.stage or "pictures", said, facts, plots)


def _all_sections(content: Content, measured: dict[str, dict[str, float]], out: Path) -> Sections:
    found = _sections.sections_of(content)
    if content.stage != "stylize":
        return found
    style = _styled.sections(measured, _evaluation_of(content, out))
    return Sections(found.plots, style.tables, style.notes)


def _evaluation_of(content: Content, out: Path) -> Path | None:
    """Where `evaluate style` writes what it finds of a folder, by default: beside reports."""
    places = (folder / f"{content.name}-style.json" for folder in (out.parent, out.parent.parent))
    return next((path for path in places if path.is_file()), None)


# ---- which pictures ------------------------------------------------------------------------------------


def _viewed(content: Content, layers: Layers, views: int) -> list[Record]:
    """Those that are there in a larger size as well: drawings, coloured prints, and copies beside their twins."""
    found = []
    for items in (content.kept, content.dropped):
        several = [item for item in items if layers.have(item)]
        places = _gallery.evenly(len(several), views)
        found += [item for place, item in enumerate(several) if place in places]
    return found


def _groups(
    content: Content, layers: Layers, size: Size, large: set[int], measured: dict[str, dict[str, float]]
) -> list[Group]:
    """What was kept, and what was dropped, by reason."""
    members = [(KEPT, False, content.in_order)]
    members += [(reason or "no reason", True, items) for reason, items in content.by_reason.items()]
    chosen = _gallery.chosen(members, size.limit)
    return [
        Group(name, dropped, [_item(item, layers, size, id(item) in large, measured) for item in items])
        for (name, dropped, _), items in zip(members, chosen, strict=True)
    ]


def _item(item: Record, layers: Layers, size: Size, is_large: bool, measured: dict[str, dict[str, float]]) -> Item:
    shots = layers.of(item, size.thumb)
    views = layers.of(item, size.view) if is_large else []
    figures = _sections.figures_of(item) | (measured.get(item.file_name, {}) if not item.reason else {})
    return Item(
        item.key, item.title, (item.width, item.height), shots, views, item.detail, item.kept_key,
        _gallery.facets_of(item), figures, _gallery.facts_of(item),
    )  # fmt: skip
