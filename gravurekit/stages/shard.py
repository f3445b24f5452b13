"""shard: styled/ → shards/. Uint8 Lab tensors for training: L of the plain print, Lab of its colour wash, label."""

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from gravurekit import folder, metadata, parts, shards, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import DataError, PictureError
from gravurekit.executor import Executor
from gravurekit.folder import State, Summary
from gravurekit.progress import Watch
from gravurekit.receipt import Plan, read_receipt
from gravurekit.record import Record

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.shards.writer import Row

REVISION = 2
OURS = re.compile(r"(train|val|test)-\d{5,}\.safetensors")  # how shards are named


class Settings(base.Settings):
    """The geometry of the tensors, and who trains and who is held back."""

    size: int = Field(224, ge=32, le=1024, description="Side of the square tensors, px; a multiple of 8.")
    fit: Literal["pad", "crop"] = Field(
        "pad", description="pad: the whole figure, on white; crop: the middle square, nothing white."
    )
    samples_per_shard: int = Field(512, ge=64, le=65536, description="Samples in a file; rounded up to whole tasks.")
    val_share: float = Field(0.1, ge=0, lt=1, description="Share of the clusters held back for validation.")
    test_share: float = Field(0.1, ge=0, lt=1, description="Share of the clusters held back for the last test.")
    seed: int = Field(0, ge=0, description="Seed of the split.")

    @field_validator("size")
    @classmethod
    def _whole_eights(cls, value: int) -> int:
        if value % 8:
            raise ValueError(f"must be a multiple of 8; {value} isn't")
        return value


@dataclass(frozen=True)
class _Chunk:
    """A part's samples: where their arrays lie, whose they are."""

    split: str
    arrays: Path
    kept: tuple[Record, ...]


@dataclass(frozen=True)
class Job:
    """What is to become tensors: the styled pictures of `source`."""

    source: Path
    out: Path
    settings: Settings


def check(job: Job) -> None:
    """Raises UsageError for an output folder of others."""
    folder.check_places(job.out, "shard", job.source)


def look(job: Job) -> State:
    """Whether the shards are made already. Raises DataError if the input isn't a styled folder or is damaged."""
    return folder.look(job.out, _plan(job, _read(job.source)))


def run(job: Job, executor: Executor, watch: Watch) -> Summary:
    """Write the shards.

    Raises DataError if the input isn't a styled folder, is damaged or empty, or leaves nothing to train on.
    """
    began = time.monotonic()
    found = _read(job.source)
    plan = _plan(job, found)
    state = folder.look(job.out, plan)
    if state.done:
        return state.done
    out, settings = job.out, job.settings
    with folder.opened(out, "shard", state.reasons, watch, job.source):
        storage.remove(out / shards.MANIFEST)  # without it nobody reads shards that are half replaced
        classes = sorted({item.label for item in found if item.label})
        chunks, dropped = _make_chunks(job, found, classes, plan, executor, watch)
        if not any(chunk.split == "train" for chunk in chunks):
            raise DataError(
                f"{job.source}: no picture is left for the training split; add pictures or lower the held-back shares"
            )
        files, index, lightness = _write_shards(out, chunks, settings)
        manifest = _manifest(settings, plan, classes, files, index)
        manifest |= {"L_mean": lightness, "style": _style_of(job.source)}
        storage.write_lines(out / shards.INDEX, (json.dumps(entry, ensure_ascii=False) for entry in index))
        storage.write_json(out / shards.MANIFEST, manifest)
        _remove_others(out, {file["file"] for file in files})
        return _finish(out, plan, len(index), dropped, manifest, time.monotonic() - began)


def _read(source: Path) -> list[Record]:
    found = folder.read(source)
    plain = [item for item in found if not (item.plain_file_name and item.wash_file_name)]
    if plain:
        raise DataError(
            f"{source} holds no styled pictures ({plain[0].file_name} has no ink and wash): stylize it first"
        )
    return found


def _plan(job: Job, found: Sequence[Record]) -> Plan:
    knobs = job.settings.model_dump(mode="json")
    return Plan(stage="shard", revision=REVISION, settings=knobs, inputs=folder.inputs(found), seed=job.settings.seed)


def split_of(cluster: str, settings: Settings) -> str:
    """The split of a cluster: by its name and the seed alone, so that near copies stay together and pictures that come
    later move nobody."""
    point = int(base.digest([settings.seed, cluster])[:13], 16) / 16**13
    if point < settings.test_share:
        return "test"
    return "val" if point < settings.test_share + settings.val_share else "train"


def _make_chunks(
    job: Job, found: Sequence[Record], classes: list[str], plan: Plan, executor: Executor, watch: Watch
) -> tuple[list[_Chunk], list[Record]]:
    out, settings = job.out, job.settings
    context = (str(job.source), settings.model_dump_json(), classes)
    work = parts.Work(convert_part, _quarantined, context)
    chunks, dropped = [], []
    for split in shards.SPLITS:
        mine = [item for item in found if split_of(item.cluster or item.photo_key or item.key, settings) == split]
        lines = parts.run(out, split, plan.digest, [item.to_json() for item in mine], work, executor, watch)
        by_arrays: dict[str, list[Record]] = {}
        for line in lines:
            arrays, _, item = line.partition(" ")
            if arrays == "!":
                dropped.append(records.from_json(item, "a part"))
            else:
                by_arrays.setdefault(arrays, []).append(records.from_json(item, "a part"))
        folder_of_parts = out / "parts" / split
        chunks += [_Chunk(split, folder_of_parts / name, tuple(kept)) for name, kept in by_arrays.items()]
    return chunks, dropped


def convert_part(items: list[str], context: tuple[str, str, list[str]], stem: Path) -> list[str]:
    """Turn a task's pictures into tensors, in one file beside the part; a line for each: that file's name, or "!" for a
    picture that couldn't be read, and the Record."""
    from gravurekit.shards import writer

    source, settings, classes = Path(context[0]), Settings.model_validate_json(context[1]), context[2]
    number = {name: n for n, name in enumerate(classes)}
    arrays = stem.with_suffix(".safetensors")
    rows, lines = [], []
    for item in (records.from_json(line, "a task") for line in items):
        try:
            rows.append(_row(source, item, settings, number.get(item.label, -1)))
            lines.append(f"{arrays.name} {item.to_json()}")
        except PictureError as error:
            lines.append("! " + item.but(reason=error.reason, detail=error.detail).to_json())
    if rows:
        storage.write_bytes(arrays, writer.pack(rows))
    return lines


def _row(source: Path, item: Record, settings: Settings, label: int) -> "Row":
    import numpy as np

    from gravurekit import color, images
    from gravurekit.shards.writer import Row

    plain = images.read(source / item.plain_file_name).pixels
    wash = images.read(source / item.wash_file_name).pixels
    if plain.shape != wash.shape:
        raise PictureError("unequal-layers", f"ink {plain.shape[1::-1]} and wash {wash.shape[1::-1]} differ in size")
    plain, box = _fit(plain, settings)
    wash, _ = _fit(wash, settings)
    L = color.lab_to_lab8(color.rgb_to_lab(plain))[..., 0]
    lab = np.moveaxis(color.lab_to_lab8(color.rgb_to_lab(wash)), -1, 0)
    return Row(np.ascontiguousarray(L[None]), np.ascontiguousarray(lab), box, label)


def _fit(pixels: "np.ndarray", settings: Settings) -> "tuple[np.ndarray, tuple[int, int, int, int]]":
    """(H, W, 3) uint8 sRGB → the square of the settings, and the box y0, x0, y1, x1 in which the picture lies."""
    import numpy as np

    from gravurekit import images

    height, width = pixels.shape[:2]
    size = settings.size
    if settings.fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return images.resize(pixels[top : top + side, left : left + side], size, size), (0, 0, size, size)
    scale = size / max(height, width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (size - tall) // 2, (size - wide) // 2
    square = np.full((size, size, 3), 255, np.uint8)
    square[top : top + tall, left : left + wide] = images.resize(pixels, wide, tall)
    return square, (top, left, top + tall, left + wide)


def _quarantined(line: str) -> str:
    item = records.from_json(line, "a task")
    return "! " + item.but(reason="quarantined", detail="reading it killed the process").to_json()


def _write_shards(
    out: Path, chunks: Sequence[_Chunk], settings: Settings
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float]:
    """Join the parts to shards; at most one shard is in memory. What the manifest says of each file, the index, and the
    mean of L/100 over the training split."""
    from gravurekit.shards import writer

    total = count = 0

    files: list[dict[str, Any]] = []
    index: list[dict[str, Any]] = []
    for split in shards.SPLITS:
        rows: list[Row] = []
        whose: list[Record] = []
        mine = [chunk for chunk in chunks if chunk.split == split]
        for chunk in mine:
            rows += writer.unpack(chunk.arrays.read_bytes())
            whose += chunk.kept
            if len(rows) >= settings.samples_per_shard or chunk is mine[-1]:
                name = f"{split}-{sum(file['split'] == split for file in files):05d}.safetensors"
                data = writer.pack(rows)
                storage.write_bytes(out / name, data)
                sha256 = hashlib.sha256(data).hexdigest()
                if split == "train":
                    total += sum(int(row.L.sum(dtype="int64")) for row in rows)
                    count += sum(row.L.size for row in rows)
                files.append({"file": name, "split": split, "samples": len(rows), "sha256": sha256})
                index += [
                    _index_entry(split, name, n, row, item)
                    for n, (row, item) in enumerate(zip(rows, whose, strict=True))
                ]
                rows, whose = [], []
    return files, index, round(total / max(1, count) / 255, 6)


def _index_entry(split: str, name: str, n: int, row: "Row", item: Record) -> dict[str, Any]:
    facts = ("key", "photo_key", "variant", "labels", "keywords", "source", "url", "page_url", "title", "creator",
             "license", "license_url", "cluster")  # fmt: skip
    return {
        "split": split,
        "shard": name,
        "row": n,
        "crc32": row.crc32,
        **{f: getattr(item, f) for f in facts},
    }


def _manifest(
    settings: Settings,
    plan: Plan,
    classes: list[str],
    files: list[dict[str, Any]],
    index: list[dict[str, Any]],
) -> dict[str, Any]:
    labels: dict[str, dict[str, int]] = {}
    for split in shards.SPLITS:
        found = Counter(entry["labels"][0] if entry["labels"] else "" for entry in index if entry["split"] == split)
        labels[split] = dict(sorted(found.items()))
    return {
        "format": shards.FORMAT,
        "encoding": shards.ENCODING,
        "size": settings.size,
        "classes": classes,
        "splits": {split: sum(counts.values()) for split, counts in labels.items()},
        "labels": labels,
        "licenses": dict(sorted(Counter(entry["license"] for entry in index).items())),
        "shards": files,
        "plan": plan.digest,
        "settings": settings.model_dump(mode="json"),
    }


def _style_of(source: Path) -> dict[str, Any]:
    """How the pictures were drawn, so that a print can be drawn alike when a network has learnt from them; empty if the
    folder doesn't say."""
    receipt = read_receipt(source)
    if receipt is None or receipt.plan.stage != "stylize":
        return {}
    knobs = receipt.plan.settings
    sizes = {name: knobs[name] for name in ("short_side", "max_long_side")}
    tables = {name.strip("[]"): table for name, table in knobs.items() if name.startswith("[")}
    first = next((name for name in tables if name != knobs["style"]), None)  # what a refining style starts from
    start = {"starts_from": {"name": first, "settings": tables[first]}} if first else {}
    return {"name": knobs["style"], "settings": tables[knobs["style"]], **sizes, **start}


def _remove_others(out: Path, names: set[str]) -> None:
    for path in out.glob("*.safetensors"):
        if path.name not in names and OURS.fullmatch(path.name):
            storage.remove(path)


def _finish(
    out: Path, plan: Plan, kept: int, dropped: list[Record], manifest: Mapping[str, Any], seconds: float
) -> Summary:
    dropped = sorted(dropped, key=lambda item: item.key)
    metadata.write_lines(out / metadata.DROPPED, dropped)
    facts = {"samples": manifest["splits"], "classes": len(manifest["classes"])}
    outputs = (shards.MANIFEST, shards.INDEX, metadata.DROPPED)
    files = {shard["file"]: shard["sha256"] for shard in manifest["shards"]}
    return folder.seal(out, plan, kept, dropped, outputs, seconds, facts, files)
