"""Real coloured prints: they are made grey, coloured, and compared with what they were.

Their paper is made white first, because of a grey print nobody can know how yellow its paper was, and whoever paints
sepia over everything would come out best.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gravurekit import color, folder, images
from gravurekit import paper as papers
from gravurekit.colorizer import Colorizer, Steer
from gravurekit.errors import PictureError
from gravurekit.fed import on_sheet
from gravurekit.measures.colours import Truth, look
from gravurekit.measures.colours_sheet import candidates, fitted
from gravurekit.model.predictor import Predictor
from gravurekit.progress import Watch
from gravurekit.record import Record
from gravurekit.shards.palette import counted
from gravurekit.stages._colours_known import Known
from gravurekit.stages._colours_samples import GREY, NETWORK, OTHERS, OWN, SHOWN, TRUTH, Looked, guesses

LONG_SIDE = 512  # px, at which prints are coloured and compared
LEAST = 16  # px; prints with a shorter side are no pictures
PAPER = 95  # percentile of the light

# (H, W, 3) uint8 sRGB of an uncoloured print, and a palette to be told, (27, 27) as shards/palette.py counts them, or
# None → the coloured print, (H, W, 3) uint8 sRGB
Coloured = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


@dataclass(frozen=True, eq=False)
class _Print:
    item: Record
    truth: Truth
    grey: np.ndarray
    palette: np.ndarray | None


def coloured(predictor: Predictor) -> Coloured:
    """How `colorize` colours prints."""
    colorizer = Colorizer(predictor)
    return lambda pixels, palette: colorizer.colour(pixels, steer=Steer(palette)).pixels


def find(prints: Path, most: int) -> list[Record]:
    """At most so many pictures of a folder, evenly out of the whole. Raises DataError if there is none, or if the
    folder is damaged."""
    found = folder.read(prints)
    count = min(most, len(found))
    return [found[n * len(found) // count] for n in range(count)]


def look_at(
    prints: Path, items: Sequence[Record], colour: Coloured, palette: bool, known: Known, watch: Watch
) -> Iterator[Looked]:
    """Colour each print, and measure what came of it. `palette`: the network can be told one. Of prints that can't be
    read `watch` hears."""
    watch.begin("real prints", len(items))
    others = _others(prints, items, palette)
    shown = candidates(len(items))
    for number, item in enumerate(items):
        try:
            one = _read(prints, item, palette)
            yield _looked(one, others, colour, known, SHOWN if number in shown else ())
            others = one.palette if others is not None else None
        except PictureError as error:
            watch.note(f"{prints / item.file_name} isn't measured: {error}")
        watch.advance()


def _others(prints: Path, items: Sequence[Record], palette: bool) -> np.ndarray | None:
    """What the first print is told as another's palette: that of the last one which can be read; None if that is the
    only one, or palettes can't be told."""

    def ends(those: Iterable[Record]) -> _Print | None:
        for item in those:
            with suppress(PictureError):
                return _read(prints, item, palette)
        return None

    first, last = ends(items), ends(reversed(items))
    return last.palette if palette and first and last and first.item != last.item else None


def _read(prints: Path, item: Record, palette: bool) -> _Print:
    pixels = images.read(prints / item.file_name, reduce_to=LONG_SIDE, thrifty=True).pixels
    small = images.fit_long_side(pixels, LONG_SIDE)
    if min(small.shape[:2]) < LEAST:
        height, width = pixels.shape[:2]
        raise PictureError("too-small", f"{width} × {height} px, at least {LEAST} each are needed")
    white = on_white(small)
    light = color.srgb_to_linear(white) @ papers.LUMINANCE
    grey = np.repeat(color.linear_to_srgb(light)[..., None], 3, axis=2)
    lab = color.rgb_to_lab(white)
    told = None
    if palette:
        planes = np.ascontiguousarray(color.lab_to_lab8(lab).transpose(2, 0, 1))
        told = counted(planes, (0, 0, *white.shape[:2]))
    return _Print(item, Truth(lab, white), grey, told)


def on_white(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → the same as if its paper were white: in each channel of linear light what all but the
    lightest places stay below is 1."""
    linear = color.srgb_to_linear(pixels)
    paper = np.maximum(np.percentile(linear, PAPER, axis=(0, 1)), 1e-3).astype(np.float32)
    return color.linear_to_srgb(linear / paper)


def _looked(one: _Print, others: np.ndarray | None, colour: Coloured, known: Known, shown: Sequence[str]) -> Looked:
    said = {NETWORK: colour(one.grey, None)}
    if one.palette is not None:
        said[OWN] = colour(one.grey, one.palette)
    if others is not None:
        said[OTHERS] = colour(one.grey, others)
    lightness = color.rgb_to_lab(one.grey)[..., :1]
    width, height = known.samples.manifest["size"]
    sheet, _ = on_sheet(papers.apart(one.grey).lightness, width, height)
    for name, lab in guesses(one.truth.lab, known, sheet).items():
        # who knows no ink from paper lays chroma on the lightness that there is
        said[name] = one.grey if name == GREY else color.lab_to_rgb(np.dstack([lightness, lab[..., 1:]]))
    said[TRUTH] = one.truth.seen
    looks = {name: look(color.rgb_to_lab(seen)[..., 1:], seen, one.truth) for name, seen in said.items()}
    seen = {name: fitted(said[name]) for name in shown if name in said}
    label = str((one.item.labels or ("",))[0])
    return Looked(one.item.key, label, looks, {}, seen, [])
