"""The crawl's memory, `raw/journal.jsonl`, a line an event, and the Records that follow from it.

{"order": {"keywords": [[label, query], …], "sources": [source, …]}}                 what was named until now, in order
{"feed": [source, query], "label": …, "limit": …, "knobs": …, "results": […]}       a finished search
{"url": …, "sha256": …, "bytes": …}  or  {"url": …, "reason": …, "detail": …}       a download that came, or didn't
{"sha256": …, "file_name": …, "width": …, "height": …}  or  {"sha256": …, "reason": …, "detail": …}   a proof
{"forgotten": …}                            a download of what `gravurekit forget` took out, by the sha256 of its link

A result of a search whose link was forgotten has "forgotten:" and the sha256 of the link in its place, so that the
others keep their ranks.

A download from a file has its "stamp" as well, so that a file that changed is taken again; one from a host, in
"robots", what the host said of crawlers.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gravurekit import licenses, storage, tombstones
from gravurekit import record as records
from gravurekit.keywords import Keyword
from gravurekit.licenses import Wish, meets
from gravurekit.record import Record
from gravurekit.sources import Result

INCOMING = "incoming"  # downloads, named by their sha256, until the run is finished
GONE = "forgotten:"  # how the stand-in of a link begins
ALL = Keyword("", "")  # the keyword of sources that need none


@dataclass(frozen=True)
class Feed:
    """What one source gave for one keyword, best first."""

    source: str
    keyword: Keyword
    results: tuple[Result, ...]


@dataclass
class Journal:
    """What earlier runs and this one did. `asked` holds how many results each finished search asked for, and the digest
    of the source's knobs."""

    path: Path
    feeds: dict[tuple[str, str], Feed] = field(default_factory=dict)
    asked: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    urls: dict[str, dict[str, Any]] = field(default_factory=dict)
    proofs: dict[str, dict[str, Any]] = field(default_factory=dict)
    keywords: list[Keyword] = field(default_factory=list)  # all that were ever named, in order
    sources: list[str] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)  # links that led to what was forgotten, by their sha256

    def __post_init__(self) -> None:
        self._file = storage.LineFile(self.path)

    def close(self) -> None:
        """Nothing more happens."""
        self._file.close()

    @classmethod
    def load(cls, path: Path) -> "Journal":
        """The journal at `path`; an empty one if there is none. Lines that are torn or no events are as if not
        written: what they told is asked for again."""
        journal = cls(path)
        for entry in storage.read_json_lines(path):
            with suppress(KeyError, TypeError, ValueError, AttributeError, OverflowError):
                journal._take(entry)
        return journal

    def add(self, entry: dict[str, Any]) -> None:
        """Write an event down, then know it."""
        self._file.add(json.dumps(entry, ensure_ascii=False))
        self._take(entry)

    def name(self, keywords: Sequence[Keyword], sources: Sequence[str]) -> None:
        """What this run was asked for: its order counts, and that of earlier runs where it says nothing."""
        earlier, said = _by_query(self.keywords), _by_query(keywords)
        both = earlier | said
        named = [keyword for query in merged(list(earlier), list(said)) for keyword in both[query]]
        everywhere = merged(self.sources, sources)
        if (named, everywhere) != (self.keywords, self.sources):
            pairs = [[keyword.label, keyword.query] for keyword in named]
            self.add({"order": {"keywords": pairs, "sources": everywhere}})

    def add_feed(self, feed: Feed, limit: int, knobs: str) -> None:
        """Write a finished search down, unless that was done."""
        key = feed.source, feed.keyword.query
        if self.feeds.get(key) == feed and self.asked.get(key) == (limit, knobs):
            return
        told = (dataclasses.asdict(item) for item in feed.results)
        results = [{name: value for name, value in item.items() if value} for item in told]
        self.add(
            {
                "feed": [feed.source, feed.keyword.query],
                "label": feed.keyword.label,
                "limit": limit,
                "knobs": knobs,
                "results": results,
            }
        )

    def _take(self, entry: dict[str, Any]) -> None:
        if "order" in entry:
            keywords = [Keyword(_text(query), _text(label)) for label, query in entry["order"]["keywords"]]
            self.keywords, self.sources = keywords, [_text(source) for source in entry["order"]["sources"]]
        elif "feed" in entry:
            source, query = map(_text, entry["feed"])
            found = tuple(_result(item) for item in entry["results"])
            asked = (int(entry["limit"]), str(entry.get("knobs", "")))
            label = _text(entry["label"])
            self.feeds[source, query] = Feed(source, Keyword(query, label), found)
            self.asked[source, query] = asked
        elif _says(entry, "forgotten"):
            self.forgotten.add(entry["forgotten"])
        elif _says(entry, "url", "sha256") or _says(entry, "url", "reason", "detail"):
            self.urls[entry["url"]] = entry
        elif _says(entry, "sha256", "reason", "detail") or (
            _says(entry, "sha256", "file_name") and all(type(entry.get(side)) is int for side in ("width", "height"))
        ):
            self.proofs[entry["sha256"]] = entry


def _result(item: dict[str, Any]) -> Result:
    """A result of a feed. Raises TypeError if it is none."""
    return Result(**{name: _text(value) for name, value in item.items()})


def _by_query(keywords: Iterable[Keyword]) -> dict[str, list[Keyword]]:
    """The keywords of each query: it may have several labels."""
    found: dict[str, list[Keyword]] = {}
    for keyword in keywords:
        found.setdefault(keyword.query, []).append(keyword)
    return found


def merged(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """All of both, each once: what is in `now` in its order, in the places that `before` has for it; what is new there
    behind what it follows, else before what it precedes, else last."""
    shared = set(before) & set(now)
    in_turn = [item for item in dict.fromkeys(now) if item in shared]
    behind: dict[str, list[str]] = {"": []}  # what is new, by what it follows
    follows = ""
    for item in dict.fromkeys(now):
        if item in shared:
            follows = item
        else:
            behind.setdefault(follows, []).append(item)
    order, turns = [], iter(in_turn)
    for item in dict.fromkeys(before):
        here = next(turns) if item in shared else item
        first = behind[""] if here in in_turn[:1] else []
        order += [*first, here, *behind.get(here, [])]
    return order if shared else order + behind[""]


def _says(entry: dict[str, Any], *keys: str) -> bool:
    """Whether an event has text under each of these keys."""
    return all(_is_text(entry.get(key)) for key in keys)


def _is_text(value: object) -> bool:
    """Whether a value is text that can be written."""
    return isinstance(value, str) and value.encode("utf-8", "ignore").decode() == value


def _text(value: Any) -> str:
    """A text that can be written. Raises TypeError if it is none."""
    if not _is_text(value):
        raise TypeError
    return str(value)


def in_order(journal: Journal) -> list[Feed]:
    """All feeds, also those of earlier runs: by keyword, within each by source; those without keywords last."""
    named = [(source, keyword) for keyword in [*journal.keywords, ALL] for source in journal.sources]
    feeds = [
        dataclasses.replace(journal.feeds[source, keyword.query], keyword=keyword)
        for source, keyword in named
        if (source, keyword.query) in journal.feeds
    ]
    known = {(source, keyword.query) for source, keyword in named}
    return feeds + [journal.feeds[key] for key in sorted(journal.feeds.keys() - known)]  # of a damaged journal


def stand_in(url: str) -> Result:
    """What a feed holds in the place of a forgotten link."""
    return Result(GONE + tombstones.hash_of(url))


def take_out(path: Path, is_link: Callable[[str], bool], is_file: Callable[[str], bool]) -> int:
    """Take links and files (by sha256) out of the journal at `path`: their events go, and results of searches become
    stand-ins. The links that led to such a file go as well. How many lines changed."""
    entries = storage.read_json_lines(path)
    led = {_word(entry, "url") for entry in entries if is_file(_word(entry, "sha256"))} - {""}
    stay: list[str] = []
    changed = 0
    for entry in entries:
        spared = _spared(entry, lambda url: url in led or is_link(url), is_file)
        changed += spared is not entry
        if spared is not None:
            stay.append(json.dumps(spared, ensure_ascii=False))
    if changed:
        storage.write_lines(path, stay)
    return changed


def _spared(
    entry: dict[str, Any], is_link: Callable[[str], bool], is_file: Callable[[str], bool]
) -> dict[str, Any] | None:
    """The event without what goes; itself if nothing does, None if all does."""
    results = entry.get("results")
    if "feed" in entry and isinstance(results, list):
        stand_ins = [_stand_in_for(item, is_link) for item in results]
        return entry if stand_ins == results else entry | {"results": stand_ins}
    return None if is_file(_word(entry, "sha256")) or is_link(_word(entry, "url")) else entry


def _stand_in_for(item: Any, is_link: Callable[[str], bool]) -> Any:
    if not isinstance(item, dict):
        return item
    url, page = _word(item, "url"), _word(item, "page_url")
    goes = not url.startswith(GONE) and (is_link(url) or is_link(page))
    return {"url": stand_in(url).url} if goes else item


def _word(entry: dict[str, Any], name: str) -> str:
    """The text under this key; empty if there is none."""
    found = entry.get(name)
    return found if isinstance(found, str) else ""


_INTERRUPTED = {"reason": "not-fetched", "detail": "a crawl was interrupted: ask its source again"}


def licenses_of(feeds: Iterable[Feed]) -> dict[str, str]:
    """What all feeds together say of the licence of each link, where they say anything."""
    told: dict[str, str] = {}
    for feed in feeds:
        for item in feed.results:
            if item.license:
                told[item.url] = licenses.both(told.get(item.url, ""), item.license)
    return told


@dataclass
class _Find:
    """What is known of one URL: where it was found first, and with the rank of the keyword each label and query."""

    result: Result
    source: str
    rank: int
    labels: dict[str, int] = field(default_factory=dict)
    queries: dict[str, int] = field(default_factory=dict)

    def hear(self, item: Result, source: str, place: int) -> None:
        """Another source, or another search, tells of the same link."""
        name = licenses.both(self.result.license, item.license)
        if name == self.result.license:
            return
        if name == item.license:
            self.result, self.source, self.rank = item, source, place
        else:
            self.result = dataclasses.replace(self.result, license=name, license_url="")

    def note(self, labels: dict[str, int], queries: dict[str, int]) -> None:
        for known, new in ((self.labels, labels), (self.queries, queries)):
            for word, rank in new.items():
                known[word] = min(rank, known.get(word, rank))


def to_records(feeds: Iterable[Feed], journal: Journal, wish: Wish) -> tuple[list[Record], list[Record]]:
    """Kept and dropped Records; every distinct URL is one or the other. Of several URLs with the same bytes the lowest
    (keyword, source, rank) is kept, and has the labels and keywords of all. A licence that doesn't meet the `wish` is
    refused, also for a picture that an earlier run took under another one."""
    kept: dict[str, _Find] = {}
    dropped = []
    for url, find in _finds(feeds).items():
        if url.startswith(GONE):
            dropped.append(tombstones.record(records.key_of(url.removeprefix(GONE))))
            continue
        if not meets(find.result.license, wish):
            dropped.append(_dead(find, "", "license", unlicensed(find.result.license, wish)))
            continue
        entry = journal.urls.get(url, _INTERRUPTED)
        sha256 = entry.get("sha256", "")
        outcome = journal.proofs.get(sha256, _INTERRUPTED if sha256 else entry)
        if "reason" in outcome:
            dropped.append(_dead(find, sha256, outcome["reason"], outcome["detail"]))
        elif (first := kept.setdefault(sha256, find)) is not find:
            first.note(find.labels, find.queries)
            detail = f"the same file as {first.result.url}"
            dropped.append(_dead(find, sha256, "same-bytes", detail).but(kept_key=records.key_of(sha256)))
    return [_alive(find, sha256, journal) for sha256, find in kept.items()], dropped


def unlicensed(name: str, wish: Wish) -> str:
    """Why a picture with this licence isn't wanted."""
    return f"{name or 'no licence is known'}: not what --license {wish} asks for"


def _finds(feeds: Iterable[Feed]) -> dict[str, _Find]:
    finds: dict[str, _Find] = {}
    for rank, feed in enumerate(feeds):
        source = feed.source.partition(":")[0]
        for place, item in enumerate(feed.results, start=1):
            place = place if feed.keyword.query else 0  # what no search has found has no rank
            find = finds.setdefault(item.url, _Find(item, source, place))
            find.hear(item, source, place)
            label = feed.keyword.label or item.label
            find.note({label: rank} if label else {}, {feed.keyword.query: rank} if feed.keyword.query else {})
    return finds


def _facts(find: _Find) -> dict[str, Any]:
    item = find.result
    return {
        "labels": tuple(sorted(find.labels, key=lambda word: find.labels[word])),
        "keywords": tuple(sorted(find.queries, key=lambda word: find.queries[word])),
        "source": find.source,
        "rank": find.rank,
        "url": item.url,
        "page_url": item.page_url,
        "title": item.title,
        "creator": item.creator,
        "license": item.license,
        "license_url": item.license_url,
    }


def _dead(find: _Find, sha256: str, reason: str, detail: str) -> Record:
    key = records.key_of_url(find.result.url)
    return Record(key=key, sha256=sha256, reason=reason, detail=detail, **_facts(find))


def _alive(find: _Find, sha256: str, journal: Journal) -> Record:
    proven = {name: journal.proofs[sha256][name] for name in ("file_name", "width", "height")}
    robots = str(journal.urls[find.result.url].get("robots", ""))
    return Record(key=records.key_of(sha256), sha256=sha256, robots=robots, **proven, **_facts(find))
