"""The crawl at work: all sources are asked at once, what they find is downloaded as it is found, and what has come is
decoded while more is coming. The journal is told of each step when it is done.

Everything here happens in one event loop, but for the decoding, which an executor does.
"""

import asyncio
import gc
import queue
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from gravurekit import licenses, metadata, storage, tombstones
from gravurekit.errors import FetchError, SourceError, UsageError
from gravurekit.executor import Executor
from gravurekit.keywords import Keyword
from gravurekit.progress import Tally, Watch
from gravurekit.sources import Connection, Result
from gravurekit.stages._journal import INCOMING, Feed, Journal, licenses_of, stand_in
from gravurekit.stages._proof import Task, prove
from gravurekit.stages._search import Harvest, Memory, Orders, is_worth_another, knobs_of
from gravurekit.web import Web, host_of
from gravurekit.words import clean

SEARCHES = 2  # keywords that one source is asked for at the same time
LOOK = 0.2  # seconds that a batch is waited for before what is decoded is looked at
WORKERS = 1024  # that download; most of them wait for slow hosts, of which each may keep a few
BATCH = 16  # pictures that a worker decodes at a time


async def reap(orders: Orders, journal: Journal, web: Web, executor: Executor, watch: Watch) -> Harvest:
    """Search, download and decode whatever the journal doesn't know yet. Raises StorageError and UsageError."""
    work = _Reaping(orders, journal, web, watch)
    watch.board(work.harvest.tallies)
    gc.freeze()  # what was imported needn't be looked through again and again while thousands of tasks come and go
    try:
        async with asyncio.TaskGroup() as group:
            decoding = group.create_task(work.prover.work(executor))
            downloading = [group.create_task(work.download()) for _ in range(WORKERS)]
            async with asyncio.TaskGroup() as searching:
                for source in orders.sources:
                    searching.create_task(work.source(source))
            for task in downloading:
                task.cancel()
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
        self.memory = Memory(orders, journal)
        self._links = _Links(self._at_once)
        self._counted: set[tuple[str, str, str]] = set()  # source, keyword and link of each result
        self._seen: set[str] = set()  # links that were offered
        self._holders: dict[str, list[Tally]] = {}  # who found a picture, by its sha256; the first has the credit
        self._proving: set[str] = set()  # by sha256
        self._licenses = licenses_of(journal.feeds.values())
        self._paths = {item.url: item.path for feed in journal.feeds.values() for item in feed.results if item.path}

    # ---- searching -------------------------------------------------------------------------------------

    async def source(self, source: str) -> None:
        """Ask one source for everything; it stays open until its pictures are here."""
        craft, settings, asked = knobs_of(source, self.orders)
        try:
            async with craft.connect(source.partition(":")[2], settings, self.web, self.orders.terms) as connection:
                well = _Well(source, connection)
                if craft.NEEDS_KEYWORDS:  # the others are asked for everything anew
                    self._glean(well)
                await self._search_all(well, craft, asked)
                await well.empty()
        except (FetchError, SourceError) as error:
            self.harvest.failed(source, error)

    def _glean(self, well: "_Well") -> None:
        """What earlier searches found, and isn't here."""
        for (source, _), feed in list(self.journal.feeds.items()):
            if source == well.source:
                for item in feed.results:
                    self._offer(well, feed.keyword, item, self.harvest.of(source, feed.keyword))

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
        offer = partial(self._offer, well, keyword)
        found, error = await self.harvest.ask(well.connection, well.source, keyword, self.orders, offer)
        if found:  # an empty answer isn't believed for good: it may be a block in disguise
            limit = 0 if error else self.orders.limit_of(well.source)  # what was cut short is asked for again
            told = (stand_in(item.url) if self.memory.is_forgotten(item) else item for item in found)
            self.journal.add_feed(Feed(well.source, keyword, tuple(told)), limit, asked)
        return is_worth_another(error)

    # ---- downloading -----------------------------------------------------------------------------------

    def _offer(self, well: "_Well", keyword: Keyword, item: Result, tally: Tally) -> None:
        """Take a result on: have it downloaded, unless that was done, or mustn't be."""
        if (place := (well.source, keyword.query, item.url)) in self._counted:
            return  # an earlier run found it there as well
        self._counted.add(place)
        tally.found += 1
        if item.url in self._seen:
            tally.duplicate += 1
            return
        if self.memory.is_forgotten(item):
            tally.failed[tombstones.REASON] += 1
            return
        if item.license:
            self._licenses[item.url] = licenses.both(self._licenses.get(item.url, ""), item.license)
        if not licenses.meets(self._licenses.get(item.url, ""), self.orders.terms.license):
            tally.refused += 1
            return
        self._seen.add(item.url)
        self._refuse_namesake(item)
        if self.memory.is_wanted(item):
            well.fill()
            self._links.put(_Link(well, item, tally, well.connection.locate(item.url)))
        else:
            self._count_known(self.journal.urls[item.url], tally)

    def _refuse_namesake(self, item: Result) -> None:
        """Two folders of one name would give different files one URL, and one of them would be lost in silence."""
        before = self._paths.setdefault(item.url, item.path) if item.path else item.path
        if before != item.path and Path(before).exists():
            raise UsageError(
                f"{item.path} and {before} would both be {item.url}: rename a folder, or use another --out"
            )

    def _at_once(self, link: "_Link") -> int:
        """How many links like this one are worth being begun at the same time."""
        return self.web.limits.connections if link.item.path else self.web.pace_of(link.address).at_once

    async def download(self) -> None:
        """One of many that do the same: download what waits, until cancelled."""
        while True:
            host, link = await self._links.get()
            try:
                await self._take(link.item, link.tally, link.address)
            finally:
                link.well.drain()
                self._links.done(host)

    async def _take(self, item: Result, tally: Tally, address: str) -> None:
        try:
            entry = await self._receive(item, address)
        except FetchError as error:
            entry = {"reason": error.reason, "detail": clean(error.detail)} | self.memory.limits_of(error.reason)
            tally.failed[error.reason] += 1
        if self.orders.forgotten.has_file(entry.get("sha256", "")):
            self._bury(item, entry["sha256"], tally)
            return
        self.journal.add({"url": item.url, **entry, **({"stamp": item.stamp} if item.stamp else {})})
        if sha256 := entry.get("sha256"):
            self._came(sha256, tally)

    def _bury(self, item: Result, sha256: str, tally: Tally) -> None:
        """What came was forgotten, under whatever link: neither is kept."""
        storage.remove(self.orders.out / INCOMING / sha256)
        link = tombstones.hash_of(item.url)
        self.harvest.forgotten.add(link)
        if not item.path:  # a file is looked at again: another one may have its name by then
            self.journal.add({"forgotten": link})
        tally.failed[tombstones.REASON] += 1

    def _came(self, sha256: str, tally: Tally) -> None:
        """A picture came; whoever finds it first has it decoded."""
        holders = self._holders.setdefault(sha256, [])
        holders.append(tally)
        if sha256 in self._proving:
            return
        proof = self.journal.proofs.get(sha256, {})
        if len(holders) > 1 or ("file_name" in proof and storage.exists(self.orders.out / proof["file_name"])):
            _count(proof, tally, "duplicate")
        else:
            self._proving.add(sha256)
            self.prover.take(sha256, partial(self._proven, sha256))

    def _proven(self, sha256: str, proof: dict[str, Any]) -> None:
        self._proving.discard(sha256)
        for place, tally in enumerate(self._holders[sha256]):
            _count(proof, tally, "duplicate" if place else "new")

    def _count_known(self, entry: dict[str, Any], tally: Tally) -> None:
        """A result of which an earlier run has made something."""
        sha256 = entry.get("sha256", "")
        outcome = self.journal.proofs.get(sha256, entry)
        if "reason" in outcome:
            tally.failed[outcome["reason"]] += 1
        elif sha256 in self.journal.proofs:
            holders = self._holders.setdefault(sha256, [])
            holders.append(tally)
            _count(outcome, tally, "known" if len(holders) == 1 else "duplicate")
        else:  # killed between download and proof
            self._came(sha256, tally)

    async def _receive(self, item: Result, address: str) -> dict[str, Any]:
        """The picture's bytes now lie in `incoming/`, under their sha256."""
        if item.path:
            return await asyncio.to_thread(_receive_file, Path(item.path), self.orders)
        got = await self.web.download(address, self.orders.out / INCOMING, trusted=address != item.url)
        entry: dict[str, Any] = {"sha256": got.sha256, "bytes": got.size}
        return entry | ({"robots": got.robots} if got.robots else {})


def _count(proof: dict[str, Any], tally: Tally, if_good: str) -> None:
    if "reason" in proof:
        tally.failed[proof["reason"]] += 1
    else:
        setattr(tally, if_good, getattr(tally, if_good) + 1)


class _Well:
    """A source that is being harvested, and how many of its links are still on their way."""

    def __init__(self, source: str, connection: Connection) -> None:
        self.source, self.connection = source, connection
        self._left = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def fill(self) -> None:
        """A link more."""
        self._left += 1
        self._empty.clear()

    def drain(self) -> None:
        """A link less."""
        self._left -= 1
        if not self._left:
            self._empty.set()

    async def empty(self) -> None:
        """Waits until there is none left."""
        await self._empty.wait()


class _Link(NamedTuple):
    """A link that is to be downloaded. `address`: where it lies, which is another place for our own servers."""

    well: _Well
    item: Result
    tally: Tally
    address: str


class _Links:
    """Links that wait, host by host: the hosts take turns, and none has more than `at_once` of them under way, so that
    a slow one holds up no other."""

    def __init__(self, at_once: Callable[[_Link], int]) -> None:
        self._at_once = at_once
        self._waiting: dict[str, deque[_Link]] = {}
        self._turns: Counter[str] = Counter()  # of each host, those that are taken or may be
        self._next: asyncio.Queue[str] = asyncio.Queue()

    def put(self, link: _Link) -> None:
        """A link more."""
        host = "" if link.item.path else host_of(link.address)
        self._waiting.setdefault(host, deque()).append(link)
        if self._turns[host] < self._at_once(link):
            self._turns[host] += 1
            self._next.put_nowait(host)

    async def get(self) -> tuple[str, _Link]:
        """A host whose turn it is, and its next link; to be followed by `done`."""
        while True:
            host = await self._next.get()
            if self._waiting[host]:
                return host, self._waiting[host].popleft()
            self._turns[host] -= 1

    def done(self, host: str) -> None:
        """A link of this host is done with."""
        self._next.put_nowait(host)


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
        loop, proven = asyncio.get_running_loop(), asyncio.Queue[list[dict[str, Any]] | None]()

        def decode() -> None:
            try:
                for proofs in self._proofs(executor):
                    loop.call_soon_threadsafe(proven.put_nowait, proofs)
            finally:
                loop.call_soon_threadsafe(proven.put_nowait, None)

        decoding = asyncio.create_task(asyncio.to_thread(decode))
        while (proofs := await proven.get()) is not None:
            for proof in proofs:
                self._journal.add(proof)
                self._listeners.pop(proof["sha256"])(proof)
        await decoding

    def _proofs(self, executor: Executor) -> Iterator[list[dict[str, Any]]]:
        for outcome in executor.map(prove, self._batches()):
            names = self._names.pop(outcome.index)
            yield outcome.value or list(self._one_by_one(names, executor))

    def _batches(self) -> Iterator[Task | None]:
        number = 0
        while (names := self._next()) is not None and not self._stopped:
            if names:
                self._names[number] = names
                number += 1
            yield (self._out, names) if names else None

    def _next(self) -> tuple[str, ...] | None:
        """What has come, up to a batch; waits a moment for the first. None if no more will come."""
        names: list[str] = []
        with suppress(queue.Empty):
            while len(names) < BATCH and not (names and self._coming.empty()):
                sha256 = self._coming.get(timeout=LOOK)
                if sha256 is None:
                    self._coming.put(None)  # for the next time
                    return tuple(names) or None
                names.append(sha256)
        return tuple(names)

    def _one_by_one(self, names: tuple[str, ...], executor: Executor) -> Iterator[dict[str, Any]]:
        """The proofs of a batch that killed its process: all but the culprit's are good."""
        for outcome in executor.map(prove, [(self._out, (name,)) for name in names]):
            death = {"reason": "quarantined", "detail": f"decoding it {outcome.lost}"}
            yield from outcome.value or [{"sha256": names[outcome.index], **death}]
