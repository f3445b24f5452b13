"""stylize: photographs → styled/. Draws each as a coloured engraving, ink and colour wash kept apart."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from gravurekit import audit, crafts, figures, folder, metadata, parts, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import DataError, PictureError, UsageError
from gravurekit.executor import Executor, Serial
from gravurekit.folder import State, Summary
from gravurekit.progress import Watch
from gravurekit.receipt import Plan
from gravurekit.record import Record
from gravurekit.stages import _match, _presets
from gravurekit.stages._drawing import Artist, drawings, knobs_of
from gravurekit.stages._match import Match

REVISION = 1
STYLE = "engrave"  # the default
REFINED_TOGETHER = 8  # pictures of a task when they are refined, which may take a minute each: a kill costs no more
COMPILED = 3.0  # s; the first of two tiny drawings takes so much longer only if something had to be compiled


class Settings(base.Settings):
    """How photographs are drawn."""

    style: str = Field(STYLE, description="The style, by the name of its file in gravurekit/styles.")
    preset: str = Field("", description="Settings of the style that belong together: their name, or a TOML file.")
    variants: int = Field(1, ge=1, le=1000, description="How many times each photograph is drawn, by other chances.")
    short_side: int = Field(512, ge=64, le=4096, description="Shorter side of the drawings, px.")
    max_long_side: int = Field(2048, ge=64, le=16384, description="Longer side at most this, px.")
    seed: int = Field(0, ge=0, description="Seed of what a style leaves to chance, joined with key and variant.")


@dataclass(frozen=True)
class Job:
    """What is to be drawn: the pictures of `source`, a Folder or any folder of pictures. `tables`: the styles' own
    knobs; `style_images`: prints, or folders of them, that a refining style takes after; `features`: what it compares
    them by."""

    source: Path
    out: Path
    settings: Settings
    tables: Mapping[str, Mapping[str, Any]]
    style_images: tuple[Path, ...] = ()
    features: str = "random:0"

    @property
    def knobs(self) -> dict[str, base.Settings]:
        """Those of each style that takes part; raises UsageError."""
        return knobs_of(self.settings, self.tables)

    @property
    def artist(self) -> Artist:
        """Who draws; raises UsageError."""
        return Artist(self.settings, self.knobs, self.style_images, self.features)


def check(job: Job) -> None:
    """Raises UsageError as `check_style` does, and for an output folder of others."""
    check_style(job)
    for path in (job.source, *(path for path in job.style_images if path.is_dir())):
        folder.check_places(job.out, "stylize", path)


def check_style(job: Job) -> None:
    """Raises UsageError for a style, a preset or a knob that there isn't, for prints or features that are missing."""
    refines = len(job.knobs) > 1
    if refines and not job.style_images:
        raise UsageError(f"{job.settings.style} takes after real prints: name them with --style-image PRINT")
    for path in job.style_images:
        if not path.exists():
            raise UsageError(f"--style-image {path}: no such picture or folder")
    job.artist.check()


def presets(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the preset says of each style that takes part. Raises UsageError for one that there isn't."""
    return _presets.read(settings.style, settings.preset)


def look(job: Job) -> State:
    """Whether it is drawn already. Raises as `check` does, and DataError for a damaged input."""
    check(job)
    return folder.look(job.out, _plan(job, folder.read_photographs(job.source)))


def run(job: Job, executor: Executor, watch: Watch) -> Summary:
    """Draw. What an earlier run drew of the very same picture in the very same way is kept.

    Raises UsageError for a style that isn't there, DataError if the input is damaged or empty.
    """
    began = time.monotonic()
    check(job)  # before a long list of pictures is read
    found = folder.read_photographs(job.source)
    plan = _plan(job, found)
    state = folder.look(job.out, plan)
    if state.done:
        return state.done
    with folder.opened(job.out, "stylize", state.reasons, watch, job.source):
        if job.style_images and len(job.knobs) == 1:
            watch.note(f"--style-image says nothing to {job.settings.style}, which draws by rules")
        asked = [item.but(variant=number) for item in found for number in range(job.settings.variants)]
        done = _drawn_before(job.out, asked, plan)
        waiting = [item for item in asked if (item.key, item.variant) not in done]
        drawn = _draw_all(job, plan, waiting, executor, watch)
        kept = [*done.values(), *(item for item in drawn if not item.reason)]
        dropped = [item for item in drawn if item.reason]
        facts = {"drawn before": len(done)} if done else {}
        if job.settings.variants > 1:
            facts["photographs"] = len(found)
        return folder.finish(job.out, plan, kept, dropped, time.monotonic() - began, facts, job.source)


def preview(job: Job, picture: str, out: Path) -> Path:
    """Draw the file `picture`, or the one of this key in `source`, as a run would, and write a sheet of it to `out`.

    Raises UsageError for a picture that isn't there or can't be read, a sheet that isn't ours, and as `check` does.
    """
    from gravurekit.reports import preview as sheets

    check_style(job)
    sheets.refuse_to_overwrite(out)
    path, item = _named(job, picture)
    artist = job.artist
    try:
        sketch = artist.sketch(item.but(variant=0), artist.read(path))
    except PictureError as error:
        raise UsageError(f"{path}: {error.reason}, {error.detail}") from None
    sheets.write(sketch.photo, artist.finish([sketch])[0], out)
    return out


def match(job: Job, prints: Path, out: Path, executor: Executor, watch: Watch) -> Match:
    """Fit the style's free knobs to the pictures in the folder `prints`, on some of the photographs in `source`, and
    write the preset file `out`, which `--preset` takes.

    Raises UsageError for a style that can't be fitted, for prints that aren't there, for an `out` that is somebody
    else's, and as `check` does.
    """
    check_style(job)
    _match.refuse_to_overwrite(out)
    found = folder.read_photographs(job.source)
    knobs = job.knobs[job.settings.style]
    _prepare(job, watch)
    match = replace(_match.fit(job.settings, knobs, found, job.source, prints, executor, watch), out=out)
    storage.write_text(out, _match.toml(match))
    return match


def _named(job: Job, picture: str) -> tuple[Path, Record]:
    """A picture's file and its Record, whose key decides what is left to chance. A file in a Folder is named by it."""
    path = Path(picture)
    if path.is_file():
        stem = path.stem if (path.parent.parent / metadata.METADATA).is_file() else ""
        key = stem if re.fullmatch("[0-9a-f]{16}", stem) else records.key_of(metadata.file_sha256(path))
        return path, Record(key=key)
    found = [item for item in folder.read(job.source) if item.key.startswith(picture)] if job.source.is_dir() else []
    if len(found) != 1 or len(picture) < 4:
        raise UsageError(f"{picture}: no such file, nor the key of one picture in {job.source}")
    return job.source / found[0].file_name, found[0]


def _plan(job: Job, found: Sequence[Record]) -> Plan:
    knobs = job.knobs
    preset = _presets.file_of(job.settings.style, job.settings.preset)
    inputs = folder.inputs(found, preset=preset)
    if len(knobs) > 1:
        prints = [folder.side_digest(path, "--style-image") for path in job.style_images]
        inputs |= {"style images": base.digest(prints), "features": _features_digest(job.features)}
    # what a preset says stands in its style's table; and where a network runs changes nothing that is meant to differ
    tables = {f"[{name}]": said.model_dump(mode="json", exclude={"device"}) for name, said in knobs.items()}
    return Plan(
        stage="stylize",
        revision=1000 * REVISION + sum(crafts.load("styles", name).REVISION for name in knobs),
        settings=job.settings.model_dump(mode="json", exclude={"preset"}) | tables,
        inputs=inputs,
        seed=job.settings.seed,
    )


def _features_digest(spec: str) -> str:
    """Of a file, or of a run's model, the digest of its bytes; else what was said, which says it all."""
    kind, _, where = spec.partition(":")
    if kind == "random" or where == "torchvision":
        return spec
    path = Path(where)
    return folder.side_digest(path / "model.safetensors" if path.is_dir() else path, f"--features {kind}")


def _drawn_before(out: Path, asked: Sequence[Record], plan: Plan) -> dict[tuple[str, int | None], Record]:
    """By key and variant, what an earlier run drew that this one would draw alike, and that is whole; with today's
    labels."""
    try:
        before = {(item.key, item.variant): item for item in metadata.read_lines(out / metadata.METADATA)}
    except DataError:  # there is none, or it is torn
        return {}
    alike = {}
    for item in asked:
        known = before.get((item.key, item.variant))
        if known is not None and known.made_from == _made_from(item, plan):
            alike[item.key, item.variant] = _styled(item, known)
    lost = audit.changed_or_missing(out, alike.values())
    return {name: item for name, item in alike.items() if not lost & metadata.files_of(item).keys()}


def _made_from(item: Record, plan: Plan) -> str:
    """The digest of all that decides one drawing: which of how many it is doesn't count, but which it is."""
    knobs = {name: value for name, value in plan.settings.items() if name != "variants"}
    own = plan.model_copy(update={"settings": knobs | {"variant": item.variant}})
    return own.digest_for(item.sha256)


def _styled(item: Record, before: Record) -> Record:
    """Today's Record of a picture that was drawn `before`."""
    drawn = ("file_name", "plain_file_name", "wash_file_name", "sha256", "plain_sha256", "wash_sha256", "width",
             "height", "variant", "photo_key", "made_from")  # fmt: skip
    return item.but(**{name: getattr(before, name) for name in drawn})


def _draw_all(job: Job, plan: Plan, waiting: Sequence[Record], executor: Executor, watch: Watch) -> list[Record]:
    """A Record of each drawing, or of why there is none."""
    size: int | None = None
    if waiting:
        _prepare(job, watch)
    if waiting and len(job.knobs) > 1:
        size = REFINED_TOGETHER
        if said := job.artist.note():
            watch.note(said)
        if seconds := job.artist.forecast(waiting):
            watch.note(
                f"{job.settings.style}: about {figures.about(seconds)} for {len(waiting)} pictures in one process"
            )
        if _on_a_gpu(job.knobs[job.settings.style]):
            # processes would each hold the network on the one device, and take turns at it; a batch fills it
            executor = Serial()
    work = parts.Work(draw_part, _quarantined, (job, plan), (job.source,))
    lines = parts.run(job.out, "draw", plan.digest, [item.to_json() for item in waiting], work, executor, watch, size)
    return [records.from_json(line, "a part") for line in lines]


def _prepare(job: Job, watch: Watch) -> None:
    """Draw a tiny picture, so that what a style has to compile is compiled once, and not in every process."""
    watch.begin("prepare", None)
    began = time.monotonic()
    job.artist.warm_up()
    between = time.monotonic()
    job.artist.warm_up()
    seconds = between - began - (time.monotonic() - between)
    if seconds > COMPILED:
        watch.note(f"{job.settings.style}: {figures.about(seconds)} to prepare, most of which the next run needn't")


def _on_a_gpu(knobs: base.Settings) -> bool:
    device = getattr(knobs, "device", "cpu")
    if device == "auto":
        import torch

        return torch.cuda.is_available()
    return bool(device == "cuda")


def draw_part(items: list[str], context: tuple[Job, Plan], stem: Path) -> list[str]:
    """Draw the pictures of a task; a Record for each, with a `reason` if it couldn't be read."""
    job, plan = context
    asked = [records.from_json(line, "a task") for line in items]
    made_from = {(item.key, item.variant): _made_from(item, plan) for item in asked}
    return [
        (item if item.reason else item.but(made_from=made_from[item.key, item.variant])).to_json()
        for item in drawings(asked, job.source, job.out, job.artist)
    ]


def _quarantined(line: str, why: str) -> str:
    item = records.from_json(line, "a task")
    return item.but(reason="quarantined", detail=f"drawing it {why}").to_json()
