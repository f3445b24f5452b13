"""colorize: prints → coloured/. Lays a colour wash under the ink of real engravings, at any size."""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gravurekit import crafts, folder, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import DataError, PictureError, UsageError
from gravurekit.folder import Summary
from gravurekit.progress import Watch
from gravurekit.record import Record

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.model.colorizer import Colorizer


class Settings(base.Settings):
    """How the network's colours come onto the picture."""

    photo: bool = Field(False, description="The picture is a photograph: keep its lightness, add colour to it.")
    feed: Literal["style", "tone"] = Field(
        "style", description="What the network sees of a print: lines drawn anew in the training style, or its tone."
    )
    saturation: float = Field(1.0, ge=0, le=10, description="Factor on the chroma that the network gives.")
    work_size: int = Field(0, ge=0, le=4096, description="Long side that the network sees, px; 0: as it was trained.")
    panel: bool = Field(False, description="Also write a panel: original | L | result.")
    overwrite: bool = Field(False, description="Replace a file of the same name that isn't the same picture's.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the network runs.")


def run(prints: Sequence[Path], out: Path, model: Path | None, runs: Path, settings: Settings, watch: Watch) -> Summary:
    """Colour `prints` (pictures, or folders of them) into `out` with `model` (a run's folder), or the newest finished
    run below `runs`.

    Raises UsageError for a print that isn't there or an output that would be overwritten, ModelError for a model that
    can't be used, DataError if there is no run or no print could be read.
    """
    from gravurekit.model.colorizer import Colorizer

    began = time.monotonic()
    pictures = _expand(prints)
    colorizer = Colorizer.load(model or newest_run(runs), settings.device)
    folder.claim(out, "colorize")
    known = _known(out)
    names = _names(pictures, out, known, settings)
    watch.begin("colorize", len(pictures))
    done, dropped = [], []
    for path, name in zip(pictures, names, strict=True):
        try:
            done.append(_colour(path, name, out, colorizer, settings))
        except PictureError as error:
            watch.note(f"{path} can't be coloured: {error}")
            dropped.append(
                Record(
                    key=records.key_of_url(str(path)),
                    title=path.name,
                    reason=error.reason,
                    detail=error.detail,
                )
            )
        watch.advance()
    if not done:
        raise DataError(f"none of {len(pictures)} pictures could be coloured ({dropped[0].title}: {dropped[0].detail})")
    known |= {item.file_name: item for item in done}
    storage.write_lines(out / folder.METADATA, (known[name].to_json() for name in sorted(known)))
    storage.write_lines(out / folder.DROPPED, (item.to_json() for item in dropped))
    files = [str(out / name) for item in done for name in folder.files_of(item)]
    if settings.panel:
        files += [str(out / _panel_name(item.file_name)) for item in done]
    reasons = {reason: sum(item.reason == reason for item in dropped) for reason in sorted({d.reason for d in dropped})}
    return Summary("colorize", out, len(pictures), len(done), reasons, time.monotonic() - began, facts={"files": files})


def newest_run(runs: Path) -> Path:
    """The finished run whose receipt is newest. Raises DataError that names `train` if there is none."""
    finished = [path.parent for path in runs.glob(f"*/{folder.RECEIPT}")] if runs.is_dir() else []
    if not finished:
        raise DataError(f"no finished training in {runs}: run `gravurekit train`, or name a run with --model")
    return max(finished, key=lambda path: ((path / folder.RECEIPT).stat().st_mtime_ns, path.name))


def _expand(prints: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in prints:
        if path.is_dir():
            inside = [path / item.file_name for item in folder.read(path)]
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError(f"{path}: no such picture or folder")
    if not found:
        raise UsageError("name a picture or a folder of pictures to colour")
    return list(dict.fromkeys(found))


def _known(out: Path) -> dict[str, Record]:
    """What earlier runs coloured, by file name; lines that a kill has torn are as if not written."""
    entries = storage.read_json_lines(out / folder.METADATA)
    found = [records.from_json(json.dumps(entry), str(out / folder.METADATA)) for entry in entries]
    return {item.file_name: item for item in found}


def _names(pictures: Sequence[Path], out: Path, known: dict[str, Record], settings: Settings) -> list[str]:
    """A file name for each picture, after its own; two of one name, or of a panel's, are told apart by a number."""
    names: list[str] = []
    taken: set[str] = set()
    for path in pictures:
        number = 1
        while {name := _numbered(path.stem, number), _panel_name(name)} & taken:
            number += 1
        same = name in known and known[name].key == records.key_of(folder.file_sha256(path))
        if (out / name).exists() and not same and not settings.overwrite:
            raise UsageError(f"{out / name} is there already, of another picture: --overwrite, or another --out")
        names.append(name)
        taken |= {name, _panel_name(name)}
    return names


def _numbered(stem: str, number: int) -> str:
    return f"{stem}.png" if number == 1 else f"{stem}-{number}.png"


def _colour(path: Path, name: str, out: Path, colorizer: "Colorizer", settings: Settings) -> Record:
    from gravurekit import images, tint

    pixels = images.read(path).pixels
    if settings.photo:
        fed = tint.photo_lightness(pixels)
        ab, classes = _predict(fed, colorizer, settings)
        coloured = tint.on_photo(pixels, ab)
    else:
        ink = tint.print_ink(pixels)
        fed = tint.grey_lightness(_redrawn(ink, colorizer, settings))
        ab, classes = _predict(fed, colorizer, settings)
        coloured = tint.under_ink(pixels, tint.grey_lightness(ink), ab)
    data = images.encode_png(coloured)
    item = Record(
        key=records.key_of(folder.file_sha256(path)),
        file_name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        width=pixels.shape[1],
        height=pixels.shape[0],
        title=path.name,
        scores={f"class {label}": round(odds, 4) for label, odds in classes[:3]},
    )
    # first the line, then the file: killed in between, the next run still knows whose file it is
    storage.append_line(out / folder.METADATA, item.to_json())
    storage.write_bytes(out / name, data)
    if settings.panel:
        storage.write_bytes(out / _panel_name(name), images.encode_png(tint.panel(pixels, fed, coloured)))
    return item


def _redrawn(ink: "np.ndarray", colorizer: "Colorizer", settings: Settings) -> "np.ndarray":
    """The print's ink, (H, W) uint8, as the style of the training pictures would have drawn it, at the size of those. A
    network that has learnt one kind of line doesn't know what another means."""
    from gravurekit import images

    style = colorizer.about.get("style")
    if settings.feed == "tone" or not style:
        return ink
    craft = crafts.load("styles", style["name"])
    knobs = craft.Settings.model_validate_json(json.dumps(style["settings"]))
    drawn = craft.redraw(images.fit_short_side(ink, style["short_side"], style["max_long_side"]), knobs)
    return images.resize(drawn, ink.shape[1], ink.shape[0])


def _predict(
    L: "np.ndarray", colorizer: "Colorizer", settings: Settings
) -> "tuple[np.ndarray, list[tuple[str, float]]]":
    """(H, W) L → (H, W, 2) float32 ab, and class probabilities. The network sees the picture as in training: in the
    middle of a white square."""
    import numpy as np

    from gravurekit import images

    height, width = L.shape
    side = settings.work_size or int(colorizer.about.get("size", 224))
    scale = side / max(height, width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (side - tall) // 2, (side - wide) // 2
    square = np.full((side, side), 100, np.float32)
    square[top : top + tall, left : left + wide] = images.resize(L, wide, tall)
    prediction = colorizer.predict(square)
    ab = prediction.ab[top : top + tall, left : left + wide] * settings.saturation
    return images.resize(np.ascontiguousarray(ab), width, height), prediction.classes


def _panel_name(name: str) -> str:
    return f"{Path(name).stem}-panel.png"
