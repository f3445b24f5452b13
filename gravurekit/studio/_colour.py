"""Colouring one dropped print, in a worker process: a reduced copy to look at, or the file that `colorize` would write.

The network of a run stays loaded, and so do the last moods, because people try one thing after the other.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gravurekit import record as records
from gravurekit.record import Record
from gravurekit.stages import _palettes, _steering, colorize
from gravurekit.stages._colouring import Print, Wanted, made_of
from gravurekit.studio import _opened

if TYPE_CHECKING:
    from gravurekit.colorizer import Colorizer
    from gravurekit.moods import Mood
    from gravurekit.stages._steering import Asked

QUALITY = 92
CLASSES = 5
LOADED, MOODS = 2, 32  # networks and moods that are kept


@dataclass(frozen=True)
class Task:
    """A print, its name, the model's file, and how it is coloured, hints in px of the whole print; `likes`: pictures in
    whose manner, with their names."""

    picture: _opened.Task
    name: str
    model: Path
    knobs: colorize.Settings
    likes: tuple[tuple[str, _opened.Task], ...] = ()


@dataclass(frozen=True)
class Shown:
    """A JPEG of a print in colour, no larger than `_opened.PREVIEW`; what the network takes it for, and its notes."""

    jpeg: bytes
    classes: list[tuple[str, float]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class About:
    """What a network can be told: whether a palette and hints; the words whose colours it keeps; of how many classes it
    knows a print's, and the size of what it learned from, px."""

    palette: bool
    hints: bool
    words: list[str]
    classes: int
    size: tuple[int, int]


def about(model: Path) -> About:
    """Load the network of a model's file. Raises ModelError."""
    predictor = _colorizer(model).predictor
    config = predictor.network.config
    return About(config.palette, config.hints, _palettes.known(model), len(config.classes), predictor.trained_size)


def show(task: Task) -> Shown:
    """Colour a copy that is large enough to look at. Raises as `write` does."""
    from gravurekit import images

    pixels = _opened.opened(task.picture)
    height, width = pixels.shape[:2]
    wanted = _wanted(task)
    _steering.check_inside(wanted.steer.hints, width, height, task.name)
    small = images.fit_long_side(pixels, _opened.PREVIEW)
    scale = small.shape[1] / width, small.shape[0] / height
    hints = tuple(replace(hint, x=hint.x * scale[0], y=hint.y * scale[1]) for hint in wanted.steer.hints)
    steer = replace(wanted.steered(wanted.palettes[0]), hints=hints)
    done = _colorizer(task.model).colour(small, wanted.look, steer)
    return Shown(images.encode_jpeg(done.pixels, QUALITY), done.classes[:CLASSES], done.notes)


def write(task: Task) -> Mapping[str, bytes]:
    """The files that `colorize` would write, PNGs by name, the coloured print last.

    Raises PictureError, UsageError for words that steer nothing or a hint outside of the print, ModelError, and
    DataError for a run without palettes."""
    stem = Path(task.name).stem or "picture"
    item = Record(key=records.key_of(task.picture.sha256), title=task.name)
    each = Print(Path(task.name), task.picture.sha256, item, (f"{stem}.png",), ("",))
    return made_of(each, _opened.opened(task.picture), _colorizer(task.model), _wanted(task)).files


def _wanted(task: Task) -> Wanted:
    colorize.check_knobs(task.knobs)
    return colorize.wanted(task.knobs, [_palette(task)], _mood(task))


def _palette(task: Task) -> "Asked | None":
    """Colours are words only: those of the settings could name any file of this machine."""
    if task.knobs.palette:
        return _steering.palette_of_colours(task.knobs.palette)
    if task.knobs.word:
        return _steering.as_word(task.model, task.knobs.word)[0]
    return None


# ---- what is kept ---------------------------------------------------------------------------------------


def _colorizer(model: Path) -> "Colorizer":
    from gravurekit.errors import ModelError

    try:
        found = model.stat()
    except OSError as error:
        raise ModelError(f"{model} can't be read ({error.strerror}): choose another run") from None
    return _loaded(model, found.st_mtime_ns, found.st_size)


@lru_cache(LOADED)
def _loaded(model: Path, _changed: int, _size: int) -> "Colorizer":
    from gravurekit.colorizer import Colorizer

    return Colorizer.load(model)


_moods: "OrderedDict[tuple[object, ...], Mood]" = OrderedDict()


def _mood(task: Task) -> "Mood | None":
    """The mean of what the network sees in the pictures in whose manner it is to colour."""
    from gravurekit import moods

    found = [_mood_of(name, picture, task) for name, picture in task.likes]
    return moods.mean(found) if found else None


def _mood_of(name: str, picture: _opened.Task, task: Task) -> "Mood":
    from gravurekit import moods

    colorizer, look = _colorizer(task.model), colorize.look_of(task.knobs)
    known = (colorizer.digest, picture.sha256, name, look.photo, look.feed, look.work_size)
    if known not in _moods:
        vector = colorizer.mood(_opened.opened(picture), look)
        _moods[known] = moods.Mood(vector, (name,), colorizer.digest)
        while len(_moods) > MOODS:
            _moods.popitem(last=False)
    return _moods[known]
