"""The crawl at work: all sources are asked at once, what they find is downloaded as it is found, and what has come is
decoded while more is coming. The journal is told of each step when it is done.

Everything here happens in one event loop, but for the decoding, which an executor does.
"""

import asyncio
import gc
import queue
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from gravurekit import licenses, metadata, storage
from gravurekit.errors import FetchError, SourceError, UsageError
from gravurekit.executor import Executor
from gravurekit.keywords import Keyword
from gravurekit.progress import Tally, Watch
from gravurekit.sources import Connection, Result
from gravurekit.stages._journal import Feed, Journal
from gravurekit.stages._proof import INCOMING, Task, prove
from gravurekit.stages._search import Harvest, Orders, is_worth_another, knobs_of
from gravurekit.web import Web

PASSING = {"connection", "timeout"}  # the network's fault rather than the link's: the next run tries these again
SEARCHES = 2  # keywords that one source is asked for at the same time
WAITING = 512  # downloads of one source that are begun or wait: many, so that a slow host holds up no other
BATCH = 16  # pictures that a worker decodes at a time


async def reap(orders: Orders, journal: Journal, web: Web, executor: Executor, watch: Watch) -> Harvest:
    """Search, download and decode whatever the journal doesn't know yet. Raises StorageError and UsageError."""
    work = _Reaping(orders, journal, web, watch)
    watch.board(work.harvest.tallies)
    gc.freeze()  # what was imported needn't be looked through again and again while thousands of tasks come and go
    try:
        async with asyncio.TaskGroup() as group:
            decoding = group.create_task(work.prover.work(executor))
            async with asyncio.TaskGroup() as searching:
                for source in orders.sources:
                    searching.create_task(work.source(source))
            work.prover.close()
            await decoding
    except ExceptionGroup as several:  # a full disk, say: one is enough to tell
        raise _first_of(several) from None
    finally:
        work.prover.close(at_once=True)
    return work.harvest


def _first_of(several: BaseException) -> BaseException:
    while isinstance(several, BaseExceptionGroup):
        several = several.exceptions[0]
    return several


class _Reaping:
    """One harvest while it goes on."""

    def __init__(self, orders: Orders, journal: Journal, web: Web, watch: Watch) -> None:
        self.orders, self.journal, self.web = orders, journal, web
        self.harvest = Harvest(watch, len(orders.sources) == 1)
        self.prover = _Prover(orders.out, journal)
        self._seen: set[str] = set()  # links that were offered
        self._owners: dict[str, Tally] = {}  # by sha256: to whose credit the picture goes
        self._paths = {item.url: item.path for feed in journal.feeds.values() for item in feed.results if item.path}

    # ---- searching -------------------------------------------------------------------------------------

    async def source(self, source: str) -> None:
        """Ask one source for everything; it stays open until its pictures are here."""
        craft, settings, asked = knobs_of(source, self.orders)
        try:
            async with craft.connect(source.partition(":")[2], settings, self.web, self.orders.terms) as connection:
                async with asyncio.TaskGroup() as downloads:
                    well = _Well(source, connection, downloads)
                    if craft.NEEDS_KEYWORDS:  # the others are asked for everything anew
                        await self._glean(well)
                    await self._search_all(well, craft, asked)
        except (FetchError, SourceError) as error:
            self.harvest.failed(source, error)

    async def _glean(self, well: "_Well") -> None:
        """What earlier searches found, and isn't here."""
        for (source, _), feed in list(self.journal.feeds.items()):
            if source == well.source:
                for item in feed.results:
                    await self._offer(well, item, self.harvest.of(source, feed.keyword))

    async def _search_all(self, well: "_Well", craft: ModuleType, asked: str) -> None:
        """Ask for all keywords that aren't answered yet, a few at the same time."""
        keywords = iter(self.orders.keywords_of(well.source))

        async def some() -> None:
            for keyword in keywords:
                # a source without keywords lies on this disk: looking again costs nothing, and files may have come
                had, alike = self.journal.asked.get((well.source, keyword.query), (0, ""))
                if had >= self.orders.limit_of(well.source) and alike == asked and craft.NEEDS_KEYWORDS:
                    self.harvest.note(well.source, keyword, "found")
                    continue
                if not await self._search(well, keyword, asked):
                    for _ in keywords:  # the others wouldn't fare better
                        pass

        async with asyncio.TaskGroup() as searches:
            for _ in range(SEARCHES):
                searches.create_task(some())

    async def _search(self, well: "_Well", keyword: Keyword, asked: str) -> bool:
        """Ask for one keyword; whether it makes sense to ask this source for another."""
        offer = partial(self._offer, well)
        found, error = await self.harvest.ask(well.connection, well.source, keyword, self.orders, offer)
        if found:  # an empty answer isn't believed for good: it may be a block in disguise
            limit = 0 if error else self.orders.limit_of(well.source)  # what was cut short is asked for again
            self.journal.add_feed(Feed(well.source, keyword, tuple(found)), limit, asked)
        return is_worth_another(error)

    # ---- downloading -----------------------------------------------------------------------------------

    async def _offer(self, well: "_Well", item: Result, tally: Tally) -> None:
        """Take a result on: download it, unless that was done, or mustn't be."""
        tally.found += 1
        if item.url in self._seen:
            tally.duplicate += 1
            return
        if not licenses.meets(item.license, self.orders.terms.license):
            tally.refused += 1
            return
        self._seen.add(item.url)
        self._refuse_namesake(item)
        entry = self.journal.urls.get(item.url)
        if not self._is_wanted(item, entry):
            self._count_known(entry or {}, tally)
            return
        await well.free.acquire()
        well.downloads.create_task(self._take(well, item, tally))

    def _refuse_namesake(self, item: Result) -> None:
        """Two folders of one name would give different files one URL, and one of them would be lost in silence."""
        before = self._paths.setdefault(item.url, item.path) if item.path else item.path
        if before != item.path and Path(before).exists():
            raise UsageError(
                f"{item.path} and {before} would both be {item.url}: rename a folder, or use another --out"
            )

    def _is_wanted(self, item: Result, entry: dict[str, Any] | None) -> bool:
        if entry is None or entry.get("stamp", "") != item.stamp:  # new, or a file that has changed
            return True
        proof = self.journal.proofs.get(entry.get("sha256", ""))
        if "reason" in (outcome := proof or entry):
            return self._is_tried_again(outcome)
        if proof is None:  # killed between download and proof
            return not _has(self.orders.out / INCOMING / entry["sha256"], entry)
        return not _has(self.orders.out / proof["file_name"], entry)

    def _is_tried_again(self, entry: dict[str, Any]) -> bool:
        again, _, reasons = self.orders.retry.partition(":")
        if again and (not reasons or entry["reason"] in reasons.split(",")):
            return True
        overruled = any(entry.get(knob, value) != value for knob, value in self._limits(entry["reason"]).items())
        return entry["reason"] in PASSING or overruled

    def _limits(self, reason: str) -> dict[str, Any]:
        """The knob that a link is refused by: with another value it is tried again."""
        knobs: dict[str, dict[str, Any]] = {
            "too-big": {"max_bytes": self.orders.max_bytes},
            "blocked-address": {"allow_private_addresses": self.orders.allow_private},
            "robots": {"robots": self.orders.obedient},
        }
        return knobs.get(reason, {})

    def _count_known(self, entry: dict[str, Any], tally: Tally) -> None:
        """A result of which an earlier run has made something."""
        sha256 = entry.get("sha256", "")
        outcome = self.journal.proofs.get(sha256, entry)
        if "reason" in outcome:
            tally.failed[outcome["reason"]] += 1
        elif sha256 in self._owners:
            tally.duplicate += 1
        else:
            self._owners[sha256] = tally
            if sha256 in self.journal.proofs:
                tally.known += 1
            else:  # killed between download and proof
                self._prove(sha256, tally)

    async def _take(self, well: "_Well", item: Result, tally: Tally) -> None:
        try:
            entry = await self._receive(item, well.connection.locate(item.url))
        except FetchError as error:
            entry = {"reason": error.reason, "detail": error.detail} | self._limits(error.reason)
            tally.failed[error.reason] += 1
        finally:
            well.free.release()
        self.journal.add({"url": item.url, **entry, **({"stamp": item.stamp} if item.stamp else {})})
        if sha256 := entry.get("sha256"):
            self._came(sha256, tally)

    def _came(self, sha256: str, tally: Tally) -> None:
        if sha256 in self._owners:
            tally.duplicate += 1
            return
        self._owners[sha256] = tally
        self._prove(sha256, tally)

    def _prove(self, sha256: str, tally: Tally) -> None:
        def proven(proof: dict[str, Any]) -> None:
            if "reason" in proof:
                tally.failed[proof["reason"]] += 1
            else:
                tally.new += 1

        self.prover.take(sha256, proven)

    async def _receive(self, item: Result, address: str) -> dict[str, Any]:
        """The picture's bytes now lie in `incoming/`, under their sha256. `address`: where one of our own servers has
        it, if one has."""
        if item.path:
            return await asyncio.to_thread(_receive_file, Path(item.path), self.orders)
        got = await self.web.download(address or item.url, self.orders.out / INCOMING, trusted=bool(address))
        entry: dict[str, Any] = {"sha256": got.sha256, "bytes": got.size}
        return entry | ({"robots": got.robots} if got.robots else {})


@dataclass
class _Well:
    """A source that is being harvested. `free` holds back its search while many of its downloads wait."""

    source: str
    connection: Connection
    downloads: asyncio.TaskGroup

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(WAITING)


def _has(path: Path, entry: dict[str, Any]) -> bool:
    """Whether a file is there, and of the size that came: a power cut leaves empty ones."""
    try:
        return path.stat().st_size == entry.get("bytes", path.stat().st_size)
    except OSError:
        return False


def _receive_file(path: Path, orders: Orders) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > orders.max_bytes:
            raise FetchError("too-big", f"more than {orders.max_bytes} bytes")
        sha256 = metadata.file_sha256(path)
    except OSError as error:
        raise FetchError("unreadable", error.strerror or str(error)) from None
    put = storage.copy if orders.copy else storage.link_or_copy
    put(path, orders.out / INCOMING / sha256)
    return {"sha256": sha256, "bytes": size}


# ---- decoding ------------------------------------------------------------------------------------------


class _Prover:
    """Has pictures decoded in batches, as they come, by an executor in a thread of its own."""

    def __init__(self, out: Path, journal: Journal) -> None:
        self._out, self._journal = out, journal
        self._coming: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._listeners: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._names: dict[int, tuple[str, ...]] = {}  # of the batches that are being decoded
        self._stopped = False

    def take(self, sha256: str, proven: Callable[[dict[str, Any]], None]) -> None:
        """Have a picture decoded; `proven` hears what came of it."""
        self._listeners[sha256] = proven
        self._coming.put(sha256)

    def close(self, at_once: bool = False) -> None:
        """No more will come; `at_once`: what came is not decoded either."""
        self._stopped = at_once
        self._coming.put(None)

    async def work(self, executor: Executor) -> None:
        """Decode until closed."""
        loop = asyncio.get_running_loop()

        def decode() -> None:
            for proofs in self._proofs(executor):
                loop.call_soon_threadsafe(self._enter, proofs)

        await asyncio.to_thread(decode)

    def _enter(self, proofs: Iterable[dict[str, Any]]) -> None:
        for proof in proofs:
            self._journal.add(proof)
            self._listeners.pop(proof["sha256"])(proof)

    def _proofs(self, executor: Executor) -> Iterator[list[dict[str, Any]]]:
        for outcome in executor.map(prove, self._batches()):
            names = self._names.pop(outcome.index)
            yield outcome.value or list(self._one_by_one(names, executor))

    def _batches(self) -> Iterator[Task]:
        number = 0
        while (names := self._next()) and not self._stopped:
            self._names[number] = names
            yield self._out, names
            number += 1

    def _next(self) -> tuple[str, ...]:
        """What has come, up to a batch; waits for the first. Empty if no more will come."""
        names: list[str] = []
        while len(names) < BATCH and not (names and self._coming.empty()):
            sha256 = self._coming.get()
            if sha256 is None:
                self._coming.put(None)  # for the next time
                break
            names.append(sha256)
        return tuple(names)

    def _one_by_one(self, names: tuple[str, ...], executor: Executor) -> Iterator[dict[str, Any]]:
        """The proofs of a batch that killed its process: all but the culprit's are good."""
        for outcome in executor.map(prove, [(self._out, (name,)) for name in names]):
            death = {"reason": "quarantined", "detail": "decoding it killed the process"}
            yield from outcome.value or [{"sha256": names[outcome.index], **death}]
