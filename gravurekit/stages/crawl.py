"""crawl: keywords → raw/. Searches, downloads, proves that each picture decodes, remembers where it came from."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field

from gravurekit import audit, crafts, folder, foreign, metadata, objects, storage, tombstones
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import DataError, SourceError, UsageError
from gravurekit.executor import Executor
from gravurekit.folder import State, Summary
from gravurekit.keywords import Keyword
from gravurekit.licenses import Wish, meets
from gravurekit.progress import Watch
from gravurekit.receipt import Plan
from gravurekit.record import Record
from gravurekit.settings import did_you_mean, digest
from gravurekit.sources import Result, Terms
from gravurekit.stages._journal import (
    INCOMING,
    Feed,
    Journal,
    in_order,
    licenses_of,
    stand_in,
    take_out,
    to_records,
    unlicensed,
)
from gravurekit.stages._search import Harvest, Memory, Orders, craft_of, survey
from gravurekit.tombstones import Tombstones

if TYPE_CHECKING:  # the HTTP client loads only when something is fetched
    from gravurekit.web import Web

REVISION = 2
JOURNAL = "journal.jsonl"
THREADS = 128

Came = TypeVar("Came")


class Settings(base.Settings):
    """How much to fetch, of what, and how gently."""

    per_keyword: int = Field(100, ge=1, description="Results taken for each keyword from each source.")
    license: Wish = Field(
        "any",
        description="Licences to keep: any; open (free to use, change and sell); public-domain; commercial (no NC); "
        "derivatives (no ND: an engraving made of a picture is one).",
    )
    safe: bool = Field(True, description="Ask the sources that can for safe results only.")
    retry: str = Field(
        "",
        pattern=r"^(failed(:[a-z0-9-]+(,[a-z0-9-]+)*)?)?$",
        description="Ask again for links that failed in earlier runs: failed, or failed:REASON as in failed:http-404.",
    )
    contact: str = Field(
        "", pattern=r"^[ -~]*$", description="How hosts can reach you (a mail address, a page); sent as User-Agent."
    )
    robots: bool = Field(True, description="Heed robots.txt of picture hosts, and noai, noimageai, noml.")
    connections: int = Field(16, ge=1, le=256, description="Downloads at the same time.")
    per_host: int = Field(8, ge=1, le=256, description="Downloads at the same time from one host.")
    rate: float = Field(0.0, ge=0, description="Downloads a second, at most; 0: no limit.")
    host_rate: float = Field(0.0, ge=0, description="Requests a second to one host, at most; 0: no limit.")
    connect_timeout: float = Field(10.0, gt=0, description="Seconds until a host is connected.")
    first_byte_timeout: float = Field(30.0, gt=0, description="Seconds from there until its answer begins.")
    timeout: float = Field(60.0, gt=0, description="Seconds a download may take as a whole.")
    max_bytes: int = Field(64_000_000, ge=1, description="Bytes a picture may have.")
    tries: int = Field(3, ge=1, le=10, description="Tries for each URL when a host fails or asks for patience.")
    allow_private_addresses: bool = Field(
        False, description="Also fetch from addresses of this machine and of private networks."
    )
    store: Literal["link", "copy"] = Field("link", description="Pictures of a folder source: hard links or copies.")


# Why a link fails, beside http-404 and the like
REASONS = {
    "connection", "timeout", "short-body", "tls", "redirects", "bad-url", "blocked-address", "robots", "too-big",
    "empty", "not-an-image", "unreadable", "too-many-pixels", "quarantined", "not-fetched", "not-asked",
}  # fmt: skip

# What changes how a crawl goes, and not what comes of it
MANNERS = {"retry", "contact", "connections", "per_host", "rate", "host_rate", "connect_timeout", "first_byte_timeout"}


@dataclass(frozen=True)
class Job:
    """What a crawl is asked for: `sources` are NAME or NAME:ARGUMENT, `tables` the crafts' own settings; `forgotten`:
    the file of tombstones."""

    out: Path
    keywords: Sequence[Keyword]
    sources: Sequence[str]
    settings: Settings
    tables: Mapping[str, Mapping[str, Any]]
    endpoints: Mapping[str, str]
    forgotten: Path = Path(tombstones.FILE)


def look(job: Job) -> State:
    """Whether the crawl is done already. Raises UsageError for sources and keywords that don't fit together, DataError
    if the tombstones are damaged."""
    check(job)
    state = folder.look(job.out, _plan(job, tombstones.read(job.forgotten)))
    if state.done and (failed := state.done.facts.get("failed sources")):
        return State(None, (f"failed the last time: {', '.join(failed)}",))
    if state.done and (barren := state.done.facts.get("nothing for")):
        return State(None, (f"nothing came the last time for: {', '.join(barren)}",))
    if state.done and not state.done.kept:
        return State(None, ("no picture came the last time",))
    if state.done and job.settings.retry:
        return State(None, ("failed links are asked for again",))
    if state.done and not (job.out / JOURNAL).is_file():
        return State(None, (f"{job.out / JOURNAL} is missing",))
    return state


def run(job: Job, executor: Executor, watch: Watch) -> Summary:
    """Crawl into `job.out`. What is there already stays, and isn't fetched again.

    Raises UsageError for sources and keywords that don't fit together, SourceError if every source fails or no picture
    came.
    """
    began = time.monotonic()
    state = look(job)
    if state.done:
        return state.done
    with folder.opened(job.out, "crawl", state.reasons, watch, adding=True):
        # downloads wait on this disk until they are decoded: of a folder on a store nobody else would see them
        prover = executor.here() if objects.url_of(job.out) else executor
        prover.reach(job.out, [])
        forgotten = tombstones.read(job.forgotten)
        before = _before(job.out, forgotten)
        for name in audit.changed_or_missing(job.out, before.kept):
            storage.remove(job.out / name)  # no longer what was fetched: it is fetched again
        if forgotten:
            take_out(job.out / JOURNAL, forgotten.has_link, forgotten.has_file)
        with closing(Journal.load(job.out / JOURNAL)) as journal:
            journal.name(job.keywords, job.sources)
            harvest = _in_a_loop(_reap(job, journal, forgotten, prover, watch))
        if len(harvest.failures) == len(job.sources) and not harvest.found:
            said = "\n  ".join(f"{source}: {failure}" for source, failure in harvest.failures.items())
            raise SourceError(
                f"no source could be reached or read:\n  {said}\n"
                "check the network, or choose another --source; `make demo` and --source sample need no network, and a "
                "host on this machine or in a private network needs --allow-private-addresses"
            )
        gone = harvest.forgotten | journal.forgotten
        if gone and take_out(job.out / JOURNAL, lambda url: tombstones.hash_of(url) in gone, forgotten.has_file):
            journal = Journal.load(job.out / JOURNAL)
        return _finish(job, journal, before, harvest, began, watch)


@dataclass(frozen=True)
class _Before:
    """The Records of the run before, and what was forgotten: the tombstones, and Records of it that runs left."""

    kept: list[Record]
    dropped: list[Record]
    tombstones: Tombstones
    forgotten: list[Record]


def _before(out: Path, forgotten: Tombstones) -> _Before:
    try:
        kept, dropped = (metadata.read_lines(out / name) for name in (metadata.METADATA, metadata.DROPPED))
    except DataError:  # the first run, or they are damaged: they are made anew from the journal
        return _Before([], [], forgotten, [])
    gone = {item.key for item in (*kept, *dropped) if item.reason == tombstones.REASON or forgotten.has(item)}
    there, out_of_it = ([item for item in found if item.key not in gone] for found in (kept, dropped))
    return _Before(there, out_of_it, forgotten, [tombstones.record(key) for key in sorted(gone)])


def _with_what_was(job: Job, before: _Before, kept: list[Record], dropped: list[Record]) -> None:
    """Add the Records of links that no search gives any more: a crawl only ever adds. (The journal was lost, a file
    was taken out of its folder, a source was asked in another way.)"""
    links, keys = {item.url for item in [*kept, *dropped]}, {item.key for item in kept}
    wish = job.settings.license
    for item in before.kept:
        if item.url not in links and item.key not in keys:
            if not meets(item.license, wish):
                refusal = {"reason": "license", "detail": unlicensed(item.license, wish)}
                dropped.append(item.but(file_name="", **refusal))
            elif storage.exists(job.out / item.file_name):
                kept.append(item)
            else:
                lost = {"reason": "lost", "detail": "its file is gone, and no search gives its link any more"}
                dropped.append(item.but(file_name="", **lost))
    dropped += [item for item in before.dropped if item.url not in links]
    told = {item.key for item in (*kept, *dropped)} | {records.key_of_url(link) for link in links}
    dropped += [item for item in before.forgotten if item.key not in told]


def _finish(job: Job, journal: Journal, before: _Before, harvest: Harvest, began: float, watch: Watch) -> Summary:
    feeds = in_order(journal)
    kept, dropped = _with_files(job.out, *to_records(feeds, journal, job.settings.license))
    _with_what_was(job, before, kept, dropped)
    counts = _per_keyword(feeds, kept, dropped)
    barren = _barren(job, harvest, counts)
    if barren and kept:
        watch.note(f"no picture for: {', '.join(barren)}")
    tallies = {word: tally.counts() | {"kept": counts[word]} for word, tally in harvest.tallies.items()}
    facts = {
        "keywords": tallies,
        "searches": harvest.outcomes,
        "failed sources": [f"{source}: {failure}" for source, failure in harvest.failures.items()],
        "nothing for": barren,
    }
    storage.settle()
    if kept or dropped:
        plan = _plan(job, before.tombstones)
        summary = folder.finish(job.out, plan, kept, dropped, time.monotonic() - began, facts)
    storage.remove(job.out / INCOMING)
    if not kept:
        raise SourceError(_nothing(job, harvest, dropped))
    return summary


def _with_files(out: Path, kept: list[Record], dropped: list[Record]) -> tuple[list[Record], list[Record]]:
    """A picture whose file is gone, of a source that this run wasn't to ask, is dropped until that is asked."""
    here = [item for item in kept if storage.exists(out / item.file_name)]
    gone = [item for item in kept if not storage.exists(out / item.file_name)]
    lost = {"file_name": "", "reason": "lost", "detail": "its file is gone: ask its source again"}
    return here, [*dropped, *(item.but(**lost) for item in gone)]


def _per_keyword(feeds: Iterable[Feed], kept: Sequence[Record], dropped: Sequence[Record]) -> Counter[str]:
    """How many pictures of the folder each keyword has found, or each source that needs none."""
    counts = Counter(query for item in kept for query in item.keywords)
    keys = {item.url: item.key for item in kept} | {item.url: item.kept_key for item in dropped if item.kept_key}
    for feed in feeds:
        if not feed.keyword.query:
            counts[feed.source] = len({keys[item.url] for item in feed.results if item.url in keys})
    return counts


def _barren(job: Job, harvest: Harvest, counts: Counter[str]) -> list[str]:
    """The keywords, and sources without keywords, of which nothing was found, or nothing is in the folder."""
    asked = [keyword.query or source for source in job.sources for keyword in _orders(job).keywords_of(source)]
    found = {word for word, tally in harvest.tallies.items() if tally.found}
    return [word for word in dict.fromkeys(asked) if word not in found or not counts[word]]


def check(job: Job) -> None:
    """Raises UsageError for sources, keywords and knobs that don't fit together, or an output folder of others."""
    folder.check_places(job.out, "crawl")
    if not job.sources:
        raise UsageError(f"no source given: --source {' | '.join(crafts.names('sources'))}")
    for name, address in job.endpoints.items():
        _check_endpoint(name, address)
    _check_retry(job.settings.retry)
    crafts.check_tables("sources", "crawl", job.tables)
    for source in job.sources:
        craft = craft_of(source)
        if hasattr(craft, "check"):
            craft.check(source.partition(":")[2])
        if craft.NEEDS_KEYWORDS and not job.keywords:
            raise UsageError(f"source {source} needs keywords: gravurekit crawl keywords/dresses.txt --source {source}")
        if job.settings.license != "any" and not craft.TELLS_LICENSES:
            raise UsageError(
                f"source {source} tells no licences, so nothing of it could be kept with --license "
                f"{job.settings.license}: take another --source, or --license any"
            )


def _check_endpoint(name: str, address: str) -> None:
    if not crafts.load("sources", name).ASKS_A_HOST:
        raise UsageError(f"source {name} asks no host, so it can have no other --endpoint")
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = None
    if not usable or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(f"endpoint {name} = {address!r}: write it as http://HOST:PORT, without a path")


def _check_retry(retry: str) -> None:
    for reason in filter(None, retry.partition(":")[2].split(",")):
        if reason not in REASONS and not re.fullmatch(r"http-[1-5][0-9][0-9]", reason):
            raise UsageError(f"--retry {retry}: no link fails for {reason!r}{did_you_mean(reason, REASONS)}")


def _plan(job: Job, forgotten: Tombstones) -> Plan:
    knobs = job.settings.model_dump(mode="json", exclude=MANNERS)
    knobs["keywords"] = [f"{keyword.label}: {keyword.query}" for keyword in job.keywords]
    knobs["sources"] = list(job.sources)
    for name in sorted({source.partition(":")[0] for source in job.sources}):
        if table := crafts.settings_of("sources", "crawl", name, job.tables).model_dump(mode="json"):
            knobs[f"[{name}]"] = table
    inputs = {tombstones.REASON: forgotten.digest} if forgotten else {}
    for source in job.sources:
        name, _, argument = source.partition(":")
        # sizes and times stand for contents, so that an unchanged folder needn't be read again
        if name == "folder" and Path(argument).is_dir():
            names = foreign.picture_files(Path(argument))
            inputs[source] = digest([(name, foreign.stamp(Path(argument) / name)) for name in names])
        elif name == "urls" and Path(argument).is_file():
            inputs[source] = foreign.stamp(Path(argument))
    return Plan(stage="crawl", revision=REVISION, settings=knobs, inputs=inputs)


def _nothing(job: Job, harvest: Harvest, dropped: Sequence[Record]) -> str:
    said = "".join(f"\n  {source}: {failure}" for source, failure in harvest.failures.items())
    if not dropped:
        return f"{', '.join(job.sources)} found nothing: try other keywords or another --source{said}"
    counts = Counter(item.reason for item in dropped)
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    if counts["quarantined"] == len(dropped):
        why = dropped[0].detail
        todo = "see --time-limit and --memory-limit, and --retry failed:quarantined"
        return f"all of {len(dropped)} pictures were quarantined ({why}): {todo}"
    return (
        f"none of {len(dropped)} links gave a picture ({reasons}; see {job.out / JOURNAL}): "
        f"try another --source, or --retry failed{said}"
    )


def _orders(job: Job, forgotten: Tombstones = tombstones.NONE) -> Orders:
    knobs = job.settings
    return Orders(
        out=job.out,
        keywords=list({keyword.query: keyword for keyword in reversed(job.keywords)}.values())[::-1],
        sources=job.sources,
        tables=job.tables,
        terms=Terms(knobs.license, knobs.safe, knobs.contact),
        per_keyword=knobs.per_keyword,
        retry=knobs.retry,
        copy=knobs.store == "copy",
        max_bytes=knobs.max_bytes,
        allow_private=knobs.allow_private_addresses,
        obedient=knobs.robots,
        forgotten=forgotten,
    )


def web_of(settings: Settings, sources: Iterable[str], endpoints: Mapping[str, str]) -> "Web":
    """The client that asks `sources` with the manners of `settings`, and those that each source declares."""
    from gravurekit.pace import Pace
    from gravurekit.web import Limits, Web

    limits = Limits(
        max_bytes=settings.max_bytes,
        connect_seconds=settings.connect_timeout,
        first_byte_seconds=settings.first_byte_timeout,
        total_seconds=settings.timeout,
        tries=settings.tries,
        connections=settings.connections,
        per_second=settings.rate,
        host=Pace(settings.per_host, settings.host_rate),
    )
    used = [craft_of(source) for source in sources]
    paces = {host: pace for craft in used for host, pace in getattr(craft, "PACES", {}).items()}
    private, contact = settings.allow_private_addresses, settings.contact
    return Web(limits, endpoints, private, contact, settings.robots, paces)


def _in_a_loop(work: Coroutine[Any, Any, Came]) -> Came:
    """What comes of `work`, with threads enough: names are resolved in them, and a dead name server holds one for
    long."""

    async def main() -> Came:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        return await work

    return asyncio.run(main())


async def _reap(job: Job, journal: Journal, forgotten: Tombstones, executor: Executor, watch: Watch) -> Harvest:
    from gravurekit.stages._harvest import reap

    async with web_of(job.settings, job.sources, job.endpoints) as web:
        return await reap(_orders(job, forgotten), journal, web, executor, watch)


# ---- a look ahead --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prospect:
    """A result that a crawl would come upon. `state`: new (it would be asked for), known (an earlier run did that),
    duplicate (it was listed before), refused (for its licence), or forgotten (of which only a hash is told)."""

    keyword: str
    source: str
    rank: int
    state: str
    result: Result


def preview(job: Job, watch: Watch) -> Iterator[Prospect]:
    """What a crawl would fetch: the sources are asked, nothing is downloaded or written. Keyword by keyword, the
    sources taking turns. Raises as `run` does, and at the end SourceError if a source failed or a keyword brought
    nothing."""
    check(job)
    orders = _orders(job, tombstones.read(job.forgotten))
    journal = Journal.load(job.out / JOURNAL)
    memory = Memory(orders, journal)

    async def look_ahead() -> tuple[Harvest, list[Feed]]:
        async with web_of(job.settings, job.sources, job.endpoints) as web:
            return await survey(orders, web, watch)

    watch.begin("searching", None)
    harvest, feeds = _in_a_loop(look_ahead())
    watch.rest()
    told = licenses_of([*journal.feeds.values(), *feeds])
    by_keyword: dict[str, list[list[Prospect]]] = {}
    for feed in feeds:
        prospects = [_prospect(feed, rank, memory, told, job) for rank in range(1, len(feed.results) + 1)]
        by_keyword.setdefault(feed.keyword.query, []).append(prospects)
    seen: set[str] = set()
    for columns in by_keyword.values():
        for prospect in filter(None, chain.from_iterable(zip_longest(*columns))):
            again = prospect.result.url in seen and prospect.state not in ("refused", "forgotten")
            seen.add(prospect.result.url)
            yield replace(prospect, state="duplicate") if again else prospect
    barren = [word for word, tally in harvest.tallies.items() if not tally.found]
    if barren or harvest.failures:
        said = "".join(f"\n  {source}: {failure}" for source, failure in harvest.failures.items())
        nothing = f"nothing was found for: {', '.join(barren)}" if barren else "a source failed"
        raise SourceError(f"{nothing}: try other keywords or another --source{said}")


def _prospect(feed: Feed, rank: int, memory: Memory, told: Mapping[str, str], job: Job) -> Prospect:
    result = feed.results[rank - 1]
    if memory.is_forgotten(result):
        return Prospect(feed.keyword.query, feed.source.partition(":")[0], rank, "forgotten", stand_in(result.url))
    state = "new" if memory.is_wanted(result) else "known"
    state = state if meets(told.get(result.url, ""), job.settings.license) else "refused"
    return Prospect(feed.keyword.query, feed.source.partition(":")[0], rank, state, result)
