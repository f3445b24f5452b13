"""Shards proved sample by sample: what is damaged is named by file, sample, and the picture that it is of."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gravurekit import audit, metadata, shards, storage
from gravurekit.errors import DataError
from gravurekit.executor import Executor
from gravurekit.progress import Watch
from gravurekit.receipt import RECEIPT, NewerReceipt, read_receipt

Entry = dict[str, Any]
WHOLE = -1  # the row of a fault that isn't a sample's


@dataclass(frozen=True)
class Damage:
    """What is wrong with a sample, or, with the row -1, with a file; the samples that a damaged file no longer gives
    are named one by one. `key` and `url` tell which picture it is of."""

    file: str
    row: int
    what: str
    key: str = ""
    url: str = ""


@dataclass(frozen=True)
class Verification:
    """What was proved: `files` shards with `samples` samples, and what is damaged."""

    folder: Path
    files: int
    samples: int
    damages: tuple[Damage, ...]


def verify(folder: Path, executor: Executor, watch: Watch) -> Verification:
    """Prove all of a shards folder: the sha256 of each file, the checksum of each sample, that the index tells of each.

    Raises DataError if there are no shards, if they are being written, or the manifest itself is damaged.
    """
    from gravurekit.shards.reader import read_manifest

    if running := audit.running(folder):
        raise DataError(str(running))
    manifest = read_manifest(folder)
    damages = [*_damaged_lists(folder, manifest)]
    entries: dict[str, dict[int, Entry]] = {}
    for entry in _index(folder):
        entries.setdefault(entry["shard"], {})[entry["row"]] = entry
    tasks = [(str(folder), shard, entries.get(shard["file"], {})) for shard in manifest["shards"]]
    watch.begin("verify", sum(shard["samples"] for shard in manifest["shards"]))
    found: dict[int, Sequence[Damage]] = {}
    executor.reach(None, [folder])
    for outcome in executor.map(prove_shard, tasks):
        shard = manifest["shards"][outcome.index]
        died = [Damage(shard["file"], WHOLE, f"reading it {outcome.lost}")]
        found[outcome.index] = outcome.value if outcome.value is not None else died
        watch.advance(shard["samples"])
    damages += [damage for _, some in sorted(found.items()) for damage in some]
    samples = sum(shard["samples"] for shard in manifest["shards"])
    return Verification(folder, len(tasks), samples, tuple(damages))


def _damaged_lists(folder: Path, manifest: dict[str, Any]) -> Iterator[Damage]:
    """What became of the files beside the shards: the manifest tells of some, the receipt of all."""
    expected = dict(manifest["files"])
    try:
        receipt = read_receipt(folder)
    except NewerReceipt:
        raise
    except DataError:
        yield Damage(RECEIPT, WHOLE, "it is damaged")
    else:
        if receipt is None:
            yield Damage(RECEIPT, WHOLE, "it is missing")
        else:
            proved = {shard["file"] for shard in manifest["shards"]}
            expected |= receipt.outputs | {name: sum for name, sum in receipt.files.items() if name not in proved}
    for name, sha256 in sorted(expected.items()):
        if not (folder / name).is_file():
            yield Damage(name, WHOLE, "it is missing")
        elif metadata.file_sha256(folder / name) != sha256:
            yield Damage(name, WHOLE, "it isn't the file that was written (sha256)")


def _index(folder: Path) -> Iterator[Entry]:
    """The lines of the index that can be read."""
    try:
        with open(folder / shards.INDEX, "rb") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                    if isinstance(entry["shard"], str) and type(entry["row"]) is int:
                        yield entry
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue  # the sha256 has told that something is wrong with it
    except OSError:
        return


def prove_shard(task: tuple[str, dict[str, Any], dict[int, Entry]]) -> list[Damage]:
    """What is wrong with one file, and with each of its samples."""
    folder, shard, entries = task
    path = storage.at_hand(Path(folder, shard["file"]))  # as it is on its store now
    rows = range(shard["samples"])
    fault = _fault_of(path, shard)
    faults = dict.fromkeys(rows, "lost with its file") if fault else dict(_faulty(path, rows, entries))
    damages = [
        Damage(
            shard["file"], row, what, str(entries.get(row, {}).get("key", "")), str(entries.get(row, {}).get("url", ""))
        )
        for row, what in faults.items()
    ]
    if fault or (not damages and metadata.file_sha256(path) != shard["sha256"]):
        damages.insert(0, Damage(shard["file"], WHOLE, fault or "it isn't the file that was written (sha256)"))
    return damages


def _fault_of(path: Path, shard: dict[str, Any]) -> str:
    """What is wrong with a file as a whole; empty if its samples can be read."""
    from gravurekit.shards.layout import read_layout

    if not path.is_file():
        return "it is missing"
    if path.stat().st_size != shard["bytes"]:
        return f"it has {path.stat().st_size} bytes instead of {shard['bytes']}"
    try:
        layout = read_layout(path)
    except DataError as error:
        return str(error)
    if "L" not in layout or {tensor.shape[0] for tensor in layout.values()} != {shard["samples"]}:
        return "it doesn't hold the samples of the manifest"
    return ""


def _faulty(path: Path, rows: Iterable[int], entries: Mapping[int, Entry]) -> Iterator[tuple[int, str]]:
    """The samples with which something is wrong, and what."""
    from gravurekit.shards.reader import raw_samples_of

    for row, sample, crc32 in raw_samples_of(path, rows):
        if sample.crc32 != crc32:
            yield row, "its checksum doesn't hold"
        elif row not in entries:
            yield row, "the index doesn't tell of which picture it is"
        elif entries[row].get("crc32") != crc32:
            yield row, "it isn't the sample that the index tells of (checksum)"
