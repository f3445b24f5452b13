"""filter: raw/ → clean/. Drops what can't be used, each picture with its reason; nothing is deleted from the input."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gravurekit import crafts, folder, parts, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import PictureError, UsageError
from gravurekit.executor import Executor
from gravurekit.folder import State, Summary
from gravurekit.progress import Watch
from gravurekit.receipt import Plan
from gravurekit.record import Record

if TYPE_CHECKING:  # OpenCV and imagehash load only when pictures are read
    from gravurekit.probe import Probe

REVISION = 1


class Settings(base.Settings):
    """What the pictures are for, and which filters judge them."""

    subject: Literal["photos", "prints"] = Field(
        "photos",
        description="What the pictures are: prints are grey, and are kept so.",
        json_schema_extra={"flag": "--for"},
    )
    skip: tuple[str, ...] = Field((), description="Filters that are left out, by name.")


@dataclass(frozen=True)
class Job:
    """What is to be judged: the pictures of `source`. `tables`: the filters' knobs; `decisions`: a file of what people
    decided by hand, which wins over the filters."""

    source: Path
    out: Path
    settings: Settings
    tables: Mapping[str, Mapping[str, Any]]
    decisions: Path | None = None


def look(job: Job) -> State:
    """Whether it is done already. Raises as `run` does."""
    check(job)
    return folder.look(job.out, _plan(job, folder.read(job.source)))


def run(job: Job, executor: Executor, watch: Watch) -> Summary:
    """Filter. Raises UsageError for a filter or a decisions file that isn't there, DataError if the input is damaged or
    empty."""
    began = time.monotonic()
    decided = check(job)
    found = folder.read(job.source)
    plan = _plan(job, found)
    state = folder.look(job.out, plan)
    if state.done:
        return state.done
    with folder.opened(job.out, "filter", state.reasons, watch, job.source):
        probed, dropped = _probe_all(job.source, job.out, found, plan, executor, watch)
        if strange := decided.keys() - {item.key for item in found}:
            watch.note(f"{job.decisions}: {len(strange)} decisions on pictures that aren't in {job.source}")
        kept, unfit = _judge(found, probed, decided, job.settings, job.tables)
        kept, lost = _carry_all(job.source, job.out, kept, probed, plan, executor, watch)
        seconds = time.monotonic() - began
        return folder.finish(job.out, plan, kept, [*dropped, *unfit, *lost], seconds, source=job.source)


def check(job: Job) -> dict[str, bool]:
    """The decisions. Raises UsageError for a filter, a knob or a decision that is none, or an output folder of
    others."""
    crafts.check_tables("filters", "filter", job.tables)
    for name in job.settings.skip:
        crafts.load("filters", name)
    folder.check_places(job.out, "filter", job.source)
    return read_decisions(job.decisions) if job.decisions else {}


def _plan(job: Job, found: Sequence[Record]) -> Plan:
    knobs = job.settings.model_dump(mode="json")
    for name in _chosen(job.settings):
        knobs[f"[{name}]"] = crafts.settings_of("filters", "filter", name, job.tables).model_dump(mode="json")
    inputs = folder.inputs(found, decisions=job.decisions)
    return Plan(stage="filter", revision=REVISION, settings=knobs, inputs=inputs)


def read_decisions(path: Path) -> dict[str, bool]:
    """What people decided by hand, by key: True to keep, False to drop. A line each: {"key": "…", "keep": true}; of
    several on one picture the last counts. Raises UsageError naming the line that is none."""
    decided = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"decisions {path}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            key, keep = entry["key"], entry["keep"]
        except (ValueError, KeyError, TypeError):
            key = keep = None
        if not (isinstance(key, str) and isinstance(keep, bool)):
            raise UsageError(f'{path}, line {number}, is no decision: write {{"key": "3f2a…", "keep": false}}')
        decided[key] = keep
    return decided


def _chosen(settings: Settings) -> list[str]:
    """The filters that serve for the subject: those that look at one picture first, then those that compare."""
    loaded = {name: crafts.load("filters", name) for name in crafts.names("filters") if name not in settings.skip}
    names = [name for name, craft in loaded.items() if settings.subject in craft.SUBJECTS]
    return sorted(names, key=lambda name: (loaded[name].COMPARES, name))


def _probe_all(
    source: Path, out: Path, found: Sequence[Record], plan: Plan, executor: Executor, watch: Watch
) -> tuple[dict[str, "Probe"], list[Record]]:
    """Probes by key, and Records of what couldn't be read."""
    from gravurekit.probe import Probe

    work = parts.Work(probe_part, _quarantined, str(source))
    lines = parts.run(out, "probe", plan.digest, [item.to_json() for item in found], work, executor, watch)
    probed: dict[str, Probe] = {}
    dropped = []
    for line in lines:
        if line.startswith("!"):
            dropped.append(records.from_json(line[1:], "a part"))
        else:
            probe = Probe.model_validate_json(line)
            probed[probe.key] = probe
    return probed, dropped


def probe_part(items: list[str], source: str, stem: Path) -> list[str]:
    """A line for each Record: its Probe, or "!" and the dropped Record."""
    from gravurekit import images, probe

    lines = []
    for item in (records.from_json(line, "a task") for line in items):
        path = Path(source) / item.file_name
        try:
            picture = images.read(path)
            lines.append(probe.measure(item.key, path.stat().st_size, picture).model_dump_json())
        except PictureError as error:
            lines.append("!" + item.but(reason=error.reason, detail=error.detail).to_json())
    return lines


def _quarantined(line: str) -> str:
    item = records.from_json(line, "a task")
    return "!" + item.but(reason="quarantined", detail="it killed the process that read it").to_json()


def _judge(
    found: Sequence[Record], probed: Mapping[str, "Probe"], decided: Mapping[str, bool], settings: Settings,
    tables: Mapping[str, Mapping[str, Any]],
) -> tuple[list[Record], list[Record]]:  # fmt: skip
    """Kept Records with what was measured, and dropped ones with the reason."""
    measured = {item.key: _measured(item, probed[item.key]) for item in found if item.key in probed}
    alive = {key: probe for key, probe in probed.items() if decided.get(key, True)}
    verdict = {"reason": "by-hand", "detail": "the decisions file says so"}
    dropped = [measured[key].but(**verdict) for key in sorted(probed.keys() - alive.keys())]
    for name in _chosen(settings):
        craft = crafts.load("filters", name)
        knobs = crafts.settings_of("filters", "filter", name, tables)
        for drop in list(craft.drops([alive[key] for key in sorted(alive)], knobs)):
            if decided.get(drop.key):
                continue
            del alive[drop.key]
            verdict = {"reason": name.replace("_", "-"), "detail": drop.detail, "kept_key": drop.kept_key}
            dropped.append(measured[drop.key].but(**verdict, cluster=drop.kept_key or drop.key))
    return [measured[key] for key in sorted(alive)], dropped


def _measured(item: Record, probe: "Probe") -> Record:
    from gravurekit.probe import HASH_ALGORITHM

    scores = {"chroma_residual": probe.chroma_residual, "grey_spread": probe.grey_spread}
    return item.but(
        width=probe.width,
        height=probe.height,
        pixels_sha256=probe.pixels_sha256,
        phash=probe.phash,
        phash_algorithm=HASH_ALGORITHM,
        scores={**item.scores, **scores},
        cluster=item.key,
    )


def _carry_all(
    source: Path, out: Path, kept: Sequence[Record], probed: Mapping[str, "Probe"], plan: Plan, executor: Executor,
    watch: Watch,
) -> tuple[list[Record], list[Record]]:  # fmt: skip
    """Put the kept pictures into the output."""
    items = []
    for item in kept:
        probe = probed[item.key]
        about = {"extension": probe.extension, "private": probe.private, "record": item.to_json()}
        items.append(json.dumps(about))
    work = parts.Work(carry_part, _quarantined_while_carried, (str(source), str(out)))
    lines = parts.run(out, "keep", plan.digest, items, work, executor, watch)
    carried = [records.from_json(line, "a part") for line in lines]
    return [item for item in carried if not item.reason], [item for item in carried if item.reason]


def carry_part(items: list[str], context: tuple[str, str], stem: Path) -> list[str]:
    """Link the kept pictures into the output. One that carries EXIF or the like (a place, a device, a turn) is saved
    anew, upright and without it: such tags never leave raw/. A Record for each."""
    source, out = Path(context[0]), Path(context[1])
    return [_carry(source, out, json.loads(item)).to_json() for item in items]


def _carry(source: Path, out: Path, about: dict[str, Any]) -> Record:
    from gravurekit import images

    item = records.from_json(about["record"], "a task")
    path = source / item.file_name
    if not about["private"]:
        name = f"images/{item.key}.{about['extension']}"
        storage.link_or_copy(path, out / name)
        return item.but(file_name=name)
    try:
        pixels = images.read(path).pixels
    except PictureError as error:
        return item.but(reason=error.reason, detail=error.detail)
    lossy = about["extension"] in ("jpg", "webp")
    data = images.encode_jpeg(pixels) if lossy else images.encode_png(pixels)
    name = f"images/{item.key}.{'jpg' if lossy else 'png'}"
    storage.write_bytes(out / name, data)
    return item.but(file_name=name, sha256=hashlib.sha256(data).hexdigest())


def _quarantined_while_carried(line: str) -> str:
    item = records.from_json(json.loads(line)["record"], "a task")
    return item.but(reason="quarantined", detail="it killed the process that read it").to_json()
