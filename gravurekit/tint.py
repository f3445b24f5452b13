"""From a network's ab to a coloured picture: what it is fed, and how its colours come under the ink.

The wash is made on the reduced copy of `paper.apart`; only the last product is taken at full size, in bands of rows,
so that memory is that of the picture, of the result, and of a band.
"""

from collections.abc import Callable
from functools import cache
from typing import Literal

import cv2
import numpy as np

from gravurekit import color, edges, images
from gravurekit.kernels import kernel
from gravurekit.paper import LUMINANCE, Apart, reduced
from gravurekit.paper import WORK_SIDE as WORK_SIDE

BAND = 64  # rows
DARKER = 0.3  # L that a wash loses with each unit of its chroma, at least
STEP = 2  # ab units between two places of the table of the gamut
DARKEST = 55.0  # L to which it does so, whatever the chroma needs
MURK = 0.5  # L that it loses further with each unit of its chroma, at most, if the network wants it darker
CAST = (1.0, 6.0)  # chroma of a network's wash that is but a cast, and that is all meant
CREAM = (0.941, 0.880, 0.752)  # linear sRGB: the paper of `tint`

_LAB_TO_F = np.array(
    [[1 / 116, 1 / 500, 0, 16 / 116], [1 / 116, 0, 0, 16 / 116], [1 / 116, 0, -1 / 200, 16 / 116]], np.float32
)
_XYZ_TO_RGB = color.XYZ_TO_RGB * color.WHITE

Paper = Literal["keep", "white", "tint"]


def photo_lightness(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → (h, w) float32 L 0..100 of a reduced copy."""
    return np.asarray(color.rgb_to_lab(reduced(pixels))[..., 0])


def grey_lightness(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8 sRGB grey → (H, W) float32 L 0..100."""
    return _grey_table()[grey]


@cache
def _grey_table() -> np.ndarray:
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    return np.ascontiguousarray(color.rgb_to_lab(greys)[0, :, 0])


# ---- the wash ------------------------------------------------------------------------------------------


def wash(
    ab: np.ndarray,
    lightness: np.ndarray | None,
    apart: Apart,
    *,
    saturation: float = 1.0,
    strength: float = 1.0,
    places: np.ndarray | None = None,
    colours: np.ndarray | None = None,
    reach: float = 0.25,
) -> np.ndarray:
    """The colours that come under a print's ink: (h, w, 3) float32 Lab, in sRGB's gamut; L 100 without chroma is none.

    Its edges are drawn to the print's lines, the bare paper around the print takes none, and a faint cast over all is
    taken away. A wash gets darker as its chroma grows, because chroma on white paper at unchanged lightness leaves the
    gamut and can't be seen; it is darker still where the network says so.

    ab          (any height, any width, 2) float32: what a network says of the print, of any size from 1×1 up
    lightness   of the same size, float32 L 0..100, of the wash; or None
    saturation  ≥ 0, a factor on the chroma
    strength    0..1, how much of all colour, hints included, there is
    places      (n, 2) x and y in px of the reduced copy where `colours` (n, 3) float32 Lab are to be met: they flow as
                far as the print's lines let them, at most `reach`, a share of the long side
    """
    said = ab if lightness is None else np.dstack([ab, lightness])
    large = edges.upsampled(said, apart.ink, weight=apart.plate)
    large[..., :2] *= _meant(large[..., :2])[..., None] * np.float32(saturation)
    out = _darkened(large, apart.plate)
    if places is not None and colours is not None and len(places):
        met, holds = _hinted(places, colours, apart, reach * max(apart.ink.shape))
        out += (met - out) * holds[..., None]
    out[..., 0] = 100 - np.float32(strength) * (100 - out[..., 0])
    out[..., 1:] *= np.float32(strength)
    return into_gamut(out)


def _hinted(places: np.ndarray, colours: np.ndarray, apart: Apart, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """`edges.spread` of hints in the print within the plate, and of hints on the bare paper outside of it."""
    height, width = apart.ink.shape
    x, y = (np.clip(places[:, n].astype(np.int64), 0, side - 1) for n, side in enumerate((width, height)))
    within = apart.plate[y, x] >= 0.5
    met, holds = edges.spread(places[within], colours[within], apart.ink, reach)
    holds *= np.minimum(2 * apart.plate, 1)  # 1 at the hint itself, also on a soft edge
    if not within.all():
        others, there = edges.spread(places[~within], colours[~within], apart.ink, reach)
        there *= np.minimum(2 * (1 - apart.plate), 1)
        met += (others - met) * (there / np.maximum(holds + there, 1e-12))[..., None]
        holds = np.maximum(holds, there)
    return met, holds


def _meant(ab: np.ndarray) -> np.ndarray:
    """(h, w) float32 0..1: how much of the chroma is more than a cast."""
    part = np.clip((np.hypot(ab[..., 0], ab[..., 1]) - CAST[0]) / (CAST[1] - CAST[0]), 0, 1)
    return np.asarray(part * part * (3 - 2 * part))


def _darkened(said: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """a, b and maybe L of a wash (h, w, 2 or 3) float32 → (h, w, 3) float32 Lab: nothing outside of the plate, as dark
    as its chroma needs, and no darker than that chroma carries: a dark wash without colour is dirt, for which there is
    the ink."""
    ab = said[..., :2] * plate[..., None]
    chroma = np.hypot(ab[..., 0], ab[..., 1])
    lightness = np.clip(np.minimum(100 - DARKER * chroma, lightest(ab)), DARKEST, 100)
    if said.shape[2] > 2:
        lightness = np.minimum(lightness, np.maximum(said[..., 2], lightness - MURK * chroma).clip(0, 100))
    return np.dstack([lightness, ab]).astype(np.float32)


def lightest(ab: np.ndarray) -> np.ndarray:
    """(h, w, 2) float32, a and b → (h, w) float32, the greatest L 0..100 at which sRGB has them. A yellow may be
    bright, a blue of the same chroma must be dark. Of a chroma that no light has, it is that of the hue's greatest."""
    table = _gamut()
    middle = len(table) // 2
    b, a = (np.ascontiguousarray(ab[..., n] / STEP + middle, np.float32) for n in (1, 0))
    return np.asarray(cv2.remap(table, b, a, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


@cache
def _gamut() -> np.ndarray:
    """(n, n) float32, a's in rows, b's in columns, in steps of STEP, 0 in the middle: what `lightest` looks up."""
    steps = np.arange(-128, 129, STEP, dtype=np.float32)
    table = np.zeros((len(steps), len(steps)), np.float32)
    for L in np.arange(0.0, 100.5, 0.5, dtype=np.float32):
        lab = np.dstack([np.full(table.shape, L, np.float32), *np.meshgrid(steps, steps, indexing="ij")])
        linear = _linear(lab)
        table[((linear > -1e-3) & (linear < 1 + 1e-3)).all(axis=2)] = L
    middle, known = len(steps) // 2, table.copy()
    away = np.indices(table.shape) - middle
    for part in np.arange(0.99, 0, -0.01):  # towards the middle, until something is known
        row, column = np.rint(middle + part * away).astype(int)
        table = np.where(table > 0, table, known[row, column])
    return table


# ---- at full size --------------------------------------------------------------------------------------


def composed(pixels: np.ndarray, apart: Apart, wash: np.ndarray, paper: Paper = "keep") -> np.ndarray:
    """A print with a wash on its paper: wash × ink × paper in linear light, (H, W, 3) uint8 sRGB.

    `pixels` (H, W, 3) uint8 sRGB, of which `apart` is; `wash` (h, w, 3) float32 Lab, as `wash` gives it. The `paper` is
    kept as it is (where there is no wash the very same pixels come out), made white, or tinted evenly. With a kept
    paper, ink keeps its own tone, brown or black, unless the print was coloured before: then it is grey. A scan's black
    border stays, whatever the paper.
    """
    light = lab_to_linear(wash)
    if paper == "keep" and not apart.coloured:
        return _in_bands(pixels, [light], _multiplied)
    surface = apart.paper @ LUMINANCE
    if paper == "keep":
        there = np.dstack([light * apart.paper / surface[..., None], light, apart.plate])
        return _in_bands(pixels, [there.astype(np.float32)], _recoloured)
    return _in_bands(pixels, [(light * _ground(paper) / surface[..., None]).astype(np.float32)], _grey_multiplied)


def _ground(paper: Paper) -> np.ndarray:
    """(3,) float32 linear sRGB: the paper that takes a print's own one's place."""
    return np.array(CREAM if paper == "tint" else (1, 1, 1), np.float32)


def layers(
    pixels: np.ndarray, apart: Apart, wash: np.ndarray, paper: Paper = "keep"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What an editor puts together again: the ink, (H, W) uint8 sRGB grey, to be multiplied; the wash, (H, W, 3) uint8
    sRGB, below it; and the paper, (H, W, 3) uint8 sRGB, below both, multiplied as well. Arguments as of `composed`."""
    height, width = pixels.shape[:2]
    surface = np.ascontiguousarray((1 / (apart.paper @ LUMINANCE))[..., None], np.float32)
    ink = _in_bands(pixels, [surface], _grey_of, channels=1)
    washes = _in_bands(pixels, [lab_to_linear(wash)], _alone)
    ground = apart.paper if paper == "keep" else np.broadcast_to(_ground(paper), apart.paper.shape)
    papers = _in_bands(pixels, [np.ascontiguousarray(ground, np.float32)], _alone)
    return ink.reshape(height, width), washes, papers


def on_photo(pixels: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """A photograph's own lightness with other colours, chroma reduced into gamut: (H, W, 3) uint8 sRGB.

    `pixels` (H, W, 3) uint8 sRGB; `ab` (h, w, 2) float32 of its reduced copy.
    """
    return _in_bands(pixels, [ab.astype(np.float32)], _added)


Band = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _multiplied(light: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return _encoded(light * color.srgb_to_linear(pixels))


def _grey_multiplied(light: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return _encoded(light * (color.srgb_to_linear(pixels) @ LUMINANCE)[..., None])


def _grey_of(factor: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return _encoded(factor * (color.srgb_to_linear(pixels) @ LUMINANCE)[..., None])


def _recoloured(there: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """`there` (h, w, 7): paper of light 1 × wash, wash, plate. Inside of the plate the ink is grey."""
    linear = color.srgb_to_linear(pixels)
    own = linear * there[..., 3:6]
    grey = (linear @ LUMINANCE)[..., None] * there[..., :3]
    return _encoded(own + there[..., 6:] * (grey - own))


def _alone(light: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return _encoded(light)


def _added(ab: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    lab = np.dstack([color.rgb_to_lab(pixels)[..., 0], ab]).astype(np.float32)
    return _encoded(lab_to_linear(into_gamut(lab)))


def _in_bands(pixels: np.ndarray, small: list[np.ndarray], compose: Band, channels: int = 3) -> np.ndarray:
    """Enlarge `small` to the picture's size and compose both, a band of rows at a time."""
    height, width = pixels.shape[:2]
    out = np.empty((height, width, channels), np.uint8)
    for top in range(0, height, BAND):
        end = min(height, top + BAND)
        large = rows_of(small[0], (height, width), top, end)
        out[top:end] = compose(large, pixels[top:end])
    return out


def rows_of(small: np.ndarray, shape: tuple[int, int], top: int, end: int) -> np.ndarray:
    """Rows `top` to `end` of (h, w, C) float32, enlarged linearly to `shape` (H, W): (end - top, W, C) float32. They
    are the same whichever rows are asked for together."""
    height, width = shape
    if small.shape[:2] == shape:
        return small[top:end]
    above, down = _between(np.arange(top, end), height, small.shape[0])
    left, across = _between(np.arange(width), width, small.shape[1])
    return _enlarged(small, above, down, left, across)


def _between(places: np.ndarray, length: int, small: int) -> tuple[np.ndarray, np.ndarray]:
    """Where pixels of a side of `length` px lie on one of `small`: after which pixel, and how far."""
    at = np.clip((places + 0.5) * small / length - 0.5, 0, small - 1)
    before = np.minimum(at.astype(np.int64), max(small - 2, 0))
    return before, (at - before).astype(np.float32)


@kernel(error_model="numpy", nogil=True)
def _enlarged(
    small: np.ndarray, above: np.ndarray, down: np.ndarray, left: np.ndarray, across: np.ndarray
) -> np.ndarray:
    height, width, count = small.shape
    out = np.empty((len(above), len(left), count), np.float32)
    row = np.empty((width, count), np.float32)
    for y in range(len(above)):
        here, below = above[y], min(above[y] + 1, height - 1)
        for x in range(width):
            for c in range(count):
                row[x, c] = small[here, x, c] + down[y] * (small[below, x, c] - small[here, x, c])
        for x in range(len(left)):
            one, other = left[x], min(left[x] + 1, width - 1)
            for c in range(count):
                out[y, x, c] = row[one, c] + across[x] * (row[other, c] - row[one, c])
    return out


# ---- colours -------------------------------------------------------------------------------------------


@cache
def _codes() -> np.ndarray:
    """(65536,) uint8 sRGB of linear light n / 65535. Each sRGB value comes back from its own light."""
    return color.linear_to_srgb(np.arange(65536) / 65535)


def _encoded(linear: np.ndarray) -> np.ndarray:
    """(...) float32 linear light (clipped to 0..1) → (...) uint8 sRGB."""
    places = np.clip(linear, 0, 1)
    places *= np.float32(65535)
    places += np.float32(0.5)
    return np.take(_codes(), places.astype(np.uint16))


def lab_to_linear(lab: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32 Lab → (h, w, 3) float32 linear sRGB, clipped to 0..1; L 100 without chroma is 1 exactly."""
    linear = np.clip(_linear(lab), 0, 1)
    linear[(lab[..., 0] >= 100) & (lab[..., 1] == 0) & (lab[..., 2] == 0)] = 1
    return np.asarray(linear, np.float32)


def _linear(lab: np.ndarray) -> np.ndarray:
    """`color.lab_to_linear` of (h, w, 3) float32, in a third of the time."""
    f = cv2.transform(lab, _LAB_TO_F)
    xyz = f * f * f
    dark = f <= np.float32(6 / 29)
    xyz[dark] = (f[dark] - np.float32(16 / 116)) / np.float32(7.787)
    return cv2.transform(xyz, _XYZ_TO_RGB)


def into_gamut(lab: np.ndarray) -> np.ndarray:
    """`color.into_gamut` of (h, w, 3) float32 Lab, in a hundredth of the time."""
    return _into_gamut(np.ascontiguousarray(lab, np.float32), _XYZ_TO_RGB)


@kernel(error_model="numpy", nogil=True)
def _into_gamut(lab: np.ndarray, to_rgb: np.ndarray) -> np.ndarray:
    out = np.empty_like(lab)
    for y in range(lab.shape[0]):
        for x in range(lab.shape[1]):
            L, a, b = lab[y, x, 0], lab[y, x, 1], lab[y, x, 2]
            share = np.float32(1)
            if not _fits(L, a, b, to_rgb):
                share, step = np.float32(0), np.float32(0.5)
                for _ in range(9):
                    if _fits(L, a * (share + step), b * (share + step), to_rgb):
                        share += step
                    step *= np.float32(0.5)
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = L, a * share, b * share
    return out


@kernel(error_model="numpy", nogil=True)
def _fits(L: np.float32, a: np.float32, b: np.float32, to_rgb: np.ndarray) -> bool:
    fy = (L + np.float32(16)) / np.float32(116)
    fx, fz = fy + a / np.float32(500), fy - b / np.float32(200)
    X, Y, Z = _cubed(fx), _cubed(fy), _cubed(fz)
    for n in range(3):
        light = to_rgb[n, 0] * X + to_rgb[n, 1] * Y + to_rgb[n, 2] * Z
        if light < np.float32(-1e-3) or light > np.float32(1.001):
            return False
    return True


@kernel(error_model="numpy", nogil=True)
def _cubed(f: np.float32) -> np.float32:
    if f > np.float32(6 / 29):
        return f * f * f
    return (f - np.float32(16 / 116)) / np.float32(7.787)


def panel(pixels: np.ndarray, L: np.ndarray, coloured: np.ndarray, height: int = 640, width: int = 960) -> np.ndarray:
    """original | L | result beside one another, each fitted into `height` × `width`: (h, w, 3) uint8 sRGB."""
    grey = color.lab_to_rgb(np.dstack([L, np.zeros((*L.shape, 2), np.float32)]))
    scale = min(height / pixels.shape[0], width / pixels.shape[1])
    tall, wide = max(1, round(pixels.shape[0] * scale)), max(1, round(pixels.shape[1] * scale))
    gap = np.full((tall, 12, 3), 255, np.uint8)
    views = [images.resize(view, wide, tall) for view in (pixels, grey, coloured)]
    return np.concatenate([views[0], gap, views[1], gap, views[2]], axis=1)
