"""shard: styled/ → shards/. Uint8 Lab tensors for training: L of the plain print, Lab of its colour wash, label."""

import json
import time
import unicodedata
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from gravurekit import folder, metadata, objects, parts, shards, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import DataError, PictureError, UsageError
from gravurekit.executor import Executor
from gravurekit.folder import State, Summary
from gravurekit.progress import Watch
from gravurekit.receipt import NewerReceipt, Plan, read_receipt
from gravurekit.record import Record
from gravurekit.stages import _splits
from gravurekit.stages._shards import Piece, join, publish, sweep
from gravurekit.stages._tensors import Form, about, files_of, layers_of, sample_of

REVISION = 3
SMALLEST, LARGEST, MULTIPLE = 32, 1024, 8
FACTS = ("key", "photo_key", "variant", "labels", "keywords", "source", "url", "page_url", "title", "creator",
         "license", "license_url", "cluster")  # fmt: skip


class Settings(base.Settings):
    """What the tensors hold, their geometry, and who trains and who is held back."""

    size: str = Field("224", description="Side of the tensors, px, or WIDTHxHEIGHT; multiples of 8, 32 to 1024.")
    fit: Literal["pad", "crop"] = Field(
        "pad", description="pad: the whole figure, on white; crop: as much of its middle as fills the tensor."
    )
    input: Literal["plain", "print", "photo"] = Field(
        "plain",
        description="Whose lightness the network is fed: the plain print's, the coloured one's, a photograph's.",
    )
    target: Literal["wash", "photo"] = Field(
        "wash", description="Whose colours it learns: the wash's, the photograph's."
    )
    photo: bool = Field(False, description="Add L of the photograph, so that a training can mix photographs in.")
    parquet: bool = Field(False, description="Write the index as index.parquet as well (needs the extra export).")
    samples_per_shard: int = Field(512, ge=1, le=65536, description="Samples in a file.")
    val_share: float = Field(0.1, ge=0, lt=1, description="Share of the clusters held back for validation.")
    test_share: float = Field(0.1, ge=0, lt=1, description="Share of the clusters held back for the last test.")
    seed: int = Field(0, ge=0, description="Seed of the split.")

    @field_validator("size", mode="before")
    @classmethod
    def _sides(cls, value: Any) -> str:
        sides = str(value).lower().split("x")
        if isinstance(value, bool) or len(sides) > 2 or not all(side.isascii() and side.isdigit() for side in sides):
            raise ValueError(f"must be a number, or WIDTHxHEIGHT as in 256x384; {value!r} isn't")
        for side in map(int, sides):
            if side % MULTIPLE or not SMALLEST <= side <= LARGEST:
                raise ValueError(f"must be a multiple of {MULTIPLE} from {SMALLEST} to {LARGEST}; {side} isn't")
        return "x".join(str(int(side)) for side in dict.fromkeys(sides))

    @property
    def form(self) -> Form:
        """What the tensors hold."""
        width, _, height = self.size.partition("x")
        return Form(int(width), int(height or width), self.fit, self.input, self.target, self.photo)

    @property
    def shares(self) -> _splits.Shares:
        """How new clusters are dealt out."""
        return _splits.Shares(self.val_share, self.test_share, self.seed)


@dataclass(frozen=True)
class Job:
    """What is to become tensors: the styled pictures of `source`. `photographs`: the folder that they were drawn from,
    where it isn't the one that `source` names; `splits`: a shards folder whose split is kept, for that of `out`."""

    source: Path
    out: Path
    settings: Settings
    photographs: Path | None = None
    splits: Path | None = None


@dataclass(frozen=True)
class _Input:
    """What goes in. `items`: by split, what a task is told of each picture, as text: Records of all would take three
    times the memory. `photos`: the folder of the photographs; `dropped`: those that bridge two splits."""

    plan: Plan
    classes: list[str]
    items: dict[str, list[str]]
    photos: Path | None
    dropped: list[Record]
    table: _splits.Table
    notes: list[str]  # what people should know of it

    @cached_property
    def digest(self) -> str:
        """Of all that decides the work: the plan alone doesn't know what an earlier table has decided."""
        return base.digest([self.plan.digest, self.table])


def check(job: Job) -> None:
    """Raises UsageError for an output folder of others, for folders that aren't there, for shares that leave nothing to
    train on."""
    if (held_back := job.settings.val_share + job.settings.test_share) >= 1:
        raise UsageError(f"val_share and test_share hold back {held_back:g} of all: lower them, so that some are left")
    folder.check_places(job.out, "shard", job.source)
    for flag, path in (("--photographs", job.photographs), ("--splits", job.splits)):
        if path is not None and not path.is_dir():
            raise UsageError(f"{flag} {path}: no such folder")
    if job.settings.parquet:
        from gravurekit.stages._parquet import require

        require()


def look(job: Job) -> State:
    """Whether the shards are made already. Raises DataError if the input isn't a styled folder or is damaged."""
    return folder.look(job.out, _read(job).plan)


def run(job: Job, executor: Executor, watch: Watch) -> Summary:
    """Write the shards.

    Raises DataError if the input isn't a styled folder, is damaged or empty, has labels that can't be told apart, or
    leaves nothing to train on.
    """
    began = time.monotonic()
    check(job)
    given = _read(job)
    state = folder.look(job.out, given.plan)
    if state.done:
        return state.done
    _refuse_alike(given.classes)
    for note in given.notes:
        watch.note(note)
    with folder.opened(job.out, "shard", state.reasons, watch, job.source):
        return _make(job, given, executor, watch, began)


def _make(job: Job, given: _Input, executor: Executor, watch: Watch, began: float) -> Summary:
    out, settings, plan = job.out, job.settings, given.plan
    storage.remove(out / shards.MANIFEST)  # without it nobody reads shards that are half replaced
    pieces: dict[str, list[Piece]] = {}
    dropped = list(given.dropped)
    for name in shards.SPLITS:
        pieces[name], lost = _convert(job, given, name, executor, watch)
        dropped += lost
    if not pieces["train"]:
        raise DataError(
            f"{job.source}: no picture is left for the training split; add pictures or lower the held-back shares"
        )
    found = join(out, pieces, settings.samples_per_shard, about(settings.form), given.digest, executor, watch)
    manifest = publish(out, found, _splits.table_lines(given.table, settings.shares), _facts(job, given))
    if settings.parquet:
        from gravurekit.stages import _parquet

        _parquet.write(out / shards.INDEX, out / shards.PARQUET)
    else:
        storage.remove(out / shards.PARQUET)
    sweep(out, manifest)
    return _finish(out, plan, dropped, manifest, settings.parquet, time.monotonic() - began)


# ---- what goes in --------------------------------------------------------------------------------------


def _read(job: Job) -> _Input:
    """Raises UsageError and DataError as `run` does."""
    found, settings = folder.read(job.source), job.settings
    undrawn = next((item for item in found if not (item.plain_file_name and item.wash_file_name)), None)
    if undrawn and set(settings.form.roles) != {"photo"}:
        raise DataError(
            f"{job.source} holds no styled pictures ({undrawn.file_name} has no ink and wash): stylize it first"
        )
    photos = job.photographs or _photographs_of(job.source)
    twins = _twins(photos)
    inputs = folder.inputs(found) | ({"copies": base.digest(twins)} if twins else {})
    names: dict[str, str] = {}
    if "photo" in settings.form.roles and not undrawn:
        names, inputs["photographs"] = _photographs(photos, {item.photo_key or item.key for item in found})
    if job.splits is not None:
        inputs["splits"] = folder.side_digest(job.splits / shards.TABLE, "--splits")
    plan = Plan(
        stage="shard", revision=REVISION, settings=settings.model_dump(mode="json"), inputs=inputs, seed=settings.seed
    )
    before, redealt = _table_before(job)
    splits, table = _splits.assign(found, before, twins, settings.shares)
    dropped = [_bridging(item) for item, split in zip(found, splits, strict=True) if not split]
    classes = sorted({item.label for item in found if item.label})
    items: dict[str, list[str]] = {name: [] for name in ("", *shards.SPLITS)}
    queue = deque(found)
    found.clear()  # a Record goes as its text comes
    for split in splits:
        item = queue.popleft()
        items[split].append(f"{names.get(item.photo_key or item.key, '')}\n{item.to_json()}")
    # new words, because one that was a Record's keeps the memory in which that lay from being used again
    table = dict(json.loads(json.dumps(table)))
    return _Input(plan, classes, items, photos, dropped, table, list(_notes(redealt, before, photos)))


def _notes(redealt: bool, before: Mapping[str, str], photos: Path | None) -> Iterator[str]:
    if redealt:
        yield "other shares or another seed: pictures are dealt out anew, and some that were held back will train"
    if before and photos is not None and not photos.is_dir():
        yield (
            f"{photos} isn't there, so nobody knows which pictures are copies of some that were taken before: such may "
            "come into another split; put it back, or name it with --photographs"
        )


def _photographs_of(source: Path) -> Path | None:
    """The folder that the drawings in `source` were drawn from, as they tell."""
    receipt = read_receipt(source)
    told = str(receipt.measured.get("source", "")) if receipt and receipt.plan.stage == "stylize" else ""
    if not told:
        return None
    return storage.place(told) if objects.is_url(told) else storage.place(source / told)


def _photographs(photos: Path | None, keys: set[str]) -> tuple[dict[str, str], str]:
    """By key, the names of the photographs that were drawn; and the digest of these."""
    if photos is None or not photos.is_dir():
        raise UsageError(
            f"the folder of the photographs ({photos or 'which the input does not name'}) isn't there: "
            "name it with --photographs"
        )
    found = [item for item in folder.read_photographs(photos) if item.key in keys]
    return {item.key: item.file_name for item in found}, metadata.input_digest(found)


def _twins(photos: Path | None) -> dict[str, list[str]]:
    """By key, the pictures that were dropped as its copies when the photographs were chosen."""
    found: dict[str, list[str]] = {}
    if photos is not None and (photos / metadata.DROPPED).is_file() and metadata.owner_of(photos):
        for item in metadata.read_lines(photos / metadata.DROPPED):
            if item.kept_key:
                found.setdefault(item.kept_key, []).append(item.key)
    return {key: sorted(twins) for key, twins in sorted(found.items())}


def _refuse_alike(classes: Sequence[str]) -> None:
    """Raises DataError for labels that people, and many disks, can't tell apart: they would be two classes."""
    seen: dict[str, str] = {}
    for name in classes:
        alike = unicodedata.normalize("NFKC", name).casefold().strip()
        if other := seen.get(alike):
            raise DataError(
                f"the labels {other!r} and {name!r} differ only in case or in how they are encoded, and would be two "
                "classes: give them one name where they come from (the keyword file, the folders' names)"
            )
        seen[alike] = name


def _table_before(job: Job) -> tuple[_splits.Table, bool]:
    """The split as it was until now; and whether there was one that is void, since other shares or another seed are
    asked for. Raises DataError if the table isn't the one that its folder's receipt tells of."""
    folder_of = job.out if job.splits is None else job.splits
    table, shares = _splits.read_table(folder_of / shards.TABLE, _written_table(folder_of))
    if job.splits is not None:
        return table, False
    return (table, False) if shares in (None, job.settings.shares) else ({}, True)


def _written_table(path: Path) -> str | None:
    """The sha256 of the table as it was written; None if no receipt tells. Raises DataError if it's a newer one."""
    try:
        receipt = read_receipt(path)
    except NewerReceipt:
        raise
    except DataError:
        return None  # all is made anew
    return receipt.outputs.get(shards.TABLE) if receipt else None


# ---- tensors -------------------------------------------------------------------------------------------


def _convert(job: Job, given: _Input, split: str, executor: Executor, watch: Watch) -> tuple[list[Piece], list[Record]]:
    """Turn the pictures of a split into tensors, in tasks: their pieces in order, and Records of those lost."""
    photos = str(given.photos) if given.photos else ""
    context = (str(job.source), photos, job.settings.model_dump_json(), given.classes)
    items = given.items.pop(split)
    pieces: list[Piece] = []
    lost: list[Record] = []
    reads = tuple(path for path in (job.source, given.photos) if path is not None and path.is_dir())
    work = parts.Work(convert_part, _quarantined, context, reads)
    lines = parts.run(job.out, split, given.digest, items, work, executor, watch)
    items.clear()
    for place, line in enumerate(lines):
        lines[place] = ""  # there may be many, and each is kept as what the index says
        file, _, said = line.partition(" ")
        if file == "!":
            lost.append(records.from_json(said, "a part"))
            continue
        name = f"{metadata.PARTS}/{split}/{file}"
        if not pieces or pieces[-1].file != name:
            pieces.append(Piece(name, [], []))
        pieces[-1].rows.append(len(pieces[-1].rows))
        pieces[-1].entries.append(said)
    return pieces, lost


def convert_part(items: list[str], context: tuple[str, str, str, list[str]], stem: Path) -> list[str]:
    """Turn a task's pictures into tensors, in one file beside the part; a line for each: that file's name and what the
    index will say, or "!" and the Record of a picture that couldn't be read."""
    from gravurekit.shards import writer

    source, photos = Path(context[0]), Path(context[1]) if context[1] else None
    form, number = Settings.model_validate_json(context[2]).form, {name: n for n, name in enumerate(context[3])}
    samples, lines = [], []
    asked = [(photo, records.from_json(line, "a task")) for photo, line in (text.split("\n", 1) for text in items)]
    storage.bring((source / name, sha256) for _, item in asked for name, sha256 in layers_of(item, form).values())
    for photo, item in asked:
        try:
            files = files_of(item, source, photos, {item.photo_key or item.key: photo} if photo else {}, form)
            samples.append(sample_of(files, form, number.get(item.label, -1)))
            lines.append(json.dumps({name: getattr(item, name) for name in FACTS}, ensure_ascii=False))
        except PictureError as error:
            lines.append("! " + item.but(reason=error.reason, detail=error.detail).to_json())
    name = writer.write(stem.parent, f"{stem.name}.of", len(samples), samples, about(form)).file if samples else ""
    return [line if line.startswith("!") else f"{name} {line}" for line in lines]


def _quarantined(line: str, why: str) -> str:
    item = records.from_json(line.partition("\n")[2], "a task")
    return "! " + item.but(reason="quarantined", detail=f"reading it {why}").to_json()


def _bridging(item: Record) -> Record:
    detail = "a near copy of pictures in different splits: training on it would tell of what is held back"
    return item.but(reason=_splits.REASON, detail=detail)


# ---- what comes out ------------------------------------------------------------------------------------


def _facts(job: Job, given: _Input) -> dict[str, Any]:
    """What the manifest says whatever the pictures are."""
    form = job.settings.form
    return {
        "encoding": about(form),
        "size": [form.width, form.height],
        "fit": form.fit,
        "input": form.input,
        "target": form.target,
        "tensors": list(form.planes),
        "classes": given.classes,
        "plan": given.plan.digest,
        "settings": job.settings.model_dump(mode="json"),
        "style": _style_of(job.source),
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


def _finish(
    out: Path, plan: Plan, dropped: list[Record], manifest: Mapping[str, Any], parquet: bool, seconds: float
) -> Summary:
    dropped = sorted(dropped, key=lambda item: (item.key, item.variant or 0))
    metadata.write_lines(out / metadata.DROPPED, dropped)
    facts = {"samples": manifest["splits"], "classes": len(manifest["classes"])}
    outputs = (shards.MANIFEST, shards.INDEX, shards.TABLE, metadata.DROPPED)
    files = {shard["file"]: shard["sha256"] for shard in manifest["shards"]}
    if parquet:
        files[shards.PARQUET] = metadata.file_sha256(out / shards.PARQUET)
    return folder.seal(out, plan, sum(manifest["splits"].values()), dropped, outputs, seconds, facts, files)
