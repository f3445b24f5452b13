"""export: a folder of pictures or of shards, or a training → files for other programs, in a format of exports/."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from gravurekit import crafts, exports, folder, metadata, parts, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import DataError, UsageError
from gravurekit.executor import Executor
from gravurekit.exports import CLASSES, Place
from gravurekit.folder import State, Summary
from gravurekit.progress import Watch
from gravurekit.receipt import Plan
from gravurekit.record import Record
from gravurekit.reports import credits
from gravurekit.shards import INDEX
from gravurekit.stages import _handing, _handing_run
from gravurekit.stages._estate import is_sheet
from gravurekit.stages._handing import Origin, Stock

REVISION = 1


class Settings(base.Settings):
    """What is handed over; each format has its own table."""


@dataclass(frozen=True)
class Job:
    """What is to be handed over, in which format. `tables`: the formats' own knobs."""

    format: str
    source: Path
    out: Path
    tables: Mapping[str, Mapping[str, Any]]

    @property
    def craft(self) -> ModuleType:
        """The file of exports/; raises UsageError for a format that there isn't."""
        return crafts.load("exports", self.format)

    @cached_property
    def knobs(self) -> base.Settings:
        """The format's own; raises UsageError."""
        return crafts.settings_of("exports", "export", self.format, self.tables)


@dataclass(frozen=True)
class _Lines:
    """The lines of the index, which are told apart only while somebody goes through them."""

    texts: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, self.texts)


@dataclass(frozen=True)
class _Written:
    """What the parts came to: the index, what was lost, and the sha256 of files that no Record names."""

    lines: _Lines
    lost: list[Record]
    files: dict[str, str]


def check(job: Job) -> None:
    """Raises UsageError for a format or a knob that there isn't, for a training in a format of samples, and for an
    output folder of others, MissingExtra if the format needs a package that isn't installed."""
    craft = job.craft
    crafts.check_tables("exports", "export", job.tables)
    if not _is_of_runs(craft) and metadata.owner_of(job.source) == "train":
        others = ", ".join(name for name in crafts.names("exports") if _is_of_runs(crafts.load("exports", name)))
        raise UsageError(f"{job.source} is a training, and {job.format} is a format of pictures: choose {others}")
    if hasattr(craft, "check"):
        craft.check()
    folder.check_places(job.out, "export", job.source)


def look(job: Job) -> State:
    """Whether it is handed over already. Raises as `check` does, and DataError for a damaged input."""
    check(job)
    return folder.look(job.out, _plan(job, _read(job)))


def run(job: Job, executor: Executor, watch: Watch) -> Summary:
    """Write the export, with its index, CREDITS.md and CREDITS.csv. A picture that is damaged or has gone meanwhile
    becomes a dropped Record.

    Raises as `check` does; DataError if the input is damaged or empty.
    """
    began = time.monotonic()
    check(job)  # before a long list of pictures is read
    stock = _read(job)
    plan = _plan(job, stock)
    state = folder.look(job.out, plan)
    if state.done:
        _handing.note(job.source, job.format, job.out, plan, watch)
        return state.done
    with folder.opened(job.out, "export", state.reasons, watch, job.source):
        _handing.note(job.source, job.format, job.out, plan, watch)  # half an export holds pictures as well
        if _is_of_runs(job.craft):
            return _write_run(job, plan, watch, began)
        stock = _handing.without_tags(stock, job.source, job.out, plan, executor, watch)
        written = _write(job, stock, plan, executor, watch)
        outputs = _close(job, stock, written)
        seconds, facts = time.monotonic() - began, {"format": job.format}
        kept = len(written.lines.texts)
        return folder.seal(job.out, plan, kept, written.lost, outputs, seconds, facts, written.files, job.source)


def _is_of_runs(craft: ModuleType) -> bool:
    """Whether a format is of trained networks; else it is of samples."""
    return hasattr(craft, "convert")


def _read(job: Job) -> Stock:
    return _handing_run.read(job.source) if _is_of_runs(job.craft) else _handing.read(job.source)


def _plan(job: Job, stock: Stock) -> Plan:
    knobs = {"format": job.format, "of": stock.stage, f"[{job.format}]": job.knobs.model_dump(mode="json")}
    return Plan(stage="export", revision=1000 * REVISION + job.craft.REVISION, settings=knobs, inputs=stock.inputs)


def _write_run(job: Job, plan: Plan, watch: Watch, began: float) -> Summary:
    """All of a trained network; nothing of it comes in tasks."""
    names, figures = _handing_run.write(job.craft, job.source, job.out, job.knobs, watch)
    before = {INDEX, metadata.DROPPED, CLASSES}  # of samples that lay here
    before |= {name for name in (credits.PAGE, credits.TABLE) if is_sheet(job.out / name)}
    for name in before.difference(names):
        storage.remove(job.out / name)
    _remove_others(job.out, set(names))
    files = {name: metadata.file_sha256(job.out / name) for name in names}
    seconds, facts = time.monotonic() - began, {"format": job.format, "files": names, **figures}
    return folder.seal(job.out, plan, 1, [], (), seconds, facts, files, job.source)


# ---- in tasks --------------------------------------------------------------------------------------------


def _write(job: Job, stock: Stock, plan: Plan, executor: Executor, watch: Watch) -> _Written:
    """All files, under their final names."""
    written = _Written(_Lines(), list(stock.lost), {})
    size = job.craft.together(job.knobs)
    for split, items in stock.items.items():
        name = split or "pack"
        origin = Origin(job.source, job.out, split, stock.layout)
        work = parts.Work(write_part, _quarantined, (job.format, job.knobs.model_dump_json(), origin), (job.source,))
        lines = _Lines(parts.run(job.out, name, plan.digest, items, work, executor, watch, size))
        final = _moved(job, split, lines, job.out / metadata.PARTS / name, written.files)
        for line in lines:
            if "lost" in line:
                written.lost.append(records.from_json(line["lost"], "a part"))
                continue
            index = line["index"] | ({"file_name": final[line["beside"]]} if final else {})
            written.lines.texts.append(json.dumps(index, ensure_ascii=False))
            if split and not final:
                written.files.update(_named(index))
    written.lost.sort(key=lambda item: (item.key, item.variant or 0))
    return written


def write_part(items: list[str], context: tuple[str, str, Origin], stem: Path) -> list[str]:
    """Write the samples of a task; a line for each: what the index says of it, or a Record of why it is lost. `beside`:
    the file of the part that holds it."""
    name, knobs, origin = context
    craft = crafts.load("exports", name)
    lost: list[Record] = []
    kept: list[dict[str, Any]] = []

    def coming() -> Iterator[exports.Sample]:
        for sample in _handing.samples(items, origin, lost):
            kept.append(sample.facts)
            yield sample

    place = Place(origin.out, stem, origin.split, origin.layout)
    names = craft.write(coming(), place, craft.Settings.model_validate_json(knobs))
    beside = {"beside": stem.name + Path(craft.called("", 0, 1)).suffix} if hasattr(craft, "called") else {}
    lines: list[dict[str, Any]] = [{"lost": item.to_json()} for item in lost]
    lines += [{"index": facts | named} | beside for facts, named in zip(kept, names, strict=True)]
    return [json.dumps(line, ensure_ascii=False) for line in lines]


def _quarantined(line: str, why: str) -> str:
    item = records.from_json(json.loads(line)["record"], "a task")
    lost = item.but(reason="quarantined", detail=f"handing it over {why}")
    return json.dumps({"lost": lost.to_json()})


def _moved(job: Job, split: str, lines: _Lines, beside: Path, files: dict[str, str]) -> dict[str, str]:
    """Give the files of the parts, which lie in `beside`, their final names, and tell their sha256 to `files`. The
    final names by those of the parts; none if each sample has files of its own."""
    if not hasattr(job.craft, "called"):
        return {}
    names = list(dict.fromkeys(line["beside"] for line in lines if "lost" not in line))
    final = {name: job.craft.called(split, number, len(names)) for number, name in enumerate(names)}
    for name, called in final.items():
        storage.move(beside / name, job.out / called)
        files[called] = metadata.file_sha256(job.out / called)
    return final


def _named(line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The files that a line of the index names, with their sha256."""
    for name, value in line.items():
        if name.endswith("file_name"):
            yield value, line[name.replace("file_name", "sha256")]


# ---- the end ---------------------------------------------------------------------------------------------


def _close(job: Job, stock: Stock, written: _Written) -> list[str]:
    """Write what goes along, and remove what an earlier run left; the names of what was written."""
    out, lines = job.out, written.lines
    storage.write_lines(out / INDEX, (json.dumps(line, ensure_ascii=False) for line in lines))
    metadata.write_lines(out / metadata.DROPPED, written.lost)
    storage.write_json(out / CLASSES, list(stock.layout.classes))
    outputs = [INDEX, metadata.DROPPED, CLASSES]
    if hasattr(job.craft, "close"):
        outputs += job.craft.close(out, lines)
    packed = hasattr(job.craft, "called")
    names = set(written.files) if packed else {name for line in lines for name, _ in _named(line)}
    if missing := sorted(name for name in names if not (out / name).is_file()):
        storage.remove(out / metadata.PARTS)
        raise DataError(f"{out / missing[0]} vanished while it was being made: run the same command again")
    _remove_others(out, names | set(outputs))
    made = credits.write_for(map(_credited, lines), stock.stage, out)
    return outputs + [file.name for file in made.files]


def _credited(line: Mapping[str, Any]) -> Record:
    """A line of the index as credits are given by it."""
    return Record(**{name: line[name] for name in credits.FACTS if line.get(name) is not None})


def _remove_others(out: Path, names: set[str]) -> None:
    """Remove what an earlier run, maybe of another format, left; somebody else's files stay."""
    patterns = [crafts.load("exports", name).OURS for name in crafts.names("exports")]
    patterns += [re.compile(re.escape(name)) for name in _handing_run.LISTS]
    for place in (out, *(out / sub for sub in ("data", "train", "val", "test"))):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            name = path.relative_to(out).as_posix()
            ours = name.endswith(storage.ASIDE) or any(pattern.fullmatch(name) for pattern in patterns)
            if ours and name not in names and path.is_file():
                storage.remove(path)
