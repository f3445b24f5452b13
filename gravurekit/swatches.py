"""Colours that people ask for: a few words or a picture, as the histogram of a and b that a network is told.

A network learned from washes, so it is told colours as a wash has them: light, with a chroma that paint on paper can
have, spread a little, fading into the paper. How is measured by experiments/palettes.py.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import ImageColor

from gravurekit import color, images
from gravurekit.errors import UsageError
from gravurekit.settings import did_you_mean
from gravurekit.shards import palette

Colour = tuple[int, int, int]  # sRGB, each 0..255

# About the tint on paper of what colourists of prints painted with. Red and blue are among them, because those of CSS
# are lamps of a screen: a wash of its blue is violet, where theirs was Prussian blue.
PIGMENTS: dict[str, Colour] = {
    "blue": (0, 105, 160), "carmine": (150, 0, 24), "gamboge": (228, 155, 15), "madder": (165, 38, 60),
    "ochre": (204, 142, 53), "red": (204, 38, 44), "sepia": (112, 66, 20),
    "ultramarine": (39, 50, 150), "umber": (115, 82, 60), "verdigris": (67, 140, 125), "vermilion": (227, 66, 52),
}  # fmt: skip
HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})|[0-9a-f]{6}")
MOST_COLOURS = 64

TOTAL = 1_000_000  # "pixels" of a histogram that is made up
LIGHTEST, DARKEST = 0.92, 0.66  # Oklab lightness that a colour is brought between
MOST = 50.0  # chroma, ab units: washes seldom have more
NEUTRAL = 0.5  # share that is paper
SPREAD = 5.0  # standard deviation of a colour, ab units
FADING = 0.5  # of a colour, the share that is spread evenly between the paper and it

PALE = 15.0  # chroma, ab units: cells of a palette below it are paper
MOST_PARTS = 4  # different colours that are told one by one
APART = 0.6  # chord between their hues on a circle of radius 1: 35°
LEAST, LEAST_VIVID = 0.05, 0.02  # of what is coloured, the share of one; of all, that of what is coloured


@dataclass(frozen=True)
class Hint:
    """A place of a picture, px from its upper left corner, and the colour that its wash is to have there."""

    x: float
    y: float
    rgb: Colour


def colours(text: str) -> list[Colour]:
    """What '#a01828, #e0b088' or 'red, ochre' names, in that order; a colour that comes twice is kept twice, and so
    counts twice. Raises UsageError for what is no colour."""
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise UsageError(f"{text[:80]!r} names no colours: write them as 'red,#e0b088', a comma between two")
    if len(words) > MOST_COLOURS:
        raise UsageError(f"{len(words)} colours are more than a palette can tell apart: at most {MOST_COLOURS}")
    return [colour(word) for word in words]


def colour(word: str) -> Colour:
    """One colour: #rrggbb, #rgb, rrggbb (shells take a # for a remark), one of PIGMENTS, a name that CSS has, or one of
    the 949 that the visitors of xkcd.com gave to colours. Raises UsageError."""
    name = " ".join(word.lower().split())
    if HEX.fullmatch(name):
        digits = name.lstrip("#")
        wide = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
        return int(wide[:2], 16), int(wide[2:4], 16), int(wide[4:], 16)
    if name in PIGMENTS:
        return PIGMENTS[name]
    if name.replace(" ", "") in ImageColor.colormap:
        found = ImageColor.getrgb(name.replace(" ", ""))
        return found[0], found[1], found[2]
    if name in _of_people():
        return colour(_of_people()[name])
    near = did_you_mean(name, [*PIGMENTS, *ImageColor.colormap]) if not name.startswith("#") else ""
    said = near if near.startswith("; did") else ""
    raise UsageError(f"{word[:40]!r} is no colour{said}; write #rrggbb, or a name such as red, teal or ochre")


@cache
def _of_people() -> dict[str, str]:
    """What the visitors of xkcd.com called colours, by name as #rrggbb."""
    from matplotlib.colors import XKCD_COLORS  # here, because few ask for these

    return {said.removeprefix("xkcd:"): str(value) for said, value in XKCD_COLORS.items()}


def as_wash(rgb: Colour) -> np.ndarray:
    """A colour as a wash of it would be, (3,) float32 Lab: its hue as people see it (Oklab's: in Lab a blue that gets
    lighter turns purple), light enough to let the ink be seen, and as much of its chroma as sRGB shows then."""
    lab = color.linear_to_oklab(color.srgb_to_linear(np.array([[rgb]], np.uint8)))
    lab[..., 0] = np.clip(lab[..., 0], DARKEST, LIGHTEST)
    light = color.linear_to_srgb(color.oklab_to_linear(color.oklab_into_gamut(lab)))
    return np.asarray(color.rgb_to_lab(light)[0, 0])


def histogram(
    asked: Sequence[Colour],
    neutral: float = NEUTRAL,
    spread: float = SPREAD,
    fading: float = FADING,
    most: float = MOST,
) -> np.ndarray:
    """A palette of some colours, each as much as the others, as if it had been counted over a wash.

    asked    sRGB colours, at least one; greys count as paper
    neutral  share 0..1 of the wash that is bare paper
    spread   standard deviation of a colour, ab units; 0: all of it in its own cell
    fading   share 0..1 of a colour that lies between the paper and it
    most     chroma, ab units, beyond which a colour is told with less
    returns  (27, 27) int64 that add up to about TOTAL, as `shards.palette.counted` has them
    """
    if not asked:
        raise ValueError("a palette needs a colour")
    shares = np.zeros((palette.SIDE, palette.SIDE))
    middle = palette.EDGE
    shares[middle, middle] += neutral
    for rgb in asked:
        ab = as_wash(rgb)[1:].astype(np.float64)
        ab *= min(1.0, most / max(float(np.hypot(*ab)), 1e-6))
        steps = np.linspace(0.1, 0.9, 9)
        parts = [(ab, 1 - fading)] + [(ab * step, fading / len(steps)) for step in steps]
        for place, share in parts:
            shares += (1 - neutral) / len(asked) * share * _blot(place, spread)
    return np.asarray(np.rint(shares / shares.sum() * TOTAL), np.int64)


def _blot(ab: np.ndarray, spread: float) -> np.ndarray:
    """(27, 27) float64 that add up to 1: a colour (2,) and what lies around it, as a Gaussian; with no spread it counts
    at the four cells around it, by its nearness."""
    centres = (np.arange(palette.SIDE) - palette.EDGE) * float(palette.STEP)
    if spread > 0:
        a, b = (np.exp(-0.5 * ((centres - value) / spread) ** 2) for value in ab)
    else:
        a, b = (np.clip(1 - np.abs(centres - value) / palette.STEP, 0, None) for value in ab)
    blot = np.outer(a, b)
    return blot / blot.sum()


def parts(whole: np.ndarray, most: int = MOST_PARTS) -> list[tuple[np.ndarray, float]]:
    """A palette taken apart into its few different colours: each as a palette of its own, with as much paper as the
    whole, and its share of what is coloured, the largest first. Told red and blue together, a network that learned to
    be wrong as little as possible says the grey between them; told one alone, it says that one.

    whole    (27, 27) numbers ≥ 0, a histogram of a and b
    returns  palettes (27, 27) int64 and shares that add up to 1; of a palette of one colour, or of paper alone, itself
    """
    counts = np.asarray(whole, np.float64)
    centres = (np.arange(palette.SIDE) - palette.EDGE) * float(palette.STEP)
    places = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1)
    chroma = np.hypot(places[..., 0], places[..., 1])
    vivid = counts * (chroma >= PALE)
    if vivid.sum() < LEAST_VIVID * counts.sum() or counts.sum() <= 0:
        return [(np.asarray(whole), 1.0)]
    hues = places / np.maximum(chroma, 1)[..., None]
    middles = _middles(hues.reshape(-1, 2), vivid.ravel(), most)
    if len(middles) == 1:
        return [(np.asarray(whole), 1.0)]
    nearest = ((hues[:, :, None] - middles) ** 2).sum(-1).argmin(-1)
    shares = [float(vivid[nearest == n].sum() / vivid.sum()) for n in range(len(middles))]
    paper = (counts - vivid) * (TOTAL / counts.sum())
    scales = [(TOTAL - paper.sum()) / vivid[nearest == n].sum() for n in range(len(middles))]
    found = [
        (np.asarray(np.rint(paper + scale * vivid * (nearest == n)), np.int64), share)
        for n, (scale, share) in enumerate(zip(scales, shares, strict=True))
    ]
    return sorted(found, key=lambda part: -part[1])


def _middles(hues: np.ndarray, weights: np.ndarray, most: int) -> np.ndarray:
    """(n, 2) hues that are APART from one another, of hues (m, 2), each a direction of length 1 or less: that with the
    most weight around it first, each further one likewise, far from those before it."""
    around = np.array([weights @ (((hues - hue) ** 2).sum(1) <= (APART / 2) ** 2) for hue in hues]) * (weights > 0)
    middles = hues[[around.argmax()]]
    while len(middles) < most:
        away = ((hues[:, None] - middles) ** 2).sum(-1).min(1)
        lonely = np.where(away >= APART**2, around, 0)
        if lonely.max() < LEAST * weights.sum():
            break
        middles = np.concatenate([middles, hues[[lonely.argmax()]]])
    return middles


def histogram_of_picture(pixels: np.ndarray) -> np.ndarray:
    """The palette of a picture, (H, W, 3) uint8 sRGB → (27, 27) int64, counted over a reduced copy of it as over the
    washes of the training data."""
    small = images.fit_long_side(pixels, 256)
    lab8 = color.lab_to_lab8(color.rgb_to_lab(small)).transpose(2, 0, 1)
    return palette.counted(lab8, (0, 0, *lab8.shape[1:]))


def hint_planes(
    hints: Sequence[Hint], picture: tuple[int, int], sheet: tuple[int, int], place: tuple[slice, slice], side: int = 4
) -> np.ndarray:
    """Hints as `Predictor.predict` takes them: small squares, as in training. Where two meet, the later one counts.

    hints    in px of the picture
    picture  its width and height, px
    sheet    height and width of what the network sees, px
    place    rows and columns of the sheet in which the picture lies
    side     of a square, px of the sheet; a multiple of 2, because the target has half the size
    returns  (height, width, 3) float32: a and b in ab units, and 1 where they are told, else all 0
    """
    planes = np.zeros((*sheet, 3), np.float32)
    rows, columns = place
    for hint in hints:
        y = rows.start + (hint.y + 0.5) * (rows.stop - rows.start) / picture[1]
        x = columns.start + (hint.x + 0.5) * (columns.stop - columns.start) / picture[0]
        top, left = (max(0, 2 * round((at - side / 2) / 2)) for at in (y, x))
        planes[top : top + side, left : left + side] = (*as_wash(hint.rgb)[1:], 1)
    return planes
