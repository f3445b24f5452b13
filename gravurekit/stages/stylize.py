"""stylize: photographs → styled/. Draws each as a coloured engraving, ink and colour wash kept apart."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from gravurekit import audit, crafts, folder, metadata, parts, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import DataError, PictureError
from gravurekit.executor import Executor
from gravurekit.folder import State, Summary
from gravurekit.progress import Watch
from gravurekit.receipt import Plan
from gravurekit.record import Record

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.layers import Layers

REVISION = 1


class Settings(base.Settings):
    """How photographs are drawn."""

    style: str = Field("cartoon", description="The style, by the name of its file in gravurekit/styles.")
    short_side: int = Field(512, ge=64, le=4096, description="Shorter side of the drawings, px.")
    max_long_side: int = Field(2048, ge=64, le=16384, description="Longer side at most this, px.")
    seed: int = Field(0, ge=0, description="Seed of what a style leaves to chance, joined with each picture's key.")


@dataclass(frozen=True)
class Job:
    """What is to be drawn: the pictures of `source`, a Folder or any folder of pictures. `tables`: the styles' own
    knobs."""

    source: Path
    out: Path
    settings: Settings
    tables: Mapping[str, Mapping[str, Any]]


def check(job: Job) -> None:
    """Raises UsageError for a style or a knob that there isn't, or an output folder of others."""
    _knobs(job)
    folder.check_places(job.out, "stylize", job.source)


def look(job: Job) -> State:
    """Whether it is drawn already. Raises as `check` does, and DataError for a damaged input."""
    return folder.look(job.out, _plan(job, folder.read(job.source)))


def run(job: Job, executor: Executor, watch: Watch) -> Summary:
    """Draw. What an earlier run drew of the very same picture in the very same way is kept.

    Raises UsageError for a style that isn't there, DataError if the input is damaged or empty.
    """
    began = time.monotonic()
    check(job)  # before a long list of pictures is read
    found = folder.read(job.source)
    plan = _plan(job, found)
    state = folder.look(job.out, plan)
    if state.done:
        return state.done
    with folder.opened(job.out, "stylize", state.reasons, watch, job.source):
        done = _drawn_before(job.out, found, plan)
        waiting = [item.to_json() for item in found if item.key not in done]
        context = (job, plan)
        work = parts.Work(draw_part, _quarantined, context)
        lines = parts.run(job.out, "draw", plan.digest, waiting, work, executor, watch)
        drawn = [records.from_json(line, "a part") for line in lines]
        kept = [*done.values(), *(item for item in drawn if not item.reason)]
        dropped = [item for item in drawn if item.reason]
        facts = {"drawn before": len(done)} if done else {}
        return folder.finish(job.out, plan, kept, dropped, time.monotonic() - began, facts, job.source)


def _knobs(job: Job) -> base.Settings:
    crafts.check_tables("styles", "stylize", job.tables)
    return crafts.settings_of("styles", "stylize", job.settings.style, job.tables)


def _plan(job: Job, found: Sequence[Record]) -> Plan:
    name = job.settings.style
    return Plan(
        stage="stylize",
        revision=1000 * REVISION + crafts.load("styles", name).REVISION,
        settings=job.settings.model_dump(mode="json") | {f"[{name}]": _knobs(job).model_dump(mode="json")},
        inputs=folder.inputs(found),
        seed=job.settings.seed,
    )


def _drawn_before(out: Path, found: Sequence[Record], plan: Plan) -> dict[str, Record]:
    """By key, what an earlier run drew that this one would draw alike, and that is whole; with today's labels."""
    try:
        before = {item.key: item for item in metadata.read_lines(out / metadata.METADATA)}
    except DataError:  # there is none, or it is torn
        return {}
    alike = [item for item in found if _made_from(before.get(item.key)) == plan.digest_for(item.sha256)]
    lost = audit.changed_or_missing(out, [before[item.key] for item in alike])
    return {
        item.key: _styled(item, before[item.key])
        for item in alike
        if not lost & metadata.files_of(before[item.key]).keys()
    }


def _made_from(item: Record | None) -> str:
    return item.made_from if item else ""


def _styled(item: Record, before: Record) -> Record:
    """Today's Record of a picture that was drawn `before`."""
    drawn = ("file_name", "plain_file_name", "wash_file_name", "sha256", "plain_sha256", "wash_sha256", "width",
             "height", "variant", "photo_key", "made_from")  # fmt: skip
    return item.but(**{name: getattr(before, name) for name in drawn})


def draw_part(items: list[str], context: tuple[Job, Plan], stem: Path) -> list[str]:
    """Draw the pictures of a task; a Record for each, with a `reason` if it couldn't be read."""
    job, plan = context
    style, knobs = crafts.load("styles", job.settings.style), _knobs(job)

    def draw(item: Record) -> Record:
        try:
            photo, size = _photo(job.source / item.file_name, job.settings, _drawn_at(style, knobs, job.settings))
        except PictureError as error:
            return item.but(reason=error.reason, detail=error.detail)
        layers = style.draw(photo, knobs, _chance(job.settings.seed, item.key)).resized(*size)
        return _save(item, layers, job.out).but(made_from=plan.digest_for(item.sha256))

    return [draw(records.from_json(line, "a task")).to_json() for line in items]


def _drawn_at(style: Any, knobs: base.Settings, settings: Settings) -> int:
    """The short side, px, at which a style draws: not below that of the result, to which it is reduced."""
    wanted = style.drawn_at(knobs, settings.short_side) if hasattr(style, "drawn_at") else settings.short_side
    return max(int(wanted), settings.short_side)


def _photo(path: Path, settings: Settings, side: int) -> "tuple[np.ndarray, tuple[int, int]]":
    """The photograph that is drawn, (H, W, 3) uint8 sRGB with the short side `side`, and the width and height, px, of
    what is written of it."""
    from gravurekit import images

    pixels = images.read(path, reduce_to=max(side, 2 * settings.short_side)).pixels
    width, height = images.fitted(pixels.shape[1], pixels.shape[0], settings.short_side, settings.max_long_side)
    scale = side / settings.short_side  # also where the long side is what sets the limit
    return images.resize(pixels, max(1, round(width * scale)), max(1, round(height * scale))), (width, height)


def _chance(seed: int, key: str) -> Any:
    """A Generator that depends on the seed and the picture alone, never on order or workers."""
    import numpy as np

    return np.random.default_rng([seed, int(key, 16)])


def _save(item: Record, layers: "Layers", out: Path) -> Record:
    from gravurekit import images

    names = (f"images/{item.key}.jpg", f"plain/{item.key}.png", f"wash/{item.key}.jpg")
    files = (images.encode_jpeg(layers.print), images.encode_png(layers.plain), images.encode_jpeg(layers.wash))
    for name, data in zip(names, files, strict=True):
        storage.write_bytes(out / name, data)
    height, width = layers.plain.shape
    sums = [hashlib.sha256(data).hexdigest() for data in files]
    return item.but(
        file_name=names[0],
        sha256=sums[0],
        plain_file_name=names[1],
        plain_sha256=sums[1],
        wash_file_name=names[2],
        wash_sha256=sums[2],
        width=width,
        height=height,
        variant=0,
        photo_key=item.key,
    )


def _quarantined(line: str) -> str:
    item = records.from_json(line, "a task")
    return item.but(reason="quarantined", detail="drawing it killed the process").to_json()
