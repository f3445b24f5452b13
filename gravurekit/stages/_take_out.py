"""Pictures taken out of finished shards: the files that hold them are written anew without them, and so is all that the
manifest says of the rest."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import metadata, shards, storage
from gravurekit.errors import DataError
from gravurekit.metadata import DROPPED, PARTS
from gravurekit.receipt import RECEIPT, Receipt, read_receipt
from gravurekit.shards import index
from gravurekit.stages import _splits
from gravurekit.stages._shards import Shard, publish, sweep

if TYPE_CHECKING:
    from gravurekit.shards.tally import Tally

KEY = re.compile("[0-9a-f]{16}")
SAVED = f"{PARTS}/whole"  # what lay in the folder before: while it lies here, a kill may have come in between
Entry = dict[str, Any]
DERIVED = ("L_mean", "ab", "ab_histogram", "palettes", "splits", "labels", "licenses", "sources", "shards", "files")


def take_out(out: Path, keys: set[str]) -> int:
    """Take the samples of these pictures, by key, out of a shards folder: how many went. The caller holds its lock.

    Files without such samples stay as they are; the statistics are taken anew. After a kill the same call goes on. A
    folder that isn't finished is emptied: nobody may read it before `shard` has made it anew. Raises DataError if what
    must be read is damaged, StorageError.
    """
    from gravurekit.shards.reader import read_manifest

    saved = out / SAVED
    if not (saved / shards.MANIFEST).exists():
        if not (out / shards.MANIFEST).exists():
            return _empty(out, keys)
        storage.remove(out / PARTS)  # of this or of `shard`, ended when all but this was done
        sweep(out, read_manifest(out))
        if not _concerned(out, keys):
            return 0
        _save(out, saved)
    manifest = read_manifest(saved)
    entries, count = _entries(saved, keys)
    storage.remove(out / shards.MANIFEST)
    storage.remove(out / RECEIPT)
    table, shares = _splits.read_table(saved / shards.TABLE)
    if shares is None:
        raise DataError(f"{out / shards.TABLE} is missing: run `gravurekit shard` again")
    lines = _splits.table_lines({key: split for key, split in table.items() if key not in keys}, shares)
    facts = {name: value for name, value in manifest.items() if name not in DERIVED}
    new = publish(out, _without(out, manifest, entries), lines, facts)
    _table(out, new)
    _seal(out, saved, keys, count, new)
    storage.remove(saved / shards.MANIFEST)  # first: without it the rest proves nothing
    storage.remove(out / PARTS)
    sweep(out, new)
    return count


def _empty(out: Path, keys: set[str]) -> int:
    """Remove what a killed run left, and what it was about to replace, if any of it is of these pictures. The index as
    a table is packed, so that nobody sees at once whom it names: it goes whatever it holds. Of the table of splits only
    their lines go: without the others, pictures that were held back would train."""
    storage.remove(out / shards.PARQUET)
    table, *lists = (out / name for name in (shards.TABLE, shards.INDEX, DROPPED))
    if any(_names(path, keys) for path in (table, *lists, *(out / PARTS).rglob("*.jsonl"))):
        for path in (out / PARTS, *lists):
            storage.remove(path)
        sweep(out, {"shards": ()})
    if _names(table, keys):
        with open(table, encoding="utf-8", errors="replace") as lines:
            storage.write_lines(table, (line.rstrip("\n") for line in lines if keys.isdisjoint(KEY.findall(line))))
    return 0


def _names(path: Path, keys: set[str]) -> bool:
    """Whether a file names one of the keys."""
    if not path.is_file():
        return False
    with open(path, encoding="utf-8", errors="replace") as lines:
        return any(not keys.isdisjoint(KEY.findall(line)) for line in lines)


def _concerned(out: Path, keys: set[str]) -> bool:
    """Whether anything in the folder is of these pictures."""
    if _entries(out, keys)[1] or keys & _splits.read_table(out / shards.TABLE)[0].keys():
        return True
    return any(item.key in keys or item.kept_key in keys for item in metadata.read_lines(out / DROPPED))


def _save(out: Path, saved: Path) -> None:
    """Copy what says what the folder holds; the manifest last, which proves that the rest was copied."""
    for name in (RECEIPT, DROPPED, shards.INDEX, shards.TABLE, shards.MANIFEST):
        if (out / name).exists():
            storage.copy(out / name, saved / name)


def _entries(folder: Path, keys: set[str]) -> tuple[dict[str, list[Entry | None]], int]:
    """The lines of the index by file, None for a sample that goes; and how many go. Raises DataError."""
    found: dict[str, list[Entry | None]] = {}
    count = 0
    for entry in index.read(folder / shards.INDEX, ("key", "photo_key", "shard", "crc32", "labels", "keywords")):
        goes = bool({entry["key"], entry["photo_key"]} & keys)
        found.setdefault(entry["shard"], []).append(None if goes else entry)
        count += goes
    return found, count


def _without(out: Path, manifest: Mapping[str, Any], entries: Mapping[str, Sequence[Entry | None]]) -> Iterator[Shard]:
    """The files of the manifest, those that lose samples written anew; none for one that loses all."""
    from gravurekit.shards import reader, writer
    from gravurekit.shards.tally import Tally

    about: Mapping[str, Any] = {}
    for shard in manifest["shards"]:
        mine = entries.get(shard["file"], ())
        if len(mine) != shard["samples"]:
            raise DataError(f"{out / shards.INDEX} doesn't tell of {shard['file']}: run `gravurekit shard` again")
        rows = [row for row, entry in enumerate(mine) if entry]
        kept = [entry for entry in mine if entry]
        if not kept:
            continue
        path, sums = out / shard["file"], Tally()
        samples = sums.watching(reader.samples_of(path, rows), [(e["labels"], e["keywords"]) for e in kept])
        if len(kept) == len(mine):
            yield Shard(shard, [entry["crc32"] for entry in kept], _facts(kept), _counted(samples, sums))
            continue
        about = about or reader.about_of(path)
        done = writer.write(out, shard["file"].rpartition("-")[0], len(kept), samples, about)
        file = {"file": done.file, "split": shard["split"], "samples": done.samples, "bytes": done.bytes}
        yield Shard(file | {"sha256": done.sha256}, done.crc32, _facts(kept), sums)


def _counted(samples: Iterator[Any], sums: "Tally") -> "Tally":
    for _ in samples:
        pass
    return sums


def _facts(entries: Sequence[Entry]) -> list[str]:
    """Entries less what says where their samples lie, as text."""
    places = ("split", "shard", "row", "crc32")
    facts = ({name: value for name, value in entry.items() if name not in places} for entry in entries)
    return [json.dumps(entry, ensure_ascii=False) for entry in facts]


def _table(out: Path, manifest: Mapping[str, Any]) -> None:
    """The index as a table again, if it was asked for. Where nobody can write one, or there is no sample, it goes: the
    old one names whom nobody may name any more."""
    from gravurekit.stages import _parquet

    if manifest["settings"].get("parquet") and any(manifest["splits"].values()) and _parquet.there():
        _parquet.write(out / shards.INDEX, out / shards.PARQUET)
    else:
        storage.remove(out / shards.PARQUET)


def _seal(out: Path, saved: Path, keys: set[str], count: int, manifest: Mapping[str, Any]) -> None:
    """dropped.jsonl without these pictures, and the receipt of before with today's sums."""
    dropped = metadata.read_lines(saved / DROPPED) if (saved / DROPPED).exists() else []
    left = [item for item in dropped if not {item.key, item.photo_key, item.kept_key} & keys]
    metadata.write_lines(out / DROPPED, left)
    receipt = read_receipt(saved)
    if receipt is None:
        return
    counts = {"in": 0, "kept": sum(manifest["splits"].values())}
    for item in left:
        counts[item.reason] = counts.get(item.reason, 0) + 1
    counts["in"] = sum(counts.values())
    outputs = {name: metadata.file_sha256(out / name) for name in receipt.outputs}
    files = {shard["file"]: shard["sha256"] for shard in manifest["shards"]}
    if (out / shards.PARQUET).exists():
        files[shards.PARQUET] = metadata.file_sha256(out / shards.PARQUET)
    facts = receipt.measured | {"facts": receipt.measured.get("facts", {}) | {"samples": manifest["splits"]}}
    sealed = Receipt(plan=receipt.plan, counts=counts, outputs=outputs, files=files, measured=facts)
    storage.write_json(out / RECEIPT, sealed.model_dump(mode="json"))
