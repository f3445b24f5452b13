"""A coloured engraving: ink lines drawn for tone along the form, on paper, with a wash of colour under them.

Lines are where a phase is whole; their width is the tone (after Ostromoukhov, "Digital facial engraving", 1999, whose
furrows were laid by hand; here a Poisson problem lays them, `_flow.py`). Contours are coherent lines (Kang, Lee and
Chui 2007), figures what no easy way leads to from the frame (Zhang et al. 2015), colours are moved in Oklab (Ottosson
2020). What these cost, and what was tried before: docs/lablog.md; what comes of it: docs/stylize.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.layers import Layers
from gravurekit.settings import Range
from gravurekit.styles import _flow, _lines, _regions, _tone, _wash
from gravurekit.styles._grid import clouds, reduced

REVISION = 1
SIDE = 512  # the short side, px, at which the Settings' lengths are meant
DRAWN = 768  # the short side, px, at which such a drawing is drawn
Pair = tuple[float, float]
LEAST = 64  # px; a smaller picture is drawn with its edges repeated, and cut out again


class Settings(settings.Settings):
    """What a picture's drawing is chosen from: each range is drawn from once a picture, by its key."""

    pitch: Annotated[Pair, Range(2, 16)] = Field(
        (2.3, 2.9), description="Distance of the lines, px at a short side of 512."
    )
    angle: Annotated[Pair, Range(-90, 90)] = Field(
        (-25.0, 25.0), description="Angle of the first hatching to the form, degrees; 0: along it."
    )
    bend: Annotated[Pair, Range(0, 45)] = Field(
        (25.0, 42.0), description="How far lines bend with the form, degrees from their direction."
    )
    darkness: Annotated[Pair, Range(0.2, 1)] = Field((0.82, 0.96), description="Most of the paper that ink covers.")
    light: Annotated[Pair, Range(0, 0.6)] = Field(
        (0.08, 0.16), description="Share of the tones, from white down, that stay bare paper."
    )
    cross: Annotated[Pair, Range(0.05, 1)] = Field((0.12, 0.3), description="Tone at which the second hatching begins.")
    solid: Annotated[Pair, Range(0, 1)] = Field(
        (0.2, 0.9), description="How far the deepest tones close to solid black."
    )
    contour: Annotated[Pair, Range(0, 4)] = Field((0.6, 1.2), description="Strength of the contour lines.")
    relief: Annotated[Pair, Range(0, 2)] = Field(
        (0.5, 0.8), description="How much the modelling within a garment is raised."
    )
    detail: Annotated[Pair, Range(0, 2)] = Field((0.6, 1.1), description="How much lines swell at small details.")
    irregular: Annotated[Pair, Range(0, 3)] = Field(
        (0.45, 0.9), description="How much lines vary in place, width and pressure."
    )
    rough: Annotated[Pair, Range(0, 2)] = Field((0.9, 1.5), description="How rough the lines' edges are.")
    background: Annotated[Pair, Range(0, 1)] = Field(
        (0.45, 0.75), description="Ink of the background, as a share of the figure's."
    )
    ink: Annotated[Pair, Range(0, 0.5)] = Field((0.05, 0.15), description="Lightness of the ink.")
    inking: Annotated[Pair, Range(0, 1)] = Field((0.02, 0.12), description="How unevenly the plate was inked.")
    specks: Annotated[Pair, Range(0, 50)] = Field(
        (0.0, 1.5), description="Specks of dust and of missing ink, a square of 100 px at a short side of 512."
    )
    paper: Annotated[Pair, Range(0, 1)] = Field((0.0, 0.8), description="Tint of the paper, from white to cream.")
    grain: Annotated[Pair, Range(0, 0.2)] = Field((0.0, 0.015), description="Grain of paper and scan.")
    blur: Annotated[Pair, Range(0, 3)] = Field(
        (0.3, 0.75), description="Softness of the impression, px at a short side of 512."
    )
    lift: Annotated[Pair, Range(0, 0.9)] = Field(
        (0.3, 0.45), description="How far the wash is lighter than the photograph."
    )
    chroma: Annotated[Pair, Range(0, 2)] = Field((0.75, 1.05), description="Strength of the wash's colours.")
    uneven: Annotated[Pair, Range(0, 0.5)] = Field((0.02, 0.05), description="Unevenness of the wash.")
    shift: Annotated[Pair, Range(0, 20)] = Field(
        (0.2, 1.6), description="How far the wash lies beside the lines, px at a short side of 512."
    )


PRESETS: Mapping[str, Mapping[str, Any]] = {
    # fine and even, three layers, soft as from a steel plate
    "steel": {
        "pitch": (2.3, 2.6), "cross": (0.1, 0.2), "irregular": (0.35, 0.7), "rough": (0.8, 1.2), "light": (0.05, 0.12),
        "contour": (0.4, 0.8), "darkness": (0.75, 0.9), "blur": (0.4, 0.8), "solid": (0.0, 0.3), "ink": (0.08, 0.2),
    },
    # bold and bright: one layer that swells to black, strong contours
    "wood": {
        "pitch": (2.6, 3.6), "cross": (0.4, 0.65), "irregular": (0.6, 1.1), "rough": (0.6, 1.1), "light": (0.12, 0.22),
        "contour": (0.9, 1.6), "darkness": (0.85, 1.0), "blur": (0.25, 0.5), "solid": (0.5, 1.0), "ink": (0.02, 0.08),
        "grain": 0.0,
    },
    # loose lines of one width, laid over each other at will
    "etching": {
        "pitch": (2.5, 3.4), "cross": (0.08, 0.2), "irregular": (0.7, 1.2), "rough": (0.8, 1.3), "light": (0.1, 0.2),
        "bend": (8, 20), "angle": (-60, 60), "contour": (0.6, 1.1), "darkness": (0.74, 0.9), "blur": (0.6, 1.0),
        "solid": (0.3, 0.9), "grain": (0.01, 0.03), "paper": (0.3, 0.9),
    },
    # little ink, much colour: the outline and some modelling, the rest is the colourist's
    "hand-coloured": {
        "pitch": (2.4, 3.2), "cross": (0.35, 0.55), "light": (0.22, 0.36), "darkness": (0.5, 0.7),
        "contour": (0.8, 1.3), "background": (0.3, 0.55), "solid": (0.0, 0.2), "paper": (0.4, 0.9),
        "lift": (0.2, 0.35), "chroma": (0.9, 1.15),
    },
}  # fmt: skip

MATCHED = (
    "pitch", "darkness", "light", "cross", "solid", "contour", "relief", "detail", "irregular", "rough", "ink", "grain",
    "blur",
)  # fmt: skip


@dataclass(frozen=True)
class Hand:
    """One value of each range: how this picture is drawn. The fields are those of Settings, else `draw` fails."""

    pitch: float
    angle: float
    bend: float
    darkness: float
    light: float
    cross: float
    solid: float
    contour: float
    relief: float
    detail: float
    irregular: float
    rough: float
    background: float
    ink: float
    inking: float
    specks: float
    paper: float
    grain: float
    blur: float
    lift: float
    chroma: float
    uneven: float
    shift: float


def drawn_at(settings: Settings, short_side: int) -> int:
    """The short side, px, of the photograph that is to be drawn: a line must be a line."""
    return max(DRAWN, short_side * DRAWN // SIDE)


def draw(photo: np.ndarray, settings: Settings, rng: np.random.Generator) -> Layers:
    """(H, W, 3) uint8 sRGB → Layers: `plain` is ink on paper, `wash` the colours as of watercolour."""
    hand = Hand(**{name: float(rng.uniform(low, high)) for name, (low, high) in settings.model_dump().items()})
    height, width = photo.shape[:2]
    padded = _padded(photo)
    half = cv2.cvtColor(reduced(padded, 2), cv2.COLOR_RGB2LAB)
    flat = _wash.flat(reduced(half, 2))
    nearest = _wash.nearest_patches(flat, half)
    regions = _regions.regions(flat, nearest)
    figure = _tone.figureness(reduced(flat, 2))
    evened = regions.evened(figure)
    plain = _plain(padded, regions, 0.5 * (figure + evened), hand, rng)
    brush = _wash.Brush(hand.lift, hand.chroma, hand.uneven, hand.shift * _scale(padded))
    colours = _wash.wash(flat, nearest, padded.shape[:2], evened, brush, rng)
    plain, colours = (np.ascontiguousarray(layer[:height, :width]) for layer in (plain, colours))
    return Layers(plain, colours, _paper(hand.paper))


def redraw(ink: np.ndarray, settings: Settings) -> np.ndarray:
    """(H, W) uint8 grey, a print on white paper → the same: what this style draws are prints already."""
    return ink


def _paper(tint: float) -> tuple[float, float, float]:
    """From white at 0 to the cream of old paper at 1: linear reflectance of red, green, blue."""
    red, green, blue = (1 - tint * share for share in (0.04, 0.09, 0.22))
    return (red, green, blue)


def _padded(photo: np.ndarray) -> np.ndarray:
    """At least LEAST px, and sides that halve four times."""
    height, width = photo.shape[:2]
    tall, wide = (max(LEAST, -(-side // 16) * 16) for side in (height, width))
    return cv2.copyMakeBorder(photo, 0, tall - height, 0, wide - width, cv2.BORDER_REPLICATE)


def _scale(picture: np.ndarray) -> float:
    """What a length of the Settings is in px of a picture. Twice the size shows lines √2 times as far apart, because it
    also shows more of them, as a scan of a finer plate does."""
    side = min(picture.shape[:2])
    return side / SIDE if side < DRAWN else DRAWN / SIDE * math.sqrt(side / DRAWN)


def _plain(
    photo: np.ndarray, regions: _regions.Regions, figure: np.ndarray, hand: Hand, rng: np.random.Generator
) -> np.ndarray:
    grey = cv2.medianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), 3)
    scale = _scale(grey)
    pitch = max(3.0, hand.pitch * scale)
    tones = _tone.stretch(grey)
    flow = _flow.tensor(reduced(grey, 2))
    kept = hand.background + (1 - hand.background) * figure
    want = _wanted(grey, tones, kept, pitch, hand, rng)
    black = _hatched(want, regions, flow, pitch, hand, rng)
    strokes = _contours(grey, tones, flow, kept, hand, rng)
    return _pressed(black, strokes, scale, hand, rng)


def _wanted(
    grey: np.ndarray, tones: np.ndarray, kept: np.ndarray, pitch: float, hand: Hand, rng: np.random.Generator
) -> np.ndarray:
    """The share of the paper that ink is to cover, (H, W) float32."""
    around = cv2.GaussianBlur(tones[reduced(grey, 8)], (0, 0), 1.2 * pitch)
    cell = 0.55 * pitch
    size = (int(grey.shape[0] / cell) + 2, int(grey.shape[1] / cell) + 2)
    knobs = np.array([hand.light, hand.relief, hand.detail, hand.darkness, hand.rough], np.float32)
    soft = cv2.blur(grey, (7, 7))
    return _lines.wanted(grey, soft, tones, around, kept, rng.standard_normal(size, dtype=np.float32), knobs)


def _hatched(
    want: np.ndarray, regions: _regions.Regions, flow: np.ndarray, pitch: float, hand: Hand, rng: np.random.Generator
) -> np.ndarray:
    """Hatching for the ink that is wanted, (H, W) float32. Phases are smooth, so an eighth of the size does."""
    sigma = 2.2 * pitch / 8
    cos, sin = (cv2.GaussianBlur(part, (0, 0), sigma) for part in _flow.double_angle(reduced(flow, 4), sigma, 0.02))
    cos, sin = _flow.turned(cos, sin, math.radians(hand.angle))
    shape = cos.shape
    uneven = hand.irregular
    dark = cv2.GaussianBlur(cv2.resize(want, shape[::-1], interpolation=cv2.INTER_AREA), (0, 0), 2 * pitch / 8)
    spread = 1 + 0.35 * uneven * (0.4 * clouds(rng, shape, 12) + 0.8 * (0.4 - dark))
    waves = (8 / (pitch * np.clip(spread, 0.6, 1.8))).astype(np.float32)
    angles = ((rng.random() + np.arange(_flow.BASES)) * np.pi / _flow.BASES).astype(np.float32)
    bend = math.radians(hand.bend)
    jitter = [0.3 * uneven * (clouds(rng, shape, 2) + clouds(rng, shape, 8)) for _ in range(3)]
    phases = np.stack(
        [_flow.phase(cos, sin, float(angle), bend, waves) + jitter[each % 3] for each, angle in enumerate(angles)]
    )
    spacings = np.stack([8 / np.maximum(_flow.slope(phase), 8e-3) for phase in phases])
    phases = np.stack([_flow.doubled(phase) for phase in phases])
    phases += 1 - phases.min()  # the kernel counts lines from 0
    caps = np.array([0.35 + hand.cross * 0.6, 0.5, 0.45], np.float32)
    starts = np.array([0, hand.cross, hand.cross + 0.22], np.float32)
    chance = rng.random((3, _lines.TABLE), dtype=np.float32)
    across = np.array([0, *rng.permutation([1, 2, 4, 5])[:2]], np.int64)  # times 30°, from the first lines
    moves = np.array([0.3 * uneven, 0.35 * uneven, 0.7 * uneven, 5 * pitch, hand.solid], np.float32)
    first = _regions.directions(regions, cos, sin, angles)
    chances = chance[0] - 0.5, chance[1] * 2 - 1, chance[2]
    return _lines.hatch(want, first, across, phases, spacings, angles, caps, starts, *chances, moves)


def _contours(
    grey: np.ndarray, tones: np.ndarray, flow: np.ndarray, kept: np.ndarray, hand: Hand, rng: np.random.Generator
) -> np.ndarray:
    """Contour lines, (H, W) float32, heavier here and lighter there."""
    tone = cv2.LUT(grey, tones)
    loud = hand.contour * kept * kept * (1 + 0.35 * hand.irregular * clouds(rng, kept.shape, 5))
    broad = cv2.GaussianBlur(tone, (9, 9), 1.7)
    narrow = cv2.GaussianBlur(tone, (7, 7), 1.0, dst=tone)  # new memory of this size costs more than the blur
    edges = cv2.subtract(broad, narrow, dst=narrow)
    return _lines.contours(edges, broad, _flow.tangents(reduced(flow, 2), 0.9), loud.astype(np.float32))


def _pressed(black: np.ndarray, strokes: np.ndarray, scale: float, hand: Hand, rng: np.random.Generator) -> np.ndarray:
    """Ink on paper, (H, W) uint8, softened as by a press and a scan."""
    uneven = clouds(rng, (black.shape[0] // 8, black.shape[1] // 8), 6)
    knobs = np.array([1 - hand.ink, hand.inking, hand.grain, 0.004], np.float32)
    paper = _lines.pressed(black, strokes, uneven, knobs, int(rng.integers(1, 2**31)))
    _speck(paper, hand.specks, scale, rng)
    return cv2.GaussianBlur(paper, (0, 0), max(0.2, hand.blur * scale))


def _speck(paper: np.ndarray, density: float, scale: float, rng: np.random.Generator) -> None:
    """Put specks on the print, (H, W) uint8: half of them dust, half of them places where the ink didn't take."""
    height, width = paper.shape
    count = int(rng.poisson(density * height * width / (100 * scale) ** 2))
    places, sizes = rng.random((count, 2)), rng.random(count)
    for number, ((y, x), size) in enumerate(zip(places, sizes, strict=True)):
        radius = (0.3 + 0.8 * size**3) * scale
        axes = (round(16 * radius), round(16 * radius * (0.5 + size)))  # in sixteenths of a pixel
        centre = (round(16 * x * width), round(16 * y * height))
        shade = 255 if number % 2 else 60
        cv2.ellipse(paper, centre, axes, 180 * size, 0, 360, shade, cv2.FILLED, cv2.LINE_AA, shift=4)
