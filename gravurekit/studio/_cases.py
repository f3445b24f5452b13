"""Cases: what a filter kept and dropped, in views that people go through, with what they have decided so far."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from gravurekit.metadata import DROPPED, METADATA
from gravurekit.receipt import RECEIPT
from gravurekit.record import Record
from gravurekit.reports._content import Content
from gravurekit.reports._layers import Layers
from gravurekit.reports._thumbs import File
from gravurekit.stages._decisions import Decisions, pair
from gravurekit.studio._doubt import doubts

PAGE = 60  # pictures
DOUBTFUL, COPIES, KEPT, DECIDED = "doubtful", "copies", "kept", "decided"
DUPLICATE = "duplicate"
ALIKE = re.compile(r"(\d+)% of the blocks alike")  # what filters.duplicate and _comparing.py say
CORRELATION = re.compile(r"correlation (\d\.\d+)")


@dataclass(frozen=True)
class View:
    """Pictures to go through, under a name; `dropped`: they weren't kept."""

    id: str
    name: str
    items: Sequence[Record]
    dropped: bool = False


@dataclass(frozen=True)
class Group:
    """Pictures of a page that stand together: copies of `kept_key`, which is `lead` if it is in this folder; `size`:
    how many copies there are, on other pages as well. All empty: they have nothing in common."""

    items: Sequence[Record]
    kept_key: str = ""
    lead: Record | None = None
    size: int = 0


@dataclass(frozen=True)
class Page:
    """One of `pages` of a view with `total` pictures."""

    number: int
    pages: int
    total: int
    groups: Sequence[Group]


class Cases:
    """Of one folder, as it was read. `shown`: whether what was dropped may be looked at where it lies."""

    def __init__(self, content: Content, shown: bool) -> None:
        self.content, self.shown = content, shown
        self.items = [*content.kept, *content.dropped]
        self.by_key = {item.key: item for item in reversed(self.items)}
        self.doubts = doubts(content)
        self._layers = Layers(content)
        copies = [item for item in self.items if twin_of(item)]
        self._clusters: dict[str, list[Record]] = {}
        for item in copies:
            self._clusters.setdefault(twin_of(item), []).append(item)
        self._views = {view.id: view for view in self._all_views()}

    def _all_views(self) -> Iterable[View]:
        near = [item for item in self.items if item.key in self.doubts]
        yield View(DOUBTFUL, "Doubtful", sorted(near, key=lambda item: (self.doubts[item.key].share, item.key)))
        order = sorted(self._clusters.items(), key=lambda found: (-len(found[1]), min(map(sureness, found[1]))))
        yield View(COPIES, "Copies", [item for _, copies in order for item in sorted(copies, key=sureness)], True)
        for reason, items in self.content.by_reason.items():
            if reason != DUPLICATE:
                yield View(f"reason {reason}", reason or "no reason", items, True)
        yield View(KEPT, "Kept", self.content.kept)

    def views(self, marks: "Marks") -> list[View]:
        """All that there is to go through."""
        return [*self._views.values(), self.view(DECIDED, marks)]

    def view(self, name: str, marks: "Marks") -> View:
        """One of them; KeyError if there is none of that name."""
        if name == DECIDED:
            return View(DECIDED, "Decided", [item for item in self.items if item.key in marks.made])
        return self._views[name]

    def page(self, view: View, number: int) -> Page:
        """A page of a view, the nearest one that there is; of copies in clusters."""
        pages = max(1, -(-len(view.items) // PAGE))
        number = min(max(number, 1), pages)
        items = view.items[(number - 1) * PAGE : number * PAGE]
        groups = [Group(items)] if items else []
        if view.id == COPIES:
            groups = [self._cluster(key, list(some)) for key, some in groupby(items, twin_of)]
        return Page(number, pages, len(view.items), groups)

    def _cluster(self, key: str, some: Sequence[Record]) -> Group:
        lead = self.by_key.get(key)
        return Group(some, key, lead if lead and not lead.reason else None, len(self._clusters[key]))

    def same_pixels(self, item: Record) -> bool:
        """Whether its twin is certainly the same picture."""
        twin = self.by_key.get(twin_of(item))
        same = bool(twin and twin.pixels_sha256 and twin.pixels_sha256 == item.pixels_sha256)
        return same or item.reason == DUPLICATE and item.detail in ("the same bytes", "the same pixels")

    def file(self, item: Record, side: int) -> File | None:
        """The picture on disk, if it may be looked at: only those very bytes that were judged."""
        if item.reason and not self.shown:
            return None
        shots = self._layers.of(item, side)
        if not shots or not shots[0][1].path or not item.sha256:
            return None
        return File(shots[0][1].path, side, item.sha256, bool(item.width))

    @cached_property
    def by_sha256(self) -> Mapping[str, Record]:
        """The pictures by what their files are."""
        return {item.sha256: item for item in reversed(self.items) if item.sha256}


@dataclass(frozen=True)
class Mark:
    """What was decided of one picture; `apart`: keys that it isn't a copy of."""

    keep: bool | None = None
    apart: tuple[str, ...] = ()

    @property
    def made(self) -> bool:
        """Whether anything was."""
        return self.keep is not None or bool(self.apart)


class Marks:
    """What people decided, picture by picture of these cases. `made`: the keys of those of which something was."""

    def __init__(self, cases: Cases, decisions: Decisions) -> None:
        self._cases, self._decisions = cases, decisions
        self._others: dict[str, list[str]] = {}
        for one, other in sorted(decisions.apart):
            self._others.setdefault(one, []).append(other)
            self._others.setdefault(other, []).append(one)
        named = (cases.by_key.get(key) for key in (*decisions.keep, *self._others))
        self.made = frozenset(item.key for item in named if item and self.of(item).made)

    def of(self, item: Record) -> Mark:
        """Of a copy it counts that it is none of its twin; of any other picture whose copy it isn't any more. Where the
        other one is still taken for its copy, that is said of the other one."""
        return Mark(self._decisions.keep.get(item.key), self._apart(item))

    def _apart(self, item: Record) -> tuple[str, ...]:
        if twin := twin_of(item):
            return (twin,) if pair(item.key, twin) in self._decisions.apart else ()
        others = self._others.get(item.key, ())
        return tuple(key for key in others if key not in self._cases.by_key or self._free(key, item))

    def _free(self, key: str, item: Record) -> bool:
        return twin_of(self._cases.by_key[key]) != item.key


def twin_of(item: Record) -> str:
    """The key of the picture that this one is a copy of; empty if it is none. One that is kept by hand is one still."""
    if item.reason:
        return item.kept_key if item.reason == DUPLICATE else ""
    return item.cluster if item.cluster != item.key else ""


def decidable(item: Record) -> bool:
    """Whether it was judged: what couldn't be read, or is forgotten, comes back by no decision."""
    return bool(item.pixels_sha256)


def sureness(item: Record) -> tuple[int, float, str]:
    """How sure it is that a copy is one, to sort by: they had to be laid on one another, thumbs were alike, their
    pixels are the same."""
    if found := ALIKE.search(item.detail):
        return 0, float(found[1]) / 100, item.key
    found = CORRELATION.search(item.detail)
    return (1, float(found[1]), item.key) if found else (2, 1.0, item.key)


def stamp(folder: Path) -> tuple[tuple[int, int, int], ...]:
    """Changes whenever what a folder says of its pictures does."""
    found = []
    for name in (METADATA, DROPPED, RECEIPT):
        try:
            told = (folder / name).stat()
            found.append((told.st_mtime_ns, told.st_size, told.st_ino))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)
