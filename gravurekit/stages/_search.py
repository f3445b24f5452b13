"""Searching: what is asked of the sources, what each answers, and what is told of it.

No page is asked for here; the sources do that, through the Web that they are given.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from gravurekit import crafts, licenses, storage
from gravurekit import settings as base
from gravurekit.errors import Blocked, FetchError, SourceError, UnknownLayout
from gravurekit.keywords import Keyword
from gravurekit.progress import Tally, Watch
from gravurekit.settings import digest
from gravurekit.sources import Connection, Result, Terms
from gravurekit.stages._journal import ALL, GONE, INCOMING, Feed, Journal
from gravurekit.tombstones import Tombstones, hash_of
from gravurekit.words import clean

if TYPE_CHECKING:  # the HTTP client loads only when something is fetched
    from gravurekit.web import Web

EVERYTHING = 10**9
MOST_REFUSED = 20  # results that are looked through for each that is wanted, when licences are refused


def craft_of(source: str) -> ModuleType:
    """The craft of a source, which is NAME or NAME:ARGUMENT."""
    return crafts.load("sources", source.partition(":")[0])


@dataclass(frozen=True)
class Orders:
    """What is to be harvested, and into which folder."""

    out: Path
    keywords: Sequence[Keyword]
    sources: Sequence[str]
    tables: Mapping[str, Mapping[str, Any]]
    terms: Terms
    per_keyword: int
    retry: str  # "", "failed", or "failed:REASON,…"
    copy: bool  # pictures of a folder: copies instead of links
    max_bytes: int
    allow_private: bool
    obedient: bool
    forgotten: Tombstones

    def keywords_of(self, source: str) -> Sequence[Keyword]:
        """What a source is asked for."""
        return self.keywords if craft_of(source).NEEDS_KEYWORDS else [ALL]

    def limit_of(self, source: str) -> int:
        """How many results a search takes."""
        return self.per_keyword if craft_of(source).NEEDS_KEYWORDS else EVERYTHING


Take = Callable[[Result, Tally], None]


@dataclass
class Harvest:
    """What came of it: the tally of each keyword, and what ended each search that failed. The watch is told."""

    watch: Watch
    alone: bool  # there is but one source: if it fails, the run's own error tells
    tallies: dict[str, Tally] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)  # by source
    forgotten: set[str] = field(default_factory=set)  # links that led to what was forgotten, by their sha256
    outcomes: dict[str, dict[str, str]] = field(default_factory=dict)  # by keyword and source

    @property
    def found(self) -> int:
        """Results, of all searches together."""
        return sum(tally.found for tally in self.tallies.values())

    def of(self, source: str, keyword: Keyword) -> Tally:
        """The tally of a keyword, or of a source that needs none."""
        return self.tallies.setdefault(keyword.query or source, Tally())

    async def ask(
        self, connection: Connection, source: str, keyword: Keyword, orders: Orders, take: Take
    ) -> tuple[list[Result], FetchError | SourceError | None]:
        """What a source finds for a keyword, each result handed to `take` as it comes, and what ended the search if it
        failed."""
        tally, found = self.of(source, keyword), []
        tally.state = "searching"
        try:
            async for item in wanted(connection.search(keyword.query), orders.limit_of(source), orders.terms):
                found.append(item)
                take(item, tally)
        except (FetchError, SourceError) as error:
            self.note(source, keyword, outcome_of(error), clean(str(error)))
            self.failed(source, error)
            return found, error
        self.note(source, keyword, "found" if found else "nothing found")
        return found, None

    def note(self, source: str, keyword: Keyword, outcome: str, why: str = "") -> None:
        """What came of a search."""
        name = source.partition(":")[0]
        self.outcomes.setdefault(keyword.query or source, {})[source] = f"{outcome}: {why}" if why else outcome
        self.of(source, keyword).state = "" if outcome == "found" else f"{name}: {outcome}"
        if outcome == "nothing found":
            self.watch.note(f"{name} found nothing{keyword.query and f' for {keyword.query!r}'}")

    def failed(self, source: str, error: FetchError | SourceError) -> None:
        """A source can't be used, or not any more."""
        said = clean(str(error)).removeprefix(f"{source.partition(':')[0]}: ")
        self.failures.setdefault(source, said)
        if not self.alone:
            self.watch.note(f"{source} can't be used: {said}")


def knobs_of(source: str, orders: Orders) -> tuple[ModuleType, base.Settings, str]:
    """A source's craft, its settings, and the digest of all that decides what it answers to a query."""
    craft = craft_of(source)
    settings = crafts.settings_of("sources", "crawl", source.partition(":")[0], orders.tables)
    terms = {"license": orders.terms.license, "safe": orders.terms.safe} if craft.NEEDS_KEYWORDS else {}
    return craft, settings, digest([settings.model_dump(mode="json"), terms])


PASSING = {"connection", "timeout", "not-asked"}  # no fault of the link's: a new run tries these again


class Memory:
    """Which links are to be asked for, after all that earlier runs made of them."""

    def __init__(self, orders: Orders, journal: Journal) -> None:
        self._orders, self._journal = orders, journal

    def is_forgotten(self, item: Result) -> bool:
        """Whether a result was taken out by `gravurekit forget`. Of a file its bytes tell: another one may have its
        name by now."""
        if item.url.startswith(GONE) or self._orders.forgotten.has_link(item.url, item.page_url):
            return True
        known = self._journal.forgotten
        return bool(known) and not item.path and hash_of(item.url) in known

    def is_wanted(self, item: Result) -> bool:
        """Whether a result is to be downloaded, for the first time or again."""
        entry = self._journal.urls.get(item.url)
        if entry is None or entry.get("stamp", "") != item.stamp:  # new, or a file that has changed
            return True
        proof = self._journal.proofs.get(entry.get("sha256", ""))
        if "reason" in (outcome := proof or entry):
            return self._is_tried_again(outcome)
        if proof is None:  # killed between download and proof
            return not _has(self._orders.out / INCOMING / entry["sha256"], entry)
        return not _has(self._orders.out / proof["file_name"], entry)

    def _is_tried_again(self, entry: dict[str, Any]) -> bool:
        again, _, reasons = self._orders.retry.partition(":")
        if again and (not reasons or entry["reason"] in reasons.split(",")):
            return True
        overruled = any(entry.get(knob, value) != value for knob, value in self.limits_of(entry["reason"]).items())
        return entry["reason"] in PASSING or overruled

    def limits_of(self, reason: str) -> dict[str, Any]:
        """The knob that a link is refused by: with another value it is tried again."""
        knobs: dict[str, dict[str, Any]] = {
            "too-big": {"max_bytes": self._orders.max_bytes},
            "blocked-address": {"allow_private_addresses": self._orders.allow_private},
            "robots": {"robots": self._orders.obedient},
        }
        return knobs.get(reason, {})


def _has(path: Path, entry: dict[str, Any]) -> bool:
    """Whether a file is there, and of the size that came: a power cut leaves empty ones."""
    size = storage.size_of(path)
    return size is not None and size == entry.get("bytes", size)


def outcome_of(error: FetchError | SourceError) -> str:
    """In one word, why a search brought nothing."""
    if isinstance(error, Blocked):
        return "blocked"
    if isinstance(error, UnknownLayout):
        return "unknown layout"
    return "unreachable" if isinstance(error, FetchError) else "failed"


def is_worth_another(error: FetchError | SourceError | None) -> bool:
    """Whether it makes sense to ask a source for another keyword after this one."""
    if isinstance(error, FetchError):
        return error.reason.startswith("http-") or error.reason == "too-big"  # it is there, and answers
    return error is None or isinstance(error, UnknownLayout)


async def survey(orders: Orders, web: "Web", watch: Watch) -> tuple[Harvest, list[Feed]]:
    """Only search: what each source finds for each keyword, in the order in which they were named."""
    harvest = Harvest(watch, len(orders.sources) == 1)

    def pass_by(item: Result, tally: Tally) -> None:
        tally.found += 1

    async def ask(source: str) -> list[Feed]:
        craft, settings, _ = knobs_of(source, orders)
        feeds = []
        try:
            async with craft.connect(source.partition(":")[2], settings, web, orders.terms) as connection:
                for keyword in orders.keywords_of(source):
                    found, error = await harvest.ask(connection, source, keyword, orders, pass_by)
                    feeds.append(Feed(source, keyword, tuple(found)))
                    if not is_worth_another(error):
                        break
        except (FetchError, SourceError) as error:
            harvest.failed(source, error)
        return [feed for feed in feeds if feed.results]

    found = await asyncio.gather(*(ask(source) for source in orders.sources))
    places = {keyword: place for place, keyword in enumerate(orders.keywords)}
    feeds = [feed for several in found for feed in several]
    return harvest, sorted(feeds, key=lambda feed: places.get(feed.keyword, -1))


async def wanted(results: Any, limit: int, terms: Terms) -> AsyncGenerator[Result, None]:
    """Results until `limit` of them have a licence that will do, and those between them."""
    good = looked = 0
    async with aclosing(cast(AsyncGenerator[Result, None], results)) as stream:
        async for item in stream:
            looked += 1
            good += licenses.meets(item.license, terms.license)
            yield item
            if good == limit or looked >= MOST_REFUSED * limit:
                return
