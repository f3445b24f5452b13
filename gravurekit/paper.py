"""A print taken apart: its ink, the paper it is on, and where in the picture the print lies.

All is found on a copy of at most WORK_SIDE px. What light a place gives back is paper × ink: the paper is smooth, and
may be toned and unevenly lit; the ink is grey, 1 where the paper is bare.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from gravurekit import color, images, toning

WORK_SIDE = 1024
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB

CELLS = 24  # along the longer side, in each of which the paper is looked for
EVEN = 0.06  # light's standard deviation in a cell of bare paper, as a share of the brightest
DARKEST = 0.55  # light of the paper's darkest place, as a share of its lightest
COLOURED = 6.0  # Lab units that no toning explains, above which a print is coloured already (toning.chroma_residual)
BLACK = 0.02  # light of a scan's border, at most, as a share of the paper's


@dataclass(frozen=True, eq=False)
class Apart:
    """A print, taken apart, on a reduced copy of h × w px.

    ink       (h, w) float32 0..1, linear: the share of the paper's light that the ink lets through; 1 in a scan's black
              border, which is no ink
    paper     (h, w, 3) float32 > 0, linear sRGB, smooth: the paper without ink
    plate     (h, w) float32 0..1, soft: 1 inside of the print, 0 on the bare paper around it and in a scan's border
    coloured  the picture has colours that aren't its paper's nor its ink's tone: it was coloured before
    """

    ink: np.ndarray
    paper: np.ndarray
    plate: np.ndarray
    coloured: bool = False

    @property
    def grey(self) -> np.ndarray:
        """(h, w) uint8 sRGB grey: the ink on white paper, as in training."""
        return color.linear_to_srgb(self.ink)

    @property
    def lightness(self) -> np.ndarray:
        """(h, w) float32 L 0..100 of the ink on white paper."""
        f = np.cbrt(self.ink)
        return np.asarray(np.where(self.ink > (6 / 29) ** 3, 116 * f - 16, np.float32(903.3) * self.ink), np.float32)


def apart(pixels: np.ndarray) -> Apart:
    """A print, (H, W, 3) uint8 sRGB of any size from 1×1 up, taken apart."""
    small = reduced(pixels)
    linear = color.srgb_to_linear(small)
    light = linear @ LUMINANCE
    border = scan_border(light)
    surface = _surface(light, ~border)
    paper = surface[..., None] * _tone(linear, light, surface, ~border)
    ink = np.clip(light / surface, 0, 1)
    ink[border] = 1
    found = Apart(ink.astype(np.float32), paper.astype(np.float32), np.zeros_like(ink))
    plate = 1 - margin(found.lightness)
    if border.any():
        plate *= 1 - _softly(border, 0.004 * max(border.shape))
    return Apart(found.ink, found.paper, plate.astype(np.float32), _coloured(small))


def reduced(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 → the same with a long side of at most WORK_SIDE."""
    height, width = pixels.shape[:2]
    scale = min(1.0, WORK_SIDE / max(height, width))
    return images.resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


# ---- the paper -----------------------------------------------------------------------------------------


def _surface(light: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(h, w) float32: the light of the bare paper, a surface of second order through the cells that are bare, and over
    those that aren't. With too few bare cells to tell it is as bright everywhere."""
    places, levels, bare = _cells(light, inside)
    top = max(float(np.percentile(light[inside], 95)), 1e-3) if inside.any() else 1.0
    bare &= levels > DARKEST * top
    if bare.sum() < 12:
        return np.full(light.shape, top, np.float32)
    values = np.log(np.maximum(levels, 1e-3) / top)
    basis = _basis(places[:, 0], places[:, 1])
    firm = np.diag([0.0, 0.02, 0.02, 0.05, 0.05, 0.05]) * len(levels)
    weight = bare.astype(np.float64)
    for _ in range(12):  # a surface that no bright place pierces and no grey tint of the plate draws down
        known = basis * weight[:, None]
        fitted = np.linalg.solve(known.T @ basis + firm + 1e-9 * np.eye(6), known.T @ values)
        over = values - basis @ fitted
        weight = np.where(over > 0, 1.0, np.where(bare, np.exp(-((over / 0.08) ** 2)) * 0.5, 0.0))
    h, w = light.shape
    y, x = (np.arange(side, dtype=np.float64) + 0.5 for side in (h, w))
    plane = _basis(*np.broadcast_arrays(x[None] / w * 2 - 1, y[:, None] / h * 2 - 1)) @ fitted
    return np.clip(np.exp(plane) * top, DARKEST * top, min(1.0, 1.25 * top)).astype(np.float32)


def _cells(light: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each cell that lies inside: its middle (n, 2), x and y in -1..1; its light (n,); is it bare (n,) bool."""
    h, w = light.shape
    side = max(4, -(-max(h, w) // CELLS))
    down, across = max(1, h // side), max(1, w // side)
    tall, wide = h // down, w // across
    cut = light[: down * tall, : across * wide].reshape(down, tall, across, wide).transpose(0, 2, 1, 3)
    cut = np.sort(cut.reshape(down * across, -1), axis=1)
    kept = inside[: down * tall, : across * wide].reshape(down, tall, across, wide).all((1, 3)).ravel()
    count = cut.shape[1]
    middle, high, low = cut[:, count // 2], cut[:, int(0.9 * (count - 1))], cut[:, int(0.1 * (count - 1))]
    y, x = np.mgrid[:down, :across]
    places = np.stack([(x.ravel() + 0.5) / across * 2 - 1, (y.ravel() + 0.5) / down * 2 - 1], axis=1)
    bare = high - low < 2.5 * EVEN * np.maximum(middle, 1e-3)
    return places[kept], np.where(bare, middle, high)[kept], bare[kept]


def _basis(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(..., 6) float64: what is constant, linear and square in a place, -1..1."""
    return np.stack([np.ones_like(x), x, y, x * x - 1 / 3, y * y - 1 / 3, x * y], axis=-1)


def _tone(linear: np.ndarray, light: np.ndarray, surface: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(3,) float32: the paper's colour in linear sRGB, of light 1. The median of what is as bright as paper."""
    bare = linear[inside & (light > 0.9 * surface)]
    if len(bare) < 16 or not bare.any():
        return np.ones(3, np.float32)
    tone = np.maximum(np.median(bare[:: max(1, len(bare) // 20_000)], axis=0), 1e-3)
    return np.asarray(tone / float(tone @ LUMINANCE), np.float32)


def _coloured(small: np.ndarray) -> bool:
    thumb = images.resize(small, 128, 128)
    return toning.chroma_residual(thumb, color.rgb_to_lab(thumb)) > COLOURED


# ---- where the print lies ------------------------------------------------------------------------------


def scan_border(light: np.ndarray) -> np.ndarray:
    """A scan's black border: (h, w) float32 linear → (h, w) bool. That is what is black all over, comes in from the
    picture's edge and follows most of one of its sides; if that is nearly all, there is no border."""
    h, w = light.shape
    top = float(np.percentile(light, 98))
    dark = (light < BLACK * top).astype(np.uint8)
    none = np.zeros(light.shape, bool)
    if min(h, w) < 16 or not dark.any():
        return none
    size = max(3, round(0.006 * max(h, w))) | 1
    solid = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
    _, labels = cv2.connectedComponents(solid, connectivity=4)
    border = none
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        for label in np.unique(side[side > 0]):
            if (side == label).mean() > 0.6:
                border = border | (labels == label)
    if not 0 < border.mean() < 0.6:
        return none
    return cv2.dilate(border.astype(np.uint8), np.ones((size, size), np.uint8)).astype(bool)  # and its soft edge


def margin(L: np.ndarray, radius: float = 0.008, blank: float = 0.03) -> np.ndarray:
    """Where the paper is bare all the way to the picture's edge: (H, W) float32 L 0..100 → (H, W) float32 0..1, soft.

    Bare is where the ink within `radius` of the long side covers less than `blank`; blank places that lines enclose,
    such as a white skirt, are no margin, because the gaps of an outline are narrower than the radius.
    """
    sigma = max(0.5, radius * max(L.shape))
    ink = cv2.GaussianBlur(1 - np.clip(L / 100, 0, 1), (0, 0), sigma)
    bare = np.pad((ink < blank).astype(np.uint8), 1, constant_values=1)  # the frame joins all margins to one
    _, labels = cv2.connectedComponents(bare, connectivity=4)
    outside = (labels == labels[0, 0])[1:-1, 1:-1]
    reach = int(1.8 * sigma)  # the blur has spread the ink by so much; give that back to the paper
    return _softly(_grown(outside, reach), 0.4 * sigma)


def _grown(mask: np.ndarray, reach: int) -> np.ndarray:
    """(h, w) bool → (h, w) bool: with all that is within `reach` px of it."""
    if not mask.any():
        return mask
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) <= reach


def _softly(mask: np.ndarray, sigma: float) -> np.ndarray:
    """(h, w) bool → (h, w) float32 0..1."""
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.5, sigma))
