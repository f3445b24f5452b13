"""What there is to hand over: the pictures of a folder or the tensors of shards, read one by one, as samples."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gravurekit import audit, exports, folder, metadata, parts, shards, storage
from gravurekit import record as records
from gravurekit.errors import DataError, PictureError, StorageError
from gravurekit.executor import Executor
from gravurekit.exports import FACTS, LAYERS, MORE, Layout, Sample
from gravurekit.progress import Watch
from gravurekit.receipt import Plan
from gravurekit.record import Record
from gravurekit.shards import index

CLEAN = ("filter", "stylize", "colorize", "export")  # stages whose pictures carry no private tags
STRIPPED = "stripped"  # in parts/: pictures saved anew, without their tags
LOCK = ".gravurekit.exports.lock"
KEY = re.compile("[0-9a-f]{16}")
SHARD_FACTS = tuple(name for name in FACTS if name not in ("sha256", "width", "height"))


@dataclass(frozen=True)
class Stock:
    """What SOURCE holds. `stage`: who made it, empty if that isn't known; `items`: by split (empty: there are none) a
    line of JSON for each sample; `inputs`: what a Plan says of it."""

    stage: str
    layout: Layout
    items: Mapping[str, list[str]]
    inputs: dict[str, str]
    lost: list[Record] = field(default_factory=list)


@dataclass(frozen=True)
class Origin:
    """Where a task reads: the folder, the output with its parts, the split, what the samples look like."""

    source: Path
    out: Path
    split: str
    layout: Layout


def is_shards(source: Path) -> bool:
    """Whether `source` is a folder of tensors."""
    return metadata.owner_of(source) == "shard" or all(
        (source / name).exists() for name in (shards.MANIFEST, shards.INDEX)
    )


def read(source: Path) -> Stock:
    """What there is in SOURCE. Raises UsageError if there is no such folder, DataError if it is damaged or empty."""
    return _of_shards(source) if is_shards(source) else _of_pictures(source)


# ---- folders of pictures ---------------------------------------------------------------------------------


def _of_pictures(source: Path) -> Stock:
    found = sorted(folder.read(source), key=lambda item: (item.key, item.variant or 0))
    for before, after in zip(found, found[1:], strict=False):
        if exports.name_of(before.key, before.variant) == exports.name_of(after.key, after.variant):
            raise DataError(f"{before.file_name} and {after.file_name} share the key {after.key}: remove one of them")
    styled = any(item.plain_file_name or item.wash_file_name for item in found)
    layout = Layout(
        facts=(*FACTS, *(MORE.values() if styled else ())),
        classes=tuple(sorted({item.label for item in found if item.label})),
        files=("image", *(LAYERS if styled else ())),
    )
    items = [json.dumps({"record": item.to_json()}) for item in found]
    return Stock(metadata.owner_of(source), layout, {"": items}, folder.inputs(found))


def _refuse_odd(item: Record) -> None:
    """Raises PictureError for what no stage of ours would write: file names and columns are made of it."""
    if not KEY.fullmatch(item.key):
        raise PictureError("odd-key", f"{item.key!a} is no key: 16 hex digits")
    if not all(0 <= number < 2**31 for number in (item.variant or 0, item.width, item.height)):
        raise PictureError("odd-number", f"variant {item.variant}, {item.width} × {item.height} px can't be")


def without_tags(stock: Stock, source: Path, out: Path, plan: Plan, executor: Executor, watch: Watch) -> Stock:
    """The same without EXIF and the like (a place, a device, a turn): such tags never leave raw/. Pictures that carry
    them are saved anew, upright, into the parts of `out`; those that can't be read are lost."""
    if stock.stage in CLEAN or is_shards(source):
        return stock
    work = parts.Work(strip_part, _quarantined, (str(source), str(out)), (source,))
    lines = parts.run(out, "strip", plan.digest, stock.items[""], work, executor, watch)
    good, lost = [], []
    for line in lines:
        item = records.from_json(json.loads(line)["record"], "a part")
        if item.reason:
            lost.append(item)
        else:
            good.append(line)
    return Stock(stock.stage, stock.layout, {"": good}, stock.inputs, lost)


def strip_part(items: list[str], context: tuple[str, str], stem: Path) -> list[str]:
    """Look at the pictures of a task; a line for each: its Record, and where its file lies now if it was saved anew."""
    source, out = Path(context[0]), Path(context[1])
    lines = []
    for item in (records.from_json(json.loads(line)["record"], "a task") for line in items):
        try:
            lines.append(json.dumps(_strip(item, source, out)))
        except PictureError as error:
            lines.append(json.dumps({"record": item.but(reason=error.reason, detail=error.detail).to_json()}))
    return lines


def _strip(item: Record, source: Path, out: Path) -> dict[str, str]:
    from gravurekit import images

    _refuse_odd(item)
    data = images.contents_of(source / item.file_name, item.sha256)
    picture = images.decode(data)
    item = item.but(width=picture.width, height=picture.height)
    if not picture.private:
        return {"record": item.to_json(), "extension": picture.extension}
    lossy = picture.extension in ("jpg", "webp")
    data = images.encode_jpeg(picture.pixels) if lossy else images.encode_png(picture.pixels)
    extension = "jpg" if lossy else "png"
    name = f"{metadata.PARTS}/{STRIPPED}/{exports.name_of(item.key, item.variant)}.{extension}"
    storage.write_bytes(out / name, data)
    item = item.but(sha256=hashlib.sha256(data).hexdigest())
    return {"record": item.to_json(), "extension": extension, "lies": name}


def _quarantined(line: str, why: str) -> str:
    item = records.from_json(json.loads(line)["record"], "a task")
    return json.dumps({"record": item.but(reason="quarantined", detail=f"reading it {why}").to_json()})


def _pictures(items: Sequence[str], origin: Origin, lost: list[Record]) -> Iterator[Sample]:
    number = {name: n for n, name in enumerate(origin.layout.classes)}
    for about in map(json.loads, items):
        item = records.from_json(about["record"], "a task")
        try:
            yield _picture(item, about, origin, number.get(item.label, -1))
        except PictureError as error:
            lost.append(item.but(reason=error.reason, detail=error.detail))


def _picture(item: Record, about: Mapping[str, str], origin: Origin, label: int) -> Sample:
    """Raises PictureError if a file isn't there, or isn't the one that the Record speaks of."""
    _refuse_odd(item)
    first = origin.out / about["lies"] if "lies" in about else origin.source / item.file_name
    files = {"image": _file(first, item.sha256, about.get("extension", ""))}
    for layer in LAYERS:
        if name := getattr(item, f"{layer}_file_name"):
            files[layer] = _file(origin.source / name, getattr(item, f"{layer}_sha256"))
    facts = exports.facts_of(item, layers=len(origin.layout.files) > 1)
    return Sample(exports.name_of(item.key, item.variant), facts, label, files)


def _file(path: Path, sha256: str, extension: str = "") -> exports.File:
    from gravurekit import images

    data = images.contents_of(path, sha256)
    return exports.File(extension or path.suffix[1:].lower() or "bin", data, storage.at_hand(path, sha256))


# ---- shards ----------------------------------------------------------------------------------------------


def _of_shards(source: Path) -> Stock:
    if faults := audit.inspect(source).grave:
        raise DataError("\n  ".join(str(fault) for fault in faults))
    from gravurekit.shards import reader

    manifest = reader.read_manifest(source)
    items: dict[str, list[str]] = {split: [] for split in shards.SPLITS}
    for split, item in _entries(source / shards.INDEX):
        mine = items[split]
        mine.append(json.dumps({"row": len(mine), "record": item.to_json()}))
    for split, mine in items.items():
        if len(mine) != manifest["splits"].get(split, 0):
            raise DataError(f"{source / shards.INDEX} doesn't fit {shards.MANIFEST}: run `gravurekit shard` again")
    inputs = {name: metadata.file_sha256(source / name) for name in (shards.MANIFEST, shards.INDEX)}
    layout = Layout(("split", *SHARD_FACTS, "box"), tuple(manifest["classes"]), (), _shapes(manifest))
    return Stock("shard", layout, {split: mine for split, mine in items.items() if mine}, inputs)


def _entries(path: Path) -> Iterator[tuple[str, Record]]:
    """The split and the picture of each line of an index. Raises DataError naming the line that is damaged."""
    for number, entry in enumerate(index.read(path, ("split",)), 1):
        facts = json.dumps({name: entry[name] for name in SHARD_FACTS if name in entry})
        try:
            item = records.from_json(facts, "a line")
            _refuse_odd(item)
        except (DataError, PictureError):
            item = None
        if item is None or entry["split"] not in shards.SPLITS:
            raise DataError(f"{path}, line {number}, is damaged: run `gravurekit shard` again")
        yield entry["split"], item


def _shapes(manifest: Mapping[str, Any]) -> dict[str, tuple[int, int, int]]:
    width, height = manifest["size"]
    return {name: (count, height, width) for name, count in shards.PLANES.items() if name in manifest["tensors"]}


def _tensors(items: Sequence[str], origin: Origin) -> Iterator[Sample]:
    """Raises DataError naming file and row if a sample is damaged."""
    import numpy as np

    from gravurekit.shards.reader import ShardSet

    names = tuple(origin.layout.tensors)
    found = ShardSet(origin.source, origin.split, (*names, "label", "box"))
    for about in map(json.loads, items):
        item = records.from_json(about["record"], "a task")
        batch = found.batch(np.array([about["row"]], np.int64))
        known = {"split": origin.split, "box": batch["box"][0].tolist()} | exports.facts_of(item, layers=False)
        facts = {name: known[name] for name in origin.layout.facts}
        tensors = {name: batch[name][0] for name in names}
        yield Sample(exports.name_of(item.key, item.variant), facts, int(batch["label"][0]), {}, tensors)


def samples(items: Sequence[str], origin: Origin, lost: list[Record]) -> Iterator[Sample]:
    """The samples of these items, one by one; what can't be read of pictures goes to `lost`, with its reason.

    Raises DataError if shards are damaged.
    """
    return _tensors(items, origin) if origin.split else _pictures(items, origin, lost)


# ---- what SOURCE is told ---------------------------------------------------------------------------------


def note(source: Path, format_name: str, out: Path, plan: Plan, watch: Watch) -> None:
    """Tell a folder of ours that `out` holds its pictures: a line of exports.jsonl, one to a format and a place. A
    plain folder is somebody's, and nothing is written there."""
    known = [metadata.METADATA, shards.MANIFEST]
    if not metadata.owner_of(source) and not any((source / name).exists() for name in known):
        return
    path = source / metadata.EXPORTS
    own = {
        "format": format_name,
        "out": Path(os.path.relpath(out.resolve(), source.resolve())).as_posix(),
        "plan": plan.digest,
    }
    try:
        with storage.locked(source / LOCK):
            before = storage.read_json_lines(path)
            others = [
                entry for entry in before if (entry.get("format"), entry.get("out")) != (own["format"], own["out"])
            ]
            if own not in before or len(others) + 1 != len(before):
                storage.write_lines(path, (json.dumps(entry, ensure_ascii=False) for entry in [*others, own]))
    except StorageError as error:  # a read-only disk, say: no reason to hand nothing over
        watch.note(f"{error}; so `gravurekit forget` won't know that {out} holds its pictures")
