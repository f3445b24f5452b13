"""What a page tells besides its pictures: plots and tables, by the stage that made the folder."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gravurekit import crafts
from gravurekit.record import Record
from gravurekit.reports import _plots
from gravurekit.reports._content import Content
from gravurekit.reports._plots import Cut, Plot

WIDE = {"sharpness", "spread", "chroma", "chroma_residual", "long side over short"}  # may lie far apart


@dataclass(frozen=True)
class Table:
    """`head`, then `rows`, the first cell of each its name. Numbers stand to the right."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | int]]
    about: str = ""


@dataclass(frozen=True)
class Sections:
    """Of one page."""

    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()


def interval(found: Any) -> str:
    """A figure with its interval, as JSON has it, in words."""
    if found is None:
        return "–"
    value, low, high = (f"{found[name]:.2f}".replace("-", "−") for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def sections_of(content: Content) -> Sections:
    """What there is to tell of a folder besides its pictures."""
    if content.stage == "crawl":
        return Sections(list(_crawl_plots(content)), list(_crawl_tables(content)))
    if content.stage == "filter":
        return Sections(list(_filter_plots(content)), [])
    return Sections(list(_plain_plots(content)), [])


# ---- counts --------------------------------------------------------------------------------------------


def counted(items: Iterable[Record], words_of: Callable[[Record], Iterable[str]]) -> Counter[str]:
    """How often each word is met."""
    return Counter(word for item in items for word in words_of(item))


def _in_parts(content: Content, words_of: Callable[[Record], Iterable[str]]) -> dict[str, dict[str, int]]:
    """By word, how many were kept and how many dropped; the most frequent first."""
    kept, dropped = counted(content.kept, words_of), counted(content.dropped, words_of)
    names = sorted(kept | dropped, key=lambda name: (-kept[name] - dropped[name], name))
    parts = {name: {"kept": kept[name], "dropped": dropped[name]} for name in names}
    return parts if dropped else {name: {"kept": count["kept"]} for name, count in parts.items()}


def _reasons(content: Content, title: str) -> Iterator[Plot]:
    if content.reasons:
        rows = {name: {"dropped": count} for name, count in content.reasons.items()}
        yield _plots.bars("reasons", title, rows)


def _licence(item: Record) -> list[str]:
    return [item.license or "unknown"]


def _first(item: Record) -> list[str]:
    """The keyword that a picture is counted for, or what stands in for it."""
    return [item.keywords[0] if item.keywords else item.label or "no keyword"]


def _label(item: Record) -> list[str]:
    return [item.label or "no label"]


# ---- a crawl -------------------------------------------------------------------------------------------


def _crawl_plots(content: Content) -> Iterator[Plot]:
    yield _plots.bars("keywords", "Pictures of each keyword", _in_parts(content, _first),
                      "Each picture is counted for the first keyword that brought it.")  # fmt: skip
    yield _plots.bars("sources", "Pictures of each source", _in_parts(content, lambda item: [item.source or "unknown"]))
    yield from _reasons(content, "Why links gave no picture")
    licences = {name: {"kept": count} for name, count in counted(content.kept, _licence).most_common()}
    if licences:
        yield _plots.bars("licences", "Licences of what was kept", licences)


def _crawl_tables(content: Content) -> Iterator[Table]:
    """What the last run did for each keyword, and what each source has for it."""
    told = content.facts.get("keywords")
    if isinstance(told, dict) and told:
        names = ("found", "new", "known", "duplicate", "kept")
        rows = [[word, *(_whole(counts, name) for name in names), _failures(counts)] for word, counts in told.items()]
        yield Table("The last run, by keyword", ("keyword", *names, "failed"), rows)
    pairs = Counter((word, item.source or "unknown") for item in content.kept for word in _first(item))
    sources = sorted({source for _, source in pairs})
    words = sorted(
        {word for word, _ in pairs}, key=lambda word: (-sum(pairs[word, source] for source in sources), word)
    )
    if len(sources) > 1 and words:
        rows = [[word, *(pairs[word, source] for source in sources)] for word in words]
        yield Table("Kept, by keyword and source", ("keyword", *sources), rows)


def _whole(counts: Any, name: str) -> int:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if type(value) is int else 0


def _failures(counts: Any) -> str:
    failed = counts.get("failed") if isinstance(counts, dict) else None
    if not isinstance(failed, dict):
        return ""
    return ", ".join(
        f"{count} {reason}" for reason, count in sorted(failed.items(), key=lambda pair: -_number(pair[1]))
    )


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) else 0.0


# ---- a filter ------------------------------------------------------------------------------------------


def _filter_plots(content: Content) -> Iterator[Plot]:
    yield from _reasons(content, "Why pictures were dropped")
    yield _plots.bars("labels", "Pictures of each label", _in_parts(content, _label))
    cuts = cuts_of(content)
    for name in [*cuts, *_others(content, cuts)]:
        values = {
            "kept": [value for item in content.kept if (value := figures_of(item).get(name)) is not None],
            "dropped": [value for item in content.dropped if (value := figures_of(item).get(name)) is not None],
        }
        found = {part: those for part, those in values.items() if those}
        if found:
            cut = cuts.get(name)
            yield _plots.spread(f"figure-{_file(name)}", name.replace("_", " "), found, cut and cut[1],
                                about(cut), name in WIDE)  # fmt: skip


def about(cut: tuple[str, Cut] | None) -> str:
    """What becomes of pictures by a figure, in words."""
    if cut is None:
        return "no cut by this figure alone"
    knob, where = cut
    if where.off:
        return f"no cut: {knob} is off"
    return f"dropped {'above' if where.above else 'below'} {where.value:g} ({knob})"


def cuts_of(content: Content) -> dict[str, tuple[str, Cut]]:
    """By figure: the knob that cuts it off, and where, as the receipt's settings say."""
    if content.receipt is None:
        return {}
    settings = content.receipt.plan.settings
    found: dict[str, tuple[str, Cut]] = {}
    skipped: Any = settings.get("skip") or []
    for name in crafts.names("filters"):
        table = settings.get(f"[{name}]")
        if not isinstance(table, dict) or name in skipped:
            continue
        for figure, knob in getattr(crafts.load("filters", name), "CUTS", {}).items():
            if (value := table.get(knob)) is not None and figure not in found:
                found[figure] = (f"{name}.{knob}", Cut(float(value), knob.startswith("max"), not value))
    for knob, value in settings.items():
        if knob.startswith("min_") and isinstance(value, int | float):  # relevance: the stage's own
            found[knob.removeprefix("min_")] = (knob, Cut(float(value), off=not value))
    return found


def _others(content: Content, cuts: Mapping[str, Any]) -> list[str]:
    """Figures that no knob cuts off."""
    names = dict.fromkeys(name for item in content.kept[:1000] for name in figures_of(item))
    return [name for name in names if name not in cuts]


def figures_of(item: Record) -> dict[str, float]:
    """What was measured of a picture, with what its size says."""
    if not (item.width and item.height):
        return dict(item.scores)
    low, high = sorted((item.width, item.height))
    return {"short side": float(low), "long side over short": high / low} | dict(item.scores)


def _file(name: str) -> str:
    """A figure's name as part of the name of a file."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)[:60]


# ---- any other folder ----------------------------------------------------------------------------------


def _plain_plots(content: Content) -> Iterator[Plot]:
    if len(counted(content.kept, _label)) > 1 or content.dropped:
        yield _plots.bars("labels", "Pictures of each label", _in_parts(content, _label))
    yield from _reasons(content, "Why pictures were dropped")
