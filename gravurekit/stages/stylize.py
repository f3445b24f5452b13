"""stylize: photographs → styled/. Draws each as a coloured engraving, ink and colour wash kept apart."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from gravurekit import crafts, folder, parts, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import PictureError
from gravurekit.executor import Executor
from gravurekit.folder import Plan, Summary
from gravurekit.progress import Watch
from gravurekit.record import Record

if TYPE_CHECKING:
    from gravurekit.layers import Layers

REVISION = 1


class Settings(base.Settings):
    """How photographs are drawn."""

    style: str = Field("cartoon", description="The style, by the name of its file in gravurekit/styles.")
    short_side: int = Field(512, ge=64, le=4096, description="Shorter side of the drawings, px.")
    max_long_side: int = Field(2048, ge=64, le=16384, description="Longer side at most this, px.")
    seed: int = Field(0, ge=0, description="Seed of what a style leaves to chance, joined with each picture's key.")


def run(
    source: Path, out: Path, settings: Settings, tables: Mapping[str, Mapping[str, Any]], executor: Executor,
    watch: Watch,
) -> Summary:  # fmt: skip
    """Draw the pictures of `source` (a Folder, or any folder of pictures) into `out`.

    Raises UsageError for a style that isn't there, DataError if the input is damaged or empty.
    """
    began = time.monotonic()
    crafts.check_tables("styles", "stylize", tables)
    knobs = crafts.settings_of("styles", "stylize", settings.style, tables)
    found = folder.read(source)
    plan = _plan(found, settings, knobs)
    if done := folder.fresh(out, plan):
        return done
    folder.prepare(out, "stylize", source)
    context = (str(source), str(out), settings.model_dump_json(), knobs.model_dump_json())
    work = parts.Work(draw_part, _quarantined, context)
    lines = parts.run(out, "draw", plan.digest, [item.to_json() for item in found], work, executor, watch)
    drawn = [records.from_json(line, "a part") for line in lines]
    kept = [item for item in drawn if not item.reason]
    return folder.finish(out, plan, kept, [item for item in drawn if item.reason], time.monotonic() - began)


def _plan(found: Sequence[Record], settings: Settings, knobs: base.Settings) -> Plan:
    style = crafts.load("styles", settings.style)
    return Plan(
        stage="stylize",
        revision=1000 * REVISION + style.REVISION,
        settings=settings.model_dump(mode="json") | {f"[{settings.style}]": knobs.model_dump(mode="json")},
        inputs={"records": folder.input_digest(found)},
        seed=settings.seed,
    )


def draw_part(items: list[str], context: tuple[str, str, str, str], stem: Path) -> list[str]:
    """Draw the pictures of a task; a Record for each, with a `reason` if it couldn't be read."""
    source, out = Path(context[0]), Path(context[1])
    settings = Settings.model_validate_json(context[2])
    style = crafts.load("styles", settings.style)
    knobs = style.Settings.model_validate_json(context[3])

    def draw(item: Record) -> Record:
        try:
            photo = _photo(source / item.file_name, settings)
        except PictureError as error:
            return item.but(reason=error.reason, detail=error.detail)
        return _save(item, style.draw(photo, knobs, _chance(settings.seed, item.key)), out)

    return [draw(records.from_json(line, "a task")).to_json() for line in items]


def _photo(path: Path, settings: Settings) -> Any:
    from gravurekit import images

    pixels = images.read(path, reduce_to=2 * settings.short_side).pixels
    return images.fit_short_side(pixels, settings.short_side, settings.max_long_side)


def _chance(seed: int, key: str) -> Any:
    """A Generator that depends on the seed and the picture alone, never on order or workers."""
    import numpy as np

    return np.random.default_rng([seed, int(key, 16)])


def _save(item: Record, layers: "Layers", out: Path) -> Record:
    from gravurekit import images

    printed = images.encode_jpeg(layers.print)
    names = (f"images/{item.key}.jpg", f"plain/{item.key}.png", f"wash/{item.key}.jpg")
    files = (printed, images.encode_png(layers.plain), images.encode_jpeg(layers.wash))
    for name, data in zip(names, files, strict=True):
        storage.write_bytes(out / name, data)
    height, width = layers.plain.shape
    return item.but(
        file_name=names[0],
        plain_file_name=names[1],
        wash_file_name=names[2],
        sha256=hashlib.sha256(printed).hexdigest(),
        width=width,
        height=height,
        variant=0,
        photo_key=item.key,
    )


def _quarantined(line: str) -> str:
    item = records.from_json(line, "a task")
    return item.but(reason="quarantined", detail="drawing it killed the process").to_json()
