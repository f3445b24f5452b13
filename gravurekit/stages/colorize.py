"""colorize: prints → coloured/. Lays a colour wash under the ink of real engravings, at any size."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gravurekit import folder, storage
from gravurekit import record as records
from gravurekit import settings as base
from gravurekit.errors import DataError, PictureError, UsageError
from gravurekit.folder import Summary
from gravurekit.progress import Watch
from gravurekit.record import Record

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.images import Picture
    from gravurekit.model.colorizer import Colorizer

BAND = 512  # rows that are composed at a time, so that memory doesn't grow with the picture


class Settings(base.Settings):
    """How the network's colours come onto the picture."""

    photo: bool = Field(False, description="The picture is a photograph: keep its lightness, add colour to it.")
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

    pictures = _expand(prints)
    colorizer = Colorizer.load(model or newest_run(runs), settings.device)
    storage.make_folder(out)
    known = (
        {item.file_name: item for item in folder.read_lines(out / folder.METADATA)}
        if (out / folder.METADATA).exists()
        else {}
    )
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
    return Summary("colorize", out, len(pictures), len(done), reasons, facts={"files": files})


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


def _names(pictures: Sequence[Path], out: Path, known: dict[str, Record], settings: Settings) -> list[str]:
    """A file name for each picture, after its own; two of one name are told apart by a number."""
    names: list[str] = []
    for path in pictures:
        stem, number = path.stem, 1
        while (name := f"{stem}.png" if number == 1 else f"{stem}-{number}.png") in names:
            number += 1
        same = name in known and known[name].key == records.key_of(folder.file_sha256(path))
        if (out / name).exists() and not same and not settings.overwrite:
            raise UsageError(f"{out / name} is there already, of another picture: --overwrite, or another --out")
        names.append(name)
    return names


def _colour(path: Path, name: str, out: Path, colorizer: "Colorizer", settings: Settings) -> Record:
    from gravurekit import images

    picture = images.read(path)
    L = _lightness(picture, settings)
    ab, classes = _predict(L, colorizer, settings)
    coloured = _on_photo(picture, ab) if settings.photo else _under_ink(picture, ab)
    data = images.encode_png(coloured)
    storage.write_bytes(out / name, data)
    if settings.panel:
        storage.write_bytes(out / _panel_name(name), images.encode_png(_panel(picture, L, coloured)))
    return Record(
        key=records.key_of(folder.file_sha256(path)),
        file_name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        width=picture.width,
        height=picture.height,
        title=path.name,
        scores={f"class {label}": round(odds, 4) for label, odds in classes[:3]},
    )


def _lightness(picture: "Picture", settings: Settings, long_side: int = 1024) -> "np.ndarray":
    """What the network may be fed: (H, W) float32 L 0..100, long side at most `long_side`. A print's paper is brought
    to white, since the network has learnt ink on white paper."""
    import numpy as np

    from gravurekit import color, images

    scale = min(1.0, long_side / max(picture.width, picture.height))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = images.resize(picture.pixels, *size)
    if settings.photo:
        return np.asarray(color.rgb_to_lab(small)[..., 0])
    light = color.srgb_to_linear(small) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    paper = max(float(np.percentile(light, 95)), 1e-3)
    grey = color.linear_to_srgb(light / paper)
    return np.asarray(color.rgb_to_lab(np.repeat(grey[..., None], 3, axis=2))[..., 0])


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


def _under_ink(picture: "Picture", ab: "np.ndarray") -> "np.ndarray":
    """The print with a colour wash on its paper: wash × print in linear light, (H, W, 3) uint8 sRGB.

    Colour laid on white paper at unchanged lightness leaves the gamut and can't be seen, so the wash gets darker as
    its chroma grows.
    """
    import numpy as np

    from gravurekit import color

    chroma = np.hypot(ab[..., 0], ab[..., 1])
    lightness = np.clip(100.0 - 0.55 * chroma, 55.0, 100.0)
    wash = color.lab_to_rgb(np.dstack([lightness, ab]).astype(np.float32))
    return _in_bands(picture, wash, color.multiply)


def _on_photo(picture: "Picture", ab: "np.ndarray") -> "np.ndarray":
    """The photograph's own lightness with the network's ab, (H, W, 3) uint8 sRGB; chroma reduced into gamut."""
    import numpy as np

    from gravurekit import color

    def add(ab: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        return color.lab_to_rgb(np.dstack([color.rgb_to_lab(pixels)[..., 0], ab]).astype(np.float32))

    return _in_bands(picture, ab, add)


def _in_bands(
    picture: "Picture", small: "np.ndarray", compose: "Callable[[np.ndarray, np.ndarray], np.ndarray]"
) -> "np.ndarray":
    """Enlarge `small` to the picture's size and compose both, a band of rows at a time."""
    import numpy as np

    from gravurekit import images

    large = images.resize(small, picture.width, picture.height)
    bands = [
        compose(large[top : top + BAND], picture.pixels[top : top + BAND]) for top in range(0, picture.height, BAND)
    ]
    return np.concatenate(bands)


def _panel_name(name: str) -> str:
    return f"{Path(name).stem}-panel.png"


def _panel(picture: "Picture", L: "np.ndarray", coloured: "np.ndarray", height: int = 640) -> "np.ndarray":
    """original | L | result beside one another, (H, W, 3) uint8 sRGB."""
    import numpy as np

    from gravurekit import color, images

    flat = np.zeros((*L.shape, 2), np.float32)
    grey = color.lab_to_rgb(np.dstack([L, flat]))
    width = max(1, round(height * picture.width / picture.height))
    gap = np.full((height, 12, 3), 255, np.uint8)
    views = [images.resize(view, width, height) for view in (picture.pixels, grey, coloured)]
    return np.concatenate([views[0], gap, views[1], gap, views[2]], axis=1)
