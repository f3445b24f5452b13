"""From the words of a command line to what a network is told: palettes, hints, moods. Whatever people can get wrong is
a UsageError that says what to write instead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gravurekit.errors import PictureError, UsageError
from gravurekit.stages import _palettes

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.moods import Mood
    from gravurekit.swatches import Hint

MOST_HINTS = 1000


@dataclass(frozen=True, eq=False)
class Asked:
    """A palette, (27, 27) int64, and what it was made from, in words, for metadata."""

    histogram: "np.ndarray"
    said: str


def palette(text: str) -> Asked:
    """`--palette`: a picture's file, or colours. Raises UsageError for neither."""
    from gravurekit import swatches

    if picture := palette_picture(text):
        return Asked(swatches.histogram_of_picture(_pixels(picture, "--palette")), f"colours of {picture.name}")
    try:
        return palette_of_colours(text)
    except UsageError as error:
        if "/" in text or Path(text).suffix:
            raise UsageError(f"--palette {text}: no such picture, and {error}") from None
        raise UsageError(f"--palette: {error}; or name a picture's file") from None


def palette_of_colours(text: str) -> Asked:
    """Colours in words, as in 'red,#e0b088'; no file is looked for. Raises UsageError."""
    from gravurekit import swatches

    found = swatches.colours(text)
    return Asked(swatches.histogram(found), ",".join("#{:02x}{:02x}{:02x}".format(*rgb) for rgb in found))


def palette_picture(text: str) -> Path | None:
    """The picture that `--palette` names; None if it says colours, or nothing."""
    return Path(text) if text and _is_file(Path(text)) else None


def as_word(model: Path, word: str, samples: int = 1, seed: int = 0) -> list[Asked]:
    """`--as`, with `--samples`: the palette of all pictures of a label or keyword of the training; of several samples
    those of different pictures, far from one another. `model`: a run's folder, or the model's file in it.

    Raises UsageError for a word that the training didn't know, or more samples than it keeps; DataError for a run
    without palettes."""
    found = _palettes.find(model, word)
    if samples < 1:
        raise UsageError(f"--samples {samples}: at least 1")
    if samples == 1:
        return [Asked(found.summed, f"as {found.name}, {found.samples} pictures")]
    several = _palettes.several(found, samples, seed)
    return [Asked(one, f"as {found.name}, picture {n}") for n, one in enumerate(several, 1)]


def hints(texts: Sequence[str]) -> "tuple[Hint, ...]":
    """`--hint x,y,colour`, each: px from the picture's upper left corner. Raises UsageError."""
    if len(texts) > MOST_HINTS:
        raise UsageError(f"{len(texts)} hints are too many: at most {MOST_HINTS}")
    return tuple(_hint(text) for text in texts)


def _hint(text: str) -> "Hint":
    import math

    from gravurekit import swatches

    x, _, rest = text.partition(",")
    y, comma, colour = rest.partition(",")
    try:
        place = float(x), float(y)
    except ValueError:
        place = math.nan, math.nan
    if not comma or not all(math.isfinite(value) for value in place):
        raise UsageError(f"--hint {text!r}: write x,y,colour, as in 120,340,#a01828 (px from the upper left corner)")
    try:
        return swatches.Hint(*place, swatches.colour(colour.strip()))
    except UsageError as error:
        raise UsageError(f"--hint {text!r}: {error}") from None


def check_inside(hints: "Sequence[Hint]", width: int, height: int, name: str) -> None:
    """Raises UsageError if a hint lies outside the picture `name` of so many px."""
    for hint in hints:
        if not (0 <= hint.x < width and 0 <= hint.y < height):
            raise UsageError(
                f"--hint {hint.x:g},{hint.y:g} lies outside {name}, which is {width}×{height} px: x is 0 to "
                f"{width - 1}, y 0 to {height - 1}"
            )


def mood(likes: Sequence[Path], model: str, of: "Callable[[np.ndarray], np.ndarray]") -> "Mood | None":
    """`--like`, each a picture or a mood's file: their mean; None for none.

    model  sha256 of the model's file
    of     pixels (H, W, 3) uint8 sRGB → the global vector (256,) float32 that the network gives them

    Raises UsageError for what is neither, or a mood of another model; DataError for a damaged mood.
    """
    from gravurekit import moods

    found = [
        moods.load(path, model)
        if path.suffix == moods.SUFFIX
        else moods.Mood(of(_pixels(path, "--like")), (path.name,), model)
        for path in likes
    ]
    return moods.mean(found) if found else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for a name, or a zero byte in it
        return False


def _pixels(path: Path, flag: str) -> "np.ndarray":
    from gravurekit import images

    if not _is_file(path):
        raise UsageError(f"{flag} {path}: no such picture")
    try:
        return images.read(path).pixels
    except PictureError as error:
        raise UsageError(f"{flag} {path} can't be read ({error}): name another picture") from None
