"""Drawing one dropped picture, in a worker process: what `stylize` does to it, quickly and in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gravurekit import record as records
from gravurekit.record import Record
from gravurekit.settings import layered
from gravurekit.stages import stylize
from gravurekit.stages._drawing import Artist, knobs_of
from gravurekit.studio import _opened

if TYPE_CHECKING:
    import numpy as np

QUALITY = 92
MOST_LONG = 4  # times the short side, how long a drawing may be: a strip costs no more than a picture


@dataclass(frozen=True)
class Task:
    """A picture, how it is drawn, and the short side of the drawing, px. `knobs`: all of the style's own."""

    picture: _opened.Task
    style: str
    knobs: Mapping[str, Any]
    seed: int
    side: int


@dataclass(frozen=True)
class Drawn:
    """JPEGs of a drawing's layers, all of one size, by name."""

    width: int
    height: int
    layers: Mapping[str, bytes]


def draw(task: Task) -> Drawn:
    """Draw. The same picture, knobs and seed give what `stylize` draws of its file. Raises PictureError, and UsageError
    for a knob that the style hasn't got."""
    from gravurekit import images

    settings = _settings(task.style, seed=task.seed, short_side=task.side, max_long_side=MOST_LONG * task.side)
    artist = Artist(settings, knobs_of(settings, {task.style: task.knobs}), (), "random:0")
    pixels = _opened.opened(task.picture, artist.side_read)
    sketch = artist.sketch(Record(key=records.key_of(task.picture.sha256), variant=0), pixels)
    (layers,) = artist.finish([sketch])
    views: dict[str, np.ndarray] = {
        "photograph": sketch.photo, "ink": layers.plain, "wash": layers.wash, "print": layers.print,
    }  # fmt: skip
    height, width = layers.plain.shape
    return Drawn(width, height, {name: images.encode_jpeg(view, QUALITY) for name, view in views.items()})


@lru_cache
def warm_up(style: str) -> None:
    """Load what a style needs, and compile it, so that the first picture isn't waited for."""
    settings = _settings(style)
    Artist(settings, knobs_of(settings, {}), (), "random:0").warm_up()


def _settings(style: str, **knobs: int) -> stylize.Settings:
    return layered(stylize.Settings, "stylize", {"style": style, **knobs})
