"""What stylize does to one picture: read it, draw it, refine it, write it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gravurekit import crafts, storage
from gravurekit import settings as base
from gravurekit.errors import PictureError
from gravurekit.record import Record
from gravurekit.stages import _presets
from gravurekit.styles import drawn_at

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.layers import Layers

LONGEST = 16_384  # px; a thread of a picture isn't drawn much larger: filters take no more than 32,767
AT_ONCE = 16_000_000  # px that a refining style is handed over together: some 40 pictures of 512 × 768


class Sizes(Protocol):
    """What is asked for of all styles alike: stylize's own Settings."""

    @property
    def style(self) -> str: ...
    @property
    def preset(self) -> str: ...
    @property
    def short_side(self) -> int: ...
    @property
    def max_long_side(self) -> int: ...
    @property
    def seed(self) -> int: ...


def knobs_of(settings: Sizes, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, base.Settings]:
    """The knobs of each style that takes part, in the order of their work: defaults, then the preset, then `tables`
    (the file's, with `--set` over them). Raises UsageError for a style, a preset or a knob that there isn't."""
    crafts.check_tables("styles", "stylize", tables)
    preset = _presets.read(settings.style, settings.preset)
    return {
        name: crafts.settings_of("styles", "stylize", name, {name: {**preset.get(name, {}), **tables.get(name, {})}})
        for name in _presets.line_of(settings.style)
    }


@dataclass(frozen=True)
class Sketch:
    """A drawing that may still be refined. `photo` (H, W, 3) uint8 sRGB, of the drawing's size."""

    item: Record
    photo: "np.ndarray"
    layers: "Layers"
    chance: "np.random.Generator"


class Artist:
    """A style, and the one it starts from if it refines, with their knobs."""

    def __init__(
        self, settings: Sizes, knobs: Mapping[str, base.Settings], style_images: Sequence[Path], features: str
    ):
        from gravurekit.layers import Side

        (first, self._knobs), *more = knobs.items()
        self._settings = settings
        self._style = crafts.load("styles", first)
        self._refiner = crafts.load("styles", more[0][0]) if more else None
        self._refiner_knobs = more[0][1] if more else None
        self._side = Side(tuple(style_images), features)

    @property
    def refines(self) -> bool:
        """Whether drawings are worked on together once they are drawn."""
        return self._refiner is not None

    def check(self) -> None:
        """Raises UsageError for what the refining style can't use."""
        if hasattr(self._refiner, "check"):
            self._refiner.check(self._refiner_knobs, self._side)  # type: ignore[union-attr]

    def note(self) -> str:
        """What people should know of the features that drawings are compared by; may be empty."""
        return str(self._refiner.note(self._side)) if hasattr(self._refiner, "note") else ""  # type: ignore[union-attr]

    def forecast(self, found: Sequence[Record]) -> float:
        """About how many seconds refining these pictures will take; 0 if nobody can say."""
        if not found or self._refiner is None or not hasattr(self._refiner, "forecast"):
            return 0.0
        from gravurekit import images

        middle = sorted(found, key=lambda item: item.width * item.height)[len(found) // 2]
        size = (middle.width or 2, middle.height or 3)  # a folder that tells no sizes: upright photographs
        width, height = images.fitted(*size, self._settings.short_side, self._settings.max_long_side)
        return float(self._refiner.forecast(len(found), (height, width), self._refiner_knobs, self._side))

    def sketch(self, item: Record, pixels: "np.ndarray") -> Sketch:
        """Draw the photograph `pixels`, (H, W, 3) uint8 sRGB of any size, and reduce what comes of it."""
        from gravurekit import images

        settings, (height, width) = self._settings, pixels.shape[:2]
        width, height = images.fitted(width, height, settings.short_side, settings.max_long_side)
        scale = self._side_drawn / settings.short_side  # also where the long side is what sets the limit
        scale = max(1.0, min(scale, LONGEST / max(width, height)))
        large = images.resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))
        chance = _chance(settings.seed, item)
        layers = self._style.draw(large, self._knobs, chance).resized(width, height)
        return Sketch(item, images.resize(large, width, height), layers, chance)

    def warm_up(self) -> None:
        """Draw a tiny picture, so that libraries are loaded and kernels compiled."""
        import numpy as np

        self._style.draw(np.full((64, 64, 3), 128, np.uint8), self._knobs, np.random.default_rng(0))

    def read(self, path: Path) -> "np.ndarray":
        """The photograph of a file, (H, W, 3) uint8 sRGB, not much larger than it is drawn. Raises PictureError."""
        from gravurekit import images

        return images.read(path, reduce_to=self.side_read, thrifty=True).pixels

    @property
    def side_read(self) -> int:
        """The short side, px, below which a photograph isn't reduced when it is read."""
        return max(self._side_drawn, 2 * self._settings.short_side)

    @property
    def _side_drawn(self) -> int:
        return drawn_at(self._style, self._knobs, self._settings.short_side)

    def finish(self, sketches: "Sequence[Sketch]") -> "list[Layers]":
        """The drawings as they will be written."""
        layers = [sketch.layers for sketch in sketches]
        if self._refiner is None:
            return layers
        photos, chances = [sketch.photo for sketch in sketches], [sketch.chance for sketch in sketches]
        done: list[Layers] = self._refiner.refine(layers, photos, self._refiner_knobs, chances, self._side)
        return done


def _chance(seed: int, item: Record) -> "np.random.Generator":
    """A Generator that depends on the seed, the picture and its variant alone, never on order or workers."""
    import numpy as np

    return np.random.default_rng([seed, int(item.key, 16), item.variant or 0])


def drawings(found: Sequence[Record], source: Path, out: Path, artist: Artist) -> Iterator[Record]:
    """Draw the pictures of a task and write the files; a Record for each, with a `reason` if it couldn't be read."""
    read = lru_cache(maxsize=1)(artist.read)  # variants of a picture follow one another
    storage.bring((source / item.file_name, item.sha256) for item in found)
    waiting: list[Sketch] = []
    for item in found:
        try:
            pixels = read(storage.at_hand(source / item.file_name, item.sha256))
        except PictureError as error:
            yield item.but(reason=error.reason, detail=error.detail)
            continue
        waiting.append(artist.sketch(item, pixels))
        if not artist.refines or sum(sketch.layers.plain.size for sketch in waiting) > AT_ONCE:
            yield from _written(waiting, artist, out)
            waiting = []
    yield from _written(waiting, artist, out)


def _written(sketches: Sequence[Sketch], artist: Artist, out: Path) -> Iterator[Record]:
    if sketches:
        for sketch, layers in zip(sketches, artist.finish(sketches), strict=True):
            yield _save(sketch.item, layers, out)


def _save(item: Record, layers: "Layers", out: Path) -> Record:
    """Write the three files of a drawing; its Record. The first variant has the picture's own name."""
    from gravurekit import images

    stem = f"{item.key}-{item.variant}" if item.variant else item.key
    names = (f"images/{stem}.jpg", f"plain/{stem}.png", f"wash/{stem}.jpg")
    files = (images.encode_jpeg(layers.print), images.encode_png(layers.plain), images.encode_jpeg(layers.wash))
    storage.write_together({out / name: data for name, data in zip(names, files, strict=True)})
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
        photo_key=item.key,
    )
