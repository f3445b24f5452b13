"""crawl: keywords → raw/. Searches, downloads, proves that each picture decodes, remembers where it came from."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import Field

from gravurekit import audit, crafts, folder, foreign, metadata, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import DataError, FetchError, PictureError, SourceError, UsageError
from gravurekit.executor import Executor
from gravurekit.folder import State, Summary
from gravurekit.keywords import Keyword
from gravurekit.parts import TASK_SIZE
from gravurekit.progress import Watch
from gravurekit.receipt import Plan
from gravurekit.record import Record
from gravurekit.settings import digest
from gravurekit.sources import Result, Search
from gravurekit.stages._journal import ALL, Feed, Journal, in_order, to_records

if TYPE_CHECKING:  # the HTTP client loads only when something is fetched
    from gravurekit.web import Web

REVISION = 1
JOURNAL = "journal.jsonl"
INCOMING = "incoming"  # downloads, named by their sha256, until the run is finished
PASSING = {"connection", "timeout"}  # the network's fault rather than the link's: the next run tries these again
EVERYTHING = 10**9


class Settings(base.Settings):
    """How much to fetch, and how gently."""

    per_keyword: int = Field(100, ge=1, description="Results taken for each keyword from each source.")
    connections: int = Field(16, ge=1, le=256, description="Downloads at the same time.")
    per_host: int = Field(8, ge=1, le=64, description="Downloads at the same time from one host.")
    timeout: float = Field(60.0, gt=0, description="Seconds a download may take as a whole.")
    max_bytes: int = Field(64_000_000, ge=1, description="Bytes a picture may have.")
    tries: int = Field(3, ge=1, le=10, description="Tries for each URL when a host fails or asks for patience.")
    allow_private_addresses: bool = Field(
        False, description="Also fetch from addresses of this machine and of private networks."
    )
    store: Literal["link", "copy"] = Field("link", description="Pictures of a folder source: hard links or copies.")
    retry_failed: bool = Field(False, description="Try once more the URLs that failed in earlier runs.")


@dataclass(frozen=True)
class Job:
    """What a crawl is asked for: `sources` are NAME or NAME:ARGUMENT, `tables` the crafts' own settings."""

    out: Path
    keywords: Sequence[Keyword]
    sources: Sequence[str]
    settings: Settings
    tables: Mapping[str, Mapping[str, Any]]
    endpoints: Mapping[str, str]


def look(job: Job) -> State:
    """Whether the crawl is done already. Raises UsageError for sources and keywords that don't fit together."""
    check(job)
    state = folder.look(job.out, _plan(job))
    if state.done and (failed := state.done.facts.get("failed sources")):
        return State(None, (f"failed the last time: {', '.join(failed)}",))
    if state.done and job.settings.retry_failed:
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
        before = _before(job.out)
        for name in audit.changed_or_missing(job.out, before.kept):
            storage.remove(job.out / name)  # no longer what was fetched: it is fetched again
        journal = Journal.load(job.out / JOURNAL)
        failures = asyncio.run(_fetch_all(job, journal, watch))
        _prove_all(job.out, journal, executor, watch)
        if len(failures) == len(job.sources):
            raise SourceError(
                "no source could be reached or read:\n  " + "\n  ".join(failures) + "\n"
                "check the network, or choose another --source; `make demo` and --source sample need no network"
            )
        return _finish(job, journal, before, failures, began, watch)


@dataclass(frozen=True)
class _Before:
    """The Records of the run before."""

    kept: list[Record]
    dropped: list[Record]


def _before(out: Path) -> _Before:
    try:
        return _Before(*(metadata.read_lines(out / name) for name in (metadata.METADATA, metadata.DROPPED)))
    except DataError:  # the first run, or they are damaged: they are made anew from the journal
        return _Before([], [])


def _with_what_was(out: Path, before: _Before, kept: list[Record], dropped: list[Record]) -> None:
    """Add the Records of links that no search gives any more: a crawl only ever adds. (The journal was lost, a file
    was taken out of its folder, a source was asked in another way.)"""
    links, keys = {item.url for item in [*kept, *dropped]}, {item.key for item in kept}
    for item in before.kept:
        if item.url not in links and item.key not in keys:
            if (out / item.file_name).is_file():
                kept.append(item)
            else:
                lost = {"reason": "lost", "detail": "its file is gone, and no search gives its link any more"}
                dropped.append(item.but(file_name="", **lost))
    dropped += [item for item in before.dropped if item.url not in links]


def _finish(
    job: Job, journal: Journal, before: _Before, failures: list[str], began: float, watch: Watch
) -> Summary:  # fmt: skip
    feeds = in_order(journal, job.keywords, job.sources)
    kept, dropped = to_records(feeds, journal)
    _with_what_was(job.out, before, kept, dropped)
    if not kept:
        raise SourceError(_nothing(job, dropped))
    counts = _per_keyword(feeds, kept)
    if barren := [query for query, count in counts.items() if not count]:
        watch.note(f"no picture for: {', '.join(barren)}")
    facts = {"pictures per keyword": counts, "failed sources": failures}
    summary = folder.finish(job.out, _plan(job), kept, dropped, time.monotonic() - began, facts)
    storage.remove(job.out / INCOMING)
    return summary


def check(job: Job) -> None:
    """Raises UsageError for sources, keywords and knobs that don't fit together, or an output folder of others."""
    folder.check_places(job.out, "crawl")
    if not job.sources:
        raise UsageError(f"no source given: --source {' | '.join(crafts.names('sources'))}")
    for name in job.endpoints:
        crafts.load("sources", name)
    crafts.check_tables("sources", "crawl", job.tables)
    for source in job.sources:
        craft = crafts.load("sources", source.partition(":")[0])
        if craft.NEEDS_KEYWORDS and not job.keywords:
            raise UsageError(f"source {source} needs keywords: gravurekit crawl keywords/dresses.txt --source {source}")


def _plan(job: Job) -> Plan:
    knobs = job.settings.model_dump(mode="json", exclude={"retry_failed", "connections", "per_host"})
    knobs["keywords"] = [f"{keyword.label}: {keyword.query}" for keyword in job.keywords]
    knobs["sources"] = list(job.sources)
    for name in sorted({source.partition(":")[0] for source in job.sources}):
        if table := crafts.settings_of("sources", "crawl", name, job.tables).model_dump(mode="json"):
            knobs[f"[{name}]"] = table
    inputs = {}
    for source in job.sources:
        name, _, argument = source.partition(":")
        if name == "folder" and Path(argument).is_dir():
            # sizes and times stand for contents, so that an unchanged folder needn't be read again
            names = foreign.picture_files(Path(argument))
            inputs[source] = digest([(name, foreign.stamp(Path(argument) / name)) for name in names])
    return Plan(stage="crawl", revision=REVISION, settings=knobs, inputs=inputs)


def _nothing(job: Job, dropped: Sequence[Record]) -> str:
    if not dropped:
        return f"{', '.join(job.sources)} found nothing: try other keywords or another --source"
    reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(item.reason for item in dropped).most_common())
    return f"none of {len(dropped)} links gave a picture ({reasons}; see {job.out / JOURNAL}): try another --source"


async def _fetch_all(job: Job, journal: Journal, watch: Watch) -> list[str]:
    """All searches and downloads that the journal doesn't know yet; the failures of whole sources. A source stays open
    until its pictures are here."""
    from gravurekit.web import Limits, Web

    knobs = job.settings
    limits = Limits(knobs.max_bytes, total_seconds=knobs.timeout, tries=knobs.tries, per_host=knobs.per_host)
    failures = []
    async with Web(limits, job.endpoints, knobs.allow_private_addresses) as web:
        for source in job.sources:
            name, _, argument = source.partition(":")
            craft = crafts.load("sources", name)
            craft_settings = crafts.settings_of("sources", "crawl", name, job.tables)
            try:
                async with craft.connect(argument, craft_settings, web) as connection:
                    asked = digest(craft_settings.model_dump(mode="json"))
                    failure = await _search(source, craft, connection.search, job, asked, journal, watch)
                    await _download(source, job.out, knobs, journal, web, connection.locate, watch)
                    if failure:  # only now: what it had found before is here
                        raise failure
            except (FetchError, SourceError) as error:
                failures.append(f"{name}: {error}")
                if len(job.sources) > 1:  # of a single source the run's own error tells
                    watch.note(f"{name} can't be used: {error}")
    return failures


async def _search(
    source: str, craft: ModuleType, search: Search, job: Job, knobs: str, journal: Journal, watch: Watch
) -> FetchError | SourceError | None:
    """Ask for all keywords that aren't answered yet; what ended it early, if anything did."""
    asked = job.keywords if craft.NEEDS_KEYWORDS else [ALL]
    limit = job.settings.per_keyword if craft.NEEDS_KEYWORDS else EVERYTHING
    watch.begin(f"search {source.partition(':')[0]}", len(asked))
    for keyword in asked:
        # a source without keywords lies on this disk: looking again costs nothing, and files may have come
        had, alike = journal.asked.get((source, keyword.query), (0, ""))
        if had < limit or alike != knobs or not craft.NEEDS_KEYWORDS:
            try:
                found = await _first(search(keyword.query), limit)
            except (FetchError, SourceError) as error:
                return error
            if found:  # an empty answer isn't believed for good: it may be a block in disguise
                journal.add_feed(Feed(source, keyword, tuple(found)), limit, knobs)
            else:
                watch.note(f"{source.partition(':')[0]} found nothing for {keyword.query!r}")
        watch.advance()
    return None


async def _first(results: Any, limit: int) -> list[Result]:
    found: list[Result] = []
    async with aclosing(cast(AsyncGenerator[Result, None], results)) as stream:
        async for item in stream:
            found.append(item)
            if len(found) == limit:
                break
    return found


async def _download(
    source: str,
    out: Path,
    settings: Settings,
    journal: Journal,
    web: "Web",
    locate: Callable[[str], str],
    watch: Watch,
) -> None:
    feeds = [feed for (name, _), feed in journal.feeds.items() if name == source]
    results = {item.url: item for feed in feeds for item in feed.results}
    _refuse_namesakes(source, results, journal)
    waiting = [item for item in results.values() if _is_wanted(item, journal, settings, out)]
    watch.begin(f"download {source.partition(':')[0]}", len(waiting))
    free = asyncio.Semaphore(settings.connections)

    async def one(item: Result) -> None:
        async with free:
            try:
                entry = {"sha256": await _receive(item, out, settings, web, locate(item.url))}
            except FetchError as error:
                entry = {"reason": error.reason, "detail": error.detail} | _limits(settings, error.reason)
            journal.add({"url": item.url, **entry, **({"stamp": item.stamp} if item.stamp else {})})
            watch.advance()

    try:
        async with asyncio.TaskGroup() as group:
            for item in waiting:
                group.create_task(one(item))
    except ExceptionGroup as several:  # a full disk, say: one is enough to tell
        raise several.exceptions[0] from None


def _refuse_namesakes(source: str, results: Mapping[str, Result], journal: Journal) -> None:
    """Two folders of one name would give different files one URL, and one of them would be lost in silence."""
    for feed in journal.feeds.values():
        for item in feed.results if feed.source != source else ():
            path = results[item.url].path if item.url in results else ""
            if path and item.path and path != item.path and Path(item.path).exists():
                raise UsageError(
                    f"{path} and {item.path} would both be {item.url}: rename a folder, or use another --out"
                )


def _is_wanted(item: Result, journal: Journal, settings: Settings, out: Path) -> bool:
    entry = journal.urls.get(item.url)
    if entry is None or entry.get("stamp", "") != item.stamp:  # new, or a file that has changed
        return True
    if "reason" in entry:
        overruled = any(entry.get(knob, value) != value for knob, value in _limits(settings, entry["reason"]).items())
        return settings.retry_failed or entry["reason"] in PASSING or overruled
    proof = journal.proofs.get(entry["sha256"])
    if proof is None:  # killed between download and proof
        return not (out / INCOMING / entry["sha256"]).exists()
    return "file_name" in proof and not (out / proof["file_name"]).exists()


def _limits(settings: Settings, reason: str) -> dict[str, Any]:
    """The knob that a refused link was refused by: with another value it is tried again."""
    knob = {"too-big": "max_bytes", "blocked-address": "allow_private_addresses"}.get(reason)
    return {knob: getattr(settings, knob)} if knob else {}


async def _receive(item: Result, out: Path, settings: Settings, web: "Web", address: str) -> str:
    """The sha256 of the picture's bytes, which now lie in `incoming/` under that name. `address`: where one of our own
    servers has it, if one has."""
    if item.path:
        return await asyncio.to_thread(_receive_file, Path(item.path), out, settings)
    body = await web.get(address or item.url, trusted=bool(address))
    sha256 = hashlib.sha256(body).hexdigest()
    await asyncio.to_thread(storage.write_bytes, out / INCOMING / sha256, body)
    return sha256


def _receive_file(path: Path, out: Path, settings: Settings) -> str:
    try:
        if path.stat().st_size > settings.max_bytes:
            raise FetchError("too-big", f"more than {settings.max_bytes} bytes")
        sha256 = metadata.file_sha256(path)
    except OSError as error:
        raise FetchError("unreadable", error.strerror or str(error)) from None
    put = storage.link_or_copy if settings.store == "link" else storage.copy
    put(path, out / INCOMING / sha256)
    return sha256


def _prove_all(out: Path, journal: Journal, executor: Executor, watch: Watch) -> None:
    """Decode every picture that came, and give it its name."""
    came = {entry["sha256"] for entry in journal.urls.values() if "sha256" in entry}
    waiting = sorted(sha256 for sha256 in came if (out / INCOMING / sha256).exists())
    tasks = [(out, tuple(waiting[n : n + TASK_SIZE])) for n in range(0, len(waiting), TASK_SIZE)]
    watch.begin("decode", len(waiting))
    for outcome in executor.map(prove, tasks):
        names = tasks[outcome.index][1]
        for proof in _one_by_one(out, names, executor) if outcome.value is None else outcome.value:
            journal.add(proof)
        watch.advance(len(names))


def _one_by_one(out: Path, names: tuple[str, ...], executor: Executor) -> Iterable[dict[str, Any]]:
    """The proofs of a task that killed its process: all but the culprit's are good."""
    for outcome in executor.map(prove, [(out, (name,)) for name in names]):
        death = {
            "sha256": names[outcome.index],
            "reason": "quarantined",
            "detail": "decoding it killed the process",
        }
        yield from outcome.value or [death]


def prove(task: tuple[Path, tuple[str, ...]]) -> list[dict[str, Any]]:
    """Decode pictures of `incoming/`; those that decode are linked to `images/KEY.ext`. A journal entry each."""
    from gravurekit import images

    out, names = task
    proofs: list[dict[str, Any]] = []
    for sha256 in names:
        path = out / INCOMING / sha256
        try:
            picture = images.read(path)
        except PictureError as error:
            proofs.append({"sha256": sha256, "reason": error.reason, "detail": error.detail})
            continue
        name = f"images/{records.key_of(sha256)}.{picture.extension}"
        storage.link_or_copy(path, out / name)
        proofs.append({"sha256": sha256, "file_name": name, "width": picture.width, "height": picture.height})
    return proofs


def _per_keyword(feeds: Iterable[Feed], kept: Iterable[Record]) -> dict[str, int]:
    counts = {feed.keyword.query: 0 for feed in feeds if feed.keyword.query}
    for item in kept:
        for query in item.keywords:
            counts[query] = counts.get(query, 0) + 1
    return counts
