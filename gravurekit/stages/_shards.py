"""From samples that lie about to a finished shards folder: files of a fixed number of samples, index, manifest.

`join` takes samples out of the files that a stage's tasks left; `publish` writes what a reader needs to know of them.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import parts, shards, storage
from gravurekit.errors import DataError, StorageError
from gravurekit.executor import Executor
from gravurekit.metadata import PARTS, file_sha256
from gravurekit.progress import Watch

if TYPE_CHECKING:
    from gravurekit.shards.tally import Tally
    from gravurekit.shards.writer import Sample

JOIN = "join"  # the pass that writes the files
Entry = str  # what the index says of a sample, its picture's key, labels, URL, licence …: JSON, as there may be many


@dataclass(frozen=True)
class Piece:
    """Samples of one split in one file, in order: their `rows` in it, and what the index says of each."""

    file: str  # relative to the shards folder
    rows: list[int]
    entries: list[Entry]


@dataclass(frozen=True)
class Shard:
    """A finished file: what the manifest says of it, its samples' checksums and entries, and their sums."""

    about: dict[str, Any]
    crc32: Sequence[int]
    entries: Sequence[Entry]
    sums: "Tally"


# ---- writing files -------------------------------------------------------------------------------------


def join(
    out: Path, pieces: Mapping[str, Sequence[Piece]], size: int, about: Mapping[str, Any], digest: str,
    executor: Executor, watch: Watch,
) -> Iterator[Shard]:  # fmt: skip
    """Write the pieces of each split into files of `size` samples, a task each. Raises DataError if a piece is damaged
    (all of them go, and are made anew next time), or a file can't be written without killing its process."""
    jobs = [(split, n, some) for split in shards.SPLITS for n, some in enumerate(_cut(pieces[split], size))]
    items = [json.dumps(_order(*job)) for job in jobs]
    work = parts.Work(join_part, _died, (str(out), about))
    try:
        lines = parts.run(out, JOIN, digest, items, work, executor, watch, size=1)
    except StorageError:
        raise
    except DataError as error:  # with the pieces that are there it would end so again and again
        storage.remove(out / PARTS)
        what = str(error).partition(": ")[0]
        raise DataError(f"{what}: what was done so far is gone now, run the same command again") from None
    return (_shard_of(out, split, some, json.loads(line)) for (split, _, some), line in zip(jobs, lines, strict=True))


def _cut(pieces: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    """The same samples in groups of `size`, the last one fewer."""
    group: list[Piece] = []
    room = size
    for piece in pieces:
        first = 0
        while first < len(piece.rows):
            last = first + room
            group.append(Piece(piece.file, piece.rows[first:last], piece.entries[first:last]))
            room -= len(group[-1].rows)
            first = last
            if not room:
                yield group
                group, room = [], size
    if group:
        yield group


def _order(split: str, number: int, pieces: Sequence[Piece]) -> dict[str, Any]:
    """What a task has to know of the file that it writes."""
    entries = (json.loads(entry) for piece in pieces for entry in piece.entries)
    names = [[entry["labels"], entry["keywords"]] for entry in entries]
    return {"split": split, "number": number, "pieces": [[piece.file, piece.rows] for piece in pieces], "names": names}


def join_part(items: list[str], context: tuple[str, Mapping[str, Any]], stem: Path) -> list[str]:
    """Write one shard. A line: what the manifest says of it, the checksums of its samples, their sums."""
    from gravurekit.shards import writer
    from gravurekit.shards.tally import Tally

    out, about = Path(context[0]), context[1]
    order = json.loads(items[0])
    sums = Tally()
    samples = sums.watching(_samples(out, order["pieces"]), order["names"])
    stem_of_file = f"{order['split']}-{order['number']:05d}"
    done = writer.write(out, stem_of_file, len(order["names"]), samples, about)
    file = {"file": done.file, "split": order["split"], "samples": done.samples, "bytes": done.bytes}
    line = {"about": file | {"sha256": done.sha256}, "crc32": done.crc32, "sums": sums.to_json()}
    return [json.dumps(line, ensure_ascii=False)]


def _samples(out: Path, pieces: Iterable[tuple[str, list[int]]]) -> Iterator["Sample"]:
    from gravurekit.shards.reader import samples_of

    for file, rows in pieces:
        yield from samples_of(storage.at_hand(out / file), rows)


def _shard_of(out: Path, split: str, pieces: Sequence[Piece], line: dict[str, Any]) -> Shard:
    """A finished file. Raises DataError if it isn't there any more."""
    from gravurekit.shards.tally import Tally

    if why := line.get("lost"):
        storage.remove(out / PARTS / JOIN)  # it counts as done there
        raise DataError(f"{out}: writing a shard of {split} {why}: give it more (memory, time), and run it again")
    path = out / line["about"]["file"]
    if storage.size_of(path) != line["about"]["bytes"]:
        storage.remove(out / PARTS)
        raise DataError(f"{path} vanished while the shards were being made: run the same command again")
    entries = [entry for piece in pieces for entry in piece.entries]
    return Shard(line["about"], line["crc32"], entries, Tally.from_json(line["sums"]))


def _died(item: str, why: str) -> str:
    return json.dumps({"lost": why})


# ---- index and manifest --------------------------------------------------------------------------------


def publish(out: Path, found: Iterable[Shard], table: Iterable[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the index, the table of splits (its lines are `table`), and, last, the manifest, which is returned: `facts`
    and what follows from the shards."""
    from gravurekit.shards.tally import Tally

    counts: dict[str, Counter[str]] = {split: Counter() for split in shards.SPLITS}
    licenses: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    files: list[dict[str, Any]] = []
    sums = Tally()

    def lines() -> Iterator[str]:
        for shard in found:
            files.append(shard.about)
            if shard.about["split"] == "train":
                sums.merge(shard.sums)
            for row, (crc32, text) in enumerate(zip(shard.crc32, shard.entries, strict=True)):
                entry = json.loads(text)
                counts[shard.about["split"]][entry["labels"][0] if entry["labels"] else ""] += 1
                licenses[entry["license"]] += 1
                sources[entry["source"]] += 1
                place = {"split": shard.about["split"], "shard": shard.about["file"], "row": row, "crc32": crc32}
                yield json.dumps(place | entry, ensure_ascii=False)

    storage.write_lines(out / shards.INDEX, lines())
    storage.write_lines(out / shards.TABLE, table)
    manifest = {
        "format": shards.FORMAT,
        **facts,
        **sums.told(),
        "splits": {split: counts[split].total() for split in shards.SPLITS},
        "labels": {split: dict(sorted(counts[split].items())) for split in shards.SPLITS},
        "licenses": dict(sorted(licenses.items())),
        "sources": dict(sorted(sources.items())),
        "shards": files,
        "files": {name: file_sha256(out / name) for name in (shards.INDEX, shards.TABLE)},
    }
    storage.write_json(out / shards.MANIFEST, manifest)
    return manifest


def sweep(out: Path, manifest: Mapping[str, Any]) -> None:
    """Remove the shards of ours that the manifest doesn't name."""
    names = {shard["file"] for shard in manifest["shards"]}
    for name in storage.names_in(out):
        if name not in names and shards.OURS.fullmatch(name):
            storage.remove(out / name)
