"""A gallery: pictures in groups, which a page shows a few at a time, filters, sorts and opens. Here is what of them
goes into the page; `page/gallery.js` shows it.

It goes in as JSON that no browser takes for anything else, and becomes text there, never HTML: titles, links and file
names came from the web, and no word of them is trusted.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gravurekit.executor import Executor
from gravurekit.progress import Watch
from gravurekit.record import Record
from gravurekit.reports import _thumbs
from gravurekit.reports._thumbs import OUTSIDE, Shown
from gravurekit.words import clean, short

EMBEDDED = 2000  # small pictures that a page has room for in itself
WORD, LINK = 300, 4096  # characters
T = TypeVar("T")
Shot = tuple[str, Any]  # a caption, and what a Maker makes a small picture of: it has a `path`
FACETS = ("keyword", "label", "source", "licence")
NAMELESS = {"keyword": "no keyword", "label": "no label", "source": "no source", "licence": "licence unknown"}


@dataclass(frozen=True)
class Item:
    """A picture of a gallery: what is known of it, and its `shots`, each with a caption. `views`: the same, larger, by
    caption; `figures`: by name; `facts`: further words, by name; `facets`: by name of FACETS, what it can be found by;
    `dropped` ones have a `reason` and their kept `twin`."""

    key: str
    title: str = ""
    size: tuple[int, int] = (0, 0)
    shots: Sequence[Shot] = ()
    views: Sequence[Shot] = ()
    detail: str = ""
    twin: str = ""
    facets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Pictures that belong together; `dropped`: they weren't kept."""

    name: str
    dropped: bool
    items: Sequence[Item]


def facets_of(item: Record) -> dict[str, list[str]]:
    """What a picture can be found by."""
    return {
        "keyword": list(item.keywords),
        "label": list(item.labels),
        "source": [item.source] if item.source else [],
        "licence": [item.license] if item.license else [],
    }


def facts_of(item: Record) -> dict[str, str]:
    """Where a picture is from, who made it, and what may be done with it."""
    rank = f"{item.rank}" if item.rank else ""
    found = {
        "creator": item.creator, "page": item.page_url, "picture": item.url, "licence text": item.license_url,
        "place among results": rank, "robots.txt": item.robots, "file": item.file_name, "sha256": item.sha256,
        "cluster": item.cluster if item.cluster != item.key else "", "drawn of": item.photo_key,
        "variant": "" if item.variant is None else str(item.variant),
    }  # fmt: skip
    return {name: fact for name, fact in found.items() if fact}


# ---- how many are shown --------------------------------------------------------------------------------


def chosen(groups: Sequence[tuple[str, bool, Sequence[T]]], limit: int) -> list[list[T]]:
    """Of each group those that are shown, `limit` in all at most: small groups whole, large ones evenly."""
    quota = _quota([len(members) for _, _, members in groups], limit)
    return [_spread(members, quota) for _, _, members in groups]


def _quota(counts: Sequence[int], limit: int) -> int:
    """The most that each group may show."""
    left = limit
    for place, count in enumerate(sorted(counts)):
        share = left // (len(counts) - place)
        if count > share:
            return max(1, share)
        left -= count
    return max(counts, default=0)


def _spread(items: Sequence[T], most: int) -> list[T]:
    if len(items) <= most:
        return list(items)
    return [items[n * len(items) // most] for n in range(most)]


def evenly(count: int, most: int) -> set[int]:
    """`most` numbers below `count`, evenly over it."""
    return set(range(count)) if count <= most else {n * count // most for n in range(most)}


# ---- what goes into the page ---------------------------------------------------------------------------


Maker = Callable[[Sequence[Any], _thumbs.Place, Executor, Watch], Mapping[Any, Shown]]


@dataclass(frozen=True)
class Gallery:
    """A gallery that is ready for a page: `data` for the script, and the `place` where its small pictures are."""

    data: dict[str, Any]
    place: _thumbs.Place
    shown: int

    def lines(self, cuts: Mapping[str, str] = {}, decides: bool = False) -> Iterator[str]:
        """The data as JSON within HTML, a thing a line, so that no line is as long as the page. `cuts`: by figure, what
        is cut off by it; `decides`: people may decide otherwise, in a decisions file."""
        yield f'{{"cuts": {as_json(cuts)}, "decides": {as_json(decides)}'
        for name, value in self.data.items():
            yield f', "{name}": ['
            for number, one in enumerate(value):
                yield as_json(one) + ("," if number + 1 < len(value) else "")
            yield "]"
        yield "}"

    def finish(self, files: Path) -> None:
        """The page is written: what older pages had beside it, and this one has not, goes."""
        if isinstance(self.place, _thumbs.Beside):
            self.place.finish()
        else:
            _thumbs.sweep(files)


def as_json(value: Any) -> str:
    """As JSON that ends no script element, whatever is in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def gather(
    groups: Sequence[Group], files: Path, make: Maker, executor: Executor, watch: Watch, totals: Sequence[int]
) -> Gallery:
    """Make the small pictures, and all that the script needs. `files`: the folder beside the page; `totals`: how many
    pictures each group truly has."""
    items = [item for group in groups for item in group.items]
    wanted = dict.fromkeys(file for item in items for _, file in (*item.shots, *item.views) if file.path)
    place: _thumbs.Place = _thumbs.Inside() if len(wanted) <= EMBEDDED else _thumbs.Beside(files)
    came = make(list(wanted), place, executor, watch)
    place.settle()
    made = {file: came[file] for file in wanted}  # in their own order, not in that in which they came
    numbers = {file: number for number, file in enumerate(made)}
    thumbs = [_thumb(shown) for shown in made.values()]
    outside = len(thumbs)
    thumbs.append(_thumb(OUTSIDE))
    words = {name: _Words(NAMELESS[name]) for name in FACETS}
    names = list(dict.fromkeys(name for item in items for name in item.figures))

    def shots(pairs: Iterable[Shot]) -> list[list[Any]]:
        return [[caption, numbers.get(file, outside)] for caption, file in pairs]

    lines = [
        _line(item, number, shots, words, names, made) for number, group in enumerate(groups) for item in group.items
    ]
    data = {
        "groups": [
            [clean(short(group.name, WORD)), group.dropped, total] for group, total in zip(groups, totals, strict=True)
        ],
        "facets": [[name, found.said] for name, found in words.items()],
        "figures": names,
        "thumbs": thumbs,
        "items": lines,
    }
    return Gallery(data, place, len(items))


def _thumb(shown: Shown) -> list[Any]:
    return [shown.src, shown.width, shown.height] if shown.src else [clean(short(shown.fault, WORD))]


class _Words:
    """Words by number, as they come, with how often each was met."""

    def __init__(self, nameless: str) -> None:
        self._numbers: dict[str, int] = {}
        self._met: Counter[int] = Counter()
        self._nameless = nameless

    def of(self, words: Sequence[str]) -> list[int]:
        """The numbers of words; of none that of the word that says so."""
        found = [self._numbers.setdefault(word, len(self._numbers)) for word in dict.fromkeys(words or [""])]
        self._met.update(found)
        return found

    @property
    def said(self) -> list[list[Any]]:
        """Each word, how often it was met, and whether it only stands for none."""
        return [
            [clean(short(word, WORD)), self._met[number]] if word else [self._nameless, self._met[number], True]
            for word, number in self._numbers.items()
        ]


def _line(
    item: Item, group: int, shots: Callable[[Iterable[Shot]], list[list[Any]]],
    words: Mapping[str, _Words], figures: Sequence[str], made: Mapping[Any, Shown],
) -> dict[str, Any]:  # fmt: skip
    """An item as the script knows it; what is empty is left out."""
    first = next((made[file].size for _, file in item.shots if file in made), (0, 0))
    values = [_figure(item.figures.get(name)) for name in figures]
    line = {
        "key": clean(short(item.key, WORD)),
        "group": group,
        "title": clean(short(item.title, WORD)),
        "size": list(item.size if item.size[0] else first),
        "shots": shots(item.shots),
        "views": shots(item.views),
        "detail": clean(short(item.detail, WORD)),
        "twin": clean(short(item.twin, WORD)),
        "facets": [found.of(item.facets[name]) if name in item.facets else [] for name, found in words.items()],
        "figures": values if any(value is not None for value in values) else [],
        "facts": {name: clean(short(fact, LINK)) for name, fact in item.facts.items()},
    }
    return {name: value for name, value in line.items() if value not in ("", [], {}, [0, 0])}


def _figure(value: float | None) -> float | None:
    return None if value is None or not abs(value) < 1e300 else round(value, 4)
