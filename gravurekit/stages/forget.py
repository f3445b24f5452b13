"""forget: an opt-out. Takes a picture and its near copies out of every folder, journal, cache, report and shard of the
workspace, and leaves a tombstone, hashes only, which a later crawl and filter obey.

First the tombstone is written. Everything that it knows goes, then, from what is made last to what came first; so a
command that was killed, and is given again, finds what is left by the tombstone, and ends the same. What was learned
or handed over can't be taken back: it is told.
"""

import os
from collections.abc import Iterator, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from gravurekit import audit, foreign, storage, tombstones
from gravurekit.errors import DataError
from gravurekit.folder import swept
from gravurekit.metadata import EXPORTS, LOCK, METADATA, no_collection
from gravurekit.progress import Watch
from gravurekit.receipt import RECEIPT
from gravurekit.reports.pages import PANELS, ROWS
from gravurekit.shards import LEARNED
from gravurekit.stages import _boards, _estate
from gravurekit.stages._estate import CACHE, Estate, Needles, Place, surveyed
from gravurekit.stages._forgotten import hashes_of
from gravurekit.stages._purge import STASH, Find, Purge, needles_of
from gravurekit.stages._take_out import take_out
from gravurekit.stages._traces import (
    DRAWN,
    ON_DISK,
    Trace,
    Word,
    closure,
    key_of,
    trace,
    traces,
    words,
)
from gravurekit.tombstones import Hash, Tombstones

BACKWARDS = ("shard", "colorize", "stylize", "filter", "crawl")  # the order in which folders are seen to
ALONE = ".forgotten.lock"


@dataclass(frozen=True)
class Job:
    """What is to be forgotten: keys, their beginnings and links, also those in the file `listed`. `root`: the
    workspace; `named`: folders that belong to it, wherever they lie."""

    texts: Sequence[str]
    listed: Path | None = None
    root: Path = Path(".")
    named: Sequence[Path] = ()
    dry_run: bool = False


@dataclass(frozen=True)
class Gone:
    """What went from one folder: kept pictures (or samples), dropped ones, files; and what remembered them besides."""

    folder: str
    stage: str
    pictures: int
    dropped: int
    files: int
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forgotten:
    """What came of it. `keys` went; of the words `unseen` there was nothing here; `reports` were removed; `yours` are
    files of your own that hold it still; `runs` and `exports` can't unlearn it; `unknown` can't be looked into;
    `damaged` shards may hold it still, each with what to do about it."""

    dry_run: bool
    tombstones: str
    keys: tuple[str, ...]
    unseen: tuple[str, ...]
    gone: tuple[Gone, ...]
    reports: tuple[str, ...] = ()
    yours: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def table(self) -> list[tuple[str, ...]]:
        """A head, and a line a folder; nothing if nothing was in any."""
        lines = [
            (item.folder, *(str(count) for count in (item.pictures, item.dropped, item.files)), ", ".join(item.also))
            for item in self.gone
        ]
        return [("from", "pictures", "dropped", "files", "and"), *lines] if lines else []

    @property
    def lines(self) -> list[str]:
        """What the table doesn't say, a sentence each."""
        went = "would be forgotten" if self.dry_run else "forgotten"
        counted = f"{len(self.keys)} key{'s' * (len(self.keys) != 1)}"
        said = [f"forget: {counted} {went} ({self.tombstones})"]
        said += [f"  never seen here: {word}; a later crawl won't fetch it" for word in self.unseen]
        said += [f"  {'would be ' * self.dry_run}removed: {path}" for path in self.reports]
        said += [f"  yours, to be seen to by hand: {path}" for path in self.yours]
        said += [f"  cannot be unlearned: {path}" for path in self.runs]
        said += [f"  handed over, cannot be taken back: {path}" for path in self.exports]
        said += [f"  can't be looked into: {path}" for path in self.unknown]
        said += [f"  damaged, may hold it still: {what}, then give this command again" for what in self.damaged]
        return said + [f"  to do: {sentence}" for sentence in self.todo]

    @property
    def todo(self) -> list[str]:
        """What people should do next, a sentence each."""
        stages = {item.stage for item in self.gone if item.pictures}
        said = ["make them again: gravurekit report, credits, evaluate"] if self.reports else []
        if stages - {"colorize"} and not self.dry_run:
            said.append("gravurekit run brings what was made of the other pictures up to date")
        if self.runs:
            said.append("gravurekit train makes a network that hasn't seen it; then remove those runs")
        return said


@dataclass
class _Circle:
    """All that is to go, also what was forgotten before; what belongs to what was `named` now; and by which words
    nothing was found."""

    known: set[Hash]
    inside: list[Trace]
    named: set[Hash]
    unseen: list[str] = field(default_factory=list)


def run(job: Job, watch: Watch) -> Forgotten:
    """Forget, or only tell what would go.

    Raises UsageError for words that are neither keys nor links, or name several pictures; Busy if somebody works in a
    folder of the workspace; DataError if the tombstones are damaged or a newer gravurekit made a folder. Before any of
    these nothing was changed. Damaged shards stay as they are, and are told.
    """
    wanted = words(job.texts, job.listed)
    estate = surveyed(job.root, job.named)
    ours = [place for place in estate.places if not place.is_copy]
    with ExitStack() as locks:
        if not job.dry_run:
            for path in [job.root / ALONE, *(place.path / LOCK for place in ours)]:
                locks.enter_context(storage.locked(path))
        try:
            with no_collection():
                return _forget(job, wanted, estate, sorted(ours, key=_turn), watch)
        except OSError as error:  # of reading: what can't be written is told by storage
            why = f"{error.filename} can't be read ({error.strerror})"
            raise DataError(f"{why}: allow it, and run the same command again") from None


def _turn(place: Place) -> tuple[int, Path]:
    return (BACKWARDS.index(place.owner) if place.owner in BACKWARDS else -1), place.path


def _forget(job: Job, wanted: Sequence[Word], estate: Estate, ours: Sequence[Place], watch: Watch) -> Forgotten:
    stone = job.root / tombstones.FILE
    before = tombstones.read(stone)
    circle = _circle(wanted, estate, before, watch)
    links = {item.url for item in circle.inside if item.url} | {url for word in wanted for url in word.links}
    purge = Purge(circle.known, links, bool(circle.inside))
    finds = [purge.find(place) for place in ours]
    changed = {find.place.owner for find in finds if find.kept or find.samples}
    needles = needles_of(circle.named, links)
    reports = list(_reports(estate, needles, changed))
    exports = dict(_exports(estate, circle, finds))
    made = Forgotten(
        dry_run=job.dry_run,
        tombstones=str(stone),
        keys=tuple(sorted(tombstones.gathered(circle.named).of("key"))),
        unseen=tuple(circle.unseen),
        gone=tuple(_gone(find) for find in finds if find.kept or find.samples or find.changes_lines or find.also),
        reports=tuple(str(path) for path in reports),
        yours=tuple(_yours(job, estate, needles, circle, {*reports, *exports})),
        runs=tuple(_run(path) for path in _learned(estate, circle, "train")),
        exports=tuple(f"{path} ({said})" if said else str(path) for path, said in exports.items()),
        unknown=tuple(_unknown(job, estate, changed)),
    )
    if job.dry_run:
        return made
    hashes = circle.known | _looks(finds)
    tombstones.write(stone, tombstones.gathered(before.all | hashes))
    for path in reports:
        _remove(path)
    watch.begin("forget", len(finds))
    damaged: dict[str, str] = {}
    for find in finds:
        swept(find.place.path, (STASH,))  # nobody looks into what is half written
        if find.place.owner == "shard":  # also one without such samples: an earlier run may have been killed in it
            try:
                take_out(find.place.path, set(purge.gone.of("key")))
            except DataError as error:  # others needn't wait for it
                damaged[str(find.place.path)] = str(error)
                continue
        purge.take_out(find)
        watch.advance()
    for path in job.named:
        storage.thin_out(path)
    storage.forget_fetched()
    storage.settle()
    gone = tuple(item for item in made.gone if item.folder not in damaged)
    return replace(made, gone=gone, damaged=tuple(damaged.values()))


# ---- what is to go -------------------------------------------------------------------------------------


def _circle(wanted: Sequence[Word], estate: Estate, before: Tombstones, watch: Watch) -> _Circle:
    """What the words name, what belongs to it, and what was forgotten before, should it still be here."""
    watch.begin("look", len(estate.places))
    found: list[Trace] = []
    for place in estate.places:
        found += traces(place.path, place.owner)
        watch.advance()
    for path in estate.foreign:
        found += _of_others(path)
    keys = sorted({key for item in found for kind, key in item.marks if kind == "key"} | set(before.of("key")))
    seeds = {word.text: set(_seed(word, keys)) for word in wanted}
    named, _ = closure(found, set[Hash]().union(*seeds.values()))
    seen = before.all.union(*(item.marks for item in found if not named.isdisjoint(item.marks)))
    unseen = [text for text, seed in seeds.items() if seed.isdisjoint(seen)]
    known, inside = closure(found, before.all | named)
    return _Circle(known, inside, named, unseen)


def _seed(word: Word, keys: Sequence[str]) -> Iterator[Hash]:
    if word.is_link:
        yield from (("url", tombstones.hash_of(url)) for url in word.links)
    else:
        yield "key", key_of(word, keys)


def _of_others(path: Path) -> Iterator[Trace]:
    """Traces in a folder that is people's own: of its lines if it has any, else of the pictures themselves."""
    if (path / METADATA).is_file():
        yield from traces(path, "")
        return
    try:
        found = foreign.read_pictures(path)
    except DataError:  # a name that isn't UTF-8, say: its owner hears of it when it is used
        return
    yield from (trace(path, "", {"key": item.key, "sha256": item.sha256, "url": item.url}) for item in found)


def _looks(finds: Sequence[Find]) -> set[Hash]:
    """The hashes of the files themselves: a later filter knows the picture again by its pixels and its looks."""
    found: set[Hash] = set()
    for find in finds:
        if find.place.owner not in DRAWN:
            found.update(*(hashes_of(find.place.path / name) for name in find.files))
    return found


# ---- what is told --------------------------------------------------------------------------------------


def _gone(find: Find) -> Gone:
    place = find.place
    return Gone(str(place.path), place.owner, find.kept + find.samples, find.dropped, len(find.files), tuple(find.also))


def _reports(estate: Estate, needles: Needles, changed: set[str]) -> Iterator[Path]:
    """Pages and sheets of ours that show the picture, or may show it, and the panels of trainings, which the training
    doesn't need. The credits of runs stay with them."""
    runs = {place.path for place in estate.places if place.is_copy}
    for run in sorted(runs):
        if needles.in_file(run / PANELS / ROWS):
            yield from (run / name for name in (_boards.FOLDER, PANELS) if (run / name).exists())
    for path in estate.files:
        if path.parent in runs:
            continue
        if _estate.is_sheet(path):
            if needles.in_file(path):
                yield from (*_estate.beside_sheet(path), path)  # the page, by which they are found, goes last
        elif _estate.is_preview(path) and changed:
            yield path
        else:
            yield from _estate.evaluation_of(path, changed)


def _remove(path: Path) -> None:
    """Of panels their list goes last: a run that is killed finds by it what is left."""
    if path.is_dir() and not path.is_symlink():
        for child in sorted(path.iterdir(), key=lambda child: child.name == ROWS):
            storage.remove(child)
    storage.remove(path)


def _yours(job: Job, estate: Estate, needles: Needles, circle: _Circle, known: Set[Path]) -> Iterator[str]:
    """Files and folders of people's own that name or hold it, but for those that are `known`."""
    copies = {place.path for place in estate.places if place.is_copy}
    seen = {path.resolve() for path in known | copies | {job.root / tombstones.FILE}}
    for path in estate.files:
        if path.suffix.lower() != ".png" and seen.isdisjoint((path.resolve(), *path.resolve().parents)):
            if needles.in_file(path):
                yield str(path)
    yield from (str(path) for path in estate.foreign if any(item.place == path for item in circle.inside))
    crawled = {place.path for place in estate.places if place.owner == "crawl"}
    yield from sorted({item.url for item in circle.inside if item.url.startswith(ON_DISK) and item.place in crawled})


def _learned(estate: Estate, circle: _Circle, owner: str) -> list[Path]:
    """Runs, or exports, that hold it."""
    places = {item.place for item in circle.inside}
    return [place.path for place in estate.places if place.owner.startswith(owner) and place.path in places]


def _run(path: Path) -> str:
    """A run that learned from it, and whether it still does."""
    return f"{path} (still learning: stop it)" if audit.running(path) else str(path)


def _exports(estate: Estate, circle: _Circle, finds: Sequence[Find]) -> Iterator[tuple[Path, str]]:
    """Exports in the workspace that hold it; and those that were made of a folder that held it, wherever they are, or
    of another export. What is to be said of each."""
    here = _learned(estate, circle, "export")
    yield from ((path, "") for path in here)
    known = {path.resolve() for path in here}
    inside = {item.place for item in circle.inside}
    held = {find.place.path: bool(find.kept or find.samples) for find in finds}
    runs = _learned(estate, circle, "train")
    others = {*(path.parent for path in estate.files if path.name == EXPORTS), *estate.foreign, *here, *runs}
    waiting = sorted((held | {path: path in inside for path in others}).items())
    for source, is_held in waiting:  # which grows
        for entry in storage.read_json_lines(source / EXPORTS):
            out = Path(os.path.normpath(source / str(entry.get("out", ""))))
            if out.resolve() in known:
                continue
            if not out.is_dir():
                said = f"{entry.get('format')}, isn't there any more" if is_held else None
            elif any(not circle.known.isdisjoint(item.marks) for item in traces(out, "export")):
                said = ""
            else:  # what isn't finished tells of nobody
                said = "isn't finished, may hold it" if is_held and not (out / RECEIPT).exists() else None
            if said is not None:
                known.add(out.resolve())
                waiting.append((out, True))
                yield out, said


def _unknown(job: Job, estate: Estate, changed: set[str]) -> Iterator[str]:
    yield from (f"{path}: allow it, and run the same command again" for path in sorted(set(estate.unreadable)))
    for place in estate.places:
        if place.owner == "train" and not (place.path / LEARNED).exists():
            yield f"{place.path}: it keeps no list of what it learned from ({LEARNED})"
    if changed and (job.root / CACHE).is_dir():
        yield f"{job.root / CACHE}: judges that evaluate trained; whether with it, nobody can tell"
